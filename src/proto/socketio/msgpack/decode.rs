//! Reads a packet: `{type, nsp, data, id}` in any order; what else there may be in it is checked and not looked at.

use std::borrow::Cow;

use super::super::args::{Args, Form};
use super::super::decode::ACK_ID_MAX;
use super::super::packet::{Kind, Limits, Malformed, Packet, is_reserved};
use super::scan::{DEPTH_MAX, Head, Scanner, is_absent};

impl<'a> Packet<'a> {
    /// Reads a binary message that is a packet in MessagePack.
    ///
    /// # Errors
    /// Why the packet is refused.
    pub fn parse_msgpack(bytes: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(bytes);
        let Head::Map(members) = scanner.head()? else { return Err(Malformed::Msgpack) };
        let depth_max = limits.depth_max.min(DEPTH_MAX);
        let (mut kind, mut namespace, mut ack_id, mut data) = (None, None, None, None);
        for _ in 0..members {
            let Head::Text(length) = scanner.head()? else { return Err(Malformed::Msgpack) };
            let key = scanner.text(length)?;
            let value = scanner.rest();
            // One more than an argument has: the array of all of them.
            scanner.skip(depth_max + 1)?;
            let value = &value[..value.len() - scanner.rest().len()];
            match key {
                "type" => kind = Some(self::kind(value)?),
                "nsp" => namespace = Some(self::namespace(value, limits)?),
                "id" => ack_id = self::ack_id(value)?,
                "data" => data = Some(value).filter(|value| !is_absent(value)),
                _ => {}
            }
        }
        if !scanner.rest().is_empty() {
            return Err(Malformed::Msgpack);
        }
        let kind = kind.ok_or(Malformed::Kind)?;
        let (mut event, mut args) = (Cow::Borrowed(""), Args::NONE);
        match (kind, data) {
            (Kind::Event, Some(data)) => (event, args) = named(data, limits)?,
            (Kind::Ack, Some(data)) => {
                let mut scanner = Scanner::new(data);
                let Head::Array(count) = scanner.head()? else { return Err(Malformed::Payload) };
                args = rest(&scanner, count, limits)?;
            }
            (Kind::Connect | Kind::Disconnect, None) => {}
            (Kind::Connect | Kind::ConnectError, Some(data)) => {
                match Scanner::new(data).head()? {
                    Head::Map(_) => {}
                    Head::Text(_) if kind == Kind::ConnectError => {}
                    _ => return Err(Malformed::Payload),
                }
                args = Args(Form::Msgpack { bytes: data, count: 1 });
            }
            _ => return Err(Malformed::Payload),
        }
        let namespace = namespace.ok_or(Malformed::Namespace)?;
        Ok(Self { kind, attachments: 0, namespace, ack_id, data: "", event, args })
    }
}

fn kind(value: &[u8]) -> Result<Kind, Malformed> {
    // There are no binary kinds here: every packet may have bytes in it.
    match Scanner::new(value).head()? {
        Head::Number(digit @ 0..=4) => Kind::from_digit(b'0' + digit as u8).ok_or(Malformed::Kind),
        _ => Err(Malformed::Kind),
    }
}

fn namespace<'a>(value: &'a [u8], limits: &Limits) -> Result<&'a str, Malformed> {
    let mut scanner = Scanner::new(value);
    let Head::Text(length) = scanner.head()? else { return Err(Malformed::Namespace) };
    if length > limits.namespace_bytes_max {
        return Err(Malformed::NamespaceTooLong);
    }
    let name = scanner.text(length)?;
    if !name.starts_with('/') {
        return Err(Malformed::Namespace);
    }
    Ok(name.split_once('?').map_or(name, |(path, _)| path))
}

fn ack_id(value: &[u8]) -> Result<Option<u64>, Malformed> {
    match Scanner::new(value).head()? {
        Head::Absent => Ok(None),
        Head::Number(id) if id <= ACK_ID_MAX => Ok(Some(id)),
        _ => Err(Malformed::AckId),
    }
}

/// The name and the arguments of an event.
fn named<'a>(data: &'a [u8], limits: &Limits) -> Result<(Cow<'a, str>, Args<'a>), Malformed> {
    let mut scanner = Scanner::new(data);
    let Head::Array(count) = scanner.head()? else { return Err(Malformed::Payload) };
    let count = count.checked_sub(1).ok_or(Malformed::EventName)?;
    let name = match scanner.head()? {
        Head::Text(length) if length > limits.event_bytes_max => return Err(Malformed::EventTooLong),
        Head::Text(length) => Cow::Borrowed(scanner.text(length)?),
        Head::Number(number) => Cow::Owned(number.to_string()),
        _ => return Err(Malformed::EventName),
    };
    if is_reserved(&name) {
        return Err(Malformed::EventReserved);
    }
    Ok((name, rest(&scanner, count, limits)?))
}

/// What the scanner has left, as `count` arguments.
fn rest<'a>(scanner: &Scanner<'a>, count: usize, limits: &Limits) -> Result<Args<'a>, Malformed> {
    let count = u32::try_from(count).ok().filter(|&count| count <= limits.args_max);
    let count = count.ok_or(Malformed::TooManyArgs)?;
    Ok(Args(Form::Msgpack { bytes: scanner.rest(), count }))
}
