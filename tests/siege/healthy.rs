//! The healthy: ten clients that echo at a fixed rate, on a schedule that waits for nobody. A response time counts from
//! the moment at which its message was due, so a server that stands still is charged for every message that it held up;
//! and so is this program where it was late itself, which is why its own lateness is told beside it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::peer::{Dial, Peer, Said, greeted, wait};
use super::wire::{PING, PONG, SOCKET_IO, TEXT};

/// What of each kind is on each shard.
const RAW: usize = 3;
const IO: usize = 2;

/// How long after the last message an answer may still come; what is not there then is lost.
const GRACE: Duration = Duration::from_secs(5);

struct Client {
    peer: Peer,
    name: String,
    is_io: bool,
    number: u64,
    /// When the messages that are not answered were due.
    awaited: VecDeque<(u64, Instant)>,
}

/// The clients.
pub(crate) struct Healthy {
    clients: Vec<Client>,
    scratch: Vec<u8>,
}

/// What became of what they said.
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// Answers that were not the next one, and clients that were cut.
    pub(crate) wrong: Vec<String>,
    /// From when a message was due until its answer, in microseconds.
    pub(crate) response_us: Histogram<u64>,
    /// From when a message was due until it was sent.
    pub(crate) late_us: Histogram<u64>,
}

impl Outcome {
    /// Whether answers took longer than they may while this program was itself late by more than a fifth of that: the machine had
    /// other work, and what the server does cannot be told from it.
    pub(crate) fn was_held_up(&self, p99_max_us: u64) -> bool {
        let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99);
        p99(&self.response_us) > p99_max_us && p99(&self.late_us) > p99_max_us / 5
    }
}

impl Healthy {
    /// Connects them: as many of each kind on each of the first two shards.
    ///
    /// # Panics
    /// If the server does not let them in.
    pub(crate) fn gather(address: SocketAddr, shards: usize) -> Self {
        let mut clients = Vec::new();
        for shard in 0..shards {
            for (path, count) in [("/echo", RAW), (SOCKET_IO, IO)] {
                let mut found = 0;
                // The kernel chooses the shard.
                for _ in 0..1000 {
                    let (peer, on) =
                        greeted(address, path, Dial::default()).expect("a healthy client is let in");
                    if on == shard.to_string() {
                        let name = format!("{shard}-{path}-{found}");
                        let is_io = path == SOCKET_IO;
                        clients.push(Client { peer, name, is_io, number: 0, awaited: VecDeque::new() });
                        found += 1;
                    }
                    if found == count {
                        break;
                    }
                }
                assert_eq!(found, count, "1,000 connections, and too few on shard {shard}");
            }
        }
        Self { clients, scratch: vec![0; 64 << 10] }
    }

    /// Has each of them say `rate` messages a second.
    pub(crate) fn run(&mut self, rate: u32, seconds: f64) -> Outcome {
        let mut outcome =
            Outcome { sent: 0, lost: 0, wrong: Vec::new(), response_us: times(), late_us: times() };
        let begin = Instant::now();
        let gap = Duration::from_secs(1) / rate / self.clients.len() as u32;
        let total = (f64::from(rate) * seconds) as u64 * self.clients.len() as u64;
        let mut turn = 0;
        let end = begin + gap * total as u32 + GRACE;
        while turn < total || self.clients.iter().any(|client| !client.awaited.is_empty()) {
            let now = Instant::now();
            if now > end {
                break;
            }
            while turn < total && begin + gap * turn as u32 <= now {
                let due = begin + gap * turn as u32;
                let at = turn as usize % self.clients.len();
                self.clients[at].speak(due);
                outcome.sent += 1;
                outcome.late_us.saturating_record(due.elapsed().as_micros() as u64);
                turn += 1;
            }
            let next = if turn < total { begin + gap * turn as u32 } else { end };
            wait(self.clients.iter().map(|client| &client.peer), next);
            for client in &mut self.clients {
                if let Err(error) = client.listen(&mut self.scratch, &mut outcome) {
                    outcome.wrong.push(format!("{}: {error}", client.name));
                }
            }
            if outcome.wrong.len() > 20 {
                break;
            }
        }
        for client in &mut self.clients {
            outcome.lost += client.awaited.len() as u64;
            client.awaited.clear();
        }
        outcome
    }
}

/// Times up to a minute, to three digits.
fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds that can be")
}

impl Client {
    fn speak(&mut self, due: Instant) {
        self.number += 1;
        let (name, number) = (&self.name, self.number);
        let text = match self.is_io {
            true => format!("42{number}[\"echo\",\"{name} {number}\"]"),
            false => format!("{name} {number}"),
        };
        self.awaited.push_back((number, due));
        // Who was cut loses it, which is what is counted.
        drop(self.peer.frame(TEXT, text.as_bytes()));
    }

    fn listen(&mut self, scratch: &mut [u8], outcome: &mut Outcome) -> Result<(), String> {
        if self.peer.is_over {
            return Ok(());
        }
        self.peer.flush().map_err(|error| error.to_string())?;
        self.peer.fill(scratch, usize::MAX).map_err(|error| error.to_string())?;
        let mut replies = Vec::new();
        while let Some(said) = self.peer.next()? {
            match said {
                Said::Frame(TEXT, b"2") => replies.push((TEXT, b"3".to_vec())),
                Said::Frame(PING, payload) => replies.push((PONG, payload.to_vec())),
                Said::Frame(TEXT, payload) => {
                    let (number, due) = self.awaited.pop_front().ok_or("an answer that nobody asked for")?;
                    let name = &self.name;
                    let expected = match self.is_io {
                        true => format!("43{number}[\"{name} {number}\"]"),
                        false => format!("{name} {number}"),
                    };
                    if payload != expected.as_bytes() {
                        return Err(format!(
                            "{expected:?} was due, {:?} came",
                            String::from_utf8_lossy(payload)
                        ));
                    }
                    outcome.response_us.saturating_record(due.elapsed().as_micros() as u64);
                }
                Said::Frame(first, payload) => {
                    return Err(format!("{first:#x} {:?}", String::from_utf8_lossy(payload)));
                }
                Said::Status(status) => return Err(format!("answered {status}")),
            }
        }
        for (first, payload) in replies {
            self.peer.frame(first, &payload).map_err(|error| error.to_string())?;
        }
        if self.peer.is_over { Err("it was cut".to_owned()) } else { Ok(()) }
    }
}
