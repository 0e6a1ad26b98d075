//! What a run leaves behind: the gates that fail it, the files it writes.

use crate::support::{assert_clean, bench, echo, relay};

#[test]
fn a_gate_that_comes_true_fails_the_run_and_says_metric_bound_and_value() {
    let address = echo();
    let flags = format!("echo ws://{address}/ -c 4 --duration 200ms --warmup 0s");
    let said = bench(&format!("{flags} --fail-if max>0.1us --fail-if loss>0 --fail-if last.p99>1s"));
    assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
    let result = said.stdout.lines().last().unwrap_or_default();
    assert!(result.contains("max>0.1us: it is ") && !result.contains("loss>0"), "{result}");
    assert!(result.contains("last.p99>1s: this run did not measure it"), "{result}");
    assert_clean(&bench(&format!("{flags} --fail-if max>60s --fail-if loss>0 --fail-if rate<1")));
    let said = bench(&format!("{flags} --fail-if p98>1ms"));
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("`p98` is no metric; there are p50"), "{}", said.stderr);
}

#[test]
fn a_broadcast_has_times_to_its_first_to_each_and_to_its_last_member() {
    let said = bench(&format!(
        "broadcast ws://{}/ -c 6 --every 20ms --duration 400ms --warmup 0s",
        relay(|_| false)
    ));
    assert_clean(&said);
    let [first, each, last] = ["first", "each", "last"].map(|of| {
        let of = if of == "each" { "delivery".into() } else { format!("{of}_delivery") };
        ["min", "p50", "max"].map(|point| said.figure(&format!("/{of}/{point}")))
    });
    for (point, name) in ["min", "p50", "max"].iter().enumerate() {
        assert!(first[point] <= each[point] && each[point] <= last[point], "{name}: {}", said.stdout);
    }
    assert!(said.figure("/first_delivery/count") * 6.0 >= said.figure("/delivery/count"), "{}", said.stdout);
}
