//! The laws of the house, read off the sources: who imports whom, what a room may not touch, how long a file is, and
//! (`documents.rs`) that the documented settings, limits, counters and causes are those of the code.

mod documents;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

pub(crate) fn read(path: impl AsRef<Path>) -> String {
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
        let may = ["src/sys/fd_table.rs", "src/sys/source.rs", "src/sys/trim.rs", "src/proto/ws/utf8.rs"]
            .iter()
            .any(|file| path == Path::new(file));
        if contains_word(&code, "unsafe") && !may {
            wrong.push(format!(
                "{}: `unsafe` has four files: sys/fd_table.rs, sys/source.rs, sys/trim.rs, proto/ws/utf8.rs",
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
}
