//! Messages in her own words: against servers that have a protocol of their own, whose faults are known to the message.

use std::sync::Mutex;

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{Said, assert_clean, bench_with, messages, send, server, socket_io};

/// A JSON-RPC server: answers `sum` under the request's id, refuses nothing else, and notifies before every third answer.
fn json_rpc(answer: impl Fn(u64, &Value) -> Vec<Value> + Send + Sync + 'static) -> std::net::SocketAddr {
    server(move |socket| {
        messages(socket, |socket, number, message| {
            let request: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            assert_eq!((&request["jsonrpc"], &request["method"]), (&json!("2.0"), &json!("sum")));
            if number % 3 == 0 {
                send(socket, Message::text(r#"{"jsonrpc":"2.0","method":"tick","params":{"id":7}}"#));
            }
            for answer in answer(number, &request) {
                send(socket, Message::text(answer.to_string()));
            }
        });
    })
}

fn reply(request: &Value) -> Value {
    json!({"jsonrpc": "2.0", "result": {"sum": 3}, "id": request["id"]})
}

const SUM: &str = r#"{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":${seq}}"#;

fn run(address: std::net::SocketAddr, flags: &str, words: &[&str]) -> Said {
    let url = format!("ws://{address}/");
    let flags = format!("echo {url} {flags}");
    bench_with(&flags, words)
}

#[test]
fn a_json_rpc_server_with_ids_of_its_own_is_measured() {
    let address = json_rpc(|_, request| vec![reply(request)]);
    for flags in
        ["-c 3 --rate 300 --duration 1s --warmup 0s", "-c 3 --pipeline 7 --duration 300ms --warmup 0s"]
    {
        let said = run(address, flags, &["--send", SUM, "--match", "json:/id"]);
        assert_clean(&said);
        let (sent, unmatched) = (said.count("sent"), said.count("unmatched"));
        assert!(sent >= 300 && said.count("received") == sent, "{}", said.stdout);
        assert!((sent / 3 - 3..=sent / 3).contains(&unmatched), "{unmatched} of {sent}");
        assert_eq!(said.count("untimed"), 0);
        assert!(said.figure("/response/p50") > 1.0, "{}", said.stdout);
        assert!(said.stdout.contains("unmatched") && said.stdout.contains("\"tick\""), "{}", said.stdout);
    }
}

#[test]
fn losses_doubles_and_swaps_are_counted_to_the_reply() {
    let held = Mutex::new(None);
    let address = json_rpc(move |number, request| match number % 1000 {
        1 => vec![],
        2 => vec![reply(request), reply(request)],
        3 => {
            *held.lock().unwrap() = Some(reply(request));
            vec![]
        }
        4 => vec![reply(request), held.lock().unwrap().take().unwrap()],
        5 => vec![json!({"jsonrpc": "2.0", "result": {}, "id": 77_777_777})],
        _ => vec![reply(request)],
    });
    let flags = "-c 1 --rate 2000 --duration 1s --warmup 0s --drain 200ms";
    let said = run(address, flags, &["--send", SUM, "--match", r#"regex:^\{"id":(\d+),"#]);
    assert_eq!(said.code, Some(1));
    let counts = ["sent", "lost", "duplicated", "reordered"].map(|name| said.count(name));
    // 1 and 1001 never came; 5 and 1005 came under another number.
    assert_eq!(counts, [2000, 4, 2, 2], "{}", said.stdout);
}

#[test]
fn a_stamp_is_found_wherever_it_comes_back_and_a_file_may_say_what_is_sent() {
    let address = server(|socket| {
        messages(socket, |socket, _, message| {
            let text = message.to_text().unwrap();
            assert!(
                text.starts_with("<m from='u1' at='1") || text.starts_with("<m from='u2' at='1"),
                "{text}"
            );
            assert!(!text.ends_with('\n'));
            send(socket, Message::text(format!("<ack>{}</ack>", text.replace("m from", "m to"))));
        });
    });
    let directory = std::env::temp_dir().join(format!("bench-client-words-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (words, csv) = (directory.join("words.xml"), directory.join("users.csv"));
    std::fs::write(&words, "<m from='${csv.user}' at='${now_ms}' r='${random.5}'>${stamp}</m>\n").unwrap();
    std::fs::write(&csv, "user,token\nu1,a\nu2,b\n").unwrap();
    let (words, csv) = (format!("@{}", words.display()), csv.display().to_string());
    let said =
        run(address, "-c 3 --rate 300 --duration 300ms --warmup 0s", &["--send", &words, "--csv", &csv]);
    std::fs::remove_dir_all(directory).unwrap();
    assert_clean(&said);
    assert_eq!((said.count("received"), said.count("unmatched")), (90, 0), "{}", said.stdout);
}

#[test]
fn a_server_that_answers_in_another_kind_is_named_as_that_and_not_as_loss() {
    let address =
        json_rpc(|_, request| vec![json!({"jsonrpc": "2.0", "result": 3, "request": request["id"]})]);
    let said = run(
        address,
        "-c 2 --rate 100 --duration 500ms --warmup 0s --drain 100ms",
        &["--send", SUM, "--match", "json:/id"],
    );
    assert_eq!((said.code, said.count("received"), said.count("lost")), (Some(1), 0, 0), "{}", said.stdout);
    let words = "result        FAILED: the server answers, but not in kind: 66 messages came, none matches --match json:/id; the \
                 first was {\"jsonrpc\":\"2.0\",\"request\":0,\"result\":3}";
    assert!(said.stdout.contains(words) && !said.stdout.contains("messages were lost"), "{}", said.stdout);

    let address = server(|socket| messages(socket, |socket, _, _| send(socket, Message::text("what?"))));
    let said = bench_with(
        &format!("echo ws://{address}/ -c 2 --rate 100 --duration 500ms --warmup 0s --drain 100ms"),
        &[],
    );
    assert_eq!((said.code, said.count("lost")), (Some(1), 0), "{}", said.stdout);
    assert!(
        said.stdout.contains("not in kind: 50 messages came, none is one that was sent")
            && said.stdout.contains("--send and --match; the first was what?"),
        "{}",
        said.stdout
    );
}

#[test]
fn arguments_of_events_are_her_own_too_and_an_ack_needs_no_match() {
    let address = socket_io("", |socket, _, text| {
        let (head, args) = text.split_once('[').unwrap();
        assert!(args.starts_with(r#""add",{"n":"#) && args.ends_with(r#",1]"#), "{text}");
        send(socket, Message::text(format!("43{}[{{\"ok\":true}}]", head.strip_prefix("42").unwrap())));
    });
    let words = ["--event", "add", "--ack", "--send", r#"{"n":${seq}},1"#];
    let said = run(address, "--protocol socketio -c 2 --rate 200 --duration 300ms --warmup 0s", &words);
    assert_clean(&said);
    assert_eq!(said.count("received"), 60, "{}", said.stdout);

    let address = socket_io("", |socket, _, text| {
        let n = text.split("\"n\":").nth(1).unwrap().split('}').next().unwrap();
        send(socket, Message::text(format!(r#"42["added",{{"to":{{"n":{n}}}}}]"#)));
        send(socket, Message::text(r#"42["added","by another"]"#));
    });
    let words =
        ["--event", "add", "--reply-event", "added", "--send", r#"{"n":${seq}}"#, "--match", "json:/1/to/n"];
    let said = run(address, "--protocol socketio -c 2 --pipeline 2 --duration 200ms --warmup 0s", &words);
    assert_clean(&said);
    assert!(said.count("received") > 0 && said.count("unmatched") > 0, "{}", said.stdout);
}
