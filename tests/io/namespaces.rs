//! Namespaces: who is let in, with what, how often, and what is sent to one that was not joined.

use serde_json::json;
use throng::io::{Admit, Connect, Io};

use super::peer::{Tell, gone, start, talk, with_shards};

/// `/` and `/other` for everybody, `/a` to `/d` as well, `/admin` for who knows the word.
fn several(io: &mut Io, tell: &Tell) {
    for name in ["/", "/other", "/a", "/b", "/c", "/d"] {
        talk(io.of(name), tell);
    }
    let (came, went) = (tell.clone(), tell.clone());
    let admit = |connect: &Connect<'_>| match connect.auth::<serde_json::Value>(&mut String::new()) {
        Ok(auth) if auth["word"] == "right" => Admit::accept(auth["name"].as_str().unwrap().to_owned()),
        Ok(_) => Admit::refuse_with("wrong", &json!({ "code": 401 })),
        Err(_) => Admit::refuse("nothing"),
    };
    io.of_with("/admin", admit)
        .on_connection(move |socket| {
            let connect = socket.connect().unwrap();
            let query = connect
                .handshake()
                .and_then(|it| it.request(|request| request.query_param("EIO").map(|it| it.into_owned())));
            came.say(format!("+{} {} {query:?}", socket.data(), connect.auth_json()));
            assert_eq!(socket.transport().name(), "websocket");
        })
        .on_disconnect(move |socket, reason| {
            assert!(socket.connect().is_none());
            went.say(format!("{} {}", gone(socket, reason), socket.data()));
        });
}

#[test]
fn who_asks_is_let_in_or_hears_why_not() {
    with_shards(|shards| {
        let fixture = start(shards, several, |_| {});
        let mut ws = fixture.websocket();
        for (ask, answer) in [
            ("40/nowhere,", "44/nowhere,{\"message\":\"Invalid namespace\"}"),
            ("40/nowhere?a=b,{}", "44/nowhere,{\"message\":\"Invalid namespace\"}"),
            ("40/admin,", "44/admin,{\"message\":\"nothing\"}"),
            ("40/admin,{}", "44/admin,{\"message\":\"wrong\",\"data\":{\"code\":401}}"),
        ] {
            ws.send(ask);
            assert_eq!(ws.text(), answer);
        }
        // It was refused, so what it came with is still there for the one that takes it.
        ws.send("40/admin,{\"word\":\"right\",\"name\":\"me\"}");
        assert!(ws.text().starts_with("40/admin,{\"sid\":"));
        assert_eq!(fixture.said(), "+me {\"word\":\"right\",\"name\":\"me\"} Some(\"4\")");
        ws.enter("/other");
        assert_eq!(fixture.said(), "+/other");
        ws.close();
        assert_eq!(fixture.said_sorted(2), ["-/admin transport close me", "-/other transport close"]);
        fixture.end();
    });
}

#[test]
fn ids_differ_and_a_socket_may_leave_and_come_back() {
    with_shards(|shards| {
        let fixture = start(shards, several, |_| {});
        let mut ws = fixture.websocket();
        let mut ids = vec![ws.sid.unwrap().to_string(), ws.enter("/"), ws.enter("/other")];
        assert_eq!([fixture.said(), fixture.said()], ["+/", "+/other"]);
        ws.send("41/other,");
        assert_eq!(fixture.said(), "-/other client namespace disconnect");
        // The other one goes on.
        ws.send("42[\"echo\"]");
        assert_eq!(ws.text(), "42[\"echo\"]");
        ids.push(ws.enter("/other"));
        assert_eq!(fixture.said(), "+/other");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        ws.send("41");
        assert_eq!(fixture.said(), "-/ client namespace disconnect");
        ws.send("42/other,[\"echo\"]");
        assert_eq!(ws.text(), "42/other,[\"echo\"]");
        ws.close();
        assert_eq!(fixture.said(), "-/other transport close");
        fixture.end();
    });
}

#[test]
fn leaving_and_coming_back_in_one_body_are_told_in_order() {
    with_shards(|shards| {
        let fixture = start(shards, several, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        poller.post("41\x1e40\x1e42[\"echo\"]\x1e41\x1e40\x1e42[\"echo\"]");
        let packets = poller.packets(4);
        assert!(packets[0].starts_with("40{") && packets[2].starts_with("40{"), "{packets:?}");
        assert_eq!((packets[1].as_str(), packets[3].as_str()), ("42[\"echo\"]", "42[\"echo\"]"));
        let left = "-/ client namespace disconnect";
        assert_eq!([0; 4].map(|_| fixture.said()), [left, "+/", left, "+/"]);
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}

#[test]
fn what_is_sent_to_a_namespace_that_was_not_joined_ends_the_session() {
    with_shards(|shards| {
        let fixture = start(shards, several, |_| {});
        for wrong in [
            "42/other,[\"echo\"]",
            "42/nowhere,[\"echo\"]",
            "43/other,1[]",
            "41/other,",
            "41/nowhere,",
            "44{\"message\":\"no\"}",
            // Twice.
            "40",
            "40{}",
        ] {
            let mut ws = fixture.connected();
            ws.send(wrong);
            assert_eq!(ws.close_code(), 1000, "{wrong}");
            assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ forced server close"], "{wrong}");
        }
        // A binary event as well, once its attachment is there.
        let mut ws = fixture.connected();
        ws.send("451-/other,[\"echo\",{\"_placeholder\":true,\"num\":0}]");
        ws.client.send(tungstenite::Message::binary(vec![1])).unwrap();
        assert_eq!(ws.close_code(), 1000);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ forced server close"]);
        fixture.end();
    });
}

#[test]
fn a_session_may_be_in_so_many_namespaces() {
    with_shards(|shards| {
        let fixture = start(shards, several, |io| io.namespaces_per_session_max = 3);
        let mut ws = fixture.websocket();
        ["/a", "/b", "/c"].into_iter().for_each(|name| _ = ws.enter(name));
        assert_eq!([0; 3].map(|_| fixture.said()), ["+/a", "+/b", "+/c"]);
        // One that it has left makes room.
        ws.send("41/b,");
        assert_eq!(fixture.said(), "-/b client namespace disconnect");
        ws.enter("/d");
        assert_eq!(fixture.said(), "+/d");
        ws.send("40/b,");
        assert_eq!(ws.close_code(), 1000);
        let expected = ["/a", "/c", "/d"].map(|name| format!("-{name} forced server close"));
        assert_eq!(fixture.said_sorted(3), expected);
        fixture.end();
    });
}

#[test]
fn sockets_of_a_session_end_in_the_order_they_came() {
    let fixture = start(1, several, |_| {});
    let mut ws = fixture.websocket();
    let names = ["/c", "/a", "/", "/b"];
    names.into_iter().for_each(|name| _ = ws.enter(name));
    assert_eq!([0; 4].map(|_| fixture.said()), names.map(|name| format!("+{name}")));
    ws.close();
    assert_eq!([0; 4].map(|_| fixture.said()), names.map(|name| format!("-{name} transport close")));
    fixture.end();
}

/// `/` and `/other`, whose `who` answers with what is kept of a client's handshake.
fn kept(io: &mut Io, _: &Tell) {
    for name in ["/", "/other"] {
        drop(io.of(name).on("who", |socket, (): &()| {
            let Some(kept) = socket.handshake() else {
                socket.ack("nothing");
                return;
            };
            let word = kept.auth::<serde_json::Value>(&mut String::new()).map(|auth| auth["word"].clone());
            assert!(kept.time() <= std::time::SystemTime::now() && kept.address().ip().is_loopback());
            // It may go to another thread.
            let (ack, query) = (socket.take_ack(), move || (kept.query("EIO"), kept.header("Upgrade")));
            std::thread::spawn(move || ack.answer((word.ok(), query())));
        }));
    }
}

#[test]
fn a_handshake_is_kept_where_that_is_asked_for() {
    with_shards(|shards| {
        for is_kept in [false, true] {
            let fixture = start(shards, kept, |io| io.keep_handshake = is_kept);
            let count = || fixture.handle.io_audit().iter().map(|audit| audit.handshakes).sum::<usize>();
            let (mut ws, mut poller) = (fixture.websocket(), fixture.poller());
            ws.send("40{\"word\":\"first\"}");
            assert!(ws.text().starts_with("40{\"sid\""));
            ws.send("40/other,{\"word\":\"second\"}");
            assert!(ws.text().starts_with("40/other,{\"sid\""));
            poller.post("40");
            assert!(poller.next().starts_with("40{\"sid\""));
            ws.send_all(&["420[\"who\"]", "42/other,1[\"who\"]"]);
            poller.post("422[\"who\"]");
            let mut said = [ws.text(), ws.text(), poller.next()];
            said[..2].sort();
            if is_kept {
                assert_eq!(
                    said,
                    [
                        "43/other,1[\"second\",[\"4\",\"websocket\"]]",
                        "430[\"first\",[\"4\",\"websocket\"]]",
                        "432[null,[\"4\",null]]"
                    ]
                );
                assert_eq!(count(), 3);
                ws.send("41/other,");
                ws.send("420[\"who\"]");
                assert!(ws.text().starts_with("430[\"first\""));
                assert_eq!(count(), 2);
            } else {
                assert_eq!(said, ["43/other,1[\"nothing\"]", "430[\"nothing\"]", "432[\"nothing\"]"]);
                assert_eq!(count(), 0);
            }
            ws.close();
            poller.post("1");
            fixture.end();
        }
    });
}
