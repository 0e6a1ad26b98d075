//! Connections of which each is opened in its own way: by the rows of a file, in URL, header, cookie, subprotocol and in what
//! Socket.IO joins with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tungstenite::Message;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::refusals::assert_refused;
use crate::support::{assert_clean, bench_with, messages, send, socket_io, tcp_server};

/// A file of values, gone with it.
pub(crate) struct Csv(PathBuf);

impl Csv {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bench-client-{name}-{}.csv", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Csv {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// A server that echoes to whom `admit` lets in by the request, with the subprotocol that was offered.
#[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
fn doorkeeper(admit: impl Fn(&Request) -> bool + Send + Sync + 'static) -> SocketAddr {
    tcp_server(move |stream| {
        let check = |request: &Request, mut response: Response| {
            if !admit(request) {
                let mut refusal = ErrorResponse::new(Some("no such user".into()));
                *refusal.status_mut() = tungstenite::http::StatusCode::UNAUTHORIZED;
                return Err(refusal);
            }
            if let Some(offered) = request.headers().get("Sec-WebSocket-Protocol") {
                response.headers_mut().insert("Sec-WebSocket-Protocol", offered.clone());
            }
            Ok(response)
        };
        if let Ok(mut socket) = tungstenite::accept_hdr(stream, check) {
            messages(&mut socket, |socket, _, message| send(socket, message));
        }
    })
}

#[test]
fn each_connection_is_opened_with_its_row_in_url_header_cookie_and_subprotocol() {
    let csv = Csv::new("rows", "user,token\nann,t1\nbob,t2\ncid,t3\n");
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let address = doorkeeper({
        let seen = Arc::clone(&seen);
        move |request| {
            let field = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            seen.lock().unwrap().push(format!(
                "{} {} {} {}",
                request.uri(),
                field("X-Token"),
                field("Cookie"),
                field("Sec-WebSocket-Protocol")
            ));
            true
        }
    });
    let url = format!("ws://{address}/of/${{csv.user}}?n=${{conn}}");
    let said = bench_with(
        "echo -c 4 --rate 100 --duration 200ms --warmup 0s",
        &[
            &url,
            "--csv",
            csv.path(),
            "--header",
            "X-Token: ${csv.token}",
            "--cookie",
            "a=1",
            "--cookie",
            "user=${csv.user}",
            "--subprotocol",
            "p-${csv.token}",
        ],
    );
    assert_clean(&said);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let row = |n, user: &str, token: &str| format!("/of/{user}?n={n} {token} a=1; user={user} p-{token}");
    // The first one is there twice: a probe goes before the others.
    let rows = [
        row(0, "ann", "t1"),
        row(0, "ann", "t1"),
        row(3, "ann", "t1"),
        row(1, "bob", "t2"),
        row(2, "cid", "t3"),
    ];
    assert_eq!(*seen, rows);
}

#[test]
fn whose_row_a_server_refuses_is_counted_with_the_status() {
    let csv = Csv::new("refused", "token\ngood\ngood\nbad\n");
    let address = doorkeeper(|request| request.uri().query() != Some("token=bad"));
    let url = format!("ws://{address}/?token=${{csv.token}}");
    let said = bench_with("echo -c 6 --rate 100 --duration 200ms --warmup 0s", &[&url, "--csv", csv.path()]);
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 4, 2), "{}", said.stdout);
    assert!(said.stdout.contains("2 × the server refused the WebSocket handshake: 401"), "{}", said.stdout);
}

#[test]
fn socket_io_joins_with_the_token_in_the_namespace_and_by_the_events_of_its_row() {
    let csv = Csv::new("auth", "token,event\nt0,e0\nt1,e1\nt2,e2\n");
    let joined: Arc<Mutex<Vec<String>>> = Arc::default();
    let address = socket_io("/room,", {
        let joined = Arc::clone(&joined);
        move |socket, _, text| {
            joined.lock().unwrap().push(text.split('"').nth(1).unwrap().to_owned());
            send(socket, Message::text(text));
        }
    });
    let url = format!("ws://{address}/");
    let said = bench_with(
        "echo --protocol socketio --namespace /room -c 3 --rate 60 --duration 500ms --warmup 0s",
        &[&url, "--csv", csv.path(), "--auth", r#"{"token":"${csv.token}"}"#, "--event", "${csv.event}"],
    );
    assert_clean(&said);
    let mut events = joined.lock().unwrap().clone();
    events.sort();
    events.dedup();
    assert_eq!((events, said.count("received")), (vec!["e0".into(), "e1".into(), "e2".into()], 30));
}

#[test]
fn a_server_lets_in_whose_token_is_right_and_says_why_not_the_others() {
    let csv = Csv::new("tokens", "token\nt0\nt1\nwrong\n");
    let address = crate::support::server(|socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#));
        messages(socket, |socket, _, message| {
            let text = message.to_text().unwrap().to_owned();
            match text.strip_prefix("40/x,") {
                Some(r#"{"token":"wrong"}"#) => {
                    send(socket, Message::text(r#"44/x,{"message":"no such token"}"#));
                }
                Some(auth) => {
                    assert!(auth.starts_with(r#"{"token":"t"#), "{auth}");
                    send(socket, Message::text(r#"40/x,{"sid":"t"}"#));
                }
                None => send(socket, Message::text(text)),
            }
        });
    });
    let url = format!("ws://{address}/");
    let words = [&url, "--csv", csv.path(), "--auth", r#"{"token":"${csv.token}"}"#];
    let said = bench_with(
        "echo --protocol socketio --namespace /x -c 3 --rate 60 --duration 500ms --warmup 0s",
        &words,
    );
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 2, 1), "{}", said.stdout);
    let words = "1 × the server refused the namespace /x (connect_error): no such token";
    assert!(said.stdout.contains(words), "{}", said.stdout);
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line_and_what_would_be_right() {
    let url = "ws://127.0.0.1:1/";
    for (text, words, place, fix) in [
        ("a,b\n1,2\n3\n", &["--header", "X: ${csv.a}"][..], ":3: ", "names 2 columns (a, b)"),
        ("a\n1\n", &["--header", "X: ${csv.b}"], "has no column `b`", "its columns are a"),
        ("", &[], ":1: ", "no rows"),
        ("a\nx\"\n", &[], ":2: ", "put the whole value in quotes"),
        ("a\n{\n", &["--protocol", "socketio", "--auth", "${csv.a}"], ":2: ", "--auth is not JSON"),
    ] {
        let csv = Csv::new("wrong", text);
        let said = bench_with(&format!("idle {url} -c 3 --csv {}", csv.path()), words);
        assert_refused(&said, 2, place);
        assert!(said.stderr.contains(fix), "{}", said.stderr);
    }
    assert_refused(
        &bench_with(&format!("idle {url} --csv /nowhere/at.csv"), &[]),
        2,
        "/nowhere/at.csv: No such file",
    );
    assert_refused(&bench_with("idle ws://127.0.0.1:1/${csv.a}", &[]), 2, "needs --csv FILE");
}

#[test]
fn sessions_that_poll_or_are_upgraded_have_their_rows_in_every_request() {
    let csv = Csv::new("polled", "user\nann\nbob\n");
    let url = format!("ws://{}/?u=${{csv.user}}", crate::support::throng(None));
    for transport in ["polling", "upgrade"] {
        let flags = format!(
            "echo --protocol socketio --transport {transport} --namespace / --ack -c 4 --rate 100 --duration 300ms --warmup 0s"
        );
        let words = [
            &url,
            "--csv",
            csv.path(),
            "--header",
            "X-User: ${csv.user}",
            "--auth",
            r#"{"u":"${csv.user}"}"#,
        ];
        let said = bench_with(&flags, &words);
        assert_clean(&said);
        assert_eq!(said.count("received"), 30, "{}", said.stdout);
    }
}

/// A server that lets in who says hello with its token, after a greeting, and then echoes.
fn by_hello() -> SocketAddr {
    crate::support::server(|socket| {
        send(socket, Message::text("welcome"));
        messages(socket, |socket, number, message| {
            let text = message.to_text().unwrap_or_default().to_owned();
            match (number, text.strip_prefix("hello t")) {
                (1, Some(token)) => {
                    send(socket, Message::text("one moment"));
                    send(socket, Message::text(format!(r#"{{"ok":"t{token}"}}"#)));
                }
                (1, None) => send(socket, Message::text("who are you?")),
                _ => send(socket, message),
            }
        });
    })
}

#[test]
fn a_script_runs_on_each_connection_before_it_is_open() {
    let csv = Csv::new("hello", "token\nt0\nt1\n");
    let script = Csv::new(
        "script",
        "# who we are\nexpect welcome within 5s\n\nsend hello ${csv.token}\nexpect json:/ok\nwait 30ms\n",
    );
    let flags = format!("echo ws://{}/ -c 4 --rate 100 --duration 200ms --warmup 0s", by_hello());
    let words = ["--csv", csv.path(), "--on-open", script.path()];
    let said = bench_with(&flags, &words);
    assert_clean(&said);
    assert_eq!((said.count("received"), said.count("foreign")), (20, 0), "{}", said.stdout);
    assert!(
        said.figure("/connect/times/p50") >= 30_000.0,
        "the script belongs to the connecting: {}",
        said.stdout
    );
}

#[test]
fn who_does_not_hear_what_it_expects_is_not_opened_and_it_says_what_came() {
    let csv = Csv::new("nothing", "token\nt0\nx1\n");
    let flags = format!(
        "echo ws://{}/ -c 4 --rate 100 --duration 200ms --warmup 0s --connect-timeout 50ms",
        by_hello()
    );
    let script = "expect prefix:wel\nsend hello ${csv.token}\nexpect json:/ok within 300ms";
    let said = bench_with(&flags, &["--csv", csv.path(), "--on-open", script]);
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 2, 2), "{}", said.stdout);
    let words = "the server did not send what was expected at --on-open:3: expect json:/ok within 300ms; the first that came \
                 instead was ";
    assert!(said.stdout.contains(words), "{}", said.stdout);
}

#[test]
fn in_socket_io_a_script_emits_and_expects_events() {
    let address = socket_io("/x,", |socket, number, text| {
        if number == 1 {
            assert_eq!(text, r#"42/x,["login",{"n":"1"},[2]]"#);
            send(socket, Message::text(r#"42/x,["busy"]"#));
            send(socket, Message::text("2"));
            send(socket, Message::text(r#"42/x,["ready",{"ok":7}]"#));
        } else if text != "3" {
            send(socket, Message::text(text));
        }
    });
    let script = "emit login {\"n\":\"1\"},[2]\nexpect json:/1/ok=7";
    let flags = format!(
        "echo ws://{address}/ --protocol socketio --namespace /x -c 2 --rate 40 --duration 300ms --warmup 0s"
    );
    let said = bench_with(&flags, &["--on-open", script]);
    assert_clean(&said);
    assert_eq!(said.count("received"), 12, "{}", said.stdout);
    assert_refused(
        &bench_with(&flags, &["--on-open", "send x"]),
        2,
        "--on-open:1: in Socket.IO events are sent: emit EVENT JSON",
    );
    assert_refused(
        &bench_with("idle ws://127.0.0.1:1/", &["--on-open", "/nowhere"]),
        2,
        "/nowhere: No such file",
    );
}
