//! Before anything is opened: can this host, and the server, carry what was asked for?
//!
//! Every shortfall is one line that ends in the command that fixes it.

use throng::sys::host::{self, QUEUE_WANTED};
use throng::sys::{fd_table, limits};

use crate::plan::Host;
use crate::settings::Settings;

/// Looks at this host. Raises the soft fd limit to the hard one.
pub(crate) fn host() -> Host {
    let ports = match host::Host::read().port_range {
        Some((low, high)) if high >= low => (high - low + 1) as usize,
        // Linux's default range.
        _ => 28_232,
    };
    let fds = limits::raise_fd_limit().unwrap_or_else(|_| limits::fd_limit());
    let unshared = std::thread::spawn(fd_table::unshare_fd_table).join();
    Host {
        fds_per_table: fds.soft,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        ports,
        may_own_tables: unshared.is_ok_and(|result| result.is_ok()),
    }
}

/// Limits that slow a run down or may stop it; none of them is known to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// `net.core.somaxconn`, if the target is on this machine.
    pub(crate) accept_queue: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog`, likewise.
    pub(crate) syn_queue: Option<u64>,
    /// `fs.file-max`: files of the whole machine.
    pub(crate) files: Option<u64>,
    /// The server's fd limit.
    pub(crate) server_fds: Option<u64>,
}

impl Limits {
    /// Reads the limits that matter for this target.
    pub(crate) fn read(is_local: bool, server: Option<u32>) -> Self {
        let host = host::Host::read();
        Self {
            accept_queue: host.somaxconn.filter(|_| is_local),
            syn_queue: host.syn_backlog.filter(|_| is_local),
            files: host.file_max,
            server_fds: server.and_then(|pid| limits::fd_limit_of(pid).ok()),
        }
    }

    /// One line per limit that is low for this run with so many workers.
    pub(crate) fn warnings(&self, settings: &Settings, workers: usize, is_local: bool) -> Vec<String> {
        let sockets = settings.sockets() as u64;
        let at_once = sockets.min(workers as u64 * u64::from(settings.common.connect_inflight));
        let mut lines = Vec::new();
        for (name, limit) in
            [("net.core.somaxconn", self.accept_queue), ("net.ipv4.tcp_max_syn_backlog", self.syn_queue)]
        {
            if let Some(limit) = limit.filter(|&limit| limit < at_once) {
                lines.push(format!(
                    "{name} is {limit} and {at_once} connections open at once: some may wait a second for their SYN's \
                     second try: sysctl -w {name}={QUEUE_WANTED}"
                ));
            }
        }
        let files = sockets * if is_local { 2 } else { 1 };
        if let Some(limit) = self.files.filter(|&limit| limit < files) {
            lines.push(format!(
                "fs.file-max is {limit} and {files} files are needed: sysctl -w fs.file-max={}",
                files * 2
            ));
        }
        if let (Some(limit), Some(pid)) =
            (self.server_fds.filter(|&limit| limit < sockets + 64), settings.common.server_pid)
        {
            lines.push(format!(
                "the server may open {limit} fds per table and {sockets} connections are wanted; unless it has an fd table \
                 per thread: prlimit --pid {pid} --nofile={}",
                sockets + 1024
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn each_low_limit_is_one_line_with_its_command() {
        let flags = ["bench-client", "idle", "-c", "100k", "--server-pid", "42"];
        let settings = Settings::new(crate::cli::Cli::parse_from(flags)).unwrap();
        let low = Limits {
            accept_queue: Some(128),
            syn_queue: Some(256),
            files: Some(150_000),
            server_fds: Some(1024),
        };
        let lines = low.warnings(&settings, 6, true);
        assert_eq!(lines.len(), 4);
        for (line, command) in lines.iter().zip([
            "sysctl -w net.core.somaxconn=65535",
            "sysctl -w net.ipv4.tcp_max_syn_backlog=65535",
            "sysctl -w fs.file-max=400000",
            "prlimit --pid 42 --nofile=101024",
        ]) {
            assert!(line.ends_with(command), "{line}");
        }
        assert_eq!(
            low.warnings(&settings, 6, false).len(),
            3,
            "100,000 files do when the server is elsewhere"
        );
        assert!(Limits::default().warnings(&settings, 6, true).is_empty());
    }

    #[test]
    fn this_host_has_cores_ports_and_fds() {
        let host = host();
        assert!(host.cores >= 1 && host.ports > 1000 && host.fds_per_table >= 64);
    }
}
