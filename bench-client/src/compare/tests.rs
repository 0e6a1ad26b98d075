//! What comparing says of reports.

use super::*;
use serde_json::json;

fn report(name: &str, p99: f64, lost: u64) -> Value {
    json!({
        "schema": SCHEMA, "name": name, "response": {"p99": p99}, "tally": {"lost": lost}, "echoes_per_second": 1000.0,
        "deliveries_per_second": 0.0, "saturated": [],
    })
}

fn groups(reports: &[Value]) -> Vec<Group> {
    let files: Vec<_> = (0..reports.len()).map(|n| PathBuf::from(format!("{n}.json"))).collect();
    let read = |path: &Path| {
        let index: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        Ok(reports[index].clone())
    };
    grouped(&files, read).unwrap()
}

#[test]
fn repeats_of_a_name_are_one_column_with_their_median_and_their_span() {
    let reports: Vec<_> =
        [("a", 100.0), ("a", 130.0), ("b", 120.0), ("a", 110.0), ("b", 160.0), ("c", 220.0)]
            .map(|(name, p99)| report(name, p99, 0))
            .into();
    let table = table(&groups(&reports));
    let line = table.lines().find(|line| line.starts_with("response p99")).unwrap();
    let cells: Vec<_> = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        cells,
        [
            "response p99",
            "110 µs [100 µs to 130 µs]",
            "140 µs [120 µs to 160 µs]  +27.3 % ~",
            "220 µs  +100.0 %",
        ]
    );
    let head = table.lines().next().unwrap();
    assert!(head.contains("a (3 runs)") && head.contains("b (2 runs)") && head.contains("c"), "{head}");
    assert!(table.contains("\nlost ") && !table.contains("delivery"), "{table}");
}

#[test]
fn reports_of_one_name_alone_are_compared_by_file_and_their_noise_is_not_known() {
    let table = table(&groups(&[report("echo", 100.0, 3), report("echo", 90.0, 0)]));
    assert!(table.lines().next().unwrap().split_whitespace().eq(["0", "1"]), "{table}");
    assert!(table.contains("100 µs   90 µs  -10.0 %") && table.contains("no repeats"), "{table}");
    let mut late = report("x", 1.0, 0);
    late["saturated"] = json!(["busy"]);
    let said = notes(&groups(&[report("y", 1.0, 0), late])).join("\n");
    assert!(said.contains("x: in 1 of 1 the client was saturated"), "{said}");
}

#[test]
fn the_repeats_of_one_run_are_one_column_and_nothing_is_compared() {
    let reports = [3.0, 1.0, 2.0].map(|p99| report("echo", p99 * 100.0, 0)).into();
    let table = spread("echo".into(), reports);
    assert!(table.contains("response p99   200 µs [100 µs to 300 µs]\n"), "{table}");
    assert!(
        table.contains("echo (3 runs)") && table.ends_with("[least to most] of the repeats\n"),
        "{table}"
    );
    assert!(!table.contains('~'), "{table}");
}

#[test]
fn what_is_no_report_is_named() {
    let path = std::env::temp_dir().join(format!("bench-client-no-report-{}.json", std::process::id()));
    std::fs::write(&path, "{\"schema\":\"other/9\"}").unwrap();
    assert!(read(&path).unwrap_err().contains("is no report"));
    std::fs::remove_file(&path).unwrap();
    assert!(read(&path).unwrap_err().contains(&path.display().to_string()));
}
