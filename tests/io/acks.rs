//! Acks both ways: answers, answers that do not come, and clients that go before they do.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use throng::io::{AckError, Binary, Io, Reason, Socket};

use super::peer::{Tell, gone, start, with_shards};

const LONG: Duration = Duration::from_secs(60);

/// `ask` asks the client `question`, for as many milliseconds as it says, and tells the answer.
fn asking(io: &mut Io, tell: &Tell) {
    let (came, went, answered, late) = (tell.clone(), tell.clone(), tell.clone(), tell.clone());
    let done = move |answered: Tell| {
        move |_: &mut Socket<'_>, answer: Result<&i64, AckError>| match answer {
            Ok(number) => answered.say(format!("{number}")),
            Err(error) => answered.say(error.to_string()),
        }
    };
    let last = done;
    let kept: Rc<Cell<u32>> = Rc::default();
    drop(
        io.of("/")
            .on_connection(move |_| came.say("+"))
            .on("sum", |socket, &(a, b): &(i64, i64)| {
                assert!(socket.wants_ack());
                socket.ack(a + b);
                assert!(!socket.wants_ack());
                // The first answer counts.
                socket.ack("again");
            })
            .on("bytes", |socket, bytes: &[u8]| _ = socket.ack((Binary(bytes), 1)))
            .on("ask", move |socket, &milliseconds: &u64| {
                let timeout = if milliseconds == 0 { LONG } else { Duration::from_millis(milliseconds) };
                socket.timeout(timeout).emit_with_ack("question", (), done(answered.clone()));
            })
            .on("retry", move |socket, (): &()| {
                // One that asks again whenever it hears nothing: it must neither hold the shard nor outlive its socket.
                fn again(socket: &Socket<'_>, kept: Rc<Cell<u32>>) {
                    kept.set(kept.get() + 1);
                    socket.timeout(Duration::ZERO).emit_with_ack(
                        "question",
                        (),
                        move |socket, _: Result<&i64, _>| again(socket, kept),
                    );
                }
                again(socket, kept.clone());
            })
            .on_disconnect(move |socket, reason: Reason| {
                went.say(gone(socket, reason));
                socket.timeout(LONG).emit_with_ack("question", (), last(late.clone()));
            }),
    );
}

#[test]
fn a_client_is_answered_once() {
    with_shards(|shards| {
        let fixture = start(shards, asking, |_| {});
        let mut ws = fixture.connected();
        for (sent, answer) in [
            ("427[\"sum\",1,2]", "437[3]"),
            ("420[\"sum\",-1,-2,\"beyond\"]", "430[-3]"),
            ("429007199254740991[\"sum\",0,0]", "439007199254740991[0]"),
        ] {
            ws.send(sent);
            assert_eq!(ws.text(), answer);
        }
        // No answer where the arguments are others, or where nothing listens.
        ws.send_all(&[
            "421[\"sum\",1]",
            "422[\"sum\"]",
            "423[\"sum\",\"1\",\"2\"]",
            "424[\"unknown\"]",
            "425[\"sum\",4,5]",
        ]);
        assert_eq!(ws.text(), "435[9]");
        ws.send("451-6[\"bytes\",{\"_placeholder\":true,\"num\":0}]");
        ws.client.send(tungstenite::Message::binary(vec![1, 2])).unwrap();
        assert_eq!(ws.text(), "461-6[{\"_placeholder\":true,\"num\":0},1]");
        assert_eq!(ws.binary(), [1, 2]);
        ws.close();
        assert_eq!(fixture.said_sorted(3), ["+", "-/ transport close", "socket has been disconnected"]);
        fixture.end();
    });
}

#[test]
fn a_client_answers_or_does_not() {
    with_shards(|shards| {
        let fixture = start(shards, asking, |_| {});
        let mut ws = fixture.connected();
        let mut other = fixture.connected();
        assert_eq!(fixture.said_sorted(2), ["+", "+"]);
        let mut ask = |milliseconds: u64| {
            ws.send(&format!("42[\"ask\",{milliseconds}]"));
            let question = ws.text();
            question
                .strip_prefix("42")
                .unwrap()
                .strip_suffix("[\"question\"]")
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let ids = [ask(0), ask(0), ask(0), ask(0)];
        // Others' answers are none, nor is a second one, nor one to nothing.
        for id in ids {
            other.send(&format!("43{id}[1]"));
        }
        ws.send_all(&[
            &format!("43{}[42]", ids[1]),
            &format!("43{}[43]", ids[1]),
            "4399999[1]",
            "43[1]",
            &format!("43{}[\"text\"]", ids[0]),
            &format!("43{}[7,\"beyond\"]", ids[2]),
        ]);
        assert_eq!([0; 3].map(|_| fixture.said()), ["42", "the arguments are something else", "7"]);
        // The last one is never answered.
        other.close();
        assert_eq!(fixture.said_sorted(2), ["-/ transport close", "socket has been disconnected"]);
        ws.close();
        assert_eq!(
            [0; 3].map(|_| fixture.said()),
            ["socket has been disconnected", "-/ transport close", "socket has been disconnected"]
        );
        fixture.end();
    });
}

#[test]
fn an_answer_has_its_time() {
    with_shards(|shards| {
        let fixture = start(shards, asking, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+");
        let began = std::time::Instant::now();
        poller.post("42[\"ask\",100]\x1e42[\"ask\",50]");
        let questions = poller.packets(2);
        assert_eq!(fixture.said(), "operation has timed out");
        assert!(began.elapsed() >= Duration::from_millis(50));
        assert_eq!(fixture.said(), "operation has timed out");
        assert!(began.elapsed() >= Duration::from_millis(100));
        // It comes too late.
        poller.post(&format!("43{}[1]", questions[0].strip_prefix("42").unwrap().split('[').next().unwrap()));
        poller.post("1");
        assert_eq!([fixture.said(), fixture.said()], ["-/ transport close", "socket has been disconnected"]);
        fixture.end();
    });
}

#[test]
fn one_who_asks_again_without_end_holds_nobody() {
    with_shards(|shards| {
        let fixture = start(shards, asking, |_| {});
        let mut ws = fixture.connected();
        assert_eq!(fixture.said(), "+");
        ws.send("42[\"retry\"]");
        // The shard goes on: it reads, it answers, between the questions.
        ws.send("427[\"sum\",1,2]");
        while ws.text() != "437[3]" {}
        ws.close();
        assert_eq!([fixture.said(), fixture.said()], ["-/ transport close", "socket has been disconnected"]);
        fixture.end();
    });
}

#[test]
fn so_many_answers_may_be_awaited() {
    with_shards(|shards| {
        let fixture = start(shards, asking, |io| io.acks_per_socket_max = 3);
        let mut ws = fixture.connected();
        assert_eq!(fixture.said(), "+");
        let mut ids = Vec::new();
        for _ in 0..5 {
            ws.send("42[\"ask\",0]");
            let question = ws.text();
            ids.push(question.strip_prefix("42").unwrap().split('[').next().unwrap().to_owned());
        }
        // The oldest two were given up.
        assert_eq!([fixture.said(), fixture.said()], ["operation has timed out", "operation has timed out"]);
        for (n, id) in ids.iter().enumerate() {
            ws.send(&format!("43{id}[{n}]"));
        }
        assert_eq!([0; 3].map(|_| fixture.said()), ["2", "3", "4"]);
        ws.close();
        assert_eq!([fixture.said(), fixture.said()], ["-/ transport close", "socket has been disconnected"]);
        fixture.end();
    });
}
