//! Clients whose end comes with the last of their bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::certs::Authority;
use super::client::{self, any};
use super::server::{counted, start, stop};

/// Sends this and the end of its side in one segment, and waits until the server has ended its own.
fn ends_with(mut tcp: &TcpStream, bytes: &[u8]) -> Duration {
    SockRef::from(tcp).set_tcp_cork(true).unwrap();
    tcp.write_all(bytes).unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    SockRef::from(tcp).set_tcp_cork(false).unwrap();
    let since = Instant::now();
    let _reset_or_not = tcp.read_to_end(&mut Vec::new());
    since.elapsed()
}

#[test]
fn the_end_is_seen_behind_bytes_that_are_no_plaintext() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let soon = Duration::from_secs(3);
    let mut hello = Vec::new();
    client::client(&any(&authority), "localhost").write_tls(&mut hello).unwrap();
    let took = ends_with(&client::tcp(address), &hello[..hello.len() / 2]);
    assert!(took < soon, "half a hello: {took:?}");
    for whole in [false, true] {
        let mut socket = client::socket(address, &any(&authority), "localhost");
        client::echo(&mut socket, client::binary(100));
        let stream = socket.get_mut();
        let mut record = Vec::new();
        if whole {
            stream.conn.refresh_traffic_keys().unwrap();
        } else {
            stream.conn.writer().write_all(&[0; 100]).unwrap();
        }
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut record).unwrap();
        }
        let sent = if whole { record.len() } else { record.len() / 2 };
        let took = ends_with(&stream.sock, &record[..sent]);
        assert!(took < soon, "a record, whole: {whole}, {took:?}");
    }
    // Half a hello is no request: whoever ends so has ended well.
    assert_eq!(counted(&stop(server), "peer_vanished"), 2);
}
