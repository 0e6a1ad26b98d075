//! Pages of other origins: who may read the answers to polls and POSTs, who may connect at all, and what a browser is told.
//!
//! Owns the judgement, once per request, from its origin alone. Never looks at sessions.

use std::fmt;
use std::sync::Arc;

use crate::proto::http::{Request, Response};

/// Cross-origin requests of browsers (`cors`). WebSocket handshakes are judged by [`Config::origins`](crate::Config) as well.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Cors {
    /// Which origins are told that they may.
    pub origins: CorsOrigins,
    /// Whether they may send cookies (`Access-Control-Allow-Credentials`). No.
    pub credentials: bool,
    /// Whether whoever may not is refused (403, `Forbidden`), on every transport, WebSocket handshakes included. No, as the
    /// official server has it: a browser that is not told so keeps the answer from the page, but what was asked is done, and
    /// to a WebSocket no such rule applies. Clients that are no browsers send no origin, and are not refused.
    pub is_enforced: bool,
}

/// Origins of [`Cors`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum CorsOrigins {
    /// None: only pages of the server's own origin, which is one whose host and port are those that the request is for.
    #[default]
    Own,
    /// Every origin (`*`).
    Any,
    /// These, compared exactly. Where it is enforced, the server's own has to be one of them.
    Only(Vec<String>),
    /// Those for which this says so: see [`CorsOrigins::when`].
    When(OriginTest),
}

/// Says whether an origin may.
#[derive(Clone)]
pub struct OriginTest(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl CorsOrigins {
    /// Those for which `test` says so: called once with each request that names an origin, on whatever shard it came in.
    ///
    /// ```
    /// use throng::io::{CorsOrigins, IoConfig};
    ///
    /// let mut config = IoConfig::default();
    /// config.cors.origins = CorsOrigins::when(|origin| origin.ends_with(".example.org"));
    /// ```
    pub fn when(test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::When(OriginTest(Arc::new(test)))
    }

    fn lists(&self, origin: &str) -> bool {
        match self {
            Self::Own => false,
            Self::Any => true,
            Self::Only(origins) => origins.iter().any(|one| one == origin),
            Self::When(test) => (test.0)(origin),
        }
    }
}

impl fmt::Debug for OriginTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginTest")
    }
}

/// The same test, not one that says the same.
impl PartialEq for OriginTest {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OriginTest {}

/// What was judged about a request's origin, and is said with its answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Judged {
    /// Nothing is said of origins.
    #[default]
    Silent,
    /// It may not, or names none; another one would be told something else.
    Varies,
    /// Every one may.
    Any,
    /// This one may.
    This(Box<str>),
}

impl Cors {
    /// Judges a request. `Err`: it is refused, and what is said with that.
    pub(super) fn judge(&self, request: &Request<'_>) -> Result<Judged, Judged> {
        let origin = request.origin();
        let is_listed = origin.is_some_and(|origin| self.origins.lists(origin));
        let judged = match (&self.origins, origin) {
            (CorsOrigins::Own, _) => Judged::Silent,
            (CorsOrigins::Any, None) if !self.credentials => Judged::Silent,
            (CorsOrigins::Any, Some(_)) if !self.credentials => Judged::Any,
            (_, Some(origin)) if is_listed => Judged::This(origin.into()),
            _ => Judged::Varies,
        };
        let may = is_listed || self.origins == CorsOrigins::Own && is_own(request);
        if self.is_enforced && origin.is_some() && !may { Err(judged) } else { Ok(judged) }
    }

    /// The response with what a page of another origin is told.
    pub(super) fn tell(&self, judged: &Judged, response: Response) -> Response {
        let response = match judged {
            Judged::Silent => return response,
            // What another origin would be told is something else, so a cache must tell them apart.
            Judged::Varies => return response.header("Vary", "Origin"),
            Judged::Any => response.header("Access-Control-Allow-Origin", "*"),
            Judged::This(origin) => {
                response.header("Access-Control-Allow-Origin", origin).header("Vary", "Origin")
            }
        };
        if self.credentials { response.header("Access-Control-Allow-Credentials", "true") } else { response }
    }
}

/// Whether a request comes from a page of the server it is for. A proxy in front may speak another scheme, so that is not
/// compared.
fn is_own(request: &Request<'_>) -> bool {
    let host = request.origin().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.zip(request.host()).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

/// The answer to a browser that asks whether it may.
pub(super) fn preflight(request: &Request<'_>) -> Response {
    let response = Response::new(204).header("Access-Control-Allow-Methods", "GET,POST");
    match request.header("Access-Control-Request-Headers") {
        Some(names) => response
            .header("Access-Control-Allow-Headers", names)
            .header("Vary", "Access-Control-Request-Headers"),
        None => response,
    }
}
