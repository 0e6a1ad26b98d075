//! From what was measured to the report: rates, shares, checks and warnings. No I/O but
//! what the machine says of itself.

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::comeback::Comeback;
use crate::curve::Curve;
use crate::distribution::{Distribution, Times};
use crate::drift::Drift;
use crate::kind::{not_in_kind, without_loss};
use crate::machine::{Machine, command};
use crate::pace::Arrivals;
use crate::reach::Reach;
use crate::report::{
    Broadcast, ClientUse, Connect, DeflateUse, Over, Report, SCHEMA, ServerUse, TlsUse, failures,
};
use crate::saturation::{self, Seen};
use crate::series::Series;
use crate::settings::{Load, Settings};
use crate::shared::Shared;
use crate::slow::SlowUse;
use crate::stats::{Stats, Tally, histogram};

/// What the main thread and the workers measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) stats: Stats,
    pub(crate) series: Series,
    pub(crate) pid: Option<u32>,
    pub(crate) is_local: bool,
    pub(crate) connect_seconds: f64,
    pub(crate) window_seconds: f64,
    /// Nanoseconds per thread in the window.
    pub(crate) server_cpu: Option<Vec<u64>>,
    pub(crate) own_cpu: Vec<u64>,
    /// The same while connecting.
    pub(crate) connect_cpu: Vec<u64>,
    pub(crate) memory_before: Option<u64>,
    pub(crate) memory_connected: Option<u64>,
    pub(crate) memory_rested: Option<u64>,
    pub(crate) memory_end: Option<u64>,
    pub(crate) bytes_per_connection: Option<f64>,
    pub(crate) bytes_per_rested_connection: Option<f64>,
    pub(crate) own_bytes_per_connection: Option<f64>,
    pub(crate) slab_bytes_per_connection: Option<f64>,
}

/// Puts the report together; the statistics come back for the histogram file.
pub(crate) fn summarise(
    shared: &Shared,
    url: String,
    own_fd_tables: bool,
    measured: Measured,
    mut warnings: Vec<String>,
    interrupted: bool,
) -> (Report, Stats) {
    let settings = &shared.settings;
    let Measured { mut stats, window_seconds, .. } = measured;
    let tally = stats.tally;
    let seconds = window_seconds.max(1e-9);
    let messages = tally.received_in_window + tally.delivered_in_window;
    let cores = |threads: &[u64]| threads.iter().sum::<u64>() as f64 / 1e9 / seconds;
    let per_message = |threads: &[u64]| {
        (messages > 0).then(|| threads.iter().sum::<u64>() as f64 / 1000.0 / messages as f64)
    };
    let slip = Times::of(stats.slip.window());
    let (response, delivery) = (Times::of(stats.response.window()), Times::of(stats.delivery.window()));
    let has_sent = tally.sent + tally.published > 0;
    let slow = SlowUse::of(settings, &mut stats);
    // Slow readers have lines of their own: of the others a publish reaches all or not.
    let members = settings.common.connections as u64 - slow.as_ref().map_or(0, |slow| slow.connections);
    let loop_lag = Times::of(stats.lag.window()).filter(|_| has_sent);
    let connect = Times::of(stats.connect.window());
    let busiest = |threads: &[u64], seconds: f64| match settings.common.spin {
        // A thread that never sleeps is always busy.
        true => 0.0,
        false => threads.iter().max().copied().unwrap_or(0) as f64 / 1e9 / seconds.max(1e-9),
    };
    let seen = if settings.is_storm {
        let busiest_thread = busiest(&measured.connect_cpu, measured.connect_seconds);
        Seen { busiest_thread, slip, lag: None, times: connect }
    } else if has_sent {
        let busiest_thread = busiest(&measured.own_cpu, seconds);
        Seen { busiest_thread, slip, lag: loop_lag, times: response.or(delivery) }
    } else {
        Seen::default()
    };
    let mut saturated = saturation::reasons(&seen);
    if settings.common.allow_saturated || settings.common.spin {
        warnings.append(&mut saturated);
    }
    if tally.foreign > 0 {
        warnings.push(format!("{} messages were ignored: they came before anything was sent, or are events that nobody waits for", tally.foreign));
    }
    let other_kind = not_in_kind(settings, &tally, stats.strange.as_deref());
    let judged = if other_kind.is_some() { without_loss(&tally) } else { tally };
    if other_kind.is_none() {
        warnings.extend(silence(settings, &tally));
    }
    if tally.untimed > 0 {
        warnings.push(format!(
            "{} messages have no response time: above 65,536 under way on one connection, where replies carry a number, the \
             oldest are forgotten",
            tally.untimed
        ));
    }
    let expects_echoes = expects_echoes(settings, interrupted) && other_kind.is_none();
    let is_heard = settings.publish.is_some() || settings.rooms.is_some();
    let mut failures = failures(&judged, expects_echoes, is_heard && !interrupted);
    failures.extend(other_kind);
    let comeback = settings.disruption.map(|(what, _)| Comeback::of(what, &mut stats));
    if let Some(comeback) = comeback.as_ref().filter(|_| !interrupted) {
        failures.extend(comeback.failures());
    }
    if tally.opened == 0 && failures.is_empty() {
        failures.push("no connection was opened".into());
    }
    let server = measured.pid.zip(measured.server_cpu).map(|(pid, cpu)| ServerUse {
        pid,
        cores: cores(&cpu),
        cpu_microseconds_per_message: per_message(&cpu),
        memory_before: measured.memory_before,
        memory_connected: measured.memory_connected,
        memory_rested: measured.memory_rested,
        memory_end: measured.memory_end,
        bytes_per_connection: measured.bytes_per_connection,
        bytes_per_rested_connection: measured.bytes_per_rested_connection,
    });
    let window = shared.window();
    let first_delivery = deliveries(&stats, window, |reach| reach.first);
    let last_delivery = deliveries(&stats, window, |reach| reach.last);
    let outputs = &settings.common.outputs;
    let distributions = [
        ("response", stats.response.window()),
        ("service", stats.service.window()),
        ("delivery", stats.delivery.window()),
        ("first_delivery", &first_delivery),
        ("last_delivery", &last_delivery),
        ("connect", stats.connect.window()),
        ("slip", stats.slip.window()),
        ("tls_handshake", stats.handshake.window()),
    ];
    let distributions = distributions
        .into_iter()
        .filter_map(|(name, times)| Some((name, Distribution::of(times)?)))
        .collect();
    let mut report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        name: outputs.name(settings.mode),
        command: command(std::env::args()),
        ended_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        seed: settings.seed,
        machine: Machine::read(),
        mode: settings.mode,
        url,
        load: load(settings),
        connections: settings.common.connections,
        workers: shared.live.len(),
        nodes: Vec::new(),
        own_fd_tables,
        raw_echo: settings.raw_echo,
        deflate: settings.deflate.map(|bytes_min| DeflateUse { bytes_min }),
        spoken: settings.socket_io.as_ref().map(|spoken| {
            let is_chat = settings.rooms.is_some();
            let has_echoes = settings.load != Load::None && !is_chat;
            spoken.describe(has_echoes, settings.publish.is_some() || is_chat)
        }),
        tick_microseconds: tick(settings),
        size: settings.size,
        interrupted,
        window_seconds,
        connect: Connect {
            seconds: measured.connect_seconds,
            per_second: tally.opened as f64 / measured.connect_seconds.max(1e-9),
            times: connect,
            ramp: settings
                .is_storm
                .then(|| Curve::of(stats.ramp.window(), settings.common.connections as u64)),
        },
        tls: shared.trust.as_ref().map(|_| TlsUse {
            handshakes: tally.handshakes,
            resumed: tally.resumed,
            spoken: stats
                .tls
                .iter()
                .map(|((version, suite), n)| (format!("{version} {suite}"), *n))
                .collect(),
            times: Times::of(stats.handshake.window()),
        }),
        tally: Tally { lost: judged.lost, ..tally },
        strange: stats.strange.take(),
        echoes_per_second: tally.received_in_window as f64 / seconds,
        deliveries_per_second: tally.delivered_in_window as f64 / seconds,
        response,
        service: Times::of(stats.service.window()),
        delivery,
        first_delivery: Times::of(&first_delivery),
        last_delivery: Times::of(&last_delivery),
        broadcast: settings.publish.map(|_| broadcast(&stats, window, members)),
        slip,
        loop_lag,
        slow,
        drift: if settings.is_soak { Drift::of(&measured.series.samples()) } else { None },
        comeback,
        server,
        kernel_slab_bytes_per_connection: measured.slab_bytes_per_connection,
        client: ClientUse {
            cores: cores(&measured.own_cpu),
            cpu_microseconds_per_message: per_message(&measured.own_cpu),
            busiest_thread: measured.own_cpu.iter().max().copied().unwrap_or(0) as f64 / 1e9 / seconds,
            bytes_per_connection: measured.own_bytes_per_connection,
        },
        errors: std::mem::take(&mut stats.errors),
        warnings,
        saturated,
        failures,
        series: Over {
            interval_seconds: outputs.interval() as f64 / 1e9,
            samples: measured.series.samples(),
        },
        distributions,
    };
    let gates = &outputs.fail_if;
    report.failures.extend(gates.iter().filter_map(|gate| gate.failure(&report)).collect::<Vec<_>>());
    (report, stats)
}

/// What is likely wrong where much was sent and nothing at all has arrived; `None` where something has.
pub(crate) fn silence(settings: &Settings, tally: &Tally) -> Option<String> {
    let spoken = settings.socket_io.as_ref();
    if tally.published > 0 && tally.delivered == 0 {
        let what =
            format!("{} messages were published and none has arrived at another connection", tally.published);
        return Some(match spoken {
            Some(spoken) if settings.rooms.is_some() => format!("{what}: {}", spoken.saying()),
            Some(spoken) => format!("{what}: {}", spoken.relaying()),
            None if tally.returned > 0 => format!(
                "{what}, but they come back to their publisher: this path echoes; broadcast needs one that relays to all \
                 others, as throng's /topic/NAME does, and mixed one that does both, as its /bench"
            ),
            None => format!(
                "{what}: the server has to relay what one connection sends to all others on the URL's path, as throng does \
                 on /topic/NAME, and for mixed on /bench"
            ),
        });
    }
    if let Some(said) = not_in_kind(settings, tally, None) {
        return Some(said);
    }
    if tally.sent > 0 && tally.received == 0 {
        let what = format!("{} messages were sent and none has come back", tally.sent);
        return Some(match spoken {
            Some(spoken) => format!("{what}: {}", spoken.echoing()),
            None => format!(
                "{what}: the server has to send each back to its sender as it came, as throng does on /"
            ),
        });
    }
    None
}

fn expects_echoes(settings: &Settings, interrupted: bool) -> bool {
    settings.load != Load::None && settings.rooms.is_none() && !interrupted
}

/// The tick of an open loop that has one.
fn tick(settings: &Settings) -> Option<f64> {
    matches!(settings.load, Load::Open(_) if settings.tick > 1).then(|| settings.tick as f64 / 1000.0)
}

/// Per publish: the time until a certain one of its subscribers had it.
fn deliveries(stats: &Stats, window: (u64, u64), when: impl Fn(&Reach) -> u64) -> Histogram<u64> {
    let mut times = histogram(3);
    for reach in
        stats.reach.iter().filter(|reach| reach.count > 0 && (window.0..window.1).contains(&reach.intended))
    {
        times.saturating_record(when(reach).saturating_sub(reach.intended));
    }
    times
}

/// How many publishes of the window reached everybody.
fn broadcast(stats: &Stats, window: (u64, u64), members: u64) -> Broadcast {
    let measured = || {
        stats
            .reach
            .iter()
            .filter(move |reach| reach.count > 0 && (window.0..window.1).contains(&reach.intended))
    };
    let complete = measured().filter(|reach| reach.count >= members).count();
    let (publishes, complete) = (measured().count() as u64, complete as u64);
    Broadcast { members, publishes, complete, clock_error_microseconds: 0.0 }
}

fn load(settings: &Settings) -> String {
    let (size, time) = (settings.size, std::time::Duration::from_nanos);
    let echo = match settings.load {
        Load::None => None,
        Load::Closed(pipeline) => Some(format!("closed loop, {pipeline} in flight per connection, {size} B")),
        Load::Open(rate) => {
            let ticks = match settings.tick {
                1 => String::new(),
                tick => format!(" in ticks of {:?}", time(tick)),
            };
            let drawn = match settings.arrivals {
                Arrivals::Constant => String::new(),
                Arrivals::Poisson => format!(", Poisson arrivals (seed {})", settings.seed),
            };
            Some(format!("open loop, {rate} messages/s{ticks}{drawn}, {size} B"))
        }
        Load::Once(rate) => Some(format!(
            "one message of {size} B on each connection, {rate}/s, and {:?} of rest",
            time(settings.rest)
        )),
    };
    let publish = settings
        .publish
        .map(|publish| format!("{} published every {:?}, {size} B", publish.burst, time(publish.every)));
    let rooms = settings
        .rooms
        .map(|rooms| format!("each to the others of {} rooms of {}", rooms.count, rooms.members));
    let parts: Vec<_> = echo.into_iter().chain(publish).chain(rooms).collect();
    if parts.is_empty() { "idle".into() } else { parts.join("; ") }
}
