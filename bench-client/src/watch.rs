//! The main thread's look around while the workers run: once an interval it gathers what they did, and hands it to the
//! series, the interval log and the progress line.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;

use crate::clock::SECOND;
use crate::hlog::Hlog;
use crate::moments::Moments;
use crate::progress::Progress;
use crate::sampler::Sampler;
use crate::series::{Interval, Series, Times};
use crate::shared::{LIVE_EVERY, Shared};
use crate::stats::Tally;
use crate::summary::silence;

/// How long nothing at all may arrive before that is said.
const SILENCE: u64 = 3 * SECOND;
/// Workers tell how far they are at whole multiples of [`LIVE_EVERY`]; so much later all of them have.
const LATER: u64 = LIVE_EVERY * 3 / 10;

#[derive(Debug)]
pub(crate) struct Watch {
    progress: Progress,
    series: Series,
    sampler: Sampler,
    hlog: Option<Hlog>,
    /// Where intervals go besides, from a part of a larger run.
    teller: Option<Sender<Interval>>,
    /// Nanoseconds, a multiple of [`LIVE_EVERY`].
    interval: u64,
    /// The end of the last interval.
    last_at: u64,
    last: Tally,
    /// What was recorded since then.
    moments: Moments,
    /// Whether it was said that nothing arrives.
    is_silence_told: bool,
}

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// That the interval log cannot be written.
    pub(crate) fn new(
        shared: &Shared,
        server: Option<u32>,
        teller: Option<Sender<Interval>>,
    ) -> Result<Self, String> {
        let common = &shared.settings.common;
        let now = shared.clock.now();
        Ok(Self {
            progress: Progress::new(common.quiet),
            series: Series::default(),
            sampler: Sampler::new(server, now),
            hlog: common.outputs.hlog().map(Hlog::create).transpose()?,
            teller,
            interval: common.outputs.interval().next_multiple_of(LIVE_EVERY),
            last_at: now,
            last: Tally::default(),
            moments: Moments::new(),
            is_silence_told: false,
        })
    }

    /// Looks whether an interval is over. Cheap when it is not.
    pub(crate) fn glance(&mut self, shared: &Shared, phase: &'static str) {
        let now = shared.clock.now();
        let end = (self.last_at / self.interval + 1) * self.interval;
        if now >= end + LATER {
            // Whoever came late to it, by a whole interval or more, has one longer interval.
            self.gather(shared, phase, now / self.interval * self.interval);
        }
    }

    fn gather(&mut self, shared: &Shared, phase: &'static str, at: u64) {
        let (mut tally, mut opening) = (Tally::default(), 0);
        for live in &shared.live {
            let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
            tally.add(&live.tally);
            opening += live.opening;
            live.moments.drain(&mut self.moments);
        }
        let used = self.sampler.sample(shared.clock.now());
        let from = self.last_at as f64 / SECOND as f64;
        let seconds = at.saturating_sub(self.last_at) as f64 / SECOND as f64;
        let interval = Interval {
            at: at as f64 / SECOND as f64,
            seconds,
            phase: phase.into(),
            open: tally.connected(),
            opening,
            grown: tally.since(&self.last),
            response: Times::of(&self.moments.response),
            delivery: Times::of(&self.moments.delivery),
            busiest_thread: used.busiest_thread,
            loop_lag: self.moments.lag.max() as f64 / 1000.0,
            server_cores: used.server_cores,
            server_bytes: used.server_bytes,
            slab_bytes: used.slab_bytes,
        };
        if let Some(hlog) = &mut self.hlog {
            hlog.append(from, seconds, &self.moments);
        }
        self.moments.reset();
        (self.last, self.last_at) = (tally, at);
        self.progress.show(&interval, &tally);
        if let Some(teller) = &self.teller {
            // Who does not listen any more does not want it.
            drop(teller.send(interval.clone()));
        }
        self.series.push(interval);
        let since = at.saturating_sub(shared.traffic_from.load(Relaxed));
        if !self.is_silence_told
            && since > SILENCE
            && let Some(line) = silence(&shared.settings, &tally)
        {
            self.is_silence_told = true;
            self.progress.end();
            eprintln!("bench-client: {line}");
        }
    }

    /// Takes what is left, once the workers are done, and ends the progress line and the log.
    ///
    /// # Errors
    /// That the interval log could not be written.
    pub(crate) fn finish(mut self, shared: &Shared) -> Result<Series, String> {
        let now = shared.clock.now();
        if now > self.last_at {
            self.gather(shared, "close", now);
        }
        self.progress.end();
        self.hlog.map_or(Ok(()), Hlog::finish)?;
        Ok(self.series)
    }
}
