//! What a message costs to inflate and to deflate: JSON of chat events, by size, level and window, and what a bomb costs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::base::pool::Pool;
use throng::proto::ws::deflate::{Deflater, Inflater};

/// JSON of so many bytes: events that resemble each other, as a chat's do.
fn json(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut text = String::from("[");
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (user, room, stamp) = (state >> 20 & 0xff, state >> 28, state);
        text.push_str(&format!(
            "{{\"user\":\"user-{user}\",\"room\":\"room {room}\",\"at\":{stamp},\"text\":\"hello {user}, this is message {stamp:x}\"}},"
        ));
    }
    text.truncate(len);
    text.into_bytes()
}

fn deflate(c: &mut Criterion) {
    let mut group = c.benchmark_group("deflate");
    for len in [256, 1024, 4096, 65_536, 1 << 20] {
        let message = json(len);
        group.throughput(Throughput::Bytes(len as u64));
        for (level, bits) in [(1, 15), (1, 9), (6, 15)] {
            let (mut deflater, mut out) = (Deflater::new(level, bits), Vec::new());
            assert!(deflater.deflate(&message, false, &mut out));
            let name = format!("level {level}, window {bits}, to {}", out.len());
            group.bench_function(BenchmarkId::new(name, len), |b| {
                b.iter(|| {
                    out.clear();
                    deflater.deflate(black_box(&message), false, &mut out)
                });
            });
        }
        let (mut deflater, mut out) = (Deflater::new(1, 15), Vec::new());
        group.bench_function(BenchmarkId::new("level 1, window 15, with context", len), |b| {
            b.iter(|| {
                out.clear();
                deflater.deflate(black_box(&message), true, &mut out)
            });
        });
    }
    group.finish();
}

fn inflate(c: &mut Criterion) {
    let mut group = c.benchmark_group("inflate");
    let zeros = vec![0; 1 << 20];
    for (name, message) in [20, 256, 1024, 4096, 65_536, 1 << 20]
        .map(|len| ("json", json(len)))
        .into_iter()
        .chain([("zeros", zeros)])
    {
        let mut payload = Vec::new();
        if !Deflater::new(1, 15).deflate(&message, true, &mut payload) {
            continue;
        }
        let (mut inflater, mut pool) = (Inflater::new(15), Pool::new());
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(BenchmarkId::new(name, message.len()), |b| {
            b.iter(|| {
                let inflated = inflater.inflate(black_box(&payload), 1 << 20, false, &mut pool);
                inflated.map(|(bytes, len)| {
                    pool.give(bytes);
                    len
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, deflate, inflate);
criterion_main!(benches);
