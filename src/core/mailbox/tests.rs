//! What fits into a mailbox, what waits in a spill, and who is woken.

use super::*;

#[test]
fn a_slot_is_held_between_reserve_and_put() {
    let (outlet, inbox) = mailbox(2, 1000);
    assert!(outlet.reserve(0) && outlet.reserve(0) && !outlet.reserve(0));
    outlet.free(0);
    assert!(outlet.reserve(0) && outlet.put(1, 0) && outlet.put(2, 0));
    assert!(!outlet.reserve(0));
    assert_eq!(inbox.take(), Some(1));
    assert!(outlet.reserve(0));
}

#[test]
fn a_shard_that_is_gone_swallows_what_it_is_sent_without_end() {
    let (outlet, inbox) = mailbox(2, 1000);
    assert!((0..2).all(|n| outlet.reserve(0) && outlet.put(n, 0)) && !outlet.reserve(0));
    drop(inbox);
    assert!((0..10).all(|n| outlet.reserve(0) && !outlet.put(n, 0)));
}

#[test]
fn bytes_have_a_limit_that_one_message_alone_may_pass() {
    let (outlet, inbox) = mailbox(8, 100);
    assert!(outlet.reserve(500) && outlet.put(1, 500));
    assert!(!outlet.reserve(1) && outlet.reserve(0) && outlet.put(2, 0));
    assert_eq!((inbox.take(), inbox.take()), (Some(1), Some(2)));
    assert!(outlet.reserve(60) && !outlet.reserve(41) && outlet.reserve(40));
    outlet.free(40);
    assert!(outlet.put(3, 60) && outlet.reserve(40));
    drop(inbox);
    assert!((0..10).all(|n| outlet.reserve(1 << 40) && !outlet.put(n, 1 << 40)));
}

#[test]
fn what_is_too_large_for_the_mailbox_waits_in_the_spill() {
    let (outlet, inbox) = mailbox(8, 100);
    let mut outlets = Outlets::new(vec![outlet], 100);
    assert_eq!(outlets.send_droppable(0, 0, 100), Posted::Sent);
    assert_eq!(outlets.send_droppable(0, 1, 100), Posted::Spilled);
    assert_eq!(outlets.send_droppable(0, 2, 1), Posted::Dropped);
    assert_eq!(outlets.send(0, 3), Posted::Spilled);
    assert!(outlets.unspill());
    assert_eq!(inbox.take(), Some(0));
    assert!(!outlets.unspill());
    assert_eq!((inbox.take(), inbox.take(), inbox.take()), (Some(1), Some(3), None));
}

#[test]
fn what_does_not_fit_waits_in_order() {
    let (outlet, inbox) = mailbox(3, 1000);
    let mut outlets = Outlets::new(vec![outlet], 100);
    for n in 0..3 {
        assert_eq!(outlets.send(0, n), Posted::Sent);
    }
    for n in 3..10 {
        assert_eq!(outlets.send_droppable(0, n, 10), Posted::Spilled);
    }
    assert_eq!(inbox.take(), Some(0));
    // There is a slot again, yet a newcomer goes behind those that wait.
    assert_eq!(outlets.send(0, 10), Posted::Spilled);
    let mut taken = vec![0];
    loop {
        let is_left = outlets.unspill();
        taken.extend(std::iter::from_fn(|| inbox.take()));
        if !is_left {
            break;
        }
    }
    assert_eq!(taken, (0..=10).collect::<Vec<_>>());
}

#[test]
fn what_nobody_took_goes_with_the_shard() {
    let (outlet, inbox) = mailbox(2, 1000);
    let answer = Arc::new(());
    assert!(outlet.reserve(0) && outlet.put(answer.clone(), 0) && outlet.put_owed(answer.clone()));
    drop(inbox);
    assert_eq!(Arc::strong_count(&answer), 1, "whoever waits for it hears that nothing comes");
    assert!(outlet.reserve(0) && !outlet.put(answer, 0));
}

#[test]
fn the_spill_is_bounded_for_what_may_be_dropped_and_only_for_that() {
    let (outlet, _inbox) = mailbox(1, 1000);
    let mut outlets = Outlets::new(vec![outlet], 100);
    assert_eq!(outlets.send(0, 0), Posted::Sent);
    assert_eq!(outlets.send_droppable(0, 1, 99), Posted::Spilled);
    assert_eq!(outlets.send_droppable(0, 2, 2), Posted::Dropped);
    assert_eq!(outlets.send_droppable(0, 3, 1), Posted::Spilled);
    assert_eq!(outlets.send(0, 4), Posted::Spilled);
}

#[test]
fn only_a_sleeper_is_woken_and_only_once() {
    let (outlet, inbox) = mailbox(8, 1000);
    let mut outlets = Outlets::new(vec![outlet.clone()], 100);
    let mut woken = Vec::new();
    assert_eq!(outlets.send(0, 1), Posted::Sent);
    outlets.ring(|shard| woken.push(shard));
    assert!(woken.is_empty(), "it was awake");
    assert!(!inbox.may_sleep(), "it has mail");
    assert_eq!(inbox.take(), Some(1));
    assert!(inbox.may_sleep());
    assert_eq!(outlets.send(0, 2), Posted::Sent);
    outlets.ring(|shard| woken.push(shard));
    outlets.ring(|shard| woken.push(shard));
    assert_eq!(woken, [0]);
    assert!(!outlet.must_wake());
}
