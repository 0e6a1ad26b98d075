//! Reads a packet: `<kind>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, checked whole.
//!
//! It refuses whatever the official decoder refuses, and what that one takes only because JavaScript turns strings into
//! numbers as it does (a space for an ack id of 0, an empty count of attachments) as well.

use std::borrow::Cow;

use super::args::Args;
use super::json::{self, Checks};
use super::packet::{Kind, Limits, Malformed, Packet, is_reserved};

/// The largest integer that every JavaScript number below it is apart from: `Number.MAX_SAFE_INTEGER`.
pub(super) const ACK_ID_MAX: u64 = (1 << 53) - 1;

impl<'a> Packet<'a> {
    /// Reads the text of a message: what follows Engine.IO's `4`.
    ///
    /// One pass over the text, in which all of it is checked; it allocates only for an event's name with escapes in it.
    ///
    /// # Errors
    /// Why the packet is refused.
    pub fn parse(text: &'a str, limits: &Limits) -> Result<Self, Malformed> {
        let bytes = text.as_bytes();
        let kind = bytes.first().copied().and_then(Kind::from_digit).ok_or(Malformed::Kind)?;
        let mut at = 1;
        let mut attachments = 0;
        if kind.is_binary() {
            (attachments, at) = count(bytes, limits)?;
        }
        let mut namespace = "/";
        if bytes.get(at) == Some(&b'/') {
            (namespace, at) = self::namespace(text, at, limits)?;
        }
        let mut ack_id = None;
        if let Some(b'0'..=b'9') = bytes.get(at) {
            let (id, end) = digits(bytes, at);
            ack_id = Some(id.filter(|&id| id <= ACK_ID_MAX).ok_or(Malformed::AckId)?);
            at = end;
        }
        // The bytes so far are ASCII but for the namespace, which ends at a comma or with the text.
        let data = &text[at..];
        let checks = Checks {
            depth_max: limits.depth_max,
            attachments: if kind.is_binary() { Some(attachments) } else { None },
        };
        let mut event = Cow::Borrowed("");
        let mut args = Args::NONE;
        match kind {
            Kind::Event | Kind::BinaryEvent => (event, args) = named(data, limits, checks)?,
            Kind::Ack | Kind::BinaryAck => args = list(data, limits, checks)?,
            Kind::Connect if data.is_empty() => {}
            Kind::Disconnect if data.is_empty() => {}
            Kind::Connect => args = single(data, b"{", checks)?,
            Kind::ConnectError => args = single(data, b"{\"", checks)?,
            Kind::Disconnect => return Err(Malformed::Payload),
        }
        Ok(Self { kind, attachments, namespace, ack_id, data, event, args })
    }
}

/// The count of attachments, and where the rest begins: behind the hyphen.
fn count(bytes: &[u8], limits: &Limits) -> Result<(u32, usize), Malformed> {
    let (count, end) = digits(bytes, 1);
    if end == 1 || bytes.get(end) != Some(&b'-') {
        return Err(Malformed::AttachmentCount);
    }
    let within = count.filter(|&count| count <= u64::from(limits.attachments_max));
    Ok((within.ok_or(Malformed::TooManyAttachments)? as u32, end + 1))
}

/// The namespace that begins at `at`, without its query, and where the rest begins: behind the comma.
fn namespace<'a>(text: &'a str, at: usize, limits: &Limits) -> Result<(&'a str, usize), Malformed> {
    let longest = text.len().min(at.saturating_add(limits.namespace_bytes_max).saturating_add(1));
    let (end, behind) = match text.as_bytes()[at..longest].iter().position(|&byte| byte == b',') {
        Some(comma) => (at + comma, at + comma + 1),
        None if text.len() - at <= limits.namespace_bytes_max => (text.len(), text.len()),
        None => return Err(Malformed::NamespaceTooLong),
    };
    let name = &text[at..end];
    Ok((name.split_once('?').map_or(name, |(path, _)| path), behind))
}

/// The number that the digits at `at` are, `None` where it is above 64 bits, and their end.
#[inline]
fn digits(bytes: &[u8], mut at: usize) -> (Option<u64>, usize) {
    let mut number = Some(0_u64);
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        number = number.and_then(|number| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        at += 1;
    }
    (number, at)
}

/// The name and the arguments of an event.
#[inline]
fn named<'a>(data: &'a str, limits: &Limits, checks: Checks) -> Result<(Cow<'a, str>, Args<'a>), Malformed> {
    let bytes = data.as_bytes();
    if bytes.first() != Some(&b'[') {
        return Err(Malformed::Payload);
    }
    let start = json::skip_space(bytes, 1);
    let (name, end) = match bytes.get(start) {
        Some(b'"') => {
            let (end, escaped) = json::string(bytes, start + 1)?;
            if end - start - 2 > limits.event_bytes_max {
                return Err(Malformed::EventTooLong);
            }
            (json::text(&data[start + 1..end - 1], escaped), end)
        }
        // The official server lets a number be a name; its listeners know it as a string.
        Some(b'-' | b'0'..=b'9') => {
            let end = json::number(bytes, start)?;
            if end - start > limits.event_bytes_max {
                return Err(Malformed::EventTooLong);
            }
            (Cow::Borrowed(&data[start..end]), end)
        }
        _ => return Err(Malformed::EventName),
    };
    if is_reserved(&name) {
        return Err(Malformed::EventReserved);
    }
    let behind = json::skip_space(bytes, end);
    match bytes.get(behind) {
        Some(b',') => Ok((name, elements(data, behind + 1, limits, checks)?)),
        Some(b']') => finished(data, behind + 1, (name, Args::NONE)),
        _ => Err(Malformed::Json),
    }
}

/// The arguments of an ack.
fn list<'a>(data: &'a str, limits: &Limits, checks: Checks) -> Result<Args<'a>, Malformed> {
    let bytes = data.as_bytes();
    if bytes.first() != Some(&b'[') {
        return Err(Malformed::Payload);
    }
    let start = json::skip_space(bytes, 1);
    if bytes.get(start) == Some(&b']') {
        return finished(data, start + 1, Args::NONE);
    }
    elements(data, start, limits, checks)
}

/// The elements of an array from the first of them that is an argument to the array's end, which is that of the text.
#[inline]
fn elements<'a>(data: &'a str, start: usize, limits: &Limits, checks: Checks) -> Result<Args<'a>, Malformed> {
    let bytes = data.as_bytes();
    let (mut at, mut count) = (start, 0);
    loop {
        at = json::value(bytes, json::skip_space(bytes, at), checks)?;
        count += 1;
        if count > limits.args_max {
            return Err(Malformed::TooManyArgs);
        }
        at = json::skip_space(bytes, at);
        match bytes.get(at) {
            Some(b',') => at += 1,
            Some(b']') => return finished(data, at + 1, Args::json(&data[start..at])),
            _ => return Err(Malformed::Json),
        }
    }
}

/// A payload that is no array: one value that begins with one of `openings`.
fn single<'a>(data: &'a str, openings: &[u8], checks: Checks) -> Result<Args<'a>, Malformed> {
    if !data.as_bytes().first().is_some_and(|first| openings.contains(first)) {
        return Err(Malformed::Payload);
    }
    let end = json::value(data.as_bytes(), 0, checks)?;
    finished(data, end, Args::json(&data[..end]))
}

/// `read`, if nothing but white space follows it.
#[inline]
fn finished<T>(data: &str, end: usize, read: T) -> Result<T, Malformed> {
    if json::skip_space(data.as_bytes(), end) == data.len() { Ok(read) } else { Err(Malformed::Json) }
}
