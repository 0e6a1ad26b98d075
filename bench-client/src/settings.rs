//! The flags, checked against each other, in the form the run uses. No I/O, but that files which flags name are read.

use std::sync::Arc;

use throng::proto::ws::Opcode;

use crate::asked::Asked;
use crate::backoff::Backoff;
use crate::cli::{Cli, Common, Sources};
use crate::clock::SECOND;
use crate::disruption::Disruption;
use crate::openings::Dialects;
use crate::pace::Arrivals;
use crate::rooms::Rooms;
use crate::script::Script;
use crate::share;
use crate::slow::Slow;
use crate::socketio::SocketIo;
use crate::spoken::Transport;
use crate::table::Table;
use crate::wording::Wording;

/// What of a run this process does: all of it, unless several do it together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// The number of its first connection.
    pub(crate) first: u32,
    /// Connections of the whole run.
    pub(crate) whole: usize,
    /// The publisher, where there is one, is here.
    pub(crate) publishes: bool,
}

impl Part {
    /// The publisher's number: the first behind all others.
    pub(crate) fn publisher(self) -> u32 {
        self.whole as u32
    }
}

/// How echo messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// Not at all.
    None,
    /// Each connection keeps this many in flight.
    Closed(u32),
    /// This many per second over all connections, on a schedule.
    Open(u64),
    /// The same, until each connection has sent one.
    Once(u64),
}

/// How the publisher publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Publish {
    /// Nanoseconds from one publish to the next.
    pub(crate) every: u64,
    /// Messages at once.
    pub(crate) burst: u32,
}

/// Everything a run was asked for. Times are nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: &'static str,
    pub(crate) part: Part,
    pub(crate) load: Load,
    pub(crate) publish: Option<Publish>,
    /// The path throng serves this mode at.
    pub(crate) throng_path: &'static str,
    pub(crate) size: usize,
    pub(crate) opcode: Opcode,
    /// Messages that are due within this time of each other are due together.
    pub(crate) tick: u64,
    pub(crate) arrivals: Arrivals,
    /// What decides on everything that is drawn at random.
    pub(crate) seed: u64,
    /// The server sends the client's own frames back, masked.
    pub(crate) raw_echo: bool,
    /// The bytes from which messages are compressed, where they are.
    pub(crate) deflate: Option<usize>,
    /// The connecting is what is measured.
    pub(crate) is_storm: bool,
    /// What ends connections on purpose, and how they come back.
    pub(crate) disruption: Option<(Disruption, Backoff)>,
    /// Who reads slowly.
    pub(crate) slow: Option<Slow>,
    /// Who talks to whom.
    pub(crate) rooms: Option<Rooms>,
    /// How the end differs from the beginning is told.
    pub(crate) is_soak: bool,
    /// What is spoken, where it is not plain messages.
    pub(crate) socket_io: Option<SocketIo>,
    /// The same by connection, where it differs.
    pub(crate) dialects: Option<Arc<Dialects>>,
    /// What each connection says and hears first.
    pub(crate) script: Option<Arc<Script>>,
    /// The values of connections.
    pub(crate) table: Option<Arc<Table>>,
    /// What messages say, where they are no stamps.
    pub(crate) wording: Option<Wording>,
    /// How long the connections rest after their messages, until the server's memory is read.
    pub(crate) rest: u64,
    pub(crate) duration: u64,
    pub(crate) warmup: u64,
    pub(crate) drain: u64,
    pub(crate) reply_timeout: u64,
    pub(crate) connect_timeout: u64,
    pub(crate) common: Common,
}

impl Settings {
    /// Reads the flags.
    ///
    /// # Errors
    /// Which flag is wrong and what would be right.
    pub(crate) fn new(cli: Cli) -> Result<Self, String> {
        Self::of(Asked::of(cli.mode))
    }

    /// Checks what was asked for.
    ///
    /// # Errors
    /// Which flag is wrong and what would be right.
    pub(crate) fn of(asked: Asked) -> Result<Self, String> {
        let Asked {
            mode,
            throng_path,
            mut common,
            message,
            mut said,
            load,
            publish,
            pace,
            is_raw,
            is_storm,
            disruption,
            slow,
            rooms,
            is_soak,
        } = asked;
        if publish.is_some_and(|publish| publish.every < 1000) {
            return Err(
                "at most a million publishes per second are possible; use --burst for more messages".into()
            );
        }
        let table = match rooms {
            Some(rooms) => Some(rooms.lay_out(&mut common, &mut said.spoken)?),
            None => common.opening.table()?,
        };
        let wording =
            message.words.wording(table.as_ref(), publish.is_some() || rooms.is_some(), said.is_acked)?;
        said.is_binary = message.binary && mode != "idle";
        said.size = wording.is_none().then_some(message.size);
        let (socket_io, dialects) =
            Dialects::new(said.clone(), table.as_ref(), common.connections + usize::from(publish.is_some()))?;
        let script = common.opening.script(table.as_ref(), socket_io.is_some())?;
        let throng_path = if socket_io.is_some() { "/socket.io/" } else { throng_path };
        if wording.is_some() && is_raw {
            return Err("--raw-echo sends stamps, and --send something else".into());
        }
        if let (Some(wording), true) = (&wording, socket_io.is_some()) {
            if message.binary {
                return Err("--send in Socket.IO is JSON: without --binary".into());
            }
            let args = format!("[{}]", wording.first(0));
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&args) {
                return Err(format!(
                    "--send in Socket.IO is the arguments of an event, JSON with commas, and {args} is none: {error}"
                ));
            }
        }
        if socket_io.is_some() && is_raw {
            return Err("--raw-echo is about plain messages, not about Socket.IO".into());
        }
        let is_polling = socket_io.as_ref().is_some_and(|spoken| spoken.transport == Transport::Polling);
        let deflate = common.deflate.from();
        if deflate.is_some() && (is_raw || is_polling) {
            return Err(
                "--deflate compresses WebSocket messages: without --raw-echo and --transport polling".into(),
            );
        }
        if slow.is_some() && is_polling {
            return Err(
                "who polls asks for what is there: slow reading is for --transport websocket or upgrade"
                    .into(),
            );
        }
        let is_reader =
            |slow: Slow| (0..common.connections as u32).any(|number| share::has(slow.share, number));
        if slow.is_some_and(|slow| !is_reader(slow)) {
            return Err(format!(
                "--slow is none of {} connections: take a larger share, or more of them",
                common.connections
            ));
        }
        let is_chat = said.spoken.namespace.as_deref() != Some("/bench");
        if socket_io.is_some() && is_chat && common.url.is_none() && load != Load::None {
            return Err("name a Socket.IO server's URL: throng's own main namespace is a chat, and echoes in its namespace \
                        /bench (--namespace /bench)"
                .into());
        }
        if common.duration.is_zero() || common.connect_timeout.is_zero() || message.reply_timeout.is_zero() {
            return Err("--duration, --connect-timeout and --reply-timeout must not be zero".into());
        }
        if let Sources::Only(addresses) = &common.source
            && addresses.is_empty()
        {
            return Err("--source names no address".into());
        }
        let (mut duration, mut warmup) = (common.duration.as_nanos() as u64, common.warmup.as_nanos() as u64);
        let mut rest = 0;
        if let Load::Once(rate) = load {
            if common.url.is_some() && common.server_pid.is_none() {
                return Err(
                    "memory reads the memory of a process: name the server's with --server-pid".into()
                );
            }
            // The window ends a little after the last message is due.
            (rest, warmup) = (duration, 0);
            duration = (common.connections as f64 / rate as f64 * SECOND as f64) as u64 + SECOND / 100;
        }
        Ok(Self {
            mode,
            part: Part { first: 0, whole: common.connections, publishes: true },
            load,
            publish,
            throng_path,
            size: wording.as_ref().map_or(message.size, |wording| wording.first(0).len()),
            // A template is text, as people write it; a stamp is both.
            opcode: if message.text || (wording.is_some() && !message.binary) {
                Opcode::Text
            } else {
                Opcode::Binary
            },
            tick: pace.tick(),
            arrivals: pace.arrivals,
            seed: pace.seed,
            raw_echo: is_raw,
            deflate,
            is_storm,
            disruption,
            slow,
            rooms,
            is_soak,
            socket_io,
            dialects,
            script,
            table,
            wording,
            rest,
            duration,
            warmup,
            drain: message.drain.as_nanos() as u64,
            reply_timeout: message.reply_timeout.as_nanos() as u64,
            connect_timeout: common.connect_timeout.as_nanos() as u64,
            common,
        })
    }

    /// Connections that a server of this client's own has to have room for: the probe's and the publisher's too, and those
    /// that it has not seen the end of when they come again.
    pub(crate) fn room(&self) -> usize {
        let again = if self.disruption.is_some() { self.sockets() / 2 } else { 0 };
        self.sockets() + again + 16
    }

    /// Sockets the run needs: one for each connection and the publisher, or two where they poll.
    pub(crate) fn sockets(&self) -> usize {
        let is_polling = self.socket_io.as_ref().is_some_and(|spoken| spoken.transport == Transport::Polling);
        (self.common.connections + usize::from(self.publish.is_some())) * if is_polling { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn settings(line: &str) -> Result<Settings, String> {
        Settings::new(Cli::parse_from(std::iter::once("bench-client").chain(line.split(' '))))
    }

    #[test]
    fn memory_sends_once_per_connection_and_then_rests_for_the_duration() {
        let once = settings("memory -c 10k --rate 5k --duration 7s").unwrap();
        assert_eq!((once.load, once.rest, once.warmup), (Load::Once(5000), 7 * SECOND, 0));
        assert!((2 * SECOND..3 * SECOND).contains(&once.duration), "10,000 messages at 5,000/s: {once:?}");
        assert!(settings("memory ws://h/").unwrap_err().contains("--server-pid"));
        assert!(settings("memory ws://h/ --server-pid 1").is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            "idle --duration 0",
            "echo --reply-timeout 0s",
            "broadcast --rate 2M",
            "echo --ack",
            "idle --namespace /x",
            "echo --protocol socketio",
            "echo --protocol socketio ws://h/ --raw-echo",
            "echo --protocol socketio ws://h/ --size 19",
            "echo --protocol socketio ws://h/ --ack --reply-event x",
            "slow -c 9",
            "echo --raw-echo --deflate",
            "ack --transport polling --deflate",
            "mixed --publish-event x",
            "mixed --protocol socketio ws://h/ --delivery-event connect",
        ] {
            assert!(settings(line).is_err(), "{line}");
        }
    }
}
