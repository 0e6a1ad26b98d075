//! A run that several processes carry out together.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{assert_clean, bench, echo};

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

#[test]
fn two_workers_send_what_one_would_and_every_message_is_in_the_merged_report() {
    let (one, two) = (Worker::start(), Worker::start());
    let address = echo();
    let flags = "-c 11 --rate 1k --duration 1s --warmup 100ms --interval 200ms";
    for _ in 0..2 {
        let said = bench(&format!("echo ws://{address}/ {flags} --workers {},{}", one.address, two.address));
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
fn a_worker_that_cannot_or_goes_away_is_named() {
    let worker = Worker::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = format!("ws://{} -c 4 --workers {}", echo(), worker.address);
    for (line, words) in [
        (format!("echo {flags},{nobody}"), format!("worker {nobody}: ")),
        (format!("broadcast {flags}"), "--workers: a broadcast".into()),
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
