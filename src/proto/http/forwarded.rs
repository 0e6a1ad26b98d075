//! What proxies say of their client in a request's head: `X-Forwarded-For` with `X-Forwarded-Proto`, or `Forwarded`
//! (RFC 7239).
//!
//! Whoever sends a request may write such fields himself, and each proxy adds its peer at their end. So they are walked from
//! the right, for as long as those who speak are trusted. Called by the core, which knows whether the peer is.

use ::core::net::{IpAddr, SocketAddr};

use crate::base::config::Forwarded;
use crate::base::prefix::Prefix;

use super::request::Request;

/// Who asks, as far as trusted proxies say so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    /// The address: with port 0 where none was told.
    pub(crate) address: SocketAddr,
    /// Whether it came by TLS, where that was told.
    pub(crate) is_secure: Option<bool>,
}

/// The client behind `peer`, who is trusted: the last address that no trusted proxy has, or, where all are trusted, the
/// first. An entry that is no address ends the walk: behind it, nobody is known.
pub(crate) fn client(
    request: &Request<'_>,
    peer: SocketAddr,
    spoken: Forwarded,
    trusted: &[Prefix],
) -> Client {
    let mut found = Client { address: peer, is_secure: None };
    let mut visit = |address: Option<SocketAddr>, is_secure: Option<bool>| {
        let Some(address) = address else { return false };
        found = Client { address, is_secure };
        Prefix::any_contains(trusted, address.ip())
    };
    match spoken {
        Forwarded::Off => {}
        Forwarded::XForwardedFor => {
            let fields: Vec<_> = request.header_all("x-forwarded-for").collect();
            let mut entries = fields.iter().rev().flat_map(|field| field.rsplit(|&byte| byte == b','));
            while let Some(entry) = entries.next()
                && visit(address(entry.trim_ascii()), None)
            {}
            let proto: Vec<_> = request.header_all("x-forwarded-proto").collect();
            let last = proto.last().and_then(|field| field.rsplit(|&byte| byte == b',').next());
            found.is_secure = last.and_then(|proto| is_secure(proto.trim_ascii()));
        }
        Forwarded::Rfc7239 => {
            let fields: Vec<_> = request.header_all("forwarded").collect();
            // One malformed list says nothing that can be relied on.
            let Some(lists) = fields.iter().map(|field| elements(field)).collect::<Option<Vec<_>>>() else {
                return found;
            };
            let mut entries = lists.iter().flatten().rev();
            while let Some(entry) = entries.next()
                && visit(entry.0, entry.1)
            {}
        }
    }
    found
}

/// A node as proxies write it: an address, with a port or without, an IPv6 one in brackets where it has a port.
fn address(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = |text: &str| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(|| ip(bare).filter(|ip| bare.len() == text.len() || ip.is_ipv6()))
}

fn is_secure(proto: &[u8]) -> Option<bool> {
    let is = |name: &[u8]| proto.eq_ignore_ascii_case(name);
    if is(b"https") || is(b"wss") {
        return Some(true);
    }
    (is(b"http") || is(b"ws")).then_some(false)
}

type Element = (Option<SocketAddr>, Option<bool>);

/// The elements of a `Forwarded` field: `for` and `proto` of each. `None` where it is malformed.
fn elements(field: &[u8]) -> Option<Vec<Element>> {
    let mut rest = field;
    let mut found = Vec::new();
    let mut element: Element = (None, None);
    loop {
        rest = rest.trim_ascii_start();
        match rest.first() {
            None | Some(b',') => found.push(std::mem::take(&mut element)),
            Some(b';') => {}
            Some(_) => {
                let equals = rest.iter().position(|&byte| byte == b'=')?;
                let name = &rest[..equals];
                let (value, behind) = value(&rest[equals + 1..])?;
                if name.eq_ignore_ascii_case(b"for") {
                    element.0 = address(&value);
                } else if name.eq_ignore_ascii_case(b"proto") {
                    element.1 = is_secure(&value);
                }
                rest = behind;
                continue;
            }
        }
        match rest.split_first() {
            None => return Some(found),
            Some((_, behind)) => rest = behind,
        }
    }
}

/// A token or a quoted string, and what follows it, which is a separator or the end.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (value, rest) = if let Some(quoted) = text.strip_prefix(b"\"") {
        let (mut value, mut bytes) = (Vec::new(), quoted.iter().enumerate());
        let end = loop {
            match bytes.next()? {
                (at, b'"') => break at,
                (_, b'\\') => value.push(*bytes.next()?.1),
                (_, &byte) => value.push(byte),
            }
        };
        (value, &quoted[end + 1..])
    } else {
        let end = text.iter().position(|byte| b",; \t".contains(byte)).unwrap_or(text.len());
        (text[..end].to_vec(), &text[end..])
    };
    let rest = rest.trim_ascii_start();
    matches!(rest.first(), None | Some(b',' | b';')).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeaderSlots;

    const PEER: &str = "10.0.0.1:4000";

    fn seen(fields: &str, spoken: Forwarded) -> (String, Option<bool>) {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = HeaderSlots::new();
        let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let found = client(&request, PEER.parse().unwrap(), spoken, &trusted);
        (found.address.to_string(), found.is_secure)
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_s_is_the_client_s() {
        for (fields, expected) in [
            ("", PEER),
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"),
            ("X-Forwarded-For: 192.0.2.1:77\r\n", "192.0.2.1:77"),
            ("X-Forwarded-For: 192.0.2.1, 10.0.0.9\r\n", "192.0.2.1:0"),
            // What stands before it the client may have written itself.
            ("X-Forwarded-For: 10.0.0.9, 127.0.0.1, 192.0.2.1 ,10.0.0.9\r\n", "192.0.2.1:0"),
            ("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 192.0.2.1,10.0.0.9\r\n", "192.0.2.1:0"),
            ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.9\r\n", "192.0.2.1:0"),
            ("X-Forwarded-For: 10.0.0.8, 10.0.0.9\r\n", "10.0.0.8:0"),
            ("X-Forwarded-For: 2001:db8::9\r\n", "[2001:db8::9]:0"),
            ("X-Forwarded-For: [2001:dead::9]:5, [2001:db8::9]\r\n", "[2001:dead::9]:5"),
            // An IPv4 address in IPv6 is trusted as what it is.
            ("X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.9\r\n", "192.0.2.1:0"),
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", PEER),
            ("X-Forwarded-For: 192.0.2.1, nonsense, 10.0.0.9\r\n", "10.0.0.9:0"),
            ("X-Forwarded-For: [192.0.2.1]\r\n", PEER),
            ("X-Forwarded-For: \r\n", PEER),
            ("X-Forwarded-For: 192.0.2.1,\r\n", PEER),
            ("Forwarded: for=192.0.2.1\r\n", PEER),
        ] {
            assert_eq!(seen(fields, Forwarded::XForwardedFor).0, expected, "{fields}");
        }
        assert_eq!(seen("X-Forwarded-For: 192.0.2.1\r\n", Forwarded::Off).0, PEER);
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (fields, expected, is_secure) in [
            ("Forwarded: for=192.0.2.1\r\n", "192.0.2.1:0", None),
            ("Forwarded: FOR=\"192.0.2.1:80\";Proto=HTTPS\r\n", "192.0.2.1:80", Some(true)),
            ("Forwarded: by=_x;for=\"[2001:dead::1]:9\" ; proto=http\r\n", "[2001:dead::1]:9", Some(false)),
            ("Forwarded: for=192.0.2.1;proto=https, for=10.0.0.9;proto=http\r\n", "192.0.2.1:0", Some(true)),
            ("Forwarded: for=\"a,b\\\"\", for=192.0.2.1\r\n", "192.0.2.1:0", None),
            ("Forwarded: for=1.2.3.4\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1:0", None),
            ("Forwarded: for=192.0.2.1, for=_hidden\r\n", PEER, None),
            ("Forwarded: for=192.0.2.1, for=unknown, for=10.0.0.9\r\n", "10.0.0.9:0", None),
            ("Forwarded: for=192.0.2.1, for\r\n", PEER, None),
            ("Forwarded: for=\"192.0.2.1\r\n", PEER, None),
            ("Forwarded: for=\"192.0.2.1\"x\r\n", PEER, None),
            ("X-Forwarded-For: 192.0.2.1\r\n", PEER, None),
        ] {
            assert_eq!(seen(fields, Forwarded::Rfc7239), (expected.to_owned(), is_secure), "{fields}");
        }
    }

    #[test]
    fn the_last_word_on_the_protocol_counts() {
        for (proto, expected) in
            [("https", Some(true)), ("http, WSS", Some(true)), ("https,http", Some(false)), ("gopher", None)]
        {
            let fields = format!("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: {proto}\r\n");
            assert_eq!(seen(&fields, Forwarded::XForwardedFor).1, expected, "{proto}");
        }
    }
}
