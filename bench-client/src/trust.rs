//! Whom a run over TLS trusts, whom it asks for and whether it resumes; and what a failure of TLS is to its user.
//!
//! Made once from the flags, before anything is opened; `tls` makes every connection's TLS from it.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore,
    SignatureScheme,
};

use crate::target::Target;

/// Tickets kept, 1 KiB or so each: as many as connections may be opening at once in some workers.
const TICKETS_MAX: usize = 4096;

/// Flags about TLS.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TlsFlags {
    /// wss://, https://: trust the authorities whose certificates are in this file (PEM), or the server's own if it has
    /// signed itself, instead of those that the system trusts
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// wss://, https://: trust any certificate, whoever signed it, for whatever name, expired or not
    #[arg(long)]
    pub(crate) insecure: bool,
    /// wss://, https://: ask for this name (SNI) and expect it in the certificate, instead of the URL's host. A host that
    /// is an address is expected in the certificate but never asked for
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
    /// wss://, https://: resume the TLS sessions of earlier connections, each ticket once, where the server gives any.
    /// Without it every handshake is a full one
    #[arg(long)]
    pub(crate) resume: bool,
}

/// What all connections of a run begin their TLS with.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) config: Arc<ClientConfig>,
    /// Whose certificate is expected.
    pub(crate) name: ServerName<'static>,
}

impl Trust {
    /// Whom to trust at `target`; `None` where it speaks no TLS.
    ///
    /// # Errors
    /// Which flag is wrong, or which file.
    pub(crate) fn new(flags: &TlsFlags, target: &Target) -> Result<Option<Self>, String> {
        let TlsFlags { ca, insecure, sni, resume } = flags;
        if !target.is_secure {
            return match ca.is_some() || *insecure || sni.is_some() || *resume {
                true => Err("--ca, --insecure, --sni and --resume need a wss:// or https:// URL".into()),
                false => Ok(None),
            };
        }
        let name = sni.as_deref().unwrap_or_else(|| target.name());
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("`{name}` is no name a certificate could be for: name one with --sni"))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if *insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(ca.as_deref().map_or_else(system, authorities)?)
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = match resume {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        Ok(Some(Self { config: Arc::new(config), name }))
    }
}

/// The authorities in a file.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let said = |error: &dyn fmt::Display| format!("--ca {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| said(&error))? {
        let certificate = certificate.map_err(|error| said(&error))?;
        roots.add(certificate).map_err(|error| said(&error))?;
    }
    if roots.is_empty() {
        return Err(said(&"there is no certificate in PEM in it"));
    }
    Ok(roots)
}

/// The authorities that the system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system trusts no authority (is the package ca-certificates there?): name one with --ca FILE, or \
                    --insecure trusts any certificate"
            .into());
    }
    Ok(roots)
}

/// Finds every certificate and every signature good. A load generator sends nothing worth hiding, and a server under test
/// rarely has a certificate that others would trust.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What sessions of a run can be resumed with, of the one server that it knows. rustls's own store keeps eight tickets,
/// where hundreds of connections open at once.
#[derive(Default)]
struct Tickets {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("tls13", &self.kept().tls13.len()).finish_non_exhaustive()
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() == TICKETS_MAX {
            kept.tls13.pop_front();
        }
        kept.tls13.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tls13.pop_back()
    }
}

/// Why TLS failed: a whole sentence, with what helps. It travels as the inner error of an [`io::Error`].
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

impl Failure {
    /// The sentence in an error that is one.
    pub(crate) fn within(error: &io::Error) -> Option<&str> {
        error.get_ref()?.downcast_ref::<Self>().map(|failure| &*failure.0)
    }

    /// A failure that the next attempt would have too.
    pub(crate) fn error(sentence: String) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, Self(sentence))
    }

    /// The server has ended a connection instead of carrying the handshake on.
    pub(crate) fn ended() -> io::Error {
        let sentence = "the server ended a connection during the TLS handshake; if it speaks none: ws://";
        io::Error::new(ErrorKind::UnexpectedEof, Self(sentence.into()))
    }

    /// What rustls found.
    pub(crate) fn of(error: rustls::Error) -> io::Error {
        Self::error(sentence(&error))
    }
}

fn sentence(error: &rustls::Error) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(certificate) => match certificate {
            // Bad is a signature by another key of an authority of this name: one that was made anew, as a rule.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is signed by nobody who is trusted: name its authority with --ca FILE, or \
                 --insecure trusts any"
                    .into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired: --insecure takes it all the same".into()
            }
            CertificateError::NotValidForName => {
                "the server's certificate is for another name: ask for it with --sni NAME, or --insecure takes any"
                    .into()
            }
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "the server's certificate is not for {} but for {}: ask for that with --sni NAME, or --insecure takes any",
                expected.to_str(),
                presented.join(", ")
            ),
            other => format!("the server's certificate is no good ({other}): --insecure takes it all the same"),
        },
        Tls::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server speaks no HTTP/1.1 over TLS (ALPN)".into()
        }
        Tls::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server has no certificate for the name it was asked for: another one with --sni NAME".into()
        }
        Tls::AlertReceived(alert) => format!("the server ended TLS with the alert {alert:?}"),
        Tls::InvalidMessage(_) => "the server speaks no TLS here: ws:// is without".into(),
        other => format!("TLS failed: {other}"),
    }
}
