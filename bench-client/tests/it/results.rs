//! What a run leaves behind: the gates that fail it, the files it writes.

use std::process::Command;

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

#[test]
fn the_series_and_the_interval_log_have_every_message_of_the_run() {
    let log = std::env::temp_dir().join(format!("bench-client-series-{}.hlog", std::process::id()));
    let flags = "-c 4 --rate 2k --duration 700ms --warmup 100ms --interval 200ms";
    let said = bench(&format!("echo ws://{}/ {flags} --hlog {}", echo(), log.display()));
    assert_clean(&said);
    let samples = said.report["series"]["samples"].as_array().unwrap().clone();
    let sum = |field: &str| samples.iter().map(|sample| sample[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("sent"), sum("received")), (said.count("sent"), said.count("received")));
    let timed: u64 = samples.iter().filter_map(|sample| sample["response"]["count"].as_u64()).sum();
    assert_eq!(timed, said.count("received"));
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(log).unwrap();
    let tagged = |tag: &str| text.lines().filter(|line| line.starts_with(&format!("Tag={tag},"))).count();
    assert!(tagged("response") >= 3 && tagged("service") == tagged("response"), "{text}");
    assert_eq!(tagged("delivery"), 0);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_opened() {
    for flag in ["--json", "--hgrm", "--hlog", "--html"] {
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_bench-client"))
            .args(["echo", &format!("ws://{}/", echo()), "--duration", "60s", flag, "/nowhere/at/all"])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("cannot write /nowhere/at/all: "), "{stderr}");
    }
}

#[test]
fn a_page_has_the_charts_of_what_the_run_did_and_its_errors_by_cause() {
    let page = std::env::temp_dir().join(format!("bench-client-page-{}.html", std::process::id()));
    let flags = "-c 4 --duration 300ms --warmup 0s --interval 100ms --name one<two";
    let page_of = |line: String| {
        let said = bench(&format!("{line} {flags} --html {}", page.display()));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{error}: {}", said.stderr));
        std::fs::remove_file(&page).unwrap();
        text
    };
    let broadcast = page_of(format!("broadcast ws://{} --every 20ms", relay(|number| number == 3)));
    for chart in
        ["Time by percentile", "Broadcast completion", "Delivery time over time", "Messages", "Connections"]
    {
        assert!(broadcast.contains(&format!("<h2>{chart}</h2>")), "{chart}");
    }
    assert!(!broadcast.contains("<h2>Response time over time</h2>") && broadcast.contains("one&lt;two"));
    assert!(
        broadcast.contains("verdict bad") && broadcast.contains("<td>4</td><td>lost</td>"),
        "{broadcast}"
    );
    let pid = std::process::id();
    let echo = page_of(format!("echo ws://{} --server-pid {pid}", echo()));
    for chart in ["Response time over time", "CPU", "Memory"] {
        assert!(echo.contains(&format!("<h2>{chart}</h2>")), "{chart}");
    }
}

#[test]
fn repeats_are_runs_of_their_own_with_their_files_and_a_spread() {
    let directory = std::env::temp_dir().join(format!("bench-client-repeats-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let client = |flags: &str, json: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bench-client"))
            .args(flags.split(' '))
            .args(["--quiet", "--allow-saturated", "--json"])
            .arg(directory.join(json))
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let flags = format!("echo ws://{}/ -c 2 --rate 200 --duration 200ms --warmup 0s --repeat 3", echo());
    let (code, said) = client(&flags, "x.json");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("result        fine").count(), 3, "{said}");
    let (_, spread) = said.split_once("echo (3 runs)").expect(&said);
    assert!(said.contains("repeat        3 of 3") && spread.contains("\nresponse p99 "), "{said}");
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["x-1.json", "x-2.json", "x-3.json"]);
    for file in files {
        let text = std::fs::read_to_string(directory.join(&file)).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["name"], &report["tally"]["received"]), (&"echo".into(), &40.into()), "{file}");
    }
    // The exit code is the worst, and a search is no run.
    let (code, said) = client(&format!("{flags} --fail-if response.p50>1s --fail-if rate<1M"), "y.json");
    assert_eq!((code, said.matches("FAILED: ").count()), (Some(1), 3), "{said}");
    let (code, said) = client("find-max ws://127.0.0.1:1/ --repeat 2", "z.json");
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(code == Some(2) && said.contains("--repeat: a search runs once"), "{said}");
}

#[test]
fn reports_are_compared_in_a_table_and_as_curves() {
    let address = echo();
    let file = |name: &str| std::env::temp_dir().join(format!("bench-client-{name}-{}", std::process::id()));
    let names = ["one", "one", "two"];
    let files: Vec<_> = (0..names.len()).map(|run| file(&format!("{run}.json"))).collect();
    for (name, path) in names.iter().zip(&files) {
        let flags = format!("echo ws://{address}/ -c 4 --duration 200ms --warmup 0s --name {name}");
        let said = bench(&flags);
        std::fs::write(path, said.report.to_string()).unwrap();
    }
    let page = file("compared.html");
    let compare = |files: &[std::path::PathBuf]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bench-client"));
        command.arg("compare").args(files).arg("--html").arg(&page).output().unwrap()
    };
    let said = compare(&files);
    let stdout = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&said.stderr));
    assert!(
        stdout.contains("one (2 runs)") && stdout.contains("response p99.9") && stdout.contains(" %"),
        "{stdout}"
    );
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("<h2>Response time by percentile</h2>") && text.contains("class=\"band c0\""));
    let said = compare(std::slice::from_ref(&page));
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(2) && stderr.contains("is no report"), "{stderr}");
    for path in files.iter().chain([&page]) {
        std::fs::remove_file(path).unwrap();
    }
}
