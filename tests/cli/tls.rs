//! The program with certificates: where it speaks TLS, and what SIGHUP does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::program::{Running, command, run};

/// A certificate on disk.
struct Files {
    directory: PathBuf,
    cert: String,
    key: String,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("throng-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = |file: &str| directory.join(file).to_str().unwrap().to_owned();
        Self { cert: path("cert.pem"), key: path("key.pem"), directory }
    }

    /// Writes another certificate, and returns it.
    fn exchange(&self) -> CertificateDer<'static> {
        let made: CertifiedKey<KeyPair> = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&self.cert, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // It is in the directory for temporary ones.
        let _left = std::fs::remove_dir_all(&self.directory);
    }
}

/// Connects, trusting this certificate alone.
fn connect(address: SocketAddr, cert: &CertificateDer<'static>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(client, TcpStream::connect(address).unwrap())
}

fn healthz(stream: &mut (impl Read + Write)) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 1000];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "it ended");
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn sighup_exchanges_the_certificate_and_a_broken_one_changes_nothing() {
    let files = Files::new("sighup");
    let first = files.exchange();
    let arguments = ["--bind-tls", "127.0.0.1:0", "--tls-cert", &files.cert, "--tls-key", &files.key];
    let mut server = Running::start(&arguments);
    let listening = server.said.iter().find(|line| line.contains("listening")).unwrap();
    let url = listening.split_whitespace().find_map(|url| url.strip_prefix("https://")).unwrap();
    let address: SocketAddr = url.trim_end_matches('/').parse().unwrap();
    assert_ne!(address, server.address, "beside the one in the clear");

    let mut standing = connect(address, &first);
    assert!(healthz(&mut standing).starts_with("HTTP/1.1 200"));
    let second = files.exchange();
    server.signal(Signal::HUP);
    assert!(server.line().contains("new TLS connections"));
    assert!(healthz(&mut standing).starts_with("HTTP/1.1 200"));
    assert!(healthz(&mut connect(address, &second)).starts_with("HTTP/1.1 200"));

    std::fs::write(&files.key, "no key").unwrap();
    server.signal(Signal::HUP);
    let said = server.line();
    assert!(said.contains("stay as they were") && said.contains("key.pem"), "{said}");
    for (stream, is_new) in [(&mut connect(address, &second), true), (&mut standing, false)] {
        assert!(healthz(stream).starts_with("HTTP/1.1 200"), "{is_new}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn whoever_asks_for_tls_alone_is_not_served_in_the_clear() {
    let files = Files::new("alone");
    let roots = files.exchange();
    let arguments = ["--bind-tls", "127.0.0.1:0", "--tls-cert", &files.cert, "--tls-key", &files.key];
    let server = Running::from_command(super::program::command(&arguments));
    let listening = server.said.iter().find(|line| line.contains("listening")).unwrap();
    assert!(listening.matches("https://").count() == 1 && !listening.contains("http://"), "{listening}");
    assert!(server.said.last().unwrap().contains("wss://"), "{:?}", server.said);
    assert!(healthz(&mut connect(server.address, &roots)).starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_missing_or_wrong_is_one_line() {
    let files = Files::new("missing");
    files.exchange();
    let (cert, key) = (files.cert.as_str(), files.key.as_str());
    for (arguments, code, expected) in [
        (&["--bind-tls", "localhost:0"][..], 2, "bind_tls needs a tls_cert"),
        (&["--tls-cert", cert, "--tls-key", key], 2, "bind_tls"),
        (&["--bind-tls", "localhost:0", "--tls-cert", cert], 2, "as many as tls_cert, 1"),
        (&["--bind-tls", ":0", "--tls-cert", cert, "--tls-key", key], 2, "--bind-tls is :0"),
        (&["--bind-tls", "localhost:0", "--tls-cert", "/no.pem", "--tls-key", key], 1, "cannot read /no.pem"),
        (&["--bind-tls", "localhost:0", "--tls-cert", key, "--tls-key", key], 1, "no certificate in it"),
        (
            &[
                "--bind-tls",
                "localhost:0",
                "--tls-cert",
                cert,
                "--tls-key",
                key,
                "--read-bytes-per-turn",
                "16k",
            ],
            2,
            "--read-bytes-per-turn is 16384; it must be at least 65536",
        ),
    ] {
        let (ended, _, said) = run(command(&[&["--bind", "127.0.0.1:0"], arguments].concat()));
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
    }
    let (ended, _, said) = run(command(&["--bind", ""]));
    assert!(ended == Some(2) && said.contains("bind is empty; it must be where to listen"), "{said}");
}
