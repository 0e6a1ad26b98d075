//! A shard that is held up: its mailbox fills, and of what was promised nothing is lost.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use throng::io::Io;

use super::peer::{PATIENCE, Tell, start_with};

const EVENTS: usize = 200;
const ROOMS: usize = 50;

/// `hold` holds its shard until the test says otherwise; `flood` does all that goes to other shards.
fn flooding(release: Receiver<()>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    let release = Arc::new(Mutex::new(release));
    move |io, tell| {
        let (held, asked, gathered, release) = (tell.clone(), tell.clone(), tell.clone(), release.clone());
        drop(
            io.of("/")
                .on("hold", move |_, (): &()| {
                    held.say("held");
                    release.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                })
                .on("flood", move |socket, (): &()| {
                    let taken: Vec<_> =
                        (0..EVENTS).map(|n| socket.io().emit("n", (n, "x".repeat(100)))).collect();
                    (0..ROOMS).for_each(|n| socket.io().sockets_join(format!("room {n}")));
                    let (asked, gathered) = (asked.clone(), gathered.clone());
                    let operator = || socket.io().timeout(Duration::from_secs(3600));
                    operator().fetch_sockets(move |_, fetched| {
                        let rooms: Vec<_> = fetched.sockets.iter().map(|socket| socket.rooms.len()).collect();
                        asked.say(format!("fetched {rooms:?} {}", fetched.is_partial));
                    });
                    operator().emit_with_acks("q", (), move |_, acked| {
                        gathered.say(format!("gathered {} {}", acked.answers.len(), acked.missing));
                    });
                    socket.ack((taken,));
                })
                .on("echo", |socket, (): &()| _ = socket.emit("echo", ())),
        );
    }
}

/// The numbers of the events among packets, in order, and how many others there are.
fn numbers(packets: &[String]) -> (Vec<usize>, usize) {
    let number = |packet: &String| packet.strip_prefix("42[\"n\",")?.split(',').next()?.parse().ok();
    let numbers: Vec<_> = packets.iter().filter_map(number).collect();
    let others = packets.len() - numbers.len();
    (numbers, others)
}

#[test]
fn what_was_promised_is_kept_once_it_goes_on() {
    let (go_on, release) = mpsc::channel();
    let narrow = |builder: throng::Builder| {
        builder.configure(|config| (config.mailbox_slots, config.mailbox_bytes_max) = (16, 16 << 10))
    };
    let fixture = start_with(2, flooding(release), |_| {}, narrow);
    let (mut here, mut held) = (fixture.connected_on(0), fixture.connected_on(1));
    // Its session is on the shard that is held, and its requests come in on the other.
    let mut line = fixture.line_where(|shard| shard == 1);
    let mut poller = fixture.poller_of(line.handshake());
    poller.post("40");
    assert!(poller.next().starts_with("40{"));
    held.send("42[\"hold\"]");
    assert_eq!(fixture.said(), "held");

    here.send("421[\"flood\"]");
    let mut packets: Vec<_> = (0..EVENTS + 2).map(|_| here.text()).collect();
    let taken = packets.iter().position(|packet| packet.starts_with("431")).unwrap();
    let taken: Vec<bool> =
        serde_json::from_str::<(Vec<bool>,)>(&packets.swap_remove(taken)["431".len()..]).unwrap().0;
    let question = packets.iter().position(|packet| packet.ends_with("[\"q\"]")).unwrap();
    let question = packets.remove(question);
    here.send(&question.replace("42", "43").replace("[\"q\"]", "[0]"));
    assert_eq!(packets.len(), EVENTS);
    let promised: Vec<_> = (0..EVENTS).filter(|&n| taken[n]).collect();
    assert!(promised.len() >= 16 && promised.len() < EVENTS, "{} of {EVENTS}", promised.len());
    // Another thread is told that there is no room, and nobody gets it.
    assert!(!fixture.handle.io().emit("n", EVENTS));
    // A request for one that lives there waits, as long as it takes.
    poller.posts.send("POST", &super::http::target(&poller.sid), &[], b"42[\"echo\"]");

    go_on.send(()).unwrap();
    assert_eq!(poller.posts.answer().body, "ok");
    let mut heard: Vec<_> = (0..promised.len()).map(|_| held.text()).collect();
    assert_eq!(numbers(&heard), (promised.clone(), 0));
    let question = held.text();
    held.send(&question.replace("42", "43").replace("[\"q\"]", "[1]"));
    heard.clear();
    while heard.len() < promised.len() + 2 {
        heard.extend(poller.poll().packets());
    }
    assert_eq!(numbers(&heard), (promised.clone(), 2));
    let question = heard.iter().find(|packet| packet.ends_with("[\"q\"]")).unwrap();
    poller.post(&question.replace("42", "43").replace("[\"q\"]", "[2]"));
    let said = fixture.said_sorted(2);
    assert_eq!(said, [format!("fetched {:?} false", [ROOMS; 3]), "gathered 3 0".to_owned()]);
    // It takes everything again.
    assert!(fixture.handle.io().emit("n", EVENTS + 1));
    assert!(held.text().starts_with("42[\"n\",201"));
    here.close();
    held.close();
    poller.post("1");
    let metrics = fixture.end();
    assert_eq!(metrics.counter("publishes_dropped"), Some((EVENTS - promised.len()) as u64));
    assert!(metrics.counter("mails_spilled") > Some(0));
}
