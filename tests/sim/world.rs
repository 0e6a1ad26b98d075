//! One run: shards, peers and the handle on one thread, step by step, from one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use throng::base::metrics::Counters;
use throng::core::census::Census;
use throng::core::mail::Mail;
use throng::core::mailbox::{Outlet, mailbox};
use throng::core::shard::{Seed, Shard, Turn};
use throng::{Config, WhenFull};

use super::drain::Drain;
use super::faults::{FAULTS, Fault, Faults};
use super::io::{ASLEEP, SimIo};
use super::ledger::Ledger;
use super::net::{Backlog, Net, Poll, Shared};
use super::peer::{Kind, Peer};
use super::random::Random;
use super::seeds;
use super::service::{SimMail, SimService};

pub type SimShard = Shard<SimService, SimIo>;

/// What a run has counted.
#[derive(Default)]
pub struct Tally {
    pub steps: u64,
    pub turns: u64,
    pub peers: u64,
    pub opened: u64,
    pub messages: u64,
    pub faults: Vec<u64>,
}

impl seeds::Tally for Tally {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.turns += other.turns;
        self.peers += other.peers;
        self.opened += other.opened;
        self.messages += other.messages;
        self.faults.resize(FAULTS.len(), 0);
        self.faults.iter_mut().zip(&other.faults).for_each(|(sum, count)| *sum += count);
    }

    fn print(&self) {
        let Self { steps, turns, peers, opened, messages, .. } = self;
        println!(
            "{steps} steps, {turns} turns, {peers} connections, {opened} WebSockets, {messages} messages"
        );
        for ((_, name, _), count) in FAULTS.iter().zip(&self.faults) {
            println!("{count:>12} {name}");
        }
    }
}

pub struct World {
    pub random: Random,
    pub net: Shared<Net>,
    pub ledger: Shared<Ledger>,
    /// `None` once it has ended.
    pub shards: Vec<Option<SimShard>>,
    pub outlets: Vec<Outlet<Mail<SimMail>>>,
    pub counters: Vec<Arc<Counters>>,
    pub census: Arc<Census>,
    pub peers: Vec<Peer>,
    pub config: Arc<Config>,
    pub capacity: usize,
    pub turns: u64,
    pub steps: u64,
    /// When the last shard has ended.
    pub ended_us: u64,
    /// The drain that is under way.
    pub drain: Option<Drain>,
    peers_max: usize,
}

fn draw_config(random: &mut Random) -> Config {
    let mut config = Config::default();
    let slow = random.pick(&[1, 1, 4]);
    let mut ms = |low, high| Duration::from_millis((random.within(low, high) * slow) as u64);
    config.head_timeout = ms(20, 100);
    config.admit_timeout = ms(20, 80);
    config.close_timeout = ms(10, 50);
    config.stall_timeout = ms(20, 80);
    config.pong_timeout = ms(10, 40);
    config.ping_interval = ms(20, 80);
    config.silent_timeout = ms(50, 200);
    if random.chance(250) {
        config.ping_interval = Duration::ZERO;
    }
    config.message_timeout = Duration::from_millis(random.pick(&[0, 30, 300]));
    config.message_bytes_max = random.pick(&[9200, 20_000, 1 << 20]);
    config.fragments_max = 64;
    config.head_bytes_max = 4096;
    config.outbox_bytes_max = random.pick(&[1500, 6000, 20_000, 200_000]);
    config.outbox_bytes_high = config.outbox_bytes_max / random.within(1, 4);
    config.outbox_bytes_low = config.outbox_bytes_high / random.within(1, 4);
    config.topics_per_connection_max = random.pick(&[2, 100]);
    config.accepts_per_turn = random.within(1, 4);
    config.read_bytes_per_turn = random.pick(&[4096, 4096, 16_384, 65_536]);
    config.input_time_per_turn = Duration::from_micros(random.pick(&[0, 1, 4000]));
    config.handshakes_per_turn = random.within(1, 4);
    config.connections_per_ip_max = random.pick(&[0, 0, 0, 3, 8]);
    config.connections_per_prefix_max = random.pick(&[0, 0, 4, 10]);
    config.handshakes_max = random.pick(&[0, 0, 3, 10]);
    config.turn_max = random.pick(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(1)]);
    if random.chance(300) {
        config.when_full = WhenFull::Wait;
    }
    config.mails_per_turn = random.within(1, 8);
    config.deliveries_per_turn = random.pick(&[1, 20, 65_536]);
    config.flushes_per_turn = random.within(1, 6);
    let mut ms = |low, high| Duration::from_millis(random.within(low, high) as u64);
    (config.drain_delay, config.drain_time, config.stop_grace) = (ms(0, 20), ms(0, 80), ms(5, 60));
    config.drain_rate = random.pick(&[0, 50, 500, 5000]);
    if random.chance(700) {
        config.stop_grace = Duration::ZERO;
    }
    config.read_time_per_turn = Duration::from_micros([1, 10, 2000][config.flushes_per_turn % 3]);
    config.check().expect("the settings drawn are right");
    // Smaller than anybody may set them, so that they fill.
    config.incomplete_bytes_max = random.pick(&[10_000, 40_000, 64 << 20]);
    config.mailbox_slots = random.pick(&[2, 5, 16, 64]);
    config.mailbox_bytes_max = random.pick(&[200, 1000, 100_000]);
    config
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let config = Arc::new(draw_config(&mut random));
        let shards = random.within(3, 4);
        let is_own = random.chance(300);
        let capacity = random.pick(&[7, 20, 40, 40]);
        let max = if random.chance(200) { capacity * shards * 2 / 3 } else { capacity * shards };
        let fds_max = if is_own { capacity } else { capacity * shards };
        let fds_max = if random.chance(300) { fds_max * 2 / 3 } else { fds_max + 10 };
        let mut faults = Faults::draw(&mut random);
        let is_late = random.chance(300);
        if is_late {
            faults.count(Fault::ClockWrap, 1);
        }
        let net = Rc::new(RefCell::new(Net {
            random: random.fork(),
            faults,
            // 32 bits of milliseconds wrap around while it runs.
            now_us: if is_late {
                ((1 << 32) - random.within(1, 200) as u64) * 1000
            } else {
                random.below(1 << 30) as u64
            },
            sockets: Vec::new(),
            backlogs: (0..shards)
                .map(|_| Backlog { watched_by: vec![false; shards], ..Backlog::default() })
                .collect(),
            polls: (0..shards).map(|_| Poll::default()).collect(),
            fds: vec![0; if is_own { shards } else { 1 }],
            fds_max,
            head_timeout: config.head_timeout,
            violations: Vec::new(),
        }));
        let ledger = Shared::<Ledger>::default();
        let census = Arc::new(Census::new(shards, max));
        let counters: Vec<_> = (0..shards).map(|_| Arc::new(Counters::default())).collect();
        let (outlets, inboxes): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mailbox(config.mailbox_slots, config.mailbox_bytes_max)).unzip();
        let built = inboxes.into_iter().enumerate().map(|(shard, inbox)| {
            let seed = Seed {
                shard,
                config: config.clone(),
                counters: counters[shard].clone(),
                census: census.clone(),
                inbox,
                outlets: outlets.clone(),
                capacity,
                listeners: if is_own {
                    (0..shards).map(|number| number == shard).collect()
                } else {
                    vec![true]
                },
                turn_us: Arc::new(std::sync::Mutex::new(
                    hdrhistogram::Histogram::new(1).expect("1 is a precision"),
                )),
            };
            let service = SimService { ledger: ledger.clone(), net: net.clone(), random: random.fork() };
            let listeners = if is_own { (0..shards).collect() } else { vec![shard] };
            let io = SimIo { net: net.clone(), shard, table: if is_own { shard } else { 0 }, listeners };
            Some(Shard::new(seed, service, io))
        });
        let shards = built.collect();
        let peers_max = random.within(50, 80);
        Self {
            net,
            ledger,
            shards,
            outlets,
            counters,
            census,
            peers: Vec::new(),
            config,
            capacity,
            turns: 0,
            steps: 0,
            ended_us: 0,
            drain: None,
            peers_max,
            random,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        match self.random.below(1000) {
            0..=399 => {
                let shard = self.random.below(self.shards.len());
                let _ran = self.turn(shard)? || self.turn((shard + 1) % self.shards.len())?;
            }
            400..=919 => {
                // The younger ones are livelier, and those whose time is over do nothing.
                let oldest = if self.random.chance(500) { self.peers.len().saturating_sub(20) } else { 0 };
                let acts = self.random.within(1, 8);
                for _ in 0..acts.min(self.peers.len() * acts) {
                    let peer = self.random.within(oldest, self.peers.len() - 1);
                    let (net, ledger) = (&mut *self.net.borrow_mut(), &mut *self.ledger.borrow_mut());
                    self.peers[peer].act(net, ledger);
                }
            }
            920..=954 if self.peers.len() < self.peers_max => self.newcomer(),
            955..=974 => {
                let net = &mut *self.net.borrow_mut();
                net.now_us += self.random.below(3000) as u64;
                if net.strikes(Fault::ClockJump) {
                    net.now_us += self.random.within(1, 400) as u64 * 1000;
                }
            }
            975..=989 => self.unstick(),
            _ => self.handle(),
        }
        self.check()
    }

    fn unstick(&mut self) {
        let net = &mut *self.net.borrow_mut();
        for socket in 0..net.sockets.len() {
            if self.random.chance(500) {
                net.unstick(socket);
            }
        }
    }

    /// Runs a shard if its poll would return. True if it did.
    pub fn turn(&mut self, shard: usize) -> Result<bool, String> {
        if !self.net.borrow().may_run(shard) {
            return Ok(false);
        }
        let Some(running) = &mut self.shards[shard] else { return Ok(false) };
        self.turns += 1;
        match running.turn() {
            Ok(Turn::Again) => {}
            Ok(Turn::Ended) => {
                self.shards[shard] = None;
                self.ended_us = self.net.borrow().now_us;
                return Ok(true);
            }
            Err(error) if error.kind() == ASLEEP => return Ok(false),
            Err(error) => return Err(format!("shard {shard} cannot go on: {error}")),
        }
        self.check_limits(shard)?;
        Ok(true)
    }

    fn newcomer(&mut self) {
        let uid = self.peers.len() as u32 + 1;
        let kind = match self.random.below(100) {
            0..=74 => Kind::WebSocket,
            75..=89 => Kind::Http,
            90..=94 => Kind::Garbage,
            _ => Kind::Adopted,
        };
        let net = &mut *self.net.borrow_mut();
        let to_server_max = self.random.pick(&[500, 5000, 60_000]);
        let to_client_max = self.random.pick(&[300, 3000, 60_000]);
        let socket = net.socket(uid, to_server_max, to_client_max);
        let shard = self.random.below(self.shards.len());
        if kind == Kind::Adopted {
            self.adopt(net, shard, socket, uid);
        } else {
            net.connect(socket, shard);
        }
        let peer = Peer::new(uid, socket, kind, self.shards.len() as u32, self.random.fork());
        net.faults.count(Fault::StalledReader, u64::from(peer.read_rate == 0));
        net.faults.count(Fault::MalformedHead, u64::from(kind == Kind::Garbage));
        self.peers.push(peer);
    }
}

impl seeds::Run for World {
    type Tally = Tally;

    fn run(&mut self) -> Result<(), String> {
        let steps = self.random.within(2000, 3000) as u64;
        while self.steps < steps || self.peers.len() < self.peers_max {
            self.steps += 1;
            self.step()?;
        }
        self.settle_down()?;
        match self.random.below(3) {
            0 => self.all_leave(),
            1 => self.stop(),
            _ => self.drain(),
        }?;
        self.check_empty()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn tally(&self) -> Tally {
        let ledger = self.ledger.borrow();
        let mut faults = self.net.borrow().faults.counts.clone();
        let sum = |name: &str| {
            let all = self.counters.iter().flat_map(|counters| counters.each());
            all.filter(|counter| counter.0 == name).map(|counter| counter.1).sum::<u64>()
        };
        faults[Fault::HandlerPanic as usize] += ledger.planned_panics;
        faults[Fault::StaleLetter as usize] += ledger.stale_letters;
        for (fault, counter) in [
            (Fault::MailSpilled, "mails_spilled"),
            (Fault::PublishDropped, "publishes_dropped"),
            (Fault::OutboxFull, "outbox_full"),
            (Fault::ReadPaused, "reads_paused"),
            (Fault::TurnedAway, "full"),
            (Fault::AddressFull, "address_full"),
            (Fault::HandshakesFull, "handshakes_full"),
            (Fault::Overloaded, "overloaded"),
            (Fault::IncompleteFull, "incomplete_relieved"),
            (Fault::MessageLate, "message_timeout"),
        ] {
            faults[fault as usize] += sum(counter);
        }
        Tally {
            steps: self.steps,
            turns: self.turns,
            peers: self.peers.len() as u64,
            opened: sum("websockets_opened"),
            messages: ledger.messages,
            faults,
        }
    }
}
