//! The cookie with a session's id: where it was asked for, with the first answer to a client that polls, and no other.

use std::time::Duration;

use throng::io::{Cookie, SameSite};

use super::http::{sid_of, target};
use super::peer::{start, talking, with_shards};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn none_is_set_by_itself() {
    let fixture = start(1, talking, |_| {});
    let answer = fixture.line().ask("GET", OPEN, "");
    assert_eq!((answer.status, answer.header("Set-Cookie")), (200, None));
    fixture.stop();
}

#[test]
fn the_first_answer_sets_it() {
    with_shards(|shards| {
        let mut named = Cookie::default();
        named.name = "sticky".to_owned();
        named.max_age = Some(Duration::from_secs(60));
        named.same_site = Some(SameSite::Strict);
        for (cookie, name, attributes) in [
            (Cookie::default(), "io", "; Path=/; HttpOnly; SameSite=Lax"),
            (named, "sticky", "; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"),
        ] {
            let fixture = start(shards, talking, |io| io.cookie = Some(cookie));
            let mut line = fixture.line();
            let answer = line.ask("GET", OPEN, "");
            let sid = sid_of(&answer.packets()[0]);
            assert_eq!(answer.header("Set-Cookie"), Some(format!("{name}={sid}{attributes}")));
            // Neither a POST nor a poll nor a refusal does.
            for (method, target, body) in
                [("POST", target(&sid), "40"), ("GET", target(&sid), ""), ("GET", target(&sid) + "x", "")]
            {
                assert_eq!(line.ask(method, &target, body).header("Set-Cookie"), None);
            }
            // As with the official server, a client that begins with a WebSocket gets none.
            let fields = [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ];
            let mut line = fixture.line();
            line.send("GET", "/socket.io/?EIO=4&transport=websocket", &fields, b"");
            let answer = line.answer();
            assert_eq!((answer.status, answer.header("Set-Cookie")), (101, None));
            fixture.stop();
        }
    });
}
