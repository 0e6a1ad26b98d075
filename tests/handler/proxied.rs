//! Clients behind a proxy: whose word is taken, and what is done with everybody else's.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use throng::{Config, Forwarded, ProxyProtocol, Request, Response, Shard};

use super::probe::{Hooks, Probe, start, with_shards};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\0\x50";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const CLIENT: &str = "192.0.2.1:12345";

fn whose(_: &mut Shard<'_, Probe>, request: &Request<'_>, _: &[u8]) -> Response {
    let address = request.peer_addr().unwrap();
    Response::text(format!("{address} {}", request.is_secure()))
}

fn hooks() -> Hooks {
    Hooks { request: whose, ..Hooks::default() }
}

fn spoken(proxy_protocol: ProxyProtocol, trusted: &'static str) -> impl Fn(&mut Config) {
    move |config| {
        config.proxy_protocol = proxy_protocol;
        config.trusted_proxies = vec![trusted.parse().unwrap()];
        config.head_timeout = Duration::from_millis(300);
    }
}

fn sent(stream: &mut TcpStream, pieces: &[&[u8]]) -> String {
    // Whoever was refused early has nobody to send the rest to.
    pieces.iter().for_each(|piece| _ = stream.write_all(piece));
    let mut answer = Vec::new();
    // What is not read when the connection is closed resets it.
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_trusted_proxy_names_its_client_at_every_split() {
    with_shards(|shards| {
        let fixture = start(shards, hooks(), spoken(ProxyProtocol::Any, "127.0.0.0/8"));
        for head in [V1, V2] {
            for at in 0..=head.len() {
                let mut stream = fixture.stream();
                let said = sent(&mut stream, &[&head[..at], &head[at..], GET]);
                assert!(said.ends_with(&format!("{CLIENT} false")), "at {at}: {said}");
            }
            // And with what follows it in one piece.
            let said = sent(&mut fixture.stream(), &[&[head, GET].concat()]);
            assert!(said.ends_with(&format!("{CLIENT} false")), "{said}");
        }
        let mut local = fixture.stream();
        let own = local.local_addr().unwrap();
        let said = sent(&mut local, &[LOCAL, GET]);
        assert!(said.ends_with(&format!("{own} false")), "{said}");
        let heads = V1.len() + V2.len() + 5;
        assert_eq!(fixture.stop().counter("proxy_heads"), Some(heads as u64));
    });
}

#[test]
fn a_websocket_is_its_client_s() {
    let fixture = start(1, Hooks::default(), spoken(ProxyProtocol::V2, "127.0.0.1"));
    let mut stream = fixture.stream();
    stream.write_all(V2).unwrap();
    let url = format!("ws://{}/any", fixture.address);
    // The probe's own admission wants a peer on the loopback: one that is none is refused by its panic.
    let refused = tungstenite::client(url.as_str(), stream);
    assert!(refused.is_err());
    assert_eq!(fixture.stop().counter("panics"), Some(1));
}

#[test]
fn shares_are_counted_by_client_and_a_proxy_has_any_number() {
    let spoken = spoken(ProxyProtocol::V1, "127.0.0.1");
    let fixture = start(1, hooks(), move |config| {
        spoken(config);
        config.connections_per_ip_max = 1;
    });
    let keep = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = [0; 12];
    let mut first = fixture.stream();
    first.write_all(&[V1, keep].concat()).unwrap();
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let said = sent(&mut fixture.stream(), &[V1, GET]);
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("Retry-After"), "{said}");
    let other = b"PROXY TCP4 192.0.2.9 198.51.100.2 12345 80\r\n";
    assert!(sent(&mut fixture.stream(), &[other, GET]).starts_with("HTTP/1.1 200 "));
    // It leaves as whom it came in, and its place is free.
    first.shutdown(Shutdown::Write).unwrap();
    assert!(first.read_to_end(&mut Vec::new()).is_ok());
    while sent(&mut fixture.stream(), &[V1, GET]).starts_with("HTTP/1.1 503 ") {}
}

#[test]
fn without_a_right_head_a_trusted_address_gets_nothing() {
    let fixture = start(1, hooks(), spoken(ProxyProtocol::V1, "127.0.0.1"));
    let overlong = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
    for bytes in [GET, V2, overlong.as_slice(), b"PROXY TCP4 1.1.1.1 nonsense 1 2\r\n"] {
        assert_eq!(sent(&mut fixture.stream(), &[bytes]), "");
    }
    // Half a head until the deadline, and one whose peer is gone.
    assert_eq!(sent(&mut fixture.stream(), &[&V1[..20]]), "");
    let mut gone = fixture.stream();
    gone.write_all(&V1[..20]).unwrap();
    gone.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(gone.read(&mut [0; 1]), Ok(0) | Err(_)));
    let metrics = fixture.stop();
    assert_eq!(metrics.counter("bad_proxy_head"), Some(4));
    assert_eq!(metrics.counter("head_timeout"), Some(1));
}

#[test]
fn nobody_else_chooses_his_address() {
    for settings in [spoken(ProxyProtocol::Any, "10.0.0.0/8"), spoken(ProxyProtocol::Off, "127.0.0.1")] {
        let fixture = start(1, hooks(), settings);
        for head in [V1, V2] {
            let said = sent(&mut fixture.stream(), &[head, GET]);
            assert!(said.starts_with("HTTP/1.1 400"), "{said}");
        }
        let fields = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        let mut stream = fixture.stream();
        let own = stream.local_addr().unwrap();
        let said = sent(&mut stream, &[fields]);
        assert!(said.ends_with(&format!("{own} false")), "{said}");
        assert_eq!(fixture.stop().counter("proxy_heads"), Some(0));
    }
}

#[test]
fn one_connection_carries_requests_of_several_clients() {
    let fixture = start(1, hooks(), |config| {
        config.forwarded = Forwarded::XForwardedFor;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    });
    let mut stream = fixture.stream();
    let ask = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let asked = [
        ask("X-Forwarded-For: 1.2.3.4, 192.0.2.1, 10.0.0.9\r\nX-Forwarded-Proto: https\r\n"),
        ask("X-Forwarded-For: 192.0.2.2\r\nForwarded: for=192.0.2.9\r\n"),
        ask("Connection: close\r\n"),
    ];
    let own = stream.local_addr().unwrap();
    let said = sent(&mut stream, &[asked.concat().as_bytes()]);
    let told: Vec<_> = said.lines().filter(|line| line.contains("true") || line.contains("false")).collect();
    assert_eq!(told.len(), 3, "{said}");
    assert!(told[0].starts_with("192.0.2.1:0 true"), "{said}");
    assert!(told[1].starts_with("192.0.2.2:0 false"), "{said}");
    assert!(told[2].starts_with(&format!("{own} false")), "{said}");
    assert_eq!(fixture.stop().counter("forwarded_requests"), Some(2));
}
