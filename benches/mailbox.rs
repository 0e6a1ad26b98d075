//! What a message between shards costs on one thread, where nobody contends and nobody sleeps: the floor.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::Message;
use throng::core::bell::Bell;
use throng::core::mail::Mail;
use throng::core::mailbox::{Outlets, Posted, mailbox};
use throng::core::published::Published;

type Letter = Mail<()>;

fn publication(assembly: &mut Vec<u8>) -> Published {
    Published::new("topic", Message::Binary(&[7; 125]), usize::MAX, assembly)
}

/// `depth` messages are sent, then all are taken.
fn send_and_take(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/send and take");
    for depth in [1, 64, 4096] {
        let (outlet, inbox) = mailbox::<u64>(4096, 1 << 26);
        group.throughput(Throughput::Elements(depth));
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| {
                (0..depth).for_each(|n| assert!(outlet.reserve(0) && outlet.put(black_box(n), 0)));
                std::iter::from_fn(|| inbox.take()).sum::<u64>()
            });
        });
    }
    group.finish();
}

/// A publication is made, sent to every shard, the shards rung, and taken by each.
fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/publish");
    for shards in [2, 8] {
        let (outlets, inboxes): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mailbox::<Letter>(4096, 1 << 26)).unzip();
        let (mut outlets, mut assembly) = (Outlets::new(outlets, 64 << 20), Vec::new());
        group.throughput(Throughput::Elements(shards as u64));
        group.bench_function(BenchmarkId::from_parameter(shards), |bencher| {
            bencher.iter(|| {
                let publication = publication(&mut assembly);
                for shard in 0..shards {
                    let mail = Mail::Publish(publication.clone());
                    assert_eq!(outlets.send_droppable(shard, mail, publication.bytes()), Posted::Sent);
                }
                outlets.ring(|_| unreachable!("all of them are awake"));
                inboxes.iter().filter_map(|inbox| black_box(inbox.take())).count()
            });
        });
    }
    group.finish();
}

fn bell(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/bell");
    let bell = Bell::default();
    group.bench_function("to one awake", |bencher| bencher.iter(|| black_box(&bell).must_wake()));
    group.bench_function("to one asleep", |bencher| {
        bencher.iter(|| {
            let (may_sleep, must_wake) = (bell.may_sleep(|| false), bell.must_wake());
            bell.awake();
            assert!(may_sleep && must_wake);
        });
    });
    group.finish();
}

criterion_group!(benches, send_and_take, publish, bell);
criterion_main!(benches);
