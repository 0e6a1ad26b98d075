//! Answers to polls as gzip: for whoever takes it, from a length on, and up to so many bytes in a turn.

use throng::io::HttpCompression;

use super::http::{Answer, target};
use super::peer::{Fixture, Poller, start, talking, with_shards};

/// A packet of so many bytes, and its answer.
fn packet(bytes: usize) -> String {
    format!("42[\"echo\",\"{}\"]", "throng ".repeat(bytes / 7 + 1).split_at(bytes - 13).0)
}

/// The coding, and what a cache must look at.
fn told(answer: &Answer) -> [Option<String>; 2] {
    ["Content-Encoding", "Vary"].map(|name| answer.header(name))
}

/// Asks for what was posted, or posts what was asked for.
fn polled(fixture: &Fixture, poller: &mut Poller, packet: &str, coding: &str, waits: bool) -> Answer {
    let fields = [("Accept-Encoding", coding)];
    let fields = if coding.is_empty() { &[][..] } else { &fields[..] };
    if !waits {
        poller.post(packet);
    }
    poller.polls.send("GET", &target(&poller.sid), fields, b"");
    if waits {
        while fixture.handle.io_audit().iter().map(|audit| audit.held).sum::<usize>() == 0 {}
        poller.post(packet);
    }
    let answer = poller.polls.answer();
    assert_eq!(answer.packets(), [packet]);
    answer
}

#[test]
fn long_answers_are_compressed_for_who_takes_it() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        let (gzip, vary) = (Some("gzip".to_owned()), Some("Accept-Encoding".to_owned()));
        for waits in [false, true] {
            for (bytes, coding, expected) in [
                (1023, "gzip", [None, None]),
                (1024, "gzip", [gzip.clone(), vary.clone()]),
                (100_000, "gzip, deflate, br", [gzip.clone(), vary.clone()]),
                (5000, "*", [gzip.clone(), vary.clone()]),
                (5000, "gzip;q=0, deflate", [None, vary.clone()]),
                (5000, "deflate", [None, vary.clone()]),
                (5000, "", [None, vary.clone()]),
            ] {
                let answer = polled(&fixture, &mut poller, &packet(bytes), coding, waits);
                assert_eq!(told(&answer), expected, "{bytes} {coding:?} {waits}");
                let sent: usize = answer.header("Content-Length").unwrap().parse().unwrap();
                if expected[0].is_some() {
                    assert!(sent < bytes / 5, "{sent} of {bytes}");
                } else {
                    assert_eq!(sent, bytes);
                }
            }
        }
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        let counted = fixture.end();
        assert_eq!(counted.counter("io_polls_compressed"), Some(6));
        assert_eq!(counted.counter("io_compressions_skipped"), Some(0));
    });
}

#[test]
fn it_can_be_turned_off_and_is_limited() {
    with_shards(|shards| {
        let mut limited = HttpCompression::default();
        (limited.threshold_bytes, limited.bytes_per_turn) = (100, 2000);
        for (compression, bytes, is_compressed, skipped) in
            [(None, 5000, false, 0), (Some(limited.clone()), 2000, true, 0), (Some(limited), 2001, false, 1)]
        {
            let fixture = start(shards, talking, |io| io.http_compression = compression);
            let mut poller = fixture.polling();
            let answer = polled(&fixture, &mut poller, &packet(bytes), "gzip", true);
            assert_eq!(answer.header("Content-Encoding").is_some(), is_compressed, "{bytes}");
            poller.post("1");
            assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
            assert_eq!(fixture.end().counter("io_compressions_skipped"), Some(skipped));
        }
    });
}

#[test]
fn a_browser_s_file_and_a_refusal_go_out_as_they_are() {
    let fixture = start(1, talking, |_| {});
    let mut line = fixture.line();
    for target in ["/socket.io/socket.io.js", "/socket.io/?EIO=4&transport=polling&sid=none"] {
        line.send("GET", target, &[("Accept-Encoding", "gzip")], b"");
        assert_eq!(told(&line.answer()), [None, None], "{target}");
    }
    fixture.stop();
}
