//! The scenarios, each against throng itself.

use crate::house::throng;
use crate::support::{assert_clean, bench, bench_strictly, echo};

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
            said.count("received") > 50 && said.count("sent") == said.count("received"),
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
