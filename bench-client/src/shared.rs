//! What the main thread and the workers share: the run's times, and a place for each worker's last second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::clock::{Clock, SECOND};
use crate::moments::Moments;
use crate::openings::Openings;
use crate::settings::Settings;
use crate::stats::Tally;
use crate::trust::Trust;

/// Not decided yet.
pub(crate) const NEVER: u64 = u64::MAX;
/// Workers tell how far they are at every whole multiple of this on the run's clock, so that an interval of several
/// workers is the same one for all.
pub(crate) const LIVE_EVERY: u64 = SECOND / 10;

/// One run, seen from every thread. Times are on its clock and [`NEVER`] until they are decided.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) handshake: Openings,
    /// Of a run over TLS.
    pub(crate) trust: Option<Trust>,
    pub(crate) clock: Clock,
    /// Sending starts.
    pub(crate) traffic_from: AtomicU64,
    /// Measuring starts.
    pub(crate) window_from: AtomicU64,
    /// Measuring and sending end.
    pub(crate) window_to: AtomicU64,
    /// Nothing is waited for any more.
    pub(crate) drain_to: AtomicU64,
    /// All connections are cut, or were.
    pub(crate) cut_at: AtomicU64,
    /// With rooms, by connection: how many messages it sent, once that is known.
    pub(crate) said: Vec<AtomicU32>,
    /// Workers that have told that.
    pub(crate) told: AtomicUsize,
    /// Messages published so far.
    pub(crate) published: AtomicU64,
    /// Those are all.
    pub(crate) is_all_published: AtomicBool,
    /// Workers that have all their connections open or given up.
    pub(crate) settled: AtomicUsize,
    /// Workers for which nothing is under way any more.
    pub(crate) drained: AtomicUsize,
    /// No further connections are to be opened.
    pub(crate) abandon: AtomicBool,
    /// Connections are to be closed.
    pub(crate) close: AtomicBool,
    /// By worker.
    pub(crate) live: Vec<Mutex<Live>>,
}

/// What a worker says about itself while it runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) tally: Tally,
    /// Connections that are being opened.
    pub(crate) opening: u64,
    /// Times since the main thread last looked.
    pub(crate) moments: Moments,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        handshake: Openings,
        trust: Option<Trust>,
        workers: usize,
        clock: Clock,
    ) -> Self {
        let talkers = settings.rooms.map_or(0, |_| settings.common.connections);
        let said = std::iter::repeat_with(|| AtomicU32::new(0)).take(talkers).collect();
        let never = || AtomicU64::new(NEVER);
        let live = || Mutex::new(Live { tally: Tally::default(), opening: 0, moments: Moments::new() });
        Self {
            settings,
            handshake,
            trust,
            clock,
            traffic_from: never(),
            window_from: never(),
            window_to: never(),
            drain_to: never(),
            cut_at: never(),
            said,
            told: AtomicUsize::new(0),
            published: AtomicU64::new(0),
            is_all_published: AtomicBool::new(false),
            settled: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            abandon: AtomicBool::new(false),
            close: AtomicBool::new(false),
            live: std::iter::repeat_with(live).take(workers).collect(),
        }
    }

    /// The measured window: from, to.
    pub(crate) fn window(&self) -> (u64, u64) {
        (self.window_from.load(Relaxed), self.window_to.load(Relaxed))
    }
}
