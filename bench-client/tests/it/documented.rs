//! The fields of the JSON report are those that docs/BENCH-CLIENT.md explains, no more and no fewer.

use std::collections::BTreeSet;
use std::fs;

use rustls::version::TLS13;
use serde_json::Value;

use crate::house::throng;
use crate::remote::Worker;
use crate::support::{bench, echo, relay, server};
use crate::tls_front::{Authority, front};

/// Objects whose keys are not fields but names of things: they stand as `*`.
const MAPS: [&str; 3] = ["errors", "tls.spoken", "distributions"];

/// Every path that leads to something that is no object: `[]` is any element of a list.
fn paths(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if MAPS.contains(&path) { "*" } else { name };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                paths(value, &path, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| paths(item, &format!("{path}[]"), into));
        }
        _ => _ = into.insert(path.to_owned()),
    }
}

/// The first column of the section's table.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/BENCH-CLIENT.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("The JSON report\n")).unwrap();
    let fields = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    // `response.*` of the table stands for the fields of times, which are explained once.
    let times: Vec<_> = fields.clone().filter_map(|(name, _)| name.strip_prefix("TIMES.")).collect();
    let spread: Vec<_> = fields.clone().filter_map(|(name, _)| name.strip_prefix("SPREAD.")).collect();
    let mut all = BTreeSet::new();
    for (name, rest) in fields.filter(|(name, _)| !name.contains("TIMES.") && !name.contains("SPREAD.")) {
        let expand = |of: &[&str], all: &mut BTreeSet<String>| {
            all.extend(of.iter().map(|field| format!("{name}.{field}")));
        };
        match rest.split('|').nth(1).map(str::trim) {
            Some("TIMES") => expand(&times, &mut all),
            Some("SPREAD") => expand(&spread, &mut all),
            _ => _ = all.insert(name.to_owned()),
        }
    }
    all
}

#[test]
fn every_field_of_the_json_report_is_documented_and_every_documented_one_is_written() {
    let pid = std::process::id();
    let authority = Authority::new();
    let secure = front(authority.server(&["localhost"], 2100, &[&TLS13]), echo()).address;
    let worker = Worker::start();
    let closing = server(|socket| drop(socket.close(None)));
    let mut written = BTreeSet::new();
    for flags in [
        format!("echo wss://{secure} --insecure --rate 500"),
        format!("broadcast ws://{} --every 50ms --server-pid {pid}", relay(|_| false)),
        format!("memory ws://{} --server-pid {pid}", echo()),
        format!("connect ws://{} --connect-rate 100", echo()),
        format!("slow ws://{} --broadcast-every 20ms --slow 50% --slow-rate 64KiB", relay(|_| false)),
        format!("soak ws://{} --duration 2s --server-pid {pid}", echo()),
        format!("reconnect ws://{} --after 50ms --backoff 20ms", echo()),
        format!("echo ws://{closing}"),
        format!("echo ws://{} --deflate", throng()),
        format!("echo ws://{} --workers {}", echo(), worker.address),
    ] {
        let duration = if flags.contains("--duration") { "" } else { "--duration 400ms" };
        let said = bench(&format!("{flags} -c 4 {duration} --warmup 0s --interval 100ms"));
        assert_eq!(said.report["schema"], "throng-bench/1", "{flags}: {}{}", said.stdout, said.stderr);
        paths(&said.report, "", &mut written);
    }
    // What may be missing is written as null, and its fields where it is there.
    let documented = documented();
    // A list that has nothing in it is its own path.
    let begins = |other: &String, path: &str| {
        other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.') || rest.starts_with("[]"))
    };
    let is_parent = |path: &String| documented.iter().any(|other| begins(other, path));
    let extra: Vec<_> = written.difference(&documented).filter(|path| !is_parent(path)).collect();
    let stale: Vec<_> = documented.difference(&written).collect();
    assert!(extra.is_empty(), "not documented: {extra:#?}");
    assert!(stale.is_empty(), "documented and not written: {stale:#?}");
}
