//! What a connection holds between reads: no more than it should, and from the free lists.

use throng::proto::ws::{Limits, Opcode, Role, encode};

use super::harness::{Event, Reader};

const LIMITS: Limits = Limits { message_bytes_max: 1 << 30, fragments_max: 100 };

#[test]
fn a_header_reserves_nothing() {
    for announced in [126, 4096, 65_536, 1 << 20, 1 << 30] {
        let head = encode::masked_header(Opcode::Binary, true, announced, [1, 2, 3, 4]);
        for direct in [false, true] {
            let mut reader = Reader::new(Role::Server, LIMITS);
            reader.read(head.as_bytes(), direct);
            let (mut arrived, mut step) = (0, 1);
            while arrived + step < announced && arrived < 3 << 20 {
                reader.read(&vec![0; step], direct);
                arrived += step;
                step = (step * 3 / 2).clamp(arrived.min(7), 100_000);
                let capacity = reader.carry.as_ref().map_or(0, |carry| carry.capacity());
                assert!(
                    capacity <= 2 * arrived + 4096,
                    "{capacity} of {announced} for {arrived}, direct: {direct}"
                );
                assert!(capacity >= arrived && capacity <= announced.next_power_of_two());
            }
            assert!(reader.outcome.events.is_empty() && reader.outcome.end.is_none());
        }
    }
}

#[test]
fn an_incomplete_header_holds_no_buffer() {
    let mut reader = Reader::new(Role::Server, LIMITS);
    reader.read(&[0x82, 0xff, 0, 0], false);
    assert_eq!(reader.carry.as_ref().map(|carry| carry.capacity()), Some(0));
}

#[test]
fn want_is_empty_or_worth_a_read() {
    let mut reader = Reader::new(Role::Server, LIMITS);
    let len = 100_000;
    let mut stream = Vec::new();
    encode::append_masked(&mut stream, Opcode::Binary, true, &vec![42; len], [9, 8, 7, 6]);
    let head_len = stream.len() - len;
    reader.read(&stream[..5], false);
    let mut carry = reader.carry.take().expect("a header is incomplete");
    assert!(carry.want(&mut reader.store).is_empty(), "the header is incomplete");
    reader.carry = Some(carry);
    reader.read(&stream[5..head_len + 100], false);

    let mut arrived = 100;
    while let Some(mut carry) = reader.carry.take() {
        let want = carry.want(&mut reader.store);
        if len - arrived < 2048 {
            assert!(want.is_empty(), "{} left", len - arrived);
            reader.carry = Some(carry);
            reader.read(&stream[head_len + arrived..], false);
            continue;
        }
        assert!(
            want.len() >= 2048 && want.len() <= len - arrived,
            "{} wanted, {} left",
            want.len(),
            len - arrived
        );
        let n = want.len().min(1999);
        want[..n].copy_from_slice(&stream[head_len + arrived..][..n]);
        carry.filled(n);
        arrived += n;
        reader.carry = Some(carry);
    }
    assert_eq!(reader.outcome.events, [Event::Binary(vec![42; len])]);
}

#[test]
fn a_frame_that_the_carry_completes_alone_comes_out_of_an_empty_read() {
    let mut reader = Reader::new(Role::Server, LIMITS);
    let mut stream = Vec::new();
    encode::append_masked(&mut stream, Opcode::Binary, true, &[42; 4000], [9, 8, 7, 6]);
    reader.read(&stream[..1000], true);
    reader.read(&stream[1000..], true);
    assert_eq!(reader.outcome.events, [Event::Binary(vec![42; 4000])]);
    assert!(reader.carry.is_none());
}

#[test]
fn carries_and_buffers_go_round() {
    use throng::proto::ws::{Decoder, Item, Store};
    let mut store = Store::new();
    let mut seen = Vec::new();
    for round in 0..20 {
        let mut stream = Vec::new();
        encode::append_masked(&mut stream, Opcode::Binary, true, &[round; 1000], [1, 2, 3, 4]);
        let (first, second) = stream.split_at_mut(600);
        let mut decoder = Decoder::new(Role::Server, LIMITS, None, first);
        assert_eq!(decoder.next(&mut store), Ok(None));
        let carry = decoder.finish(&mut store).carry;
        let carry_address = carry.as_deref().map(std::ptr::from_ref);
        let mut decoder = Decoder::new(Role::Server, LIMITS, carry, second);
        let Ok(Some(Item::Message(message))) = decoder.next(&mut store) else { panic!("the frame is whole") };
        assert_eq!(message.as_bytes(), [round; 1000]);
        let lent = message.as_bytes().as_ptr();
        assert_eq!(store.carried, lent as usize..lent as usize + 1000);
        let finished = decoder.finish(&mut store);
        let retired = finished.retired.expect("the frame was completed in the carry");
        assert_eq!(store.carried, 0..0, "the loan is over");
        assert_eq!(retired.as_ptr(), lent, "what was lent can still be sent from");
        assert_eq!(retired[..1000], [round; 1000]);
        assert!(finished.carry.is_none());
        store.buffers.give(retired);
        seen.push((carry_address, lent));
    }
    assert!(seen.iter().all(|addresses| *addresses == seen[0]), "one carry and one buffer serve all rounds");
}

#[test]
fn a_carry_given_back_is_empty_again() {
    let mut reader = Reader::new(Role::Server, LIMITS);
    let mut stream = Vec::new();
    encode::append_masked(&mut stream, Opcode::Text, false, b"begun", [1, 2, 3, 4]);
    stream.extend([0x80, 0x85, 1, 2]);
    reader.read(&stream, false);
    let carry = reader.carry.take().expect("a message is in progress and a frame incomplete");
    reader.store.give(carry);
    let mut next = Vec::new();
    encode::append_masked(&mut next, Opcode::Text, true, b"fresh", [1, 2, 3, 4]);
    for byte in next {
        reader.read(&[byte], false);
    }
    assert_eq!(reader.outcome.events, [Event::Text("fresh".into())]);
    assert_eq!(reader.outcome.end, None);
}
