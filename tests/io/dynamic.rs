//! Namespaces that nobody has named: who is let in, who hears what, how many there may be, and when they are gone.

use std::sync::mpsc;

use throng::io::{Admit, Connect, Fetched, Io, IoAudit, PendingConnect, wildcard};

use super::peer::{Fixture, PATIENCE, Tell, Ws, gone, start, talk, with_shards};

const INVALID: &str = "{\"message\":\"Invalid namespace\"}";

/// `/` and `/room-named`, whatever begins with `/room-`, and `/secret/…` for who knows the word.
fn matching(io: &mut Io, tell: &Tell) {
    talk(io.of("/"), tell);
    talk(io.of("/room-named"), tell);
    let (came, went) = (tell.clone(), tell.clone());
    drop(
        io.of_matching(wildcard("/room-*"))
            .on_connection(move |socket| came.say(format!("+room {}", socket.namespace())))
            .on("join", |socket, room: &str| {
                socket.join(room);
                socket.ack(socket.rooms().len());
            })
            .on("all", |socket, text: &str| _ = socket.io().emit("all", text))
            .on("others", |socket, text: &str| _ = socket.to("r").emit("others", text))
            .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
    );
    let (came, went) = (tell.clone(), tell.clone());
    let knows = |name: &str, connect: &Connect<'_>| match name {
        "/secret/panic" => panic!("a predicate may"),
        _ => name.starts_with("/secret/") && connect.auth_json().contains("right"),
    };
    let admit = |connect: &Connect<'_>| match connect.namespace() {
        "/secret/closed" => Admit::refuse("closed"),
        name => Admit::accept(name.len()),
    };
    drop(
        io.of_matching_with(knows, admit)
            .on_connection(move |socket| {
                let has_handshake = socket.connect().unwrap().handshake().is_some();
                came.say(format!("+secret {} {} {has_handshake}", socket.namespace(), socket.data()));
            })
            .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
    );
}

fn dynamic(fixture: &Fixture) -> usize {
    fixture.handle.io_audit().iter().map(|audit: &IoAudit| audit.namespaces).sum()
}

/// Clients in a namespace, one on each shard.
fn on_each_shard(fixture: &Fixture, namespace: &str) -> Vec<Ws> {
    let mut clients: Vec<_> = (0..fixture.shards).map(|shard| fixture.connected_on(shard)).collect();
    (0..fixture.shards).for_each(|_| assert_eq!(fixture.said(), "+/"));
    for ws in &mut clients {
        ws.enter(namespace);
        assert_eq!(fixture.said(), format!("+room {namespace}"));
    }
    clients
}

#[test]
fn they_share_handlers_and_nothing_else() {
    with_shards(|shards| {
        let fixture = start(shards, matching, |_| {});
        let mut ones = on_each_shard(&fixture, "/room-1");
        let mut twos = on_each_shard(&fixture, "/room-2");
        assert_eq!(dynamic(&fixture), 2 * shards);
        for (ws, name) in ones.iter_mut().map(|ws| (ws, 1)).chain(twos.iter_mut().map(|ws| (ws, 2))) {
            ws.send(&format!("42/room-{name},5[\"join\",\"r\"]"));
            assert_eq!(ws.text(), format!("43/room-{name},5[1]"));
        }
        ones[0].send("42/room-1,[\"all\",\"to one\"]");
        ones.iter_mut().for_each(|ws| assert_eq!(ws.text(), "42/room-1,[\"all\",\"to one\"]"));
        twos[0].send("42/room-2,[\"others\",\"to two\"]");
        twos.iter_mut().skip(1).for_each(|ws| assert_eq!(ws.text(), "42/room-2,[\"others\",\"to two\"]"));
        // From another thread, by its name.
        assert!(fixture.handle.of("/room-2").to("r").emit("handle", 2));
        assert!(fixture.handle.of("/room-1").except("r").emit("nobody", 1));
        assert!(fixture.handle.of("/room-3").emit("nobody", 3));
        twos.iter_mut().for_each(|ws| assert_eq!(ws.text(), "42/room-2,[\"handle\",2]"));
        let (tell, told) = mpsc::channel();
        fixture.handle.of("/room-1").sockets_join("s");
        fixture
            .handle
            .of("/room-1")
            .to("s")
            .timeout(PATIENCE)
            .fetch_sockets(move |_, fetched| tell.send(fetched).unwrap());
        let Fetched { sockets, is_partial, .. } = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!((sockets.len(), is_partial), (shards, false));
        assert!(sockets.iter().all(|socket| socket.rooms.len() == 2));
        fixture.handle.of("/room-1").disconnect_sockets(false);
        for ws in &mut ones {
            assert_eq!(ws.text(), "41/room-1,");
            assert_eq!(fixture.said(), "-/room-1 server namespace disconnect");
        }
        assert_eq!(dynamic(&fixture), shards);
        // One that is there again is empty.
        ones[0].enter("/room-1");
        assert_eq!(fixture.said(), "+room /room-1");
        ones[0].send("42/room-1,5[\"join\",\"other\"]");
        assert_eq!(ones[0].text(), "43/room-1,5[1]");
        ones.into_iter().chain(twos).for_each(Ws::close);
        let went = fixture.said_sorted(2 * shards + shards + 1);
        assert_eq!(went.iter().filter(|said| said.starts_with("-/room-")).count(), shards + 1, "{went:?}");
        fixture.end();
    });
}

#[test]
fn a_name_comes_before_a_pattern_and_each_client_is_asked_about() {
    with_shards(|shards| {
        let fixture = start(shards, matching, |_| {});
        let mut ws = fixture.websocket();
        ws.enter("/room-named");
        assert_eq!(fixture.said(), "+/room-named");
        for (ask, name) in [("40/room", "/room"), ("40/secret/a,{\"word\":\"wrong\"}", "/secret/a")] {
            ws.send(ask);
            assert_eq!(ws.text(), format!("44{name},{INVALID}"));
        }
        let mut other = fixture.websocket();
        other.send("40/secret/a,{\"word\":\"right\"}");
        assert!(other.text().starts_with("40/secret/a,{\"sid\":"));
        assert_eq!(fixture.said(), "+secret /secret/a 9 true");
        // It is there now, and not for everybody.
        ws.send("40/secret/a,{}");
        assert_eq!(ws.text(), format!("44/secret/a,{INVALID}"));
        // Refused by middleware, it is not there either.
        ws.send("40/secret/closed,{\"word\":\"right\"}");
        assert_eq!(ws.text(), "44/secret/closed,{\"message\":\"closed\"}");
        assert_eq!(dynamic(&fixture), 1);
        // A predicate that panics costs the session that it was asked for.
        other.send("40/secret/panic");
        assert_eq!(other.close_code(), 1011);
        assert_eq!(fixture.said(), "-/secret/a transport error");
        assert_eq!(dynamic(&fixture), 0);
        ws.close();
        assert_eq!(fixture.said(), "-/room-named transport close");
        fixture.end();
    });
}

#[test]
fn so_many_there_may_be() {
    let fixture = start(1, matching, |io| io.dynamic_namespaces_max = 2);
    let (mut ws, mut other) = (fixture.websocket(), fixture.websocket());
    ws.enter("/room-1");
    ws.enter("/room-2");
    ws.send("40/room-3,");
    assert_eq!(ws.text(), format!("44/room-3,{INVALID}"));
    // Those that are there take more, and what is left makes room.
    other.enter("/room-1");
    other.send("40/room-3,");
    assert_eq!(other.text(), format!("44/room-3,{INVALID}"));
    ws.send("41/room-1,");
    other.send("41/room-1,");
    let mut said = fixture.said_sorted(5);
    said.dedup();
    assert_eq!(said, ["+room /room-1", "+room /room-2", "-/room-1 client namespace disconnect"]);
    other.enter("/room-3");
    assert_eq!(fixture.said(), "+room /room-3");
    ws.close();
    other.close();
    assert_eq!(fixture.said_sorted(2), ["-/room-2 transport close", "-/room-3 transport close"]);
    assert_eq!(fixture.end().counter("io_namespaces_refused"), Some(2));
}

/// `/later-…`, decided by whoever gets the token.
fn later(tokens: mpsc::Sender<PendingConnect<u8>>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    move |io, tell| {
        let (came, tokens) = (tell.clone(), tokens.clone());
        let admit = move |connect: &Connect<'_>| {
            tokens.send(connect.defer()).unwrap();
            Admit::<u8>::Deferred
        };
        let namespace = io.of_matching_with(wildcard("/later-*"), admit);
        drop(
            namespace
                .on_connection(move |socket| came.say(format!("+{} {}", socket.namespace(), socket.data()))),
        );
    }
}

#[test]
fn who_waits_to_be_let_in_keeps_it_there() {
    with_shards(|shards| {
        let (tokens, asked) = mpsc::channel();
        let fixture = start(shards, later(tokens), |_| {});
        let token = || asked.recv_timeout(PATIENCE).unwrap();
        let (mut ws, mut other) = (fixture.websocket(), fixture.websocket());
        ws.send("40/later-1,");
        let first = token();
        assert_eq!(dynamic(&fixture), 1);
        first.answer(Admit::refuse("no"));
        assert_eq!(ws.text(), "44/later-1,{\"message\":\"no\"}");
        assert_eq!(dynamic(&fixture), 0);
        ws.send("40/later-1,");
        let first = token();
        other.send("40/later-2,");
        let second = token();
        // Its client is gone, and what it waited for with it; the other one waits on.
        other.close();
        while fixture.handle.io_audit().iter().map(|audit| audit.sessions).sum::<usize>() > 1 {}
        assert_eq!(dynamic(&fixture), 1);
        second.answer(Admit::accept(2));
        first.answer(Admit::accept(1));
        assert!(ws.text().starts_with("40/later-1,{\"sid\":"));
        assert_eq!(fixture.said(), "+/later-1 1");
        assert_eq!(dynamic(&fixture), 1);
        ws.close();
        fixture.end();
    });
}

#[test]
fn a_name_that_comes_and_goes_leaves_nothing() {
    with_shards(|shards| {
        let fixture = start(shards, matching, |io| io.dynamic_namespaces_max = 3);
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        for n in 0..100 {
            poller.post(&format!("40/room-{n}\x1e42/room-{n},1[\"join\",\"r\"]\x1e41/room-{n},"));
            let packets = poller.packets(2);
            assert!(packets[1].starts_with(&format!("43/room-{n},")), "{packets:?}");
            assert_eq!(fixture.said(), format!("+room /room-{n}"));
            assert_eq!(fixture.said(), format!("-/room-{n} client namespace disconnect"));
        }
        assert_eq!(dynamic(&fixture), 0);
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        assert_eq!(fixture.end().counter("io_namespaces_refused"), Some(0));
    });
}
