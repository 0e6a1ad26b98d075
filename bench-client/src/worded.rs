//! The half of a worker's traffic that is about messages in her own words: filling them in, and finding what comes back.
//!
//! A run that sends stamps never comes here. Called by `traffic` to send, by `inbound` for every message of a WebSocket and
//! by `packets` for every reply of Socket.IO.

use throng::proto::ws::Message;

use crate::conn::Conn;
use crate::matching::Found;
use crate::output::Keys;
use crate::payload::{Kind, SEQUENCE_MASK, Stamp};
use crate::stats::strange;
use crate::traffic::Traffic;
use crate::wording::Wording;

/// What a worker needs for it.
#[derive(Debug)]
pub(crate) struct Worded {
    wording: Wording,
    draws: Keys,
    /// The message at hand.
    text: Vec<u8>,
}

impl Worded {
    pub(crate) fn new(wording: Wording, seed: u64) -> Self {
        Self { wording, draws: Keys::new(seed), text: Vec::new() }
    }
}

impl Traffic {
    /// Appends the message with this stamp, on `conn`, to the output.
    pub(crate) fn append_worded(&mut self, conn: &mut Conn, stamp: &Stamp) {
        let Self { worded: Some(worded), output, socket_io, opcode, stats, .. } = self else { return };
        let Worded { wording, draws, text } = &mut **worded;
        text.clear();
        wording.send.append(stamp, draws, text);
        let own = conn.rest.as_deref().and_then(|rest| rest.speech.as_deref());
        match own.or(socket_io.as_ref()) {
            None => output.append(*opcode, text),
            Some(socket_io) => socket_io.append_args(output, stamp, text),
        }
        if wording.is_numbered && stamp.kind == Kind::Echo {
            let is_room = conn.rest().in_flight.get_or_insert_default().sent(stamp);
            stats.tally.untimed += u64::from(!is_room);
        }
    }

    /// Judges one whole message that arrived on `conn` at `now`.
    pub(crate) fn worded(&mut self, conn: &mut Conn, message: Message<'_>, now: u64) {
        self.answer(conn, message.as_bytes(), None, now);
    }

    /// Judges a message, or the JSON of an event or an ack with its id.
    pub(crate) fn answer(&mut self, conn: &mut Conn, text: &[u8], ack_id: Option<u64>, now: u64) {
        let Some(worded) = &mut self.worded else { return };
        let found = match &mut worded.wording.matching {
            Some(matching) => matching.find(text, conn.number),
            None => ack_id.map(Found::Number),
        };
        match found {
            Some(Found::Stamp(stamp)) => {
                // The ring was filled all the same, and is not to grow.
                if let Some(in_flight) = conn.rest.as_deref_mut().and_then(|rest| rest.in_flight.as_mut()) {
                    _ = in_flight.answered(stamp.connection, stamp.sequence);
                }
                self.stamped(conn, &stamp, now);
            }
            Some(Found::Number(number)) => self.numbered(conn, number, now),
            None if !self.started => self.stats.tally.foreign += 1,
            None => {
                self.stats.tally.unmatched += 1;
                self.stats.strange.get_or_insert_with(|| strange(text));
            }
        }
    }

    /// Judges a reply by its number.
    fn numbered(&mut self, conn: &mut Conn, number: u64, now: u64) {
        let (connection, Ok(sequence @ 0..=SEQUENCE_MASK)) = (conn.number, u32::try_from(number)) else {
            self.stats.tally.corrupt += 1;
            return;
        };
        let in_flight = conn.rest.as_deref_mut().and_then(|rest| rest.in_flight.as_mut());
        match in_flight.and_then(|in_flight| in_flight.answered(connection, sequence)) {
            Some(stamp) => self.stamped(conn, &stamp, now),
            None => self.untimed(conn, &Stamp { sequence, ..Stamp::of_connection(connection) }, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::{Opening, Phase};

    fn parts(flags: &[&str]) -> (Conn, Traffic, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut conn = Conn::new(stream, 3, false, Opening::default());
        conn.phase = Phase::Open;
        conn.rest = None;
        let mut traffic = Traffic::of(flags);
        traffic.window = (0, 1_000_000);
        (conn, traffic, listener)
    }

    #[test]
    fn a_number_finds_its_time_and_what_comes_twice_late_or_never_is_counted() {
        let flags = ["--send", r#"{"id":${seq}}"#, "--match", "json:/id", "--rate", "1"];
        let (mut conn, mut traffic, _listener) = parts(&flags);
        for sequence in 0..4 {
            let now = 100 * (1 + u64::from(sequence));
            let stamp = Stamp { kind: Kind::Echo, connection: 3, sequence, intended: now - 40, slip: 40 };
            traffic.append_worded(&mut conn, &stamp);
            conn.sent += 1;
        }
        for (text, now) in [
            (r#"{"id":1}"#, 1200),
            (r#"{"id":0}"#, 1300),
            (r#"{"id":1}"#, 1400),
            (r#"{"note":"tick"}"#, 1500),
            (r#"{"id":3}"#, 1600),
            (r#"{"id":4}"#, 1700),
            (r#"{"id":99999999999}"#, 1800),
        ] {
            traffic.worded(&mut conn, Message::Text(text), now);
        }
        let tally = traffic.stats.tally;
        assert_eq!((tally.received, tally.reordered, tally.duplicated, tally.corrupt), (3, 1, 1, 2));
        assert_eq!((tally.unmatched, tally.untimed, conn.echoes.missing()), (1, 0, 1));
        assert_eq!(traffic.stats.strange.as_deref(), Some(r#"{"note":"tick"}"#));
        // 1200 - 160, 1300 - 60 and 1600 - 360, to three digits; the service time is without the slip of 40.
        let (response, service) =
            (traffic.stats.response.window().clone(), traffic.stats.service.window().clone());
        assert_eq!((response.min(), response.max(), response.len()), (1040, 1240, 3));
        assert_eq!((service.min(), service.max(), service.len()), (1000, 1200, 3));
    }

    #[test]
    fn a_stamp_needs_nothing_kept() {
        let (mut conn, mut traffic, _listener) = parts(&["--send", "say ${stamp}"]);
        let stamp = Stamp { kind: Kind::Echo, connection: 3, sequence: 0, intended: 10, slip: 0 };
        traffic.append_worded(&mut conn, &stamp);
        conn.sent = 1;
        let text = String::from_utf8(stamp.encode_text().to_vec()).unwrap();
        traffic.worded(&mut conn, Message::Text(&format!("You said {text}.")), 110);
        assert_eq!((traffic.stats.tally.received, traffic.stats.response.window().max()), (1, 100));
        assert!(conn.rest.is_none(), "a connection stays as small as ever");
    }
}
