//! The server's process, as the program that started it sees it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

/// How a server is to serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serving {
    pub(crate) connections: usize,
    /// 0: as many as the connections take.
    pub(crate) shards: usize,
    pub(crate) head_timeout: Duration,
    /// How often WebSockets and sessions of Socket.IO are pinged, and how long their answers may take. `None`: the defaults.
    pub(crate) ping: Option<Duration>,
}

impl Default for Serving {
    fn default() -> Self {
        Self { connections: 8000, shards: 2, head_timeout: Duration::from_secs(10), ping: None }
    }
}

impl Serving {
    /// As arguments of the program.
    fn to_arguments(self) -> [String; 4] {
        let Self { connections, shards, head_timeout, ping } = self;
        let ping_ms = ping.map_or(0, |ping| ping.as_millis() as usize);
        [connections, shards, head_timeout.as_millis() as usize, ping_ms].map(|number| number.to_string())
    }

    /// What [`to_arguments`](Self::to_arguments) made.
    pub(crate) fn from_arguments(arguments: &[String]) -> Self {
        let numbers: Vec<u64> =
            arguments.iter().map(|argument| argument.parse().expect("a number")).collect();
        let [connections, shards, head_ms, ping_ms] = numbers[..] else {
            panic!("four numbers: {numbers:?}")
        };
        Self {
            connections: connections as usize,
            shards: shards as usize,
            head_timeout: Duration::from_millis(head_ms),
            ping: (ping_ms > 0).then(|| Duration::from_millis(ping_ms)),
        }
    }
}

/// A server in a process of its own; it ends with this.
#[derive(Debug)]
pub(crate) struct Besieged {
    child: Child,
    said: BufReader<ChildStdout>,
    ask: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
    pub(crate) shards: usize,
}

/// What a server has counted, and how it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stand {
    /// Its counters, and the turns since it was asked last.
    pub(crate) counters: BTreeMap<String, u64>,
    /// Processor time so far, in hundredths of a second.
    pub(crate) cpu: u64,
    /// Resident memory.
    pub(crate) rss_bytes: u64,
}

impl Stand {
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

impl Besieged {
    /// Starts this program again as a server.
    pub(crate) fn start(serving: Serving) -> Self {
        let program = std::env::current_exe().expect("a program knows its file");
        let mut child = Command::new(program)
            .arg("serve")
            .args(serving.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program that runs can be run");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it listens");
        let (address, shards) = line.trim().split_once(' ').expect("an address and a number");
        Self {
            ask: child.stdin.take(),
            child,
            said,
            address: address.parse().expect("an address"),
            shards: shards.parse().expect("a number"),
        }
    }

    /// How it stands.
    pub(crate) fn stand(&mut self) -> Stand {
        let mut line = String::new();
        let ask = self.ask.as_mut().expect("it was not stopped");
        writeln!(ask, "stats").expect("the server is alive");
        self.said.read_line(&mut line).expect("the server answers");
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        let counters =
            pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect();
        let process = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
        // The name, which may have spaces in it, is in parentheses; fields 14 and 15 are user and system time.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let rss_kib: u64 = rss.and_then(|kib| kib.trim().parse().ok()).unwrap_or(0);
        Stand { counters, cpu: ticks(11) + ticks(12), rss_bytes: rss_kib << 10 }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).expect("a child can be signalled");
    }

    /// Sets how many fds it may have, and returns how many those were before.
    pub(crate) fn limit_fds(&self, current: u64) -> u64 {
        let limit = Rlimit { current: Some(current), maximum: getrlimit(Resource::Nofile).maximum };
        let before =
            prlimit(Some(self.process()), Resource::Nofile, limit).expect("a child's limits can be set");
        before.current.unwrap_or(u64::MAX)
    }

    /// How many fds it has open.
    pub(crate) fn open_fds(&self) -> u64 {
        let fds = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server is alive");
        fds.count() as u64
    }

    /// Stops it; false where it did not end well.
    pub(crate) fn stop(mut self) -> bool {
        self.ask = None;
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Besieged {
    fn drop(&mut self) {
        // It ends by itself at the end of its input; one that hangs is not left behind.
        if self.ask.is_some() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
