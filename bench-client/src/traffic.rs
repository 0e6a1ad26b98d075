//! The messages: building them, and judging and timing those that come back. Knows nothing of sockets but to hand
//! bytes to a connection; one per worker.

use std::io;
use std::sync::Arc;

use throng::proto::ws::deflate::Agreed;
use throng::proto::ws::{Message, Opcode, Role, Store};

use crate::conn::{Conn, Phase};
use crate::deflating;
use crate::openings::Dialects;
use crate::output::Output;
use crate::payload::{Kind, SEQUENCE_MASK, STAMP_BYTES, Stamp, elapsed, elapsed_between, filler};
use crate::polling::Lines;
use crate::scripted::Scripted;
use crate::sequence::Arrival;
use crate::settings::{Load, Settings};
use crate::socketio::SocketIo;
use crate::spoken::Transport;
use crate::stats::{Stats, strange};
use crate::worded::Worded;

/// Output above this is handed to the socket before more is built.
const OUT_BYTES_MAX: usize = 256 << 10;
/// With this much unsent on a connection, what is due there counts as unsent and is not queued.
const UNSENT_BYTES_MAX: usize = 16 << 20;

/// What a message of the run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A stamp and what fills it up.
    Stamped,
    /// The same within an event of Socket.IO.
    Event,
    /// In an event that is the connection's own.
    OwnEvent,
    /// In her own words, in an event or not.
    Worded,
}

/// A worker's side of the conversation.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) stats: Stats,
    /// Frames for the connection at hand.
    pub(crate) output: Output,
    /// Where incomplete frames are kept.
    pub(crate) store: Store,
    /// The measured window on the run's clock: from, to.
    pub(crate) window: (u64, u64),
    /// Whether messages are expected yet.
    pub(crate) started: bool,
    /// Whose frames come in: a byte echo sends the client's own back, so they are read as a server would.
    pub(crate) role: Role,
    /// Whether they may be compressed.
    pub(crate) agreed: Agreed,
    pipeline: u32,
    is_open_loop: bool,
    publisher: Option<u32>,
    pub(crate) rooms: Option<crate::rooms::Rooms>,
    form: Form,
    pub(crate) opcode: Opcode,
    /// What follows the stamp in every message.
    filler: Vec<u8>,
    /// What is spoken, where it is not plain messages.
    pub(crate) socket_io: Option<SocketIo>,
    /// The same by connection, where it differs.
    pub(crate) dialects: Option<Arc<Dialects>>,
    /// What messages say, where they are no stamps.
    pub(crate) worded: Option<Box<Worded>>,
    /// What each connection says and hears first, where there is such a thing.
    pub(crate) scripted: Option<Box<Scripted>>,
    /// What sessions need that poll.
    pub(crate) lines: Option<Lines>,
}

impl Traffic {
    /// The traffic of worker `index`.
    pub(crate) fn new(settings: &Settings, index: usize) -> Self {
        let (pipeline, is_open_loop) = match settings.load {
            Load::None => (0, false),
            Load::Closed(pipeline) => (pipeline, false),
            Load::Open(_) | Load::Once(_) => (0, true),
        };
        let output = Output::new(index as u64 + 1);
        let spoken = settings.socket_io.as_ref();
        let is_polling = spoken.is_some_and(|spoken| spoken.transport == Transport::Polling);
        Self {
            stats: Stats::new(),
            output: match settings.deflate {
                _ if is_polling => output.of_payloads(),
                Some(bytes_min) => output.deflating(bytes_min),
                None => output,
            },
            agreed: if settings.deflate.is_some() { deflating::AGREED } else { Agreed::NOTHING },
            lines: None,
            store: Store::new(),
            window: (u64::MAX, u64::MAX),
            started: false,
            role: if settings.raw_echo { Role::Server } else { Role::Client },
            pipeline,
            is_open_loop,
            rooms: settings.rooms,
            publisher: settings.publish.map(|_| settings.part.publisher()),
            form: match (&settings.wording, spoken) {
                (Some(_), _) => Form::Worded,
                (None, Some(_)) if settings.dialects.as_ref().is_some_and(|own| own.is_lasting) => {
                    Form::OwnEvent
                }
                (None, Some(_)) => Form::Event,
                (None, None) => Form::Stamped,
            },
            opcode: settings.opcode,
            filler: filler(settings.size, STAMP_BYTES),
            socket_io: settings.socket_io.clone(),
            dialects: settings.dialects.clone(),
            worded: settings.wording.clone().map(|wording| Box::new(Worded::new(wording, index as u64 + 1))),
            scripted: settings.script.clone().map(|script| Box::new(Scripted::new(script, index as u64 + 1))),
        }
    }

    /// Appends one message of `conn` to the output.
    fn append(&mut self, conn: &mut Conn, kind: Kind, intended: u64, now: u64) {
        let slip = now.saturating_sub(intended);
        let stamp = Stamp { kind, connection: conn.number, sequence: conn.sent, intended, slip };
        match self.form {
            Form::Stamped => self.output.append_stamped(self.opcode, stamp.encode(), &self.filler),
            Form::Event => {
                if let Some(socket_io) = &self.socket_io {
                    socket_io.append(&mut self.output, &stamp);
                }
            }
            Form::OwnEvent => {
                if let Some(speech) = conn.rest.as_deref().and_then(|rest| rest.speech.as_ref()) {
                    speech.append(&mut self.output, &stamp);
                }
            }
            Form::Worded => self.append_worded(conn, &stamp),
        }
        conn.sent = (conn.sent + 1) & SEQUENCE_MASK;
    }

    /// Sends the messages of `conn` that were due at `times`, in one go.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn send_due(
        &mut self,
        conn: &mut Conn,
        kind: Kind,
        times: impl Iterator<Item = u64>,
        now: u64,
    ) -> io::Result<()> {
        for intended in times {
            if conn.phase != Phase::Open || conn.unsent_bytes() > UNSENT_BYTES_MAX {
                self.stats.tally.unsent += 1;
                continue;
            }
            self.append(conn, kind, intended, now);
            match kind {
                Kind::Echo => self.stats.tally.sent += 1,
                Kind::Publish => self.stats.tally.published += 1,
            }
            let in_window = self.is_in_window(intended);
            self.stats.slip.record(now.saturating_sub(intended), in_window);
            self.flush_if_large(conn)?;
        }
        self.flush(conn)
    }

    /// Closed loop: appends messages until as many as wanted are under way. Call `flush` after it.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn refill(&mut self, conn: &mut Conn, now: u64) -> io::Result<()> {
        if !self.started || now >= self.window.1 || conn.is_publisher {
            return Ok(());
        }
        let under_way = conn.echoes.outstanding(conn.sent);
        if under_way == 0 {
            conn.heard_ms = (now / 1_000_000) as u32;
        }
        for _ in under_way..self.pipeline {
            self.append(conn, Kind::Echo, now, now);
            self.stats.tally.sent += 1;
            self.flush_if_large(conn)?;
        }
        Ok(())
    }

    fn flush_if_large(&mut self, conn: &mut Conn) -> io::Result<()> {
        if self.output.as_bytes().len() >= OUT_BYTES_MAX { self.flush(conn) } else { Ok(()) }
    }

    /// Hands the output to the connection: one send.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn flush(&mut self, conn: &mut Conn) -> io::Result<()> {
        let bytes = self.output.as_bytes().len();
        if bytes == 0 {
            return Ok(());
        }
        if self.post(conn)? {
            return Ok(());
        }
        self.stats.tally.bytes_out += bytes as u64;
        conn.send(&mut self.output)
    }

    /// Brings the counts up to what was compressed and inflated.
    pub(crate) fn count_compressed(&mut self) {
        let (tally, sent, came) = (&mut self.stats.tally, self.output.deflated(), self.store.inflated);
        (tally.deflated, tally.deflated_from_bytes, tally.deflated_to_bytes) =
            (sent.messages, sent.from_bytes, sent.to_bytes);
        tally.inflated = came.messages as u64;
        tally.inflated_from_bytes = came.bytes_in as u64;
        tally.inflated_to_bytes = came.bytes_out as u64;
    }

    /// Judges one whole message that arrived on `conn` at `now`.
    pub(crate) fn message(&mut self, conn: &mut Conn, message: Message<'_>, now: u64) {
        let payload = message.as_bytes();
        let stamp = match Stamp::decode(payload) {
            Some(stamp) if message.opcode() == self.opcode && payload[STAMP_BYTES..] == self.filler => stamp,
            _ if !self.started => {
                self.stats.tally.foreign += 1;
                return;
            }
            _ => {
                self.stats.tally.corrupt += 1;
                self.stats.strange.get_or_insert_with(|| strange(payload));
                return;
            }
        };
        self.stamped(conn, &stamp, now);
    }

    /// Judges a message by its stamp, once the rest of it is known to be right.
    #[inline]
    pub(crate) fn stamped(&mut self, conn: &mut Conn, stamp: &Stamp, now: u64) {
        match stamp.kind {
            Kind::Echo if self.is_own_echo(conn, stamp) => self.echo(conn, stamp, now),
            Kind::Publish if self.publisher == Some(stamp.connection) => {
                if conn.is_publisher {
                    self.stats.tally.returned += 1;
                } else {
                    self.delivery(conn, stamp, now);
                }
            }
            _ => self.heard_in_room(conn, stamp, now),
        }
    }

    /// Whether `conn` really sent this: its number, and one of the last 2²⁷ sequence numbers.
    fn is_own_echo(&self, conn: &Conn, stamp: &Stamp) -> bool {
        let age = conn.sent.wrapping_sub(stamp.sequence) & SEQUENCE_MASK;
        stamp.connection == conn.number && (1..=SEQUENCE_MASK / 2).contains(&age)
    }

    fn echo(&mut self, conn: &mut Conn, stamp: &Stamp, now: u64) {
        conn.heard_ms = (now / 1_000_000) as u32;
        if !self.judge(conn.echoes.arrive(stamp.sequence)) {
            return;
        }
        self.stats.tally.received += 1;
        self.stats.tally.received_in_window += u64::from(self.is_in_window(now));
        let response = elapsed(stamp, now);
        if self.is_open_loop {
            // A message belongs to the window by the time it was due, so a stall at the end is not cut off.
            let in_window = self.is_in_window(now.saturating_sub(response));
            self.stats.response.record(response, in_window);
            self.stats.service.record(response.saturating_sub(stamp.slip), in_window);
        } else {
            let in_window = self.is_in_window(now);
            self.stats.response.record(response, in_window);
        }
    }

    /// Judges a reply to a message whose time is not known any more.
    #[cold]
    pub(crate) fn untimed(&mut self, conn: &mut Conn, stamp: &Stamp, now: u64) {
        if !self.is_own_echo(conn, stamp) {
            self.stats.tally.corrupt += 1;
            return;
        }
        conn.heard_ms = (now / 1_000_000) as u32;
        if self.judge(conn.echoes.arrive(stamp.sequence)) {
            self.stats.tally.received += 1;
            self.stats.tally.received_in_window += u64::from(self.is_in_window(now));
        }
    }

    fn delivery(&mut self, conn: &mut Conn, stamp: &Stamp, now: u64) {
        if !self.judge(conn.publishes.arrive(stamp.sequence)) {
            return;
        }
        self.stats.tally.delivered += 1;
        self.stats.tally.delivered_in_window += u64::from(self.is_in_window(now));
        let response = elapsed_between(stamp, now);
        let intended = now.saturating_sub(response);
        let in_window = self.is_in_window(intended);
        self.stats.delivery.record(response, in_window);
        self.stats.reached(stamp.sequence, intended, now);
    }

    /// Counts what an arrival means; whether it is the first of its message.
    pub(crate) fn judge(&mut self, arrival: Arrival) -> bool {
        match arrival {
            Arrival::Expected | Arrival::Ahead => {}
            Arrival::Reordered => self.stats.tally.reordered += 1,
            Arrival::Duplicate => self.stats.tally.duplicated += 1,
        }
        arrival != Arrival::Duplicate
    }

    pub(crate) fn is_in_window(&self, time: u64) -> bool {
        self.window.0 <= time && time < self.window.1
    }

    #[cfg(test)]
    pub(crate) fn for_test(flags: &str) -> Self {
        Self::of(&flags.split_whitespace().collect::<Vec<_>>())
    }

    #[cfg(test)]
    pub(crate) fn of(flags: &[&str]) -> Self {
        use clap::Parser;
        let flags = ["bench-client", "echo"].iter().chain(flags);
        let settings = Settings::new(crate::cli::Cli::parse_from(flags)).unwrap();
        let mut traffic = Self::new(&settings, 0);
        traffic.started = true;
        traffic
    }
}

#[cfg(test)]
mod tests;
