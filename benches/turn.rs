//! One turn of a shard in memory: what throng itself costs per message, without the kernel.
//!
//! 64 connections are readable at once and each has `depth` echo requests waiting; the clock and the sockets are arrays.

use std::hint::black_box;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use throng::base::config::Config;
use throng::base::id::Key;
use throng::core::io::{Event, Got, Io, Parcel};
use throng::core::mail::{Adopted, Adoption, Mail};
use throng::core::mailbox::mailbox;
use throng::core::service::{Reply, Service, Ticket};
use throng::core::shard::{Seed, Shard, Turn};
use throng::core::{census::Census, core::Core};
use throng::proto::ws::{Opcode, encode};
use throng::{CloseReason, Message, Request};

const CONNECTIONS: usize = 64;

/// Streams whose every read brings the same bytes and whose writes go nowhere.
struct Memory {
    requests: Vec<u8>,
    tokens: Vec<u64>,
    is_running: bool,
    written: usize,
}

impl Io for Memory {
    type Stream = ();

    fn now(&mut self) -> u64 {
        0
    }

    fn poll(&mut self, _timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<()> {
        if self.is_running {
            let readable = |&token| Event { token, readable: true, writable: true, read_closed: false };
            events.extend(self.tokens.iter().map(readable));
        }
        Ok(())
    }

    fn accept(&mut self, _listener: usize) -> io::Result<((), SocketAddr)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn shed(&mut self, _listener: usize, _answer: &[u8]) -> bool {
        false
    }

    fn listen(&mut self, _listener: usize, _on: bool) -> io::Result<()> {
        Ok(())
    }

    fn register(&mut self, _stream: &mut (), token: u64) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }

    fn read(&mut self, _stream: &(), into: &mut [IoSliceMut<'_>]) -> io::Result<Got> {
        into[0][..self.requests.len()].copy_from_slice(&self.requests);
        Ok(Got { bytes: self.requests.len(), is_drained: true })
    }

    fn write(&mut self, _stream: &(), from: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = from.iter().map(|piece| black_box(&**piece).len()).sum();
        self.written += bytes;
        Ok(bytes)
    }

    fn finish(&mut self, _stream: &()) {}

    fn close(&mut self, _stream: ()) {}

    fn wake(&mut self, _shard: usize) {}

    fn pack(&mut self, _stream: (), _shard: usize) -> io::Result<Parcel> {
        Ok(Box::new(()))
    }

    fn unpack(&mut self, _parcel: Parcel) -> io::Result<()> {
        Ok(())
    }

    fn peek(&mut self, _: &Self::Stream, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn skip(&mut self, _: &Self::Stream, _: &mut [u8]) -> io::Result<()> {
        Ok(())
    }

    fn deafen_listeners(&mut self) {}

    fn close_listeners(&mut self) {}
}

struct Echo {
    is_broadcast: bool,
}

impl Service for Echo {
    type Conn = ();
    type Mail = ();
    type Timer = ();

    fn request(&mut self, _: &mut Core<Self>, _: Key, _: &Request<'_>, _: &[u8], _: bool) -> Reply {
        Reply::Upgrade { subprotocol: None }
    }

    fn opened(&mut self, core: &mut Core<Self>, key: Key) {
        if self.is_broadcast {
            core.subscribe(key, "all");
        }
    }

    fn adopted(&mut self, _: &mut Core<Self>, _: Key, _: ()) {}

    fn message(&mut self, core: &mut Core<Self>, key: Key, message: Message<'_>) {
        core.send(key, message);
    }

    fn mail(&mut self, core: &mut Core<Self>, _: ()) {
        core.publish("all", Message::Text("to everybody"), None);
    }

    fn timer(&mut self, _: &mut Core<Self>, _: &mut ()) {}

    fn drained(&mut self, _: &mut Core<Self>, _: Key) {}

    fn closed(&mut self, _: &mut Core<Self>, _: Key, _: CloseReason) {}

    fn gone(&mut self, _: &mut Core<Self>, _: Ticket) {}
}

/// A shard with `connections` open WebSockets, adopted so that no handshake is needed.
fn shard(connections: usize, requests: Vec<u8>, is_broadcast: bool) -> Shard<Echo, Memory> {
    let mut config = Config::default();
    (config.mailbox_slots, config.mails_per_turn, config.flushes_per_turn) = (1 << 16, 1 << 20, 1 << 20);
    let (outlet, inbox) = mailbox(config.mailbox_slots, config.mailbox_bytes_max);
    for _ in 0..connections {
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let adoption =
            Adoption { parcel: Box::new(()), peer, bytes: Vec::new(), adopted: Adopted::WebSocket(()) };
        assert!(outlet.reserve(0) && outlet.put(Mail::Adopt(Box::new(adoption)), 0));
    }
    let seed = Seed {
        shard: 0,
        config: Arc::new(config),
        counters: Arc::default(),
        census: Arc::new(Census::new(1, connections)),
        inbox,
        outlets: vec![outlet],
        capacity: connections,
        listeners: Vec::new(),
        turn_us: Arc::new(Mutex::new(Histogram::new_with_bounds(1, 60_000_000, 2).unwrap())),
    };
    let io = Memory { requests, tokens: Vec::new(), is_running: false, written: 0 };
    let mut shard = Shard::new(seed, Echo { is_broadcast }, io);
    assert_eq!(shard.turn().unwrap(), Turn::Again);
    assert_eq!(shard.core().connections(), connections);
    shard
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn/echo");
    for (size, depth) in [(20, 1), (20, 64), (125, 16), (1024, 1), (1024, 64), (16 << 10, 8)] {
        let mut requests = Vec::new();
        for _ in 0..depth {
            encode::append_masked(&mut requests, Opcode::Binary, true, &vec![7; size], [1, 2, 3, 4]);
        }
        let mut shard = shard(CONNECTIONS, requests, false);
        shard.io().is_running = true;
        group.throughput(Throughput::Elements((CONNECTIONS * depth) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{size}Bx{depth}")), |bencher| {
            bencher.iter(|| shard.turn().unwrap() == Turn::Again);
        });
        let answered = size + if size < 126 { 2 } else { 4 };
        assert_eq!(shard.io().written % (answered * depth), 0, "every echo is whole");
    }
    group.finish();
}

fn broadcast(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn/broadcast");
    for (subscribers, burst) in [(1000, 1), (1000, 16), (10_000, 1), (10_000, 16)] {
        let mut shard = shard(subscribers, Vec::new(), true);
        group.throughput(Throughput::Elements((subscribers * burst) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{subscribers}x{burst}")), |bencher| {
            bencher.iter(|| {
                for _ in 0..burst {
                    shard.core().publish("all", Message::Text("to everybody"), None);
                }
                shard.turn().unwrap() == Turn::Again
            });
        });
    }
    group.finish();
}

criterion_group!(benches, echo, broadcast);
criterion_main!(benches);
