//! Sessions that stay with polling: against a server whose faults are known to the packet and to the response.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::{Said, bench, tcp_server};

/// What a server does with one response.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Stay,
    /// Ends the connection without a word, as one that was idle for too long is ended.
    End,
    /// Says that it will, and does.
    Close,
}

/// What waits for its poll, by session.
type Queues = Arc<(Mutex<HashMap<String, Vec<String>>>, Condvar)>;

/// An Engine.IO server of polling alone. It hands every event to `each` with its number in the session, from 1, for the
/// packets that answer it, or a status that refuses the POST; `after` decides on each answer to a request of a session.
fn polling(
    each: impl Fn(u64, &str) -> Result<Vec<String>, u16> + Send + Sync + 'static,
    after: impl Fn(&str) -> After + Send + Sync + 'static,
) -> SocketAddr {
    let (queues, numbers) = (Queues::default(), Mutex::new(HashMap::<String, u64>::new()));
    tcp_server(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((method, sid, body)) = request(&mut reader) {
            let (lock, arrived) = &*queues;
            let Some(sid) = sid else {
                let mut sessions = lock.lock().unwrap();
                let sid = format!("s{}", sessions.len());
                sessions.insert(sid.clone(), Vec::new());
                let open = format!(
                    r#"0{{"sid":"{sid}","pingInterval":25000,"pingTimeout":20000,"maxPayload":200}}"#
                );
                respond(&stream, 200, &open, After::Stay);
                continue;
            };
            if method == "GET" {
                let mut sessions = lock.lock().unwrap();
                while sessions.get(&sid).is_some_and(Vec::is_empty) {
                    sessions = arrived.wait_timeout(sessions, Duration::from_secs(20)).unwrap().0;
                }
                let Some(packets) = sessions.get_mut(&sid).map(std::mem::take) else {
                    return respond(&stream, 400, r#"{"code":1}"#, After::Close);
                };
                drop(sessions);
                let after = after(&method);
                respond(&stream, 200, &packets.join("\u{1e}"), after);
                if after != After::Stay {
                    return;
                }
                continue;
            }
            assert!(
                body.len() <= 200 || !body.contains('\u{1e}'),
                "more packets than may be in one POST: {body}"
            );
            let mut refused = None;
            for packet in body.split('\u{1e}') {
                let answers = match packet {
                    "1" => {
                        lock.lock().unwrap().remove(&sid);
                        arrived.notify_all();
                        continue;
                    }
                    "40" => Ok(vec!["40{\"sid\":\"t\"}".to_owned()]),
                    event => {
                        let mut numbers = numbers.lock().unwrap();
                        let number = numbers.entry(sid.clone()).or_default();
                        *number += 1;
                        each(*number, event)
                    }
                };
                match answers {
                    Ok(answers) => lock.lock().unwrap().entry(sid.clone()).or_default().extend(answers),
                    Err(status) => refused = Some(status),
                }
            }
            arrived.notify_all();
            let after = after(&method);
            respond(&stream, refused.unwrap_or(200), "ok", after);
            if after != After::Stay {
                return;
            }
        }
    })
}

/// Method, session and body of the next request.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Option<String>, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
    let (method, rest) = line.split_once(' ')?;
    let sid = rest.split_once("&sid=").map(|(_, sid)| sid.split(' ').next().unwrap().to_owned());
    let (method, mut length) = (method.to_owned(), 0);
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim_end().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, sid, String::from_utf8(body).unwrap()))
}

fn respond(mut stream: &TcpStream, status: u16, body: &str, after: After) {
    let close = if after == After::Close { "Connection: close\r\n" } else { "" };
    let length = body.len();
    // A client that is gone is noticed by the next request.
    drop(stream.write_all(
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{close}\r\n{body}").as_bytes(),
    ));
    if after != After::Stay {
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}

/// The ack of an event, or the event as it came.
fn answer(event: &str) -> String {
    let (head, args) = event.split_once('[').unwrap();
    match head.strip_prefix("42").unwrap() {
        "" => event.to_owned(),
        id => format!("43{id}[{}", args.split_once(',').unwrap().1),
    }
}

fn assert_clean(said: &Said) {
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    for name in ["lost", "duplicated", "reordered", "corrupt", "failed", "closed_by_server"] {
        assert_eq!(said.count(name), 0, "{name}: {}", said.stdout);
    }
}

#[test]
fn an_honest_server_is_one_whatever_it_does_with_its_connections() {
    type Decide = fn(&str) -> After;
    let table: [(&str, Decide); 5] = [
        ("stays", |_| After::Stay),
        ("says that it closes", |_| After::Close),
        ("closes what was posted on", |method| if method == "POST" { After::Close } else { After::Stay }),
        ("closes what was polled", |method| if method == "GET" { After::Close } else { After::Stay }),
        ("ends what is idle", |method| if method == "POST" { After::End } else { After::Stay }),
    ];
    for (what, after) in table {
        let address = polling(|_, event| Ok(vec![answer(event)]), after);
        for flags in ["--pipeline 7", "--rate 500 --ack --size 300"] {
            let said = bench(&format!(
                "echo ws://{address} --protocol socketio --transport polling -c 5 --duration 300ms --warmup 0s {flags}"
            ));
            assert_clean(&said);
            assert!(said.count("received") > 0, "{what}, {flags}: {}", said.stdout);
            assert_eq!(said.count("sent"), said.count("received"), "{what}, {flags}");
        }
    }
}

#[test]
fn losses_and_doubles_are_counted_to_the_packet() {
    let each = |number, event: &str| {
        Ok(match number % 100 {
            1 => vec![],
            2 => vec![answer(event); 2],
            3 => vec![answer(event).replacen("abcd", "abxd", 1)],
            _ => vec![answer(event)],
        })
    };
    let address = polling(each, |_| After::Stay);
    let said = bench(&format!(
        "echo ws://{address} --protocol socketio --transport polling -c 2 --rate 800 --size 30 --duration 500ms \
         --warmup 0s --drain 200ms"
    ));
    // On each of two sessions 2 of 200 never came, 2 came twice, and 2 came changed, which is lost as well.
    let counts = (said.count("sent"), said.count("lost"), said.count("duplicated"), said.count("corrupt"));
    assert_eq!((said.code, counts), (Some(1), (400, 8, 4, 4)), "{}", said.stdout);
}

#[test]
fn what_ends_a_session_is_told() {
    let refusing = |number, event: &str| if number == 5 { Err(413) } else { Ok(vec![answer(event)]) };
    let closing = |number, event: &str| Ok(vec![if number == 5 { "1".to_owned() } else { answer(event) }]);
    for (address, words) in [
        (polling(refusing, |_| After::Stay), "2 × the server answered a POST with 413 ok"),
        (polling(closing, |_| After::Stay), "2 × the server closed the Engine.IO session"),
    ] {
        let said = bench(&format!(
            "echo ws://{address} --protocol socketio --transport polling -c 2 --duration 60s --warmup 0s"
        ));
        assert_eq!((said.code, said.count("closed_by_server")), (Some(1), 2), "{}", said.stdout);
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    for (body, words) in
        [("40", "no open packet"), (r#"0{"sid":"s"}"#, "does not answer to the namespace within")]
    {
        let address = tcp_server(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some((_, sid, _)) = request(&mut reader) {
                if sid.is_none() {
                    respond(&stream, 200, body, After::Stay);
                }
            }
        });
        let said = bench(&format!(
            "idle ws://{address} --protocol socketio --transport polling --connect-timeout 200ms"
        ));
        assert_eq!(said.code, Some(3), "{}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(words) && said.stderr.lines().count() == 1, "{words}: {}", said.stderr);
    }
}
