//! A run that several processes carry out together.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::house::throng;
use crate::support::{assert_clean, bench, bench_with, echo, messages, relay, send, server};

/// A worker; it ends with the test.
pub(crate) struct Worker {
    child: Child,
    pub(crate) address: String,
}

impl Worker {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-client"));
        let mut child =
            command.args(["worker", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Two workers, and their addresses as `--workers` takes them.
fn two() -> ([Worker; 2], String) {
    let workers = [Worker::start(), Worker::start()];
    let both = format!("{},{}", workers[0].address, workers[1].address);
    (workers, both)
}

#[test]
fn two_workers_send_what_one_would_and_every_message_is_in_the_merged_report() {
    let (_workers, both) = two();
    let address = echo();
    let flags = "-c 11 --rate 1k --duration 1s --warmup 100ms --interval 200ms";
    for _ in 0..2 {
        let said = bench(&format!("echo ws://{address}/ {flags} --workers {both}"));
        assert_clean(&said);
        assert_eq!((said.count("opened"), said.count("sent"), said.count("received")), (11, 1100, 1100));
        assert_eq!(said.figure("/response/count"), 1000.0, "{}", said.stdout);
        let samples = said.report["series"]["samples"].as_array().unwrap();
        let sent: u64 = samples.iter().filter_map(|sample| sample["sent"].as_u64()).sum();
        assert_eq!(sent, 1100, "{samples:?}");
        assert!(samples.iter().any(|sample| sample["open"] == 11), "{samples:?}");
        assert_eq!(said.report["nodes"].as_array().map(Vec::len), Some(2));
        let error = said.figure("/nodes/0/clock_error_microseconds");
        assert!(error > 0.0 && error < 1e6 && said.stdout.contains("µs of this one's"), "{}", said.stdout);
    }
}

#[test]
fn what_one_of_several_workers_publishes_is_checked_by_all_of_them_to_the_last_message() {
    let (_workers, both) = two();
    let workers = format!("--workers {both}");
    let flags = "-c 11 --duration 1s --warmup 100ms --drain 2s --threads 2";
    let said = bench(&format!("broadcast ws://{}/topic/w {flags} --every 20ms {workers}", throng()));
    assert_clean(&said);
    let counts = ["opened", "published", "delivered"].map(|name| said.count(name));
    // The publisher is one more.
    assert_eq!(counts, [12, 55, 55 * 11], "{}", said.stdout);
    assert_eq!(said.figure("/delivery/count"), 550.0, "{}", said.stdout);
    for times in ["first_delivery", "last_delivery"] {
        assert_eq!(said.figure(&format!("/{times}/count")), 50.0, "{}", said.stdout);
    }
    assert!(said.stdout.contains("complete      50 of 50 reached all 11 members"), "{}", said.stdout);
    // On one machine both go by the same clock.
    let error = said.figure("/broadcast/clock_error_microseconds");
    assert!(error > 0.0 && error < 1000.0 && said.figure("/delivery/max") < 5e6, "{}", said.stdout);
    assert!(
        said.stdout.contains("clocks        times from publisher to member are right within"),
        "{}",
        said.stdout
    );

    // The third is lost, and so are the last three, after which nothing comes that would tell.
    let forgetful = relay(|number| number == 3 || number > 52);
    let said = bench(&format!("broadcast ws://{forgetful}/ {flags} --every 20ms {workers}"));
    let counts = ["published", "delivered", "lost", "duplicated", "reordered"].map(|name| said.count(name));
    assert_eq!((said.code, counts), (Some(1), [55, 51 * 11, 4 * 11, 0, 0]), "{}", said.stdout);

    let url = format!("ws://{}/bench", throng());
    let said = bench(&format!("mixed {url} {flags} --rate 500 --broadcast-every 100ms {workers}"));
    assert_clean(&said);
    assert_eq!((said.count("published"), said.count("delivered")), (11, 121), "{}", said.stdout);
    // Four threads have a rate of their own each, and 550 is no multiple of it.
    assert!(
        said.count("sent").abs_diff(550) <= 4 && said.count("received") == said.count("sent"),
        "{}",
        said.stdout
    );
}

#[test]
fn connections_that_come_and_go_do_so_in_every_worker() {
    let (_workers, both) = two();
    let workers = format!("--workers {both}");
    let flags = "-c 30 --rate 500 --duration 1s --warmup 0s";
    let said = bench(&format!("churn ws://{}/ {flags} --churn 60% {workers}", throng()));
    assert_clean(&said);
    let cut = said.count("cut");
    assert!(cut > 0 && cut == said.count("reopened") + said.count("away"), "{}", said.stdout);
    assert_eq!(said.figure("/comeback/times/count") as u64, said.count("reopened"), "{}", said.stdout);
    assert_eq!(said.count("sent"), said.count("received") + said.count("abandoned"), "{}", said.stdout);
}

#[test]
fn connections_have_the_numbers_of_the_whole_run_and_their_rows() {
    let (_workers, both) = two();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let address = server({
        let seen = Arc::clone(&seen);
        move |socket| {
            messages(socket, |socket, _, message| {
                let text = message.to_text().unwrap();
                seen.lock().unwrap().insert(text.rsplit(' ').next().unwrap().to_owned());
                send(socket, message);
            });
        }
    });
    let file = std::env::temp_dir().join(format!("bench-client-rows-{}.csv", std::process::id()));
    std::fs::write(&file, "user\na\nb\nc\nd\ne\n").unwrap();
    let flags = format!("echo ws://{address}/ -c 5 --rate 100 --duration 500ms --warmup 0s");
    let words = ["--workers", &both, "--csv", file.to_str().unwrap()];
    let words = [&words[..], &["--send", "${seq} ${conn}${csv.user}", "--match", r"regex:^(\d+)"]].concat();
    let said = bench_with(&flags, &words);
    std::fs::remove_file(file).unwrap();
    assert_clean(&said);
    let seen: Vec<_> = seen.lock().unwrap().iter().cloned().collect();
    assert_eq!(seen, ["0a", "1b", "2c", "3d", "4e"]);
}

#[test]
fn a_worker_that_waits_ends_by_the_first_signal() {
    let mut worker = Worker::start();
    let pid = rustix::process::Pid::from_child(&worker.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(worker.child.wait().unwrap().signal(), Some(15));
}

#[test]
fn a_worker_that_cannot_or_goes_away_is_named() {
    let worker = Worker::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = format!("ws://{} -c 4 --workers {}", echo(), worker.address);
    for (line, words) in [
        (format!("echo {flags},{nobody}"), format!("worker {nobody}: ")),
        (format!("slow {flags} --slow 50%"), "--workers: what slow readers got".into()),
        (format!("echo ws://{nobody} --workers {}", worker.address), format!("worker {}: ", worker.address)),
    ] {
        let said = bench(&line);
        assert!(said.code == Some(2) && said.stderr.contains(&words), "{line}: {}", said.stderr);
    }
    // Its death in the midst of a run, once it has connected.
    let (connected, is_connected) = std::sync::mpsc::channel();
    let server = crate::support::tcp_server(move |stream| {
        if let Ok(mut socket) = tungstenite::accept(stream) {
            connected.send(()).unwrap();
            while socket.read().is_ok() {}
        }
    });
    let address = worker.address.clone();
    let run = std::thread::spawn({
        let line = format!("idle ws://{server} -c 2 --duration 60s --workers {address}");
        move || bench(&line)
    });
    // The probe's connection and the two.
    (0..3).for_each(|_| is_connected.recv().unwrap());
    drop(worker);
    let said = run.join().unwrap();
    assert!(said.stderr.contains(&format!("worker {address}: ")) && said.code == Some(2), "{}", said.stderr);
}

#[test]
fn a_broadcast_that_is_interrupted_is_still_counted_to_the_last_message() {
    let (_workers, both) = two();
    let (published, is_published) = std::sync::mpsc::channel();
    let address = relay(move |number| {
        let _told = published.send(number);
        false
    });
    let child = Command::new(env!("CARGO_BIN_EXE_bench-client"))
        .args(["broadcast", &format!("ws://{address}/"), "-c", "5", "--every", "20ms", "--duration", "60s"])
        .args(["--warmup", "0s", "--allow-saturated", "--quiet"])
        .args(["--workers", &both])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while is_published.recv().unwrap() < 10 {}
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let counts = text.lines().find_map(|line| line.strip_prefix("broadcast     ")).unwrap();
    let number = |word: &str| {
        let words: Vec<_> = counts.split([' ', ',']).collect();
        let at = words.iter().position(|other| *other == word).unwrap();
        words[at - 1].parse::<u64>().unwrap()
    };
    assert!(number("published") >= 10 && number("delivered") == number("published") * 5, "{text}");
    assert!(text.contains("checks        0 lost") && text.contains("interrupted"), "{text}");
}
