//! What a page of another origin is told, and whether it is served.

use throng::io::{Cors, CorsOrigins};

use super::http::{Answer, target};
use super::peer::{Fixture, start, talking, with_shards};

fn fixture(shards: usize, origins: CorsOrigins, credentials: bool) -> Fixture {
    start(shards, talking, move |io| {
        let mut cors = Cors::default();
        (cors.origins, cors.credentials) = (origins, credentials);
        io.cors = cors;
    })
}

/// What an answer says about origins: who may, with cookies, and what a cache must look at.
fn told(answer: &Answer) -> [Option<String>; 3] {
    ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary"]
        .map(|name| answer.header(name))
}

#[test]
fn every_answer_says_whether_its_origin_may() {
    let list = || CorsOrigins::Only(vec!["http://a".into(), "http://b:1".into()]);
    let (any, own) = (|| CorsOrigins::Any, || CorsOrigins::Own);
    let test = || CorsOrigins::when(|origin| origin.ends_with(".example.org"));
    for (origins, credentials, origin, expected) in [
        (own(), true, Some("http://a"), [None, None, None]),
        (any(), false, Some("http://a"), [Some("*"), None, None]),
        (any(), false, None, [None, None, None]),
        (any(), true, Some("http://a"), [Some("http://a"), Some("true"), Some("Origin")]),
        (any(), true, None, [None, None, Some("Origin")]),
        (list(), false, Some("http://a"), [Some("http://a"), None, Some("Origin")]),
        (list(), true, Some("http://b:1"), [Some("http://b:1"), Some("true"), Some("Origin")]),
        (list(), true, Some("http://b"), [None, None, Some("Origin")]),
        (list(), true, Some("null"), [None, None, Some("Origin")]),
        (list(), true, None, [None, None, Some("Origin")]),
        (test(), false, Some("http://a.example.org"), [Some("http://a.example.org"), None, Some("Origin")]),
        (test(), true, Some("http://example.org"), [None, None, Some("Origin")]),
        (test(), true, None, [None, None, Some("Origin")]),
    ] {
        with_shards(|shards| {
            let fixture = fixture(shards, origins.clone(), credentials);
            let fields: Vec<_> = origin.into_iter().map(|origin| ("Origin", origin)).collect();
            let expected = expected.map(|one| one.map(str::to_owned));
            let case = format!("{origins:?} {credentials} {origin:?}");

            let mut line = fixture.line();
            let mut ask = |method: &str, path: &str| {
                line.send(method, path, &fields, b"");
                line.answer()
            };
            for (method, path, status) in [
                ("GET", "/socket.io/?EIO=4&transport=polling", 200),
                ("GET", "/socket.io/?EIO=4&transport=nothing", 400),
                ("GET", "/socket.io/socket.io.js", 200),
                ("OPTIONS", "/socket.io/?EIO=4&transport=polling", 204),
            ] {
                let answer = ask(method, path);
                assert_eq!(
                    (answer.status, told(&answer)),
                    (status, expected.clone()),
                    "{case} {method} {path}"
                );
            }
            // Answers that were waited for, and from another shard.
            let mut poller = fixture.polling();
            poller.polls.send("GET", &target(&poller.sid), &fields, b"");
            poller.posts.send("POST", &target(&poller.sid), &fields, b"42[\"echo\"]");
            for answer in [poller.polls.answer(), poller.posts.answer()] {
                assert_eq!((answer.status, told(&answer)), (200, expected.clone()), "{case}");
            }
            fixture.stop();
        });
    }
}

/// A WebSocket's handshake from a page of an origin.
fn handshake(origin: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let mut fields = vec![
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    fields.extend(origin.map(|origin| ("Origin", origin)));
    fields
}

#[test]
fn who_may_not_is_refused_on_every_transport_where_that_is_enforced() {
    const OPEN: &str = "/socket.io/?EIO=4&transport=polling";
    let list = || CorsOrigins::Only(vec!["https://b".into()]);
    let test = || CorsOrigins::when(|origin| origin == "https://b");
    for (origins, origin, may) in [
        (CorsOrigins::Own, None, true),
        (CorsOrigins::Own, Some("http://a"), true),
        (CorsOrigins::Own, Some("https://A"), true),
        (CorsOrigins::Own, Some("http://a:81"), false),
        (CorsOrigins::Own, Some("http://b"), false),
        (CorsOrigins::Own, Some("null"), false),
        (CorsOrigins::Any, Some("http://b"), true),
        (list(), Some("https://b"), true),
        (list(), Some("http://b"), false),
        (list(), Some("http://a"), false),
        (list(), None, true),
        (test(), Some("https://b"), true),
        (test(), Some("http://b"), false),
    ] {
        with_shards(|shards| {
            let fixture = start(shards, talking, |io| {
                (io.cors.origins, io.cors.is_enforced) = (origins.clone(), true);
            });
            let case = format!("{origins:?} {origin:?}");
            let fields: Vec<_> = origin.into_iter().map(|origin| ("Origin", origin)).collect();
            let mut poller = fixture.polling();
            // The host that the request is for is called `a`.
            let mut line = fixture.line_off(poller.sid.shard);
            let mut refused = 0;
            for (method, target, body) in [
                ("GET", OPEN.to_owned(), ""),
                ("POST", target(&poller.sid), "42[\"echo\"]"),
                ("GET", target(&poller.sid), ""),
            ] {
                line.send(method, &target, &fields, body.as_bytes());
                let answer = line.answer();
                let forbidden = (403, r#"{"code":4,"message":"Forbidden"}"#);
                assert_eq!((answer.status, answer.body.as_str()) == forbidden, !may, "{case}: {answer:?}");
                refused += u64::from(answer.status == 403);
            }
            for query in [String::new(), format!("&sid={}", poller.sid)] {
                let mut line = fixture.line();
                let target = format!("/socket.io/?EIO=4&transport=websocket{query}");
                line.send("GET", &target, &handshake(origin), b"");
                let answer = line.answer();
                assert_eq!(answer.status, if may { 101 } else { 403 }, "{case} {query}");
                refused += u64::from(!may);
            }
            // The browser's client and the question before a request are for all.
            line.send("GET", "/socket.io/socket.io.js", &fields, b"");
            assert_eq!(line.answer().status, 200, "{case}");
            line.send("OPTIONS", OPEN, &fields, b"");
            assert_eq!(line.answer().status, 204, "{case}");
            // Who is refused has changed nothing.
            if !may {
                poller.post("42[\"echo\",1]");
                assert_eq!(poller.next(), "42[\"echo\",1]", "{case}");
            }
            // A WebSocket for the session of another shard is judged before it moves.
            assert_eq!(fixture.stop().counter("io_origins_refused"), Some(refused), "{case}");
        });
    }
}

#[test]
fn a_browser_that_asks_first_hears_what_it_may() {
    let fixture = fixture(1, CorsOrigins::Any, true);
    let mut line = fixture.line();
    let fields = [
        ("Origin", "http://a"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-one,x-two"),
    ];
    line.send("OPTIONS", "/socket.io/?EIO=4&transport=polling&sid=unknown", &fields, b"");
    let answer = line.answer();
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.header("Access-Control-Allow-Methods").as_deref(), Some("GET,POST"));
    assert_eq!(answer.header("Access-Control-Allow-Headers").as_deref(), Some("x-one,x-two"));
    assert_eq!(
        told(&answer).map(Option::unwrap),
        ["http://a", "true", "Access-Control-Request-Headers, Origin"]
    );
    fixture.end();
}
