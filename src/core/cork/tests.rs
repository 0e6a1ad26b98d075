//! What goes in comes out, in order, wherever the kernel stops.

use super::*;

const KEY: Key = Key { slot: 1, generation: 1 };

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode::append(&mut frame, Message::Binary(payload));
    frame
}

fn gathered(cork: &mut Cork, scratch: &[u8], carried: &[u8]) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
    let filled = cork.slices(Sources { scratch, carried }, &mut slices);
    slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
}

/// Small and large messages, lent from the scratch, from a carry (twice), from nowhere, and a publication: gathered in
/// order; and wherever the kernel stops, what is left is the rest.
#[test]
fn what_is_gathered_leaves_in_order_wherever_the_kernel_stops() {
    let scratch: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
    let carried: Vec<u8> = (0..9_000_u32).map(|n| (n / 7) as u8).collect();
    let elsewhere = vec![9; 5000];
    let publication = Publication::new("t", Message::Binary(&[7; 6000]), &mut Vec::new());
    let said: [&[u8]; 6] =
        [b"small", &scratch[3..8003], &carried[..9000], &elsewhere, &carried[..9000], &scratch[9000..9010]];
    let mut whole: Vec<u8> = said.iter().flat_map(|payload| frame(payload)).collect();
    whole.extend_from_slice(publication.frame());
    let range = carried.as_ptr_range();
    for stop in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut cork = Cork::new(1 << 20, 1 << 20, &scratch);
        cork.open(KEY, usize::MAX, &scratch);
        for payload in said {
            assert!(cork.push(Message::Binary(payload), &(range.start as usize..range.end as usize)));
        }
        assert!(cork.push_shared(&publication));
        assert!(cork.single().is_none() && cork.bytes() == whole.len());
        assert!(gathered(&mut cork, &scratch, &carried) == whole);
        let mut retired = Some(carried.clone());
        let units = cork.leftover(stop, &scratch, &mut retired, &mut Pool::new());
        let left: Vec<u8> = units.iter().flat_map(|unit| unit.bytes().to_vec()).collect();
        assert!(left == whole[stop..], "stopped at {stop}");
        cork.clear();
        assert!(cork.bytes() == 0 && cork.single() == Some(&[]));
    }
}

#[test]
fn its_buffer_lies_half_a_page_off_the_read_buffer() {
    let scratch = vec![0; 64 << 10];
    let mut cork = Cork::new(64 << 10, 1 << 20, &scratch);
    cork.open(KEY, usize::MAX, &scratch);
    assert!(cork.push(Message::Text("x"), &(0..0)));
    let own = cork.single().unwrap().as_ptr() as usize;
    assert_eq!((own + 4096 - scratch.as_ptr() as usize % 4096) % 4096, 2048);
}

#[test]
fn a_full_cork_takes_no_more_until_it_is_sent() {
    let mut cork = Cork::new(100, 1 << 20, &[]);
    cork.open(KEY, usize::MAX, &[]);
    assert!(cork.push(Message::Binary(&[1; 80]), &(0..0)));
    assert!(!cork.push(Message::Binary(&[2; 80]), &(0..0)));
    assert!(!cork.is_open_for(KEY), "what follows would overtake what did not fit");
    cork.clear();
    cork.open(KEY, usize::MAX, &[]);
    assert!(cork.push(Message::Binary(&[2; 80]), &(0..0)));
}

#[test]
fn what_is_pointed_at_is_bounded_but_one_message_always_goes_in() {
    let scratch = vec![5; 8000];
    let mut cork = Cork::new(6000, 10_000, &scratch);
    cork.open(KEY, usize::MAX, &scratch);
    assert!(cork.push(Message::Binary(&scratch), &(0..0)));
    assert!(cork.push(Message::Binary(&scratch[..5000]), &(0..0)), "copied");
    assert!(!cork.push(Message::Binary(&scratch[..5000]), &(0..0)) && !cork.is_open_for(KEY));
    assert_eq!(cork.bytes(), 8004 + 5004);
    cork.clear();
    let mut small = Cork::new(100, 100, &scratch);
    small.open(KEY, usize::MAX, &scratch);
    assert!(small.push(Message::Binary(&scratch), &(0..0)));
}
