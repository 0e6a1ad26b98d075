//! The argument of an event that has the stamp: the last one that is a text. `socketio` asks for it, once per packet.

use std::borrow::Cow;

use serde_json::Value;

/// The last of the texts in a JSON array that was checked, empty without any.
pub(crate) fn last_text(array: &str) -> Cow<'_, str> {
    // Nearly always it ends the array and has no escapes in it.
    let inside =
        array.trim_end().strip_suffix(']').map(str::trim_end).and_then(|array| array.strip_suffix('"'));
    if let Some(start) = inside.and_then(|inside| inside.rfind('"'))
        && let Some(text) = inside.map(|inside| &inside[start + 1..])
        && !text.contains('\\')
        && !array[..start].ends_with('\\')
    {
        return Cow::Borrowed(text);
    }
    let values = serde_json::from_str::<Vec<Value>>(array).unwrap_or_default();
    let last = values.into_iter().rev().find_map(|value| match value {
        Value::String(text) => Some(text),
        _ => None,
    });
    Cow::Owned(last.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_text_is_found_in_whatever_a_server_makes_of_the_arguments() {
        for (array, text) in [
            (r#"["e","x","stamp"]"#, "stamp"),
            (r#"[ "e" , "stamp" ] "#, "stamp"),
            (r#"["e","stamp",7,{"a":"b"}]"#, "stamp"),
            (r#"["e","st\u0061mp"]"#, "stamp"),
            (r#"["e","st\"amp"]"#, "st\"amp"),
            (r#"["e","stamp\\"]"#, "stamp\\"),
            (r#"["e",[1,"x"]]"#, "e"),
            ("[]", ""),
            ("[1]", ""),
        ] {
            assert_eq!(last_text(array), text, "{array}");
        }
    }
}
