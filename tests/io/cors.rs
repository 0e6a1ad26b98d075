//! What a page of another origin is told.

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
