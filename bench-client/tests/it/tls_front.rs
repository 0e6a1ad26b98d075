//! What the TLS tests bring along: an authority with certificates to order, and TLS in front of any of the other servers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::support::tcp_server;

/// An authority nobody else knows, its certificate in a file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let unique = format!("bench-client-{}-{:?}.pem", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(unique);
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// Where its certificate is.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// A certificate for `localhost` and its key, in PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server's settings with a certificate for these names, good until then.
    pub(crate) fn server(
        &self,
        names: &[&str],
        until: i32,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().unwrap();
        config
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.file));
    }
}

/// A name that was asked for, and the protocol agreed on.
type Asked = (Option<String>, Option<Vec<u8>>);

/// TLS in front of a plain server.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    /// By the connections that are over.
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

/// Starts TLS in front of the plain server at `behind`, a thread per connection.
pub(crate) fn front(config: ServerConfig, behind: SocketAddr) -> Front {
    let (config, asked) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&asked);
    let address = tcp_server(move |stream| {
        stream.set_nonblocking(true).unwrap();
        let Ok(plain) = std::net::TcpStream::connect(behind) else { return };
        plain.set_nodelay(true).unwrap();
        plain.set_nonblocking(true).unwrap();
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        tls.set_buffer_limit(None);
        // A peer that is gone ends the pump with an error, as it should.
        let _ended = pump(&mut tls, TcpStream::from_std(stream), TcpStream::from_std(plain));
        let protocol = tls.alpn_protocol().map(<[u8]>::to_vec);
        log.lock().unwrap().push((tls.server_name().map(str::to_owned), protocol));
    });
    Front { address, asked }
}

/// Carries bytes both ways until either end is over.
fn pump(tls: &mut ServerConnection, mut secret: TcpStream, mut plain: TcpStream) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut secret, Token(0), both)?;
    poll.registry().register(&mut plain, Token(1), both)?;
    let (mut events, mut to_plain, mut chunk) = (Events::with_capacity(2), Vec::new(), vec![0; 64 << 10]);
    let (mut is_over, mut is_answered) = (false, false);
    while !is_over || tls.wants_write() {
        poll.poll(&mut events, None)?;
        while let Some(bytes) = ready(tls.read_tls(&mut secret))? {
            let state = tls.process_new_packets().map_err(|error| {
                // The alert.
                drop(tls.write_tls(&mut secret));
                io::Error::other(error)
            })?;
            let mut text = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut text)?;
            to_plain.extend(text);
            if bytes == 0 || state.peer_has_closed() {
                is_over = true;
                break;
            }
        }
        while !to_plain.is_empty()
            && let Some(bytes) = ready(plain.write(&to_plain))?
        {
            to_plain.drain(..bytes);
        }
        while !is_answered && let Some(bytes) = ready(plain.read(&mut chunk))? {
            tls.writer().write_all(&chunk[..bytes])?;
            if bytes == 0 {
                tls.send_close_notify();
                (is_over, is_answered) = (true, true);
            }
        }
        while tls.wants_write() && ready(tls.write_tls(&mut secret))?.is_some() {}
    }
    Ok(())
}

fn ready(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
