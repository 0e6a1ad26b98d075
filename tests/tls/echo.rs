//! Messages over TLS: of every size, from many at once, and however their records arrive.

use std::io::{Read, Write};

use throng::FdTables;
use tungstenite::Message;

use super::certs::Authority;
use super::client::{self, VERSIONS, any, binary, config, echo, get, socket};
use super::server::{counted, start, stop};

#[test]
fn a_page_and_messages_of_every_size_over_both_versions() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 2);
    for version in VERSIONS {
        let config = std::sync::Arc::new(config(&authority, &[version]));
        let answer = get(&mut client::stream(address, &config, "localhost"), "/");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("https"), "{answer}");
        let mut socket = socket(address, &config, "localhost");
        assert_eq!(socket.get_ref().conn.alpn_protocol(), None);
        for len in [0, 1, 125, 126, 16_300, 16_384, 16_385, 40_000, 65_536, 1 << 20] {
            echo(&mut socket, binary(len));
        }
        echo(&mut socket, Message::text("text"));
        socket.send(Message::text("secure?")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("yes"));
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    }
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_failed")), (4, 0));
    assert_eq!(counted(&metrics, "peer_closed"), 2);
}

#[test]
fn sixteen_connections_of_large_messages_on_own_tables_and_shared_ones() {
    let authority = Authority::new();
    for tables in [FdTables::Shared, FdTables::Own] {
        let (server, address) = start(&authority.tls(&["localhost"]), |config| {
            config.shards = 3;
            config.fd_tables = tables;
        });
        let config = any(&authority);
        let mut sockets: Vec<_> = (0..16).map(|_| socket(address, &config, "localhost")).collect();
        for round in 0..3 {
            for (n, socket) in sockets.iter_mut().enumerate() {
                socket.write(Message::binary(vec![n as u8 ^ round; 100_000])).unwrap();
                socket.flush().unwrap();
            }
            for (n, socket) in sockets.iter_mut().enumerate() {
                assert!(socket.read().unwrap() == Message::binary(vec![n as u8 ^ round; 100_000]));
            }
        }
        drop(sockets);
        assert_eq!(counted(&stop(server), "tls_handshakes"), 16);
    }
}

#[test]
fn records_may_arrive_byte_by_byte() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    for version in VERSIONS {
        let config = std::sync::Arc::new(config(&authority, &[version]));
        let mut tls = client::client(&config, "localhost");
        let mut tcp = client::tcp(address);
        let mut answer = Vec::new();
        tls.writer().write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        // Ends with the server's close_notify.
        loop {
            let mut said = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut said).unwrap();
            }
            said.iter().for_each(|byte| tcp.write_all(&[*byte]).unwrap());
            if tls.read_tls(&mut tcp).unwrap() == 0 {
                break;
            }
            if tls.process_new_packets().unwrap().peer_has_closed() {
                break;
            }
        }
        tls.reader().read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"https"), "{}", String::from_utf8_lossy(&answer));
    }
    stop(server);
}

#[test]
fn who_reads_slowly_gets_everything_in_order() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let mut socket = socket(address, &any(&authority), "localhost");
    socket.send(Message::text("flood")).unwrap();
    socket.send(Message::text("last")).unwrap();
    // The server writes until the kernel takes no more, 16 times 100 KB: what is left waits behind a tail.
    for _ in 0..16 {
        assert_eq!(socket.read().unwrap().len(), 100_000);
    }
    assert_eq!(socket.read().unwrap(), Message::text("last"));
    drop(socket);
    let metrics = stop(server);
    assert!(counted(&metrics, "reads_paused") > 0);
}
