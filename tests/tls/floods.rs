//! Peers that ask for new keys without end.

use std::io::{Read, Write};
use std::sync::Arc;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
use rustls::{ConnectionTrafficSecrets, StreamOwned};

use super::certs::Authority;
use super::client::{self, any, stream};
use super::server::{counted, start, stop};
use super::suites::only;

/// Encrypts handshake messages as a client of TLS 1.2 that renegotiates would (RFC 5246 §6.2.3.3, RFC 5288).
struct Sealer {
    key: LessSafeKey,
    salt: [u8; 4],
    seq: u64,
}

impl Sealer {
    fn record(&mut self, message: &[u8]) -> Vec<u8> {
        let explicit = self.seq.to_be_bytes();
        let nonce = [&self.salt[..], &explicit].concat();
        let length = (message.len() as u16).to_be_bytes();
        let aad = [&self.seq.to_be_bytes()[..], &[22, 3, 3], &length].concat();
        let mut sealed = message.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).unwrap();
        self.seq += 1;
        let length = (8 + sealed.len() as u16).to_be_bytes();
        [&[22, 3, 3], &length[..], &explicit, &sealed].concat()
    }
}

#[test]
fn nobody_renegotiates_and_who_insists_is_cut() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let mut config = Arc::unwrap_or_clone(only(&authority, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256));
    config.enable_secret_extraction = true;
    let config = Arc::new(config);
    let mut stream = stream(address, &config, "localhost");
    stream.conn.complete_io(&mut stream.sock).unwrap();
    let StreamOwned { conn, mut sock } = stream;
    let (seq, secrets) = conn.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
        panic!("the suite has AES-128-GCM")
    };
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap());
    let mut sealer = Sealer { key, salt: iv.as_ref()[..4].try_into().unwrap(), seq };
    let mut hello = Vec::new();
    client::client(&config, "localhost").write_tls(&mut hello).unwrap();
    for _ in 0..1000 {
        // Behind the cut it is refused by the kernel.
        let _refused = sock.write_all(&sealer.record(&hello[5..]));
    }
    let mut said = Vec::new();
    let _reset = sock.read_to_end(&mut said);
    // `no_renegotiation` once, and the end: both are records of an alert, encrypted.
    assert!(said.len() <= 2 * (5 + 8 + 2 + 16), "{} bytes", said.len());
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_failed")), (1, 1));
}

#[test]
fn who_changes_keys_without_saying_anything_is_cut() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let mut stream = stream(address, &any(&authority), "localhost");
    stream.conn.complete_io(&mut stream.sock).unwrap();
    for _ in 0..1000 {
        stream.conn.refresh_traffic_keys().unwrap();
        let mut update = Vec::new();
        stream.conn.write_tls(&mut update).unwrap();
        let _refused = stream.sock.write_all(&update);
    }
    assert!(stream.read(&mut [0; 10]).is_err());
    assert_eq!(counted(&stop(server), "tls_failed"), 1);
}
