//! Texts with places that differ from message to message or from connection to connection.
//!
//! Compiled once into segments; to fill one in appends to a buffer and allocates nothing else. Who uses one says which
//! variables make sense there: a message has a number and a time, the opening of a connection has neither.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::decimal::decimal;
use crate::output::Keys;
use crate::payload::Stamp;
use crate::table::Table;

/// The most characters of `${random.N}`.
const RANDOM_MAX: usize = 1 << 20;
/// What they are: any text, URL and JSON takes them as they are.
const RANDOM: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Which variables may stand in a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// All.
    Message,
    /// All that a connection has before its first message.
    Script,
    /// What stays the same for a connection however often it is asked for.
    Opening,
}

/// A compiled template.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Connection,
    Sequence,
    Stamp,
    NowMs,
    Random(usize),
    Csv(Arc<Table>, usize),
}

impl Template {
    /// Compiles `text`; `${csv.COLUMN}` looks into `table`.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(crate) fn compile(text: &str, table: Option<&Arc<Table>>, scope: Scope) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(behind) = from.strip_prefix("$$") {
                literal.push('$');
                rest = behind;
            } else if let Some(behind) = from.strip_prefix("${") {
                let Some((name, behind)) = behind.split_once('}') else {
                    let column = text.len() - from.len() + 1;
                    return Err(format!(
                        "`${{` at byte {column} is not closed with `}}`; `$$` is a dollar sign"
                    ));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::of(name, table, scope)?);
                rest = behind;
            } else {
                literal.push('$');
                rest = &from[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self(parts))
    }

    /// Whether it comes to the same text every time.
    pub(crate) fn is_constant(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether `${seq}` is in it.
    pub(crate) fn has_sequence(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Sequence))
    }

    /// Whether `${stamp}` is in it.
    pub(crate) fn has_stamp(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Stamp))
    }

    /// Appends the text for a message with this stamp.
    pub(crate) fn append(&self, stamp: &Stamp, draws: &mut Keys, out: &mut Vec<u8>) {
        let number = |number, out: &mut Vec<u8>| out.extend_from_slice(decimal(number, &mut [0; 20]));
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Connection => number(u64::from(stamp.connection), out),
                Part::Sequence => number(u64::from(stamp.sequence), out),
                Part::Stamp => out.extend_from_slice(&stamp.encode_text()),
                Part::NowMs => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    number(now.as_millis() as u64, out);
                }
                Part::Random(length) => {
                    let digit = |byte: u8| RANDOM[usize::from(byte & 31)];
                    let mut left = *length;
                    while left > 0 {
                        let draw = draws.draw();
                        let n = left.min(draw.len());
                        out.extend(draw[..n].iter().map(|&byte| digit(byte)));
                        left -= n;
                    }
                }
                Part::Csv(table, column) => {
                    out.extend_from_slice(table.of(stamp.connection, *column).as_bytes());
                }
            }
        }
    }

    /// The text for a connection, of a template that was compiled for an opening.
    pub(crate) fn of(&self, connection: u32) -> String {
        let (mut out, mut draws) = (Vec::new(), Keys::new(0));
        self.append(&Stamp::of_connection(connection), &mut draws, &mut out);
        String::from_utf8(out).expect("parts of texts, whole, are text")
    }

    /// Checks what it comes to for every row of the table, as far as `connections` use them.
    ///
    /// # Errors
    /// What `check` has against one of them, with the row's place.
    pub(crate) fn check_each(
        &self,
        connections: usize,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        let table = self.0.iter().find_map(|part| match part {
            Part::Csv(table, _) => Some(table),
            _ => None,
        });
        let rows = table.map_or(1, |table| table.rows()).min(connections.max(1));
        (0..rows as u32).try_for_each(|connection| {
            check(&self.of(connection)).map_err(|what| match table {
                Some(table) => format!("{}: {what}", table.place(connection)),
                None => what,
            })
        })
    }
}

impl Part {
    fn of(name: &str, table: Option<&Arc<Table>>, scope: Scope) -> Result<Self, String> {
        let is_message = scope == Scope::Message;
        Ok(match name {
            "conn" => Self::Connection,
            "seq" if is_message => Self::Sequence,
            "stamp" if is_message => Self::Stamp,
            "now_ms" if scope != Scope::Opening => Self::NowMs,
            _ => {
                if let Some(column) = name.strip_prefix("csv.") {
                    let table = table.ok_or_else(|| {
                        format!("${{{name}}} needs --csv FILE, whose first line names its columns")
                    })?;
                    return Ok(Self::Csv(Arc::clone(table), table.column(column)?));
                }
                if let Some(length) = name.strip_prefix("random.").filter(|_| scope != Scope::Opening) {
                    return match length.parse() {
                        Ok(length @ 1..=RANDOM_MAX) => Ok(Self::Random(length)),
                        _ => Err(format!("${{{name}}}: random.N is N characters, from 1 to {RANDOM_MAX}")),
                    };
                }
                let known = match scope {
                    Scope::Message => "conn, seq, stamp, now_ms, random.N and csv.COLUMN are",
                    Scope::Script => "conn, now_ms, random.N and csv.COLUMN are, before there are messages",
                    Scope::Opening => "conn and csv.COLUMN are, where a connection is opened",
                };
                return Err(format!("${{{name}}} is not known here: {known}; `$$` is a dollar sign"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Kind;

    const STAMP: Stamp = Stamp { kind: Kind::Echo, connection: 70, sequence: 0, intended: 12, slip: 3 };

    fn filled(text: &str, scope: Scope) -> Result<String, String> {
        let mut out = Vec::new();
        Template::compile(text, None, scope)?.append(&STAMP, &mut Keys::new(1), &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn places_are_filled_in_and_the_rest_stays() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${conn}", "70"),
            (r#"{"id":${seq},"c":${conn}}"#, r#"{"id":0,"c":70}"#),
            ("$$${conn}$$", "$70$"),
            ("$ref $", "$ref $"),
            ("$${conn}", "${conn}"),
        ] {
            assert_eq!(filled(text, Scope::Message).unwrap(), expected);
        }
        let stamp = filled("<${stamp}>", Scope::Message).unwrap();
        assert_eq!(Stamp::decode_text(&stamp.as_bytes()[1..]), Some(STAMP));
        let random = filled("${random.7}${random.7}", Scope::Message).unwrap();
        assert!(random.len() == 14 && random[..7] != random[7..] && random.is_ascii(), "{random}");
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let now: u64 = filled("${now_ms}", Scope::Message).unwrap().parse().unwrap();
        assert!((before..before + 60_000).contains(&now));
    }

    #[test]
    fn what_is_not_known_says_what_is() {
        for (text, scope, word) in [
            ("${sequence}", Scope::Message, "conn, seq, stamp"),
            ("a${seq", Scope::Message, "at byte 2 is not closed"),
            ("${seq}", Scope::Opening, "where a connection is opened"),
            ("${random.3}", Scope::Opening, "where a connection is opened"),
            ("${stamp}", Scope::Script, "before there are messages"),
            ("${random.0}", Scope::Script, "from 1 to"),
            ("${random.x}", Scope::Message, "from 1 to"),
            ("${csv.x}", Scope::Message, "needs --csv"),
        ] {
            let said = filled(text, scope).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}
