//! The file: TOML, one key per setting, no sections.

use std::path::Path;

use super::failure::Failure;
use super::nearest::nearest;
use super::settings::SETTINGS;

/// What the file says, in the order of [`SETTINGS`].
pub(super) fn read(path: &Path) -> Result<Vec<Option<String>>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::wrong(format!("cannot read the file {}: {error}", path.display())))?;
    parse(&text).map_err(|wrong| Failure::wrong(format!("{}: {wrong}", path.display())))
}

fn parse(text: &str) -> Result<Vec<Option<String>>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line} is not TOML: {}", error.message().replace('\n', "; "))
    })?;
    let mut values = vec![None; SETTINGS.len()];
    for (key, value) in &table {
        let Some(index) = SETTINGS.iter().position(|setting| setting.name == key) else {
            let hint = match nearest(key, SETTINGS.iter().map(|setting| setting.name)) {
                Some(name) => format!("the nearest is {name}"),
                None => "throng check-config prints them all".to_owned(),
            };
            return Err(format!("{key} is no setting; {hint}"));
        };
        let right = SETTINGS[index].form.right;
        values[index] =
            Some(self::text(value).ok_or_else(|| format!("{key} is {value}; it must be {right}"))?);
    }
    Ok(values)
}

/// A value as it would stand in the environment; `None` for what has no such form.
pub(super) fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Array(items) => {
            items.iter().map(text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        toml::Value::Table(_) => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (file, expected) in [
            ("shards = 2\nshards = ", "line 2 is not TOML: "),
            (
                "shards = 2\nmesage_bytes_max = 1",
                "mesage_bytes_max is no setting; the nearest is message_bytes_max",
            ),
            ("message-bytes-max = 1", "the nearest is message_bytes_max"),
            (
                "[websocket]\nping_interval = \"1s\"",
                "websocket is no setting; throng check-config prints them all",
            ),
            ("[shards]\na = 1", "shards is { a = 1 }; it must be a whole number"),
        ] {
            let said = parse(file).unwrap_err();
            assert!(said.contains(expected) && !said.contains('\n'), "{said}");
        }
    }
}
