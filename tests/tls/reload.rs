//! Certificates exchanged while connections stand and others come.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use throng::Tls;
use tungstenite::Message;

use super::certs::Authority;
use super::client::{any, socket, stream};
use super::server::{counted, start, stop};

/// The certificate of a new connection.
fn shown(address: std::net::SocketAddr, authority: &Authority) -> Result<Vec<u8>, String> {
    let mut stream = stream(address, &any(authority), "localhost");
    stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
    Ok(stream.conn.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn files_are_read_again_and_no_connection_notices() {
    let authority = Authority::new();
    let directory = std::env::temp_dir().join(format!("throng-reload-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let put = |names: &[&str]| {
        let pem = authority.issue(names);
        std::fs::write(&cert, pem.cert).unwrap();
        std::fs::write(&key, pem.key).unwrap();
    };
    put(&["localhost"]);
    let (server, address) = start(&Tls::from_files(&cert, &key).unwrap(), |config| config.shards = 2);
    let handle = server.handle();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let talkers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut socket = socket(address, &any(&authority), "localhost");
                    let mut said = 0_u32;
                    while !is_over.load(Relaxed) {
                        said += 1;
                        socket.send(Message::text(said.to_string())).unwrap();
                        assert_eq!(socket.read().unwrap(), Message::text(said.to_string()));
                    }
                    said
                })
            })
            .collect();
        let mut before = shown(address, &authority).unwrap();
        for _ in 0..5 {
            put(&["localhost"]);
            handle.reload_tls().unwrap();
            let now = shown(address, &authority).unwrap();
            assert!(now != before);
            before = now;
        }
        for broken in ["no certificate at all", ""] {
            std::fs::write(&cert, broken).unwrap();
            let said = handle.reload_tls().unwrap_err().to_string();
            assert!(said.contains("cert.pem"), "{said}");
            assert!(shown(address, &authority).unwrap() == before, "the old one stays");
        }
        is_over.store(true, Relaxed);
        assert!(talkers.into_iter().all(|talker| talker.join().unwrap() > 0));
    });
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_reloads"), counted(&metrics, "tls_failed")), (5, 0));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_program_may_bring_certificates_of_its_own() {
    let authority = Authority::new();
    let tls = authority.tls(&["localhost"]);
    let (server, address) = start(&tls, |config| config.shards = 1);
    let before = shown(address, &authority).unwrap();
    tls.replace(&authority.tls(&["localhost"])).unwrap();
    assert!(shown(address, &authority).unwrap() != before);
    stop(server);
}
