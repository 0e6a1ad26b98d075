//! How it starts and ends.

use std::net::TcpListener;

use rustix::process::Signal;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::program::{Running, command, command_with_fds, run};

#[test]
fn a_signal_closes_with_1001_and_ends_well() {
    for (signal, name, tables) in [
        (Signal::TERM, "SIGTERM", "shared"),
        (Signal::INT, "SIGINT", "shared"),
        (Signal::TERM, "SIGTERM", "own"),
    ] {
        let server = Running::start(&["--shards", "2", "--fd-tables", tables, "--max-connections", "50"]);
        let mut clients: Vec<_> = (0..9).map(|_| server.client("/")).collect();
        for client in &mut clients {
            client.send(Message::text("one")).unwrap();
            assert_eq!(client.read().unwrap(), Message::text("one"));
        }
        server.signal(signal);
        for client in &mut clients {
            let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame") };
            assert_eq!(frame.code, CloseCode::Away);
            // tungstenite answers the close frame while it reads on to the end.
            while client.read().is_ok() {}
        }
        // The server waits for the ends of its peers' connections, which tungstenite leaves to the drop.
        drop(clients);
        let (code, said) = server.end();
        assert_eq!(code, Some(0), "{said}");
        let lines: Vec<_> = said.lines().collect();
        assert!(lines[0].starts_with(&format!("{name}: stopping")), "{said}");
        assert!(
            lines[1].starts_with("stopped after ")
                && lines[1].contains("9 connections, 9 WebSockets, 9 messages in")
        );
        assert_eq!(lines.len(), 2, "{said}");
    }
}

#[test]
fn a_service_without_certificates_outlives_a_reload() {
    let mut server = Running::start(&[]);
    let _standing = server.client("/");
    server.signal(Signal::HUP);
    let said = server.line();
    assert!(said.contains("no certificates"), "{said}");
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, expected) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // Long enough to fail the test if it were waited for.
        let mut server = Running::start(&["--close-timeout", "10m"]);
        let silent = server.client("/");
        server.signal(signal);
        assert!(server.line().contains("stopping"));
        server.signal(signal);
        assert_eq!(server.end().0, Some(expected));
        drop(silent);
    }
}

#[test]
fn a_load_balancer_has_its_time_and_what_is_cut_is_said() {
    let server = Running::start(&["--drain-delay", "700ms", "--drain-time", "0", "--stop-grace", "1500ms"]);
    let silent = server.client("/");
    server.signal(Signal::TERM);
    while server.ask("GET /readyz", "").0 == 200 {}
    assert_eq!(server.ask("GET /healthz", "").0, 200);
    let mut late = server.client("/");
    let Message::Close(Some(frame)) = late.read().unwrap() else { panic!("no close frame") };
    assert_eq!(frame.code, CloseCode::Away);
    while late.read().is_ok() {}
    drop(late);
    let (code, said) = server.end();
    assert_eq!(code, Some(3), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("SIGTERM: stopping; serving 700ms longer; connections have 1.5s in all"),
        "{said}"
    );
    let cut = "throng: 1 connections were cut at the end of the grace: 0 requests, 0 owed answers, 1 WebSockets, 0 leaving";
    assert_eq!(lines.last(), Some(&cut), "{said}");
    drop(silent);
}

#[test]
fn it_says_what_it_runs_with_and_what_to_try() {
    let arguments =
        ["--bind", "localhost:0", "--bind", "0.0.0.0:0", "--shards", "3", "--max-connections", "2_000"];
    let server = Running::from_command(command(&arguments));
    let said = server.said.join("\n");
    let port = server.address.port();
    for part in [
        env!("CARGO_PKG_VERSION"),
        &format!("http://127.0.0.1:{port}/"),
        "shards       3",
        "at most 2,000",
        "any page may connect; --origin",
        "setting      max_connections = 2000 (--max-connections)",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let listening = said.lines().find(|line| line.contains("listening")).unwrap();
    assert!(
        !listening.contains("0.0.0.0") && listening.matches("http://127.0.0.1:").count() == 2,
        "{listening}"
    );
    let last = server.said.last().unwrap();
    let expected = format!("echo ws://localhost:{port}/ --connections 1000");
    assert!(
        last.starts_with("try: cargo run --release -p bench-client -- ") && last.ends_with(&expected),
        "{last}"
    );

    let arguments = ["--bind", "127.0.0.1:0", "--origin", "https://a.example", "--max-connections", "300"];
    let server = Running::from_command(command_with_fds(200, &arguments));
    let said = server.said.join("\n");
    assert!(said.contains("https://a.example; other pages are answered 403"), "{said}");
    assert!(said.contains("one of 200 fds per shard: more connections are asked for than the"), "{said}");
    assert!(server.said.last().unwrap().ends_with("--connections 300"));
}

#[test]
fn what_the_host_refuses_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (command, expected) in [
        (command(&["--bind", &address]), ["cannot listen on 127.0.0.1:", "stop it, or choose another port"]),
        (command(&["--bind", "192.0.2.1:0"]), ["cannot listen on 192.0.2.1:0", "none of this host's own"]),
        (command_with_fds(40, &["--bind", "127.0.0.1:0"]), ["the fd limit is 40", "ulimit -n 1024"]),
    ] {
        let (code, shown, said) = run(command);
        assert_eq!((code, shown.as_str()), (Some(1), ""), "{said}");
        assert!(said.starts_with("throng: ") && said.lines().count() == 1, "{said}");
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    }
}
