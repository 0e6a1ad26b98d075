//! Handshakes: which certificate, which protocol, taken up again; and those that come to nothing.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use throng::Tls;

use super::certs::Authority;
use super::client::{self, VERSIONS, any, config, get, stream};
use super::server::{counted, start, stop};

/// The certificate that a client of this name is shown.
fn shown(address: std::net::SocketAddr, authority: &Authority, name: &str) -> Result<Vec<u8>, String> {
    let mut stream = stream(address, &any(authority), name);
    stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
    Ok(stream.conn.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn each_host_is_shown_its_own_certificate() {
    let authority = Authority::new();
    let [first, second, third] =
        [&["a.example"][..], &["b.example", "*.b.example"], &["b.example", "x.b.example"]]
            .map(|names| authority.issue(names));
    let tls = Tls::from_pem(first.cert, first.key).unwrap();
    let tls = tls.and_pem(second.cert, second.key).unwrap().and_pem(third.cert, third.key).unwrap();
    let (server, address) = start(&tls, |config| config.shards = 1);
    let [a, b, any_b, x] = ["a.example", "B.example", "any.b.example", "x.b.example"]
        .map(|name| shown(address, &authority, name).unwrap());
    assert!(a != b && b == any_b, "by its name in any case, and by the wildcard");
    assert!(x != b, "exactly before by a wildcard");
    // Others are shown the first, which is not theirs.
    for name in ["c.example", "deep.down.b.example"] {
        assert!(shown(address, &authority, name).unwrap_err().contains("not valid for name"));
    }
    stop(server);
    let authority = Authority::new();
    let nameless = authority.issue(&[]);
    let said = authority.tls(&["a.example"]).and_pem(nameless.cert, nameless.key).unwrap_err().to_string();
    assert!(said.contains("names no host"), "{said}");
}

#[test]
fn what_is_no_certificate_or_not_its_key_is_said() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["a"]), authority.issue(&["b"]));
    for (cert, key, expected) in [
        ("", one.key.as_str(), "no certificate"),
        (one.cert.as_str(), "", "cannot use the key"),
        (&one.cert, &other.key, "KeyMismatch"),
        (
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            &one.key,
            "cannot use the certificate",
        ),
    ] {
        let said = Tls::from_pem(cert, key).unwrap_err().to_string();
        assert!(said.contains(expected) && !said.contains('\n'), "{said}");
    }
    let said = Tls::from_files("/nowhere.pem", "/nowhere.key").unwrap_err().to_string();
    assert!(said.starts_with("cannot read /nowhere.pem"), "{said}");
    let said = Tls::from_files("/dev/zero", "/dev/zero").unwrap_err().to_string();
    assert!(said.contains("no regular file"), "{said}");
}

#[test]
fn protocols_are_agreed_upon_or_the_handshake_fails() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    for (offered, agreed) in [(&["h2", "http/1.1"][..], true), (&["h2"], false)] {
        for version in VERSIONS {
            let mut config = config(&authority, &[version]);
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut stream = stream(address, &Arc::new(config), "localhost");
            let done = stream.conn.complete_io(&mut stream.sock);
            if agreed {
                done.unwrap();
                assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            } else {
                // RFC 7301 §3.2
                let said = done.unwrap_err().to_string();
                assert!(said.contains("NoApplicationProtocol"), "{said}");
            }
        }
    }
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_failed")), (2, 2));
}

#[test]
fn a_client_that_comes_back_resumes_on_any_shard_and_over_a_reload() {
    let authority = Authority::new();
    let tls = authority.tls(&["localhost"]);
    let (server, address) = start(&tls, |config| config.shards = 2);
    for version in VERSIONS {
        let config = Arc::new(config(&authority, &[version]));
        for round in 0..6 {
            let mut stream = stream(address, &config, "localhost");
            assert!(get(&mut stream, "/").ends_with("https"));
            let expected = if round == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(stream.conn.handshake_kind(), Some(expected), "{version:?}");
            if round == 3 {
                tls.reload().unwrap();
            }
        }
    }
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_resumed")), (12, 10));
    assert_eq!(counted(&metrics, "tls_reloads"), 2);
}

#[test]
fn half_a_hello_is_awaited_until_its_time_is_over() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| {
        config.shards = 1;
        config.head_timeout = Duration::from_millis(400);
    });
    let mut hello = Vec::new();
    client::client(&any(&authority), "localhost").write_tls(&mut hello).unwrap();
    for sent in [0, 1, 5, hello.len() - 1, hello.len()] {
        let (mut tcp, since) = (client::tcp(address), Instant::now());
        tcp.write_all(&hello[..sent]).unwrap();
        let mut said = Vec::new();
        tcp.read_to_end(&mut said).unwrap();
        assert!(since.elapsed() >= Duration::from_millis(390));
        // A fatal alert, internal_error; or behind the server's own part of the handshake.
        assert!(said.ends_with(&[21, 3, 3, 0, 2, 2, 80]), "{sent}: {said:?}");
        assert_eq!(said.len() == 7, sent < hello.len());
    }
    assert_eq!(counted(&stop(server), "head_timeout"), 5);
}

#[test]
fn who_speaks_no_tls_is_told_so() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let answer = get(&mut client::tcp(address), "/");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let mut garbage = client::tcp(address);
    garbage.write_all(&[0; 3000]).unwrap();
    let mut said = Vec::new();
    garbage.read_to_end(&mut said).unwrap();
    assert!(matches!(said[..], [21, 3, _, 0, 2, 2, _]), "a fatal alert and the end: {said:?}");
    // Behind the handshake: a record that is none of this session's.
    let mut broken = client::socket(address, &any(&authority), "localhost");
    broken.get_mut().sock.write_all(&[&[23, 3, 3, 0, 40][..], &[7; 40]].concat()).unwrap();
    let said = broken.read().unwrap_err().to_string();
    assert!(said.contains("BadRecordMac"), "{said}");
    drop(broken);
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "plain_http"), counted(&metrics, "tls_failed")), (1, 2));
}

#[test]
fn a_full_server_says_so_as_well_as_tls_can() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| {
        config.shards = 1;
        config.max_connections = 1;
    });
    let held = client::socket(address, &any(&authority), "localhost");
    let mut turned_away = stream(address, &any(&authority), "localhost");
    let said = turned_away.conn.complete_io(&mut turned_away.sock).unwrap_err().to_string();
    assert!(said.contains("InternalError"), "{said}");
    drop(held);
    stop(server);
}
