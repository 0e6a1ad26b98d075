//! TLS behind a proxy that passes it on: its PROXY head comes before the hello.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, StreamOwned};
use throng::{Config, Forwarded, ProxyProtocol};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

use super::certs::Authority;
use super::client::{any, binary, client, stream, tcp};
use super::server::{counted, start, stop};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb";

fn behind(proxy: &'static str) -> impl Fn(&mut Config) {
    move |config| {
        config.shards = 1;
        config.proxy_protocol = ProxyProtocol::Any;
        config.trusted_proxies = vec![proxy.parse().unwrap()];
        config.head_timeout = Duration::from_millis(500);
    }
}

/// What a proxy says of its client is not what is spoken here: large messages are read a little at a time, and whole records all the same.
#[test]
fn a_proxy_that_says_http_is_read_as_tls() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| {
        behind("127.0.0.1")(config);
        config.proxy_protocol = ProxyProtocol::Off;
        config.forwarded = Forwarded::XForwardedFor;
        config.input_time_per_turn = Duration::from_micros(1);
    });
    let config = any(&authority);
    let mut sockets: Vec<_> = (0..16)
        .map(|_| {
            let mut request = "wss://localhost/plain".into_client_request().unwrap();
            for (name, value) in [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "http")] {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            tungstenite::client(request, stream(address, &config, "localhost")).unwrap().0
        })
        .collect();
    for _ in 0..3 {
        sockets.iter_mut().for_each(|socket| socket.send(binary(100_000)).unwrap());
        sockets.iter_mut().for_each(|socket| assert!(socket.read().unwrap() == binary(100_000)));
    }
    assert_eq!(counted(&stop(server), "forwarded_requests"), 16);
}

/// Says the pieces, the last one with the hello behind it; then, over TLS, asks who it is.
fn asks(address: std::net::SocketAddr, config: &Arc<ClientConfig>, pieces: &[&[u8]]) -> Message {
    let (mut stream, mut client) = (tcp(address), client(config, "localhost"));
    let (last, first) = pieces.split_last().unwrap();
    first.iter().for_each(|piece| stream.write_all(piece).unwrap());
    let mut said = last.to_vec();
    client.write_tls(&mut said).unwrap();
    stream.write_all(&said).unwrap();
    let mut socket = tungstenite::client("wss://localhost/", StreamOwned::new(client, stream)).unwrap().0;
    socket.send(Message::text("who?")).unwrap();
    socket.read().unwrap()
}

#[test]
fn a_proxy_names_its_client_before_the_hello() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), behind("127.0.0.1"));
    let config = any(&authority);
    for head in [V1, V2] {
        for at in [0, 1, 12, 16, head.len() - 1, head.len()] {
            let who = asks(address, &config, &[&head[..at], &head[at..]]);
            assert_eq!(who, Message::text("192.0.2.1:12345"), "cut at {at}");
        }
        assert_eq!(asks(address, &config, &[head]), Message::text("192.0.2.1:12345"));
        assert_eq!(asks(address, &config, &[head, b""]), Message::text("192.0.2.1:12345"));
    }
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "proxy_heads"), counted(&metrics, "tls_failed")), (16, 0));
}

fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // Closed with something unread, it is a reset.
    let _reset = stream.read_to_end(&mut said);
    said
}

#[test]
fn a_proxy_that_says_nothing_of_it_is_not_answered_and_others_are_not_believed() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), behind("127.0.0.1"));
    let mut hello = Vec::new();
    client(&any(&authority), "localhost").write_tls(&mut hello).unwrap();
    let (mut bare, mut half, silent) = (tcp(address), tcp(address), tcp(address));
    bare.write_all(&hello).unwrap();
    half.write_all(&V2[..20]).unwrap();
    for stream in [bare, half, silent] {
        assert_eq!(rest_of(stream), b"", "what is spoken here is not known yet");
    }
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "bad_proxy_head"), counted(&metrics, "tls_handshakes")), (1, 0));

    let (server, address) = start(&authority.tls(&["localhost"]), behind("10.0.0.0/8"));
    let mut liar = tcp(address);
    liar.write_all(V1).unwrap();
    assert!(rest_of(liar).starts_with(b"HTTP/1.1 400 "), "a letter begins a request in the clear");
    let mut liar = tcp(address);
    liar.write_all(V2).unwrap();
    assert!(matches!(rest_of(liar)[..], [21, 3, _, 0, 2, 2, _]), "a fatal alert");
    stop(server);
}
