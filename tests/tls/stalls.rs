//! Peers that take nothing any more, with a record half sent.

use std::time::Duration;

use tungstenite::Message;

use super::certs::Authority;
use super::client::{any, socket};
use super::server::{counted, start, stop};

/// Whether some of it waits in an outbox, or all of it counts as sent and the last record is the session's tail.
#[test]
fn one_that_takes_nothing_is_found_wherever_its_bytes_wait() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| {
        config.shards = 1;
        config.stall_timeout = Duration::from_millis(500);
        config.ping_interval = Duration::from_millis(300);
        config.pong_timeout = Duration::from_millis(500);
    });
    let handle = server.handle();
    let config = any(&authority);
    // Answers of one record each: with each more the kernel's buffers are a record fuller.
    let mut silent: Vec<_> = (0..40)
        .map(|asked| {
            let mut socket = socket(address, &config, "localhost");
            let stream = &socket.get_ref().sock;
            rustix::net::sockopt::set_socket_recv_buffer_size(stream, 16 << 10).unwrap();
            for _ in 0..asked * 8 {
                socket.write(Message::binary(vec![0; 16_000])).unwrap();
                socket.flush().unwrap();
            }
            socket
        })
        .collect();
    let is_found = || {
        let metrics = handle.metrics();
        counted(&metrics, "stalled") + counted(&metrics, "pong_timeout")
    };
    let since = std::time::Instant::now();
    // They end, and the close handshakes that nobody answers with them.
    while handle.count() > 0 {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{} are left, {} found",
            handle.count(),
            is_found()
        );
        std::thread::yield_now();
    }
    assert_eq!(is_found(), 40);
    silent.clear();
    stop(server);
}
