//! The flags, checked against each other, in the form the run uses. No I/O.

use crate::cli::{Cli, Common, Message, Mode, Sources};
use crate::clock::SECOND;
use crate::frame::opcode;

/// How echo messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    /// Not at all.
    None,
    /// Each connection keeps this many in flight.
    Closed(u32),
    /// This many per second over all connections, on a schedule.
    Open(u64),
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
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) mode: &'static str,
    pub(crate) load: Load,
    pub(crate) publish: Option<Publish>,
    /// The path throng serves this mode at.
    pub(crate) throng_path: &'static str,
    pub(crate) size: usize,
    pub(crate) opcode: u8,
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
        let (mode, throng_path, common, message, load, publish) = match cli.mode {
            Mode::Idle { common } => ("idle", "/", common, Message::default(), Load::None, None),
            Mode::Echo { common, message, rate, pipeline } => {
                ("echo", "/", common, message, rate.map_or(Load::Closed(pipeline), Load::Open), None)
            }
            Mode::Broadcast { common, message, every, rate, burst } => {
                let every = rate.map_or(every.as_nanos() as u64, |rate| SECOND / rate);
                ("broadcast", "/topic/bench", common, message, Load::None, Some(Publish { every, burst }))
            }
            Mode::Mixed { common, message, rate, broadcast_every, burst } => {
                let every = broadcast_every.as_nanos() as u64;
                ("mixed", "/bench", common, message, Load::Open(rate), Some(Publish { every, burst }))
            }
        };
        if publish.is_some_and(|publish| publish.every < 1000) {
            return Err(
                "at most a million publishes per second are possible; use --burst for more messages".into()
            );
        }
        if common.duration.is_zero() || common.connect_timeout.is_zero() || message.reply_timeout.is_zero() {
            return Err("--duration, --connect-timeout and --reply-timeout must not be zero".into());
        }
        if let Sources::Only(addresses) = &common.source
            && addresses.is_empty()
        {
            return Err("--source names no address".into());
        }
        Ok(Self {
            mode,
            load,
            publish,
            throng_path,
            size: message.size,
            opcode: if message.text { opcode::TEXT } else { opcode::BINARY },
            duration: common.duration.as_nanos() as u64,
            warmup: common.warmup.as_nanos() as u64,
            drain: message.drain.as_nanos() as u64,
            reply_timeout: message.reply_timeout.as_nanos() as u64,
            connect_timeout: common.connect_timeout.as_nanos() as u64,
            common,
        })
    }

    /// Sockets the run needs: one per connection, and one for the publisher.
    pub(crate) fn sockets(&self) -> usize {
        self.common.connections + usize::from(self.publish.is_some())
    }
}
