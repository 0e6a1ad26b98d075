//! What the index of topics costs at 1, 1,000 and 100,000 members: joining and leaving, and a publish's walk.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use throng::Subscribed;
use throng::hub::Hub;

const SIZES: [u32; 3] = [1, 1000, 100_000];

/// A topic with these members, each of which is in one more of its own.
fn hub(members: u32) -> Hub {
    let mut hub = Hub::new();
    for id in 0..members {
        assert_eq!(hub.subscribe(id, "all", 1024), Subscribed::New);
        assert_eq!(hub.subscribe(id, &format!("own/{id}"), 1024), Subscribed::New);
    }
    hub
}

/// One member joins and leaves: the last one, and then each in turn, in an order that no cache foresees.
fn join_and_leave(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub/subscribe and unsubscribe");
    for members in SIZES {
        let mut hub = hub(members);
        group.bench_function(BenchmarkId::new("the last", members), |bencher| {
            bencher.iter(|| {
                let is_new = hub.subscribe(members, black_box("all"), 1024);
                (is_new, hub.unsubscribe(members, black_box("all")))
            });
        });
        let mut id = 0;
        group.bench_function(BenchmarkId::new("any", members), |bencher| {
            bencher.iter(|| {
                // 48,271 is prime and divides no size, so that all members come round.
                id = (id + 48_271) % members;
                (hub.unsubscribe(id, black_box("all")), hub.subscribe(id, black_box("all"), 1024))
            });
        });
        assert_eq!(hub.count("all"), members as usize);
    }
    group.finish();
}

/// One member is in 16 topics, all of which lose it at once.
fn remove(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub/remove from 16 topics");
    let topics: Vec<_> = (0..16).map(|topic| format!("topic {topic}")).collect();
    for members in SIZES {
        let mut hub = hub(members);
        for id in 0..members {
            topics.iter().for_each(|topic| assert_eq!(hub.subscribe(id, topic, 1024), Subscribed::New));
        }
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter(|| {
                topics.iter().for_each(|topic| _ = black_box(hub.subscribe(members, topic, 1024)));
                hub.remove(members);
            });
        });
    }
    group.finish();
}

fn walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub/walk");
    for members in SIZES {
        let hub = hub(members);
        group.throughput(Throughput::Elements(u64::from(members)));
        group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
            bencher.iter(|| hub.members(black_box("all")).map(u64::from).sum::<u64>());
        });
    }
    group.finish();
}

criterion_group!(benches, join_and_leave, remove, walk);
criterion_main!(benches);
