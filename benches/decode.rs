//! What it costs to decode one read: `Decoder` in place, beside tungstenite's `WebSocketContext` over memory.
//!
//! Each round begins with one copy of the input, in place of the kernel's `recv`. Times are per read: divide those
//! of `x64` by 64. Text is ASCII; the mask keeps it so either way.

use std::hint::black_box;
use std::io::{self, Read, Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::proto::ws::{Carry, Decoder, Item, Limits, Opcode, Role, Store, encode};
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig, WebSocketContext};

const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 << 16 };

/// `count` masked frames of `len` bytes.
fn frames(opcode: Opcode, len: usize, count: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|index| b'a' + (index % 26) as u8).collect();
    let mut stream = Vec::new();
    for index in 0..count {
        encode::append_masked(&mut stream, opcode, true, &payload, [1, 2, 3, index as u8 % 16]);
    }
    stream
}

/// Serves a slice, then has nothing more for now; takes what is written and drops it.
struct Memory<'a>(&'a [u8]);

impl Read for Memory<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(into)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes everything in `input`; returns the payload bytes.
fn decode(input: &mut [u8], store: &mut Store) -> usize {
    let mut decoder = Decoder::new(Role::Server, LIMITS, None, input);
    let mut bytes = 0;
    while let Some(item) = decoder.next(store).expect("the frames are right") {
        if let Item::Message(message) = item {
            bytes += black_box(message.as_bytes()).len();
        }
    }
    assert!(decoder.finish(store).carry.is_none());
    bytes
}

fn whole_reads(c: &mut Criterion) {
    let shapes = [
        (Opcode::Binary, 20, 1),
        (Opcode::Binary, 20, 64),
        (Opcode::Text, 20, 1),
        (Opcode::Text, 20, 64),
        (Opcode::Text, 125, 1),
        (Opcode::Text, 1 << 10, 1),
        (Opcode::Text, 1 << 10, 64),
        (Opcode::Binary, 1 << 10, 1),
        (Opcode::Text, 16 << 10, 1),
    ];
    let mut group = c.benchmark_group("decode");
    for (opcode, len, count) in shapes {
        let stream = frames(opcode, len, count);
        let name = format!("{opcode:?} {len} x{count}");
        group.throughput(Throughput::Elements(count as u64));
        let mut scratch = stream.clone();
        let mut store = Store::new();
        group.bench_function(BenchmarkId::new("throng", &name), |b| {
            b.iter(|| {
                scratch.copy_from_slice(&stream);
                decode(black_box(&mut scratch), &mut store)
            });
        });
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let mut context = WebSocketContext::new(TheirRole::Server, Some(config));
        group.bench_function(BenchmarkId::new("tungstenite", &name), |b| {
            b.iter(|| {
                scratch.copy_from_slice(&stream);
                let mut memory = Memory(&scratch);
                let mut bytes = 0;
                while let Ok(message) = context.read(&mut memory) {
                    bytes += message.len();
                }
                bytes
            });
        });
    }
    group.finish();
}

/// A frame that arrives in two reads, and one of 1 MiB in reads of 256 KiB, through the scratch alone and with
/// direct reads into the carry.
fn cut_reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("carry");
    for (len, read, direct) in
        [(20, 13, false), (1 << 10, 600, false), (1 << 20, 256 << 10, false), (1 << 20, 256 << 10, true)]
    {
        let stream = frames(Opcode::Binary, len, 1);
        let mut scratch = vec![0; read];
        let mut store = Store::new();
        let name = format!("{len} in reads of {read}{}", if direct { ", direct" } else { "" });
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut carry, mut rest, mut bytes) = (None::<Box<Carry>>, &stream[..], 0);
                while !rest.is_empty() {
                    let mut n = 0;
                    if let Some(carry) = carry.as_mut().filter(|_| direct) {
                        let want = carry.want(&mut store);
                        n = want.len().min(rest.len()).min(read);
                        // In pieces, so as not to measure what `pool::extend` tells of.
                        for (to, from) in want[..n].chunks_mut(2 << 10).zip(rest[..n].chunks(2 << 10)) {
                            to.copy_from_slice(from);
                        }
                        carry.filled(n);
                        rest = &rest[n..];
                    }
                    let m = (read - n).min(rest.len());
                    scratch[..m].copy_from_slice(&rest[..m]);
                    rest = &rest[m..];
                    let mut decoder = Decoder::new(Role::Server, LIMITS, carry.take(), &mut scratch[..m]);
                    while let Some(item) = decoder.next(&mut store).expect("the frames are right") {
                        if let Item::Message(message) = item {
                            bytes += black_box(message.as_bytes()).len();
                        }
                    }
                    let finished = decoder.finish(&mut store);
                    carry = finished.carry;
                    if let Some(buffer) = finished.retired {
                        store.buffers.give(buffer);
                    }
                }
                bytes
            });
        });
    }
    group.finish();
}

/// A message of 16 fragments.
fn fragmented(c: &mut Criterion) {
    let mut group = c.benchmark_group("fragments");
    for len in [20, 1 << 10] {
        let payload = vec![b'a'; len];
        let mut stream = Vec::new();
        for index in 0..16 {
            let opcode = if index == 0 { Opcode::Text } else { Opcode::Continue };
            encode::append_masked(&mut stream, opcode, index == 15, &payload, [1, 2, 3, 4]);
        }
        let mut scratch = stream.clone();
        let mut store = Store::new();
        group.bench_function(format!("16 of {len}"), |b| {
            b.iter(|| {
                scratch.copy_from_slice(&stream);
                decode(black_box(&mut scratch), &mut store)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, whole_reads, cut_reads, fragmented);
criterion_main!(benches);
