//! How a run is laid out on this host: threads, fd tables, source addresses. Pure: the host's figures come in.

use std::net::{IpAddr, Ipv4Addr};

use crate::cli::Sources;
use crate::connector::Order;
use crate::settings::Settings;
use crate::target::Target;

/// Fds a process needs besides its connections: standard streams, polls, timers, files read for the report.
const FDS_RESERVED: u64 = 64;
/// Workers that make sense on any machine. More of them only switch between each other, and each has its own buffers.
const WORKERS_MAX: usize = 256;
/// So many times the workers wanted are worth a word.
const CROWD: usize = 8;
/// Connections planned per source address and target port, however wide the port range is.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

/// What the host offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Fds one table can hold.
    pub(crate) fds_per_table: u64,
    /// Cores this process may use.
    pub(crate) cores: usize,
    /// Ports `net.ipv4.ip_local_port_range` spans.
    pub(crate) ports: usize,
    /// Whether a thread may leave the process's fd table.
    pub(crate) may_own_tables: bool,
}

/// The layout.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One per worker.
    pub(crate) orders: Vec<Order>,
    /// Whether each worker gets its own fd table.
    pub(crate) own_tables: bool,
    /// That there are far more workers than wanted, why, and what fixes it.
    pub(crate) crowd: Option<String>,
}

impl Plan {
    /// Lays a run out.
    ///
    /// # Errors
    /// What the host lacks, with the command that fixes it.
    pub(crate) fn new(settings: &Settings, target: &Target, host: Host) -> Result<Self, String> {
        let connections = settings.common.connections;
        let threads = settings.common.threads.map_or(host.cores, usize::from).clamp(1, connections);
        let needed = settings.sockets() as u64 + FDS_RESERVED + 2 * threads as u64;
        let is_too_much = needed > host.fds_per_table;
        if is_too_much && !host.may_own_tables {
            return Err(format!(
                "{needed} fds are needed, {} are allowed, and this host refuses fd tables per thread: ulimit -n {needed}",
                host.fds_per_table
            ));
        }
        // 95 % of a table: 19,000 of 20,000. The rest is what was open at the split, and slack.
        let per_table = (host.fds_per_table.saturating_sub(FDS_RESERVED) * 19 / 20).max(1) as usize;
        let workers = if is_too_much { threads.max(settings.sockets().div_ceil(per_table)) } else { threads };
        let why = format!(
            "an fd table holds {} here, so {} sockets need {workers} workers, each with a table of its own",
            host.fds_per_table,
            settings.sockets()
        );
        if workers > WORKERS_MAX.max(threads) {
            return Err(format!("{why}; at most {WORKERS_MAX} make sense: ulimit -n {needed}"));
        }
        let crowd = (workers > CROWD * threads)
            .then(|| format!("{why}, where {threads} would do and cost less CPU time: ulimit -n {needed}"));
        let sources = sources(settings, target, host)?;
        let per_second = settings.common.connect_rate as f64 / workers as f64;
        let mut first = settings.part.first;
        let publisher =
            settings.publish.filter(|_| settings.part.publishes).map(|_| settings.part.publisher());
        let orders = (0..workers).map(|index| {
            let members = connections / workers + usize::from(index < connections % workers);
            let order = Order {
                first,
                members: members as u32,
                publisher: publisher.filter(|_| index + 1 == workers),
                address: target.address,
                sources: sources.clone(),
                inflight: settings.common.connect_inflight as usize,
                per_second,
                is_storm: settings.is_storm,
                slow: settings.slow.map(|slow| slow.share),
                timeout: settings.connect_timeout,
            };
            first += members as u32;
            order
        });
        // In a table that no other thread uses a call costs 60 to 75 ns less: nobody has to be kept from closing its fd.
        Ok(Self { orders: orders.collect(), own_tables: host.may_own_tables, crowd })
    }
}

fn sources(settings: &Settings, target: &Target, host: Host) -> Result<Vec<IpAddr>, String> {
    // connect(2) looks for a port of one parity first. Once that half of the range is in use every connect scans it in
    // vain: 100,000 connections from 5 addresses over 28,232 ports went from 17,000/s to 700/s at 14,100 per address.
    let per_source = CONNECTIONS_PER_SOURCE.min(host.ports / 2 * 9 / 10).max(1);
    let needed = settings.sockets().div_ceil(per_source);
    let chosen = match &settings.common.source {
        Sources::Only(addresses) => {
            if let Some(other) =
                addresses.iter().find(|address| address.is_ipv4() != target.address.is_ipv4())
            {
                return Err(format!(
                    "--source {other} and the target {} are of different IP versions",
                    target.address
                ));
            }
            addresses.clone()
        }
        Sources::Auto if needed == 1 => return Ok(Vec::new()),
        Sources::Auto if target.is_ipv4_loopback() => (0..needed).map(loopback).collect(),
        Sources::Auto => Vec::new(),
    };
    let capacity = chosen.len().max(1) * host.ports;
    if settings.sockets() > capacity {
        let advice = if target.is_ipv4_loopback() || host.ports < 60_000 {
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535', or more addresses with --source"
        } else {
            "name more source addresses with --source (on one machine use an IPv4 loopback target: ::1 is one address)"
        };
        return Err(format!(
            "{} connections need more than the {capacity} source ports there are: {advice}",
            settings.sockets()
        ));
    }
    Ok(chosen)
}

/// 127.0.1.1, 127.0.1.2, …: 254 addresses per third byte.
fn loopback(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, (1 + index / 254) as u8, (1 + index % 254) as u8).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    const HOST: Host = Host { fds_per_table: 20_000, cores: 2, ports: 28_232, may_own_tables: true };

    fn plan(line: &str, host: Host, url: &str) -> Result<Plan, String> {
        let cli = crate::cli::Cli::parse_from(std::iter::once("bench-client").chain(line.split(' ')));
        Plan::new(&Settings::new(cli).unwrap(), &Target::resolve(url).unwrap(), host)
    }

    const LOCAL: &str = "ws://127.0.0.1:1/";

    #[test]
    fn few_connections_share_one_source_and_tables_are_each_workers_own_where_that_may_be() {
        let shared = Host { may_own_tables: false, ..HOST };
        assert!(!plan("echo -c 1001", shared, LOCAL).unwrap().own_tables);
        let plan = plan("echo -c 1001", HOST, LOCAL).unwrap();
        assert!(plan.own_tables && plan.orders.iter().all(|order| order.sources.is_empty()));
        let shares: Vec<_> = plan.orders.iter().map(|order| (order.first, order.members)).collect();
        assert_eq!(shares, [(0, 501), (501, 500)]);
    }

    #[test]
    fn many_connections_get_as_many_tables_and_sources_as_they_need() {
        for (line, workers, sources) in
            [("mixed -c 100k", 6, 8), ("idle -c 1M", 53, 79), ("idle -c 30k", 2, 3)]
        {
            let plan = plan(line, HOST, LOCAL).unwrap();
            assert!(plan.own_tables);
            assert_eq!((plan.orders.len(), plan.orders[0].sources.len()), (workers, sources), "{line}");
            let largest =
                plan.orders.iter().map(|order| order.members + u32::from(order.publisher.is_some())).max();
            assert!(largest.is_some_and(|largest| largest <= 19_000), "{largest:?}");
            let publishers = plan.orders.iter().filter(|order| order.publisher.is_some()).count();
            assert_eq!(publishers, usize::from(line.starts_with("mixed")));
        }
    }

    #[test]
    fn a_crowd_of_workers_is_told_and_a_larger_one_refused() {
        for (fds, line, workers) in [
            (20_000, "idle -c 100k", Some((6, false))),
            (20_000, "idle -c 1M", Some((53, true))),
            (1100, "idle -c 15k", Some((16, false))),
            (1100, "idle -c 17k", Some((18, true))),
            (100, "idle -c 20k", None),
            (100, "idle -c 20k --threads 1000", Some((1000, false))),
            (20_000, "idle -c 10k --protocol socketio --transport polling", Some((2, false))),
        ] {
            let planned = plan(line, Host { fds_per_table: fds, ports: 64_512, ..HOST }, LOCAL);
            match (planned, workers) {
                (Ok(plan), Some(expected)) => {
                    assert_eq!((plan.orders.len(), plan.crowd.is_some()), expected, "{fds} {line}");
                    let needed = plan.crowd.is_none_or(|crowd| crowd.contains(": ulimit -n 1"));
                    assert!(needed, "{fds} {line}");
                }
                (Err(refused), None) => {
                    assert!(refused.ends_with("at most 256 make sense: ulimit -n 20068"), "{refused}");
                }
                (planned, _) => panic!("{fds} {line}: {planned:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        let bound = Host { may_own_tables: false, ..HOST };
        assert!(plan("idle -c 30k", bound, LOCAL).unwrap_err().contains("ulimit -n"));
        assert!(plan("idle -c 30k", HOST, "ws://[::1]:1/").unwrap_err().contains("ip_local_port_range"));
        let wide = Host { ports: 64_512, ..HOST };
        assert!(plan("idle -c 70k", wide, "ws://[::1]:1/").unwrap_err().contains("::1 is one address"));
        assert!(plan("idle --source ::1", HOST, LOCAL).unwrap_err().contains("IP version"));
        assert!(
            plan("idle -c 60k --source 127.0.0.9,127.0.0.8", HOST, LOCAL).unwrap_err().contains("--source")
        );
    }
}
