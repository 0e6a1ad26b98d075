//! What the client tells its user about a run, and that `--help` explains it.

use rustls::version::TLS13;

use crate::support::{bench, echo, messages, relay, send, server};
use crate::tls_front::{Authority, front};

#[test]
fn a_path_that_relays_or_echoes_nothing_is_named_while_the_run_goes_on_and_in_its_report() {
    let table = [
        (echo(), "broadcast", "come back to their publisher: this path echoes"),
        (
            server(|socket| messages(socket, |_, _, _| {})),
            "broadcast",
            "has to relay what one connection sends",
        ),
        (server(|socket| messages(socket, |_, _, _| {})), "echo", "has to send each back"),
    ];
    std::thread::scope(|scope| {
        for (address, mode, words) in table {
            scope.spawn(move || {
                let flags = "-c 2 --duration 4s --warmup 0s --drain 10ms";
                let said = bench(&format!("{mode} ws://{address}/ {flags}"));
                assert_eq!(said.code, Some(1), "{}", said.stdout);
                assert!(
                    said.stderr.contains(words) && said.stderr.lines().count() == 1,
                    "{mode}: {}",
                    said.stderr
                );
                assert!(said.stdout.contains(words), "{mode}: {}", said.stdout);
            });
        }
    });
}

#[test]
fn every_line_of_a_report_is_explained() {
    let relaying = server(|socket| {
        messages(socket, |socket, _, message| {
            if message.to_text().is_ok_and(|text| text.starts_with('E')) {
                send(socket, message);
            }
        });
    });
    let pid = std::process::id();
    let command =
        std::process::Command::new(env!("CARGO_BIN_EXE_bench-client")).arg("--help").output().unwrap();
    let help = String::from_utf8(command.stdout).unwrap();
    let explained: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ")?.get(..15)).collect();
    let authority = Authority::new();
    let secure = front(authority.server(&["localhost"], 2100, &[&TLS13]), echo()).address;
    for flags in [
        format!("echo wss://{secure} --insecure"),
        format!("mixed ws://{relaying} --rate 500 --broadcast-every 50ms --text --drain 10ms"),
        format!("broadcast ws://{} --every 50ms", relay(|_| false)),
        format!("memory ws://{relaying} --server-pid {pid} --text"),
    ] {
        let said = bench(&format!("{flags} -c 4 --duration 200ms"));
        let lines: Vec<_> = said.stdout.lines().skip(2).collect();
        assert!(lines.len() > 5, "{}{}", said.stdout, said.stderr);
        for line in lines {
            let is_explained = |label: &&str| line.trim_start().starts_with(&format!("{} ", label.trim()));
            assert!(explained.iter().any(is_explained), "not explained: {line}");
        }
    }
}
