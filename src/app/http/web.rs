//! Routes and files together, as the builder gathers them and every shard serves them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::base::error::SetupError;
use crate::proto::http::{Request, Response};

#[cfg(feature = "socketio")]
use crate::app::io::{BroadcastOperator, Broadcasting};

use super::files::Files;
use super::routes::{Found, Params, Routes};

/// What a route does. All shards share it.
type Answer = Arc<dyn Fn(&Visit<'_>) -> Response + Send + Sync>;

/// The routes and the files of a server.
#[derive(Clone, Default)]
pub(crate) struct Web {
    routes: Routes<Answer>,
    files: Vec<Files>,
}

/// A request to a route, lent for the length of the call. It dereferences to the [`Request`].
pub struct Visit<'a> {
    request: &'a Request<'a>,
    params: &'a Params<'a>,
    body: &'a [u8],
    #[cfg(feature = "socketio")]
    io: &'a dyn Broadcasting,
}

impl<'a> Visit<'a> {
    /// What the route's pattern left open under this name, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// The body, at most `body_bytes_max`.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Everybody in the main namespace of Socket.IO: `visit.io().to("room").emit(…)`. Nobody where it is not served.
    #[cfg(feature = "socketio")]
    pub fn io(&self) -> BroadcastOperator<'_> {
        self.of("/")
    }

    /// Everybody in a namespace.
    #[cfg(feature = "socketio")]
    pub fn of<'s>(&'s self, namespace: &'s str) -> BroadcastOperator<'s> {
        BroadcastOperator::new(self.io, namespace, None)
    }
}

impl<'a> Deref for Visit<'a> {
    type Target = Request<'a>;

    fn deref(&self) -> &Request<'a> {
        self.request
    }
}

impl fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("method", &self.method())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Web {
    pub(crate) fn route(
        &mut self,
        method: &str,
        pattern: &str,
        answer: impl Fn(&Visit<'_>) -> Response + Send + Sync + 'static,
    ) -> Result<(), SetupError> {
        self.routes.insert(method, pattern, Arc::new(answer))
    }

    pub(crate) fn files(&mut self, files: Files) {
        self.files.push(files);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.files.is_empty()
    }

    /// The answer to a request that is a route's or a file's; `None` for any other.
    pub(crate) fn answer(
        &self,
        request: &Request<'_>,
        body: &[u8],
        #[cfg(feature = "socketio")] io: &dyn Broadcasting,
    ) -> Option<Response> {
        let file = || self.files.iter().find_map(|files| files.answer(request));
        match self.routes.find(request.method(), request.path()) {
            Found::Route { value, params } => Some(value(&Visit {
                request,
                params: &params,
                body,
                #[cfg(feature = "socketio")]
                io,
            })),
            Found::WrongMethod(allow) => {
                let file = if matches!(request.method(), "GET" | "HEAD") { file() } else { None };
                file.or_else(|| Some(allow.answer(request.method())))
            }
            Found::Nothing => file(),
        }
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("files", &self.files).finish_non_exhaustive()
    }
}
