//! The report as text, a line for each thing; `cli` explains the lines under `--help`.

use std::fmt;

use crate::distribution::Times;
use crate::remote::coordinator::Node;
use crate::report::{Broadcast, DeflateUse, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = if self.own_fd_tables { ", each with its own fd table" } else { "" };
        writeln!(f, "{} of {}: {}", self.mode, self.url, self.load)?;
        writeln!(
            f,
            "  {} connections, {} workers{tables}, measured for {:.3} s",
            self.connections, self.workers, self.window_seconds
        )?;
        for Node { address, threads, clock_error_microseconds } in &self.nodes {
            let error = clock_error_microseconds;
            writeln!(
                f,
                "  worker      {address}: {threads} threads, its clock within {error:.1} µs of this one's"
            )?;
        }
        if self.raw_echo {
            writeln!(f, "  raw echo: the server sent the client's own frames back")?;
        }
        if let Some(spoken) = &self.spoken {
            writeln!(f, "  {spoken}")?;
        }
        let tally = &self.tally;
        writeln!(
            f,
            "connect       {} opened, {} failed, {} retries, in {:.2} s ({:.0}/s)",
            tally.opened, tally.failed, tally.retries, self.connect.seconds, self.connect.per_second
        )?;
        times(f, "connect time", self.connect.times)?;
        if let Some(ramp) = self.connect.ramp {
            writeln!(f, "  open after    {ramp}")?;
        }
        if let Some(tls) = &self.tls {
            let spoken: Vec<_> = tls.spoken.keys().map(String::as_str).collect();
            let (handshakes, resumed) = (tls.handshakes, tls.resumed);
            writeln!(
                f,
                "tls           {handshakes} handshakes, {resumed} of them resumed, {}",
                spoken.join("; ")
            )?;
            times(f, "tls handshake", tls.times)?;
        }
        if tally.sent > 0 {
            writeln!(
                f,
                "echo          {} sent, {} came back, {:.0}/s while measured",
                tally.sent, tally.received, self.echoes_per_second
            )?;
        }
        times(f, "response time", self.response)?;
        times(f, "service time", self.service)?;
        if tally.published > 0 {
            let rate = self.deliveries_per_second;
            writeln!(
                f,
                "broadcast     {} published, {} delivered, {rate:.0}/s while measured",
                tally.published, tally.delivered
            )?;
        }
        if let Some(broadcast) = self.broadcast.filter(|broadcast| broadcast.publishes > 0) {
            let Broadcast { members, publishes, complete, clock_error_microseconds: error } = broadcast;
            writeln!(f, "  complete      {complete} of {publishes} reached all {members} members")?;
            if error > 0.0 {
                writeln!(f, "  clocks        times from publisher to member are right within {error:.1} µs")?;
            }
        }
        times(f, "delivery time", self.delivery)?;
        times(f, "first delivery", self.first_delivery)?;
        times(f, "last delivery", self.last_delivery)?;
        if let Some(DeflateUse { bytes_min }) = self.deflate {
            writeln!(
                f,
                "deflate       {} sent compressed (from {bytes_min} B on), {} B as {}; {} came compressed, {} B as {}",
                tally.deflated,
                tally.deflated_from_bytes,
                tally.deflated_to_bytes,
                tally.inflated,
                tally.inflated_to_bytes,
                tally.inflated_from_bytes
            )?;
        }
        times(f, "sent late by", self.slip)?;
        times(f, "loop lag", self.loop_lag)?;
        if tally.sent + tally.published > 0 {
            writeln!(
                f,
                "checks        {} lost, {} duplicated, {} reordered, {} corrupt, {} unsent, {} timeouts",
                tally.lost, tally.duplicated, tally.reordered, tally.corrupt, tally.unsent, tally.timeouts
            )?;
        }
        if tally.unmatched > 0 {
            let first = self.strange.as_deref().unwrap_or_default();
            writeln!(f, "unmatched     {} messages, the first: {first}", tally.unmatched)?;
        }
        if tally.misrouted > 0 {
            writeln!(f, "misrouted     {} messages came to a member of another room", tally.misrouted)?;
        }
        if let Some(slow) = &self.slow {
            write!(f, "{slow}")?;
        }
        if let Some(drift) = &self.drift {
            writeln!(f, "drift         {drift}")?;
        }
        if let Some(comeback) = &self.comeback {
            write!(f, "{comeback}")?;
        }
        writeln!(f, "closes        {} by the server", tally.closed_by_server)?;
        self.resources(f)?;
        for (sentence, count) in &self.errors {
            writeln!(f, "error         {count} × {sentence}")?;
        }
        for reason in &self.saturated {
            writeln!(f, "saturated     client saturated: figures invalid: {reason}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning       {warning}")?;
        }
        if self.interrupted {
            writeln!(f, "interrupted   the figures are those of a shorter run")?;
        }
        match &self.failures[..] {
            _ if !self.saturated.is_empty() => writeln!(f, "result        INVALID: the client was saturated"),
            [] => writeln!(f, "result        fine"),
            failures => writeln!(f, "result        FAILED: {}", failures.join("; ")),
        }
    }
}

impl Report {
    fn resources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "server        {:.2} cores", server.cores)?;
            if let Some(microseconds) = server.cpu_microseconds_per_message {
                write!(f, ", {microseconds:.3} µs of CPU per message")?;
            }
            if let Some(bytes) = server.bytes_per_connection {
                write!(f, ", {bytes:.0} B of user memory per connection")?;
            }
            writeln!(f)?;
            let mib = |bytes: Option<u64>| {
                bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1048576.0))
            };
            let (before, connected, end) =
                (mib(server.memory_before), mib(server.memory_connected), mib(server.memory_end));
            writeln!(
                f,
                "  memory      PSS {before} MiB before connecting, {connected} connected, {end} at the end"
            )?;
            if let (Some(bytes), rested) = (server.bytes_per_rested_connection, mib(server.memory_rested)) {
                writeln!(
                    f,
                    "  at rest     {bytes:.1} B of user memory per connection: PSS {rested} MiB after one echo on each"
                )?;
            }
        }
        if let Some(bytes) = self.kernel_slab_bytes_per_connection {
            writeln!(
                f,
                "kernel        {bytes:.0} B of slab memory per connection, whatever ends of it are on this machine (estimate: \
                 the machine's growth)"
            )?;
        }
        write!(f, "this client   {:.2} cores", self.client.cores)?;
        if let Some(microseconds) = self.client.cpu_microseconds_per_message {
            write!(f, ", {microseconds:.3} µs of CPU per message")?;
        }
        write!(f, ", busiest thread {:.0} % of a core", self.client.busiest_thread * 100.0)?;
        if let Some(bytes) = self.client.bytes_per_connection {
            write!(f, ", {bytes:.0} B of user memory per connection")?;
        }
        writeln!(f)
    }
}

fn times(f: &mut fmt::Formatter<'_>, name: &str, times: Option<Times>) -> fmt::Result {
    let Some(times) = times else { return Ok(()) };
    writeln!(f, "  {name:<15}{times}")
}
