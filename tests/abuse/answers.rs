//! Requests and what they are answered: every kind of route, with and without an upgrade, by every method.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use throng::{Origins, Response, Server};

use super::peer::{PATIENCE, stop, stream};

const ASKS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const REST: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Routes, files and Socket.IO, for pages of two origins.
fn serve(configure: impl FnOnce(&mut throng::Config)) -> (Server, SocketAddr) {
    let builder =
        Server::builder().bind("127.0.0.1:0").unwrap().files("examples").unwrap().configure(|config| {
            config.shards = 1;
            config.max_connections = 100;
            config.origins = Origins::Only(vec!["https://a.example".to_owned(), "null".to_owned()]);
            configure(config);
        });
    let builder = builder.get("/page", |_| Response::text("a page")).unwrap();
    let builder = builder.post("/form", |visit| Response::text(visit.body().len().to_string())).unwrap();
    let builder = builder.get("/busy", |_| Response::new(503)).unwrap();
    let builder = builder.get("/later", |_| Response::new(503).header("Retry-After", "77")).unwrap();
    let server = builder.socket_io(|io| _ = io.of("/")).start().unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

/// Sends a request and gives the answer's head and content.
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = stream(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{request:?}: {error} behind {head:?}"));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut content = String::new();
    if !head.starts_with("HTTP/1.1 101 ") {
        // One that may be asked again ends when nothing more is to come.
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_string(&mut content).unwrap_or_else(|error| panic!("{request:?}: {error}"));
    }
    (head.trim_end().to_owned(), content)
}

/// A request and the answer's status, with the fields that it must have.
type Row = (String, u16, &'static [&'static str]);

fn plain(target: &str, fields: &str) -> String {
    format!("{target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn rows() -> Vec<Row> {
    let websocket = |target: &str| plain(target, &[ASKS, REST].concat());
    let io = "/socket.io/?EIO=4&transport=polling";
    let io_ws = "/socket.io/?EIO=4&transport=websocket";
    vec![
        (plain("GET /page", ""), 200, &["Content-Length: 6"]),
        (plain("HEAD /page", ""), 200, &["Content-Length: 6"]),
        (plain("OPTIONS /page", ""), 204, &["Allow: GET, HEAD, OPTIONS"]),
        (plain("POST /page", "Content-Length: 0\r\n"), 405, &["Allow: GET, HEAD, OPTIONS"]),
        (plain("BREW /page", ""), 405, &["Allow: GET, HEAD, OPTIONS"]),
        (plain("GET /form", ""), 405, &["Allow: OPTIONS, POST"]),
        (plain("POST /form", "Content-Length: 2\r\n") + "ab", 200, &[]),
        (plain("GET /echo.rs", ""), 200, &["ETag:"]),
        (plain("DELETE /echo.rs", ""), 405, &["Allow: GET, HEAD, OPTIONS"]),
        (plain("GET /nothing", ""), 404, &[]),
        (plain("BREW /nothing", ""), 404, &[]),
        (plain("GET /busy", ""), 503, &["Retry-After: 5"]),
        (plain("GET /later", ""), 503, &["Retry-After: 77"]),
        // An upgrade to something else is none that is done: the request is answered as it stands.
        (plain("GET /page", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200, &["Content-Length: 6"]),
        (plain("GET /page", "Connection: Upgrade\r\n"), 200, &[]),
        (plain("GET /page", "Upgrade: websocket\r\n"), 200, &[]),
        (plain("POST /form", &format!("{ASKS}{REST}Content-Length: 0\r\n")), 405, &["Allow: GET"]),
        (plain("HEAD /page", &[ASKS, REST].concat()), 405, &["Allow: GET"]),
        (plain("OPTIONS /page", &[ASKS, REST].concat()), 405, &["Allow: GET"]),
        (websocket("GET /page"), 404, &[]),
        (websocket("GET /nothing"), 404, &[]),
        (plain("GET /page", ASKS), 426, &["Upgrade: websocket", "Sec-WebSocket-Version: 13"]),
        (plain("GET /page", &format!("{ASKS}Sec-WebSocket-Version: 12\r\n")), 426, &[]),
        (plain("GET /page", &format!("{ASKS}Sec-WebSocket-Version: 13\r\n")), 400, &[]),
        (plain("GET /page", &format!("{ASKS}{REST}Content-Length: 1\r\n")) + "x", 400, &[]),
        // Versions and what is no request.
        ("GET /page HTTP/1.0\r\n\r\n".into(), 200, &["Connection: close"]),
        ("GET /page HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".into(), 400, &[]),
        ("GET /page HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505, &[]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505, &[]),
        ("GET /page HTTP/x\r\nHost: a\r\n\r\n".into(), 400, &[]),
        ("GET /page\r\n\r\n".into(), 400, &[]),
        (plain("G(T /page", ""), 400, &[]),
        ("GET /page HTTP/1.1\r\n\r\n".into(), 400, &[]),
        (plain("CONNECT a:1", ""), 400, &[]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".into(), 400, &[]),
        (plain("POST /form", "Content-Length: 9999999999\r\n"), 413, &[]),
        (plain("POST /form", "Transfer-Encoding: gzip, chunked\r\n"), 501, &[]),
        (plain("GET /page", &format!("X: {}\r\n", "x".repeat(20_000))), 431, &[]),
        // Socket.IO, as the official server answers.
        (plain(&format!("GET {io}"), ""), 200, &[]),
        (plain(&format!("OPTIONS {io}"), ""), 204, &["Access-Control-Allow-Methods: GET,POST"]),
        (plain(&format!("DELETE {io}"), ""), 400, &[]),
        (plain(&format!("POST {io}"), "Content-Length: 0\r\n"), 400, &[]),
        (plain(&format!("GET {io_ws}"), ""), 400, &[]),
        (websocket(&format!("GET {io}")), 400, &[]),
        (websocket(&format!("GET {io_ws}")), 101, &[]),
        (plain(&format!("GET {io_ws}"), "Connection: Upgrade\r\nUpgrade: h2c\r\n"), 400, &[]),
    ]
}

/// Origins as requests name them, and whether they may.
const ORIGINS: [(&str, bool); 9] = [
    ("Origin: https://a.example\r\n", true),
    ("Origin: null\r\n", true),
    ("", true),
    ("Origin: https://b.example\r\n", false),
    ("Origin: http://a.example\r\n", false),
    ("Origin: https://a.example:8443\r\n", false),
    ("Origin: https://a.example.evil\r\n", false),
    ("Origin: https://A.example\r\n", false),
    // The server's own is one like others: it has to be listed.
    ("Origin: http://a\r\n", false),
];

#[test]
fn every_request_has_its_answer() {
    let (server, address) = serve(|_| {});
    let mut wrong = Vec::new();
    let mut check = |request: &str, status: u16, fields: &[&str]| {
        let (head, content) = ask(address, request);
        let is_right = head.starts_with(&format!("HTTP/1.1 {status} "))
            && fields.iter().all(|field| head.split("\r\n").any(|line| line.starts_with(field)))
            && (status != 503 || head.matches("Retry-After").count() == 1)
            && (content.is_empty() || !request.starts_with("HEAD"));
        if !is_right {
            wrong.push(format!(
                "{:?}\n  wants {status} {fields:?}, and has {head:?}",
                &request[..request.len().min(160)]
            ));
        }
    };
    for (request, status, fields) in rows() {
        check(&request, status, fields);
    }
    for (origin, may) in ORIGINS {
        for transport in ["polling", "websocket"] {
            let target = format!("GET /socket.io/?EIO=4&transport={transport}");
            let (fields, right) = match transport {
                "websocket" => ([ASKS, REST, origin].concat(), 101),
                _ => (origin.to_owned(), 200),
            };
            check(&plain(&target, &fields), if may { right } else { 403 }, &[]);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let metrics = stop(server);
    assert_eq!((metrics.counter("panics"), metrics.counter("origin_refused")), (Some(0), Some(6)));
    assert_eq!(metrics.counter("io_origins_refused"), Some(6));
}

/// A client that has ten million bytes more to say when it is refused is told why: it is read until it looks.
#[test]
fn a_refusal_reaches_who_is_still_sending() {
    let (server, address) = serve(|config| {
        config.close_timeout = Duration::from_millis(300);
        config.notsent_lowat = 0;
    });
    for head in [
        "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n",
        "POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n989680\r\n",
    ] {
        let mut stream = stream(address);
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 1_000_000];
        for _ in 0..10 {
            stream.write_all(&piece).expect("it is read to its end");
            // A line that takes 0.9 s for it, which is three times what a closing may take.
            thread::sleep(Duration::from_millis(90));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    }
    // Whoever never ends is cut all the same.
    let mut endless = stream(address);
    endless.write_all(b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n").unwrap();
    let began = Instant::now();
    while endless.write_all(&[b'x'; 1000]).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is read without end");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(began.elapsed() > Duration::from_millis(1700), "{:?}", began.elapsed());
    assert!(stop(server).counter("closes_cut") >= Some(1));
}

/// Sends a body in pieces, with a pause between them, and gives the answer's first line.
fn dribbled(address: SocketAddr, pieces: usize, piece: &[u8], pause: Duration) -> String {
    let mut stream: TcpStream = stream(address);
    let head = format!("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", pieces * piece.len());
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
        thread::sleep(pause);
    }
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

#[test]
fn a_body_has_a_pace() {
    let (server, address) = serve(|config| {
        config.head_timeout = Duration::from_secs(30);
        config.body_rate_min = 1000;
        config.body_rate_grace = Duration::from_millis(200);
    });
    let (began, pause) = (Instant::now(), Duration::from_millis(20));
    // 50 bytes a second, and ten times the pace that is asked for.
    assert_eq!(dribbled(address, 100, b"x", pause), "HTTP/1.1 408");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(dribbled(address, 30, &[b'x'; 1000], pause), "HTTP/1.1 200");
    let metrics = stop(server);
    assert_eq!((metrics.counter("body_too_slow"), metrics.counter("head_timeout")), (Some(1), Some(0)));
}
