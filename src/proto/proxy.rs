//! The PROXY protocol, versions 1 and 2: what a proxy says of its client before the client's own bytes.
//!
//! Owns the two forms of the head, and every limit in them. Reads no socket and trusts nobody: whether a head may be there
//! at all is the core's to know, which calls this with the first bytes of a connection, before TLS.

use ::core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::config::ProxyProtocol;

/// What a head of version 2 begins with: no request, no frame and no TLS record does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A line of version 1 is at most this long, its CRLF included.
pub const LINE_BYTES_MAX: usize = 107;

/// Bytes of a head of version 2 before its addresses.
const FIXED_BYTES: usize = 16;

/// The TLV that holds the CRC-32C of the whole head.
const TLV_CRC32C: u8 = 0x03;

/// A complete head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyHead {
    /// Its length: the client's own bytes follow.
    pub bytes: usize,
    /// The client's address. `None`: the proxy speaks for itself, or does not know.
    pub client: Option<SocketAddr>,
}

/// The bytes are no head, or none that may be here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadProxyHead;

/// Looks at the first bytes of a connection. `None`: they may become a head.
///
/// # Errors
/// They will never be one of the versions that are spoken, or it would be longer than `bytes_max`.
pub fn parse(
    input: &[u8],
    spoken: ProxyProtocol,
    bytes_max: usize,
) -> Result<Option<ProxyHead>, BadProxyHead> {
    match (input.first(), spoken) {
        (None, _) => Ok(None),
        (Some(b'P'), ProxyProtocol::V1 | ProxyProtocol::Any) => parse_line(input),
        (Some(b'\r'), ProxyProtocol::V2 | ProxyProtocol::Any) => parse_binary(input, bytes_max),
        _ => Err(BadProxyHead),
    }
}

/// Whether what came so far is the beginning of `expected`, or has it all.
fn begins(input: &[u8], expected: &[u8]) -> bool {
    let common = input.len().min(expected.len());
    input[..common] == expected[..common]
}

fn parse_line(input: &[u8]) -> Result<Option<ProxyHead>, BadProxyHead> {
    if !begins(input, b"PROXY ") {
        return Err(BadProxyHead);
    }
    let part = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(end) = part.iter().position(|&byte| byte == b'\r') else {
        return if part.len() == LINE_BYTES_MAX { Err(BadProxyHead) } else { Ok(None) };
    };
    match part.get(end + 1) {
        Some(b'\n') => {}
        None if part.len() < LINE_BYTES_MAX => return Ok(None),
        _ => return Err(BadProxyHead),
    }
    let line = std::str::from_utf8(&part[6..end]).map_err(|_| BadProxyHead)?;
    let bytes = end + 2;
    // What follows UNKNOWN, up to the line's end, is to be ignored.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(Some(ProxyHead { bytes, client: None }));
    }
    let mut words = line.split(' ');
    let mut word = || words.next().ok_or(BadProxyHead);
    let family = word()?;
    let (source, target) = (word()?, word()?);
    let (port, target_port) = (word()?, word()?);
    let client = match family {
        "TCP4" => IpAddr::V4(ip::<Ipv4Addr>(source, target)?),
        "TCP6" => IpAddr::V6(ip::<Ipv6Addr>(source, target)?),
        _ => return Err(BadProxyHead),
    };
    let client = SocketAddr::new(client, number(port)?);
    number(target_port)?;
    if words.next().is_some() {
        return Err(BadProxyHead);
    }
    Ok(Some(ProxyHead { bytes, client: Some(client) }))
}

/// The first of two addresses of one family, both of which must be right.
fn ip<A: std::str::FromStr>(source: &str, target: &str) -> Result<A, BadProxyHead> {
    let parse = |text: &str| text.parse::<A>().map_err(|_| BadProxyHead);
    parse(target)?;
    parse(source)
}

/// A port as the specification writes it: no sign, no leading zero.
fn number(text: &str) -> Result<u16, BadProxyHead> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(BadProxyHead)
}

fn parse_binary(input: &[u8], bytes_max: usize) -> Result<Option<ProxyHead>, BadProxyHead> {
    if !begins(input, SIGNATURE) {
        return Err(BadProxyHead);
    }
    // Each byte is judged as soon as it is there: whoever is wrong need not be waited for.
    let is_local = match input.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(BadProxyHead),
    };
    let Some(&family) = input.get(13) else { return Ok(None) };
    if family >> 4 > 3 || family & 15 > 2 {
        return Err(BadProxyHead);
    }
    let Some(&[high, low]) = input.get(14..FIXED_BYTES) else { return Ok(None) };
    let bytes = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if bytes > bytes_max {
        return Err(BadProxyHead);
    }
    let address_bytes = match family {
        _ if is_local => 0,
        0x11 => 12,
        0x21 => 36,
        // Datagrams, Unix sockets, and what has no name: the specification lets such a head be ignored.
        _ => bytes - FIXED_BYTES,
    };
    if FIXED_BYTES + address_bytes > bytes {
        return Err(BadProxyHead);
    }
    let Some(head) = input.get(..bytes) else { return Ok(None) };
    let block = &head[FIXED_BYTES..];
    let client = match family {
        _ if is_local => None,
        0x11 => {
            let ip: [u8; 4] = block[..4].try_into().map_err(|_| BadProxyHead)?;
            Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port(&block[8..])))
        }
        0x21 => {
            let ip: [u8; 16] = block[..16].try_into().map_err(|_| BadProxyHead)?;
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port(&block[32..])))
        }
        _ => None,
    };
    if client.is_some() {
        check_tlvs(head, FIXED_BYTES + address_bytes)?;
    }
    Ok(Some(ProxyHead { bytes, client }))
}

fn port(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Walks the TLVs behind the addresses. None of them is used, but their lengths must add up, and a checksum must be right.
fn check_tlvs(head: &[u8], from: usize) -> Result<(), BadProxyHead> {
    let mut at = from;
    while at < head.len() {
        let Some(&[kind, high, low]) = head.get(at..at + 3) else { return Err(BadProxyHead) };
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        let Some(content) = head.get(value.clone()) else { return Err(BadProxyHead) };
        if kind == TLV_CRC32C {
            let told: [u8; 4] = content.try_into().map_err(|_| BadProxyHead)?;
            // It is computed with zeros in its own place.
            let before = crc32c(u32::MAX, &head[..value.start]);
            let zeroed = crc32c(before, &[0; 4]);
            if !crc32c(zeroed, &head[value.end..]) != u32::from_be_bytes(told) {
                return Err(BadProxyHead);
            }
        }
        at = value.end;
    }
    Ok(())
}

/// CRC-32C (RFC 3720 appendix B.4), bit by bit: once per connection, over at most a few kilobytes.
fn crc32c(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProxyProtocol::{Any, V1, V2};

    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut head = SIGNATURE.to_vec();
        head.extend([command, family]);
        head.extend((block.len() as u16).to_be_bytes());
        head.extend(block);
        head
    }

    const TCP4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 80];

    fn tcp6() -> Vec<u8> {
        let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        [&ip("2001:db8::1")[..], &ip("::1")[..], &[1, 0, 0, 80]].concat()
    }

    fn with_crc(mut block: Vec<u8>, behind: &[u8]) -> Vec<u8> {
        block.extend([TLV_CRC32C, 0, 4, 0, 0, 0, 0]);
        let at = FIXED_BYTES + block.len() - 4;
        block.extend(behind);
        let mut head = binary(0x21, 0x11, &block);
        let crc = !crc32c(u32::MAX, &head);
        head[at..at + 4].copy_from_slice(&crc.to_be_bytes());
        head
    }

    fn right() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let line = |text: &str| text.as_bytes().to_vec();
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 16));
        assert_eq!(longest.len(), LINE_BYTES_MAX);
        vec![
            (line("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n"), Some("192.0.2.1:12345")),
            (line("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"), Some("255.255.255.255:65535")),
            (line("PROXY TCP6 2001:db8::1 ::1 256 80\r\n"), Some("[2001:db8::1]:256")),
            (line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 80\r\n"), Some("[::ffff:192.0.2.1]:1")),
            (line("PROXY UNKNOWN\r\n"), None),
            (line("PROXY UNKNOWN any thing 1 2\r\n"), None),
            (longest.into_bytes(), None),
            (binary(0x21, 0x11, &TCP4), Some("192.0.2.1:12345")),
            (binary(0x21, 0x21, &tcp6()), Some("[2001:db8::1]:256")),
            (
                binary(0x21, 0x11, &[&TCP4[..], &[4, 0, 2, 9, 9, 0xee, 0, 0]].concat()),
                Some("192.0.2.1:12345"),
            ),
            (with_crc(TCP4.to_vec(), &[]), Some("192.0.2.1:12345")),
            (with_crc(TCP4.to_vec(), &[5, 0, 1, 7]), Some("192.0.2.1:12345")),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x20, 0x11, &[1, 2, 3]), None),
            (binary(0x21, 0x00, &[]), None),
            (binary(0x21, 0x00, &[9; 7]), None),
            (binary(0x21, 0x31, &[7; 216]), None),
            (binary(0x21, 0x12, &TCP4), None),
        ]
    }

    #[test]
    fn heads_are_read_at_every_split_and_leave_what_follows() {
        for (head, client) in right() {
            let expected = ProxyHead { bytes: head.len(), client: client.map(|text| text.parse().unwrap()) };
            for end in 0..head.len() {
                assert_eq!(parse(&head[..end], Any, 4096), Ok(None), "{head:?} at {end}");
            }
            let more = [&head[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&head, Any, 4096), Ok(Some(expected)), "{head:?}");
            assert_eq!(parse(&more, Any, 4096), Ok(Some(expected)), "{head:?}");
            let (own, other) = if head[0] == b'P' { (V1, V2) } else { (V2, V1) };
            assert_eq!(parse(&head, own, 4096), Ok(Some(expected)));
            assert_eq!(parse(&head, other, 4096), Err(BadProxyHead));
            assert_eq!(parse(&head, ProxyProtocol::Off, 4096), Err(BadProxyHead));
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 15));
        let mut broken_crc = with_crc(TCP4.to_vec(), &[]);
        broken_crc[FIXED_BYTES] ^= 1;
        let mut wrong: Vec<Vec<u8>> = [
            "GET / HTTP/1.1\r\n",
            "PROXX",
            "PROXY\r\n",
            "PROXY \r\n",
            "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
            "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP4 1.1.1.1 nobody 1 2\r\n",
            "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP6 [::1] ::1 1 2\r\n",
            "PROXY TCP6 ::1%1 ::1 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n",
            "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
        // The last but two may still get their LF; the one without a CR runs into the limit.
        wrong.retain(|line| !line.ends_with(b"2\r"));
        wrong.last_mut().unwrap().extend([b'x'; LINE_BYTES_MAX]);
        wrong.push(long.into_bytes());
        wrong.push(b"PROXY TCP4 \xff.1.1.1 2.2.2.2 1 2\r\n".to_vec());
        wrong.extend([
            b"\r\n\r\n\0\r\nQUIZ".to_vec(),
            b"\r\nGET".to_vec(),
            binary(0x11, 0x11, &TCP4),
            binary(0x22, 0x11, &TCP4),
            binary(0x21, 0x41, &TCP4),
            binary(0x21, 0x13, &TCP4),
            binary(0x21, 0x11, &TCP4[..11]),
            binary(0x21, 0x21, &TCP4),
            binary(0x21, 0x11, &[&TCP4[..], &[4]].concat()),
            binary(0x21, 0x11, &[&TCP4[..], &[4, 0, 2, 9]].concat()),
            binary(0x21, 0x11, &[&TCP4[..], &[TLV_CRC32C, 0, 3, 1, 2, 3]].concat()),
            broken_crc,
        ]);
        for head in wrong {
            assert_eq!(parse(&head, Any, 4096), Err(BadProxyHead), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a_length_that_is_too_much_is_refused_before_it_comes() {
        let head = binary(0x21, 0x11, &[&TCP4[..], &[4, 0, 1, 0]].concat());
        assert!(parse(&head, Any, head.len()).unwrap().is_some());
        assert_eq!(parse(&head[..FIXED_BYTES], Any, head.len() - 1), Err(BadProxyHead));
        let mut endless = SIGNATURE.to_vec();
        endless.extend([0x21, 0x11, 0xff, 0xff]);
        assert_eq!(parse(&endless, Any, 4096), Err(BadProxyHead));
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // RFC 3720 appendix B.4.
        assert_eq!(!crc32c(u32::MAX, &[0; 32]), 0x8a91_36aa);
        assert_eq!(!crc32c(u32::MAX, &[0xff; 32]), 0x62a8_ab43);
        assert_eq!(!crc32c(u32::MAX, b"123456789"), 0xe306_9283);
    }
}
