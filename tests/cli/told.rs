//! What it is told: flags, environment, file.

use std::path::PathBuf;
use std::process::Command;

use crate::program::{command, command_with_fds, run};

/// A file with this text, named after its test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_is_wrong_is_one_line_that_names_what_would_be_right() {
    let unknown = file("unknown.toml", "mesage_bytes_max = \"1 MiB\"\n");
    let wrong = file("wrong.toml", "ping_interval = 30\n");
    let broken = file("broken.toml", "shards = 1\nshards = 2\n");
    let with = |name: &str, value: &str| {
        let mut command = command(&[]);
        command.env(name, value);
        command
    };
    let from = |path: &PathBuf| command(&["--config", path.to_str().unwrap()]);
    let table: [(Command, &[&str]); 17] = [
        (command(&["--mesage-bytes-max", "1"]), &["--mesage-bytes-max is no flag", "--message-bytes-max"]),
        (
            command(&["--message-bytes-max", "1 XB"]),
            &["--message-bytes-max is 1 XB; it must be a size", "64 KiB"],
        ),
        (
            command(&["--outbox-bytes-high", "9M"]),
            &["--outbox-bytes-high is 9437184", "at most outbox_bytes_max, which is 2097152"],
        ),
        (
            command(&["--bind", "localhost"]),
            &["--bind is localhost; it must be an address and a port", "localhost:3000"],
        ),
        (command(&["--origin", "https://a.example/"]), &["--origin is https://a.example/", "without a path"]),
        (
            command(&["check-config", "--io-client-dir", "/nowhere"]),
            &["--io-client-dir is /nowhere; it must be a directory that has socket.io.js"],
        ),
        (
            command(&["--io-connect-timeout", "0"]),
            &["--io-connect-timeout is 0ns; it must be a time from 1ms to a day"],
        ),
        (
            command(&["--head-timeout", "5"]),
            &["--head-timeout is 5; it must be a time with its unit", "2m\n"],
        ),
        (
            command(&["--drain-time", "5"]),
            &["--drain-time is 5; it must be a time with its unit", "2m, or 0\n"],
        ),
        (command(&["serve"]), &["serve"]),
        (with("THRONG_SHARDS", "many"), &["THRONG_SHARDS is many; it must be a whole number"]),
        (with("THRONG_CLOSE_TIMEOUT", "0"), &["THRONG_CLOSE_TIMEOUT is 0ns; it must be a time from 1ms"]),
        (with("THRONG_LOG", "a=b=c"), &["THRONG_LOG is a=b=c; it must be a level"]),
        (from(&unknown), &["unknown.toml: mesage_bytes_max is no setting", "message_bytes_max"]),
        (from(&wrong), &["wrong.toml: ping_interval is 30; it must be a time with its unit", "30s"]),
        (from(&broken), &["broken.toml: line 2 is not TOML", "duplicate"]),
        (with("THRONG_CONFIG", "/nowhere/throng.toml"), &["cannot read the file /nowhere/throng.toml"]),
    ];
    for (command, expected) in table {
        let (code, shown, said) = run(command);
        assert_eq!((code, shown.as_str()), (Some(2), ""), "{said}");
        assert!(said.starts_with("throng: ") && said.lines().count() == 1, "{said}");
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn a_flag_beats_a_variable_and_that_the_file() {
    let text = "shards = 5\nping_interval = \"9s\"\nclose_timeout = \"8s\"\norigins = [\"https://a.example\", \"null\"]\n";
    let path = file("precedence.toml", text);
    let mut told = command(&["check-config", "--shards", "7"]);
    told.env("THRONG_CONFIG", &path)
        .env("THRONG_SHARDS", "6")
        .env("THRONG_PING_INTERVAL", "10s")
        .env("THRONG_IO_SESSIONS_MAX", "20k")
        .env("THRONG_PIN", "");
    let (code, shown, said) = run(told);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{shown}");
    let in_file = path.display().to_string();
    for (setting, source) in [
        ("shards = 7 ", "--shards"),
        ("ping_interval = \"10s\" ", "THRONG_PING_INTERVAL"),
        ("close_timeout = \"8s\" ", &in_file),
        ("origins = [\"https://a.example\", \"null\"] ", &in_file),
        ("pin = false ", "default"),
        ("io_sessions_max = 20000 ", "THRONG_IO_SESSIONS_MAX"),
        ("io_sessions_per_ip_max = 0 ", "default"),
        ("io_connect_timeout = \"45s\" ", "default"),
        ("message_bytes_max = \"1 MiB\" ", "default"),
    ] {
        let line = shown
            .lines()
            .find(|line| line.starts_with(setting))
            .unwrap_or_else(|| panic!("{setting}: {shown}"));
        assert!(line.ends_with(&format!("# {source}")), "{line}");
    }
    assert!(shown.contains("# shards: 7; "), "{shown}");

    // What it prints is a file that says the same.
    let printed = file("printed.toml", &shown);
    let (code, again, _) = run(command(&["check-config", "--config", printed.to_str().unwrap()]));
    let values = |text: &str| {
        text.lines().map(|line| line.split(" #").next().unwrap().trim_end().to_owned()).collect::<Vec<_>>()
    };
    let settings =
        |text: &str| values(text).into_iter().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    assert_eq!((code, settings(&again)), (Some(0), settings(&shown)));
}

#[test]
fn check_config_says_what_would_not_start() {
    let shared = ["check-config", "--max-connections", "500", "--fd-tables", "shared"];
    let few = ["check-config", "--max-connections", "5000", "--shards", "2"];
    for (command, expected) in [
        (command_with_fds(200, &shared), "--max-connections is 500; it must be at most"),
        (command_with_fds(200, &few), "2 tables of"),
        (command_with_fds(40, &["check-config"]), "the fd limit is 40"),
        (command_with_fds(100, &["check-config", "--shards", "30"]), "to serve with on 30 shards"),
        (
            command_with_fds(300, &["check-config", "--shards", "60", "--fd-tables", "own"]),
            "the fd limit is 300",
        ),
    ] {
        let (code, _, said) = run(command);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.starts_with("throng: ") && said.contains(expected) && said.lines().count() == 1,
            "{said}"
        );
    }
    let (code, shown, _) = run(command_with_fds(200, &["check-config", "--max-connections", "500"]));
    assert_eq!(code, Some(0));
    assert!(
        shown.contains("max_connections = 500") && shown.contains("# fd tables: one of 200 fds per shard"),
        "{shown}"
    );
}

#[test]
fn help_and_version_go_to_stdout() {
    for (flag, part) in [("--help", "--message-bytes-max <SIZE>"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let (code, shown, said) = run(command(&[flag]));
        assert_eq!((code, said.as_str()), (Some(0), ""));
        assert!(shown.contains(part), "{shown}");
    }
}
