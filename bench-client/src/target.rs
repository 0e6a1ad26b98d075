//! The server under test as a URL names it: address, `Host`, path.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::spoken::Transport;

/// A resolved URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// Whether there is TLS below HTTP.
    pub(crate) is_secure: bool,
    /// The `Host` field: host, and port unless the URL has none.
    pub(crate) host: String,
    /// Path and query, beginning with `/`.
    pub(crate) path: String,
}

impl Target {
    /// Parses and resolves a URL; a name with several addresses gives the first.
    pub(crate) fn resolve(url: &str) -> Result<Self, String> {
        let (is_secure, rest) = match url.split_once("://") {
            Some(("ws" | "http", rest)) => (false, rest),
            Some(("wss" | "https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "{url}: `{scheme}` is not a WebSocket scheme; use ws://HOST:PORT/PATH, or wss:// for TLS"
                ));
            }
            None => return Err(format!("{url}: not a URL; use ws://HOST:PORT/PATH, or wss:// for TLS")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') || rest.contains(['#', ' ', '\r', '\n']) {
            return Err(format!("{url}: not a WebSocket URL; use ws://HOST:PORT/PATH"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let port = if is_secure { 443 } else { 80 };
        let with_port = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        let address = with_port
            .to_socket_addrs()
            .map_err(|error| format!("{url}: cannot resolve {authority}: {error}"))?
            .next()
            .ok_or_else(|| format!("{url}: {authority} has no address"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { address, is_secure, host: authority.to_owned(), path })
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

    /// The host without its port: a name, or an address without brackets.
    pub(crate) fn name(&self) -> &str {
        let Some(address) = self.host.strip_prefix('[') else {
            return self.host.split(':').next().unwrap_or_default();
        };
        address.split(']').next().unwrap_or_default()
    }

    /// The same as a URL.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", if self.is_secure { "wss" } else { "ws" }, self.host, self.path)
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
        for (url, address, host, path, name) in [
            ("ws://127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1:9000", "/", "127.0.0.1"),
            ("http://127.0.0.1/a/b?c=d", "127.0.0.1:80", "127.0.0.1", "/a/b?c=d", "127.0.0.1"),
            ("wss://localhost:9000/", ":9000", "localhost:9000", "/", "localhost"),
            ("https://127.0.0.1/", "127.0.0.1:443", "127.0.0.1", "/", "127.0.0.1"),
            ("ws://[::1]:81?x", "[::1]:81", "[::1]:81", "/?x", "::1"),
            ("wss://[::1]/", "[::1]:443", "[::1]", "/", "::1"),
        ] {
            let target = Target::resolve(url).unwrap();
            assert!(target.address.to_string().ends_with(address), "{url}: {}", target.address);
            assert_eq!(
                (target.host.as_str(), target.path.as_str(), target.name()),
                (host, path, name),
                "{url}"
            );
            let is_secure = url.starts_with("wss") || url.starts_with("https");
            assert_eq!(target.is_secure, is_secure, "{url}");
            assert!(target.url().starts_with(if is_secure { "wss://" } else { "ws://" }), "{url}");
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
            "ftp://a/",
            "wss:/a/",
            "wss://",
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
