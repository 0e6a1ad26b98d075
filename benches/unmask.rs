//! What unmasking costs, by payload size.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::proto::ws::mask::unmask;

fn sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for len in [7, 20, 31, 125, 1 << 10, 16 << 10, 1 << 20] {
        // A payload begins 6 bytes behind an aligned address, as it does behind a short header.
        let mut buffer = vec![7u8; len + 6];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| unmask(black_box(&mut buffer[6..]), black_box([1, 2, 3, 4]), 0));
        });
    }
    group.finish();
}

criterion_group!(benches, sizes);
criterion_main!(benches);
