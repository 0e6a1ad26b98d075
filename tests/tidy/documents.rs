//! The tables of the documents, compared with the code: settings and limits with their defaults, counters, causes.

use std::collections::{BTreeMap, BTreeSet};

use throng::Config;
use throng::base::cause::{Answer, TABLE};
use throng::base::metrics::Counters;

use super::read;

/// The rows of a table of `docs/TUNING.md`, by the name in the first column.
fn rows(heading: &str) -> BTreeMap<String, Vec<String>> {
    rows_of("docs/TUNING.md", heading)
}

fn rows_of(file: &str, heading: &str) -> BTreeMap<String, Vec<String>> {
    let text = read(file);
    let (_, behind) = text.split_once(heading).unwrap_or_else(|| panic!("{file} has no {heading}"));
    let table = behind.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut rows = BTreeMap::new();
    for line in table {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        assert!(rows.insert(name, cells.collect()).is_none(), "twice: {line}");
    }
    rows
}

/// Compares documented rows with what the code has: no name too many, none too few, and the same second column.
fn compare(
    heading: &str,
    code: impl IntoIterator<Item = (String, Option<String>)>,
    machine: fn(&str) -> String,
) {
    let mut documented = rows(heading);
    let mut wrong = Vec::new();
    for (name, value) in code {
        match (documented.remove(&name), value) {
            (None, _) => wrong.push(format!("`{name}` is not documented")),
            (Some(cells), Some(value)) if machine(&cells[0]) != value => {
                wrong.push(format!("`{name}` is {value}, documented is {}", cells[0]));
            }
            (Some(_), _) => {}
        }
    }
    wrong.extend(documented.keys().map(|name| format!("`{name}` is documented and does not exist")));
    assert!(wrong.is_empty(), "docs/TUNING.md: {}", wrong.join("\n"));
}

/// A value as people write it, in the form in which `Debug` prints it.
fn printed(value: &str) -> String {
    let plain = value.replace(',', "");
    let scaled = |unit: &str, shift: u32| {
        let number: u64 = plain.strip_suffix(unit)?.trim().parse().ok()?;
        Some((number << shift).to_string())
    };
    let words = [
        ("on", "true"),
        ("off", "false"),
        ("any", "Any"),
        ("shared", "Shared"),
        ("refuse", "Refuse"),
        ("0 s", "0ns"),
    ];
    let worded = words.iter().find(|(word, _)| *word == value).map(|(_, debug)| *debug);
    scaled("KiB", 10)
        .or_else(|| scaled("MiB", 20))
        .or_else(|| worded.map(str::to_owned))
        .unwrap_or_else(|| plain.replace(' ', ""))
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let defaults = format!("{:?}", Config::default());
    let fields = defaults.trim_start_matches("Config {").trim_end_matches('}');
    let settings = fields.split(", ").map(|field| {
        let (name, value) = field.trim().split_once(": ").unwrap();
        (name.to_owned(), Some(value.to_owned()))
    });
    compare("| setting | default | at the limit | when to change it |", settings, printed);
}

#[test]
fn every_limit_is_in_the_security_table_with_its_default_and_a_counter_that_exists() {
    let limits = rows_of("docs/SECURITY.md", "| limit | default | what happens there | counter |");
    let settings = rows("| setting | default | at the limit | when to change it |");
    // An empty cell keeps the bar behind it.
    let has_limit = |cells: &[String]| !cells[1].starts_with('|');
    let missing: Vec<_> =
        settings.iter().filter(|(name, cells)| has_limit(cells) && !limits.contains_key(*name)).collect();
    assert!(missing.is_empty(), "docs/SECURITY.md lacks {missing:?}");
    let counters = Counters::default();
    let counters: BTreeSet<_> = counters.each().map(|(name, _)| name).collect();
    for (name, cells) in &limits {
        assert_eq!(Some(&cells[0]), settings.get(name).map(|cells| &cells[0]), "the default of {name}");
        let (is_quoted, is_elsewhere) = (cells[2].starts_with('`'), cells[2].starts_with("the "));
        assert!(is_quoted || is_elsewhere, "{name} has the counter {}", cells[2]);
        for counter in cells[2].split(", ").filter(|_| is_quoted) {
            assert!(counters.contains(counter.trim_matches('`')), "{name} has the counter {counter}");
        }
    }
}

/// The names of a struct's fields, and of the fields of those structs in it that `into` names, as `Debug` prints them.
#[cfg(feature = "socketio")]
fn fields(printed: &str, into: &str) -> Vec<String> {
    let (mut path, mut names, mut word) = (Vec::new(), Vec::new(), String::new());
    for c in printed.chars() {
        match c {
            '{' | '[' | '(' => path.push(std::mem::take(&mut word)),
            '}' | ']' | ')' => _ = path.pop(),
            ':' if path.len() == 1 => names.push(word.clone()),
            ':' if path.len() == 2 && path[1].starts_with(into) => names.push(format!("{into}.{word}")),
            ',' => word.clear(),
            ' ' if word.is_empty() => {}
            c => word.push(c),
        }
    }
    names
}

#[cfg(feature = "socketio")]
#[test]
fn every_setting_and_limit_of_socket_io_is_documented() {
    let printed = format!("{:?}", throng::io::IoConfig::default());
    let settings = rows("| setting | default | at its end |");
    let limits = rows("| limit | default | counter | at the limit |");
    let documented: BTreeSet<_> =
        settings.keys().chain(limits.keys()).flat_map(|key| key.split(", ")).collect();
    let is_documented = |name: &str| {
        let quoted = format!("`{name}`");
        documented.iter().any(|key| key.trim_matches('`') == name.trim_matches('`') || *key == quoted)
    };
    let names = fields(&printed, "packet_limits");
    assert!(names.len() > 15 && names.iter().any(|name| name == "packet_limits.depth_max"), "{names:?}");
    let missing: Vec<_> =
        names.iter().filter(|name| *name != "packet_limits" && !is_documented(name)).collect();
    assert!(missing.is_empty(), "docs/TUNING.md lacks {missing:?}");

    let counters: BTreeSet<_> = Counters::default().each().map(|(name, _)| name).collect();
    for (limit, cells) in &limits {
        for counter in cells[1].split(", ").map(|counter| counter.trim_matches('`')) {
            assert!(counters.contains(counter), "{limit} has the counter {counter:?}");
        }
    }
}

#[test]
fn every_counter_and_every_cause_is_documented() {
    let counters = Counters::default();
    let causes: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    let named = counters.each().map(|(name, _)| name).filter(|name| !causes.contains(name));
    // Counted by other threads, and so not per shard.
    let named = named.chain(["jobs_panicked", "tls_reloads"]);
    compare(
        "| counter | what it counts | when it grows |",
        named.map(|name| (name.to_owned(), None)),
        printed,
    );

    let told = TABLE.iter().map(|row| {
        let told = match row.answer {
            Answer::Close(code) => format!("close {code}"),
            Answer::Status(status) => status.to_string(),
            Answer::Silent => "nothing".to_owned(),
        };
        (row.name.to_owned(), Some(told))
    });
    compare("| cause | told | meaning |", told, str::to_owned);
}

#[test]
fn what_people_write_is_compared_with_what_debug_prints() {
    for (written, debug) in
        [("64 KiB", "65536"), ("65,535", "65535"), ("10 s", "10s"), ("off", "false"), ("0", "0")]
    {
        assert_eq!(printed(written), debug);
    }
}
