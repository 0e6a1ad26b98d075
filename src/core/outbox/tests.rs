//! What stays in order, and what is counted.

use super::super::publication::Publication;
use super::super::unit::{JOINED_BYTES_MAX, TAIL_BYTES_MAX};
use super::*;
use crate::base::slow::Mark;
use crate::proto::ws::Message;

/// Sends an outbox in steps of every size; what is sent is what was queued.
#[test]
fn bytes_leave_in_order_whatever_the_kernel_takes() {
    let publication =
        |bytes| Publication::new("t", Message::Binary(bytes), &mut Vec::new()).marked(Mark::KEEP);
    let (short, long) = (publication(b"short"), publication(&[7; 100]));
    let units = || {
        [
            Unit::Shared(short.clone()),
            Unit::own(b"one".to_vec()),
            Unit::Shared(long.clone()),
            Unit::Shared(short.clone()),
            Unit::own(vec![8; JOINED_BYTES_MAX + 1]),
            Unit::own(b"two".to_vec()),
            Unit::own(b"three".to_vec()),
        ]
    };
    let whole: Vec<u8> = units().iter().flat_map(|unit| unit.bytes().to_vec()).collect();
    for step in 1..=whole.len() {
        let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
        let mut sent = Vec::new();
        units().into_iter().for_each(|unit| outbox.push(unit, false, &mut pool, &mut load));
        assert_eq!(outbox.units.len(), 4, "small ones are joined, to a larger one too");
        while !outbox.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let filled = outbox.pieces(&mut pieces);
            let offered: Vec<u8> = pieces[..filled].iter().flat_map(|piece| piece.to_vec()).collect();
            let taken = step.min(offered.len());
            sent.extend_from_slice(&offered[..taken]);
            outbox.advance(taken, &mut pool, &mut load);
        }
        assert_eq!(sent, whole, "in steps of {step}");
        assert_eq!(outbox.sent, 0);
    }
}

/// What a peer is held that asks for a lot of little and takes none of it.
#[test]
fn tiny_units_cost_little_more_than_their_bytes() {
    let shared = Publication::new("t", Message::Text(""), &mut Vec::new()).marked(Mark::KEEP);
    let pong = |pool: &mut Pool| {
        let mut bytes = pool.take(2);
        bytes.extend_from_slice(&[0x8a, 0]);
        Unit::own(bytes)
    };
    for is_shared in [false, true] {
        let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
        for _ in 0..40_000 {
            let unit = if is_shared { Unit::Shared(shared.clone()) } else { pong(&mut pool) };
            outbox.push(unit, false, &mut pool, &mut load);
        }
        let held: usize = outbox.units.iter().map(|unit| size_of_val(unit) + unit.len()).sum();
        assert!((80_000..90_000).contains(&held), "{held}");
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        assert_eq!(outbox.pieces(&mut pieces), 80_000_usize.div_ceil(TAIL_BYTES_MAX), "one write takes all");
    }
}

#[test]
fn a_begun_unit_goes_on_where_it_stopped_and_before_the_others() {
    let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
    outbox.push(Unit::own(b"later".to_vec()), false, &mut pool, &mut load);
    let begun = Unit::Own { bytes: b"begun".to_vec(), from: 2, mark: Mark::KEEP };
    outbox.push_begun(&mut vec![begun], &mut load);
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let filled = outbox.pieces(&mut pieces);
    assert_eq!(pieces[..filled].iter().map(|piece| &**piece).collect::<Vec<_>>(), [&b"gun"[..], b"later"]);
    assert_eq!(outbox.drop_unbegun(&mut pool, &mut load), 5, "all but what was begun");
    outbox.advance(3, &mut pool, &mut load);
    assert!(outbox.is_empty());
}

#[test]
fn one_unit_always_has_room_and_32_bits_always_count_what_is_queued() {
    let config = Config { outbox_bytes_max: 100, ..Config::default() };
    for (queued, bytes, expected) in [
        (0, 100, true),
        (0, UNIT_BYTES_MAX, true),
        (0, UNIT_BYTES_MAX + 1, false),
        (1, 99, true),
        (1, 100, false),
        (UNIT_BYTES_MAX, 1, false),
        (u32::MAX as usize, u32::MAX as usize, false),
    ] {
        assert_eq!(has_room(&config, queued, bytes), expected, "{bytes} behind {queued}");
    }
    assert!(Config { outbox_bytes_max: UNIT_BYTES_MAX + 1, ..Config::default() }.check().is_err());
}

#[test]
fn held_messages_follow_the_streamed_one() {
    let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
    outbox.push(Unit::own(b"part".to_vec()), false, &mut pool, &mut load);
    outbox.push(Unit::own(b"held".to_vec()), true, &mut pool, &mut load);
    outbox.push(Unit::own(b"last".to_vec()), false, &mut pool, &mut load);
    outbox.advance(8, &mut pool, &mut load);
    assert!(outbox.is_idle() && !outbox.is_empty());
    outbox.unhold();
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    assert_eq!((outbox.pieces(&mut pieces), &*pieces[0]), (1, &b"held"[..]));
}
