//! What this host lacks for the connections that are wanted: each setting with what it is, what it should be, and how.
//!
//! [`Host::read`] reads, [`findings`] judges, and neither changes anything: `scripts/tune-host.sh` does, when a person says
//! so. the binary prints the findings at start, `bench-client` before it opens its connections.

use std::str::FromStr;
use std::{fmt, fs};

use super::limits::{FDS_RESERVED, FdLimit, fd_limit};

/// The accept queue, and the queue of half-open connections, that a storm of connects wants: as long as
/// [`Config::backlog`](crate::Config::backlog), which the kernel cuts down to it. `scripts/tune-host.sh` sets the same.
pub const QUEUE_WANTED: u64 = 65_535;

/// What is wanted of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Connections in all.
    pub connections: u64,
    /// Fd tables they are spread over.
    pub tables: u64,
    /// Which end of the connections this process is.
    pub role: Role,
}

/// Which end of the connections a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It accepts.
    Server,
    /// It connects, from `routes` pairs of a source and a destination address; each pair has the port range to itself.
    Client {
        /// Source addresses × destination addresses and ports.
        routes: u64,
    },
}

/// The settings as they are. `None`: this kernel or container does not show it, and nothing is said about it.
#[derive(Clone, Debug)]
pub struct Host {
    /// `RLIMIT_NOFILE`.
    pub fds: FdLimit,
    /// `fs.nr_open`: what the hard limit may be raised to.
    pub nr_open: Option<u64>,
    /// `fs.file-max`: open files of the whole machine.
    pub file_max: Option<u64>,
    /// `fs.epoll.max_user_watches`: registrations per user.
    pub max_user_watches: Option<u64>,
    /// `net.core.somaxconn`: the largest accept queue.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog`: the largest queue of half-open connections.
    pub syn_backlog: Option<u64>,
    /// `net.ipv4.ip_local_port_range`: first and last port of outgoing connections.
    pub port_range: Option<(u64, u64)>,
    /// `net.netfilter.nf_conntrack_count` and `_max`: connections tracked and how many may be.
    pub conntrack: Option<(u64, u64)>,
    /// `net.ipv4.tcp_mem`'s third number in bytes: where the kernel refuses socket memory.
    pub tcp_mem_bytes_max: Option<u64>,
    /// The machine's memory.
    pub memory_bytes: Option<u64>,
}

/// A setting that stands in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The setting's name.
    pub what: &'static str,
    /// Whether the connections cannot be had without it, or only suffer.
    pub weight: Weight,
    /// Its value.
    pub is: String,
    /// The value the demand needs.
    pub wants: String,
    /// Why, in one sentence.
    pub why: &'static str,
    /// The command that changes it.
    pub fix: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// The connections do not fit.
    Wall,
    /// They fit, and a storm or a stalled crowd hurts.
    Risk,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, is, wants, why, fix, .. } = self;
        write!(f, "{what} is {is}, {wants} is wanted: {why}; {fix}")
    }
}

impl Host {
    /// Reads the settings.
    #[must_use]
    pub fn read() -> Self {
        let page = rustix::param::page_size() as u64;
        Self {
            fds: fd_limit(),
            nr_open: sysctl("fs/nr_open", 0),
            file_max: sysctl("fs/file-max", 0),
            max_user_watches: sysctl("fs/epoll/max_user_watches", 0),
            somaxconn: sysctl("net/core/somaxconn", 0),
            syn_backlog: sysctl("net/ipv4/tcp_max_syn_backlog", 0),
            port_range: sysctl("net/ipv4/ip_local_port_range", 0)
                .zip(sysctl("net/ipv4/ip_local_port_range", 1)),
            conntrack: sysctl("net/netfilter/nf_conntrack_count", 0)
                .zip(sysctl("net/netfilter/nf_conntrack_max", 0)),
            tcp_mem_bytes_max: sysctl("net/ipv4/tcp_mem", 2).map(|pages: u64| pages.saturating_mul(page)),
            memory_bytes: fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
                let kib: u64 = nth(text.strip_prefix("MemTotal:")?, 0)?;
                Some(kib << 10)
            }),
        }
    }
}

/// Everything that stands in the way of `demand`, walls first.
#[must_use]
pub fn findings(host: &Host, demand: Demand) -> Vec<Finding> {
    use Weight::{Risk, Wall};
    let mut found = Vec::new();
    let Demand { connections, tables, role } = demand;
    let mut at_least = |what, weight, is: Option<u64>, wants: u64, why, fix: String| {
        if let Some(is) = is.filter(|&is| is < wants) {
            found.push(Finding { what, weight, is: is.to_string(), wants: wants.to_string(), why, fix });
        }
    };
    let set = |name: &str, value: u64| format!("sysctl -w {name}={value}");

    let mean = connections.div_ceil(tables.max(1));
    // The kernel spreads accepted connections at random (see `limits::connections_per_own_table`).
    let spread = if tables > 1 { (5.0 * (mean as f64).sqrt()).ceil() as u64 } else { 0 };
    let fds = mean + spread + FDS_RESERVED;
    if host.fds.soft < fds {
        at_least(
            "fs.nr_open",
            Wall,
            host.nr_open,
            fds,
            "RLIMIT_NOFILE cannot exceed it",
            set("fs.nr_open", fds),
        );
    }
    let raise = format!("ulimit -n {fds}, or LimitNOFILE={fds} in the service's unit");
    at_least("RLIMIT_NOFILE", Wall, Some(host.fds.soft), fds, "each fd table holds that many sockets", raise);
    // The machine opens some thousands of files besides. A process with CAP_SYS_ADMIN is exempt.
    let files = connections + connections / 20 + 10_000;
    let why = "open files of the whole machine count against it";
    at_least("fs.file-max", Wall, host.file_max, files, why, set("fs.file-max", files));
    if role == Role::Server {
        let why = "every connection is one epoll registration of this user";
        at_least("fs.epoll.max_user_watches", Wall, host.max_user_watches, connections + 1024, why, {
            set("fs.epoll.max_user_watches", connections + 1024)
        });
    }
    if let Some((tracked, most)) = host.conntrack.filter(|&(tracked, _)| tracked > 0) {
        let wants = tracked + connections + connections / 5;
        let why = "a firewall rule tracks connections, and drops what is beyond; better still exempt the port (NOTRACK)";
        let fix = set("net.netfilter.nf_conntrack_max", wants);
        at_least("net.netfilter.nf_conntrack_max", Wall, Some(most), wants, why, fix);
    }

    match role {
        Role::Server => {
            for (name, is) in
                [("net.core.somaxconn", host.somaxconn), ("net.ipv4.tcp_max_syn_backlog", host.syn_backlog)]
            {
                // No storm is larger than all of the connections.
                let is = is.filter(|&is| is < connections);
                let why = "a storm of connects beyond it is dropped and comes back a second later";
                at_least(name, Risk, is, QUEUE_WANTED, why, set(name, QUEUE_WANTED));
            }
        }
        Role::Client { routes } => {
            let (first, last) = host.port_range.unwrap_or((1024, 65_535));
            let ports = (last + 1).saturating_sub(first).saturating_mul(routes.max(1));
            let why = "every connection from one address to one address and port takes a port; more addresses help too";
            let fix = "sysctl -w net.ipv4.ip_local_port_range='1024 65535'".to_owned();
            at_least("net.ipv4.ip_local_port_range", Wall, Some(ports), connections, why, fix);
        }
    }

    if let (Some(most), Some(memory)) = (host.tcp_mem_bytes_max, host.memory_bytes) {
        let quarter = memory / 4;
        if most > quarter {
            found.push(Finding {
                what: "net.ipv4.tcp_mem",
                weight: Risk,
                is: format!("{} MiB", most >> 20),
                wants: format!("at most {} MiB", quarter >> 20),
                why: "a crowd that stops reading may pin that much memory in the kernel",
                fix: "scripts/tune-host.sh --apply".to_owned(),
            });
        }
    }
    found.sort_by_key(|finding| finding.weight == Risk);
    found
}

/// The `n`-th number of a sysctl.
fn sysctl<T: FromStr>(name: &str, n: usize) -> Option<T> {
    nth(&fs::read_to_string(format!("/proc/sys/{name}")).ok()?, n)
}

fn nth<T: FromStr>(text: &str, n: usize) -> Option<T> {
    text.split_ascii_whitespace().nth(n)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that wants for nothing at a million.
    fn ample() -> Host {
        Host {
            fds: FdLimit { soft: 2_000_000, hard: 2_000_000 },
            nr_open: Some(2_000_000),
            file_max: Some(4_000_000),
            max_user_watches: Some(5_000_000),
            somaxconn: Some(65_535),
            syn_backlog: Some(65_535),
            port_range: Some((1024, 65_535)),
            conntrack: None,
            tcp_mem_bytes_max: Some(4 << 30),
            memory_bytes: Some(24 << 30),
        }
    }

    const MILLION: Demand = Demand { connections: 1_000_000, tables: 1, role: Role::Server };

    fn names(host: &Host, demand: Demand) -> Vec<&'static str> {
        findings(host, demand).iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_ample_host_has_no_findings() {
        assert_eq!(findings(&ample(), MILLION), []);
    }

    #[test]
    fn each_setting_is_found_alone() {
        type Lack = fn(&mut Host);
        let table: [(&str, Lack); 7] = [
            ("RLIMIT_NOFILE", |host| host.fds.soft = 20_000),
            ("fs.file-max", |host| host.file_max = Some(1_000_000)),
            ("fs.epoll.max_user_watches", |host| host.max_user_watches = Some(999_999)),
            ("net.core.somaxconn", |host| host.somaxconn = Some(4096)),
            ("net.ipv4.tcp_max_syn_backlog", |host| host.syn_backlog = Some(65_534)),
            ("net.netfilter.nf_conntrack_max", |host| host.conntrack = Some((1, 262_144))),
            ("net.ipv4.tcp_mem", |host| host.tcp_mem_bytes_max = Some(7 << 30)),
        ];
        for (name, lack) in table {
            let mut host = ample();
            lack(&mut host);
            assert_eq!(names(&host, MILLION), [name]);
        }
    }

    #[test]
    fn a_queue_that_holds_all_connections_is_long_enough_and_the_script_wants_the_same() {
        for (queue, connections, is_short) in
            [(4096, 4096, false), (4096, 4097, true), (65_534, 1_000_000, true), (65_535, 1_000_000, false)]
        {
            let host = Host { somaxconn: Some(queue), ..ample() };
            let found = findings(&host, Demand { connections, ..MILLION });
            let wants: Vec<_> = found.iter().map(|finding| (finding.what, &*finding.wants)).collect();
            let expected = [("net.core.somaxconn", "65535")];
            assert_eq!(wants, if is_short { &expected[..] } else { &[] }, "{queue} {connections}");
        }
        let script = include_str!("../../scripts/tune-host.sh");
        let line = script.lines().find_map(|line| line.strip_prefix("queue_wanted=")).unwrap();
        assert_eq!(line.parse(), Ok(QUEUE_WANTED));
    }

    #[test]
    fn tables_share_the_connections_and_each_has_its_spread() {
        let limit = FdLimit { soft: 20_000, hard: 20_000 };
        let host = Host { fds: limit, nr_open: Some(1_048_576), ..ample() };
        for (tables, fits) in [(1, false), (50, false), (51, false), (52, true), (54, true)] {
            let found = findings(&host, Demand { tables, ..MILLION });
            assert_eq!(found.is_empty(), fits, "{tables}: {found:?}");
        }
    }

    #[test]
    fn nr_open_is_raised_before_the_limit_it_caps() {
        let limit = FdLimit { soft: 1024, hard: 4096 };
        let host = Host { fds: limit, nr_open: Some(524_288), ..ample() };
        assert_eq!(names(&host, MILLION), ["fs.nr_open", "RLIMIT_NOFILE"]);
        let wanted = findings(&host, MILLION)[1].to_string();
        assert!(wanted.contains("1024") && wanted.contains("ulimit -n 1000064"), "{wanted}");
    }

    #[test]
    fn a_client_needs_ports_and_no_queues() {
        let host = Host { port_range: Some((32_768, 60_999)), somaxconn: Some(128), ..ample() };
        let client = |connections, routes| Demand { connections, tables: 1, role: Role::Client { routes } };
        assert_eq!(names(&host, client(28_232, 1)), Vec::<&str>::new());
        assert_eq!(names(&host, client(28_233, 1)), ["net.ipv4.ip_local_port_range"]);
        assert_eq!(names(&host, client(100_000, 4)), Vec::<&str>::new());
    }

    #[test]
    fn walls_come_first_and_what_is_not_shown_is_not_judged() {
        let poor = Host { somaxconn: Some(128), file_max: Some(100), ..ample() };
        assert_eq!(names(&poor, MILLION), ["fs.file-max", "net.core.somaxconn"]);
        let hidden = Host {
            nr_open: None,
            file_max: None,
            max_user_watches: None,
            somaxconn: None,
            syn_backlog: None,
            port_range: None,
            tcp_mem_bytes_max: None,
            memory_bytes: None,
            ..ample()
        };
        assert_eq!(findings(&hidden, MILLION), []);
    }

    #[test]
    fn this_host_can_be_read() {
        let host = Host::read();
        assert!(host.fds.soft > 0 && host.nr_open.unwrap() >= host.fds.hard);
        assert!(host.port_range.unwrap().0 < host.port_range.unwrap().1);
        assert!(host.memory_bytes.unwrap() > 1 << 26 && host.tcp_mem_bytes_max.unwrap() > 1 << 20);
    }
}
