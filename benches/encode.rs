//! What writing a frame costs, onto a queue that has the room.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::proto::ws::{Message, Opcode, encode};

fn sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for len in [20, 125, 1 << 10, 16 << 10] {
        let payload = vec![b'a'; len];
        let mut out = Vec::with_capacity(64 << 10);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("append", len), |b| {
            b.iter(|| {
                out.clear();
                encode::append(black_box(&mut out), Message::Binary(black_box(&payload)));
            });
        });
        group.bench_function(BenchmarkId::new("append_masked", len), |b| {
            b.iter(|| {
                out.clear();
                let mask = black_box([1, 2, 3, 4]);
                encode::append_masked(black_box(&mut out), Opcode::Binary, true, black_box(&payload), mask);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sizes);
criterion_main!(benches);
