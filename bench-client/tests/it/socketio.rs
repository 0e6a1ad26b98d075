//! The client in Socket.IO: against servers whose faults are known to the packet, and against throng itself.

use std::io::{Read, Write};
use std::sync::Mutex;

use tungstenite::Message;

use crate::support::{
    assert_clean, bench, echo, messages, relay_events, send, server, socket_io, tcp_server, throng,
};

/// `42["echo","…"]` as it came, and `42["x",…` as an ack would have it.
fn answer(text: &str) -> String {
    let (head, args) = text.split_once('[').unwrap();
    match head.strip_prefix("42/x,").or_else(|| head.strip_prefix("42")) {
        Some("") => text.to_owned(),
        Some(id) => {
            let namespace = if head.contains('/') { "/x," } else { "" };
            format!("43{namespace}{id}[{}", args.split_once(',').unwrap().1)
        }
        None => panic!("{text}"),
    }
}

#[test]
fn an_honest_server_is_one_in_every_form() {
    let address = socket_io("", |socket, _, text| send(socket, Message::text(answer(text))));
    for flags in
        ["", "--ack", "--ack --pipeline 8 --size 126", "--size 70000 --pipeline 3", "--rate 2000 --ack"]
    {
        let said = bench(&format!(
            "echo ws://{address} --protocol socketio -c 7 --threads 2 --duration 300ms --warmup 50ms {flags}"
        ));
        assert_clean(&said);
        assert_eq!(said.count("opened"), 7);
        assert_eq!(said.count("sent"), said.count("received"), "{flags}");
        assert!(said.count("received_in_window") > 0, "{flags}: {}", said.stdout);
        assert!(said.figure("/response/p50") > 0.0);
    }
}

#[test]
fn namespace_auth_and_another_event_are_what_the_server_sees() {
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let (log, namespace) = (std::sync::Arc::clone(&seen), "/x,");
    let address = socket_io(namespace, move |socket, number, text| {
        if number == 1 {
            log.lock().unwrap().push(text.to_owned());
        }
        // Another name, an argument more, white space, and a letter escaped.
        let stamp = text.split('"').nth(3).unwrap();
        let escaped = format!("\\u{:04x}{}", stamp.as_bytes()[0], &stamp[1..]);
        send(socket, Message::text(r#"42/x,["somebody joined",{"not":"for you"}]"#));
        send(socket, Message::text(format!("42/x,[\"said\", \"by me\" , \"{escaped}\" , 7]")));
    });
    let flags = r#"-c 3 --namespace /x --auth {"token":"t"} --event say --reply-event said --duration 200ms"#;
    let said = bench(&format!("echo ws://{address}/?a=b --protocol socketio --warmup 0s {flags}"));
    assert_clean(&said);
    assert!(said.count("received") > 0 && said.count("foreign") >= said.count("received"), "{}", said.stdout);
    assert!(said.stdout.contains("namespace /x: `say` answered by `said`"), "{}", said.stdout);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter().all(|text| text.starts_with(r#"42/x,["say","E"#) && text.len() == 13 + 20 + 2),
        "{seen:?}"
    );
}

#[test]
fn losses_doubles_and_swaps_are_counted_to_the_event() {
    let address = socket_io("", |socket, number, text| {
        let answer = Message::text(answer(text));
        match number % 1000 {
            1 => {}
            2 => (0..2).for_each(|_| send(socket, answer.clone())),
            3 => send(socket, Message::text(answer.to_string().replacen("abcd", "abxd", 1))),
            _ => send(socket, answer),
        }
    });
    for flags in ["", "--ack"] {
        let said = bench(&format!(
            "echo ws://{address} --protocol socketio -c 2 --rate 4000 --size 30 --duration 1s --warmup 0s \
             --drain 200ms {flags}"
        ));
        assert_eq!(said.code, Some(1));
        // On each of two connections number 1 and 1001 never came, 3 and 1003 came changed.
        let counts =
            (said.count("sent"), said.count("lost"), said.count("duplicated"), said.count("corrupt"));
        assert_eq!(counts, (4000, 8, 4, 4), "{}", said.stdout);
        assert_eq!(said.count("reordered"), 0);
    }
    let address = socket_io("", {
        let held = Mutex::new(std::collections::HashMap::new());
        move |socket, number, text| {
            let peer = socket.get_ref().peer_addr().unwrap();
            let answer = Message::text(answer(text));
            if number % 500 == 1 {
                held.lock().unwrap().insert(peer, answer);
                return;
            }
            send(socket, answer);
            if let Some(earlier) = held.lock().unwrap().remove(&peer) {
                send(socket, earlier);
            }
        }
    });
    let said = bench(&format!(
        "echo ws://{address} --protocol socketio --ack -c 2 --rate 2000 --duration 1s --warmup 0s"
    ));
    assert_eq!((said.code, said.count("reordered"), said.count("lost")), (Some(1), 4, 0), "{}", said.stdout);
}

#[test]
fn an_ack_under_another_id_or_where_none_was_asked_for_is_no_answer() {
    for (flags, wrong) in [("--ack", "43999999999"), ("", "430")] {
        let address = socket_io("", move |socket, _, text| {
            let args = text.split_once(',').unwrap().1;
            send(socket, Message::text(format!("{wrong}[{args}")));
        });
        let said = bench(&format!(
            "echo ws://{address} --protocol socketio -c 1 --rate 100 --duration 200ms --warmup 0s --drain 100ms {flags}"
        ));
        assert_eq!(
            (said.code, said.count("received"), said.count("corrupt")),
            (Some(1), 0, 20),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn of_several_attachments_the_last_has_the_stamp_and_those_of_others_are_none() {
    const TWO: &str = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (flags, head) in [("", r#"452-["echo","#), ("--ack", "462-ID[")] {
        let id = Mutex::new(String::new());
        let address = socket_io("", move |socket, number, text| {
            // Every second message is an attachment, whose bytes are ASCII.
            if number % 2 == 1 {
                let after = text.strip_prefix("451-").unwrap();
                after.split('[').next().unwrap().clone_into(&mut id.lock().unwrap());
                return;
            }
            send(socket, Message::text(r#"451-["other",{"_placeholder":true,"num":0}]"#));
            send(socket, Message::binary(text.as_bytes().to_vec()));
            let head = head.replace("ID", &id.lock().unwrap());
            send(socket, Message::text(format!("{head}{TWO}]")));
            send(socket, Message::binary(b"not the stamp".to_vec()));
            send(socket, Message::binary(text.as_bytes().to_vec()));
        });
        let said = bench(&format!(
            "echo ws://{address} --protocol socketio --binary -c 1 --rate 200 --duration 300ms --warmup 0s {flags}"
        ));
        assert_clean(&said);
        let counts = (said.count("sent"), said.count("received"), said.count("foreign"));
        assert_eq!(counts, (60, 60, 60), "{}", said.stdout);
    }
}

#[test]
fn every_member_gets_every_event_of_the_one_that_emits() {
    let address = relay_events(|_| false);
    let said = bench(&format!(
        "broadcast ws://{address} --protocol socketio -c 20 --every 100ms --burst 5 --duration 1s --warmup 0s"
    ));
    assert_clean(&said);
    assert_eq!((said.count("published"), said.count("delivered")), (50, 1000), "{}", said.stdout);
    let address = relay_events(|number| number % 10 == 0);
    let said = bench(&format!(
        "broadcast ws://{address} --protocol socketio -c 20 --rate 100 --duration 1s --warmup 0s --drain 200ms"
    ));
    let counts = (said.count("published"), said.count("delivered"), said.count("lost"));
    assert_eq!((said.code, counts), (Some(1), (100, 1800, 200)), "{}", said.stdout);
}

#[test]
fn pings_are_answered_and_a_session_that_ends_is_told() {
    let address = socket_io("", |socket, number, text| match number {
        1 => send(socket, Message::text("2")),
        // The packet behind the event is the answer to the ping.
        2 if text == "3" => send(socket, Message::text("1")),
        _ => send(socket, Message::text("41")),
    });
    let said = bench(&format!(
        "echo ws://{address} --protocol socketio -c 2 --duration 60s --warmup 0s --drain 100ms"
    ));
    assert_eq!((said.code, said.count("closed_by_server")), (Some(1), 2), "{}", said.stdout);
    assert!(said.stdout.contains("2 × the server closed the Engine.IO session"), "{}", said.stdout);
}

#[test]
fn one_event_on_each_connection_and_a_rest_is_what_memory_reads() {
    let address = socket_io("", |socket, _, text| send(socket, Message::text(answer(text))));
    let pid = std::process::id();
    let said = bench(&format!(
        "memory ws://{address} --protocol socketio --ack -c 50 --rate 1000 --duration 300ms --server-pid {pid}"
    ));
    assert_clean(&said);
    assert_eq!((said.count("sent"), said.count("received")), (50, 50), "{}", said.stdout);
    let said = bench(&format!("idle ws://{address} --protocol socketio -c 50 --duration 200ms"));
    assert_clean(&said);
    assert_eq!(said.count("opened"), 50);
}

#[test]
fn what_is_no_socket_io_server_is_named() {
    let refusing = server(|socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":1}"#));
        messages(socket, |socket, _, _| send(socket, Message::text(r#"44/x,{"message":"not for you"}"#)));
    });
    let talking = server(|socket| {
        send(socket, Message::text("welcome"));
        messages(socket, |_, _, _| {});
    });
    let old = server(|socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":1}"#));
        send(socket, Message::text("40"));
        messages(socket, |_, _, _| {});
    });
    let mute = server(|socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":1}"#));
        messages(socket, |_, _, _| {});
    });
    let unpolled = tcp_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n{\"code\":0}"));
    });
    let unmoved = tcp_server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let body = r#"0{"sid":"s"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        drop(stream.write_all(answer.as_bytes()));
        if let Ok(mut socket) = tungstenite::accept(stream) {
            send(&mut socket, Message::text(r#"0{"sid":"s"}"#));
            messages(&mut socket, |_, _, _| {});
        }
    });
    for (address, flags, words) in [
        (unpolled, "--transport upgrade", r#"refused polling: 400 {"code":0}"#),
        (unmoved, "--transport upgrade", "does not answer the probe of an upgrade"),
        (refusing, "--namespace /x", "refused the namespace /x (connect_error): not for you"),
        (talking, "", "does not speak Engine.IO 4"),
        (echo(), "--connect-timeout 200ms", "opens no Engine.IO session within 200ms"),
        (old, "", "older Socket.IO"),
        (mute, "--connect-timeout 200ms", "does not answer to the namespace within 200ms"),
        (server(|socket| drop(socket.close(None))), "", "closed a connection with code 1005"),
    ] {
        let said = bench(&format!("echo ws://{address} --protocol socketio {flags}"));
        assert_eq!(said.code, Some(3), "{}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(words) && said.stderr.lines().count() == 1, "{words}: {}", said.stderr);
    }
}

#[test]
fn connections_that_are_not_let_in_are_counted_with_the_reason() {
    let seats = std::sync::atomic::AtomicU32::new(0);
    let address = server(move |socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":1}"#));
        // The probe and three connections are let in.
        let is_full = seats.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 4;
        messages(socket, |socket, number, message| {
            let text = message.to_text().unwrap();
            send(
                socket,
                match number {
                    1 if is_full => Message::text(r#"44{"message":"full"}"#),
                    1 => Message::text(r#"40{"sid":"t"}"#),
                    _ => Message::text(answer(text)),
                },
            );
        });
    });
    let said = bench(&format!("echo ws://{address} --protocol socketio -c 5 --duration 200ms --warmup 0s"));
    assert_eq!((said.code, said.count("opened"), said.count("failed")), (Some(1), 3, 2), "{}", said.stdout);
    assert!(
        said.stdout.contains("2 × the server refused the namespace / (connect_error): full"),
        "{}",
        said.stdout
    );
    assert!(said.count("received") > 0, "the others went on");
}

#[test]
fn throng_answers_with_acks_and_tells_everybody() {
    let address = throng(None);
    for (mode, flags) in [
        ("echo", "--ack --pipeline 4 --size 300"),
        ("echo", "--event back --namespace /x"),
        ("echo", "--ack --transport upgrade"),
        ("echo", "--ack --transport polling"),
        ("echo", "--ack --transport polling --pipeline 8 --size 3000"),
        ("echo", "--event back --namespace /x --transport polling --rate 2000"),
        ("echo", "--ack --binary --pipeline 4 --size 16"),
        ("echo", "--event back --namespace /x --binary --transport polling"),
        ("echo", "--ack --binary --transport polling --size 301 --pipeline 2"),
        ("broadcast", "--event all --every 50ms --transport polling"),
        ("mixed", "--ack --publish-event all --rate 2000 --broadcast-every 100ms"),
        (
            "mixed",
            "--ack --publish-event all --rate 2000 --broadcast-every 100ms --burst 3 --transport polling",
        ),
        (
            "mixed",
            "--ack --publish-event all-bytes --delivery-event told --rate 2000 --broadcast-every 100ms --binary",
        ),
        ("broadcast", "--event all --every 50ms --transport upgrade"),
        ("broadcast", "--event all --every 50ms"),
        ("idle", ""),
        ("idle", "--transport polling"),
    ] {
        let said = bench(&format!(
            "{mode} ws://{address} --protocol socketio -c 20 --duration 300ms --warmup 50ms {flags}"
        ));
        assert_clean(&said);
        let answers = said.count("received") + said.count("delivered");
        assert!(mode == "idle" || answers > 50, "{mode}: {}", said.stdout);
    }
}
