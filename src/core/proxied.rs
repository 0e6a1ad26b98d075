//! Who a connection's client is, where a trusted proxy stands between: by the PROXY protocol head that a connection begins
//! with, or by what a request says in its fields.
//!
//! A PROXY head is looked at in the socket and taken once it is whole. So it costs no buffer, and it is gone before anything else,
//! TLS included, is read. Called by the first reads of a connection, and for each request.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::base::cause::Cause;
use crate::base::config::{Forwarded, ProxyProtocol};
use crate::base::id::Key;
use crate::base::prefix::Prefix;
use crate::proto::http::{Request, forwarded};
use crate::proto::proxy;

use super::conn::{Arrived, Flags};
use super::core::Core;
use super::io::Io;
use super::service::Service;
use super::shard::Shard;

impl<S: Service, I: Io> Shard<S, I> {
    /// Takes the head that the connection begins with. False: it is not complete, or the connection is over.
    pub(super) fn proxy_head(&mut self, key: Key) -> bool {
        let Self { core, io, scratch, streams, .. } = self;
        let Some(stream) = streams[key.slot as usize].as_ref() else { return false };
        let most = core.config.proxy_bytes_max.max(proxy::LINE_BYTES_MAX);
        let peeked = io.peek(stream, &mut scratch[..most]);
        let Some(conn) = core.table.conn_mut(key) else { return false };
        let n = match peeked {
            Ok(0) => {
                core.vanish(key, Cause::PeerVanished);
                return false;
            }
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.flags.clear(Flags::READABLE);
                return false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                core.push_more(key);
                return false;
            }
            Err(_) => {
                core.vanish(key, Cause::PeerReset);
                return false;
            }
        };
        match proxy::parse(&scratch[..n], core.config.proxy_protocol, core.config.proxy_bytes_max) {
            Ok(Some(head)) => {
                // An error would mean that the socket broke in between, which the next read is told as well.
                let _taken = io.skip(stream, &mut scratch[..head.bytes]);
                conn.arrived = Arrived::Nothing;
                core.counters.proxy_heads.add(1);
                core.counters.bytes_in.add(head.bytes as u64);
                let is_secure = core.table.is_secure(key);
                let Some(client) = head.client else { return true };
                match core.speaks_for(key, client, is_secure) {
                    Ok(()) => return true,
                    // In the clear it can be told. Nothing is agreed yet by which it could be told over TLS.
                    Err(cause) if is_secure => core.vanish(key, cause),
                    Err(cause) => core.fail(key, cause),
                }
            }
            // Nothing behind the FIN can complete it.
            Ok(None) if conn.flags.any(Flags::READ_CLOSED) => core.vanish(key, Cause::PeerVanished),
            // The next bytes make an event.
            Ok(None) => conn.flags.clear(Flags::READABLE),
            Err(proxy::BadProxyHead) => core.vanish(key, Cause::BadProxyHead),
        }
        false
    }
}

impl<S: Service> Core<S> {
    /// Whether it is a proxy's that may speak for others. Nothing is asked of such addresses where none may.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        Prefix::any_contains(&self.config.trusted_proxies, address)
    }

    /// A connection was accepted: one from a trusted proxy begins with a head, where they are spoken.
    pub(super) fn expect_proxy_head(&mut self, key: Key, address: SocketAddr) {
        if self.config.proxy_protocol != ProxyProtocol::Off
            && self.is_trusted(address.ip())
            && let Some(conn) = self.table.conn_mut(key)
        {
            conn.arrived = Arrived::Proxy;
        }
    }

    /// The peer has said whom it speaks for: that is who is counted from here on.
    fn speaks_for(&mut self, key: Key, client: SocketAddr, is_secure: bool) -> Result<(), Cause> {
        if !self.address_enters(client.ip()) {
            return Err(Cause::AddressFull);
        }
        if let Some(peer) = self.table.address(key) {
            self.address_leaves(peer.ip());
        }
        self.table.set_peer(key, client, is_secure);
        Ok(())
    }

    /// The request, with whom it is of. A connection that asks to be a WebSocket is that client's from here on; any other may
    /// carry the requests of many.
    pub(super) fn introduce<'r>(&mut self, key: Key, request: Request<'r>) -> Result<Request<'r>, Cause> {
        let Some(peer) = self.table.address(key) else { return Ok(request) };
        if self.config.forwarded == Forwarded::Off || !self.is_trusted(peer.ip()) {
            return Ok(request.of(peer));
        }
        let client = forwarded::client(&request, peer, self.config.forwarded, &self.config.trusted_proxies);
        let is_secure = client.is_secure.unwrap_or_else(|| request.is_secure());
        if client.address != peer {
            self.counters.forwarded_requests.add(1);
            if request.is_upgrade() {
                self.speaks_for(key, client.address, is_secure)?;
            }
        }
        Ok(request.of(client.address).over(is_secure))
    }
}
