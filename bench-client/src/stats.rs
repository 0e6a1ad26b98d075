//! What a worker counts and times. Written by its thread alone; merged when the run is over.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::reach::Reach;
use crate::tls::Shaken;

/// The longest time a histogram tells apart: 1,100 s, what a stamp can carry.
const NANOSECONDS_MAX: u64 = 1_100_000_000_000;
/// Publishes whose first and last deliveries are tracked; 32 B each.
const PUBLISHES_TRACKED_MAX: usize = 1 << 20;

/// An empty histogram of nanoseconds with `digits` significant digits.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOSECONDS_MAX, digits)
        .expect("1 to 1.1e12 with at most 5 digits is in bounds")
}

macro_rules! tally {
    ($($(#[$doc:meta])* $field:ident,)+) => {
        /// Plain counts over the whole run, the warm-up included.
        #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
        pub(crate) struct Tally { $($(#[$doc])* pub(crate) $field: u64,)+ }

        impl Tally {
            /// Adds another worker's counts.
            pub(crate) fn add(&mut self, other: &Self) { $(self.$field += other.$field;)+ }

            /// By how much they have grown since `before`.
            #[must_use]
            pub(crate) fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(before.$field),)+ }
            }

            /// Connections that are open.
            pub(crate) fn connected(&self) -> u64 {
                (self.opened + self.reopened).saturating_sub(self.closed_by_server + self.cut)
            }
        }
    };
}

tally! {
    /// Echo messages sent.
    sent,
    /// Echo messages that came back.
    received,
    /// Of those, how many while it was measured.
    received_in_window,
    /// Messages published.
    published,
    /// Published messages that reached a subscriber.
    delivered,
    /// Of those, how many while it was measured.
    delivered_in_window,
    /// Published messages that came back to their publisher. Some servers send them so; they are no deliveries.
    returned,
    /// Messages that came to a member of another room.
    misrouted,
    /// Messages that never arrived.
    lost,
    /// Messages that arrived again.
    duplicated,
    /// Messages that arrived after a later one.
    reordered,
    /// Messages that came back changed, or to a connection that did not send them.
    corrupt,
    /// Messages from the server before anything was sent (greetings), and events that nobody waits for: ignored.
    foreign,
    /// Messages that are no replies by `--match`: other traffic.
    unmatched,
    /// Messages that were forgotten before their reply came, for more than 65,536 of one connection were under way: their
    /// replies have no times.
    untimed,
    /// Messages due that could not be sent: the connection was gone or too much was queued on it.
    unsent,
    /// Times a closed-loop connection heard nothing for the reply timeout.
    timeouts,
    /// Connections that the server ended.
    closed_by_server,
    /// Connections open.
    opened,
    /// Connections ended on purpose: by this client, or with a server that was to be restarted.
    cut,
    /// Connections open again after they were.
    reopened,
    /// Connections that were to come back and had not when the run ended.
    away,
    /// Messages in flight on connections that were cut.
    abandoned,
    /// Messages due on connections that were away.
    absent,
    /// Connections that could not be opened.
    failed,
    /// Further attempts at opening a connection.
    retries,
    /// TLS handshakes that were carried through.
    handshakes,
    /// Of those, how many resumed an earlier session.
    resumed,
    /// Bytes read from sockets.
    bytes_in,
    /// Bytes handed to sockets.
    bytes_out,
    /// Messages sent compressed.
    deflated,
    /// Their bytes.
    deflated_from_bytes,
    /// Bytes of their compressed payloads.
    deflated_to_bytes,
    /// Messages that came compressed.
    inflated,
    /// Bytes of their compressed payloads.
    inflated_from_bytes,
    /// Their bytes.
    inflated_to_bytes,
}

/// Times of one kind: the measured window, and the last second for the progress line.
#[derive(Debug)]
pub(crate) struct Recorder {
    window: Histogram<u64>,
    live: Histogram<u64>,
    run: Run,
}

/// Equal values in a row. Pipelined answers that arrive together were sent together, so they are recorded once.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    value: u64,
    in_window: bool,
    count: u64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { window: histogram(3), live: histogram(2), run: Run::default() }
    }

    /// Records one time in nanoseconds.
    pub(crate) fn record(&mut self, value: u64, in_window: bool) {
        if (value, in_window) != (self.run.value, self.run.in_window) {
            self.settle();
            self.run = Run { value, in_window, count: 0 };
        }
        self.run.count += 1;
    }

    fn settle(&mut self) {
        let Run { value, in_window, count } = std::mem::take(&mut self.run);
        if count > 0 {
            self.live.saturating_record_n(value, count);
            if in_window {
                self.window.saturating_record_n(value, count);
            }
        }
    }

    /// Moves what was recorded since the last call into `into`.
    pub(crate) fn drain_live(&mut self, into: &mut Histogram<u64>) {
        self.settle();
        if !self.live.is_empty() {
            into.add(&self.live).expect("all live histograms have the same bounds");
            self.live.reset();
        }
    }

    /// Adds times of the measured window that were recorded elsewhere.
    ///
    /// # Errors
    /// That they are of another kind of histogram.
    pub(crate) fn restore(&mut self, times: &Histogram<u64>) -> Result<(), String> {
        self.window.add(times).map_err(|error| error.to_string())
    }

    /// The times of the measured window.
    pub(crate) fn window(&mut self) -> &Histogram<u64> {
        self.settle();
        &self.window
    }
}

/// All that a worker knows about its part of the run.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) tally: Tally,
    /// From the intended time to the echo.
    pub(crate) response: Recorder,
    /// From the actual sending to the echo; kept for open loops, equal to the response time in closed ones.
    pub(crate) service: Recorder,
    /// From the intended time to the delivery at one subscriber.
    pub(crate) delivery: Recorder,
    /// From the intended time to the actual sending.
    pub(crate) slip: Recorder,
    /// How late the loop came to its chores.
    pub(crate) lag: Recorder,
    /// From the first attempt to the end of the handshake.
    pub(crate) connect: Recorder,
    /// From the end of a connection, or from when all were cut, until it was open again.
    pub(crate) back: Recorder,
    /// From the beginning of the run to the end of the handshake.
    pub(crate) ramp: Recorder,
    /// From the first to the last byte of a TLS handshake.
    pub(crate) handshake: Recorder,
    /// Versions and cipher suites of TLS, and how often.
    pub(crate) tls: BTreeMap<(Cow<'static, str>, Cow<'static, str>), u64>,
    /// By number of publish.
    pub(crate) reach: Vec<Reach>,
    /// The same of the slow readers, where there are any.
    pub(crate) slow: Option<Box<Self>>,
    /// Why attempts at coming back failed, in words, and how often.
    pub(crate) setbacks: BTreeMap<String, u64>,
    /// What went wrong, in words, and how often.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The beginning of the first message that was nothing that was waited for.
    pub(crate) strange: Option<String>,
}

/// Characters of a strange message that are told.
const STRANGE_CHARS_MAX: usize = 120;

/// The beginning of a message, to be told on one line.
#[cold]
pub(crate) fn strange(message: &[u8]) -> String {
    let begins = String::from_utf8_lossy(&message[..message.len().min(4 * STRANGE_CHARS_MAX)]);
    let mut told: String = begins.chars().take(STRANGE_CHARS_MAX).flat_map(char::escape_debug).collect();
    told = told.replace("\\\"", "\"");
    if told.len() < message.len() {
        told.push('…');
    }
    told
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::default(),
            response: Recorder::new(),
            service: Recorder::new(),
            delivery: Recorder::new(),
            slip: Recorder::new(),
            lag: Recorder::new(),
            connect: Recorder::new(),
            ramp: Recorder::new(),
            back: Recorder::new(),
            handshake: Recorder::new(),
            tls: BTreeMap::new(),
            reach: Vec::new(),
            slow: None,
            setbacks: BTreeMap::new(),
            errors: BTreeMap::new(),
            strange: None,
        }
    }

    /// Counts an error under its sentence.
    pub(crate) fn error(&mut self, sentence: impl Into<String>) {
        *self.errors.entry(sentence.into()).or_default() += 1;
    }

    /// Takes note of a TLS handshake that has just ended, if one has.
    pub(crate) fn shaken(&mut self, shaken: Option<Shaken>) {
        let Some(Shaken { took, spoken, is_resumed }) = shaken else { return };
        self.tally.handshakes += 1;
        self.tally.resumed += u64::from(is_resumed);
        self.handshake.record(took.as_nanos() as u64, true);
        *self.tls.entry((spoken.0.into(), spoken.1.into())).or_default() += 1;
    }

    /// Takes note that publish `number` reached one more subscriber.
    pub(crate) fn reached(&mut self, number: u32, intended: u64, now: u64) {
        let index = number as usize;
        if index >= PUBLISHES_TRACKED_MAX {
            return;
        }
        if index >= self.reach.len() {
            self.reach.resize(index + 1, Reach::default());
        }
        self.reach[index].join(Reach { intended, first: now, last: now, count: 1 });
    }

    /// What it times, by name.
    pub(crate) fn recorders(&mut self) -> [(&'static str, &mut Recorder); 9] {
        [
            ("response", &mut self.response),
            ("service", &mut self.service),
            ("delivery", &mut self.delivery),
            ("slip", &mut self.slip),
            ("lag", &mut self.lag),
            ("connect", &mut self.connect),
            ("ramp", &mut self.ramp),
            ("back", &mut self.back),
            ("handshake", &mut self.handshake),
        ]
    }

    /// Adds another worker's part.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.tally.add(&other.tally);
        for ((_, mine), (_, theirs)) in self.recorders().into_iter().zip(other.recorders()) {
            mine.window.add(theirs.window()).expect("all windows have the same bounds");
        }
        self.reach.resize(self.reach.len().max(other.reach.len()), Reach::default());
        for (mine, theirs) in self.reach.iter_mut().zip(other.reach) {
            mine.join(theirs);
        }
        self.strange = self.strange.take().or(other.strange);
        for (spoken, count) in other.tls {
            *self.tls.entry(spoken).or_default() += count;
        }
        match (&mut self.slow, other.slow) {
            (Some(mine), Some(theirs)) => mine.merge(*theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
        for (sentence, count) in other.setbacks {
            *self.setbacks.entry(sentence).or_default() += count;
        }
        for (sentence, count) in other.errors {
            *self.errors.entry(sentence).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_in_a_row_are_all_counted_and_only_the_window_is_kept() {
        let mut recorder = Recorder::new();
        for (value, in_window) in [(5, false), (5, true), (5, true), (9, true), (5, true)] {
            recorder.record(value, in_window);
        }
        let mut live = histogram(2);
        recorder.drain_live(&mut live);
        assert_eq!((live.len(), recorder.window().len()), (5, 4));
        assert_eq!((recorder.window().count_at(5), recorder.window().max()), (3, 9));
    }

    #[test]
    fn workers_add_up() {
        let (mut one, mut two) = (Stats::new(), Stats::new());
        one.tally.sent = 2;
        two.tally.sent = 3;
        two.response.record(77, true);
        one.error("x");
        two.error("x");
        one.reached(0, 10, 20);
        two.reached(1, 11, 30);
        two.reached(0, 10, 25);
        one.merge(two);
        assert_eq!((one.tally.sent, one.response.window().len(), one.errors["x"]), (5, 1, 2));
        let reach = one.reach.iter().map(|reach| (reach.intended, reach.first, reach.last, reach.count));
        assert_eq!(reach.collect::<Vec<_>>(), [(10, 20, 25, 2), (11, 30, 30, 1)]);
    }
}
