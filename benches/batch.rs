//! What a publish costs per subscriber of a shard, before any socket: each is moved to the batch of every publication, given
//! the joined bytes, and released.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::Message;
use throng::base::pool::Pool;
use throng::core::batch::{BatchId, Batches};
use throng::core::publication::Publication;

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    for (subscribers, burst) in [(1, 1), (1000, 1), (1000, 8), (100_000, 1), (100_000, 8)] {
        let (mut batches, mut pool) = (Batches::new(), Pool::new());
        let publications: Vec<_> = (0..burst)
            .map(|_| Publication::new("topic", Message::Binary(&[7; 125]), &mut Vec::new()))
            .collect();
        let mut at = vec![BatchId::EMPTY; subscribers];
        group.throughput(Throughput::Elements((subscribers * burst) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{subscribers} x{burst}")), |bencher| {
            bencher.iter(|| {
                for publication in &publications {
                    at.iter_mut().for_each(|at| *at = batches.advance(*at, publication));
                }
                for at in &mut at {
                    black_box(batches.joined(*at, &mut pool));
                    batches.release(std::mem::take(at), &mut pool);
                }
            });
        });
        assert!(batches.is_empty());
    }
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
