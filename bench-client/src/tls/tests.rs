//! The client's TLS against rustls's server, over a network that takes and gives a few bytes at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::target::Target;
use crate::trust::TlsFlags;

/// A socket whose other end is a TLS server.
struct Network {
    server: ServerConnection,
    to_client: VecDeque<u8>,
    to_server: VecDeque<u8>,
    /// Bytes per call.
    step: usize,
    /// Whether the next call is refused, as every second one is.
    is_full: bool,
    /// What the server has read.
    heard: Vec<u8>,
    is_ended: bool,
}

impl Network {
    fn new(version: &'static SupportedProtocolVersion, step: usize) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["h".into()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certified.cert)], key)
            .unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        server.set_buffer_limit(None);
        let (to_client, to_server) = (VecDeque::new(), VecDeque::new());
        Self { server, to_client, to_server, step, is_full: false, heard: Vec::new(), is_ended: false }
    }

    /// The server reads all that has arrived and says what it has to.
    fn serve(&mut self) {
        while !self.to_server.is_empty() {
            self.server.read_tls(&mut self.to_server).unwrap();
            let state = self.server.process_new_packets().unwrap();
            let from = self.heard.len();
            self.heard.resize(from + state.plaintext_bytes_to_read(), 0);
            self.server.reader().read_exact(&mut self.heard[from..]).unwrap();
            self.is_ended |= state.peer_has_closed();
        }
        while self.server.wants_write() {
            self.server.write_tls(&mut self.to_client).unwrap();
        }
    }

    fn is_refused(&mut self) -> bool {
        self.is_full = !self.is_full;
        !self.is_full
    }
}

impl Read for Network {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = into.len().min(self.step).min(self.to_client.len());
        if self.is_refused() || bytes == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.to_client.read(&mut into[..bytes])
    }
}

impl Write for Network {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_refused() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = bytes.len().min(self.step);
        self.to_server.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client() -> Box<Tls> {
    let target = Target::resolve("wss://127.0.0.1:1/").unwrap();
    let flags = TlsFlags { insecure: true, ..TlsFlags::default() };
    Tls::new(&TlsCommon::new(Trust::new(&flags, &target).unwrap().unwrap())).unwrap()
}

fn blocks<T>(done: io::Result<T>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// A client whose handshake is over.
fn shaken(network: &mut Network) -> Box<Tls> {
    let mut tls = client();
    assert!(blocks(tls.write(network, b"too early")).is_none());
    loop {
        network.serve();
        if let Some(shaken) = blocks(tls.handshake(network)) {
            assert!(!shaken.unwrap().is_resumed);
            assert_eq!(tls.handshake(network).unwrap(), None, "it is said once");
            network.serve();
            return tls;
        }
    }
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn bytes_go_both_ways_however_they_are_cut() {
    for version in [&TLS13, &TLS12] {
        for step in [1, 2, 3, 5, 21, 64, 1000, 16_406, 1 << 20] {
            let mut network = Network::new(version, step);
            let mut tls = shaken(&mut network);
            let said = text(if step < 64 { 40_000 } else { 600_000 });
            let (mut taken, mut read) = (0, Vec::new());
            let mut into = vec![0; READ_BYTES];
            let mut answered = 0;
            while read.len() < said.len() {
                if taken < said.len() {
                    let end = said.len().min(taken + 100_000);
                    taken += blocks(tls.write(&mut network, &said[taken..end])).unwrap_or(0);
                } else {
                    blocks(tls.flush(&mut network));
                }
                network.serve();
                // What it heard it says, and halfway it changes its keys and wants the client's changed.
                let is_halfway = answered < said.len() / 2 && network.heard.len() >= said.len() / 2;
                network.server.writer().write_all(&network.heard[answered..]).unwrap();
                answered = network.heard.len();
                if is_halfway && version.version == TLS13.version {
                    network.server.refresh_traffic_keys().unwrap();
                }
                network.serve();
                if let Some((bytes, _)) = blocks(tls.read(&mut network, &mut into)) {
                    assert_ne!(bytes, 0, "the server has not ended it");
                    read.extend_from_slice(&into[..bytes]);
                }
                assert!(
                    tls.tail.len() <= RECORDS_AT_ONCE * (RECORD_BYTES + RECORD_OVERHEAD) + ALERT_BYTES_MAX
                );
                assert!(tls.kept.len() <= RECORD_BYTES + RECORD_OVERHEAD + 256);
            }
            assert!(read == said && network.heard == said, "{step} bytes at a time");
            assert_eq!(
                (tls.kept.capacity(), tls.tail.capacity(), tls.early.capacity()),
                (0, 0, 0),
                "at rest"
            );
        }
    }
}

#[test]
fn both_ends_hear_of_the_end() {
    for version in [&TLS13, &TLS12] {
        let mut network = Network::new(version, 1 << 20);
        let mut tls = shaken(&mut network);
        network.server.writer().write_all(b"the last words").unwrap();
        network.server.send_close_notify();
        network.serve();
        let mut into = vec![0; READ_BYTES];
        let first =
            std::iter::repeat_with(|| blocks(tls.read(&mut network, &mut into))).find_map(|read| read);
        assert_eq!(first, Some((14, false)), "more is to come: the end");
        assert_eq!(tls.read(&mut network, &mut into).unwrap(), (0, true));
        assert!(!network.is_ended);
        tls.close(&mut network);
        blocks(tls.flush(&mut network));
        network.serve();
        assert!(network.is_ended);
    }
}

#[test]
fn a_spoilt_record_is_a_failure_and_an_alert() {
    let mut network = Network::new(&TLS13, 1 << 20);
    let mut tls = shaken(&mut network);
    network.server.writer().write_all(b"spoilt").unwrap();
    network.serve();
    *network.to_client.back_mut().unwrap() ^= 1;
    let mut into = vec![0; READ_BYTES];
    let mut read = || tls.read(&mut network, &mut into).expect_err("nothing can be read");
    let error =
        std::iter::repeat_with(&mut read).find(|error| error.kind() != ErrorKind::WouldBlock).unwrap();
    assert!(Failure::within(&error).is_some_and(|said| said.contains("cannot decrypt")), "{error}");
    // What a refusal held back goes with the next call.
    blocks(tls.flush(&mut network));
    let alert = network
        .server
        .read_tls(&mut network.to_server)
        .and_then(|_| network.server.process_new_packets().map_err(io::Error::other));
    assert!(alert.is_err_and(|error| error.to_string().contains("BadRecordMac")));
}
