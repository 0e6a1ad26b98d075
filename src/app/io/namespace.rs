//! How an application says what its namespaces do: once per shard, before the first client.

use std::collections::{HashMap, HashSet};

use slab::Slab;

use crate::proto::engineio::Data;
use crate::proto::socketio::{Args, Payload};

use super::acks::Acks;
use super::admit::{Admit, Connect};
use super::emit::Here;
use super::engine::{EngineSocket, OnMessage};
use super::reason::Reason;
use super::socket::Socket;
use super::space::{Listener, Names, Space, Typed};

/// A shard's Socket.IO while it is being put together.
#[derive(Default)]
pub struct Io {
    pub(super) spaces: Vec<Box<dyn Space>>,
    pub(super) engine: Option<OnMessage>,
    pub(super) on_server: HashMap<Box<str>, Vec<OnServer>>,
}

/// What runs when another shard has said something.
pub(super) type OnServer = Box<dyn FnMut(&Here<'_>, Args<'_>, &mut String)>;

impl Io {
    /// Serves plain Engine.IO instead of Socket.IO: `call` gets every message as it comes. Namespaces are not looked at.
    pub fn engine(&mut self, call: impl FnMut(&mut EngineSocket<'_>, Data<'_>) + 'static) {
        self.engine = Some(Box::new(call));
    }

    /// Listens to what other shards say with [`server_side_emit`](super::BroadcastOperator::server_side_emit): a shard is to the
    /// others what a server is to the other servers of a cluster.
    pub fn on_server<T: Payload + ?Sized>(
        &mut self,
        event: &str,
        mut call: impl FnMut(&Here<'_>, &T) + 'static,
    ) {
        let listener: OnServer =
            Box::new(move |here, args: Args<'_>, scratch| match args.parse::<T>(scratch) {
                Ok(parsed) => call(here, std::borrow::Borrow::borrow(&parsed)),
                Err(error) => tracing::debug!(%error, "what another shard said was something else"),
            });
        self.on_server.entry(event.into()).or_default().push(listener);
    }

    /// A namespace whose sockets have no data. Clients may connect to those that are named so, and that match.
    ///
    /// # Panics
    /// If the name does not begin with a slash, or was given before.
    pub fn of(&mut self, name: &str) -> Namespace<'_, ()> {
        self.of_with(name, |_| Admit::accept(()))
    }

    /// A namespace that `admit` decides about, and whose sockets have the data that it accepts them with.
    ///
    /// # Panics
    /// If the name does not begin with a slash, or was given before.
    pub fn of_with<D: 'static>(
        &mut self,
        name: &str,
        admit: impl FnMut(&Connect<'_>) -> Admit<D> + 'static,
    ) -> Namespace<'_, D> {
        assert!(name.starts_with('/'), "the namespace {name:?} does not begin with a slash");
        assert!(
            self.spaces.iter().all(|space| space.name().as_deref() != Some(name)),
            "the namespace {name:?} is there already"
        );
        self.namespace(Names::One(name.into()), admit)
    }

    /// Every namespace that nobody has named and `matches` says there is: a [`wildcard`](super::wildcard), or a closure that is
    /// given the name and what its client comes with. They share these handlers, but neither sockets nor rooms.
    ///
    /// Such a namespace is there while a client is in it. Its name is all it takes to speak to it, on any shard and from
    /// any thread: `handle.of("/room-1")`. There may be `dynamic_namespaces_max` of them on a shard. Who is let in may be
    /// decided here, or by [`of_matching_with`](Self::of_matching_with): each client is asked about, the first and the others.
    ///
    /// ```
    /// # fn describe(io: &mut throng::io::Io) {
    /// io.of_matching(|name, _connect| name.strip_prefix("/room-").is_some_and(|number| number.parse::<u16>().is_ok()))
    ///     .on("say", |socket, text: &str| _ = socket.io().emit("said", text));
    /// # }
    /// ```
    pub fn of_matching(
        &mut self,
        matches: impl FnMut(&str, &Connect<'_>) -> bool + 'static,
    ) -> Namespace<'_, ()> {
        self.of_matching_with(matches, |_| Admit::accept(()))
    }

    /// The same, for namespaces that `admit` decides about, and whose sockets have the data that it accepts them with.
    /// [`Connect::namespace`] says which it is.
    pub fn of_matching_with<D: 'static>(
        &mut self,
        matches: impl FnMut(&str, &Connect<'_>) -> bool + 'static,
        admit: impl FnMut(&Connect<'_>) -> Admit<D> + 'static,
    ) -> Namespace<'_, D> {
        self.namespace(Names::Matching(Box::new(matches)), admit)
    }

    fn namespace<D: 'static>(
        &mut self,
        names: Names,
        admit: impl FnMut(&Connect<'_>) -> Admit<D> + 'static,
    ) -> Namespace<'_, D> {
        let typed = Typed {
            names,
            admit: Box::new(admit),
            on_connection: Vec::new(),
            on_packet: Vec::new(),
            on_any: Vec::new(),
            on_any_outgoing: Vec::new(),
            on: HashMap::new(),
            on_disconnect: Vec::new(),
            data: Slab::new(),
            acks: Acks::default(),
            scratch: String::new(),
        };
        Namespace { spaces: &mut self.spaces, typed: Some(typed) }
    }
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("namespaces", &self.spaces.len()).finish()
    }
}

/// A namespace and its handlers. They run on their shard's thread, one at a time, and what they capture is that shard's.
pub struct Namespace<'a, D: 'static> {
    spaces: &'a mut Vec<Box<dyn Space>>,
    typed: Option<Typed<D>>,
}

impl<D: 'static> Namespace<'_, D> {
    fn typed(&mut self) -> &mut Typed<D> {
        self.typed.as_mut().expect("it is there until this is dropped")
    }

    /// A client is connected.
    pub fn on_connection(mut self, call: impl FnMut(&mut Socket<'_, D>) + 'static) -> Self {
        self.typed().on_connection.push(Box::new(call));
        self
    }

    /// A client has sent this event. `T` says what its arguments must be (see [`Payload`]); where they are something else
    /// nothing is called, and it is logged by `tracing`, at the level `debug`: a client could otherwise fill the log.
    pub fn on<T: Payload + ?Sized>(
        mut self,
        event: &str,
        call: impl FnMut(&mut Socket<'_, D>, &T) + 'static,
    ) -> Self {
        self.listen(event, call, None);
        self
    }

    /// The same, but for the first time of each socket alone.
    pub fn once<T: Payload + ?Sized>(
        mut self,
        event: &str,
        call: impl FnMut(&mut Socket<'_, D>, &T) + 'static,
    ) -> Self {
        self.listen(event, call, Some(HashSet::new()));
        self
    }

    fn listen<T: Payload + ?Sized>(
        &mut self,
        event: &str,
        mut call: impl FnMut(&mut Socket<'_, D>, &T) + 'static,
        heard: Option<HashSet<u32>>,
    ) {
        let name: Box<str> = event.into();
        let event = name.clone();
        let listener = Listener {
            call: Box::new(move |socket, args: Args<'_>, scratch| match args.parse::<T>(scratch) {
                Ok(parsed) => call(socket, std::borrow::Borrow::borrow(&parsed)),
                Err(error) => tracing::debug!(%error, event, "an event with other arguments was ignored"),
            }),
            heard,
        };
        self.typed().on.entry(name).or_default().push(listener);
    }

    /// A client has sent whatever event: its name and its arguments. Called before the event's own listeners.
    pub fn on_any(mut self, call: impl FnMut(&mut Socket<'_, D>, &str, Args<'_>) + 'static) -> Self {
        self.typed().on_any.push(Box::new(call));
        self
    }

    /// A client is sent an event: by an emit to it, or by a broadcast that reaches it; one that may be dropped also where it
    /// is. Called once the handler that emits has returned, and not for acks, nor for what such a listener itself
    /// emits. Where no namespace has one a broadcast is encoded once and nobody looks at it; where one has, it is
    /// read once on each shard, and this is called for each of its sockets there.
    pub fn on_any_outgoing(mut self, call: impl FnMut(&mut Socket<'_, D>, &str, Args<'_>) + 'static) -> Self {
        self.typed().on_any_outgoing.push(Box::new(call));
        self
    }

    /// Looks at every event before its listeners do (`socket.use`); false, and they never hear of it.
    pub fn on_packet(
        mut self,
        call: impl FnMut(&mut Socket<'_, D>, &str, Args<'_>) -> bool + 'static,
    ) -> Self {
        self.typed().on_packet.push(Box::new(call));
        self
    }

    /// A client is gone, or was disconnected. It gets nothing any more; its rooms can still be asked for.
    pub fn on_disconnect(mut self, call: impl FnMut(&mut Socket<'_, D>, Reason) + 'static) -> Self {
        self.typed().on_disconnect.push(Box::new(call));
        self
    }
}

impl<D: 'static> Drop for Namespace<'_, D> {
    fn drop(&mut self) {
        if let Some(typed) = self.typed.take() {
            self.spaces.push(Box::new(typed));
        }
    }
}

impl<D> std::fmt::Debug for Namespace<'_, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Namespace")
    }
}
