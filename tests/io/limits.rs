//! What a client may have of a session, a socket and a server: rooms, acks, namespaces, jobs, sessions. Each limit on both
//! transports, with its counter.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use throng::io::{AckError, Io};

use super::http::target;
use super::peer::{Fixture, Poller, Tell, Ws, start, talk, talking, with_shards};

/// A client in the main namespace, by either transport.
enum Client {
    WebSocket(Ws),
    Polling(Poller, VecDeque<String>),
}

impl Client {
    const BOTH: [fn(&Fixture) -> Self; 2] = [
        |fixture| Self::WebSocket(fixture.connected()),
        |fixture| Self::Polling(fixture.polling(), VecDeque::new()),
    ];

    fn say(&mut self, packet: &str) {
        match self {
            Self::WebSocket(ws) => ws.send(packet),
            Self::Polling(poller, _) => poller.post(packet),
        }
    }

    fn hear(&mut self) -> String {
        match self {
            Self::WebSocket(ws) => ws.text(),
            Self::Polling(poller, heard) => loop {
                match heard.pop_front() {
                    Some(packet) => break packet,
                    None => heard.extend(poller.poll().packets()),
                }
            },
        }
    }

    fn leave(self) {
        match self {
            Self::WebSocket(ws) => ws.close(),
            Self::Polling(mut poller, _) => poller.post("1"),
        }
    }
}

#[test]
fn a_socket_is_in_so_many_rooms_and_no_more() {
    with_shards(|shards| {
        let describe = |io: &mut Io, _: &Tell| {
            io.of("/")
                .on("join", |socket, room: &str| {
                    _ = socket.emit("joined", format!("{:?}", socket.join(room)))
                })
                .on("leave", |socket, room: &str| _ = socket.leave(room));
        };
        let fixture = start(shards, describe, |io| {
            (io.rooms_per_socket_max, io.room_bytes_max) = (2, 1);
        });
        for connected in Client::BOTH {
            let mut client = connected(&fixture);
            for (room, joined) in
                [("a", "New"), ("a", "Already"), ("b", "New"), ("c", "TooMany"), ("dd", "TooLong")]
            {
                client.say(&format!("42[\"join\",\"{room}\"]"));
                assert_eq!(client.hear(), format!("42[\"joined\",\"{joined}\"]"), "{room}");
            }
            client.say("42[\"leave\",\"a\"]");
            client.say("42[\"join\",\"c\"]");
            assert_eq!(client.hear(), "42[\"joined\",\"New\"]");
            client.leave();
        }
        assert_eq!(fixture.end().counter("io_rooms_refused"), Some(4));
    });
}

#[test]
fn so_many_acks_are_awaited_and_the_oldest_is_given_up() {
    with_shards(|shards| {
        let describe = |io: &mut Io, _: &Tell| {
            io.of("/").on("ask", |socket, (): &()| {
                let hour = Duration::from_secs(3600);
                socket.timeout(hour).emit_with_ack(
                    "question",
                    (),
                    |socket, answer: Result<&i64, AckError>| {
                        socket.emit("answered", format!("{answer:?}"));
                    },
                );
            });
        };
        let fixture = start(shards, describe, |io| io.acks_per_socket_max = 2);
        for connected in Client::BOTH {
            let mut client = connected(&fixture);
            let mut asked = Vec::new();
            for _ in 0..2 {
                client.say("42[\"ask\"]");
                let question = client.hear();
                asked.push(question["42".len()..question.find('[').unwrap()].to_owned());
            }
            client.say("42[\"ask\"]");
            assert!(client.hear().ends_with("[\"question\"]"));
            assert_eq!(client.hear(), "42[\"answered\",\"Err(Timeout)\"]");
            // Its answer comes too late, that to the next one does not.
            client.say(&format!("43{}[1]", asked[0]));
            client.say(&format!("43{}[2]", asked[1]));
            assert_eq!(client.hear(), "42[\"answered\",\"Ok(2)\"]");
            client.leave();
        }
        assert_eq!(fixture.end().counter("io_acks_given_up"), Some(2));
    });
}

#[test]
fn a_session_is_in_so_many_namespaces_and_no_more() {
    with_shards(|shards| {
        let describe =
            |io: &mut Io, tell: &Tell| ["/", "/a", "/b"].into_iter().for_each(|name| talk(io.of(name), tell));
        let fixture = start(shards, describe, |io| io.namespaces_per_session_max = 2);
        for connected in Client::BOTH {
            let mut client = connected(&fixture);
            client.say("40/a");
            assert!(client.hear().starts_with("40/a,"));
            assert_eq!(fixture.said_sorted(2), ["+/", "+/a"]);
            // One that was left makes room.
            client.say("41/a");
            assert_eq!(fixture.said(), "-/a client namespace disconnect");
            client.say("40/b");
            assert!(client.hear().starts_with("40/b,"));
            assert_eq!(fixture.said(), "+/b");
            client.say("40/a");
            assert_eq!(fixture.said_sorted(2), ["-/ forced server close", "-/b forced server close"]);
            match client {
                Client::WebSocket(ws) => assert_eq!(ws.close_code(), 1000),
                Client::Polling(mut poller, _) => {
                    assert_eq!(poller.next(), "1");
                    poller.is_gone();
                }
            }
        }
        assert_eq!(fixture.end().counter("io_namespaces_too_many"), Some(2));
    });
}

#[test]
fn so_many_jobs_of_a_namespace_are_under_way() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let describe = move |io: &mut Io, _: &Tell| {
        let gate = gate.clone();
        io.of("/").on("work", move |socket, (): &()| {
            let gate = gate.clone();
            let is_taken = socket.offload(
                move || gate.lock().unwrap().recv().is_ok(),
                |socket, is_done| _ = socket.emit("done", is_done),
            );
            socket.emit("taken", is_taken);
        });
    };
    let fixture = start(1, describe, |io| io.jobs_per_namespace_max = 1);
    for connected in Client::BOTH {
        let mut client = connected(&fixture);
        for is_taken in [true, false] {
            client.say("42[\"work\"]");
            assert_eq!(client.hear(), format!("42[\"taken\",{is_taken}]"));
        }
        go.send(()).unwrap();
        assert_eq!(client.hear(), "42[\"done\",true]");
        client.leave();
    }
    assert_eq!(fixture.end().counter("io_jobs_refused"), Some(2));
}

/// The answer to a handshake there is no room for.
const FULL: (u16, &str) = (503, r#"{"code":4,"message":"the server is full"}"#);
const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn there_are_so_many_sessions_and_no_more() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| io.sessions_max = 3);
        let ws = fixture.websocket();
        // Sessions that poll have no connections between their polls, and count nevertheless.
        let mut line = fixture.line();
        let (first, second) = (line.handshake(), line.handshake());
        for _ in 0..2 {
            let answer = fixture.line().ask("GET", OPEN, "");
            assert_eq!((answer.status, answer.body.as_str()), FULL);
            assert_eq!(answer.header("Content-Type").as_deref(), Some("application/json"));
            assert_eq!(answer.header("Retry-After").as_deref(), Some("5"));
            assert_eq!(fixture.ask_websocket("").err(), Some(503));
        }
        // Those that are there go on, and may move to a WebSocket.
        let mut upgraded = fixture.ask_websocket(&format!("&sid={first}")).unwrap();
        upgraded.send_all(&["2probe", "5"]);
        assert_eq!(upgraded.text(), "3probe");
        upgraded.send("40");
        assert!(upgraded.text().starts_with("40{"));
        // What one leaves the next one gets, by either transport.
        assert_eq!(line.ask("POST", &target(&second), "1").body, "ok");
        let third = line.handshake();
        assert_eq!(fixture.ask_websocket("").err(), Some(503));
        assert_eq!(line.ask("POST", &target(&third), "1").body, "ok");
        fixture.websocket().close();
        ws.close();
        upgraded.close();
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        let counted = fixture.end();
        assert_eq!(counted.counter("io_sessions_refused"), Some(5));
        assert_eq!(counted.counter("io_sessions_opened"), Some(5));
        assert_eq!(counted.counter("io_sessions_closed"), Some(5));
    });
}

#[test]
fn there_are_no_more_sessions_than_there_may_be_connections() {
    with_shards(|shards| {
        // The fixture's `max_connections`.
        const MOST: usize = 500;
        let fixture = start(shards, talking, |_| {});
        let mut line = fixture.line();
        let sids: Vec<_> = (0..MOST).map(|_| line.handshake()).collect();
        let answer = line.ask("GET", OPEN, "");
        assert_eq!((answer.status, answer.body.as_str()), FULL);
        for sid in &sids {
            assert_eq!(line.ask("POST", &target(sid), "1").body, "ok");
        }
        line.handshake();
        fixture.stop();
    });
}
