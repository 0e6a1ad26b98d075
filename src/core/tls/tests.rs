//! Sessions over a pipe in memory, against a client of rustls: every cut of what arrives, every refusal of what leaves.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::{Sessions, Tls};
use crate::core::io::Got;

const FD: i32 = 5;

/// The server's socket.
struct Pipe {
    inbound: VecDeque<u8>,
    outbound: Vec<u8>,
    /// Most bytes of a read.
    read_max: usize,
    /// Bytes that will be taken before it is full.
    room: usize,
}

impl Pipe {
    /// One that has this to be read, and no limits.
    fn of(inbound: VecDeque<u8>) -> Self {
        Self { inbound, outbound: Vec::new(), read_max: usize::MAX, room: usize::MAX }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = into.len().min(self.read_max);
        self.inbound.read(&mut into[..most])
    }
}

impl Write for Pipe {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let taken = from.len().min(self.room);
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= taken;
        self.outbound.extend_from_slice(&from[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends of a connection.
struct Both {
    sessions: Sessions,
    pipe: Pipe,
    client: ClientConnection,
    scratch: Vec<u8>,
}

fn tls() -> (Tls, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
    (Tls::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap(), roots)
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

impl Both {
    fn new(version: &'static SupportedProtocolVersion, handshakes_per_turn: usize) -> Self {
        let (tls, roots) = tls();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[version]).unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut sessions = Sessions::new(handshakes_per_turn, 16 << 10, Arc::default());
        sessions.await_hello(FD, tls);
        let pipe = Pipe::of(VecDeque::new());
        Self { sessions, pipe, client, scratch: vec![0; 64 << 10] }
    }

    /// With the handshake done.
    fn open(version: &'static SupportedProtocolVersion) -> Self {
        let mut both = Self::new(version, 8);
        both.shake_hands();
        both
    }

    fn shake_hands(&mut self) {
        while self.client.is_handshaking() || self.client.wants_write() {
            self.client_speaks();
            while !self.pipe.inbound.is_empty() {
                let read = self.read(&mut []);
                assert!(read.is_err(), "there is no data yet: {read:?}");
            }
            self.client_hears().unwrap();
        }
    }

    fn client_speaks(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.pipe.inbound).unwrap();
        }
    }

    /// What the client makes of what was sent so far.
    fn client_hears(&mut self) -> Result<Vec<u8>, rustls::Error> {
        let outbound = std::mem::take(&mut self.pipe.outbound);
        let (mut unheard, mut heard) = (&outbound[..], Vec::new());
        while !unheard.is_empty() {
            self.client.read_tls(&mut unheard).unwrap();
            self.client.process_new_packets()?;
            match self.client.reader().read_to_end(&mut heard) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
        Ok(heard)
    }

    fn read(&mut self, direct: &mut [u8]) -> io::Result<Got> {
        let mut into = [IoSliceMut::new(direct), IoSliceMut::new(&mut self.scratch)];
        self.sessions.read(FD, &mut self.pipe, &mut into)
    }

    /// Reads until nothing is left: what arrived, with the first bytes by way of a buffer of their own.
    fn read_all(&mut self, direct: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut first = vec![0; direct];
            match self.read(&mut first) {
                Ok(Got { bytes: 0, .. }) => return all,
                Ok(got) => {
                    let of_first = got.bytes.min(direct);
                    all.extend_from_slice(&first[..of_first]);
                    all.extend_from_slice(&self.scratch[..got.bytes - of_first]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.pipe.inbound.is_empty() {
                        return all;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn write(&mut self, pieces: &[&[u8]]) -> io::Result<usize> {
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        self.sessions.write(FD, &mut self.pipe, &slices)
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 31 / 7) as u8).collect()
}

#[test]
fn however_records_are_cut_the_plaintext_is_whole() {
    for version in VERSIONS {
        for read_max in [1, 2, 3, 4, 5, 6, 7, 22, 23, 100, 1000, 16_400, usize::MAX] {
            for direct in [0, 1, 1000, 20_000] {
                let mut both = Both::new(version, 8);
                both.pipe.read_max = read_max;
                both.shake_hands();
                let sent = pattern(if read_max < 20 { 3000 } else { 60_000 });
                for part in sent.chunks(17_001) {
                    both.client.writer().write_all(part).unwrap();
                    both.client_speaks();
                }
                assert!(both.read_all(direct) == sent, "{version:?}, reads of {read_max}, {direct}");
            }
        }
    }
}

#[test]
fn wherever_the_kernel_stops_the_rest_follows_in_order() {
    for version in VERSIONS {
        for room in [1, 4, 5, 6, 100, 5000, 16_405, 16_406, 16_407, 30_000] {
            let mut both = Both::open(version);
            let sent = pattern(50_000);
            let (mut taken, mut heard) = (0, Vec::new());
            while taken < sent.len() {
                both.pipe.room = room;
                // A header, what is pointed at, and something behind it: pieces of every kind.
                let rest = &sent[taken..];
                let (head, rest) = rest.split_at(rest.len().min(4));
                let (middle, end) = rest.split_at(rest.len().min(20_000));
                let flushed = both.sessions.flush(FD, &mut both.pipe, |_| panic!("nothing is finished"));
                match both.write(&[head, middle, end]) {
                    Ok(bytes) => taken += bytes,
                    Err(error) => assert!(error.kind() == ErrorKind::WouldBlock && !flushed),
                }
                heard.extend(both.client_hears().unwrap());
            }
            both.pipe.room = usize::MAX;
            assert!(both.sessions.flush(FD, &mut both.pipe, |_| panic!("nothing is finished")));
            heard.extend(both.client_hears().unwrap());
            assert!(heard == sent, "{version:?}, {room}");
        }
    }
}

#[test]
fn the_end_waits_for_the_tail() {
    let mut both = Both::open(&rustls::version::TLS13);
    both.pipe.room = 10;
    assert_eq!(both.write(&[b"the last words"]).unwrap(), 14);
    assert_eq!(both.write(&[b"more"]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!both.sessions.finish(FD, &mut both.pipe), "FIN would cut the record");
    let mut ended = false;
    assert!(!both.sessions.flush(FD, &mut both.pipe, |_| ended = true) && !ended);
    both.pipe.room = 1000;
    assert!(both.sessions.flush(FD, &mut both.pipe, |_| ended = true) && ended);
    assert_eq!(both.client_hears().unwrap(), b"the last words");
    assert!(both.client.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn a_handshake_beyond_the_budget_waits_for_the_next_turn() {
    let mut both = Both::new(&rustls::version::TLS13, 1);
    both.client_speaks();
    let mut second = Pipe::of(both.pipe.inbound.clone());
    assert_eq!(both.read(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!both.pipe.outbound.is_empty(), "the budget was for this one");
    both.sessions.await_hello(6, tls().0);
    for turn in 0..2 {
        let kind = if turn == 0 { ErrorKind::Interrupted } else { ErrorKind::WouldBlock };
        let read = both.sessions.read(6, &mut second, &mut [IoSliceMut::new(&mut both.scratch)]);
        assert_eq!(read.unwrap_err().kind(), kind);
        assert_eq!((second.inbound.is_empty(), second.outbound.is_empty()), (turn == 1, turn == 0));
        both.sessions.next_turn();
    }
}

#[test]
fn a_handshake_that_fails_behind_its_dear_part_is_taken_from_the_budget() {
    let mut both = Both::new(&rustls::version::TLS13, 1);
    both.client_speaks();
    let mut second = Pipe::of(both.pipe.inbound.clone());
    both.pipe.inbound.extend(b"\x17\x03\x03\x00\x20and then no record of this sort...");
    assert_eq!(both.read(&mut []).unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(both.pipe.outbound.len() > 500, "keys were agreed upon, and signed");
    both.sessions.await_hello(6, tls().0);
    let read = both.sessions.read(6, &mut second, &mut [IoSliceMut::new(&mut both.scratch)]);
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn who_breaks_tls_gets_its_alert_and_who_speaks_http_is_left_in_the_clear() {
    let oversized = [&b"\x16\x03\x01\x7f\xff"[..], &[0; 17 << 10]].concat();
    for (said, kind) in [
        (&b"GET / HTTP/1.1\r\n"[..], ErrorKind::InvalidInput),
        (b"\x00\x01\x02\x03garbage", ErrorKind::InvalidData),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", ErrorKind::InvalidData),
        (&oversized, ErrorKind::InvalidData),
    ] {
        let mut both = Both::new(&rustls::version::TLS13, 8);
        both.pipe.inbound.extend(said);
        assert_eq!(both.read(&mut []).unwrap_err().kind(), kind);
        assert_eq!(both.sessions.has(FD), kind == ErrorKind::InvalidData);
        if kind == ErrorKind::InvalidData {
            let alert = std::mem::take(&mut both.pipe.outbound);
            assert!(matches!(alert[..], [21, 3, _, 0, 2, 2, _]), "a fatal alert: {alert:?}");
            assert_eq!(both.write(&[b"HTTP/1.1 400"]).unwrap(), 12, "thrown away");
            assert!(both.sessions.finish(FD, &mut both.pipe) && both.pipe.outbound.is_empty());
            both.pipe.inbound.extend(b"more");
            assert_eq!(both.read(&mut []).unwrap().bytes, 4, "read, so that closing is no reset");
        }
    }
}

#[test]
fn a_handshake_in_many_pieces_is_kept_up_to_its_limit() {
    // A hello in records of a few bytes each: rustls joins them.
    let fragments = |hello: &[u8], of: usize| -> Vec<u8> {
        let record = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8][..], part].concat();
        hello[5..].chunks(of).flat_map(record).collect()
    };
    for version in VERSIONS {
        let mut both = Both::new(version, 8);
        let mut hello = Vec::new();
        both.client.write_tls(&mut hello).unwrap();
        both.pipe.inbound.extend(fragments(&hello, 3));
        both.pipe.read_max = 7;
        both.read_all(0);
        both.client_hears().unwrap();
        both.shake_hands();
    }
    let mut both = Both::new(&rustls::version::TLS13, 8);
    // It announces 60,000 bytes, and goes on and on.
    let mut hello = vec![22, 3, 1, 0, 0, 1, 0, 60_000_u16.to_be_bytes()[0], 60_000_u16.to_be_bytes()[1]];
    hello.resize(30_000, 0);
    both.pipe.inbound.extend(fragments(&hello, 200));
    both.pipe.read_max = 3000;
    let (mut reads, mut last) = (0, ErrorKind::WouldBlock);
    while last != ErrorKind::InvalidData {
        last = both.read(&mut []).unwrap_err().kind();
        reads += 1;
    }
    assert!((6..=7).contains(&reads), "16 KiB were kept: {reads}");
    assert_eq!(both.pipe.outbound, [21, 3, 3, 0, 2, 2, 50], "an alert: decode_error");
}

#[test]
fn changes_of_keys_are_answered_and_a_flood_of_them_is_not() {
    let mut both = Both::open(&rustls::version::TLS13);
    for _ in 0..100 {
        both.client.refresh_traffic_keys().unwrap();
        both.client.writer().write_all(b"data").unwrap();
        both.client_speaks();
        assert_eq!(both.read_all(0), b"data");
        assert_eq!(both.write(&[b"answer"]).unwrap(), 6);
        assert_eq!(both.client_hears().unwrap(), b"answer");
    }
    for _ in 0..40 {
        both.client.refresh_traffic_keys().unwrap();
    }
    both.client_speaks();
    let mut reads = (0..3).map(|_| both.read(&mut []).unwrap_err().kind());
    assert!(reads.any(|kind| kind == ErrorKind::InvalidData));
}

#[test]
fn the_peers_end_is_an_end_behind_its_last_words() {
    for version in VERSIONS {
        let mut both = Both::open(version);
        both.client.writer().write_all(b"bye").unwrap();
        both.client.send_close_notify();
        both.client_speaks();
        assert_eq!(both.read(&mut []).unwrap(), Got { bytes: 3, is_drained: false });
        assert_eq!(both.read(&mut []).unwrap().bytes, 0);
        assert_eq!(both.write(&[b"bye yourself"]).unwrap(), 12, "its own side is still open");
        assert_eq!(both.client_hears().unwrap(), b"bye yourself");
    }
}

#[test]
fn a_session_moves_with_half_a_record_and_a_tail() {
    for version in VERSIONS {
        let mut both = Both::open(version);
        both.client.writer().write_all(b"a request").unwrap();
        both.client_speaks();
        let second = both.pipe.inbound.split_off(12);
        assert_eq!(both.read(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
        both.pipe.room = 3;
        assert_eq!(both.write(&[b"an answer"]).unwrap(), 9);
        let moved = both.sessions.take(FD).unwrap();
        assert!(!both.sessions.has(FD));
        both.sessions = Sessions::new(8, 16 << 10, Arc::default());
        both.sessions.put(FD, moved);
        both.pipe.inbound.extend(second);
        assert_eq!(both.read_all(0), b"a request");
        both.pipe.room = 1000;
        assert!(both.sessions.flush(FD, &mut both.pipe, |_| panic!("nothing is finished")));
        assert_eq!(both.client_hears().unwrap(), b"an answer");
    }
}
