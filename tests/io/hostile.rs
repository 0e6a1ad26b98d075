//! Orders of events that no client of good will makes: what is asked for and left, what comes by an older HTTP, what comes behind a
//! stop.

use std::io::Write;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use throng::io::{Admit, Connect, Io, PendingConnect, wildcard};

use super::http::sid_of;
use super::peer::{Fixture, PATIENCE, Tell, gone, start, talk, with_shards};

/// Whatever begins with `/later-`, decided by whoever gets the token; `/` says who asked.
fn doors(tokens: Sender<PendingConnect<String>>) -> impl Fn(&mut Io, &Tell) + Send + Sync {
    move |io, tell| {
        let name = |connect: &Connect<'_>| connect.handshake().and_then(|handshake| handshake.query("name"));
        let admit = move |connect: &Connect<'_>| Admit::accept(name(connect).unwrap_or_default());
        let (came, went) = (tell.clone(), tell.clone());
        drop(
            io.of_with("/", admit)
                .on_connection(move |socket| came.say(format!("+/ {}", socket.data())))
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
        let (came, went, tokens) = (tell.clone(), tell.clone(), tokens.clone());
        let admit = move |connect: &Connect<'_>| {
            tokens.send(connect.defer()).unwrap();
            Admit::<String>::Deferred
        };
        drop(
            io.of_matching_with(wildcard("/later-*"), admit)
                .on_connection(move |socket| came.say(format!("+{}", socket.namespace())))
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
    }
}

fn opened(shards: usize, max: u16) -> (Fixture, Receiver<PendingConnect<String>>) {
    let (tokens, asked) = mpsc::channel();
    (start(shards, doors(tokens), |io| io.namespaces_per_session_max = max), asked)
}

fn waiting(fixture: &Fixture) -> usize {
    fixture.handle.io_audit().iter().map(|audit| audit.waiting + audit.namespaces).sum()
}

#[test]
fn what_an_older_http_asked_is_read_again() {
    with_shards(|shards| {
        let (fixture, _asked) = opened(shards, 16);
        // Without a `Host`, which 1.0 does not know.
        let mut line = fixture.line();
        let head =
            "GET /socket.io/?EIO=4&transport=polling&name=old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        line.stream.write_all(head.as_bytes()).unwrap();
        let mut poller = fixture.poller_of(sid_of(&line.answer().packets()[0]));
        poller.post("40");
        assert!(poller.next().starts_with("40{\"sid\":\""));
        assert_eq!(fixture.said(), "+/ old");
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        assert_eq!(fixture.end().counter("panics"), Some(0));
    });
}

#[test]
fn who_waits_to_be_let_in_counts_as_if_it_were() {
    with_shards(|shards| {
        let (fixture, asked) = opened(shards, 2);
        let token = || asked.recv_timeout(PATIENCE).unwrap();
        let mut ws = fixture.websocket();
        ws.send_all(&["40/later-1,", "40/later-2,"]);
        let (first, second) = (token(), token());
        first.answer(Admit::refuse("no"));
        assert_eq!(ws.text(), "44/later-1,{\"message\":\"no\"}");
        // One that was refused makes room.
        ws.send("40/later-3,");
        let third = token();
        third.answer(Admit::accept(String::new()));
        assert!(ws.text().starts_with("40/later-3,{\"sid\":"));
        assert_eq!(fixture.said(), "+/later-3");
        ws.send("40/later-4,");
        assert_eq!(ws.close_code(), 1000);
        assert_eq!(fixture.said(), "-/later-3 forced server close");
        // Nobody comes back to the one that still waited, so nothing of it is kept until that is decided.
        assert_eq!(waiting(&fixture), 0);
        second.answer(Admit::accept(String::new()));
        assert!(asked.try_recv().is_err());
        assert_eq!(fixture.end().counter("io_namespaces_too_many"), Some(1));
    });
}

#[test]
fn who_asks_and_goes_leaves_nothing_to_wait() {
    with_shards(|shards| {
        let (fixture, asked) = opened(shards, 16);
        let mut tokens = Vec::new();
        for _ in 0..20 {
            let mut poller = fixture.poller();
            poller.post(&format!("40/later-1,{{\"a\":\"{}\"}}\x1e40/later-2,\x1e1", "x".repeat(10_000)));
            tokens.extend([0; 2].map(|_| asked.recv_timeout(PATIENCE).unwrap()));
        }
        assert_eq!(waiting(&fixture), 0);
        let mut ws = fixture.websocket();
        ws.send("40/later-1,");
        let last = asked.recv_timeout(PATIENCE).unwrap();
        tokens.into_iter().for_each(|token| token.answer(Admit::accept("late".to_owned())));
        last.answer(Admit::accept("last".to_owned()));
        assert!(ws.text().starts_with("40/later-1,{\"sid\":"));
        assert_eq!(fixture.said(), "+/later-1");
        ws.close();
        assert_eq!(fixture.said(), "-/later-1 transport close");
        fixture.end();
    });
}

#[test]
fn the_handshake_comes_back_from_who_was_refused_whatever_the_order() {
    with_shards(|shards| {
        let (fixture, asked) = opened(shards, 16);
        let token = || asked.recv_timeout(PATIENCE).unwrap();
        let mut ws = fixture.ask_websocket("&name=kept").unwrap();
        assert!(ws.text().starts_with("0{"));
        // The first has the handshake, the second none.
        ws.send_all(&["40/later-1,", "40/later-2,"]);
        for token in [token(), token()] {
            token.answer(Admit::refuse("no"));
            assert!(ws.text().starts_with("44/later-"));
        }
        ws.enter("/");
        assert_eq!(fixture.said(), "+/ kept");
        ws.close();
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}

#[test]
fn nobody_comes_in_behind_a_stop() {
    with_shards(|shards| {
        let (fixture, _asked) = opened(shards, 16);
        let mut late = fixture.line();
        let ws = fixture.connected();
        assert_eq!(fixture.said(), "+/ ");
        late.stream.write_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n").unwrap();
        // It is known to be half there once the other's word, sent later, is.
        fixture.connected().close();
        assert_eq!([fixture.said(), fixture.said()], ["+/ ", "-/ transport close"]);
        fixture.handle.stop(Duration::from_secs(10));
        assert_eq!(ws.close_code(), 1001);
        assert_eq!(fixture.said(), "-/ server shutting down");
        // One shard has said that. When nobody takes a connection any more the others stop as well.
        while std::net::TcpStream::connect(fixture.address).is_ok() {}
        // Who has ended already says nothing, and keeps nobody waiting.
        assert!(fixture.handle.io_audit().len() <= shards);
        drop(late.stream.write_all(b"\r\n"));
        let rest = late.rest();
        assert!(!rest.contains("\"sid\""), "{rest}");
        fixture.stop();
    });
}

#[test]
fn who_speaks_first_is_greeted_first_and_the_others_in_their_order() {
    with_shards(|shards| {
        let describe = |io: &mut Io, tell: &Tell| {
            ["/a", "/b", "/c", "/d"].into_iter().for_each(|name| talk(io.of(name), tell));
        };
        let fixture = start(shards, describe, |_| {});
        let mut poller = fixture.poller();
        poller.post("40/a,\x1e40/b,\x1e40/c,\x1e40/d,\x1e42/c,[\"echo\"]");
        assert_eq!([0; 4].map(|_| fixture.said()), ["+/c", "+/a", "+/b", "+/d"]);
        poller.post("1");
        assert_eq!(fixture.said_sorted(4)[0], "-/a transport close");
        fixture.end();
    });
}
