//! What the program says of itself: at start what it runs with, at the end what it has done.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use throng::sys::host::{self, Demand, Host, Role};
use throng::{Metrics, Origins, Server};

use super::prepare::Prepared;
use super::sources::Settled;
use super::value::grouped;

/// What an idle connection costs: 4.2 KB of the kernel's and about 0.1 KB here (`docs/TUNING.md`).
const IDLE_CONNECTION_BYTES: u64 = 4300;

/// The lines of the start. The last one is the command to try.
pub(super) fn lines(settled: &Settled, prepared: &Prepared, server: &Server) -> Vec<String> {
    let plan = server.plan();
    let mut lines = vec![format!("throng {}", env!("CARGO_PKG_VERSION"))];
    let mut add = |what: &str, text: String| lines.push(format!("  {what:<12} {text}"));

    let addresses = server.local_addrs();
    let url = |address: &SocketAddr| {
        let scheme = if server.secure_addrs().contains(address) { "https" } else { "http" };
        format!("{scheme}://{}/", reachable(*address))
    };
    let urls: Vec<_> = addresses.iter().map(url).collect();
    add("listening", urls.join(" "));
    add("shards", format!("{}; {}", plan.shards, more_shards(prepared, plan.shards)));
    add("fd tables", prepared.tables_in_words());
    add("connections", connections(plan.max_connections));
    add(
        "origins",
        match &prepared.config.origins {
            Origins::Only(origins) => format!("{}; other pages are answered 403", origins.join(" ")),
            _ => "any page may connect; --origin https://example.org accepts that one alone".to_owned(),
        },
    );
    for changed in settled.changed() {
        add("setting", changed);
    }
    for note in settled.notes.iter().chain(&prepared.not_raised) {
        add("note", note.clone());
    }
    for finding in findings(prepared, plan.shards, plan.max_connections) {
        add("host lacks", finding);
    }
    let is_local = |name: &String| name.starts_with("localhost:");
    let host = match (addresses.first(), settled.options.own.bind.first()) {
        (Some(address), Some(name)) if is_local(name) => format!("localhost:{}", address.port()),
        (Some(address), _) => reachable(*address).to_string(),
        (None, _) => return lines,
    };
    let load = plan.max_connections.min(1000);
    let is_secure = addresses.first().is_some_and(|address| server.secure_addrs().contains(address));
    let (scheme, trust) = if is_secure { ("wss", " --insecure") } else { ("ws", "") };
    lines.push(format!("try: {} echo {scheme}://{host}/ --connections {load}{trust}", bench_client()));
    lines
}

/// What `check-config` says below the settings, in lines that its file form takes for comments.
pub(super) fn planned(
    prepared: &Prepared,
    shards: usize,
    max_connections: usize,
    per_shard: usize,
) -> String {
    let mut lines = vec![
        String::new(),
        format!("# shards: {shards}; {}", more_shards(prepared, shards)),
        format!("# fd tables: {}", prepared.tables_in_words()),
        format!(
            "# connections: {}; a shard takes up to {}",
            connections(max_connections),
            grouped(per_shard as u64)
        ),
    ];
    let lacks = findings(prepared, shards, max_connections);
    lines.extend(prepared.not_raised.iter().map(|note| format!("# {note}")));
    lines.extend(lacks.into_iter().map(|finding| format!("# host lacks: {finding}")));
    lines.join("\n") + "\n"
}

/// The last line.
pub(super) fn totals(metrics: &Metrics, since: Duration) -> String {
    let count = |name| grouped(metrics.counter(name).unwrap_or(0));
    format!(
        "stopped after {} s: {} connections, {} WebSockets, {} messages in, {} deliveries",
        grouped(since.as_secs()),
        count("connections_opened"),
        count("websockets_opened"),
        count("messages_in"),
        count("deliveries"),
    )
}

fn connections(most: usize) -> String {
    let most = most as u64;
    format!(
        "at most {}, about {} MB when all of them are idle",
        grouped(most),
        grouped((most * IDLE_CONNECTION_BYTES).div_ceil(1_000_000))
    )
}

fn more_shards(prepared: &Prepared, shards: usize) -> String {
    let cores = throng::sys::limits::allowed_cores().map_or(1, |cores| cores.len());
    let dearer = match (shards <= cores, prepared.config.shards) {
        (true, _) => "",
        (false, 0) => ": so many connections need more tables, and messages get dearer",
        (false, _) => ": more shards than cores make messages dearer",
    };
    format!("{cores} cores{dearer}")
}

fn findings(prepared: &Prepared, shards: usize, max_connections: usize) -> Vec<String> {
    let tables = prepared.tables(shards) as u64;
    let demand = Demand { connections: max_connections as u64, tables, role: Role::Server };
    host::findings(&Host::read(), demand).iter().map(ToString::to_string).collect()
}

/// An address that a client on this host can connect to: where the server listens on all of them, the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// How the load generator is called from here: through cargo inside the sources, else by its name, with its directory
/// where the path does not have it.
fn bench_client() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |directory: &Path| std::env::split_paths(&path).any(|one| one == directory);
    bench_client_from(&here, &program, |file| file.is_file(), on_path)
}

fn bench_client_from(
    here: &Path,
    program: &Path,
    is_file: impl Fn(&Path) -> bool,
    on_path: impl Fn(&Path) -> bool,
) -> String {
    if here.ancestors().any(|directory| is_file(&directory.join("bench-client/Cargo.toml"))) {
        return "cargo run --release -p bench-client --".to_owned();
    }
    let beside = program.with_file_name("bench-client");
    match program.parent() {
        Some(directory) if is_file(&beside) && !on_path(directory) => beside.display().to_string(),
        _ => "bench-client".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_generator_is_called_as_it_can_be_called() {
        let files =
            ["/src/throng/bench-client/Cargo.toml", "/opt/throng/bench-client", "/usr/bin/bench-client"];
        let is_file = |file: &Path| files.iter().any(|known| file == Path::new(known));
        let on_path = |directory: &Path| directory == Path::new("/usr/bin");
        for (here, program, expected) in [
            ("/src/throng/docs", "/src/throng/target/debug/throng", "cargo run --release -p bench-client --"),
            ("/root", "/opt/throng/throng", "/opt/throng/bench-client"),
            ("/root", "/usr/bin/throng", "bench-client"),
            ("/root", "/somewhere/throng", "bench-client"),
        ] {
            assert_eq!(bench_client_from(here.as_ref(), program.as_ref(), is_file, on_path), expected);
        }
    }

    #[test]
    fn every_address_becomes_one_to_connect_to() {
        for (listens, expected) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), expected);
        }
    }
}
