//! What two peers have agreed on, in one byte: a connection has no more room for it.

/// What was negotiated for a connection. The default is nothing: no message is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreed(u8);

/// Three bits each: the server's window less 8, of which 0 says that nothing is agreed; the client's window less 8.
const CLIENT_SHIFT: u8 = 3;
const SERVER_TAKEOVER: u8 = 1 << 6;
const CLIENT_TAKEOVER: u8 = 1 << 7;

impl Agreed {
    /// Nothing: every frame is as RFC 6455 has it.
    pub const NOTHING: Self = Self(0);

    /// Compression with these windows, and without context takeover.
    ///
    /// # Panics
    /// If the server's window is not one of 9 to 15, or the client's not one of 8 to 15.
    #[must_use]
    pub const fn windows(server_bits: u8, client_bits: u8) -> Self {
        assert!(9 <= server_bits && server_bits <= 15 && 8 <= client_bits && client_bits <= 15);
        Self((server_bits - 8) | (client_bits - 8) << CLIENT_SHIFT)
    }

    /// The same, with or without the context of the messages before, on either side (RFC 7692 §7.1.1).
    #[must_use]
    pub const fn takeover(self, server: bool, client: bool) -> Self {
        let server = if server { SERVER_TAKEOVER } else { 0 };
        let client = if client { CLIENT_TAKEOVER } else { 0 };
        Self(self.0 & !(SERVER_TAKEOVER | CLIENT_TAKEOVER) | server | client)
    }

    /// Whether messages may be compressed at all.
    #[inline]
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.0 != 0
    }

    /// The window of what the server compresses; 8 where nothing is agreed.
    #[must_use]
    pub const fn server_bits(self) -> u8 {
        (self.0 & 7) + 8
    }

    /// The window of what the client compresses; 8 where nothing is agreed.
    #[must_use]
    pub const fn client_bits(self) -> u8 {
        (self.0 >> CLIENT_SHIFT & 7) + 8
    }

    /// Whether the server's messages may refer to those before them.
    #[must_use]
    pub const fn server_takeover(self) -> bool {
        self.0 & SERVER_TAKEOVER != 0
    }

    /// Whether the client's messages may refer to those before them.
    #[inline]
    #[must_use]
    pub const fn client_takeover(self) -> bool {
        self.0 & CLIENT_TAKEOVER != 0
    }

    /// Whether a context is kept, of either side.
    #[must_use]
    pub const fn keeps_context(self) -> bool {
        self.server_takeover() || self.client_takeover()
    }
}

impl std::fmt::Debug for Agreed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.is_on() {
            return f.write_str("Agreed::NOTHING");
        }
        f.debug_struct("Agreed")
            .field("server_bits", &self.server_bits())
            .field("client_bits", &self.client_bits())
            .field("server_takeover", &self.server_takeover())
            .field("client_takeover", &self.client_takeover())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_holds_everything() {
        assert!(!Agreed::default().is_on() && !Agreed::NOTHING.keeps_context());
        let mut seen = std::collections::HashSet::new();
        for (server, client) in (9..=15).flat_map(|server| (8..=15).map(move |client| (server, client))) {
            for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
                let agreed = Agreed::windows(server, client).takeover(true, true).takeover(ours, theirs);
                assert!(agreed.is_on());
                assert_eq!((agreed.server_bits(), agreed.client_bits()), (server, client));
                assert_eq!((agreed.server_takeover(), agreed.client_takeover()), (ours, theirs));
                assert_eq!(agreed.keeps_context(), ours || theirs);
                assert!(seen.insert(agreed.0));
            }
        }
        assert_eq!(seen.len(), 7 * 8 * 4);
    }
}
