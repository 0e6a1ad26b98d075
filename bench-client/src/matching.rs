//! Which of the messages that come are replies, and which message each answers.
//!
//! What `--match` says, compiled once. It looks at one message at a time and knows nothing of connections: `worded` asks
//! it, and judges what is found.

use regex::bytes::{CaptureLocations, Regex};

use crate::payload::{STAMP_TEXT_BYTES, Stamp};
use crate::pointer::{Leaf, Pointer};

/// What a reply says about the message that it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// All: it carries the stamp.
    Stamp(Stamp),
    /// Its number.
    Number(u64),
}

/// Where it says so.
#[derive(Clone, Debug)]
pub(crate) enum Matching {
    /// A stamp, wherever it stands.
    Stamp,
    /// At a place in JSON.
    Json(Pointer),
    /// In a group of a pattern.
    Regex {
        pattern: Regex,
        group: usize,
        /// The groups of the last match: kept, so that nothing is allocated for the next.
        groups: CaptureLocations,
    },
    /// Behind a text at the beginning.
    Prefix(Box<[u8]>),
}

impl Matching {
    /// Reads `--match`.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "stamp" if text == "stamp" => Ok(Self::Stamp),
            "json" => Pointer::parse(rest).map(Self::Json).map_err(|what| format!("--match {text}: {what}")),
            "prefix" if !rest.is_empty() => Ok(Self::Prefix(rest.as_bytes().into())),
            "regex" => {
                let pattern = Regex::new(rest).map_err(|error| format!("--match {text}: {error}"))?;
                let named = ["seq", "stamp"]
                    .iter()
                    .find_map(|name| pattern.capture_names().position(|group| group == Some(*name)));
                let group = named.unwrap_or(1);
                if group >= pattern.captures_len() {
                    return Err(format!(
                        "--match {text}: the pattern has no group: put the number, or the stamp, in parentheses, as in \
                         regex:\"id\":(\\d+)"
                    ));
                }
                let groups = pattern.capture_locations();
                Ok(Self::Regex { pattern, group, groups })
            }
            _ => Err(format!(
                "--match {text}: write json:/result/id (a JSON pointer), regex:PATTERN, prefix:TEXT or stamp"
            )),
        }
    }

    /// What a message says; `None` if it is no reply.
    pub(crate) fn find(&mut self, message: &[u8], connection: u32) -> Option<Found> {
        match self {
            Self::Stamp => stamp_within(message, connection).map(Found::Stamp),
            Self::Json(pointer) => match pointer.find(message)? {
                Leaf::Number(number) => Some(Found::Number(number)),
                Leaf::Text(text) => whole(text.as_bytes()),
                Leaf::Other => None,
            },
            Self::Regex { pattern, group, groups } => {
                pattern.captures_read(groups, message)?;
                let (from, to) = groups.get(*group)?;
                whole(&message[from..to])
            }
            Self::Prefix(prefix) => leading(message.strip_prefix(&**prefix)?.trim_ascii_start()),
        }
    }
}

/// A text that is a stamp or a number, and nothing else.
fn whole(text: &[u8]) -> Option<Found> {
    match Stamp::decode_text(text) {
        Some(stamp) if text.len() == STAMP_TEXT_BYTES => Some(Found::Stamp(stamp)),
        _ => match digits(text)? {
            (number, length) if length == text.len() => Some(Found::Number(number)),
            _ => None,
        },
    }
}

/// A stamp or a number at the front of a text.
fn leading(text: &[u8]) -> Option<Found> {
    Stamp::decode_text(text)
        .map(Found::Stamp)
        .or_else(|| digits(text).map(|(number, _)| Found::Number(number)))
}

/// The number at the front of a text, and how many digits it has.
fn digits(text: &[u8]) -> Option<(u64, usize)> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((number, length))
}

/// The stamp within a message that is of this connection, or else the first of any.
fn stamp_within(message: &[u8], connection: u32) -> Option<Stamp> {
    // By chance one of some thousands of 20 letters that begin with an E reads as a stamp: ours goes first.
    let all = || {
        message
            .windows(STAMP_TEXT_BYTES)
            .filter(|text| matches!(text[0], b'E' | b'P'))
            .filter_map(Stamp::decode_text)
    };
    all().find(|stamp| stamp.connection == connection).or_else(|| all().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Kind;

    const STAMP: Stamp = Stamp { kind: Kind::Echo, connection: 3, sequence: 41, intended: 9, slip: 0 };

    #[test]
    fn the_number_or_the_stamp_is_found_where_it_was_said_to_be() {
        let stamp = STAMP.encode_text();
        let stamp = std::str::from_utf8(&stamp).unwrap();
        let (number, of_stamp) = (Some(Found::Number(41)), Some(Found::Stamp(STAMP)));
        for (matching, message, expected) in [
            ("json:/id", r#"{"jsonrpc":"2.0","result":[],"id":41}"#.to_owned(), number),
            ("json:/id", r#"{"id":"41"}"#.into(), number),
            ("json:/id", format!(r#"{{"id":"{stamp}"}}"#), of_stamp),
            ("json:/id", r#"{"method":"tick"}"#.into(), None),
            ("json:/id", r#"{"id":"x41"}"#.into(), None),
            ("json:/id", r#"{"id":null}"#.into(), None),
            ("json:/1/n", r#"["reply",{"n":41}]"#.into(), number),
            ("regex:^ok (\\d+)$", "ok 41".into(), number),
            ("regex:^ok (\\d+)$", "ok 41!".into(), None),
            ("regex:(a)?(?<seq>\\d+)", "a41".into(), number),
            ("regex:<(?<stamp>.*)>", format!("<{stamp}>"), of_stamp),
            ("regex:<(.*)>", format!("<{stamp}x>"), None),
            ("regex:(a)?b", "b".into(), None),
            ("prefix:re:", "re: 41 of many".into(), number),
            ("prefix:re:", format!("re:{stamp}…"), of_stamp),
            ("prefix:re:", "re: x".into(), None),
            ("prefix:re:", "are:41".into(), None),
            ("stamp", format!("Each {stamp}!"), of_stamp),
            ("stamp", "Each and Every ELEPHANT".into(), None),
        ] {
            let found = Matching::parse(matching).unwrap().find(message.as_bytes(), 3);
            assert_eq!(found, expected, "{matching} in {message}");
        }
    }

    #[test]
    fn of_two_stamps_the_connections_own_is_the_one() {
        let other = Stamp { connection: 8, ..STAMP };
        let text = |stamp: Stamp| String::from_utf8(stamp.encode_text().to_vec()).unwrap();
        let both = text(other) + &text(STAMP);
        assert_eq!(Matching::Stamp.find(both.as_bytes(), 3), Some(Found::Stamp(STAMP)));
        assert_eq!(Matching::Stamp.find(both.as_bytes(), 5), Some(Found::Stamp(other)));
    }

    #[test]
    fn what_is_no_matching_says_what_is_one() {
        for (text, word) in [
            ("id", "json:/result/id"),
            ("stamp:x", "json:/result/id"),
            ("prefix:", "prefix:TEXT"),
            ("json:id", "no JSON pointer"),
            ("regex:(", "unclosed group"),
            ("regex:id", "in parentheses"),
        ] {
            let said = Matching::parse(text).unwrap_err();
            assert!(said.starts_with("--match ") && said.contains(word), "{text}: {said}");
        }
    }
}
