//! What cannot work ends with one clear line and the exit code the help promises.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Said, bench, echo, messages, send, server, tcp_server};

pub(crate) fn assert_refused(said: &Said, code: i32, words: &str) {
    assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.is_empty() && said.stderr.lines().count() == 1, "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.starts_with("bench-client: ") && said.stderr.contains(words), "{}", said.stderr);
}

#[test]
fn a_wrong_url_is_a_usage_error() {
    for (url, words) in [("ftp://127.0.0.1/", "ws://"), ("nonsense", "ws://"), ("wss:/127.0.0.1/", "wss://")]
    {
        assert_refused(&bench(&format!("echo {url}")), 2, words);
    }
}

#[test]
fn wrong_flags_are_a_usage_error() {
    for flags in
        ["echo --rate 5 --pipeline 2 ws://127.0.0.1:1/", "fly", "echo --duration 0s ws://127.0.0.1:1/"]
    {
        assert_eq!(bench(flags).code, Some(2), "{flags}");
    }
    assert_refused(&bench(&format!("idle ws://{}/ --server-pid 4194999", echo())), 2, "no process");
}

#[test]
fn a_port_where_nothing_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_refused(&bench(&format!("echo ws://{address}/")), 3, &format!("{address} refuses connections"));
}

#[test]
fn a_server_that_closes_at_once_is_named() {
    let address = tcp_server(drop);
    assert_refused(&bench(&format!("echo ws://{address}/")), 3, "before it answered the handshake");
}

#[test]
fn a_server_of_another_protocol_is_named() {
    let address = tcp_server(|mut stream| drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")));
    assert_refused(&bench(&format!("echo ws://{address}/")), 3, "does not speak HTTP");
    let address = tcp_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        drop(stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nno such room"));
    });
    let words = "404 Not Found; is the URL's path right?; it says: no such room";
    assert_refused(&bench(&format!("echo ws://{address}/x")), 3, words);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let address = tcp_server(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    assert_refused(
        &bench(&format!("echo ws://{address}/ --connect-timeout 200ms")),
        3,
        "does not answer the handshake",
    );
}

#[test]
fn a_server_that_closes_every_connection_after_the_handshake_fails_the_run_and_ends_it() {
    let address = server(|socket| drop(socket.close(None)));
    let said = bench(&format!("echo ws://{address}/ -c 5 --duration 60s"));
    assert_eq!((said.code, said.count("closed_by_server")), (Some(1), 5), "{}", said.stdout);
    assert!(said.stdout.contains("5 connections were ended by the server"), "{}", said.stdout);
}

#[test]
fn connections_that_a_server_refuses_are_counted_with_the_reason() {
    let seats = std::sync::atomic::AtomicU32::new(0);
    let address = tcp_server(move |mut stream| {
        // The probe and three connections are served.
        if seats.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 4 {
            if let Ok(mut socket) = tungstenite::accept(stream) {
                messages(&mut socket, |socket, _, message| send(socket, message));
            }
        } else {
            let _ = stream.read(&mut [0; 4096]);
            drop(stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"));
        }
    });
    let said = bench(&format!("echo ws://{address}/ -c 5 --duration 200ms --warmup 0s"));
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 3, 2), "{}", said.stdout);
    assert!(said.stdout.contains("2 × the server refused the WebSocket handshake: 503"), "{}", said.stdout);
    assert!(said.count("received") > 0, "the others went on");
}

#[test]
fn an_interrupt_ends_the_run_with_its_report() {
    let address = echo();
    let child = Command::new(env!("CARGO_BIN_EXE_bench-client"))
        .args([
            "echo",
            &format!("ws://{address}/"),
            "-c",
            "3",
            "--duration",
            "60s",
            "--warmup",
            "0s",
            "--allow-saturated",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = child;
    // The first progress line that shows traffic is the proof that the run has begun.
    let mut progress = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("/s") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut progress, &mut line).unwrap() > 0, "it ended by itself");
    }
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let began = std::time::Instant::now();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("interrupted") && text.contains("response time"), "{text}");
}

#[test]
fn without_a_url_a_throng_that_does_not_run_is_named() {
    let directory = std::env::temp_dir().join(format!("bench-client-child-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let client = directory.join("bench-client");
    std::fs::copy(env!("CARGO_BIN_EXE_bench-client"), &client).unwrap();
    let throng = directory.join("throng");
    std::fs::write(&throng, "#!/bin/sh\nprintf 'throng 9\\nno room for %s\\n\\n' \"$4\" >&2\nexit 3\n")
        .unwrap();
    std::fs::set_permissions(&throng, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(&client).args(["echo", "--quiet"]).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!(output.status.code(), Some(3), "{line}");
    assert!(
        line.contains("throng ended before it accepted a connection: exit status: 3: no room for 116")
            && line.lines().count() == 1,
        "{line}"
    );
}

/// A server that answers every request with this.
fn answering(answer: &'static str) -> std::net::SocketAddr {
    tcp_server(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        drop(stream.write_all(answer.as_bytes()));
    })
}

#[test]
fn whatever_is_wrong_is_one_line_with_the_fix_and_its_exit_code() {
    let [ok, gone, login, nowhere, old] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 301 Moved Permanently\r\nLocation: https://h/ws\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 426 Upgrade Required\r\n\r\n",
    ]
    .map(|answer| format!("ws://{}/", answering(answer)));
    let plain = echo();
    for (flags, code, what, fix) in [
        ("echo localhost:80".to_owned(), 2, "not a URL", "use ws://HOST:PORT/PATH"),
        ("echo ws://no-such-host.invalid/".into(), 2, "cannot resolve", "no-such-host.invalid"),
        (format!("echo {ok}"), 3, "200 OK", "is this path one's?"),
        (format!("echo {gone}"), 3, "301 Moved Permanently", "it is at https://h/ws: name that"),
        (format!("echo {login}"), 3, "403 Forbidden", "--header, --cookie"),
        (format!("echo {nowhere}"), 3, "404 Not Found", "is the URL's path right?"),
        (format!("echo {old}"), 3, "426 Upgrade Required", "--subprotocol"),
        (format!("echo wss://{plain}/"), 3, "TLS", ""),
        (format!("echo ws://{plain}/ --protocol socketio"), 3, "opens no Engine.IO session", ""),
        (format!("idle ws://{plain}/ --source 127.0.0.1 -c 200k"), 2, "200000", "ip_local_port_range"),
        (format!("idle ws://{plain}/ --source ::1"), 2, "different IP versions", ""),
        (format!("echo ws://{plain}/ --send @/nowhere --match stamp"), 2, "/nowhere", "No such file"),
        (format!("echo ws://{plain}/ --send x --match json:/id"), 2, "neither", "${seq} nor ${stamp}"),
        (
            format!("echo ws://{plain}/ --hgrm /nowhere/at/all --duration 50ms --warmup 0s"),
            2,
            "/nowhere/at",
            "",
        ),
    ] {
        let said = bench(&format!("{flags} --connect-timeout 2s"));
        assert_eq!(said.code, Some(code), "{flags}: {}{}", said.stdout, said.stderr);
        let line = said.stderr.lines().last().unwrap_or_default();
        assert!(
            line.starts_with("bench-client: ") && line.contains(what) && line.contains(fix),
            "{flags}: {}",
            said.stderr
        );
    }
}

#[test]
fn too_few_fds_are_refused_with_the_command_that_gives_more() {
    let command = format!(
        "ulimit -n 150 && exec {} idle ws://127.0.0.1:1/ -c 100k",
        env!("CARGO_BIN_EXE_bench-client")
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(2), 1), "{line}");
    assert!(line.contains("fd table holds 150 here") && line.contains("ulimit -n 1"), "{line}");
}
