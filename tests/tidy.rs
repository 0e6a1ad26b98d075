//! The laws of the house, read off the sources: who imports whom, what a room may not touch, how long a file is, and that
//! the documented settings, counters and causes are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use throng::Config;
use throng::base::cause::{Answer, TABLE};
use throng::base::metrics::Counters;

/// Each room with the rooms it may name. `cli` is the binary's and may name everything.
const ROOMS: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("sys", &["base"]),
    ("proto", &["base"]),
    ("hub", &["base", "proto"]),
    ("core", &["base", "sys", "proto", "hub"]),
    ("app", &["base", "proto", "hub", "core"]),
    ("server", &["base", "sys", "proto", "hub", "core", "app"]),
    ("cli", &["base", "sys", "proto", "hub", "core", "app", "server"]),
];

/// What code of a directory may not contain, as whole words.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    ("src/base", &["mio", "tungstenite", "std::net", "std::thread", "Instant", "SystemTime"]),
    ("src/proto", &["mio", "tracing", "std::net", "std::thread", "Instant", "SystemTime"]),
    ("src/hub", &["mio", "tracing", "std::net", "std::thread", "Instant", "SystemTime"]),
    ("src/app", &["mio"]),
    ("src", &["todo!", "unimplemented!", "dbg!", "fn get_", "Manager", "Helper", "Util"]),
    (
        "bench-client/src",
        &["todo!", "unimplemented!", "dbg!", "throng::core", "throng::app", "throng::server"],
    ),
];

const LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file under a directory of the project, relative to its root. A directory that is not there has none.
fn rust_files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The code of a file: no comments, nothing within quotes, and no tests, which end a file here.
fn code(path: &Path) -> String {
    let text = read(path);
    strip(text.split("#[cfg(test)]\nmod ").next().unwrap())
}

/// Takes comments and the contents of literals out of Rust source.
fn strip(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let hashes = rest.bytes().skip(1).take_while(|&b| b == b'#').count();
        let in_a_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if c == 'r' && !in_a_word && rest[1 + hashes..].starts_with('"') {
            let closing = format!("\"{}", "#".repeat(hashes));
            rest[2 + hashes..].find(&closing).map(|end| 2 + hashes + end + closing.len())
        } else if c == '"' {
            Some(1 + quoted(&rest[1..], '"'))
        } else if c == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')) {
            Some(1 + quoted(&rest[1..], '\''))
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped.unwrap_or(rest.len())..];
    }
    out
}

/// How long a literal is to its closing quote, that included.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// The words right behind each `prefix` in code: one for a path, several for `prefix{a, b::c}`.
fn named(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let part_of_a_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let behind = code[at + prefix.len()..].trim_start();
        match behind.strip_prefix('{') {
            _ if part_of_a_word => {}
            None => drop(found.insert(word(behind))),
            Some(group) => {
                let mut depth = 0;
                for item in group.split_inclusive([',', '{', '}']) {
                    if depth == 0 {
                        found.insert(word(item.trim_start()));
                    }
                    depth += i32::from(item.ends_with('{')) - i32::from(item.ends_with('}'));
                    if depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

/// The rooms that a file of a room names: by `crate::`, and by as many `super::` as lead out of its room.
fn rooms_named(path: &Path, code: &str) -> BTreeSet<String> {
    let mut depth = path.components().count() - 1;
    if path.ends_with("mod.rs") {
        depth -= 1;
    }
    let mut found = named(code, "crate::");
    let known = |name: &String| ROOMS.iter().any(|(room, _)| room == name);
    found.extend(named(code, &"super::".repeat(depth)).into_iter().filter(known));
    found
}

fn contains_word(code: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let behind = &code[at + word.len()..];
        let open_end = word.ends_with('_') || word.starts_with(char::is_uppercase) && word != "Instant";
        !(code[..at].ends_with(joins) && word.starts_with(char::is_lowercase))
            && (open_end || !behind.starts_with(joins))
    })
}

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    for (room, below) in ROOMS {
        let mut files = rust_files(&format!("src/{room}"));
        files.extend(Some(PathBuf::from(format!("src/{room}.rs"))).filter(|path| root().join(path).exists()));
        for path in files {
            for name in rooms_named(&path, &code(&path)) {
                if name != room && !below.contains(&name.as_str()) {
                    wrong.push(format!("{}: {room} may not name `crate::{name}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_touches_what_is_not_its_own() {
    let mut wrong = Vec::new();
    for (directory, words) in FORBIDDEN {
        for path in rust_files(directory) {
            let code = code(&path);
            for word in words.iter().filter(|word| contains_word(&code, word)) {
                wrong.push(format!("{}: `{word}`", path.display()));
            }
        }
    }
    for path in rust_files("src") {
        let code = code(&path);
        let speaks = path.starts_with("src/cli") || path == Path::new("src/main.rs");
        if !speaks
            && ["println!", "eprintln!", "print!", "eprint!"].iter().any(|word| contains_word(&code, word))
        {
            wrong.push(format!("{}: only the binary prints", path.display()));
        }
        let may = ["src/sys/fd_table.rs", "src/sys/source.rs", "src/proto/ws/utf8.rs"]
            .iter()
            .any(|file| path == Path::new(file));
        if contains_word(&code, "unsafe") && !may {
            wrong.push(format!(
                "{}: `unsafe` has three files: sys/fd_table.rs, sys/source.rs, proto/ws/utf8.rs",
                path.display()
            ));
        }
    }
    for path in rust_files("bench-client/src") {
        let rooms = named(&code(&path), "throng::");
        for name in rooms.iter().filter(|name| !["base", "proto", "sys"].contains(&name.as_str())) {
            wrong.push(format!("{}: `throng::{name}` is the server's", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_and_those_of_a_room_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for directory in ["src", "bench-client", "tests", "examples", "benches", "fuzz"] {
        for path in rust_files(directory) {
            let text = read(&path);
            let lines = text.lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{} has {lines} lines, {LINES_MAX} is the end", path.display()));
            }
            if path.components().count() > 2 && path.starts_with("src") && !text.starts_with("//! ") {
                wrong.push(format!("{} has no header", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rows of a table of `docs/TUNING.md`, by the name in the first column.
fn rows(heading: &str) -> BTreeMap<String, Vec<String>> {
    let text = read("docs/TUNING.md");
    let (_, behind) = text.split_once(heading).unwrap_or_else(|| panic!("docs/TUNING.md has no {heading}"));
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
        let counter = cells[1].trim_matches('`');
        assert!(counters.contains(counter), "{limit} has the counter {counter:?}");
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
fn the_reader_of_sources_reads_them() {
    let source = r##"
        use crate::{base::{id, cause}, core::Shard}; // crate::server
        /* crate::app */ let text = "crate::hub \" crate::cli"; let raw = r#"crate::sys"#;
        fn f<'a>(c: char) -> &'a str { if c == '\'' || c == '"' { crate::proto::ws() } else { "" } }
    "##;
    let code = strip(source);
    assert_eq!(named(&code, "crate::"), ["base", "core", "proto"].map(str::to_owned).into());
    let path = Path::new("src/proto/ws/frame.rs");
    let out = "use super::mask; use super::super::http; use super::super::super::core::Shard;";
    assert_eq!(rooms_named(path, out), ["core".to_owned()].into());

    for (code, word, is_there) in [
        ("use mio::Poll", "mio", true),
        ("let miozone = 1", "mio", false),
        ("struct ConnManager;", "Manager", true),
        ("pub fn get_peer()", "fn get_", true),
        ("conns.get_mut(0)", "fn get_", false),
        ("now: Instant", "Instant", true),
        ("Instantly", "Instant", false),
        ("my_dbg!(1)", "dbg!", false),
        ("std::net::TcpStream", "std::net", true),
    ] {
        assert_eq!(contains_word(code, word), is_there, "{word} in {code}");
    }
    for (written, debug) in
        [("64 KiB", "65536"), ("65,535", "65535"), ("10 s", "10s"), ("off", "false"), ("0", "0")]
    {
        assert_eq!(printed(written), debug);
    }
}
