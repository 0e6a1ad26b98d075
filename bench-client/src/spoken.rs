//! The flags about what the connections speak, and whether they fit each other. `cli` has them, `settings` asks.

use clap::Args;

use crate::socketio::{SocketIo, Wanted};

/// Flags about what is spoken.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Spoken {
    /// What the connections speak. `socketio`: Socket.IO protocol 5 on Engine.IO 4; a URL without a path then means
    /// /socket.io/
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// Socket.IO: what carries a session [default: websocket]
    #[arg(long, value_enum)]
    pub(crate) transport: Option<Transport>,
    /// Socket.IO: the namespace to join [default: /]
    #[arg(long, value_name = "/NAME")]
    pub(crate) namespace: Option<String>,
    /// Socket.IO: the object to join it with
    #[arg(long, value_name = "JSON")]
    pub(crate) auth: Option<String>,
}

/// Flags about events.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Events {
    /// Socket.IO: the event that is sent, with one argument: a text of --size bytes, 20 at least, or with --binary so
    /// many bytes [default: echo]
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Socket.IO: the event it comes back as, the same text (or bytes) the last of its arguments that is one
    /// [default: as --event]
    #[arg(long, value_name = "NAME")]
    pub(crate) reply_event: Option<String>,
}

/// What the connections speak.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Protocol {
    /// WebSocket messages as they are.
    #[default]
    Websocket,
    /// Socket.IO's events.
    Socketio,
}

/// What carries an Engine.IO session.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Transport {
    /// WebSocket from its beginning.
    #[default]
    Websocket,
    /// It begins with polling and is upgraded, as browsers do it by default, here on one and the same TCP connection.
    Upgrade,
    /// Polling to its end, on two TCP connections: on one a poll always waits, on the other events are posted.
    Polling,
}

/// Flags about the events of a publisher beside those that are sent back.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Publishes {
    /// Socket.IO: the event that is to be relayed to all, with an argument like that of --event [default: publish]
    #[arg(long, value_name = "NAME")]
    pub(crate) publish_event: Option<String>,
    /// Socket.IO: the event it is delivered as [default: as --publish-event]
    #[arg(long, value_name = "NAME")]
    pub(crate) delivery_event: Option<String>,
}

/// All that was said about what is spoken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) spoken: Spoken,
    pub(crate) events: Events,
    /// Where echoes and publishes are two different events.
    pub(crate) publishes: Option<Publishes>,
    pub(crate) is_acked: bool,
    pub(crate) is_binary: bool,
    /// `None` where messages are her own.
    pub(crate) size: Option<usize>,
}

impl Said {
    /// What may differ from connection to connection; the first is what a namespace is joined with.
    pub(crate) fn texts(&mut self) -> Vec<&mut Option<String>> {
        let Self {
            spoken: Spoken { namespace, auth, .. },
            events: Events { event, reply_event },
            publishes,
            ..
        } = self;
        let publishes = publishes
            .iter_mut()
            .flat_map(|Publishes { publish_event, delivery_event }| [publish_event, delivery_event]);
        [auth, namespace, event, reply_event].into_iter().chain(publishes).collect()
    }
}

/// What is spoken, if it is Socket.IO.
///
/// # Errors
/// Which flag is wrong, and why.
pub(crate) fn socket_io(said: &Said) -> Result<Option<SocketIo>, String> {
    let Said { spoken, events, publishes, is_acked, is_binary, size } = said;
    let Spoken { protocol, transport, namespace, auth } = spoken;
    let Events { event, reply_event } = events;
    let [published, delivered] = match publishes {
        Some(publishes) => [&publishes.publish_event, &publishes.delivery_event],
        None => [&None; 2],
    };
    if *protocol == Protocol::Websocket {
        let is_any = *is_acked
            || transport.is_some()
            || [namespace, auth, event, reply_event, published, delivered].iter().any(|flag| flag.is_some());
        return if is_any {
            Err("--transport, --namespace, --auth, --ack and the flags of events need --protocol socketio"
                .into())
        } else {
            Ok(None)
        };
    }
    if *is_acked && reply_event.is_some() {
        return Err("--ack and --reply-event are two different answers".into());
    }
    let pair = |name: &'_ Option<String>, reply: &'_ Option<String>, default: &'static str| {
        let name = name.clone().unwrap_or_else(|| default.to_owned());
        (name.clone(), reply.clone().unwrap_or(name))
    };
    let echo = pair(event, reply_event, "echo");
    let publish = if publishes.is_some() { pair(published, delivered, "publish") } else { echo.clone() };
    let wanted = Wanted {
        namespace: namespace.as_deref().unwrap_or("/"),
        auth: auth.as_deref(),
        echo: (&echo.0, &echo.1),
        publish: (&publish.0, &publish.1),
        is_acked: *is_acked,
        is_binary: *is_binary,
        transport: transport.unwrap_or_default(),
        size: *size,
    };
    SocketIo::new(wanted).map(Some)
}
