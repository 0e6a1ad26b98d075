//! The client over TLS: against servers with good certificates and with bad ones, and against those that speak none.

use std::io::{Read, Write};

use rustls::version::{TLS12, TLS13};

use crate::refusals::assert_refused;
use crate::support::{assert_clean, bench, echo, relay, server, tcp_server, throng};
use crate::tls_front::{Authority, Front, front};

/// An echo behind TLS for `localhost`, and its authority.
fn secure_echo() -> (Authority, Front) {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], 2100, &[&TLS13, &TLS12]);
    (authority, front(config, echo()))
}

/// The flags to reach a front at and to trust its authority with.
fn trusting(authority: &Authority, front: &Front) -> String {
    format!("wss://localhost:{}/ --ca {}", front.address.port(), authority.file().display())
}

#[test]
fn an_honest_echo_is_reported_as_one_in_every_form() {
    let (authority, front) = secure_echo();
    let to = trusting(&authority, &front);
    for flags in [
        "-c 1",
        "-c 7 --text",
        "-c 7 --size 126 --pipeline 8",
        "-c 3 --size 70000 --pipeline 3",
        "-c 2 --size 1MiB --pipeline 2 --drain 20s",
        "-c 7 --rate 2000 --size 16384",
    ] {
        let said = bench(&format!("echo {to} --threads 2 --duration 300ms --warmup 50ms {flags}"));
        assert_clean(&said);
        assert_eq!(said.count("sent"), said.count("received"), "{flags}");
        assert!(said.count("received") > 0, "{flags}: {}", said.stdout);
        assert_eq!((said.count("handshakes"), said.count("resumed")), (said.count("opened"), 0), "{flags}");
        let handshake = said.figure("/tls/times/p50");
        assert!(handshake > 100.0 && handshake < said.figure("/connect/times/max"), "{}", said.stdout);
        assert!(
            said.stdout.contains("0 of them resumed, TLS 1.3 TLS13_AES_256_GCM_SHA384"),
            "{}",
            said.stdout
        );
    }
    let asked = front.asked.lock().unwrap();
    assert!(!asked.is_empty());
    for (name, protocol) in asked.iter() {
        assert_eq!((name.as_deref(), protocol.as_deref()), (Some("localhost"), Some(&b"http/1.1"[..])));
    }
}

#[test]
fn a_hundred_connections_are_made_at_the_rate_that_was_asked_for() {
    let (authority, front) = secure_echo();
    let to = trusting(&authority, &front);
    let said = bench(&format!("echo {to} -c 100 --connect-rate 200 --duration 300ms --warmup 0s"));
    assert_clean(&said);
    assert_eq!((said.count("opened"), said.count("handshakes")), (100, 100));
    assert!(said.figure("/connect/seconds") > 0.45, "{}", said.stdout);
}

#[test]
fn every_mode_and_transport_goes_over_tls() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], 2100, &[&TLS13, &TLS12]);
    let ca = authority.file().display();
    let relaying = front(config, relay(|_| false)).address.port();
    let said =
        bench(&format!("broadcast wss://localhost:{relaying}/ --ca {ca} -c 5 --every 20ms --duration 300ms"));
    assert_clean(&said);
    assert!(said.count("delivered") >= 5 * 15, "{}", said.stdout);
    let throng = throng(Some(authority.pem())).port();
    let pid = std::process::id();
    for (mode, flags) in [
        ("idle", ""),
        ("echo", "--ack"),
        ("echo", "--ack --binary --size 200 --pipeline 4"),
        ("echo", "--ack --size 60000 --rate 100"),
        ("broadcast", "--event all --every 50ms"),
        ("mixed", "--ack --rate 200 --publish-event all --broadcast-every 50ms"),
        ("memory", &format!("--ack --rate 200 --server-pid {pid}")),
    ] {
        for (transport, connections) in [("websocket", 1), ("upgrade", 1), ("polling", 2)] {
            let said = bench(&format!(
                "{mode} https://localhost:{throng} --ca {ca} --protocol socketio --transport {transport} -c 4 \
                 --duration 200ms --warmup 0s {flags}"
            ));
            assert_clean(&said);
            let opened = said.count("opened");
            // A session that polls opens the connection of its POSTs with the first of them: that of its namespace.
            assert_eq!(said.count("handshakes"), connections * opened, "{mode} {transport}: {}", said.stdout);
        }
    }
}

#[test]
fn sessions_are_resumed_when_that_is_asked_for() {
    let authority = Authority::new();
    for version in [&TLS13, &TLS12] {
        let front = front(authority.server(&["localhost"], 2100, &[version]), echo());
        let to = trusting(&authority, &front);
        for (flags, resumed) in [("", 0), ("--resume", 20)] {
            // The first brings the tickets for all that follow: the connection with which the run asks for its server.
            let said =
                bench(&format!("echo {to} -c 20 --connect-inflight 1 --threads 1 --duration 100ms {flags}"));
            assert_clean(&said);
            assert_eq!((said.count("handshakes"), said.count("resumed")), (20, resumed), "{}", said.stdout);
            let named =
                if version.version == TLS12.version { ", TLS 1.2 TLS_ECDHE" } else { ", TLS 1.3 TLS13_" };
            assert!(said.stdout.contains(named), "{}", said.stdout);
        }
    }
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_is_one_line_with_what_helps_and_no_matter_when_insecure() {
    let (ours, others) = (Authority::new(), std::thread::spawn(Authority::new).join().unwrap());
    let good = ours.server(&["localhost"], 2100, &[&TLS13]);
    for (config, host, ca, words) in [
        (good.clone(), "localhost", &others, "signed by nobody who is trusted: name its authority with --ca"),
        (ours.server(&["localhost"], 2021, &[&TLS13]), "localhost", &ours, "has expired: --insecure"),
        (ours.server(&["a.example"], 2100, &[&TLS13]), "localhost", &ours, "not for localhost but for"),
        (good, "127.0.0.1", &ours, "not for 127.0.0.1 but for"),
    ] {
        let port = front(config, echo()).address.port();
        let url = format!("wss://{host}:{port}/");
        assert_refused(&bench(&format!("echo {url} --ca {}", ca.file().display())), 3, words);
        let said = bench(&format!("echo {url} --insecure --duration 100ms --warmup 0s -c 2"));
        assert_clean(&said);
    }
    let front = front(ours.server(&["localhost"], 2100, &[&TLS13]), echo());
    let without = bench(&format!("echo wss://localhost:{}/", front.address.port()));
    // A machine may have no authorities at all, which is a matter of its own.
    assert!(matches!(without.code, Some(2 | 3)) && without.stderr.contains("--ca"), "{}", without.stderr);
}

#[test]
fn another_name_is_asked_for_and_expected_with_sni() {
    let authority = Authority::new();
    let front = front(authority.server(&["a.example"], 2100, &[&TLS13]), echo());
    let url = format!("wss://{}/ --ca {}", front.address, authority.file().display());
    assert_clean(&bench(&format!("echo {url} --sni a.example --duration 100ms --warmup 0s -c 2")));
    assert!(front.asked.lock().unwrap().iter().all(|(name, _)| name.as_deref() == Some("a.example")));
    assert_refused(&bench(&format!("echo {url} --sni b.example")), 3, "not for b.example but for");
    assert_refused(&bench(&format!("echo {url} --sni a/b")), 2, "--sni");
}

#[test]
fn who_speaks_tls_and_who_does_not_is_told() {
    let address = echo();
    assert_refused(&bench(&format!("echo wss://{address}/ --insecure")), 3, "ws://");
    let address = tcp_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    assert_refused(&bench(&format!("echo wss://{address}/ --insecure")), 3, "speaks no TLS here: ws://");
    let (_authority, front) = secure_echo();
    assert_refused(&bench(&format!("echo ws://{}/", front.address)), 3, "the server speaks TLS: wss://");
    let address = tcp_server(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let silent = bench(&format!("echo wss://{address}/ --insecure --connect-timeout 200ms"));
    assert_refused(&silent, 3, "ends no TLS handshake within 200ms");
}

#[test]
fn flags_without_tls_and_files_without_certificates_are_usage_errors() {
    assert_refused(&bench("echo ws://127.0.0.1:1/ --insecure"), 2, "need a wss://");
    assert_refused(&bench("echo wss://127.0.0.1:1/ --ca /nowhere"), 2, "--ca /nowhere: ");
    assert_refused(&bench("echo wss://127.0.0.1:1/ --ca /dev/null"), 2, "no certificate in PEM");
    assert_eq!(bench("echo wss://127.0.0.1:1/ --ca /dev/null --insecure").code, Some(2));
}

#[test]
fn connections_that_tls_refuses_later_are_counted_with_the_reason() {
    let authority = Authority::new();
    let config = authority.server(&["localhost"], 2100, &[&TLS13]);
    let good = front(config, echo()).address;
    // The probe and three connections get through, the others meet somebody who speaks no TLS.
    let seats = std::sync::atomic::AtomicU32::new(0);
    let address = tcp_server(move |mut stream| {
        if seats.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 4 {
            let behind = std::net::TcpStream::connect(good).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), behind.try_clone().unwrap());
            std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(std::net::Shutdown::Write));
            });
            drop(std::io::copy(&mut &behind, &mut stream));
        } else {
            drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"));
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
    let said = bench(&format!("echo wss://{address}/ --insecure -c 5 --duration 200ms --warmup 0s"));
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 3, 2), "{}", said.stdout);
    assert_eq!(said.count("handshakes"), 3);
    assert!(said.stdout.contains("2 × the server speaks no TLS here"), "{}", said.stdout);
}

#[test]
fn a_server_that_closes_says_so_through_tls() {
    let authority = Authority::new();
    let closing = server(|socket| drop(socket.close(None)));
    let front = front(authority.server(&["localhost"], 2100, &[&TLS13]), closing);
    let said = bench(&format!("echo {} -c 5 --duration 60s", trusting(&authority, &front)));
    assert_eq!((said.code, said.count("closed_by_server")), (Some(1), 5), "{}", said.stdout);
    assert!(said.stdout.contains("5 × the server closed a connection with code"), "{}", said.stdout);
}
