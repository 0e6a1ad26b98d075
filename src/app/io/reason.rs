//! Why a socket is gone, by its official name.

use std::fmt;

use crate::base::cause::{Cause, CloseReason};

/// Why a socket was disconnected. Prints as the official server's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// `transport close`: the client went away, or closed its session.
    TransportClose,
    /// `transport error`: the connection failed, or the client broke the rules of its transport; a handler that panicked for it.
    TransportError,
    /// `parse error`: the client sent what is no packet, or more than a limit allows.
    ParseError,
    /// `ping timeout`: the client did not answer a ping in time.
    PingTimeout,
    /// `client namespace disconnect`: the client left the namespace.
    ClientDisconnect,
    /// `server namespace disconnect`: the server disconnected the socket, alone or with the others of its session.
    ServerDisconnect,
    /// `forced server close`: the client connected to no namespace in time, or others needed the room, to one twice or to too many, or spoke in one that it
    /// is not in.
    ForcedClose,
    /// `server shutting down`.
    ServerShuttingDown,
}

impl Reason {
    /// The official text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::PingTimeout => "ping timeout",
            Self::ClientDisconnect => "client namespace disconnect",
            Self::ServerDisconnect => "server namespace disconnect",
            Self::ForcedClose => "forced server close",
            Self::ServerShuttingDown => "server shutting down",
        }
    }

    /// The reason for the end of a WebSocket.
    pub(super) const fn of(reason: CloseReason) -> Self {
        match reason.cause {
            // To the official server a reset is an end like any other.
            Cause::PeerClosed | Cause::PeerVanished | Cause::PeerReset | Cause::Requested => {
                Self::TransportClose
            }
            Cause::ServerStops => Self::ServerShuttingDown,
            Cause::PongTimeout | Cause::SilentTimeout => Self::PingTimeout,
            _ => Self::TransportError,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
