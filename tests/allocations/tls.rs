//! What a TLS connection makes its shard hold: idle, half shaken, and while it says nothing whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use throng::{Server, Tls};

use super::one_at_a_time;
use super::raw::{Counted, connect, counts};

/// What an idle connection may cost more than one in the clear: its session with all that hangs on it, and its place in the
/// array of sessions, twice while that doubles.
const IDLE_BYTES_MAX: i64 = 3000;

fn config(roots: &Arc<RootCertStore>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
    // As a browser has it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A server in the clear and over TLS, and what its clients trust.
fn serve() -> (Server, SocketAddr, SocketAddr, Arc<RootCertStore>) {
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = Tls::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().bind_tls("127.0.0.1:0", &tls).unwrap();
    let builder = builder.configure(|config| (config.shards, config.max_connections) = (1, 2000));
    let server = builder.serve(|_| Counted).unwrap();
    let (plain, secure) = (server.local_addrs()[0], server.secure_addrs()[0]);
    (server, plain, secure, Arc::new(roots))
}

#[test]
fn an_idle_tls_connection_costs_three_kilobytes_more_at_most() {
    let _turn = one_at_a_time();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (server, plain, secure, roots) = serve();
        let mut asker = connect(plain);
        let mut standing = Vec::new();
        // Each without resumption, as most are.
        let mut open = |count: usize| {
            for _ in 0..count {
                let config = config(&roots, version);
                let client = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
                let stream = StreamOwned::new(client, TcpStream::connect(secure).unwrap());
                let mut socket = tungstenite::client("wss://localhost/", stream).unwrap().0;
                socket.send(tungstenite::Message::text("echo")).unwrap();
                assert_eq!(socket.read().unwrap().len(), 4);
                standing.push(socket);
            }
            counts(&mut asker).1
        };
        let before = open(200);
        let each = (open(200) - before) / 200;
        let mut in_the_clear: Vec<_> = Vec::new();
        let mut open = |count: usize| {
            (0..count).for_each(|_| in_the_clear.push(connect(plain)));
            counts(&mut asker).1
        };
        let before = open(200);
        let more = each - (open(200) - before) / 200;
        assert!((1000..=IDLE_BYTES_MAX).contains(&more), "{more} bytes for {version:?}");
        drop(server);
    }
}

#[test]
fn who_has_not_said_a_whole_hello_costs_what_it_has_said() {
    let _turn = one_at_a_time();
    let (server, plain, secure, roots) = serve();
    let mut asker = connect(plain);
    let mut hello = Vec::new();
    let client =
        ClientConnection::new(config(&roots, &rustls::version::TLS13), "localhost".try_into().unwrap());
    client.unwrap().write_tls(&mut hello).unwrap();
    let mut half_open = Vec::new();
    let mut open = |count: usize| {
        for _ in 0..count {
            let mut stream = TcpStream::connect(secure).unwrap();
            stream.write_all(&hello[..100]).unwrap();
            half_open.push(stream);
        }
        counts(&mut asker).1
    };
    open(100);
    // The asker's answer may be made before the last ones are read.
    let before = open(0);
    open(200);
    let each = (open(0) - before) / 200;
    assert!((100..=600).contains(&each), "{each} bytes");
    // And the rest of it still makes a handshake.
    let mut first = half_open.swap_remove(0);
    first.write_all(&hello[100..]).unwrap();
    let mut answer = [0; 5];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 22, "the server's hello");
    drop(server);
}
