//! The cipher suites of *ring*, with keys that are small while their connection says nothing.
//!
//! An expanded AES key is 544 bytes, one for each direction: a third of what an idle connection would cost. Here a connection
//! keeps the 16 or 32 bytes that the handshake agreed on, and what they expand to is kept by the thread, for those that have
//! spoken last. Expanding anew takes about as long as to encrypt a short message.
//!
//! Nothing but the place of the keys is throng's: rustls counts records and says which number each has, *ring* encrypts. The
//! nonces and additional data are those of RFC 8446 §5.2 and §5.3, RFC 5288 §3 and RFC 7905 §2. Called by rustls for every record;
//! `certs` asks for the provider.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{self, Aad, LessSafeKey, UnboundKey};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad, make_tls13_aad,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring::default_provider};
use rustls::{
    CipherSuite, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

use super::session::RECORD_PLAIN_MAX;

/// Expanded keys that a thread keeps: 140 KB on a shard that speaks TLS with as many connections or more.
const EXPANDED_MAX: usize = 256;

/// Bytes of the tag behind every record, of all three algorithms.
const TAG_BYTES: usize = 16;

/// Bytes of the nonce that a record of AES-GCM carries in TLS 1.2 (RFC 5288 §3).
const EXPLICIT_BYTES: usize = 8;

thread_local! {
    /// By the number of the key modulo the length, with that number.
    static EXPANDED: RefCell<Vec<Option<(u64, LessSafeKey)>>> = const { RefCell::new(Vec::new()) };
}

/// *ring*'s provider, with these suites.
pub(super) fn provider() -> CryptoProvider {
    // Suites are known by their address for as long as the program runs; they are made once.
    static SUITES: LazyLock<Vec<SupportedCipherSuite>> =
        LazyLock::new(|| default_provider().cipher_suites.into_iter().map(small).collect());
    CryptoProvider { cipher_suites: SUITES.clone(), ..default_provider() }
}

/// A suite with small keys. One that is not known here stays as it is.
fn small(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let Some((algorithm, is_gcm)) = algorithm(suite.suite()) else { return suite };
    let common = |common: &CipherSuiteCommon| CipherSuiteCommon { ..*common };
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            let aead_alg = Box::leak(Box::new(Aead { algorithm, form: Form::Tls13, of: suite.aead_alg }));
            let suite = Tls13CipherSuite { common: common(&suite.common), aead_alg, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let form = if is_gcm { Form::Gcm12 } else { Form::ChaCha12 };
            let aead_alg = Box::leak(Box::new(Aead { algorithm, form, of: suite.aead_alg }));
            let suite = Tls12CipherSuite { common: common(&suite.common), aead_alg, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
    }
}

/// What a suite encrypts with, and whether that is AES-GCM.
fn algorithm(suite: CipherSuite) -> Option<(&'static aead::Algorithm, bool)> {
    Some(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => (&aead::AES_128_GCM, true),
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => (&aead::AES_256_GCM, true),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => (&aead::CHACHA20_POLY1305, false),
        _ => return None,
    })
}

/// How a record is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tls13,
    Gcm12,
    ChaCha12,
}

/// What makes the two ends of a connection's keys, in the place of rustls' own.
struct Aead<A: 'static + ?Sized> {
    algorithm: &'static aead::Algorithm,
    form: Form,
    /// Says how long keys are, and the rest that has nothing to do with their place.
    of: &'static A,
}

impl<A: ?Sized> Aead<A> {
    /// One direction's. What there is of the nonce at first is the key block's: all of it, or its first part and, for what is to
    /// be encrypted, where the explicit part begins.
    fn end(&self, key: AeadKey, iv: &[u8], explicit: &[u8]) -> Box<End> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut first = [0; NONCE_LEN];
        first[..iv.len()].copy_from_slice(iv);
        first[iv.len()..iv.len() + explicit.len()].copy_from_slice(explicit);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Box::new(End { algorithm: self.algorithm, form: self.form, number, key, iv: Iv::new(first) })
    }
}

impl Tls13AeadAlgorithm for Aead<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.end(key, iv.as_ref(), &[])
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.end(key, iv.as_ref(), &[])
    }

    fn key_len(&self) -> usize {
        self.of.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.of.extract_keys(key, iv)
    }
}

impl Tls12AeadAlgorithm for Aead<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
        self.end(key, iv, explicit)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.end(key, iv, &[])
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.of.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.of.extract_keys(key, iv, explicit)
    }
}

/// The key of one direction of a connection.
struct End {
    algorithm: &'static aead::Algorithm,
    form: Form,
    /// No other key of this process has it.
    number: u64,
    key: AeadKey,
    /// Each record's nonce is this with the record's number added, bit by bit without carry.
    iv: Iv,
}

impl End {
    /// Lends the expanded key.
    fn with<T>(&self, work: impl FnOnce(&LessSafeKey) -> T) -> T {
        EXPANDED.with_borrow_mut(|keys| {
            if keys.is_empty() {
                keys.resize_with(EXPANDED_MAX, || None);
            }
            let place = &mut keys[self.number as usize % EXPANDED_MAX];
            place.take_if(|(number, _)| *number != self.number);
            work(&place.get_or_insert_with(|| (self.number, self.expand())).1)
        })
    }

    fn expand(&self) -> LessSafeKey {
        let key = UnboundKey::new(self.algorithm, self.key.as_ref());
        LessSafeKey::new(key.expect("rustls cuts keys to the algorithm's length"))
    }

    /// Bytes in front of what is encrypted.
    fn explicit_bytes(&self) -> usize {
        if self.form == Form::Gcm12 { EXPLICIT_BYTES } else { 0 }
    }
}

impl MessageEncrypter for End {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let (plain_bytes, from) = (message.payload.len(), self.explicit_bytes());
        let total = self.encrypted_payload_len(plain_bytes);
        let nonce = Nonce::new(&self.iv, seq);
        let mut payload = PrefixedPayload::with_capacity(total);
        payload.extend_from_slice(&nonce.0[NONCE_LEN - from..]);
        payload.extend_from_chunks(&message.payload);
        let (aad_13, aad_12);
        let (typ, version, aad): (_, _, &[u8]) = if self.form == Form::Tls13 {
            // What it is, is encrypted; from outside all records are data of TLS 1.2 (RFC 8446 §5.2).
            payload.extend_from_slice(&[u8::from(message.typ)]);
            aad_13 = make_tls13_aad(total);
            (ContentType::ApplicationData, ProtocolVersion::TLSv1_2, &aad_13)
        } else {
            aad_12 = make_tls12_aad(seq, message.typ, message.version, plain_bytes);
            (message.typ, message.version, &aad_12)
        };
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let sealed = self
            .with(|key| key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut payload.as_mut()[from..]));
        payload.extend_from_slice(sealed.map_err(|_| Error::EncryptError)?.as_ref());
        Ok(OutboundOpaqueMessage::new(typ, version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.explicit_bytes() + payload_len + usize::from(self.form == Form::Tls13) + TAG_BYTES
    }
}

impl MessageDecrypter for End {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let from = self.explicit_bytes();
        let Some(plain_bytes) = message.payload.len().checked_sub(from + TAG_BYTES) else {
            return Err(Error::DecryptError);
        };
        let mut nonce = Nonce::new(&self.iv, seq).0;
        if self.form == Form::Gcm12 {
            nonce[..NONCE_LEN - from].copy_from_slice(&self.iv.as_ref()[..NONCE_LEN - from]);
            nonce[NONCE_LEN - from..].copy_from_slice(&message.payload[..from]);
        }
        let (aad_13, aad_12);
        let aad: &[u8] = if self.form == Form::Tls13 {
            aad_13 = make_tls13_aad(message.payload.len());
            &aad_13
        } else {
            aad_12 = make_tls12_aad(seq, message.typ, message.version, plain_bytes);
            &aad_12
        };
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let opened = self.with(|key| {
            key.open_within(nonce, Aad::from(aad), &mut message.payload, from..).map(|plain| plain.len())
        });
        message.payload.truncate(opened.map_err(|_| Error::DecryptError)?);
        match self.form {
            Form::Tls13 => message.into_tls13_unpadded_message(),
            _ if message.payload.len() > RECORD_PLAIN_MAX => Err(Error::PeerSentOversizedRecord),
            _ => Ok(message.into_plain_message()),
        }
    }
}
