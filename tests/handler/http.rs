//! Plain HTTP on the same port: keep-alive, pipelining, bodies, dribbled heads, half-closed clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use throng::Cause;
use tungstenite::Message;

use super::probe::{Fixture, Hooks, rest_of, start, text, with_shards};

/// Reads one response by its `Content-Length`; gives its head and its content.
fn response(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
    let mut content = vec![0; length];
    stream.read_exact(&mut content).unwrap();
    (head, String::from_utf8(content).unwrap())
}

/// Sends a request and reads its response.
fn exchange(stream: &mut TcpStream, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    response(stream)
}

#[test]
fn a_head_request_that_is_refused_gets_no_body() {
    let fixture = start(1, Hooks::default(), |_| {});
    for refused in
        ["HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"]
    {
        let mut stream = fixture.stream();
        stream.write_all(refused.as_bytes()).unwrap();
        let rest = rest_of(&mut stream);
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 4") && !head.contains("Content-Length: 0"), "{head}");
        assert_eq!(body, "");
    }
    fixture.stop();
}

#[test]
fn many_requests_on_one_connection() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut stream = fixture.stream();
        for n in 0..50 {
            let (head, content) = exchange(&mut stream, &format!("GET /{n}?q HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Connection: keep-alive"),
                "{head}"
            );
            assert_eq!(content, format!("GET /{n}?q "));
        }
        let (head, content) =
            exchange(&mut stream, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert!(head.starts_with("HTTP/1.1 200 "));
        assert_eq!(content, "POST /p hello");
        let chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n";
        assert_eq!(exchange(&mut stream, chunked).1, "POST /c hello");

        stream.write_all(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let rest = rest_of(&mut stream);
        let (to_head, to_get) = rest.split_once("\r\n\r\n").unwrap();
        assert!(to_head.contains("Content-Length: 8"), "{to_head}");
        assert!(to_get.starts_with("HTTP/1.1 200 ") && to_get.ends_with("\r\n\r\nGET /last "), "{to_get}");
        fixture.stop();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order_and_a_websocket_may_follow() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut stream = fixture.stream();
        let mut bytes: String = (0..100).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        bytes += "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&super::probe::frame(0x81, b"first"));
        stream.write_all(&bytes).unwrap();
        for n in 0..100 {
            assert_eq!(response(&mut stream).1, format!("GET /{n} "));
        }
        assert_eq!(response(&mut stream).1, "POST / abc");
        assert!(response(&mut stream).0.starts_with("HTTP/1.1 101 "));
        let mut client =
            super::probe::Client::from_raw_socket(stream, tungstenite::protocol::Role::Client, None);
        assert_eq!(text(&mut client), "first");
        client.send(Message::text("second")).unwrap();
        assert_eq!(text(&mut client), "second");
        fixture.stop();
    });
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let fixture = start(1, Hooks::default(), |_| {});
    let mut stream = fixture.stream();
    let requests = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiPOST /c HTTP/1.1\r\n\
        Host: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for byte in requests.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    for content in ["GET /a ", "POST /b hi", "POST /c x"] {
        assert_eq!(response(&mut stream).1, content);
    }
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n").unwrap();
    for byte in
        [b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".to_vec(), super::probe::frame(0x81, b"hello")]
            .concat()
    {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(response(&mut stream).0.starts_with("HTTP/1.1 101 "));
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x05hello");
    fixture.stop();
}

#[test]
fn a_body_is_asked_for_where_the_client_waits_to_be_asked() {
    let fixture = start(1, Hooks::default(), |config| config.body_bytes_max = 100);
    let mut stream = fixture.stream();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ";
    let (asked, _) = exchange(&mut stream, &format!("{head}4\r\n\r\n"));
    assert_eq!(asked, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(exchange(&mut stream, "body").1, "POST / body");
    // With the body right behind, nobody waits.
    assert_eq!(exchange(&mut stream, &format!("{head}4\r\n\r\nbody")).1, "POST / body");
    assert!(exchange(&mut stream, &format!("{head}101\r\n\r\n")).0.starts_with("HTTP/1.1 413 "));
    assert_eq!(rest_of(&mut stream), "");
    assert_eq!(fixture.stop().counter("body_too_large"), Some(1));
}

#[test]
fn a_client_that_has_nothing_more_to_ask_still_gets_its_answers() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        for end in ["", "Connection: close\r\n"] {
            let mut stream = fixture.stream();
            let request =
                format!("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n{end}\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(
                (response(&mut stream).1, response(&mut stream).1),
                ("GET /1 ".into(), "GET /2 ".into())
            );
            assert_eq!(rest_of(&mut stream), "");
        }
        let mut cut = fixture.stream();
        cut.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
        cut.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&mut cut), "");
        assert_eq!(fixture.stop().counter("http_done"), Some(2));
    });
}

#[test]
fn unless_implemented_there_is_nothing() {
    struct Bare;
    impl throng::Handler for Bare {
        type Data = ();
        fn admit(&mut self, _: &throng::Opening<'_, Self>) -> throng::Admission<()> {
            throng::Admission::accept(())
        }
        fn on_message(&mut self, _: &mut throng::Conn<'_, Self>, _: throng::Message<'_>) {}
    }
    let server = throng::Server::builder().bind("127.0.0.1:0").unwrap().serve(|_| Bare).unwrap();
    let mut stream = TcpStream::connect(server.local_addrs()[0]).unwrap();
    assert!(exchange(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").0.starts_with("HTTP/1.1 404 "));
}

/// What is refused, with which status and under which cause. The connection ends; one beside it notices nothing.
#[test]
fn what_is_refused() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    let upgrade = format!("{get}Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let table = [
        ("nonsense\r\n\r\n".to_owned(), 400, Cause::BadHead),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, Cause::BadHead),
        (format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400, Cause::BadHead),
        (format!("{get}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), 400, Cause::BadBody),
        (format!("{get}Transfer-Encoding: gzip\r\n\r\n"), 501, Cause::CodingNotSupported),
        (format!("{get}Content-Length: 1001\r\n\r\n"), 413, Cause::BodyTooLarge),
        (
            format!("{get}Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}", "x".repeat(1001)),
            413,
            Cause::BodyTooLarge,
        ),
        (format!("{get}X: {}\r\n\r\n", "x".repeat(5000)), 431, Cause::HeadTooLarge),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505, Cause::VersionNotSupported),
        (format!("{upgrade}{version}\r\n"), 400, Cause::BadHandshake),
        (format!("{upgrade}{version}Sec-WebSocket-Key: short\r\n\r\n"), 400, Cause::BadHandshake),
        (format!("{upgrade}{key}\r\n"), 426, Cause::UpgradeRequired),
        (format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n\r\n"), 426, Cause::UpgradeRequired),
        (format!("{upgrade}{key}{version}\r\n").replace("GET", "POST"), 405, Cause::MethodNotAllowed),
    ];
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| {
            config.head_bytes_max = 4096;
            config.body_bytes_max = 1000;
        });
        let (mut beside, _) = fixture.client();
        for (request, status, _) in &table {
            let answer = fixture.http(format!("{get}\r\n{request}"));
            let (fine, refused) = answer.split_at(answer.rfind("HTTP/1.1 ").unwrap());
            assert!(fine.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {refused}");
            assert!(refused.contains("Connection: ") && refused.contains("close\r\n"), "{refused}");
            beside.send(Message::text("unharmed")).unwrap();
            assert_eq!(text(&mut beside), "unharmed");
        }
        let metrics = fixture.stop();
        for (request, _, cause) in &table {
            let times = table.iter().filter(|(_, _, other)| other == cause).count() as u64;
            assert_eq!(metrics.counter(cause.name()), Some(times), "{request}");
        }
    });
}

/// Waits for the end of a connection that has sent these pieces, each after its answer.
fn ended(fixture: &Fixture, pieces: &[&str]) -> String {
    let mut stream = fixture.stream();
    for (n, piece) in pieces.iter().enumerate() {
        stream.write_all(piece.as_bytes()).unwrap();
        if n + 1 < pieces.len() {
            response(&mut stream);
        }
    }
    rest_of(&mut stream)
}

#[test]
fn a_head_that_takes_too_long() {
    let fixture = start(1, Hooks::default(), |config| config.head_timeout = Duration::from_millis(80));
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for pieces in [
        &[""][..],
        &["GET / HT"],
        &[get, "GET / HT"],
        &[get, get, "G"],
        &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal"],
    ] {
        let answer = ended(&fixture, pieces);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{pieces:?}: {answer}");
    }
    assert_eq!(fixture.stop().counter("head_timeout"), Some(5));
}

#[test]
fn a_connection_that_falls_silent() {
    let fixture = start(1, Hooks::default(), |config| {
        config.silent_timeout = Duration::from_millis(80);
        config.ping_interval = Duration::ZERO;
    });
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(ended(&fixture, &[get, get, ""]), "");
    let (mut client, id) = fixture.client();
    assert_eq!(client.get_mut().read(&mut [0]).unwrap(), 0);
    drop(client);
    let reason = fixture.closed(id);
    assert_eq!((reason.cause, reason.code), (Cause::SilentTimeout, 1006));
    assert_eq!(fixture.stop().counter("silent_timeout"), Some(2));
}
