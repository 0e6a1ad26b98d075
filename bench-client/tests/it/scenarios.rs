//! The scenarios, each against throng itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::house::{bench_installed, throng, throng_at};
use crate::support::{
    assert_clean, bench, bench_strictly, bench_with, echo, messages, relay, relay_events, send, server,
    socket_io,
};

#[test]
fn a_storm_is_timed_from_when_each_connection_was_due_and_told_as_a_curve() {
    let said = bench(&format!("connect ws://{}/ -c 400 --connect-rate 800 --duration 50ms", throng()));
    assert_clean(&said);
    assert_eq!((said.count("opened"), said.figure("/connect/times/count")), (400, 400.0));
    assert_eq!(said.figure("/slip/count"), 400.0, "every first attempt was due at a time");
    let at = |share: &str| said.figure(&format!("/connect/ramp/{share}"));
    // The last one is due after half a second.
    assert!(at("p50") >= 0.24 && at("p100") >= 0.49 && at("p50") <= at("p90"), "{}", said.stdout);
    assert!(said.stdout.contains("open after    400 of 400  10 % after"), "{}", said.stdout);
}

#[test]
fn acks_are_round_trips_of_socket_io() {
    let url = format!("http://{}", throng());
    for flags in ["", "--rate 1000 --arrivals poisson", "--binary --pipeline 4 --transport upgrade"] {
        let said =
            bench(&format!("ack {url} --namespace /bench -c 20 --duration 300ms --warmup 50ms {flags}"));
        assert_clean(&said);
        assert!(
            said.count("received") > 0 && said.count("sent") == said.count("received"),
            "{}",
            said.stdout
        );
        assert!(said.stdout.contains("answered by its ack"), "{}", said.stdout);
    }
}

#[test]
fn poisson_arrivals_keep_their_seed() {
    let url = format!("ws://{}/", throng());
    let sent = |seed: u64| {
        let flags = "-c 10 --rate 3000 --arrivals poisson --duration 700ms --warmup 100ms --threads 2";
        let said = bench(&format!("echo {url} {flags} --seed {seed}"));
        assert_clean(&said);
        assert!(said.stdout.contains(&format!("Poisson arrivals (seed {seed})")), "{}", said.stdout);
        said.count("sent")
    };
    let [one, again, other] = [1, 1, 2].map(sent);
    assert!((2150..2650).contains(&one), "2400 ± 5 standard deviations: {one}");
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn a_client_that_cannot_keep_its_rate_calls_its_figures_invalid() {
    // One thread sends a message in no less than a microsecond, whatever machine it is on; here it has to echo it too.
    let flags =
        format!("echo ws://{}/ -c 4 --threads 1 --rate 5M --duration 300ms --warmup 0s --drain 1s", echo());
    let said = bench_strictly(&flags, &[]);
    assert_eq!(said.code, Some(4), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("client saturated: figures invalid: "), "{}", said.stdout);
    assert!(said.stdout.ends_with("result        INVALID: the client was saturated\n"), "{}", said.stdout);
    assert!(said.report["saturated"].as_array().is_some_and(|reasons| !reasons.is_empty()));
    let said = bench_strictly(&flags, &["--allow-saturated"]);
    assert!(matches!(said.code, Some(0 | 1)), "{:?} {}", said.code, said.stdout);
    assert!(said.report["saturated"].as_array().is_some_and(Vec::is_empty));
    assert!(said.stdout.contains("warning       ") && !said.stdout.contains("INVALID"), "{}", said.stdout);
}

#[test]
fn under_churn_connections_are_ended_and_replaced_while_the_others_echo() {
    let url = format!("ws://{}/", throng());
    for ending in ["both", "close", "reset"] {
        let said = bench(&format!(
            "churn {url} -c 50 --threads 2 --churn 60% --ending {ending} --rate 500 --duration 1s --warmup 0s"
        ));
        assert_clean(&said);
        // 30 a second, where the machine has time for it. What was ended last may not have been replaced.
        assert!((1..=30).contains(&said.count("cut")), "{ending}: {}", said.stdout);
        assert_eq!(
            said.count("cut"),
            said.count("reopened") + said.count("away"),
            "{ending}: {}",
            said.stdout
        );
        assert_eq!(said.figure("/comeback/times/count") as u64, said.count("reopened"));
        let due = said.count("sent") + said.count("absent") + said.count("unsent");
        assert_eq!((said.count("opened"), due), (50, 500), "{ending}: {}", said.stdout);
        assert_eq!(said.count("sent"), said.count("received") + said.count("abandoned"), "{ending}");
    }
}

#[test]
fn connections_that_are_cut_at_one_moment_come_back_on_a_curve() {
    let said = bench(&format!(
        "reconnect ws://{}/ -c 60 --share 50% --after 300ms --backoff 200ms --jitter 50% --rate 600 --duration 1500ms \
         --warmup 0s",
        throng()
    ));
    assert_clean(&said);
    assert_eq!(
        (said.count("cut"), said.count("reopened"), said.count("away")),
        (30, 30, 0),
        "{}",
        said.stdout
    );
    let at = |share: &str| said.figure(&format!("/comeback/curve/{share}"));
    // Nobody waits for less than 100 ms.
    assert!(at("p10") >= 0.099 && at("p50") <= at("p90") && at("p90") <= at("p100"), "{}", said.stdout);
    assert!(said.count("absent") > 0 && said.stdout.contains("recovered      30 of 30"), "{}", said.stdout);
}

#[test]
fn a_server_that_is_restarted_is_recovered_from() {
    let server = throng_at("127.0.0.1:0");
    let address = server.local_addrs()[0];
    let (handle, address) = (server.handle(), address.to_string());
    let flags = format!(
        "reconnect ws://{address}/ -c 20 --by-server --backoff 100ms --rate 100 --duration 4s --warmup 0s"
    );
    let said = std::thread::scope(|scope| {
        let client = scope.spawn(|| bench(&flags));
        // The first was to see whether it is there.
        while !handle.metrics().counters.contains(&("websockets_opened", 21)) {
            std::thread::yield_now();
        }
        handle.stop(Duration::ZERO);
        drop(server.join());
        let again = throng_at(&address);
        let said = client.join().unwrap();
        again.handle().stop(Duration::ZERO);
        said
    });
    assert_eq!(said.code, Some(0), "{}", said.stdout);
    assert_eq!(
        (said.count("cut"), said.count("reopened"), said.count("lost")),
        (20, 20, 0),
        "{}",
        said.stdout
    );
}

#[test]
fn a_server_that_is_killed_is_started_again_and_recovered_from() {
    let said = bench_installed(
        "reconnect -c 20 --kill-server --down 300ms --after 200ms --backoff 100ms --rate 100 --duration 4s --warmup 0s",
    );
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert_eq!(
        (said.count("cut"), said.count("reopened"), said.count("lost")),
        (20, 20, 0),
        "{}",
        said.stdout
    );
    assert!(said.figure("/comeback/curve/p10") >= 0.3, "{}", said.stdout);
    assert!(said.stdout.contains("refuses connections: nothing listens there"), "{}", said.stdout);
}

#[test]
fn slow_readers_are_told_apart_and_hold_up_nobody() {
    let url = format!("ws://{}/bench", throng());
    let said = bench(&format!(
        "slow {url} -c 20 --threads 2 --slow 25% --slow-rate 2000 --rate 400 --broadcast-every 50ms --duration 2s --warmup 0s"
    ));
    assert_clean(&said);
    // 40 publishes of 1 KiB; 2,000 bytes a second are one in ten of them.
    let slow = |field: &str| said.figure(&format!("/slow/{field}")) as u64;
    assert_eq!((slow("connections"), slow("bytes_per_second")), (5, 2000));
    assert_eq!(said.count("delivered"), said.count("published") * 15, "{}", said.stdout);
    assert!(said.stdout.contains(" reached all 15 members"), "{}", said.stdout);
    assert!(!said.stdout.contains("complete      0 of"), "{}", said.stdout);
    assert_eq!(slow("delivered") + slow("behind"), said.count("published") * 5, "{}", said.stdout);
    assert!(slow("delivered") > 0 && slow("delivered") <= 5 * 8 && slow("behind") > 0, "{}", said.stdout);
    assert_eq!(said.figure("/slow/delivery/count") as u64, slow("delivered"), "{}", said.stdout);
}

#[test]
fn a_soak_tells_how_its_end_differs_from_its_beginning() {
    let url = format!("ws://{}/", throng());
    let pid = std::process::id();
    let said = bench(&format!(
        "soak {url} -c 10 --rate 1000 --duration 3s --warmup 100ms --interval 100ms --server-pid {pid}"
    ));
    assert_clean(&said);
    for tenth in ["first", "last"] {
        assert!(said.figure(&format!("/drift/{tenth}/p50")) > 0.0, "{}", said.stdout);
        assert!(said.figure(&format!("/drift/{tenth}/server_bytes")) > 1e6, "{}", said.stdout);
    }
    assert!(
        said.stdout.contains("\ndrift         p50 ") && said.stdout.contains(" MiB, first tenth to last\n")
    );
}

/// A server whose connections say first which room they are in, and then talk to the others there.
fn rooms_by_name() -> SocketAddr {
    use tungstenite::protocol::{Role, WebSocket};
    let rooms = Arc::new(Mutex::new(HashMap::<String, Vec<_>>::new()));
    server(move |socket| {
        let (own, mut room) = (socket.get_ref().peer_addr().unwrap(), None::<String>);
        messages(socket, |socket, _, message| {
            let mut rooms = rooms.lock().unwrap();
            let Some(name) = &room else {
                let writer = socket.get_ref().try_clone().unwrap();
                let name = message.to_text().unwrap().to_owned();
                let members = rooms.entry(name.clone()).or_default();
                members.push((own, WebSocket::from_raw_socket(writer, Role::Server, None)));
                send(socket, tungstenite::Message::text("you are in"));
                room = Some(name);
                return;
            };
            let others = rooms.get_mut(name).unwrap().iter_mut().filter(|(address, _)| *address != own);
            others.for_each(|(_, member)| send(member, message.clone()));
        });
    })
}

#[test]
fn rooms_of_socket_io_are_joined_before_anybody_talks() {
    let url = format!("http://{}", throng());
    let flags = "--protocol socketio --namespace /bench --rooms 5 --members 4 --threads 2 --rate 400 --duration 1s --warmup 0s";
    for more in ["", "--binary --transport upgrade", "--transport polling --size 100"] {
        let said = bench(&format!("rooms {url} {flags} {more}"));
        assert_clean(&said);
        assert_eq!((said.count("opened"), said.count("published"), said.count("misrouted")), (20, 400, 0));
        assert_eq!(said.count("delivered"), 400 * 3, "{more}: {}", said.stdout);
        assert!(said.stdout.contains(", namespace /bench: `say` relayed as `say`"), "{}", said.stdout);
    }

    // Who relays to all has no rooms.
    let all = relay_events(|_| false);
    let own_way = ["--on-open", "wait 1ms"];
    let said = bench_with(
        &format!(
            "rooms http://{all} --protocol socketio --rooms 2 --members 2 --rate 100 --duration 1s --warmup 0s"
        ),
        &own_way,
    );
    let counts = ["published", "delivered", "misrouted", "returned"].map(|name| said.count(name));
    assert_eq!((said.code, counts), (Some(1), [100, 100, 200, 100]), "{}", said.stdout);

    // And who knows no `join` is named.
    let deaf = socket_io("", |_, _, _| ());
    let flags = "--protocol socketio --rooms 1 --members 2 --duration 100ms --warmup 0s";
    let said = bench_with(
        &format!("rooms http://{deaf} {flags}"),
        &["--on-open", "emit join 1\nexpect joined within 50ms"],
    );
    assert!(said.code == Some(1) && said.stdout.contains("expect joined within 50ms"), "{}", said.stdout);
}

#[test]
fn in_rooms_everybody_hears_the_others_and_each_sender_is_checked() {
    let url = format!("ws://{}/topic/bench-${{room}}", throng());
    let flags = "--rooms 5 --members 4 --threads 2 --rate 400 --duration 1s --warmup 0s";
    let said = bench(&format!("rooms {url} {flags}"));
    assert_clean(&said);
    assert_eq!((said.count("opened"), said.count("published"), said.count("misrouted")), (20, 400, 0));
    assert_eq!(said.count("delivered"), 400 * 3, "{}", said.stdout);
    assert_eq!(said.figure("/delivery/count"), 1200.0, "{}", said.stdout);

    // One topic for all of them is no rooms: the 16 of the other four hear it too.
    let url = format!("ws://{}/topic/all?${{room}}", throng());
    let said = bench(&format!("rooms {url} {flags}"));
    assert_eq!(
        (said.code, said.count("delivered"), said.count("lost")),
        (Some(1), 1200, 0),
        "{}",
        said.stdout
    );
    assert_eq!(said.count("misrouted"), 400 * 16, "{}", said.stdout);

    // A relay that forgets the third message of every sender.
    let forgetful = relay(|number| number == 3);
    let url = format!("ws://{forgetful}/${{room}}");
    let said = bench(&format!(
        "rooms {url} --rooms 1 --members 6 --rate 120 --duration 1s --warmup 0s --drain 500ms"
    ));
    let counts = (said.code, said.count("published"), said.count("delivered"), said.count("lost"));
    assert_eq!(counts, (Some(1), 120, (120 - 6) * 5, 6 * 5), "{}", said.stdout);

    // By a script: what a connection says first is the room it is in.
    let said = bench_with(
        &format!("rooms ws://{}/ {flags}", rooms_by_name()),
        &["--on-open", "send ${room}\nexpect you are in"],
    );
    assert_clean(&said);
    assert_eq!((said.count("delivered"), said.count("misrouted")), (1200, 0), "{}", said.stdout);

    let said = bench("rooms ws://127.0.0.1:1/topic/all");
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("the URL of rooms has ${room} in it"), "{}", said.stderr);
}
