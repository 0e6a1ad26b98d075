//! A run from its first check to its report, on the main thread: workers are started, told when to send and when to
//! stop, and what they saw is put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use throng::sys::cpu::thread_times;
use throng::sys::memory::{slab_bytes, user_memory};

use crate::clock::{Clock, SECOND};
use crate::disruption::{By, Disruption};
use crate::openings::Openings;
use crate::plan::Plan;
use crate::preflight::{self, Limits};
use crate::probe::probe;
use crate::remote::part::Gate;
use crate::report::Report;
use crate::sampler::Used;
use crate::server::Server;
use crate::settings::Settings;
use crate::shared::{NEVER, Shared};
use crate::stats::{Stats, Tally};
use crate::summary::{Measured, summarise};
use crate::target::Target;
use crate::trust::Trust;
use crate::watch::Watch;
use crate::worker::Worker;

/// Why there was no run.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The flags, or this host.
    Usage(String),
    /// The server.
    Server(String),
}

/// Bytes of a process's user memory that are its own share.
fn pss_bytes(pid: u32) -> Option<u64> {
    user_memory(pid).ok().map(|memory| memory.pss_bytes)
}

/// How often the main thread looks around. A look takes 10 µs, which is this client's CPU time as well.
const GLANCE: Duration = Duration::from_millis(5);

/// Within this time of the end a part of a run has heard how much was published, if anybody is there to say it.
const TOLD_WITHIN: u64 = 5 * SECOND;

/// Where runs without a URL go: a server of this client's own, started for the first of them.
#[derive(Debug, Default)]
pub(crate) struct Site {
    server: Option<Server>,
    /// Connections that it has to have room for, at least.
    pub(crate) room: usize,
    /// What joins this run to others, if it is a part of one.
    pub(crate) gate: Option<Gate>,
}

impl Site {
    /// Stops its server, if it has one: the next run has one that is as new.
    pub(crate) fn renew(&mut self) {
        self.server = None;
    }

    /// That of a part of a run.
    pub(crate) fn part(gate: Gate) -> Self {
        Self { gate: Some(gate), ..Self::default() }
    }
}

/// A run that is over and not summed up yet.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) shared: Arc<Shared>,
    url: String,
    own_tables: bool,
    pub(crate) measured: Measured,
    pub(crate) warnings: Vec<String>,
}

/// Carries out a run. `stop` ends it early.
///
/// # Errors
/// Why it could not be begun, in one line.
pub(crate) fn run(
    settings: Settings,
    site: &mut Site,
    stop: &Arc<AtomicBool>,
) -> Result<(Report, Stats), Refusal> {
    let Finished { shared, url, own_tables, measured, warnings } = measured(settings, site, stop)?;
    Ok(summarise(&shared, url, own_tables, measured, warnings, stop.load(Relaxed)))
}

/// The same without its report.
///
/// # Errors
/// As [`run`].
pub(crate) fn measured(
    mut settings: Settings,
    site: &mut Site,
    stop: &Arc<AtomicBool>,
) -> Result<Finished, Refusal> {
    if !settings.common.remote.workers.is_empty() {
        return Err(Refusal::Usage("--workers: a single run can be split, no search of several".into()));
    }
    let host = preflight::host();
    let url = settings.common.url.clone();
    let dummy = format!("ws://127.0.0.1:1{}", settings.throng_path);
    let first = Target::resolve(url.as_deref().unwrap_or(&dummy)).map_err(Refusal::Usage)?;
    let trust = Trust::new(&settings.common.tls, &first).map_err(Refusal::Usage)?;
    // A plan that cannot work is refused before a server is started for it.
    Plan::new(&settings, &first, host).map_err(Refusal::Usage)?;
    let url = match url {
        Some(url) => url,
        None => {
            if site.server.is_none() {
                let server = Server::start(site.room.max(settings.room())).map_err(Refusal::Server)?;
                site.server = Some(server);
            }
            let server = site.server.as_ref().expect("it was started where there was none");
            settings.common.server_pid = Some(server.pid());
            format!("ws://{}{}", server.address, settings.throng_path)
        }
    };
    let own_server = site.server.as_mut().filter(|_| settings.common.url.is_none());
    let target = Target::resolve(&url).map_err(Refusal::Usage)?;
    let transport = settings.socket_io.as_ref().map(|socket_io| socket_io.transport);
    let target = match transport {
        Some(transport) => target.into_engine_io(transport),
        None => target,
    };
    let plan = Plan::new(&settings, &target, host).map_err(Refusal::Usage)?;
    let pid = settings.common.server_pid;
    if pid.is_some_and(|pid| thread_times(pid).is_err()) {
        return Err(Refusal::Usage("--server-pid names no process".into()));
    }
    let is_local = target.address.ip().is_loopback();
    let mut warnings = Limits::read(is_local, pid.filter(|_| own_server.is_none())).warnings(
        &settings,
        plan.orders.len(),
        is_local,
    );
    warnings.extend(plan.crowd.clone());
    for warning in &warnings {
        eprintln!("bench-client: {warning}");
    }
    let common = &settings.common;
    let handshake = Openings::new(
        &target,
        transport,
        common.subprotocol.as_deref(),
        common.origin.as_deref(),
        &common.opening.fields(&common.headers),
        settings.table.as_ref(),
        settings.part.whole + usize::from(settings.publish.is_some()),
    )
    .map_err(Refusal::Usage)?
    .deflating(settings.deflate.is_some());
    probe(&target, &handshake.of(0), settings.socket_io.as_ref(), trust.as_ref(), common.connect_timeout)
        .map_err(Refusal::Server)?;

    let (own_tables, workers) = (plan.own_tables, plan.orders.len());
    let gate = site.gate.as_mut();
    let clock = gate.as_ref().map_or_else(Clock::start, |gate| gate.clock);
    let shared = Arc::new(Shared::new(settings, handshake, trust, workers, clock));
    let intervals = gate.as_ref().map(|gate| gate.intervals.clone());
    let watch = Watch::new(&shared, pid, intervals).map_err(Refusal::Usage)?;
    let mut run = Run { watch, shared, stop };
    let mut measured = run.measure(plan, pid, is_local, own_server, gate)?;
    measured.series = run.watch.finish(&run.shared).map_err(Refusal::Usage)?;
    Ok(Finished { shared: run.shared, url, own_tables, measured, warnings })
}

struct Run<'a> {
    shared: Arc<Shared>,
    stop: &'a AtomicBool,
    watch: Watch,
}

impl Run<'_> {
    fn measure(
        &mut self,
        plan: Plan,
        pid: Option<u32>,
        is_local: bool,
        mut server: Option<&mut Server>,
        mut gate: Option<&mut Gate>,
    ) -> Result<Measured, Refusal> {
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        let own = std::process::id();
        let mut measured = Measured { pid, ..Measured::default() };
        measured.memory_before = pid.and_then(pss_bytes);
        let (own_before, slab_before) = (pss_bytes(own), slab_bytes().ok());
        let (began, connecting) = (shared.clock.now(), Used::of(own));
        let threads = self.start(plan)?;

        let is_early = self.until("connect", |run| {
            run.shared.settled.load(Relaxed) == threads.len() || run.has_lost_a_worker(&threads)
        });
        measured.connect_cpu = Used::of(own).since(&connecting);
        measured.connect_seconds = (shared.clock.now() - began) as f64 / SECOND as f64;
        if is_early {
            shared.abandon.store(true, Relaxed);
        }
        let tally = self.tally();
        // The kernel frees and merges slabs a little later than it says.
        let settled_at = shared.clock.now() + SECOND / 5;
        self.until("settle", |run| run.shared.clock.now() >= settled_at);
        measured.memory_connected = pid.and_then(pss_bytes);
        // With few connections the fixed costs of a process and its buffers would be mistaken for theirs.
        let per_connection = |before: Option<u64>, after: Option<u64>| {
            let grown = (after? as f64 - before? as f64).max(0.0);
            (tally.opened >= 10_000).then(|| grown / tally.opened as f64)
        };
        measured.bytes_per_connection = per_connection(measured.memory_before, measured.memory_connected);
        measured.own_bytes_per_connection = per_connection(own_before, pss_bytes(own));
        measured.slab_bytes_per_connection = per_connection(slab_before, slab_bytes().ok());

        let from = self.start_of_sending(gate.as_deref_mut());
        let window = (from + settings.warmup, from + settings.warmup + settings.duration);
        shared.window_from.store(window.0, Relaxed);
        shared.window_to.store(window.1, Relaxed);
        shared.drain_to.store(window.1 + settings.drain, Relaxed);
        let mut restart = None;
        match settings.disruption {
            Some((Disruption::Cut { after, by: By::Client, .. }, _)) => {
                shared.cut_at.store(window.0 + after, Relaxed);
            }
            Some((Disruption::Cut { after, by: By::Kill(down), .. }, _)) => {
                // Its figures would be those of two processes.
                measured.pid = None;
                restart = Some((window.0 + after, window.0 + after + down));
            }
            _ => {}
        }
        // The window is known before sending starts: a message's place in it is decided when it is sent.
        shared.traffic_from.store(from, std::sync::atomic::Ordering::Release);
        let is_gone = |run: &mut Self| run.is_nobody_left() || run.has_lost_a_worker(&threads);
        self.until("warm up", |run| run.shared.clock.now() >= window.0 || is_gone(run));
        let (cpu, own_cpu, at) = (pid.map(Used::of), Used::of(own), shared.clock.now());
        let mut refused = None;
        self.until("measure", |run| {
            if let (Some((kill_at, back_at)), Some(server)) = (&mut restart, &mut server) {
                let now = run.shared.clock.now();
                if now >= *kill_at {
                    run.shared.cut_at.store(now, Relaxed);
                    server.kill();
                    *kill_at = u64::MAX;
                } else if *kill_at == u64::MAX && now >= *back_at {
                    refused = server.start_again().err();
                    restart = None;
                }
            }
            run.shared.clock.now() >= window.1 || is_gone(run) || refused.is_some()
        });
        if let Some(why) = refused {
            return Err(Refusal::Server(why));
        }
        let ended = shared.clock.now();
        measured.window_seconds = ended.saturating_sub(at) as f64 / SECOND as f64;
        measured.server_cpu = pid.zip(cpu).map(|(pid, before)| Used::of(pid).since(&before));
        measured.own_cpu = Used::of(own).since(&own_cpu);
        if ended < window.1 {
            shared.window_from.fetch_min(ended, Relaxed);
            shared.window_to.store(ended, Relaxed);
            shared.drain_to.store(ended + settings.drain.min(SECOND), Relaxed);
        }
        self.wait("drain", |run| {
            if let Some(gate) = &mut gate {
                gate.share_published(&run.shared);
            }
            run.shared.drained.load(Relaxed) == threads.len() || run.has_lost_a_worker(&threads)
        });
        if let Some(gate) = gate {
            self.wait_for_published(gate)?;
        }
        if settings.rest > 0 {
            let rested_at = shared.clock.now() + settings.rest;
            self.until("rest", |run| run.shared.clock.now() >= rested_at || is_gone(run));
            measured.memory_rested = pid.and_then(pss_bytes);
            let grown = measured.memory_rested.zip(measured.memory_before);
            measured.bytes_per_rested_connection =
                grown.map(|(after, before)| (after as f64 - before as f64) / tally.opened.max(1) as f64);
        }
        measured.memory_end = pid.and_then(pss_bytes);
        measured.is_local = is_local;
        shared.close.store(true, Relaxed);
        self.wait("close", |_| threads.iter().all(JoinHandle::is_finished));
        for thread in threads {
            let stats = thread.join().map_err(|_| Refusal::Usage("a worker panicked".into()))?;
            measured
                .stats
                .merge(stats.map_err(|error| Refusal::Usage(format!("a worker stopped: {error}")))?);
        }
        Ok(measured)
    }

    /// When sending starts: soon, or with the other parts of the run.
    fn start_of_sending(&mut self, gate: Option<&mut Gate>) -> u64 {
        if let Some(gate) = gate {
            gate.connected();
            let go = Arc::clone(&gate.go);
            if !self.until("wait", |_| go.load(Relaxed) != NEVER) {
                return go.load(Relaxed);
            }
        }
        self.shared.clock.now() + SECOND / 20
    }

    /// A part of a run waits until it knows how much was published: what it lost is counted by that.
    fn wait_for_published(&mut self, gate: &mut Gate) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let is_known = || shared.settings.publish.is_none() || shared.is_all_published.load(Relaxed);
        let until = shared.clock.now() + TOLD_WITHIN;
        self.wait("drain", |run| {
            gate.share_published(&run.shared);
            is_known() || run.shared.clock.now() >= until
        });
        gate.share_published(&shared);
        match is_known() {
            true => Ok(()),
            false => Err(Refusal::Usage(
                "nobody said how much was published, so what was lost is not known".into(),
            )),
        }
    }

    fn start(&self, plan: Plan) -> Result<Vec<JoinHandle<std::io::Result<Stats>>>, Refusal> {
        let own_tables = plan.own_tables;
        let spawn = |(index, order)| {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || Worker::new(shared, index, order, own_tables)?.run())
                .map_err(|error| Refusal::Usage(format!("a thread could not be started: {error}")))
        };
        plan.orders.into_iter().enumerate().map(spawn).collect()
    }

    /// Waits until something is so, showing progress; ends early, and says so, when the run is to stop.
    fn until(&mut self, phase: &'static str, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        while !is_so(self) {
            if self.stop.load(Relaxed) {
                return true;
            }
            self.glance(phase);
        }
        self.stop.load(Relaxed)
    }

    /// Waits until something is so that is bound to come, even when the run is to stop.
    fn wait(&mut self, phase: &'static str, mut is_so: impl FnMut(&Self) -> bool) {
        while !is_so(self) {
            self.glance(phase);
        }
    }

    fn glance(&mut self, phase: &'static str) {
        thread::sleep(GLANCE);
        self.watch.glance(&self.shared, phase);
    }

    fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for live in &self.shared.live {
            sum.add(&live.lock().unwrap_or_else(std::sync::PoisonError::into_inner).tally);
        }
        sum
    }

    fn is_nobody_left(&self) -> bool {
        if self.shared.settings.disruption.is_some() {
            return false;
        }
        let tally = self.tally();
        tally.connected() == 0
    }

    fn has_lost_a_worker(&self, threads: &[JoinHandle<std::io::Result<Stats>>]) -> bool {
        threads.iter().any(JoinHandle::is_finished)
    }
}
