//! One run: shards, clients and other threads on one thread, step by step, from one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use throng::base::config::FdTables;
use throng::core::shard::Turn;
use throng::io::IoConfig;
use throng::{Config, Handle, Seat, Server};

use super::app::describe;
use super::client::{Client, Cx, Times};
use super::faults::{FAULTS, Fault, Faults};
use super::io::{ASLEEP, SimIo};
use super::ledger::{Ledger, ledger};
use super::net::{Backlog, Net, Poll, Shared};
use super::random::Random;
use super::rows::{ROWS, Row};
use super::seeds;
use super::wire::Wire;

/// What a run has counted.
#[derive(Default)]
pub struct Tally {
    pub steps: u64,
    pub turns: u64,
    pub clients: u64,
    pub said: u64,
    pub heard: u64,
    pub faults: Vec<u64>,
    pub rows: Vec<u64>,
}

fn add(sum: &mut Vec<u64>, counts: &[u64]) {
    sum.resize(counts.len(), 0);
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

impl seeds::Tally for Tally {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.turns += other.turns;
        self.clients += other.clients;
        self.said += other.said;
        self.heard += other.heard;
        add(&mut self.faults, &other.faults);
        add(&mut self.rows, &other.rows);
    }

    fn print(&self) {
        let Self { steps, turns, clients, said, heard, .. } = self;
        println!(
            "{steps} steps, {turns} turns, {clients} clients, {said} messages of theirs, {heard} to them"
        );
        for ((_, name, _), count) in FAULTS.iter().zip(&self.faults).filter(|(fault, _)| fault.2 > 0) {
            println!("{count:>12} {name}");
        }
        for ((_, name), count) in ROWS.iter().zip(&self.rows) {
            println!("{count:>12} {name}");
        }
    }
}

pub struct World {
    pub random: Random,
    pub net: Shared<Net>,
    pub ledger: Shared<Ledger>,
    /// `None` once it has ended.
    pub shards: Vec<Option<Seat<SimIo>>>,
    pub handle: Handle,
    /// Shards that other threads have woken.
    woken: Arc<[AtomicBool]>,
    pub clients: Vec<Client>,
    /// Connections that only take up room.
    pub crowd: Vec<Wire>,
    pub config: Config,
    pub io: IoConfig,
    pub times: Times,
    pub capacity: usize,
    pub turns: u64,
    pub steps: u64,
    /// When the last shard has ended.
    pub ended_us: u64,
    clients_max: usize,
    /// Faults have ceased, and clients do what they must.
    pub is_orderly: bool,
}

fn draw_config(random: &mut Random, shards: usize) -> Config {
    let mut config = Config::default();
    let slow = random.pick(&[1, 4, 20]);
    let mut ms = |low, high| Duration::from_millis((random.within(low, high) * slow) as u64);
    config.shards = shards;
    config.head_timeout = ms(30, 100);
    config.close_timeout = ms(10, 50);
    config.silent_timeout = ms(20, 200);
    config.pong_timeout = ms(40, 100);
    config.ping_interval = ms(40, 100);
    // Whoever is slow is not to lose what it was promised.
    config.stall_timeout = Duration::from_secs(3);
    if random.chance(750) {
        config.ping_interval = Duration::ZERO;
        config.silent_timeout = Duration::from_secs(4);
    }
    config.accepts_per_turn = random.within(1, 4);
    config.read_bytes_per_turn = random.pick(&[4096, 4096, 16_384, 65_536]);
    config.mails_per_turn = random.within(1, 8);
    config.deliveries_per_turn = random.pick(&[1, 20, 65_536]);
    config.flushes_per_turn = random.within(1, 6);
    config.read_time_per_turn = Duration::from_micros([1, 10, 2000][config.flushes_per_turn % 3]);
    config.outbox_bytes_high = random.pick(&[1000, 10_000, 65_536]);
    config.outbox_bytes_low = config.outbox_bytes_high / 2;
    let mut ms = |low, high| Duration::from_millis(random.within(low, high) as u64);
    (config.drain_delay, config.drain_time) = (ms(0, 30), ms(0, 100));
    config.drain_rate = random.pick(&[0, 100, 5000]);
    config.check().expect("the settings drawn are right");
    // Smaller than anybody may set them, so that they fill.
    config.mailbox_slots = random.pick(&[2, 5, 16, 64]);
    config.mailbox_bytes_max = random.pick(&[500, 5000, 100_000]);
    config
}

fn draw_io(random: &mut Random, io: &mut IoConfig) {
    let slow = random.pick(&[1, 4, 20]);
    let mut ms = |low, high| Duration::from_millis((random.within(low, high) * slow) as u64);
    io.ping_interval = ms(20, 80);
    io.ping_timeout = ms(20, 60);
    io.upgrade_timeout = ms(15, 60);
    io.connect_timeout = ms(30, 100);
    io.max_payload = 100_000;
    if random.chance(100) {
        io.polling_bytes_max = 4000;
    }
    io.acks_per_socket_max = random.pick(&[2, 4096]);
    // Fewer than there are clients: those in no namespace make room.
    io.sessions_max = random.pick(&[0, 0, 0, 8, 16]);
    io.check().expect("the settings drawn are right");
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shards = random.within(3, 4);
        let mut config = draw_config(&mut random, shards);
        let mut io = IoConfig::default();
        draw_io(&mut random, &mut io);
        let is_own = random.chance(300);
        if is_own {
            config.fd_tables = FdTables::Own;
        }
        let capacity = random.pick(&[10, 20, 60, 60]);
        config.max_connections = capacity * shards;
        let fds_max = (if is_own { capacity } else { capacity * shards }) + 10;
        let net = Rc::new(RefCell::new(Net {
            random: random.fork(),
            faults: Faults::draw(&mut random),
            now_us: random.below(1 << 30) as u64,
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
        let ledger = ledger();
        *ledger.borrow_mut() = Ledger::new(net.clone(), io.acks_per_socket_max);
        let woken: Arc<[AtomicBool]> = (0..shards).map(|_| AtomicBool::new(false)).collect();
        let wakes = woken.clone();
        let make_io = |shard| SimIo {
            net: net.clone(),
            shard,
            table: if is_own { shard } else { 0 },
            listeners: if is_own { (0..shards).collect() } else { vec![shard] },
        };
        let builder = Server::builder().config(config.clone()).socket_io(describe);
        let (seats, handle) = builder
            .configure_io(|own| *own = io.clone())
            .seats(
                capacity,
                make_io,
                Arc::new(move |shard: usize| wakes[shard].store(true, Ordering::Relaxed)),
            )
            .expect("nothing is asked of the host");
        let us = |duration: Duration| duration.as_micros() as u64;
        let times = Times {
            ping_interval_us: us(io.ping_interval),
            ping_timeout_us: us(io.ping_timeout),
            upgrade_us: us(io.upgrade_timeout),
            pong_us: if config.ping_interval.is_zero() { 0 } else { us(config.pong_timeout) },
            good_since_us: None,
        };
        let clients_max = random.within(20, 40).min(capacity * shards / 4);
        Self {
            net,
            ledger,
            shards: seats.into_iter().map(Some).collect(),
            handle,
            woken,
            clients: Vec::new(),
            crowd: Vec::new(),
            config,
            io,
            times,
            capacity,
            turns: 0,
            steps: 0,
            ended_us: 0,
            clients_max,
            is_orderly: false,
            random,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        match self.random.below(1000) {
            0..=399 => {
                let shard = self.random.below(self.shards.len());
                let _ran = self.turn(shard)? || self.turn((shard + 1) % self.shards.len())?;
            }
            400..=899 => {
                let acts = self.random.within(1, 8);
                for _ in 0..acts.min(self.clients.len() * acts) {
                    let at = self.random.below(self.clients.len());
                    let mut cx = Cx {
                        net: &mut self.net.borrow_mut(),
                        ledger: &mut self.ledger.borrow_mut(),
                        times: self.times,
                    };
                    self.clients[at].act(&mut cx);
                }
            }
            900..=924 if self.clients.len() < self.clients_max => self.newcomer(),
            925..=954 => {
                let net = &mut *self.net.borrow_mut();
                net.now_us += self.random.below(3000) as u64;
                if net.strikes(Fault::ClockJump) {
                    net.now_us += self.random.within(1, 100) as u64 * 1000;
                }
            }
            955..=969 => self.unstick(),
            _ => self.outside(),
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

    fn newcomer(&mut self) {
        let uid = self.clients.len() as u32 + 1;
        let now_us = self.net.borrow().now_us;
        let client = Client::new(uid, self.shards.len(), self.random.fork(), now_us);
        if self.io.polling_bytes_max < 10_000 {
            // It may be told more between two of its polls.
            self.ledger.borrow_mut().of(uid).may_overflow = true;
        }
        self.clients.push(client);
    }

    /// Runs a shard if its poll would return. True if it did.
    pub fn turn(&mut self, shard: usize) -> Result<bool, String> {
        self.wake();
        if !self.net.borrow().may_run(shard) {
            return Ok(false);
        }
        let Some(running) = &mut self.shards[shard] else { return Ok(false) };
        self.turns += 1;
        (self.ledger.borrow_mut().turn, self.ledger.borrow_mut().shard) = (self.turns, shard);
        let began_us = self.net.borrow().now_us;
        match running.turn() {
            Ok(Turn::Again) => self.ledger.borrow_mut().greets(shard, began_us),
            Ok(Turn::Ended) => {
                let (_, left) = running.audit();
                self.shards[shard] = None;
                self.ended_us = self.net.borrow().now_us;
                if left.sessions + left.sockets + left.data + left.held + left.greetings + left.acks > 0 {
                    return Err(format!("shard {shard} has ended and this is left: {left:?}"));
                }
                return Ok(true);
            }
            Err(error) if error.kind() == ASLEEP => return Ok(false),
            Err(error) => return Err(format!("shard {shard} cannot go on: {error}")),
        }
        self.wake();
        Ok(true)
    }

    /// What other threads have woken is awake.
    pub fn wake(&mut self) {
        let net = &mut *self.net.borrow_mut();
        for (shard, woken) in self.woken.iter().enumerate() {
            net.polls[shard].is_woken |= woken.swap(false, Ordering::Relaxed);
        }
    }
}

impl seeds::Run for World {
    type Tally = Tally;

    fn run(&mut self) -> Result<(), String> {
        let steps = self.random.within(3000, 5000) as u64;
        while self.steps < steps || self.clients.len() < self.clients_max {
            self.steps += 1;
            self.step()?;
        }
        if self.random.chance(300) {
            // In the middle of everything.
            self.stop()?;
        } else {
            self.settle_down()?;
            if self.random.chance(500) { self.all_leave() } else { self.stop() }?;
        }
        self.check_empty()
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn tally(&self) -> Tally {
        let ledger = self.ledger.borrow();
        let mut rows = ledger.rows.clone();
        for (row, counter) in [(Row::MailSpilled, "mails_spilled"), (Row::Evicted, "io_sessions_evicted")] {
            rows[row as usize] += self.handle.metrics().counter(counter).unwrap_or(0);
        }
        Tally {
            steps: self.steps,
            turns: self.turns,
            clients: self.clients.len() as u64,
            said: ledger.messages,
            heard: self.clients.iter().map(|client| client.messages).sum(),
            faults: self.net.borrow().faults.counts.clone(),
            rows,
        }
    }
}
