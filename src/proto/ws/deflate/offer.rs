//! The negotiation (RFC 7692 §5 and §7.1): what a client offers, what the server makes of it, and what it answers.
//!
//! An offer with a parameter that is unknown, there twice or of a wrong value is declined (§7): the next one may do. Where
//! none does, the connection is opened without compression. Called by the handshake.

use super::{Agreed, WINDOW_BITS};

/// What a client offers, in its order of preference.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offers(Vec<Offer>);

/// One offer that is as the RFC has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Given: with its value, of which 15 says as much as none.
    client_max_window_bits: Option<u8>,
}

/// What a server is ready for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The largest window of either side, as the binary logarithm of its bytes: 9 to 15.
    pub window_bits: u8,
    /// The server may keep the context of what it has sent.
    pub server_takeover: bool,
    /// The server may keep the context of what the client has sent.
    pub client_takeover: bool,
}

impl Offers {
    /// The offers of permessage-deflate in the values of `Sec-WebSocket-Extensions`, field by field. What is no list of
    /// extensions offers nothing from there on to its field's end.
    pub fn parse<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut offers = Vec::new();
        for field in fields {
            let mut rest = Some(field);
            while let Some(bytes) = rest {
                let Some((offer, behind)) = element(bytes) else { break };
                offers.extend(offer);
                rest = behind;
            }
        }
        Self(offers)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What comes of the first offer that can be accepted; nothing where none can.
    pub fn agree(&self, terms: Terms) -> Agreed {
        self.0.iter().find_map(|offer| offer.accept(terms)).map_or(Agreed::NOTHING, |(agreed, _)| agreed)
    }

    /// Appends the value of the answer's `Sec-WebSocket-Extensions`, for what [`agree`](Self::agree) has come to with the same
    /// terms.
    pub fn answer(&self, terms: Terms, out: &mut Vec<u8>) {
        let Some((agreed, offer)) = self.0.iter().find_map(|offer| offer.accept(terms)) else { return };
        out.extend_from_slice(b"permessage-deflate");
        if !agreed.server_takeover() {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if !agreed.client_takeover() {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        let mut bits = |name: &str, bits: u8| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(if bits < 10 { &[] } else { b"1" });
            out.push(b'0' + bits % 10);
        };
        // §7.1.2.1: an offer that has it is accepted by saying it.
        if offer.server_max_window_bits.is_some() || agreed.server_bits() < *WINDOW_BITS.end() {
            bits("; server_max_window_bits=", agreed.server_bits());
        }
        // §7.1.2.2: it may be said only to a client that has said it.
        if offer.client_max_window_bits.is_some() && agreed.client_bits() < *WINDOW_BITS.end() {
            bits("; client_max_window_bits=", agreed.client_bits());
        }
    }
}

impl Offer {
    /// What comes of it. Declined is only a window for us to use that no compressor of ours has.
    fn accept(&self, terms: Terms) -> Option<(Agreed, Self)> {
        let server_bits = self.server_max_window_bits.unwrap_or(*WINDOW_BITS.end()).min(terms.window_bits);
        if !WINDOW_BITS.contains(&server_bits) {
            return None;
        }
        // Who has not offered to limit its window may use all of it.
        let client_bits =
            self.client_max_window_bits.map_or(*WINDOW_BITS.end(), |bits| bits.min(terms.window_bits));
        let agreed = Agreed::windows(server_bits, client_bits).takeover(
            terms.server_takeover && !self.server_no_context_takeover,
            terms.client_takeover && !self.client_no_context_takeover,
        );
        Some((agreed, *self))
    }

    /// Takes a parameter in; `None` where it makes the offer one to decline.
    fn set(&mut self, name: &[u8], value: Option<&[u8]>) -> Option<()> {
        let flag = |flag: &mut bool| (!std::mem::replace(flag, true) && value.is_none()).then_some(());
        let bits = |slot: &mut Option<u8>, bits: Option<u8>| slot.replace(bits?).is_none().then_some(());
        match name {
            b"server_no_context_takeover" => flag(&mut self.server_no_context_takeover),
            b"client_no_context_takeover" => flag(&mut self.client_no_context_takeover),
            b"server_max_window_bits" => bits(&mut self.server_max_window_bits, value.and_then(window)),
            b"client_max_window_bits" => {
                bits(&mut self.client_max_window_bits, value.map_or(Some(*WINDOW_BITS.end()), window))
            }
            _ => None,
        }
    }
}

/// 8 to 15, without leading zeros (§7.1.2.1).
fn window(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Reads an element of the list (RFC 6455 §9.1): the offer, if it is one of ours and right, and what is behind the comma. `None`
/// where it is no extension at all.
fn element(bytes: &[u8]) -> Option<(Option<Offer>, Option<&[u8]>)> {
    let mut rest = bytes.trim_ascii_start();
    if rest.is_empty() {
        return Some((None, None));
    }
    if let Some(behind) = rest.strip_prefix(b",") {
        return Some((None, Some(behind)));
    }
    let name = token(&mut rest)?;
    let mut offer = name.eq_ignore_ascii_case(b"permessage-deflate").then(Offer::default);
    loop {
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some((offer, None)),
            Some((b',', behind)) => return Some((offer, Some(behind))),
            Some((b';', behind)) => rest = behind.trim_ascii_start(),
            Some(_) => return None,
        }
        let name = token(&mut rest)?;
        rest = rest.trim_ascii_start();
        let mut value = None;
        if let Some(behind) = rest.strip_prefix(b"=") {
            rest = behind.trim_ascii_start();
            value = Some(match rest.strip_prefix(b"\"") {
                Some(quoted) => {
                    // What is quoted has to be a token all the same, and so has no use for an escape.
                    let mut inside = quoted;
                    let value = token(&mut inside)?;
                    rest = inside.strip_prefix(b"\"")?;
                    value
                }
                None => token(&mut rest)?,
            });
        }
        offer = offer.and_then(|mut offer| offer.set(name, value).map(|()| offer));
    }
}

/// Takes a token off the front.
fn token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = rest.iter().position(|byte| !is_token(byte)).unwrap_or(rest.len());
    let (token, behind) = rest.split_at(end);
    *rest = behind;
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Terms = Terms { window_bits: 15, server_takeover: true, client_takeover: true };
    const NONE: Terms = Terms { window_bits: 15, server_takeover: false, client_takeover: false };

    fn answer(terms: Terms, field: &str) -> Option<String> {
        let offers = Offers::parse([field.as_bytes()].into_iter());
        let mut out = Vec::new();
        offers.answer(terms, &mut out);
        assert_eq!(offers.agree(terms).is_on(), !out.is_empty(), "{field}");
        (!out.is_empty()).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_offered_and_what_is_answered() {
        let bare = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let small = Terms { window_bits: 11, ..ALL };
        for (terms, offered, expected) in [
            (NONE, "permessage-deflate", bare),
            (NONE, "Permessage-Deflate", bare),
            (ALL, "permessage-deflate", "permessage-deflate"),
            // What browsers offer, and Node's ws.
            (NONE, "permessage-deflate; client_max_window_bits", bare),
            (ALL, "permessage-deflate; client_max_window_bits", "permessage-deflate"),
            (
                ALL,
                "permessage-deflate; client_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
            ),
            (
                ALL,
                "permessage-deflate;server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                ALL,
                "permessage-deflate; server_max_window_bits=15",
                "permessage-deflate; server_max_window_bits=15",
            ),
            (
                ALL,
                "permessage-deflate; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9",
            ),
            (
                ALL,
                "permessage-deflate; server_max_window_bits=\"12\"",
                "permessage-deflate; server_max_window_bits=12",
            ),
            (
                ALL,
                "permessage-deflate ; server_max_window_bits = 10",
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                ALL,
                "permessage-deflate; client_max_window_bits=8",
                "permessage-deflate; client_max_window_bits=8",
            ),
            (ALL, "permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
            (small, "permessage-deflate", "permessage-deflate; server_max_window_bits=11"),
            (
                small,
                "permessage-deflate; client_max_window_bits",
                "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11",
            ),
            (
                small,
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=14",
                "permessage-deflate; server_max_window_bits=11; client_max_window_bits=9",
            ),
            // The first that can be accepted.
            (NONE, "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", bare),
            (NONE, "foo; bar=\"baz\"; qux, permessage-deflate", bare),
            (NONE, ",, permessage-deflate; x, permessage-deflate,", bare),
            (
                ALL,
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10",
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                ALL,
                "permessage-deflate; server_max_window_bits=10, permessage-deflate",
                "permessage-deflate; server_max_window_bits=10",
            ),
        ] {
            assert_eq!(answer(terms, offered).as_deref(), Some(expected), "{offered}");
        }
    }

    #[test]
    fn what_is_declined() {
        for parameter in [
            "x",
            "x=1",
            "server_no_context_takeover=1",
            "server_no_context_takeover=\"\"",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=+9",
            "server_max_window_bits=15a",
            "server_max_window_bits=1 5",
            "server_max_window_bits=\"1\\5\"",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=\"\"",
            "client_max_window_bits=010",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits; client_max_window_bits=10",
            "Server_no_context_takeover",
            "",
            ";",
            "=",
            "server_max_window_bits=\"10",
        ] {
            assert_eq!(answer(ALL, &format!("permessage-deflate; {parameter}")), None, "{parameter}");
        }
        for field in [
            "",
            " ",
            ",",
            "permessage-deflat",
            "permessage-deflate-frame",
            "permessage deflate",
            "=",
            "\"permessage-deflate\"",
        ] {
            assert_eq!(answer(ALL, field), None, "{field}");
        }
    }

    #[test]
    fn offers_stand_in_one_field_or_in_several() {
        let fields = [
            &b"permessage-deflate; x"[..],
            b"foo=, permessage-deflate",
            b"permessage-deflate; server_max_window_bits=9",
        ];
        let offers = Offers::parse(fields.into_iter());
        assert_eq!(offers.0.len(), 1, "{offers:?}");
        assert_eq!(offers.agree(ALL).server_bits(), 9);
        assert!(!offers.is_empty() && Offers::parse([].into_iter()).is_empty());
    }

    /// Every combination of parameters in every order comes to what the RFC's rules say of it.
    #[test]
    fn every_combination_in_every_order() {
        let choices = [
            ["", "server_no_context_takeover", "server_no_context_takeover"],
            ["", "client_no_context_takeover", "client_no_context_takeover"],
            ["", "server_max_window_bits=9", "server_max_window_bits=13"],
            ["", "client_max_window_bits", "client_max_window_bits=10"],
        ];
        for terms in [ALL, NONE, Terms { window_bits: 12, server_takeover: true, client_takeover: false }] {
            for number in 0..81 * 4 {
                let picks = [number / 4 % 3, number / 12 % 3, number / 36 % 3, number / 108 % 3];
                let mut parameters: Vec<_> =
                    picks.iter().zip(choices).map(|(&pick, choice)| choice[pick]).collect();
                parameters.rotate_left(number % 4);
                let parameters = parameters.iter().filter(|parameter| !parameter.is_empty());
                let field =
                    parameters.fold(String::from("permessage-deflate"), |field, one| field + "; " + one);
                let agreed = Offers::parse([field.as_bytes()].into_iter()).agree(terms);
                let server = [15, 9, 13][picks[2]].min(terms.window_bits);
                let client = [15, terms.window_bits, 10.min(terms.window_bits)][picks[3]];
                let expected = Agreed::windows(server, client)
                    .takeover(terms.server_takeover && picks[0] == 0, terms.client_takeover && picks[1] == 0);
                assert_eq!(agreed, expected, "{field}");
            }
        }
    }
}
