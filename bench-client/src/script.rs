//! What each connection says and hears before it counts as open: `--on-open`, from its text to its steps.
//!
//! Read and checked before anything is connected; what is wrong is refused with its line. No I/O but the reading; `scripted`
//! carries it out on the connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;
use serde_json::Value;

use crate::pointer::{Leaf, Pointer};
use crate::table::Table;
use crate::template::{Scope, Template};
use crate::units;

/// How long an `expect` waits that does not say it.
const WITHIN: Duration = Duration::from_secs(10);
/// What a script's lines begin with.
const VERBS: [&str; 4] = ["send", "expect", "wait", "emit"];

/// The steps.
#[derive(Debug)]
pub(crate) struct Script(Vec<Step>);

/// One line.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// The line, and where it stands.
    pub(crate) told: String,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum What {
    Send(Template),
    /// Socket.IO: an event, its name as JSON, and its arguments with a comma in front.
    Emit {
        head: String,
        args: Template,
    },
    Expect(Expected, Duration),
    Wait(Duration),
}

/// What a message is to be.
#[derive(Debug)]
pub(crate) enum Expected {
    Containing(String),
    Beginning(String),
    Matching(Regex),
    /// Something stands there, or exactly this.
    Json(Pointer, Option<String>),
}

impl Expected {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        Ok(match kind {
            "" => return Err("say what is expected: a text that is in it, prefix:TEXT, regex:PATTERN or json:/pointer[=VALUE]".into()),
            "prefix" if !rest.is_empty() => Self::Beginning(rest.to_owned()),
            "regex" => Self::Matching(Regex::new(rest).map_err(|error| error.to_string())?),
            "json" => {
                let (pointer, value) = match rest.split_once('=') {
                    Some((pointer, value)) => (pointer, Some(value.to_owned())),
                    None => (rest, None),
                };
                Self::Json(Pointer::parse(pointer)?, value)
            }
            _ => Self::Containing(text.to_owned()),
        })
    }

    /// Whether a message is so.
    pub(crate) fn is(&self, message: &[u8]) -> bool {
        match self {
            Self::Containing(text) => message.windows(text.len()).any(|window| window == text.as_bytes()),
            Self::Beginning(text) => message.starts_with(text.as_bytes()),
            Self::Matching(pattern) => pattern.is_match(message),
            Self::Json(pointer, None) => pointer.find(message).is_some(),
            Self::Json(pointer, Some(value)) => match pointer.find(message) {
                Some(Leaf::Text(text)) => text == value.trim_matches('"'),
                Some(Leaf::Number(number)) => number.to_string() == *value,
                _ => false,
            },
        }
    }
}

impl Script {
    /// Reads what the flag says: a file's name, or the lines themselves.
    ///
    /// # Errors
    /// What is wrong with it, with its line and what would be right.
    pub(crate) fn read(flag: &str, table: Option<&Arc<Table>>, is_socket_io: bool) -> Result<Self, String> {
        let verb = flag.split_whitespace().next().unwrap_or_default();
        if VERBS.contains(&verb) {
            return Self::parse("--on-open", flag, table, is_socket_io);
        }
        let text = std::fs::read_to_string(Path::new(flag)).map_err(|error| {
            format!("--on-open {flag}: {error}; a script's lines begin with send, expect, wait or emit")
        })?;
        Self::parse(flag, &text, table, is_socket_io)
    }

    fn parse(
        place: &str,
        text: &str,
        table: Option<&Arc<Table>>,
        is_socket_io: bool,
    ) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let what =
                step(line, table, is_socket_io).map_err(|what| format!("{place}:{}: {what}", at + 1))?;
            steps.push(Step { what, told: format!("{place}:{}: {line}", at + 1) });
        }
        if steps.is_empty() {
            return Err(format!("{place}:1: no steps: lines begin with send, expect, wait or emit"));
        }
        Ok(Self(steps))
    }

    /// A step, unless that is the end.
    pub(crate) fn step(&self, at: usize) -> Option<&Step> {
        self.0.get(at)
    }
}

/// What a line says.
fn step(line: &str, table: Option<&Arc<Table>>, is_socket_io: bool) -> Result<What, String> {
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match verb {
        "send" if is_socket_io => Err("in Socket.IO events are sent: emit EVENT JSON".into()),
        "send" => Template::compile(rest, table, Scope::Script).map(What::Send),
        "emit" if !is_socket_io => Err("emit is about Socket.IO (--protocol socketio): send TEMPLATE".into()),
        "emit" => {
            let (event, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let args = args.trim();
            let comma = if args.is_empty() { "" } else { "," };
            let args = Template::compile(&format!("{comma}{args}"), table, Scope::Script)?;
            let head = format!("[{}", Value::from(event));
            let whole = format!("{head}{}]", args.of(0));
            match serde_json::from_str::<Value>(&whole) {
                _ if event.is_empty() => Err("say which event: emit EVENT JSON".into()),
                Err(error) => {
                    Err(format!("the arguments are JSON, with commas, and {whole} is none: {error}"))
                }
                Ok(_) => Ok(What::Emit { head, args }),
            }
        }
        "expect" => {
            let (pattern, within) = match rest.rsplit_once(" within ") {
                Some((pattern, within)) => (pattern, units::duration(within.trim())?),
                None => (rest, WITHIN),
            };
            Ok(What::Expect(Expected::parse(pattern.trim())?, within))
        }
        "wait" => units::duration(rest).map(What::Wait),
        _ => Err(format!(
            "`{verb}` is no step: send TEMPLATE, expect PATTERN [within TIME], wait TIME or emit EVENT JSON"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_told_from_what_is_not() {
        for (expected, message, is) in [
            ("welcome", "You are welcome!", true),
            ("welcome", "wel", false),
            ("prefix:You", "You are", true),
            ("prefix:are", "You are", false),
            (r"regex:^id=\d+$", "id=71", true),
            (r"regex:^id=\d+$", "id=71.", false),
            ("json:/ok", r#"{"ok":null}"#, true),
            ("json:/ok", r#"{"no":1}"#, false),
            ("json:/ok=7", r#"{"ok":7}"#, true),
            ("json:/ok=yes", r#"{"ok":"yes"}"#, true),
            (r#"json:/ok="yes""#, r#"{"ok":"yes"}"#, true),
            ("json:/ok=8", r#"{"ok":7}"#, false),
        ] {
            assert_eq!(
                Expected::parse(expected).unwrap().is(message.as_bytes()),
                is,
                "{expected} in {message}"
            );
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_refused_with_its_number_and_what_would_be_right() {
        for (text, is_socket_io, place, word) in [
            ("# only this\n", false, "--on-open:1: ", "no steps"),
            ("send a\nhope b", false, ":2: ", "`hope` is no step"),
            ("send ${token}", false, ":1: ", "before there are messages"),
            ("send a\n\nexpect", false, ":3: ", "say what is expected"),
            ("expect a within soon", false, ":1: ", "soon"),
            ("expect regex:(", false, ":1: ", "unclosed"),
            ("wait", false, ":1: ", ""),
            ("send a\nemit b {}", false, ":2: ", "--protocol socketio"),
            ("emit a {}\nsend b", true, ":2: ", "emit EVENT JSON"),
            ("emit", true, ":1: ", "say which event"),
            ("emit a {b}", true, ":1: ", r#"["a",{b}] is none"#),
        ] {
            let said = Script::parse("--on-open", text, None, is_socket_io).unwrap_err();
            assert!(
                said.starts_with("--on-open:") && said.contains(place) && said.contains(word),
                "{text}: {said}"
            );
        }
        assert!(Script::read("/nowhere", None, false).unwrap_err().contains("lines begin with send"));
        assert!(
            Script::read("send a\n# b\n expect c within 2s\nwait 5ms", None, false)
                .unwrap()
                .step(2)
                .is_some()
        );
    }
}
