//! The flags about what the connections speak, and whether they fit each other. `cli` has them, `settings` asks.

use clap::Args;

use crate::socketio::SocketIo;

/// Flags about what is spoken.
#[derive(Args, Debug, Default)]
pub(crate) struct Spoken {
    /// What the connections speak. `socketio`: Socket.IO protocol 5 on Engine.IO 4, over WebSocket; a URL without a path
    /// then means /socket.io/
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// Socket.IO: how a session comes to WebSocket [default: websocket]
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
#[derive(Args, Debug, Default)]
pub(crate) struct Events {
    /// Socket.IO: the event that is sent, with one argument: a text of --size bytes, 20 at least [default: echo]
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Socket.IO: the event it comes back as, the same text the last of its arguments that is one [default: as --event]
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

/// How an Engine.IO session comes to WebSocket.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    /// It begins there.
    Websocket,
    /// It begins with polling and is upgraded, as browsers do it by default, here on one and the same TCP connection.
    Upgrade,
}

/// What is spoken, if it is Socket.IO, with messages of `size` bytes.
///
/// # Errors
/// Which flag is wrong, and why.
pub(crate) fn socket_io(
    spoken: &Spoken,
    events: &Events,
    is_acked: bool,
    size: usize,
) -> Result<Option<SocketIo>, String> {
    let Spoken { protocol, transport, namespace, auth } = spoken;
    let Events { event, reply_event } = events;
    if *protocol == Protocol::Websocket {
        let is_any = is_acked
            || transport.is_some()
            || [namespace, auth, event, reply_event].iter().any(|flag| flag.is_some());
        return if is_any {
            Err("--transport, --namespace, --auth, --event, --reply-event and --ack need --protocol socketio"
                .into())
        } else {
            Ok(None)
        };
    }
    if is_acked && reply_event.is_some() {
        return Err("--ack and --reply-event are two different answers".into());
    }
    let event = event.as_deref().unwrap_or("echo");
    let names = (event, reply_event.as_deref().unwrap_or(event));
    let namespace = namespace.as_deref().unwrap_or("/");
    let mut socket_io = SocketIo::new(namespace, auth.as_deref(), names, is_acked, size)?;
    socket_io.is_upgraded = *transport == Some(Transport::Upgrade);
    Ok(Some(socket_io))
}
