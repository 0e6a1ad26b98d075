//! Every cipher suite, and keys in such numbers that none stays expanded.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::{CipherSuite, ClientConfig, SupportedCipherSuite};

use super::certs::Authority;
use super::client::{any, binary, echo, socket};
use super::server::{counted, start, stop};

/// A client's settings with one suite alone.
pub(crate) fn only(authority: &Authority, suite: SupportedCipherSuite) -> Arc<ClientConfig> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![suite];
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[suite.version()]).unwrap();
    Arc::new(builder.with_root_certificates(authority.roots.clone()).with_no_client_auth())
}

#[test]
fn every_suite_is_spoken_and_a_spoilt_record_is_found_in_each() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let is_for_rsa = |suite: CipherSuite| suite.as_str().is_some_and(|name| name.contains("RSA_WITH"));
    let is_for_ecdsa = |suite: CipherSuite| suite.as_str().is_some_and(|name| name.contains("ECDSA_WITH"));
    let mut spoken = 0;
    for suite in default_provider().cipher_suites {
        // The certificate's key is on a curve; those of RSA encrypt as those of ECDSA do.
        if is_for_rsa(suite.suite()) && !is_for_ecdsa(suite.suite()) {
            continue;
        }
        let config = only(&authority, suite);
        let mut socket = socket(address, &config, "localhost");
        assert_eq!(socket.get_ref().conn.negotiated_cipher_suite(), Some(suite));
        for len in [0, 1, 20, 1000, 16_384, 16_385, 100_000] {
            echo(&mut socket, binary(len));
        }
        // A bit of a whole record turned over, in its first bytes, or in the tag.
        let spoil = |at: fn(usize) -> usize| {
            let mut socket = super::client::socket(address, &config, "localhost");
            let stream = socket.get_mut();
            std::io::Write::write_all(&mut stream.conn.writer(), &[0x82, 0x80, 0, 0, 0, 0]).unwrap();
            let mut record = Vec::new();
            stream.conn.write_tls(&mut record).unwrap();
            let at = at(record.len());
            record[at] ^= 1;
            std::io::Write::write_all(&mut stream.sock, &record).unwrap();
            let said = socket.read().unwrap_err().to_string();
            assert!(said.contains("BadRecordMac") || said.contains("DecryptError"), "{suite:?}: {said}");
        };
        spoil(|_| 5);
        spoil(|len| len - 1);
        spoken += 1;
    }
    assert_eq!(spoken, 6);
    let metrics = stop(server);
    assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_failed")), (18, 12));
}

/// A thread keeps the expanded keys of those that have spoken last, 256: two of each connection.
#[test]
fn more_connections_than_keys_are_kept_of_take_turns() {
    let authority = Authority::new();
    let (server, address) = start(&authority.tls(&["localhost"]), |config| config.shards = 1);
    let config = any(&authority);
    let mut sockets: Vec<_> = (0..200).map(|_| socket(address, &config, "localhost")).collect();
    for round in 0..3 {
        sockets.iter_mut().for_each(|socket| echo(socket, binary(20 + round)));
    }
    drop(sockets);
    assert_eq!(counted(&stop(server), "tls_failed"), 0);
}
