//! One peer sends as fast as it can.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use throng::{Admission, Conn, Handler, Message, Opening};
use tungstenite::Message as Theirs;

use super::peer::{Client, client, frame, narrow_stream, send_raw, serve, stop, text, upgrade};

/// Publishes what begins with `p`, holds its shard at `hold` until the test has met it twice, says at `shard` which one it
/// is, and answers anything else with how much was published before.
struct Publisher {
    meeting: Arc<Barrier>,
    published: usize,
}

impl Handler for Publisher {
    type Data = ();

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        conn.subscribe("t");
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message.as_bytes() {
            [b'p', ..] => {
                conn.broadcast("t", message);
                self.published += 1;
            }
            b"hold" => {
                self.meeting.wait();
                self.meeting.wait();
            }
            b"shard" => _ = conn.send(conn.index().to_string().as_str()),
            _ => _ = conn.send(format!("{}", self.published).as_str()),
        }
    }
}

fn publisher() -> (Arc<Barrier>, impl Fn(usize) -> Publisher + Send + Sync + 'static) {
    let meeting = Arc::new(Barrier::new(2));
    (meeting.clone(), move |_| Publisher { meeting: meeting.clone(), published: 0 })
}

const FLOOD: usize = 20_000;

/// A whole read of tiny publishes would keep everybody waiting for as many deliveries as there are subscribers times
/// publishes; and the close frame behind it, or half a frame, is not lost on the way.
#[test]
fn who_publishes_without_end_is_interrupted() {
    for behind in [frame(0x88, b""), frame(0x81, b"p and more")[..9].to_vec()] {
        let (meeting, handler) = publisher();
        let (server, address) = serve(|config| config.deliveries_per_turn = 1000, handler);
        let (mut flooder, mut asker, mut holder) = (client(address), client(address), client(address));
        holder.send(Theirs::text("hold")).unwrap();
        meeting.wait();
        // The shard stands still: it will find both at once, the flood first.
        let mut flood = frame(0x81, b"p").repeat(FLOOD);
        flood.extend_from_slice(&behind);
        send_raw(&mut flooder, &flood);
        asker.send(Theirs::text("how much?")).unwrap();
        meeting.wait();
        let before = loop {
            match text(&mut asker).as_str() {
                "p" => {}
                answer => break answer.parse::<usize>().unwrap(),
            }
        };
        assert!(before < 1000, "{before} of {FLOOD} publishes went before an answer");
        for _ in 0..FLOOD {
            assert_eq!(text(&mut holder), "p");
        }
        if behind.len() == 6 {
            let end = std::iter::from_fn(|| flooder.read().ok()).last();
            assert!(matches!(end, Some(Theirs::Close(_))), "{end:?}");
        } else {
            send_raw(&mut flooder, &frame(0x81, b"p and more")[9..]);
            assert_eq!(text(&mut holder), "p and more");
        }
        drop((flooder, asker, holder));
        assert_eq!(stop(server).counter("bad_frame"), Some(0));
    }
}

/// What is published in small pieces reaches a subscriber that was once slower than its publisher, in large ones.
#[test]
fn who_reads_everything_keeps_up_with_tiny_publishes() {
    let (meeting, handler) = publisher();
    let (server, address) = serve(|_| {}, handler);
    let mut subscriber = upgrade(address, narrow_stream(address));
    let (mut flooder, mut holder) = (client(address), client(address));
    holder.send(Theirs::text("hold")).unwrap();
    meeting.wait();
    for _ in 0..3 {
        send_raw(&mut flooder, &frame(0x81, b"p").repeat(FLOOD));
    }
    meeting.wait();
    for _ in 0..3 * FLOOD {
        assert_eq!(text(&mut subscriber), "p");
    }
    drop((subscriber, flooder, holder));
    let turns = stop(server).counter("turns").unwrap();
    assert!(turns < 500, "{turns} turns: 64 pieces of three bytes each?");
}

/// A client on a certain shard: the kernel chooses, so it takes a few attempts.
fn client_on(address: std::net::SocketAddr, shard: usize) -> Client {
    let found = (0..200).map(|_| client(address)).find_map(|mut client| {
        client.send(Theirs::text("shard")).unwrap();
        (text(&mut client) == shard.to_string()).then_some(client)
    });
    found.expect("200 connections, and none on the shard")
}

/// What waits for a shard that is behind is counted with all it occupies, not by its payload alone.
#[test]
fn publishes_to_a_shard_that_stands_still_are_bounded() {
    let (meeting, handler) = publisher();
    let bounded = |config: &mut throng::Config| {
        (config.shards, config.mailbox_slots, config.mailbox_bytes_max) = (2, 16, 128 << 10);
    };
    let (server, address) = serve(bounded, handler);
    let (mut flooder, mut holder) = (client_on(address, 0), client_on(address, 1));
    holder.send(Theirs::text("hold")).unwrap();
    meeting.wait();
    send_raw(&mut flooder, &frame(0x81, b"p").repeat(FLOOD));
    flooder.send(Theirs::text("how much?")).unwrap();
    assert_eq!(text(&mut flooder), FLOOD.to_string());
    let dropped = server.handle().metrics().counter("publishes_dropped").unwrap() as usize;
    // As much as the mailbox has slots and the spill room.
    assert!((900..=1100).contains(&(FLOOD - dropped)), "{dropped} of {FLOOD} were dropped");
    meeting.wait();
    for _ in dropped..FLOOD {
        assert_eq!(text(&mut holder), "p");
    }
    drop((flooder, holder));
    stop(server);
}

/// Takes a while over each message that begins with `w`, and says how many those were; holds its shard at `hold` until the test has
/// met it twice.
struct Worker(usize, Arc<Barrier>);

/// A message that is dear: longer than any that the tests of other limits send.
const WORK: Duration = Duration::from_micros(50);

impl Handler for Worker {
    type Data = ();

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message.as_bytes() {
            [b'w', ..] => {
                let began = Instant::now();
                while began.elapsed() < WORK {
                    std::hint::spin_loop();
                }
                self.0 += 1;
            }
            b"hold" => {
                self.1.wait();
                self.1.wait();
            }
            _ => _ = conn.send(self.0.to_string().as_str()),
        }
    }
}

/// A read is bounded by its bytes, and a handler may take long over each few of them: its peer has a share of time as well,
/// and what is left of its bytes is handled later, all of it and in order.
#[test]
fn whose_messages_are_dear_is_interrupted() {
    let share = |config: &mut throng::Config| config.read_time_per_turn = Duration::from_millis(1);
    let meeting = Arc::new(Barrier::new(2));
    let held = meeting.clone();
    let (server, address) = serve(share, move |_| Worker(0, held.clone()));
    let (mut flooder, mut asker) = (client(address), client(address));
    let messages = 4000;
    flooder.send(Theirs::text("hold")).unwrap();
    meeting.wait();
    let mut flood = frame(0x81, b"w").repeat(messages);
    flood.extend_from_slice(&frame(0x81, b"and how many?"));
    send_raw(&mut flooder, &flood);
    asker.send(Theirs::text("how many?")).unwrap();
    meeting.wait();
    // Two shares, each with the messages that go by before the clock is looked at, would be 168.
    let before: usize = text(&mut asker).parse().unwrap();
    assert!(before < messages / 4, "{before} of {messages} went before an answer");
    assert_eq!(text(&mut flooder), messages.to_string());
    drop((flooder, asker));
    assert!(stop(server).counter("reads_cut").unwrap() > 10);
}

/// Echoes.
struct Echo;

impl Handler for Echo {
    type Data = ();

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        conn.send(message);
    }
}

/// Fragments of a byte are as dear as messages and are none: tens of thousands of them come in one read. What is cut between
/// two of them goes on where it was, with the pings and the messages in between and behind, and with the frame that the read
/// has cut.
#[test]
fn who_sends_fragments_without_end_is_interrupted() {
    let share = |config: &mut throng::Config| config.read_time_per_turn = Duration::from_micros(1);
    let (server, address) = serve(share, |_| Echo);
    let mut flooder = client(address);
    let (mut flood, mut expected) = (Vec::new(), Vec::new());
    for fragments in [2, 63, 64, 65, 5000, 128, 20_000] {
        let word: String = (0..fragments).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        for (at, byte) in word.bytes().enumerate() {
            let (first, fin) = (u8::from(at == 0), if at + 1 == fragments { 0x80 } else { 0 });
            flood.extend_from_slice(&frame(first | fin, &[byte]));
            if at % 100 == 50 {
                flood.extend_from_slice(&frame(0x89, at.to_string().as_bytes()));
                expected.push(Theirs::Pong(at.to_string().into()));
            }
        }
        expected.push(Theirs::text(word));
        flood.extend_from_slice(&frame(0x81, b"between"));
        expected.push(Theirs::text("between"));
    }
    send_raw(&mut flooder, &flood);
    for expected in expected {
        assert_eq!(flooder.read().unwrap(), expected);
    }
    // Half of a message, of which some is decoded and some waits, goes with its connection.
    send_raw(&mut flooder, &flood[..flood.len() / 2]);
    drop(flooder);
    // 37,000 fragments and more; the clock is looked at every 64 or so, and the second look ends a turn.
    assert!(stop(server).counter("reads_cut").unwrap() > 100);
}
