//! A file of phases: runs one after the other on the same server, each with the flags of its scenario.
//!
//! A key is a flag by its long name. What is wrong in the file is told in one line, with where it is and what would be right.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::{Args, Command, FromArgMatches};
use toml::{Table, Value};

use crate::cli::{self, Cli, Mode};
use crate::jobs;
use crate::run::{Refusal, Site};
use crate::settings::Settings;

/// Several phases, one after the other, out of a file in TOML
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// The phases: a table `[common]` of flags for all of them, and tables `[[phase]]`, each with a `scenario` and its own
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
}

/// Reads the file and runs its phases; the worst of their exit codes.
///
/// # Errors
/// What is wrong with the file, or why a phase could not be begun, in one line.
pub(crate) fn run(flags: &Flags, stop: &Arc<AtomicBool>) -> Result<u8, Refusal> {
    let phases = read(&flags.file).map_err(Refusal::Usage)?;
    let mut site = Site::default();
    for (scenario, words) in &phases {
        // All are looked at before the first begins, and the server is started for the largest.
        let parsed = parse(words).map_err(|why| Refusal::Usage(format!("{scenario}: {why}")))?;
        if !matches!(parsed.mode, Mode::FindMax(_)) {
            let settings =
                Settings::new(parsed).map_err(|why| Refusal::Usage(format!("{scenario}: {why}")))?;
            site.room = site.room.max(settings.room());
        }
    }
    let (count, mut worst) = (phases.len(), 0);
    for (number, (scenario, words)) in phases.iter().enumerate() {
        if stop.load(Relaxed) {
            break;
        }
        println!(
            "{}phase         {} of {count}: {}",
            if number > 0 { "\n" } else { "" },
            number + 1,
            words[1..].join(" ")
        );
        let parsed = parse(words).map_err(|why| Refusal::Usage(format!("{scenario}: {why}")))?;
        worst = worst.max(jobs::carry_out(parsed, &mut site, stop)?);
    }
    Ok(worst)
}

fn parse(words: &[String]) -> Result<Cli, String> {
    let matches = cli::command().try_get_matches_from(words);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        // The first line has what is wrong; the others are about a command line, which nobody wrote.
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Each phase: where it stands, and its command line.
fn read(file: &Path) -> Result<Vec<(String, Vec<String>)>, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    phases(&text)
        .map_err(|why| format!("{name}: {why}"))
        .map(|phases| phases.into_iter().map(|(at, words)| (format!("{name}: {at}"), words)).collect())
}

fn phases(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        format!("line {line}: {}", error.message().replace('\n', " "))
    })?;
    if let Some(key) = table.keys().find(|key| !["common", "phase"].contains(&key.as_str())) {
        return Err(format!(
            "`{key}` stands outside the tables: flags of all phases go under [common], others under [[phase]]"
        ));
    }
    let empty = Table::new();
    let common = match table.get("common") {
        None => &empty,
        Some(Value::Table(common)) => common,
        Some(_) => return Err("`common` is a table: [common]".into()),
    };
    let Some(Value::Array(phases)) = table.get("phase") else {
        return Err("there is no phase: write one or more [[phase]] tables, each with a scenario".into());
    };
    let command = cli::command();
    let mut read = Vec::new();
    let mut is_used: Vec<_> = common.keys().map(|key| (key, false)).collect();
    for (index, phase) in phases.iter().enumerate() {
        let at = format!("phase {}", index + 1);
        let Value::Table(phase) = phase else { return Err(format!("{at} is no table: write [[phase]]")) };
        let known = || command.get_subcommands().map(Command::get_name).collect::<Vec<_>>().join(", ");
        let Some(Value::String(scenario)) = phase.get("scenario") else {
            return Err(format!("{at}: `scenario` is missing: scenario = \"NAME\", one of {}", known()));
        };
        let mode = command.get_subcommands().find(|mode| mode.get_name() == scenario);
        let Some(mode) = mode else {
            return Err(format!("{at}: scenario = \"{scenario}\" is none; there are {}", known()));
        };
        let at = format!("{at} ({scenario})");
        let mut words = vec!["bench-client".to_owned(), scenario.clone()];
        for (key, used) in &mut is_used {
            if has(mode, key) {
                *used = true;
                if !phase.contains_key(*key) {
                    flag(key, &common[*key], &mut words).map_err(|why| format!("[common]: {why}"))?;
                }
            }
        }
        for (key, value) in phase.iter().filter(|(key, _)| *key != "scenario") {
            if !has(mode, key) {
                let flags = names(mode).join(", ");
                return Err(format!("{at}: `{key}` is no flag of {scenario}; there are {flags}"));
            }
            flag(key, value, &mut words).map_err(|why| format!("{at}: {why}"))?;
        }
        read.push((at, words));
    }
    match is_used.iter().find(|(_, used)| !used) {
        Some((key, _)) => Err(format!("[common]: `{key}` is a flag of none of the phases")),
        None => Ok(read),
    }
}

/// The long names of a mode's flags, and what a URL is called.
fn names(mode: &Command) -> Vec<&str> {
    let long = mode.get_arguments().filter_map(|flag| flag.get_long());
    long.chain(mode.get_arguments().any(|flag| flag.get_id() == "url").then_some("url")).collect()
}

fn has(mode: &Command, key: &str) -> bool {
    names(mode).contains(&key)
}

/// Appends a flag as it stands on a command line.
fn flag(key: &str, value: &Value, words: &mut Vec<String>) -> Result<(), String> {
    let value = match value {
        Value::Boolean(true) => {
            words.push(format!("--{key}"));
            return Ok(());
        }
        Value::Boolean(false) => return Ok(()),
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Array(items) => return items.iter().try_for_each(|item| flag(key, item, words)),
        _ => return Err(format!("`{key}` is a text, a number, true, false or a list of those")),
    };
    words.push(if key == "url" { value } else { format!("--{key}={value}") });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_a_command_line_of_what_is_common_and_what_is_its_own() {
        let text = "[common]\nurl = 'ws://h/'\nconnections = 5\nrate = '1k'\nspin = false\n\n[[phase]]\nscenario = 'idle'\n\
                    header = ['a: b', 'c: d']\n[[phase]]\nscenario = 'echo'\nconnections = 7\ntext = true\n";
        let [idle, echo] = &phases(text).unwrap()[..] else { panic!("two phases") };
        assert_eq!(idle.0, "phase 1 (idle)");
        assert_eq!(
            idle.1.join(" "),
            "bench-client idle --connections=5 ws://h/ --header=a: b --header=c: d",
            "a flag of other phases alone is left out"
        );
        assert_eq!(echo.1.join(" "), "bench-client echo --rate=1k ws://h/ --connections=7 --text");
        assert!(parse(&idle.1).is_ok() && parse(&echo.1).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_would_be_right() {
        for (text, words) in [
            ("", "there is no phase: write one or more [[phase]]"),
            ("[[phase]\n", "line 1: "),
            ("x = 1\n[[phase]]\nscenario='idle'", "`x` stands outside the tables"),
            ("[[phase]]\nrate = 1", "phase 1: `scenario` is missing: scenario = \"NAME\", one of idle"),
            ("[[phase]]\nscenario = 'fly'", "phase 1: scenario = \"fly\" is none; there are idle"),
            (
                "[[phase]]\nscenario = 'idle'\nrate = 5",
                "phase 1 (idle): `rate` is no flag of idle; there are connections",
            ),
            ("[[phase]]\nscenario = 'echo'\nrate = 1979-05-27", "`rate` is a text, a number, true, false"),
            (
                "[common]\nrate = 5\n[[phase]]\nscenario = 'idle'",
                "[common]: `rate` is a flag of none of the phases",
            ),
        ] {
            let said = phases(text).unwrap_err();
            assert!(said.contains(words) && said.lines().count() == 1, "{said}");
        }
        let words = ["bench-client", "echo", "--rate=often"].map(str::to_owned);
        assert!(parse(&words).unwrap_err().contains("'often'"));
    }
}
