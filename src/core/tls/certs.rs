//! Certificates and keys, which of them a client is shown, and how they are exchanged while the server runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs, io};

use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerConfig,
};
use rustls::sign::CertifiedKey;

use crate::base::error::SetupError;

use super::suites::provider;

/// The one protocol spoken over TLS here (RFC 7301, RFC 7230's name for it).
const ALPN: &[u8] = b"http/1.1";

/// Certificates to serve TLS with, and their keys: [`Builder::bind_tls`](crate::Builder::bind_tls).
///
/// A client that names a host (SNI) is shown the first certificate that names it too, exactly or by a wildcard
/// (`*.example.org`); any other the first one of all. TLS 1.2 and 1.3 are spoken, over them `http/1.1`: a client that offers
/// other protocols alone is refused (RFC 7301). Sessions are resumed by tickets, so that the server keeps none.
///
/// ```no_run
/// # fn main() -> Result<(), throng::SetupError> {
/// let tls = throng::Tls::from_files("example.org.pem", "example.org.key")?.and_files("example.net.pem", "example.net.key")?;
/// throng::Server::builder().bind_tls("0.0.0.0:443", &tls)?.run()
/// # }
/// ```
///
/// Cheap to clone; the clones are one. Files may be exchanged while the server runs: [`reload`](Self::reload) reads them again.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    sources: Mutex<Vec<Source>>,
    config: Mutex<Arc<ServerConfig>>,
    /// Outlives the certificates, so that clients that come back after a reload are known.
    ticketer: Arc<dyn ProducesTickets>,
    reloads: AtomicU64,
}

/// Where a certificate chain and its key come from.
#[derive(Clone, Debug)]
enum Source {
    Files { cert: PathBuf, key: PathBuf },
    Pem { cert: Vec<u8>, key: Vec<u8> },
}

impl Tls {
    /// The certificate chain in one PEM file, the host's own first, with the key in another, or in the same.
    ///
    /// # Errors
    /// A file cannot be read, holds no certificate or no key, or the key is another certificate's.
    pub fn from_files(cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, SetupError> {
        Self::new(vec![Source::files(cert.as_ref(), key.as_ref())])
    }

    /// The same, as the files would hold them.
    ///
    /// # Errors
    /// There is no certificate or no key, or the key is another certificate's.
    pub fn from_pem(cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self, SetupError> {
        Self::new(vec![Source::Pem { cert: cert.into(), key: key.into() }])
    }

    /// With one more certificate, for the hosts that it names. It is another `Tls`: earlier clones do not get it, and tickets of
    /// theirs are not taken up.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files), or it names no host.
    pub fn and_files(self, cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, SetupError> {
        self.and(Source::files(cert.as_ref(), key.as_ref()))
    }

    /// With one more certificate, for the hosts that it names. It is another `Tls`, as with [`and_files`](Self::and_files).
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), or it names no host.
    pub fn and_pem(self, cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self, SetupError> {
        self.and(Source::Pem { cert: cert.into(), key: key.into() })
    }

    /// Reads the files again. Handshakes from here on use what they hold now; connections that stand are not touched.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files): everything stays as it was.
    pub fn reload(&self) -> Result<(), SetupError> {
        self.adopt(None)
    }

    /// Goes on with the certificates of another, as [`reload`](Self::reload) with those of the files.
    ///
    /// # Errors
    /// As [`reload`](Self::reload), where the other's files have changed meanwhile.
    pub fn replace(&self, other: &Self) -> Result<(), SetupError> {
        let sources = lock(&other.0.sources).clone();
        self.adopt(Some(sources))
    }

    fn new(sources: Vec<Source>) -> Result<Self, SetupError> {
        let ticketer = Ticketer::new().map_err(|error| {
            SetupError::host("make keys for session tickets", io::Error::other(error), "see getrandom(2)")
        })?;
        let config = Mutex::new(configure(&sources, ticketer.clone())?);
        Ok(Self(Arc::new(Inner {
            sources: Mutex::new(sources),
            config,
            ticketer,
            reloads: AtomicU64::new(0),
        })))
    }

    fn and(self, source: Source) -> Result<Self, SetupError> {
        let mut sources = lock(&self.0.sources).clone();
        sources.push(source);
        Self::new(sources)
    }

    /// Reads the sources, its own or those that take their place. One after the other: of two that are asked for at once the later
    /// one stays.
    fn adopt(&self, replaced: Option<Vec<Source>>) -> Result<(), SetupError> {
        let mut sources = lock(&self.0.sources);
        let config = configure(replaced.as_ref().unwrap_or(&sources), self.0.ticketer.clone())?;
        if let Some(replaced) = replaced {
            *sources = replaced;
        }
        *lock(&self.0.config) = config;
        self.0.reloads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What a handshake that begins now goes by. The lock is held for as long as it takes to count one up, once per
    /// handshake.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        lock(&self.0.config).clone()
    }

    /// How often its certificates were exchanged.
    pub(crate) fn reloads(&self) -> u64 {
        self.0.reloads.load(Ordering::Relaxed)
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that is done under it panics half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither keys nor what may hold them.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What a PEM file may have: more than a thousand certificates.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// Reads a file that has an end: a pipe would hold whoever reads it, and a device would fill the memory.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::metadata(path)?;
    if !file.is_file() || file.len() > PEM_BYTES_MAX {
        let what = format!("it is no regular file of at most {PEM_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    fs::read(path)
}

impl Source {
    fn files(cert: &Path, key: &Path) -> Self {
        Self::Files { cert: cert.to_owned(), key: key.to_owned() }
    }

    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), SetupError> {
        let read = |path: &Path| {
            read_regular(path).map_err(|error| {
                let advice = "it must be a PEM file that this user may read";
                SetupError::host(format!("read {}", path.display()), error, advice)
            })
        };
        match self {
            Self::Files { cert, key } => Ok((read(cert)?, read(key)?)),
            Self::Pem { cert, key } => Ok((cert.clone(), key.clone())),
        }
    }

    /// What the source is called in an error: the certificate's and the key's file.
    fn names(&self) -> (String, String) {
        match self {
            Self::Files { cert, key } => (cert.display().to_string(), key.display().to_string()),
            Self::Pem { .. } => ("the certificate".to_owned(), "the key".to_owned()),
        }
    }

    fn load(&self, provider: &rustls::crypto::CryptoProvider) -> Result<CertifiedKey, SetupError> {
        let ((cert, key), (cert_name, key_name)) = (self.read()?, self.names());
        let wrong = |name: &str, what: String, advice: &str| {
            let error = io::Error::new(io::ErrorKind::InvalidData, what);
            SetupError::host(format!("use {name}"), error, advice)
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&cert_name, error.to_string(), "it must be certificates in PEM"))?;
        if chain.is_empty() {
            let advice = "it must have the host's certificate in PEM, and then those that vouch for it";
            return Err(wrong(&cert_name, "there is no certificate in it".to_owned(), advice));
        }
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| wrong(&key_name, error.to_string(), "it must be a key in PEM, not encrypted"))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            let advice = "it must be the key of the first certificate: ECDSA P-256 or P-384, RSA or Ed25519";
            wrong(&key_name, error.to_string(), advice)
        })
    }
}

fn configure(
    sources: &[Source],
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, SetupError> {
    let provider = Arc::new(provider());
    let mut certs = Certs::default();
    for source in sources {
        let key = Arc::new(source.load(&provider)?);
        if certs.add(&key) == 0 && certs.first.is_some() {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it names no host");
            let advice =
                "a further certificate is shown to those who name its hosts: it needs subjectAltName";
            return Err(SetupError::host(format!("use {}", source.names().0), error, advice));
        }
        certs.first.get_or_insert(key);
    }
    let unsupported = |error| {
        SetupError::host(
            "set TLS up",
            io::Error::other(error),
            "this is a mistake of throng's: please report it",
        )
    };
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(unsupported)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(certs));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // One ticket resumes one session; a browser that wants more opens more.
    config.send_tls13_tickets = 1;
    config.ticketer = ticketer;
    // What resumes a session is in the client's ticket: nothing is kept here that clients could grow.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The certificates by the hosts that they name.
#[derive(Debug, Default)]
struct Certs {
    first: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the asterisk and its dot.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Certs {
    /// Adds a certificate under its names; returns how many those are. Whoever came first with a name keeps it.
    fn add(&mut self, key: &Arc<CertifiedKey>) -> usize {
        let Some(Ok(cert)) = key.cert.first().map(webpki::EndEntityCert::try_from) else { return 0 };
        let mut names = 0;
        for name in cert.valid_dns_names() {
            let name = name.to_ascii_lowercase();
            let (names_of, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            names_of.entry(name.to_owned()).or_insert_with(|| key.clone());
            names += 1;
        }
        names
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        // rustls has put it in lower case; an asterisk stands for one label (RFC 6125 §6.4.3).
        let parent = || name.split_once('.').map(|(_, parent)| parent);
        self.exact.get(name).or_else(|| self.wildcard.get(parent()?))
    }
}

impl ResolvesServerCert for Certs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.server_name().and_then(|name| self.find(name)).or(self.first.as_ref()).cloned()
    }
}
