//! Rooms, and events for many: who gets them, how often, in which order.

use throng::Subscribed;
use throng::io::{Binary, Io, Socket};
use throng::{Message as Ours, Response};

use super::peer::{Fixture, Tell, Ws, start, start_with, with_shards};

/// `join` and `leave` by acks; the rest emits `it` in all the ways there are.
fn rooms(io: &mut Io, _: &Tell) {
    drop(
        io.of("/")
            .on("join", |socket, room: &str| _ = socket.ack(format!("{:?}", socket.join(room))))
            .on("leave", |socket, room: &str| _ = socket.ack(socket.leave(room)))
            .on("rooms", |socket, (): &()| {
                let mut rooms = socket.rooms();
                rooms.sort();
                socket.ack((rooms,));
            })
            .on("io", |socket, n: &i64| _ = socket.io().emit("it", n))
            .on("broadcast", |socket, (): &()| _ = socket.broadcast().emit("it", ()))
            .on("a", |socket, (): &()| _ = socket.to("a").emit("it", ()))
            .on("a, b", |socket, (): &()| _ = socket.io().to("a").to("b").emit("it", ()))
            .on("not a", |socket, (): &()| _ = socket.except("a").emit("it", ()))
            .on("a not b", |socket, (): &()| _ = socket.io().to("a").except("b").local().emit("it", ()))
            .on("to", |socket, room: &str| _ = socket.io().to(room).emit("it", ()))
            .on("but", |socket, room: &str| _ = socket.io().except(room).emit("it", ()))
            .on("bytes", |socket, (): &()| _ = socket.io().emit("it", (Binary(&[1]), Binary(&[2, 3]))))
            .on("other", |socket, (): &()| _ = socket.of("/other").emit("it", ()))
            .on("volatile", |socket: &mut Socket<'_>, (): &()| {
                // What was emitted just now has not left, so the client does not take more at once.
                socket.emit("first", ());
                assert_eq!(socket.volatile().emit("second", ()), throng::Delivery::Dropped);
                socket.io().volatile().emit("third", ());
            })
            .on("volatile alone", |socket, (): &()| _ = socket.io().volatile().emit("it", ())),
    );
    drop(io.of("/other"));
}

/// Asks for something by ack.
fn ask(ws: &mut Ws, event: &str, argument: &str) -> String {
    ws.send(&format!("420[\"{event}\",\"{argument}\"]"));
    let answer = ws.text();
    answer.strip_prefix("430[").expect(&answer).strip_suffix(']').unwrap().to_owned()
}

/// Sees that these of the clients have `it` next, and the others nothing: an echo of a marker comes first.
fn hear(fixture: &Fixture, clients: &mut [Ws], expected: &[usize]) {
    fixture.handle.io().emit("marker", ());
    for (n, client) in clients.iter_mut().enumerate() {
        let heard = client.text();
        if expected.contains(&n) {
            assert_eq!(heard, "42[\"it\"]", "{n}");
            assert_eq!(client.text(), "42[\"marker\"]", "{n}");
        } else {
            assert_eq!(heard, "42[\"marker\"]", "{n}");
        }
    }
}

#[test]
fn sockets_join_and_leave() {
    with_shards(|shards| {
        let fixture = start(shards, rooms, |io| io.rooms_per_socket_max = 3);
        let mut ws = fixture.connected();
        let said = |subscribed: Subscribed| format!("\"{subscribed:?}\"");
        assert_eq!(ask(&mut ws, "leave", "a"), "false");
        for (room, outcome) in [
            ("a", Subscribed::New),
            ("b", Subscribed::New),
            ("a", Subscribed::Already),
            ("c", Subscribed::New),
            ("d", Subscribed::TooMany),
            ("b", Subscribed::Already),
        ] {
            assert_eq!(ask(&mut ws, "join", room), said(outcome), "{room}");
        }
        ws.send("420[\"rooms\"]");
        assert_eq!(ws.text(), "430[[\"a\",\"b\",\"c\"]]");
        assert_eq!(ask(&mut ws, "leave", "b"), "true");
        assert_eq!(ask(&mut ws, "join", "d"), said(Subscribed::New));
        ws.send("420[\"rooms\"]");
        assert_eq!(ws.text(), "430[[\"a\",\"c\",\"d\"]]");
        // The room of all is nobody's to leave.
        assert_eq!(ask(&mut ws, "leave", "\\u0000"), "false");
        assert_eq!(ask(&mut ws, "join", "\\u0000"), said(Subscribed::Closed));
        fixture.handle.io().emit("it", ());
        assert_eq!(ws.text(), "42[\"it\"]");
        ws.close();
        fixture.end();
    });
}

#[test]
fn an_event_goes_to_whom_it_is_for_once() {
    with_shards(|shards| {
        let fixture = start(shards, rooms, |_| {});
        // Two on each shard, and one in the other namespace alone.
        let mut clients: Vec<_> = (0..2 * shards).map(|n| fixture.connected_on(n % shards)).collect();
        let mut ids = Vec::new();
        for ws in &mut clients {
            ws.send("41");
            ids.push(ws.enter("/"));
        }
        let mut elsewhere = fixture.websocket();
        elsewhere.enter("/other");
        let last = clients.len() - 1;
        // 0 is in a and b, the last is in a, 1 in b.
        assert_eq!(ask(&mut clients[0], "join", "a"), "\"New\"");
        assert_eq!(ask(&mut clients[0], "join", "b"), "\"New\"");
        if last != 1 {
            assert_eq!(ask(&mut clients[last], "join", "a"), "\"New\"");
        }
        assert_eq!(ask(&mut clients[1], "join", "b"), "\"New\"");
        let all: Vec<_> = (0..=last).collect();
        let but = |some: &[usize]| all.iter().copied().filter(|n| !some.contains(n)).collect::<Vec<_>>();
        let with_last = |some: &[usize]| if last == 1 { some.to_vec() } else { [some, &[last]].concat() };

        let mut says = |n: usize, packet: String, expected: &[usize]| {
            clients[n].send(&packet);
            // Its own echo, in the same order, says that what it sent was done.
            assert_eq!(ask_after(&mut clients[n], expected.contains(&n)), "false");
            let rest: Vec<_> = expected.iter().copied().filter(|&one| one != n).collect();
            hear(&fixture, &mut clients, &rest);
        };
        says(0, "42[\"broadcast\"]".into(), &but(&[0]));
        says(0, "42[\"a\"]".into(), &with_last(&[])[..]);
        says(1, "42[\"a\"]".into(), &with_last(&[0])[..]);
        says(1, "42[\"a, b\"]".into(), &with_last(&[0, 1])[..]);
        says(1, "42[\"not a\"]".into(), &but(&with_last(&[0, 1])));
        says(0, "42[\"a not b\"]".into(), &with_last(&[])[..]);
        for (n, id) in ids.iter().enumerate() {
            // Every socket is alone in the room of its id.
            says(0, format!("42[\"to\",\"{id}\"]"), &[n]);
            says(0, format!("42[\"but\",\"{id}\"]"), &but(&[n]));
        }
        says(0, "42[\"to\",\"nobody\"]".into(), &[]);
        says(0, "42[\"other\"]".into(), &[]);
        assert_eq!(elsewhere.text(), "42/other,[\"it\"]");
        clients.into_iter().chain([elsewhere]).for_each(Ws::close);
        fixture.end();
    });
}

/// Asks for an answer, and takes the event that comes before it, if one is to come.
fn ask_after(ws: &mut Ws, is_for_it: bool) -> String {
    ws.send("420[\"leave\",\"nothing\"]");
    if is_for_it {
        assert_eq!(ws.text(), "42[\"it\"]");
    }
    let answer = ws.text();
    answer.strip_prefix("430[").expect(&answer).strip_suffix(']').unwrap().to_owned()
}

#[test]
fn clients_of_both_transports_hear_everything_in_order() {
    with_shards(|shards| {
        let fixture = start(shards, rooms, |_| {});
        let mut sockets: Vec<_> = (0..2 * shards).map(|n| fixture.connected_on(n % shards)).collect();
        let mut pollers: Vec<_> = (0..2 * shards).map(|_| fixture.polling()).collect();
        for n in 0..50 {
            sockets[0].send(&format!("42[\"io\",{n}]"));
        }
        let bytes = "452-[\"it\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
        sockets[0].send("42[\"bytes\"]");
        let expected: Vec<_> = (0..50).map(|n| format!("42[\"it\",{n}]")).collect();
        for ws in &mut sockets {
            expected.iter().for_each(|expected| assert_eq!(ws.text(), *expected));
            assert_eq!((ws.text().as_str(), ws.binary(), ws.binary()), (bytes, vec![1], vec![2, 3]));
        }
        for poller in &mut pollers {
            let packets = poller.packets(53);
            assert_eq!(packets[..50], expected);
            assert_eq!(packets[50..], [bytes, "bAQ==", "bAgM="]);
        }
        // From a polling client to all.
        pollers[0].post("42[\"io\",1]\x1e42[\"io\",2]");
        for ws in &mut sockets {
            assert_eq!((ws.text().as_str(), ws.text().as_str()), ("42[\"it\",1]", "42[\"it\",2]"));
        }
        for poller in &mut pollers {
            assert_eq!(poller.packets(2), ["42[\"it\",1]", "42[\"it\",2]"]);
        }
        sockets.into_iter().for_each(Ws::close);
        pollers.iter_mut().for_each(|poller| poller.post("1"));
        fixture.end();
    });
}

#[test]
fn volatile_is_for_those_who_take_it_at_once() {
    with_shards(|shards| {
        let fixture = start(shards, rooms, |_| {});
        let mut ws = fixture.connected();
        ws.send("42[\"volatile\"]");
        assert_eq!(ws.text(), "42[\"first\"]");
        let mut poller = fixture.polling();
        // Without a poll that waits it gets nothing.
        ws.send("42[\"volatile alone\"]");
        assert_eq!(ws.text(), "42[\"it\"]");
        // Behind the other shards' mail there is no more of it on the way.
        assert_eq!(fixture.handle.io_audit().len(), shards);
        poller.wait_with_a_poll(&fixture);
        ws.send("42[\"io\",1]");
        assert_eq!(ws.text(), "42[\"it\",1]");
        assert_eq!(poller.polls.answer().packets(), ["42[\"it\",1]"]);
        poller.wait_with_a_poll(&fixture);
        ws.send("42[\"volatile alone\"]");
        assert_eq!(ws.text(), "42[\"it\"]");
        assert_eq!(poller.polls.answer().packets(), ["42[\"it\"]"]);
        poller.post("1");
        ws.close();
        fixture.end();
    });
}

#[test]
fn routes_and_the_handle_speak_to_all() {
    with_shards(|shards| {
        let fixture = start_with(
            shards,
            rooms,
            |_| {},
            |builder| {
                let said = |io: throng::io::BroadcastOperator<'_>, what: &str| {
                    Response::text(io.emit("it", what).to_string())
                };
                builder
                    .get("/say/:what", move |visit| said(visit.io(), visit.param("what").unwrap()))
                    .unwrap()
                    .post("/room/:room", move |visit| {
                        said(
                            visit.io().to(visit.param("room").unwrap()),
                            std::str::from_utf8(visit.body()).unwrap(),
                        )
                    })
                    .unwrap()
                    .get("/other", move |visit| said(visit.of("/other"), "other"))
                    .unwrap()
            },
        );
        let mut sockets: Vec<_> = (0..shards).map(|shard| fixture.connected_on(shard)).collect();
        let mut poller = fixture.polling();
        let mut line = fixture.line();
        assert_eq!(ask(&mut sockets[0], "join", "a"), "\"New\"");
        sockets[0].send("40/other");
        assert!(sockets[0].text().starts_with("40/other,"));
        assert_eq!(line.ask("GET", "/say/hello", "").body, "true");
        assert_eq!(line.ask("POST", "/room/a", "to a").body, "true");
        assert_eq!(line.ask("GET", "/other", "").body, "true");
        assert_eq!(sockets[0].text(), "42[\"it\",\"hello\"]");
        // From a route's shard it is one way, so it is in order.
        assert_eq!(sockets[0].text(), "42[\"it\",\"to a\"]");
        assert_eq!(sockets[0].text(), "42/other,[\"it\",\"other\"]");
        for n in 0..20 {
            assert!(fixture.handle.io().emit("it", n));
            assert!(fixture.handle.of("/other").emit("it", n));
            assert!(fixture.handle.of("/nowhere").emit("it", n));
        }
        assert!(!fixture.handle.io().emit("connect", ()));
        for (n, ws) in sockets.iter_mut().enumerate() {
            if n > 0 {
                assert_eq!(ws.text(), "42[\"it\",\"hello\"]");
            }
            for n_th in 0..20 {
                assert_eq!(ws.text(), format!("42[\"it\",{n_th}]"));
                if n == 0 {
                    assert_eq!(ws.text(), format!("42/other,[\"it\",{n_th}]"));
                }
            }
        }
        let packets = poller.packets(21);
        assert_eq!(packets[0], "42[\"it\",\"hello\"]");
        assert_eq!(packets[20], "42[\"it\",19]");
        // Raw topics are another matter.
        fixture.handle.publish("a", Ours::Text("raw")).unwrap();
        poller.post("1");
        sockets.into_iter().for_each(Ws::close);
        fixture.end();
    });
}
