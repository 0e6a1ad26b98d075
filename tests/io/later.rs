//! What is done later or elsewhere: acks that another thread gives, jobs, and clients that are decided on by somebody else.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use throng::io::{Ack, Admit, Binary, Connect, Io, PendingConnect, Socket};

use super::peer::{Fixture, PATIENCE, Tell, gone, start, with_shards};

/// `later` gives its ack to the test; the others do what they are called.
fn acking(tokens: Sender<Ack>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    move |io, tell| {
        let (went, said, tokens) = (tell.clone(), tell.clone(), tokens.clone());
        drop(
            io.of("/chat")
                .on("later", move |socket, (): &()| {
                    let ack = socket.take_ack();
                    assert!(!socket.wants_ack() && !socket.take_ack().is_awaited());
                    assert_eq!(socket.ack("too late"), throng::Delivery::Dropped);
                    tokens.send(ack).unwrap();
                })
                .on("thread", |socket, &n: &u64| {
                    let ack = socket.take_ack();
                    thread::spawn(move || assert!(ack.answer((n + 1, Binary(b"by a thread")))));
                })
                .on("offload", |socket, &n: &u64| {
                    let ack = socket.take_ack();
                    let done = move |_: &mut Socket<'_>, result: u64| assert!(ack.answer(result));
                    assert!(socket.offload(move || n * 2, done));
                })
                .on("handle", |socket, text: &String| {
                    let (handle, id, text) = (socket.handle(), socket.id(), text.clone());
                    thread::spawn(move || assert!(handle.of("/chat").to(id).emit("said", text)));
                })
                .on("unasked", move |socket, (): &()| {
                    let ack = socket.take_ack();
                    said.say(format!("{} {}", ack.is_awaited(), ack.answer(1)));
                })
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
    }
}

#[test]
fn another_thread_answers_once() {
    with_shards(|shards| {
        let (tokens, taken) = mpsc::channel();
        let fixture = start(shards, acking(tokens), |_| {});
        let mut ws = fixture.websocket();
        ws.enter("/chat");
        ws.send("42/chat,7[\"later\"]");
        ws.send("42/chat,8[\"later\"]");
        let [first, second] = [0; 2].map(|_| taken.recv_timeout(PATIENCE).unwrap());
        // In whatever order they are answered.
        assert!(second.answer("second") && first.answer(()));
        assert_eq!([ws.text(), ws.text()], ["43/chat,8[\"second\"]", "43/chat,7[]"]);
        ws.send("42/chat,1[\"thread\",41]");
        assert_eq!(ws.text(), "461-/chat,1[42,{\"_placeholder\":true,\"num\":0}]");
        assert_eq!(ws.binary(), b"by a thread");
        ws.send("42/chat,2[\"offload\",21]");
        assert_eq!(ws.text(), "43/chat,2[42]");
        ws.send("42/chat,[\"handle\",\"by a thread\"]");
        assert_eq!(ws.text(), "42/chat,[\"said\",\"by a thread\"]");
        ws.send("42/chat,[\"unasked\"]");
        assert_eq!(fixture.said(), "false false");
        // One that is dropped answers nothing, and one that cannot be written says so.
        ws.send("42/chat,3[\"later\"]");
        ws.send("42/chat,4[\"later\"]");
        drop(taken.recv_timeout(PATIENCE).unwrap());
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(!taken.recv_timeout(PATIENCE).unwrap().answer(unwritable));
        ws.send("42/chat,5[\"offload\",1]");
        assert_eq!(ws.text(), "43/chat,5[2]");
        ws.close();
        assert_eq!(fixture.said(), "-/chat transport close");
        fixture.end();
    });
}

#[test]
fn an_answer_for_one_that_is_gone_reaches_nobody() {
    with_shards(|shards| {
        let (tokens, taken) = mpsc::channel();
        let fixture = start(shards, acking(tokens), |_| {});
        let mut poller = fixture.poller();
        poller.post("40/chat,\x1e42/chat,1[\"later\"]\x1e42/chat,2[\"later\"]");
        assert!(poller.next().starts_with("40/chat,"));
        let [first, second] = [0; 2].map(|_| taken.recv_timeout(PATIENCE).unwrap());
        assert!(first.answer(1));
        assert_eq!(poller.next(), "43/chat,1[1]");
        // It comes back, into the same slot, and is another.
        poller.post("41/chat,\x1e40/chat,");
        assert_eq!(fixture.said(), "-/chat client namespace disconnect");
        assert!(poller.next().starts_with("40/chat,"));
        assert!(second.answer(2));
        poller.post("42/chat,3[\"later\"]");
        assert!(taken.recv_timeout(PATIENCE).unwrap().answer(3));
        assert_eq!(poller.next(), "43/chat,3[3]");
        poller.post("42/chat,4[\"later\"]\x1e1");
        assert_eq!(fixture.said(), "-/chat transport close");
        assert!(taken.recv_timeout(PATIENCE).unwrap().answer(4));
        fixture.end();
    });
}

/// `job` waits for a word and echoes it, `panic` panics, `chain` does two, one behind the other.
fn offloading(words: Receiver<String>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    let words = std::sync::Arc::new(Mutex::new(words));
    move |io, tell| {
        let (went, told, words) = (tell.clone(), tell.clone(), words.clone());
        drop(
            io.of_with("/", |_| Admit::accept(0))
                .on("job", move |socket, (): &()| {
                    let (words, told) = (words.clone(), told.clone());
                    let taken = socket.offload(
                        move || words.lock().unwrap().recv_timeout(PATIENCE).unwrap(),
                        move |socket, word| {
                            *socket.data_mut() += 1;
                            told.say(format!("{word} {}", socket.data()));
                            socket.emit("word", word);
                        },
                    );
                    socket.ack(taken);
                })
                .on("panic", |socket, (): &()| {
                    _ = socket.offload(|| panic!("a job may"), |socket, ()| _ = socket.emit("never", ()));
                })
                .on("chain", |socket: &mut Socket<'_, i32>, (): &()| {
                    _ = socket.offload(
                        || 1,
                        |socket, one: i32| {
                            _ = socket
                                .offload(move || one + 1, |socket, two: i32| _ = socket.emit("chain", two));
                        },
                    );
                })
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
    }
}

#[test]
fn a_jobs_result_comes_back_to_its_socket_or_to_nobody() {
    with_shards(|shards| {
        let (say, words) = mpsc::channel();
        let fixture = start(shards, offloading(words), |io| io.jobs_per_namespace_max = 2);
        let mut ws = fixture.connected();
        ws.send_all(&["421[\"job\"]", "422[\"job\"]", "423[\"job\"]"]);
        // The third is one above the limit.
        assert_eq!([ws.text(), ws.text(), ws.text()], ["431[true]", "432[true]", "433[false]"]);
        say.send("one".into()).unwrap();
        assert_eq!((ws.text().as_str(), fixture.said().as_str()), ("42[\"word\",\"one\"]", "one 1"));
        say.send("two".into()).unwrap();
        assert_eq!((ws.text().as_str(), fixture.said().as_str()), ("42[\"word\",\"two\"]", "two 2"));
        ws.send("42[\"panic\"]");
        ws.send("42[\"chain\"]");
        assert_eq!(ws.text(), "42[\"chain\",2]");
        // Its socket is gone when the result is there.
        ws.send("424[\"job\"]");
        assert_eq!(ws.text(), "434[true]");
        ws.close();
        assert_eq!(fixture.said(), "-/ transport close");
        let jobs = || fixture.handle.io_audit().iter().map(|audit| audit.jobs).sum::<usize>();
        // That of the panic has been forgotten, or will be.
        while jobs() != 1 {}
        say.send("three".into()).unwrap();
        fixture.end();
    });
}

/// `/login` is decided on by whoever gets the token.
pub(crate) fn login(tokens: Sender<(String, PendingConnect<u8>)>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    move |io, tell| {
        let (came, went, tokens) = (tell.clone(), tell.clone(), tokens.clone());
        let admit = move |connect: &Connect<'_>| {
            tokens.send((connect.auth_json().to_owned(), connect.defer())).unwrap();
            Admit::<u8>::Deferred
        };
        drop(
            io.of_with("/login", admit)
                .on_connection(move |socket| {
                    let connect = socket.connect().unwrap();
                    let has_handshake = connect.handshake().is_some();
                    came.say(format!("+{} {} {has_handshake}", socket.data(), connect.auth_json()));
                })
                .on("echo", |socket, text: &str| _ = socket.emit("echo", text))
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
    }
}

fn waiting(fixture: &Fixture) -> usize {
    fixture.handle.io_audit().iter().map(|audit| audit.waiting).sum()
}

#[derive(Serialize)]
struct Why {
    code: u16,
    tries: Vec<u8>,
}

#[test]
fn who_is_decided_on_elsewhere_is_let_in_or_hears_why_not() {
    with_shards(|shards| {
        let (tokens, asked) = mpsc::channel();
        let fixture = start(shards, login(tokens), |_| {});
        let mut poller = fixture.poller();
        let token = || asked.recv_timeout(PATIENCE).unwrap();
        poller.post("40/login,{\"a\":1}");
        let (auth, pending) = token();
        assert_eq!((auth.as_str(), waiting(&fixture)), ("{\"a\":1}", 2));
        pending.answer(Admit::refuse_with("wrong", &Why { code: 401, tries: vec![1, 2] }));
        assert_eq!(poller.next(), "44/login,{\"message\":\"wrong\",\"data\":{\"code\":401,\"tries\":[1,2]}}");
        for answer in [Some(Admit::refuse("no")), Some(Admit::Deferred), None] {
            let expected = if matches!(answer, Some(Admit::Refuse(_))) { "no" } else { "not decided" };
            poller.post("40/login,");
            match (token().1, answer) {
                (pending, Some(answer)) => thread::spawn(move || pending.answer(answer)).join().unwrap(),
                (pending, None) => drop(pending),
            }
            assert_eq!(poller.next(), format!("44/login,{{\"message\":\"{expected}\"}}"));
        }
        poller.post("40/login,{\"b\":2}");
        let (_, pending) = token();
        thread::spawn(move || pending.answer(Admit::accept(7))).join().unwrap();
        assert!(poller.next().starts_with("40/login,{\"sid\":"));
        // What it came with has waited too.
        assert_eq!(fixture.said(), "+7 {\"b\":2} true");
        poller.post("42/login,[\"echo\",\"in\"]");
        assert_eq!(poller.next(), "42/login,[\"echo\",\"in\"]");
        poller.post("1");
        assert_eq!(fixture.said(), "-/login transport close");
        fixture.end();
    });
}

#[test]
fn who_is_never_decided_on_is_closed_in_time() {
    with_shards(|shards| {
        let (tokens, asked) = mpsc::channel();
        let fixture = start(shards, login(tokens), |io| io.connect_timeout = Duration::from_millis(50));
        let mut ws = fixture.websocket();
        ws.send("40/login,");
        let (_, pending) = asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(ws.close_code(), 1000);
        assert_eq!(waiting(&fixture), 0, "nobody waits, though the token can still be answered");
        pending.answer(Admit::accept(1));
        fixture.end();
    });
}

#[test]
fn who_asks_twice_or_is_gone_is_let_in_nowhere() {
    with_shards(|shards| {
        let (tokens, asked) = mpsc::channel();
        let fixture = start(shards, login(tokens), |_| {});
        let mut twice = fixture.websocket();
        twice.send_all(&["40/login,", "40/login,"]);
        let (_, first) = asked.recv_timeout(PATIENCE).unwrap();
        assert_eq!(twice.close_code(), 1000);
        let mut ws = fixture.websocket();
        ws.send("40/login,");
        let (_, second) = asked.recv_timeout(PATIENCE).unwrap();
        ws.close();
        let mut poller = fixture.poller();
        poller.post("40/login,\x1e1");
        let (_, third) = asked.recv_timeout(PATIENCE).unwrap();
        // Somebody else may be in its slot by now.
        let mut other = fixture.websocket();
        other.send("40/login,{}");
        let (_, fourth) = asked.recv_timeout(PATIENCE).unwrap();
        [first, second, third].into_iter().for_each(|pending| pending.answer(Admit::accept(1)));
        fourth.answer(Admit::accept(4));
        assert!(other.text().starts_with("40/login,{\"sid\":"));
        assert_eq!(fixture.said(), "+4 {} true");
        other.close();
        assert_eq!(fixture.said(), "-/login transport close");
        assert!(asked.try_recv().is_err(), "the second wish of one client was put to middleware");
        fixture.end();
    });
}
