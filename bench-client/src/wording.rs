//! Messages in her own words: the flags, and what they come to. `cli` has them, `settings` asks.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::matching::Matching;
use crate::output::Keys;
use crate::payload::Stamp;
use crate::table::Table;
use crate::template::{Scope, Template};

/// Flags about what messages say.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Words {
    /// Send this instead of a stamp, or what is in FILE: ${conn} and ${seq} are the connection's and the message's number,
    /// ${stamp} 20 characters with both and the time, ${now_ms} the Unix time in milliseconds, ${random.N} N characters,
    /// ${csv.COLUMN} the connection's value in --csv, $$ a dollar sign. Text, unless --binary. In Socket.IO these are the
    /// arguments of the event, JSON with commas
    #[arg(long, value_name = "TEMPLATE|@FILE", conflicts_with = "size")]
    pub(crate) send: Option<String>,
    /// How a reply says which message it answers, by ${seq} or ${stamp}: json:/result/id (a JSON pointer to it),
    /// regex:PATTERN (group 1, or a group named seq or stamp), prefix:TEXT (it follows) or stamp (anywhere). Other messages
    /// are counted and ignored. In Socket.IO it looks at the packet's JSON, [EVENT, ARGUMENT, …] [default: stamp, where it
    /// is sent; with --ack the ack]
    #[arg(long = "match", value_name = "HOW", requires = "send")]
    pub(crate) matching: Option<String>,
}

/// What messages say and how replies are known.
#[derive(Clone, Debug)]
pub(crate) struct Wording {
    pub(crate) send: Template,
    /// `None`: by the number of the ack.
    pub(crate) matching: Option<Matching>,
    /// Whether a reply may carry a number alone.
    pub(crate) is_numbered: bool,
    /// As the flag has it.
    pub(crate) said: String,
}

impl Words {
    /// What the flags come to; `is_published` where messages go to other connections, `is_acked` where Socket.IO says
    /// which message is answered.
    ///
    /// # Errors
    /// What is wrong with them, and what would be right.
    pub(crate) fn wording(
        &self,
        table: Option<&Arc<Table>>,
        is_published: bool,
        is_acked: bool,
    ) -> Result<Option<Wording>, String> {
        let Some(text) = &self.send else { return Ok(None) };
        let text = match text.strip_prefix('@') {
            None => text.clone(),
            Some(file) => {
                let text = std::fs::read_to_string(Path::new(file))
                    .map_err(|error| format!("--send @{file}: {error}"))?;
                // Editors end a file with a line's end, which is no part of the message.
                text.strip_suffix('\n')
                    .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
                    .to_owned()
            }
        };
        let send =
            Template::compile(&text, table, Scope::Message).map_err(|what| format!("--send: {what}"))?;
        if is_published && !send.has_stamp() {
            return Err(
                "--send: what is published needs ${stamp}: who receives it learns from it when it was sent"
                    .into(),
            );
        }
        let matching = match self.matching.as_deref() {
            Some(said) => Some(Matching::parse(said)?),
            None if is_acked => None,
            None if send.has_stamp() => Some(Matching::Stamp),
            None => {
                return Err("--send without --match, and without ${stamp}: say where the reply has ${seq}, as in --match json:/id"
                    .into());
            }
        };
        let is_by_stamp = matches!(matching, Some(Matching::Stamp));
        if is_by_stamp && !send.has_stamp() {
            return Err("--match stamp: there is no ${stamp} in --send".into());
        }
        if !is_by_stamp && matching.is_some() && !send.has_stamp() && !send.has_sequence() {
            return Err(
                "--send has neither ${seq} nor ${stamp}: nothing tells which message a reply answers".into(),
            );
        }
        let is_numbered = !is_by_stamp && (matching.is_none() || send.has_sequence());
        let said =
            self.matching.clone().unwrap_or_else(|| if is_acked { "ack".into() } else { "stamp".into() });
        Ok(Some(Wording { send, matching, is_numbered, said }))
    }
}

impl Wording {
    /// The first message of a connection.
    pub(crate) fn first(&self, connection: u32) -> String {
        let mut out = Vec::new();
        self.send.append(&Stamp::of_connection(connection), &mut Keys::new(0), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(
        send: &str,
        matching: Option<&str>,
        is_published: bool,
        is_acked: bool,
    ) -> Result<Wording, String> {
        let words = Words { send: Some(send.into()), matching: matching.map(str::to_owned) };
        words.wording(None, is_published, is_acked).map(|wording| wording.expect("something is sent"))
    }

    #[test]
    fn what_is_sent_and_how_it_is_matched_fit_each_other() {
        for (send, matching, is_acked, is_numbered) in [
            ("${stamp}", None, false, false),
            ("${stamp}${seq}", Some("stamp"), false, false),
            ("${stamp}", Some("json:/id"), false, false),
            ("${seq}", Some("json:/id"), false, true),
            ("${seq}${stamp}", Some("regex:(.+)"), false, true),
            ("1", None, true, true),
        ] {
            let wording = wording(send, matching, false, is_acked).unwrap();
            assert_eq!(wording.is_numbered, is_numbered, "{send} {matching:?}");
        }
        assert!(Words::default().wording(None, true, false).unwrap().is_none());
        for (send, matching, is_published, word) in [
            ("${seq}", None, false, "--match json:/id"),
            ("${seq}", Some("stamp"), false, "no ${stamp} in --send"),
            ("hello", Some("json:/id"), false, "neither ${seq} nor ${stamp}"),
            ("${seq}", Some("json:/id"), true, "what is published needs ${stamp}"),
            ("${x}", None, false, "--send: ${x} is not known"),
            ("@/nowhere/at/all", None, false, "/nowhere/at/all: "),
        ] {
            let said = wording(send, matching, is_published, false).unwrap_err();
            assert!(said.contains(word), "{send}: {said}");
        }
    }
}
