//! The server under test as a URL names it: address, `Host`, path.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::spoken::Transport;

/// A resolved `ws://` URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// The `Host` field: host, and port unless it is 80.
    pub(crate) host: String,
    /// Path and query, beginning with `/`.
    pub(crate) path: String,
}

impl Target {
    /// Parses and resolves a URL; a name with several addresses gives the first.
    pub(crate) fn resolve(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("ws://") else {
            return Err(match url.split_once("://") {
                Some(("wss", _)) => {
                    format!("{url}: wss:// is not supported; put the server's plain port here")
                }
                Some((scheme, _)) => {
                    format!("{url}: `{scheme}` is not a WebSocket scheme; use ws://HOST:PORT/PATH")
                }
                None => format!("{url}: not a URL; use ws://HOST:PORT/PATH"),
            });
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') || rest.contains(['#', ' ', '\r', '\n']) {
            return Err(format!("{url}: not a WebSocket URL; use ws://HOST:PORT/PATH"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let address = with_port
            .to_socket_addrs()
            .map_err(|error| format!("{url}: cannot resolve {authority}: {error}"))?
            .next()
            .ok_or_else(|| format!("{url}: {authority} has no address"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { address, host: authority.to_owned(), path })
    }

    /// The same server's Engine.IO: at `/socket.io/` unless a path is named, asked for in the query unless one is there.
    pub(crate) fn into_engine_io(mut self, transport: Transport) -> Self {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let path = if path == "/" { "/socket.io/" } else { path };
        let transport = if transport == Transport::Polling { "polling" } else { "websocket" };
        self.path = match query {
            _ if query.contains("EIO=") => format!("{path}?{query}"),
            "" => format!("{path}?EIO=4&transport={transport}"),
            _ => format!("{path}?EIO=4&transport={transport}&{query}"),
        };
        self
    }

    /// Whether the target is this machine's 127.0.0.0/8, where any 127.x.y.z can be a source address.
    pub(crate) fn is_ipv4_loopback(&self) -> bool {
        matches!(self.address.ip(), IpAddr::V4(ip) if ip.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_resolve() {
        for (url, address, host, path) in [
            ("ws://127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1:9000", "/"),
            ("ws://127.0.0.1/a/b?c=d", "127.0.0.1:80", "127.0.0.1", "/a/b?c=d"),
            ("ws://[::1]:81?x", "[::1]:81", "[::1]:81", "/?x"),
            ("ws://[::1]/", "[::1]:80", "[::1]", "/"),
        ] {
            let target = Target::resolve(url).unwrap();
            assert_eq!((target.address.to_string().as_str(), target.host.as_str()), (address, host), "{url}");
            assert_eq!(target.path, path, "{url}");
        }
    }

    #[test]
    fn engine_io_is_at_its_path_and_asked_for_in_the_query() {
        for (path, engine_io) in [
            ("/", "/socket.io/?EIO=4&transport=websocket"),
            ("/?token=x", "/socket.io/?EIO=4&transport=websocket&token=x"),
            ("/chat/", "/chat/?EIO=4&transport=websocket"),
            ("/socket.io/?EIO=3&transport=websocket", "/socket.io/?EIO=3&transport=websocket"),
        ] {
            let target = Target::resolve(&format!("ws://127.0.0.1:1{path}")).unwrap();
            assert_eq!(target.clone().into_engine_io(Transport::Upgrade).path, engine_io);
            let polled = target.into_engine_io(Transport::Polling).path;
            let is_said = path.contains("EIO=");
            let said = if is_said { engine_io.to_owned() } else { engine_io.replace("websocket", "polling") };
            assert_eq!(polled, said);
        }
    }

    #[test]
    fn what_is_no_url_says_what_would_be_one() {
        for url in [
            "localhost:80",
            "http://a/",
            "wss://a/",
            "ws://",
            "ws:///x",
            "ws://u@h/",
            "ws://h:1/#f",
            "ws://h:99999/",
        ] {
            assert!(Target::resolve(url).is_err_and(|said| said.starts_with(url)), "{url}");
        }
    }
}
