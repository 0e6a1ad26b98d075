//! A socket's id, which both its client and the server know it by.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::proto::engineio::SessionId;

/// A socket's id, which its client knows it by too. It is also a room that this socket alone is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId([u8; SessionId::LEN]);

impl SocketId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is ASCII")
    }

    pub(super) fn place(&self) -> Option<SessionId> {
        SessionId::parse(self.as_str())
    }
}

impl From<SessionId> for SocketId {
    fn from(id: SessionId) -> Self {
        Self(id.encode())
    }
}

impl AsRef<str> for SocketId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for SocketId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        SessionId::parse(text).map(Self::from).ok_or(())
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
