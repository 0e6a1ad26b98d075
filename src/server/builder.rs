//! From settings to a running server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::app::http::{Files, Visit, Web};
#[cfg(feature = "socketio")]
use crate::app::io::IoSetup;
use crate::app::raw::{Admission, Conn, Handler, Opening, Raw};
use crate::base::config::Config;
use crate::base::error::SetupError;
#[cfg(feature = "tls")]
use crate::core::io::READ_BYTES_MIN;
#[cfg(feature = "tls")]
use crate::core::tls::Tls;
use crate::proto::http::Response;
use crate::proto::ws::Message;

use super::addresses;
use super::plan::{self, Host, Plan};
use super::running::Server;
use super::threads;

/// Builds a server. Made by [`Server::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub(super) config: Config,
    names: Vec<Vec<SocketAddr>>,
    /// What those speak TLS with that do, by the name's number.
    #[cfg(feature = "tls")]
    tls: Vec<(usize, Tls)>,
    web: Web,
    has_health: bool,
    #[cfg(feature = "socketio")]
    pub(super) io: IoSetup,
}

impl Builder {
    /// Listens on an address: `host:port`, where `localhost` is both 127.0.0.1 and ::1 and port 0 a free one. May be
    /// called again for more.
    ///
    /// # Errors
    /// The name is none, or cannot be resolved.
    pub fn bind(mut self, name: impl AsRef<str>) -> Result<Self, SetupError> {
        self.names.push(addresses::resolve("bind", name.as_ref())?);
        Ok(self)
    }

    /// Listens on an address for TLS: `https://` and `wss://`, beside what [`bind`](Self::bind) serves in the clear. May be
    /// called again for more. [`Tls::reload`] exchanges the certificates while the server runs.
    ///
    /// # Errors
    /// The name is none, or cannot be resolved.
    #[cfg(feature = "tls")]
    pub fn bind_tls(mut self, name: impl AsRef<str>, tls: &Tls) -> Result<Self, SetupError> {
        self.tls.push((self.names.len(), tls.clone()));
        self.names.push(addresses::resolve("bind_tls", name.as_ref())?);
        Ok(self)
    }

    /// Replaces the settings.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Changes some of the settings.
    ///
    /// ```
    /// throng::Server::builder().configure(|config| config.shards = 2);
    /// ```
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Serves the files of a directory: `/` is its `index.html`. What is no file is put to the routes and the handler.
    ///
    /// # Errors
    /// It is no directory.
    pub fn files(mut self, directory: impl AsRef<Path>) -> Result<Self, SetupError> {
        self.web.files(Files::new(directory)?);
        Ok(self)
    }

    /// Answers GET requests, and HEAD with them, for a path or a pattern: `/`, `/rooms/:name`, `/docs/*page`. The function is
    /// called on whatever shard the request came in on.
    ///
    /// ```
    /// # fn main() -> Result<(), throng::SetupError> {
    /// use throng::{Response, Server};
    ///
    /// let builder = Server::builder().get("/hello/:name", |visit| {
    ///     Response::text(format!("hello {}", visit.param("name").unwrap_or("you")))
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The pattern is none, or was given before.
    pub fn get(
        mut self,
        pattern: &str,
        answer: impl Fn(&Visit<'_>) -> Response + Send + Sync + 'static,
    ) -> Result<Self, SetupError> {
        self.web.route("GET", pattern, answer)?;
        Ok(self)
    }

    /// Answers POST requests for a path or a pattern. The body is at most `body_bytes_max`.
    ///
    /// # Errors
    /// The pattern is none, or was given before.
    pub fn post(
        mut self,
        pattern: &str,
        answer: impl Fn(&Visit<'_>) -> Response + Send + Sync + 'static,
    ) -> Result<Self, SetupError> {
        self.web.route("POST", pattern, answer)?;
        Ok(self)
    }

    /// Answers GET and HEAD for `/healthz` and `/readyz`, before files, routes and the handler. `/healthz` is 200 for as long as
    /// a shard answers at all: whoever restarts what hangs asks it. `/readyz` is 200 as well, until the server drains or stops
    /// and from then on 503: whoever chooses where clients are sent asks that one. A handler with paths of its own for the same
    /// asks [`Shard::is_draining`](crate::Shard::is_draining).
    #[must_use]
    pub fn health(mut self) -> Self {
        self.has_health = true;
        self
    }

    /// Serves Socket.IO: `describe` is called once on each shard's thread and says what its namespaces do.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), throng::SetupError> {
    /// throng::Server::builder()
    ///     .bind("localhost:3000")?
    ///     .socket_io(|io| {
    ///         io.of("/").on("chat message", |socket, text: &str| {
    ///             socket.io().emit("chat message", text);
    ///         });
    ///     })
    ///     .run()
    /// # }
    /// ```
    #[cfg(feature = "socketio")]
    #[must_use]
    pub fn socket_io(mut self, describe: impl Fn(&mut crate::app::io::Io) + Send + Sync + 'static) -> Self {
        self.io.describe(describe);
        self
    }

    /// Changes some of Socket.IO's settings.
    #[cfg(feature = "socketio")]
    #[must_use]
    pub fn configure_io(mut self, change: impl FnOnce(&mut crate::app::io::IoConfig)) -> Self {
        self.io.configure(change);
        self
    }

    /// What a server built from this would run with on this host.
    ///
    /// # Errors
    /// A setting that cannot be right, in itself or here, or an fd limit that the shards alone exceed.
    pub fn plan(&self) -> Result<Plan, SetupError> {
        self.config.check()?;
        #[cfg(feature = "tls")]
        if !self.tls.is_empty() && self.config.read_bytes_per_turn < READ_BYTES_MIN {
            let right = format!("at least {READ_BYTES_MIN} where TLS is spoken: records are decrypted in it");
            return Err(SetupError::setting("read_bytes_per_turn", self.config.read_bytes_per_turn, right));
        }
        #[cfg(feature = "socketio")]
        self.io.check(&self.config)?;
        plan::plan(&self.config, self.names.iter().map(Vec::len).sum(), Host::read())
    }

    /// Starts the server: `handler` is called once on each shard's thread, with the shard's number.
    ///
    /// Without a [`bind`](Self::bind) it accepts nothing by itself, and lives from what is
    /// [adopted](super::Handle::adopt).
    ///
    /// # Errors
    /// A setting that cannot be right, an address that cannot be listened on, or a host that refuses fds or threads.
    pub fn serve<H: Handler>(
        self,
        handler: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> Result<Server, SetupError> {
        let plan = self.plan()?;
        let listeners = addresses::listen(&self.names, plan.shards, &self.config)?;
        #[cfg(feature = "tls")]
        let tls = {
            let of = |name: usize| self.tls.iter().find(|(one, _)| *one == name).map(|(_, tls)| tls.clone());
            listeners.iter().map(|(name, _)| of(*name)).collect()
        };
        let listeners = listeners.into_iter().map(|(_, listeners)| listeners).collect();
        let has_health = self.has_health;
        let web = (!self.web.is_empty()).then(|| Arc::new(self.web));
        #[cfg(feature = "socketio")]
        let io = self.io.load(&self.config, plan.shards, plan.max_connections)?;
        #[cfg(feature = "socketio")]
        let parser = io.parser();
        let make = move |shard, remote| {
            let mut raw = Raw::new(handler(shard), remote).with_health(has_health);
            if let Some(web) = &web {
                raw = raw.with_web(web.clone());
            }
            #[cfg(feature = "socketio")]
            let raw = raw.with_io(shard, &io);
            raw
        };
        threads::start(
            self.config,
            plan,
            listeners,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "socketio")]
            parser,
            make,
        )
    }

    /// Starts a server that has no handler: a WebSocket that is nobody's is refused (404).
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn start(self) -> Result<Server, SetupError> {
        self.serve(|_shard| Nobody)
    }

    /// Starts a server that has no handler, and waits until it has stopped, which nothing but a signal's end of the process
    /// tells it to: to stop it otherwise, [`start`](Self::start) it and keep its handle.
    ///
    /// # Errors
    /// As [`serve`](Self::serve) and [`Server::join`].
    pub fn run(self) -> Result<(), SetupError> {
        self.start()?.join()
    }
}

/// The handler of a server that has none.
pub(super) struct Nobody;

impl Handler for Nobody {
    type Data = ();

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
        Admission::refuse(404)
    }

    fn on_message(&mut self, _conn: &mut Conn<'_, Self>, _message: Message<'_>) {}
}
