//! Whether a server answers in kind at all. Where not one message that came is what was waited for, that is what is wrong, and
//! to tell it as loss would send people looking for the wrong thing.

use crate::settings::{Load, Settings};
use crate::stats::Tally;

/// What to say where messages came and not one of them was a reply; `None` where one was, or none came. `first` is the
/// beginning of the first one, where it is known.
pub(crate) fn not_in_kind(settings: &Settings, tally: &Tally, first: Option<&str>) -> Option<String> {
    if settings.load == Load::None
        || settings.publish.is_some()
        || settings.rooms.is_some()
        || tally.received > 0
    {
        return None;
    }
    let (came, why) = match &settings.wording {
        Some(wording) => {
            let how = if tally.corrupt > 0 {
                format!("{} have a number that was not sent where --match {} looks", tally.corrupt, wording.said)
            } else {
                format!("none matches --match {}", wording.said)
            };
            (tally.unmatched + tally.corrupt, how)
        }
        None => (
            tally.corrupt,
            "none is one that was sent; a server with messages of its own is measured with --send and --match".into(),
        ),
    };
    let first = first.map_or_else(String::new, |first| format!("; the first was {first}"));
    (came > 0).then(|| format!("the server answers, but not in kind: {came} messages came, {why}{first}"))
}

/// The counts to judge by where a server does not answer in kind: what was not answered is then no loss.
pub(crate) fn without_loss(tally: &Tally) -> Tally {
    Tally { lost: 0, corrupt: 0, ..*tally }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn it_is_named_only_where_nothing_at_all_was_a_reply() {
        let plain = &["bench-client", "echo", "ws://h/"][..];
        let worded = &[plain, &["--send", "${seq}", "--match", "json:/id"]].concat();
        let tally = |received, unmatched, corrupt| Tally { received, unmatched, corrupt, ..Tally::default() };
        for (flags, tally, word) in [
            (plain, tally(0, 0, 0), None),
            (plain, tally(0, 0, 7), Some("7 messages came, none is one that was sent")),
            (plain, tally(1, 0, 7), None),
            (worded, tally(0, 0, 0), None),
            (worded, tally(0, 7, 0), Some("7 messages came, none matches --match json:/id; the first was X")),
            (worded, tally(0, 2, 5), Some("7 messages came, 5 have a number that was not sent")),
            (worded, tally(1, 7, 0), None),
        ] {
            let settings = Settings::new(Cli::parse_from(flags)).unwrap();
            let said = not_in_kind(&settings, &tally, Some("X"));
            match word {
                None => assert_eq!(said, None),
                Some(word) => assert!(said.as_ref().is_some_and(|said| said.contains(word)), "{said:?}"),
            }
        }
    }
}
