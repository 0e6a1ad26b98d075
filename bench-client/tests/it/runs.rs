//! The client against servers whose faults are known to the message: what it reports must be exactly those.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::Duration;

use crate::support::{assert_clean, bench, echo, messages, relay, send, server, tcp_server};
use tungstenite::handshake::derive_accept_key;

#[test]
fn an_honest_echo_is_reported_as_one_in_every_form() {
    let address = echo();
    for flags in [
        "",
        "--text",
        "--size 16",
        "--size 126 --pipeline 8",
        "--size 70000 --pipeline 3 --text",
        "--rate 2000 --size 300",
    ] {
        let said =
            bench(&format!("echo ws://{address}/ -c 7 --threads 2 --duration 300ms --warmup 50ms {flags}"));
        assert_clean(&said);
        assert_eq!(said.count("opened"), 7);
        assert_eq!(said.count("sent"), said.count("received"), "{flags}");
        assert!(said.count("received_in_window") > 0, "{flags}: {}", said.stdout);
        assert!(said.figure("/response/p50") > 0.0 && said.figure("/response/count") > 0.0);
    }
}

#[test]
fn an_open_loop_sends_what_its_rate_says() {
    let said = bench(&format!("echo ws://{}/ -c 10 --rate 3000 --duration 1s --warmup 100ms", echo()));
    assert_clean(&said);
    assert_eq!(said.count("sent"), 3300);
    assert_eq!(said.figure("/response/count"), 3000.0, "every message that was due in the window was timed");
    assert_eq!(said.figure("/service/count"), 3000.0);
}

#[test]
fn dropped_messages_are_lost_messages() {
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number % 1000 != 0 {
                send(socket, message);
            }
        });
    });
    let said =
        bench(&format!("echo ws://{address}/ -c 4 --rate 8000 --duration 1s --warmup 0s --drain 200ms"));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        (said.count("sent"), said.count("lost"), said.count("received")),
        (8000, 8, 7992),
        "{}",
        said.stdout
    );
    assert_eq!((said.count("duplicated"), said.count("reordered"), said.count("corrupt")), (0, 0, 0));
    assert!(said.stdout.contains("FAILED: 8 messages were lost"), "{}", said.stdout);
}

#[test]
fn a_closed_loop_goes_on_after_a_loss() {
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number % 1000 != 0 {
                send(socket, message);
            }
        });
    });
    let said =
        bench(&format!("echo ws://{address}/ -c 1 --pipeline 8 --duration 700ms --warmup 0s --drain 200ms"));
    assert_eq!((said.code, said.count("timeouts")), (Some(1), 0));
    assert!(said.count("sent") > 2000 && said.count("lost") == said.count("sent") / 1000, "{}", said.stdout);
}

#[test]
fn a_closed_loop_that_hears_nothing_gives_up_and_goes_on() {
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number % 10 != 0 {
                send(socket, message);
            }
        });
    });
    let said = bench(&format!(
        "echo ws://{address}/ -c 1 --duration 900ms --warmup 0s --drain 100ms --reply-timeout 100ms"
    ));
    assert_eq!(said.code, Some(1));
    assert!(said.count("timeouts") >= 2 && said.count("received") > 18, "{}", said.stdout);
    assert_eq!(said.count("lost"), said.count("sent") - said.count("received"));
}

#[test]
fn duplicated_messages_are_counted_once_and_as_duplicates() {
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number % 1000 == 0 {
                send(socket, message.clone());
            }
            send(socket, message);
        });
    });
    let said = bench(&format!("echo ws://{address}/ -c 4 --rate 8000 --duration 1s --warmup 0s"));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        (said.count("sent"), said.count("received"), said.count("duplicated")),
        (8000, 8000, 8),
        "{}",
        said.stdout
    );
    assert_eq!((said.count("lost"), said.count("reordered"), said.count("corrupt")), (0, 0, 0));
}

#[test]
fn swapped_messages_are_reordered_messages() {
    let address = server(|socket| {
        let held = Mutex::new(None);
        messages(socket, |socket, number, message| {
            if number % 1000 == 0 {
                *held.lock().unwrap() = Some(message);
                return;
            }
            send(socket, message);
            if let Some(earlier) = held.lock().unwrap().take() {
                send(socket, earlier);
            }
        });
    });
    // 2,001 messages each: the last one swapped has a successor.
    let said = bench(&format!("echo ws://{address}/ -c 4 --rate 8004 --duration 1s --warmup 0s"));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        (said.count("sent"), said.count("received"), said.count("reordered")),
        (8004, 8004, 8),
        "{}",
        said.stdout
    );
    assert_eq!((said.count("lost"), said.count("duplicated"), said.count("corrupt")), (0, 0, 0));
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    for position in [1, 6, 20, 199] {
        let address = server(move |socket| {
            messages(socket, |socket, number, message| {
                let mut bytes = message.into_data().to_vec();
                if number == 500 {
                    bytes[position] ^= 1;
                }
                send(socket, tungstenite::Message::binary(bytes));
            });
        });
        let said = bench(&format!(
            "echo ws://{address}/ -c 1 --rate 2000 --size 200 --duration 500ms --warmup 0s --drain 200ms"
        ));
        // A changed number is a message that was sent twice, or never; both are found as well.
        let found = said.count("corrupt") + said.count("duplicated");
        assert_eq!(
            (said.code, found, said.count("lost")),
            (Some(1), 1, 1),
            "byte {position}: {}",
            said.stdout
        );
    }
}

#[test]
fn a_stall_shows_in_the_response_time_of_an_open_loop() {
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number == 500 {
                std::thread::sleep(Duration::from_millis(500));
            }
            send(socket, message);
        });
    });
    let said = bench(&format!("echo ws://{address}/ -c 2 --rate 2000 --duration 2s --warmup 0s"));
    assert_clean(&said);
    // A quarter of the messages was due during the stall: half of a closed loop's client would have seen one.
    let (p50, p90, max) =
        (said.figure("/response/p50"), said.figure("/response/p90"), said.figure("/response/max"));
    assert!((200_000.0..500_000.0).contains(&p90), "p90 {p90}: {}", said.stdout);
    assert!(p50 < 100_000.0 && max >= 490_000.0, "p50 {p50}, max {max}");
    assert!(said.figure("/slip/p99") < 100_000.0, "the schedule itself went on: {}", said.stdout);
}

#[test]
fn every_subscriber_gets_every_publish_and_the_last_delivery_is_timed() {
    let address = relay(|_| false);
    let said =
        bench(&format!("broadcast ws://{address}/ -c 20 --every 100ms --burst 5 --duration 1s --warmup 0s"));
    assert_clean(&said);
    assert_eq!((said.count("published"), said.count("delivered")), (50, 1000), "{}", said.stdout);
    assert_eq!(said.figure("/delivery/count"), 1000.0);
    assert_eq!(said.figure("/last_delivery/count"), 50.0);
    assert!(said.figure("/last_delivery/p50") >= said.figure("/delivery/p50"));
}

#[test]
fn a_publish_that_is_not_delivered_is_lost_once_per_subscriber() {
    let address = relay(|number| number % 10 == 0);
    let said =
        bench(&format!("broadcast ws://{address}/ -c 20 --rate 100 --duration 1s --warmup 0s --drain 200ms"));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        (said.count("published"), said.count("delivered"), said.count("lost")),
        (100, 1800, 200),
        "{}",
        said.stdout
    );
}

#[test]
fn mixed_checks_echoes_and_deliveries_on_the_same_connections() {
    let members = Mutex::new(Vec::<std::net::TcpStream>::new());
    let address = server(move |socket| {
        let own = socket.get_ref().peer_addr().unwrap();
        members.lock().unwrap().push(socket.get_ref().try_clone().unwrap());
        messages(socket, |_, _, message| {
            let bytes = message.into_data();
            // One unfragmented frame of 20 bytes is written whole, under the lock that orders it.
            let frame = [&[0x82, bytes.len() as u8][..], &bytes].concat();
            let publishes = bytes[0] == b'P';
            for mut member in members.lock().unwrap().iter() {
                if member.peer_addr().is_ok_and(|peer| (peer == own) != publishes) {
                    drop(member.write_all(&frame));
                }
            }
        });
    });
    let said = bench(&format!(
        "mixed ws://{address}/ -c 10 --rate 1000 --broadcast-every 100ms --duration 1s --warmup 0s"
    ));
    assert_clean(&said);
    let counts =
        (said.count("sent"), said.count("received"), said.count("published"), said.count("delivered"));
    assert_eq!(counts, (1000, 1000, 10, 100), "{}", said.stdout);
}

/// A server that answers the handshake and then sends every byte back as it came: masked.
fn raw_echo() -> std::net::SocketAddr {
    tcp_server(|mut stream| {
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        let Some(key) = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
            return;
        };
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        drop(stream.write_all(answer.as_bytes()));
        let mut chunk = [0; 4099];
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            if stream.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
    })
}

#[test]
fn a_raw_byte_echo_passes_every_check_with_raw_echo() {
    let address = raw_echo();
    for flags in
        ["", "--pipeline 64", "--size 1000 --pipeline 9 --text", "--size 70000 --pipeline 2", "--rate 2000"]
    {
        let said =
            bench(&format!("echo ws://{address}/ -c 5 --raw-echo --duration 300ms --warmup 0s {flags}"));
        assert_clean(&said);
        assert!(
            said.count("received") > 0 && said.count("sent") == said.count("received"),
            "{flags}: {}",
            said.stdout
        );
        assert_eq!(said.report["raw_echo"], true);
    }
}

#[test]
fn a_raw_byte_echo_is_no_websocket_server_without_raw_echo() {
    let said = bench(&format!("echo ws://{}/ -c 5 --duration 300ms --warmup 0s", raw_echo()));
    assert_eq!(
        (said.code, said.count("received"), said.count("closed_by_server")),
        (Some(1), 0, 5),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("5 × the server broke RFC 6455"), "{}", said.stdout);
    assert!(said.stdout.contains("--raw-echo"), "{}", said.stdout);
}

#[test]
fn with_raw_echo_a_websocket_server_is_none() {
    let said = bench(&format!("echo ws://{}/ -c 5 --raw-echo --duration 300ms --warmup 0s", echo()));
    assert_eq!((said.code, said.count("received"), said.count("closed_by_server")), (Some(1), 0, 5));
    assert!(said.stdout.contains("--raw-echo expects masked frames"), "{}", said.stdout);
}

#[test]
fn a_tick_changes_neither_the_rate_nor_what_counts_as_late() {
    let address = echo();
    for (tick, wakes) in [("0", "open loop, 3000 messages/s, 20 B"), ("20ms", "in ticks of 20ms")] {
        let said = bench(&format!(
            "echo ws://{address}/ -c 10 --threads 2 --rate 3000 --tick {tick} --duration 1s --warmup 100ms"
        ));
        assert_clean(&said);
        assert_eq!((said.count("sent"), said.figure("/response/count")), (3300, 3000.0), "{tick}");
        assert!(said.stdout.contains(wakes), "{}", said.stdout);
        // Messages wait for nobody before they are due: a tick is no lateness.
        assert!(said.figure("/slip/p50") < 10_000.0, "{}", said.stdout);
    }
}

#[test]
fn memory_is_read_after_one_echo_on_each_connection_and_a_rest() {
    let address = server(|socket| messages(socket, |socket, _, message| send(socket, message)));
    let began = std::time::Instant::now();
    let said = bench(&format!(
        "memory ws://{address}/ -c 50 --rate 1000 --duration 700ms --server-pid {}",
        std::process::id()
    ));
    assert!(began.elapsed() >= Duration::from_millis(700));
    // This process is the server.
    assert_clean(&said);
    assert_eq!((said.count("sent"), said.count("received")), (50, 50), "{}", said.stdout);
    assert!(said.figure("/server/memory_rested") > f64::from(1 << 20));
    assert!(
        said.report.pointer("/server/bytes_per_rested_connection").is_some_and(|bytes| bytes.is_number())
    );
    assert!(said.stdout.contains("at rest"), "{}", said.stdout);
}
