//! What many are asked: whose answers are awaited, and for how long.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use throng::io::Acked;

use super::peer::{Fixture, PATIENCE, Ws, start, talking, with_shards};

/// Longer than a test has: who waits for the time to be over has failed.
const HOUR: Duration = Duration::from_secs(3600);

fn ask(fixture: &Fixture) -> Receiver<Acked> {
    let (tell, told) = mpsc::channel();
    fixture.handle.io().timeout(HOUR).emit_with_acks("q", (), move |_, acked| tell.send(acked).unwrap());
    told
}

/// The number that a question is to be answered under.
fn ack_id(question: &str) -> u64 {
    question.strip_prefix("42").and_then(|rest| rest.strip_suffix("[\"q\"]")).unwrap().parse().unwrap()
}

fn outcome(told: &Receiver<Acked>) -> (usize, usize, bool) {
    let acked = told.recv_timeout(PATIENCE).expect("those that are gone are waited for");
    (acked.answers.len(), acked.missing, acked.is_partial)
}

#[test]
fn nobody_waits_for_those_that_are_gone() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut all: Vec<_> = (0..4 * shards).map(|n| fixture.connected_on(n % shards)).collect();
        let mut poller = fixture.polling();
        let told = ask(&fixture);
        let ids: Vec<_> = all.iter_mut().map(|ws| ack_id(&ws.text())).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        ack_id(&poller.next());
        poller.post("1");
        // On each shard one answers, one leaves the namespace, one closes, and one is cut off.
        for (n, mut ws) in all.drain(..).enumerate() {
            match n / shards {
                0 => ws.send(&format!("43{}[{n}]", ids[n])),
                1 => ws.send("41"),
                2 => {
                    ws.close();
                    continue;
                }
                _ => continue,
            }
            // What was sent is read before TCP ends.
            ws.close();
        }
        assert_eq!(outcome(&told), (shards, 3 * shards + 1, false));
        let said = fixture.said_sorted(2 * (4 * shards + 1));
        assert_eq!(said.iter().filter(|said| *said == "+/").count(), 4 * shards + 1);
        fixture.end();
    });
}

#[test]
fn nobody_is_asked_twice_and_nobody_waits_for_nobody() {
    let fixture = start(1, talking, |_| {});
    assert_eq!(outcome(&ask(&fixture)), (0, 0, false));
    let (mut silent, mut gone) = (fixture.connected(), fixture.connected());
    let told = ask(&fixture);
    let id = ack_id(&silent.text());
    assert_eq!(ack_id(&gone.text()), id);
    gone.send("41");
    // Whoever has the place of the one that is gone was not asked.
    gone.enter("/");
    gone.send(&format!("43{id}[1]"));
    gone.send("421[\"echo\"]");
    assert_eq!([gone.text(), gone.text()], ["42[\"echo\"]", "431[]"]);
    assert!(told.try_recv().is_err(), "an answer that was not asked for was taken");
    silent.send(&format!("43{id}[2]"));
    silent.send(&format!("43{id}[3]"));
    assert_eq!(outcome(&told), (1, 1, false));
    [silent, gone].into_iter().for_each(Ws::close);
    assert_eq!(fixture.said_sorted(6).len(), 6);
    fixture.end();
}
