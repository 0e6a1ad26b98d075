//! The handshake between a sleeping shard and its senders (`core::bell`), in every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p throng-loom --target-dir target/loom`; `scripts/simulate.sh` runs it too.
//! Without `--cfg loom` there is nothing here.
//! The mailbox is a model: a counter, read and written relaxed, so that nothing but the bell's fences orders it. The
//! eventfd is one too: a mutex and a condition variable, which keep a wake until it is taken.
#![cfg(all(loom, test))]

#[path = "../../src/core/bell.rs"]
pub mod bell;

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use bell::Bell;

#[derive(Default)]
struct Mailbox {
    waiting: AtomicUsize,
    bell: Bell,
    is_woken: Mutex<bool>,
    wakes: Condvar,
}

impl Mailbox {
    fn send(&self) {
        self.waiting.fetch_add(1, Relaxed);
        if self.bell.must_wake() {
            *self.is_woken.lock().unwrap() = true;
            self.wakes.notify_one();
        }
    }

    /// Takes messages until there were `count`. A wake that is lost leaves this thread waiting, which loom reports.
    fn receive(&self, count: usize) {
        let mut taken = 0;
        loop {
            taken += self.waiting.swap(0, Relaxed);
            if taken == count {
                return;
            }
            if self.bell.may_sleep(|| self.waiting.load(Relaxed) > 0) {
                let mut is_woken = self.is_woken.lock().unwrap();
                while !*is_woken {
                    is_woken = self.wakes.wait(is_woken).unwrap();
                }
                *is_woken = false;
                drop(is_woken);
                self.bell.awake();
            }
        }
    }
}

/// `senders` threads send `each` messages; the receiver gets them all. `preemptions`: how often a thread is at most
/// interrupted between two of its own steps; `None` is every order there is.
fn all_arrive(senders: usize, each: usize, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let mailbox = Arc::new(Mailbox::default());
        let threads: Vec<_> = (0..senders)
            .map(|_| {
                let mailbox = mailbox.clone();
                thread::spawn(move || (0..each).for_each(|_| mailbox.send()))
            })
            .collect();
        mailbox.receive(senders * each);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn one_sender_wakes_the_receiver_whenever_it_must() {
    all_arrive(1, 2, None);
}

#[test]
fn two_senders_wake_the_receiver_whenever_they_must() {
    // Every order of three threads takes hours.
    all_arrive(2, 1, Some(3));
}
