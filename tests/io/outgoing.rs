//! Those who listen to whatever is sent: what they hear of, in which order, and what they do not.

use std::collections::BTreeMap;
use std::time::Duration;

use throng::io::{Admit, Args, Binary, Connect, Io, Socket, wildcard};

use super::peer::{Fixture, Tell, Ws, start, with_shards};

/// What a listener says of an event.
fn heard(socket: &Socket<'_, u8>, event: &str, args: Args<'_>) -> String {
    let json = args.as_json().unwrap();
    format!("{} {event}({json}) {}", socket.data(), args.attachments().len())
}

/// `/` and `/room-…`, whose sockets have the number that they come with, and a listener of everything that they are sent.
fn listening(io: &mut Io, tell: &Tell) {
    let number = |connect: &Connect<'_>| {
        let auth = connect.auth::<BTreeMap<String, u8>>(&mut String::new()).unwrap();
        Admit::accept(auth["n"])
    };
    for is_main in [true, false] {
        let (tell, last) = (tell.clone(), tell.clone());
        let namespace = match is_main {
            true => io.of_with("/", number),
            false => io.of_matching_with(wildcard("/room-*"), number),
        };
        drop(
            namespace
                .on_connection(|socket| _ = socket.emit("hello", ()))
                .on("own", |socket, (): &()| {
                    socket.emit("one", 1);
                    assert_eq!(socket.volatile().emit("two", 2), throng::Delivery::Dropped);
                    let asks = socket.timeout(Duration::from_secs(60));
                    asks.emit_with_ack("three", 3, |_, _: Result<&(), _>| {});
                    socket.emit("bytes", (Binary(&[1, 2]), "text"));
                    // This one is no event, the next is none that can be sent.
                    socket.ack("answer");
                    assert_eq!(socket.emit("connect", ()), throng::Delivery::Dropped);
                })
                .on("bye", |socket, (): &()| {
                    socket.emit("bye", ());
                    socket.disconnect();
                    assert_eq!(socket.emit("too late", ()), throng::Delivery::Dropped);
                })
                .on("all", |socket, text: &str| _ = socket.io().emit("all", text))
                .on("others", |socket, (): &()| _ = socket.broadcast().emit("others", Binary(&[7])))
                .on_any_outgoing(move |socket, event, args| {
                    assert!(event != "panic", "a listener may panic");
                    tell.say(heard(socket, event, args));
                    // Nobody hears of these.
                    socket.emit("echo", event);
                    socket.io().emit("echo to all", event);
                })
                .on_disconnect(move |socket, _| last.say(format!("{} is gone", socket.data()))),
        );
    }
    // Nobody listens here.
    drop(io.of("/quiet"));
}

/// A client whose socket's data is its number.
fn client(fixture: &Fixture, shard: usize, namespace: &str, number: u8) -> Ws {
    let mut ws = loop {
        let ws = fixture.websocket();
        if usize::from(ws.sid.unwrap().shard) == shard {
            break ws;
        }
        ws.close();
    };
    let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
    ws.send(&format!("40{prefix}{{\"n\":{number}}}"));
    assert!(ws.text().starts_with("40"));
    assert_eq!(fixture.said(), format!("{number} hello() 0"));
    ws
}

#[test]
fn a_listener_hears_what_is_emitted_to_its_socket() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        for namespace in ["/", "/room-1"] {
            let mut ws = client(&fixture, 0, namespace, 5);
            let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
            ws.send(&format!("42{prefix}8[\"own\"]"));
            let expected =
                ["one(1) 0", "two(2) 0", "three(3) 0", "bytes({\"_placeholder\":true,\"num\":0},\"text\") 1"];
            assert_eq!([0; 4].map(|_| fixture.said()), expected.map(|said| format!("5 {said}")));
            ws.send(&format!("42{prefix}[\"bye\"]"));
            assert_eq!([fixture.said(), fixture.said()], ["5 bye() 0", "5 is gone"]);
            ws.close();
        }
        fixture.end();
    });
}

#[test]
fn a_listener_hears_broadcasts_that_reach_its_socket() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        let mut all: Vec<_> = (0..shards)
            .flat_map(|shard| [0, 1].map(|n| client(&fixture, shard, "/", 4 + 2 * shard as u8 + n)))
            .collect();
        let numbers: Vec<_> = (0..all.len()).map(|n| n + 4).collect();
        let each = |but: usize, said: &str| {
            let numbers = numbers.iter().filter(|&&number| number != but);
            let mut each: Vec<_> = numbers.map(|number| format!("{number} {said}")).collect();
            each.sort();
            each
        };
        all[0].send("42[\"all\",\"text\"]");
        assert_eq!(fixture.said_sorted(all.len()), each(0, "all(\"text\") 0"));
        all[0].send("42[\"others\"]");
        let others = "others({\"_placeholder\":true,\"num\":0}) 1";
        assert_eq!(fixture.said_sorted(all.len() - 1), each(4, others));
        assert!(fixture.handle.io().volatile().emit("handle", (1, 2)));
        assert_eq!(fixture.said_sorted(all.len()), each(0, "handle(1,2) 0"));
        fixture.handle.io().emit_with_acks("asked", (), |_, _| {});
        assert_eq!(fixture.said_sorted(all.len()), each(0, "asked() 0"));
        assert!(fixture.handle.of("/quiet").emit("quiet", ()));
        // It costs the sessions that it was called for, and nobody else.
        let mut room = client(&fixture, 0, "/room-2", 9);
        assert!(fixture.handle.of("/room-2").emit("panic", ()));
        while room.client.read().is_ok() {}
        assert_eq!(fixture.said(), "9 is gone");
        all[0].send("42[\"all\",\"still\"]");
        assert_eq!(fixture.said_sorted(all.len()), each(0, "all(\"still\") 0"));
        let count = all.len();
        all.into_iter().for_each(Ws::close);
        assert_eq!(fixture.said_sorted(count).len(), count);
        fixture.end();
    });
}
