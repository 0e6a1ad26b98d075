//! What messages cost that wait in a connection's own outbox: queued, offered to the kernel, sent, their buffers returned.

use std::hint::black_box;
use std::io::IoSlice;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use throng::Message;
use throng::base::pool::Pool;
use throng::base::slow::Mark;
use throng::core::load::Load;
use throng::core::outbox::{Outbox, PIECES_MAX, Unit};
use throng::core::publication::Publication;

const PAYLOAD: &[u8] = &[7; 125];

/// Offers all there is in writes of `write` bytes, until the outbox is empty; returns the writes.
fn drain(outbox: &mut Outbox, write: usize, pool: &mut Pool, load: &mut Load) -> usize {
    let mut writes = 0;
    while !outbox.is_empty() {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let filled = outbox.pieces(&mut pieces);
        let offered: usize = black_box(&pieces[..filled]).iter().map(|piece| piece.len()).sum();
        outbox.advance(offered.min(write), pool, load);
        writes += 1;
    }
    writes
}

fn outbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    let shared = Publication::new("topic", Message::Binary(PAYLOAD), &mut Vec::new()).marked(Mark::KEEP);
    for (kind, units, write) in [
        ("own", 1, usize::MAX),
        ("own", 64, usize::MAX),
        ("own", 64, 1000),
        ("shared", 1, usize::MAX),
        ("shared", 64, usize::MAX),
        ("shared", 1024, usize::MAX),
    ] {
        let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
        let name = format!("{kind} x{units}{}", if write < usize::MAX { ", in writes of 1000" } else { "" });
        group.throughput(Throughput::Elements(units));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for _ in 0..units {
                    let unit = match kind {
                        "own" => {
                            let mut bytes = pool.take(PAYLOAD.len());
                            bytes.extend_from_slice(PAYLOAD);
                            Unit::own(bytes)
                        }
                        _ => Unit::Shared(shared.clone()),
                    };
                    outbox.push(unit, false, &mut pool, &mut load);
                }
                drain(&mut outbox, write, &mut pool, &mut load)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, outbox);
criterion_main!(benches);
