//! Whether settings can be right, each for itself and in relation to others. Called once, when a server is built.

use std::time::Duration;

use super::config::{Config, Forwarded, Origins, ProxyProtocol, is_origin};
use super::error::SetupError;

/// Durations are kept in 32-bit milliseconds with wrap-around, so half of that range is the longest that can be told
/// apart from the past: 24.8 days.
const LONGEST: Duration = Duration::from_secs(24 * 86_400);

impl Config {
    /// Checks every setting and every relation between two of them.
    ///
    /// # Errors
    /// The first setting that cannot be right, with what it was and what would be right.
    pub fn check(&self) -> Result<(), SetupError> {
        within("shards", self.shards, 0, 1024)?;
        within("max_connections", self.max_connections, 0, 1 << 30)?;
        for (setting, value) in [
            ("connections_per_ip_max", self.connections_per_ip_max),
            ("connections_per_prefix_max", self.connections_per_prefix_max),
            ("handshakes_max", self.handshakes_max),
        ] {
            within(setting, value, 0, 1 << 30)?;
        }
        within("memory_bytes_max", self.memory_bytes_max, 0, 1 << 44)?;
        within("backlog", self.backlog as usize, 1, 1 << 20)?;
        // Not more than the smallest read buffer, into which it is looked at.
        within("proxy_bytes_max", self.proxy_bytes_max, 232, 4 << 10)?;
        let names_clients = self.proxy_protocol != ProxyProtocol::Off || self.forwarded != Forwarded::Off;
        if names_clients && self.trusted_proxies.is_empty() {
            let right = "the addresses of the proxies that proxy_protocol and forwarded are to be taken from";
            return Err(SetupError::setting("trusted_proxies", "empty", right.to_owned()));
        }
        within("head_bytes_max", self.head_bytes_max, 256, 16 << 20)?;
        within("body_bytes_max", self.body_bytes_max, 0, 1 << 30)?;
        within("body_rate_min", self.body_rate_min, 0, 1 << 30)?;
        within("message_bytes_max", self.message_bytes_max, 1, 1 << 30)?;
        within("incomplete_bytes_max", self.incomplete_bytes_max, 1 << 10, 1 << 40)?;
        within("fragments_max", self.fragments_max as usize, 1, u32::MAX as usize)?;
        if self.deflate && !cfg!(feature = "deflate") {
            let right = "off: this build has no compression";
            return Err(SetupError::setting("deflate", true, right.to_owned()));
        }
        within("deflate_level", self.deflate_level as usize, 1, 9)?;
        within("deflate_bytes_min", self.deflate_bytes_min, 1, 1 << 30)?;
        within("deflate_window_bits", self.deflate_window_bits as usize, 9, 15)?;
        within("deflate_bytes_max", self.deflate_bytes_max, 0, 1 << 40)?;
        within("deflate_bytes_per_turn", self.deflate_bytes_per_turn, 0, 1 << 30)?;
        within("inflate_bytes_per_turn", self.inflate_bytes_per_turn, 1 << 10, 1 << 30)?;
        within("outbox_bytes_max", self.outbox_bytes_max, 1, 1 << 30)?;
        let (low, high, max) = (self.outbox_bytes_low, self.outbox_bytes_high, self.outbox_bytes_max);
        at_most("outbox_bytes_high", high, "outbox_bytes_max", max)?;
        at_most("outbox_bytes_low", low, "outbox_bytes_high", high)?;
        within("outbox_bytes_high", high, 1, max)?;
        within("outboxes_bytes_max", self.outboxes_bytes_max, 1 << 10, 1 << 40)?;
        // Else one message of the largest, sent back to a peer that is not quick, or on its way here, would be too much for all.
        at_most("message_bytes_max", self.message_bytes_max, "outboxes_bytes_max", self.outboxes_bytes_max)?;
        let half = self.incomplete_bytes_max / 2;
        at_most("message_bytes_max", self.message_bytes_max, "half of incomplete_bytes_max", half)?;
        at_most("body_bytes_max", self.body_bytes_max, "half of incomplete_bytes_max", half)?;
        within("mailbox_slots", self.mailbox_slots, 16, 1 << 20)?;
        within("mailbox_bytes_max", self.mailbox_bytes_max, 1 << 10, 1 << 34)?;
        within("topics_per_connection_max", self.topics_per_connection_max, 0, 1 << 20)?;
        within("topic_bytes_max", self.topic_bytes_max, 1, 1 << 20)?;
        within("accepts_per_turn", self.accepts_per_turn, 1, 1 << 16)?;
        within("tls_handshakes_per_turn", self.tls_handshakes_per_turn, 1, 1 << 16)?;
        within("tls_handshake_bytes_max", self.tls_handshake_bytes_max, 2 << 10, 32 << 10)?;
        within("handshakes_per_turn", self.handshakes_per_turn, 1, 1 << 16)?;
        within("read_bytes_per_turn", self.read_bytes_per_turn, 4 << 10, 64 << 20)?;
        within("mails_per_turn", self.mails_per_turn, 1, 1 << 20)?;
        within("deliveries_per_turn", self.deliveries_per_turn, 1, 1 << 30)?;
        within("flushes_per_turn", self.flushes_per_turn, 1, 1 << 20)?;
        within("offload_threads", self.offload_threads, 1, 1024)?;
        within("offload_jobs_max", self.offload_jobs_max, 1, 1 << 30)?;
        for (setting, value) in [
            ("head_timeout", self.head_timeout),
            ("body_rate_grace", self.body_rate_grace),
            ("admit_timeout", self.admit_timeout),
            ("pong_timeout", self.pong_timeout),
            ("close_timeout", self.close_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            span(setting, value, Duration::from_millis(1))?;
        }
        if let Origins::Only(origins) = &self.origins
            && let Some(wrong) = origins.iter().find(|one| !is_origin(one))
        {
            let right = "origins as browsers send them: scheme and host in lower case, no path, https://example.org, or null";
            return Err(SetupError::setting("origins", wrong, right.to_owned()));
        }
        within("drain_rate", self.drain_rate, 0, 1 << 30)?;
        span("drain_delay", self.drain_delay, Duration::ZERO)?;
        span("drain_time", self.drain_time, Duration::ZERO)?;
        span("stop_grace", self.stop_grace, Duration::ZERO)?;
        span("turn_max", self.turn_max, Duration::ZERO)?;
        span("read_time_per_turn", self.read_time_per_turn, Duration::ZERO)?;
        span("input_time_per_turn", self.input_time_per_turn, Duration::ZERO)?;
        span("message_timeout", self.message_timeout, Duration::ZERO)?;
        span("silent_timeout", self.silent_timeout, Duration::ZERO)?;
        span("ping_interval", self.ping_interval, Duration::ZERO)
    }
}

fn within(setting: &'static str, value: usize, low: usize, high: usize) -> Result<(), SetupError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(SetupError::setting(setting, value, format!("a number from {low} to {high}")))
}

fn at_most(setting: &'static str, value: usize, other: &str, most: usize) -> Result<(), SetupError> {
    if value <= most {
        return Ok(());
    }
    Err(SetupError::setting(
        setting,
        value,
        format!("at most {other}, which is {most} and may be raised too"),
    ))
}

fn span(setting: &'static str, value: Duration, low: Duration) -> Result<(), SetupError> {
    if (low..=LONGEST).contains(&value) {
        return Ok(());
    }
    Err(SetupError::setting(setting, format!("{value:?}"), format!("a time from {low:?} to 24 days")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_would_be_right() {
        let said = |config: Config| config.check().unwrap_err().to_string();
        let default = Config::default;
        let high = said(Config { outbox_bytes_high: default().outbox_bytes_max + 1, ..default() });
        assert!(
            high.contains("outbox_bytes_high is 2097153")
                && high.contains("outbox_bytes_max, which is 2097152"),
            "{high}"
        );
        let large = said(Config { message_bytes_max: 16 << 20, ..default() });
        assert!(
            large.contains("message_bytes_max is 16777216") && large.contains("outboxes_bytes_max"),
            "{large}"
        );
        assert!(said(Config { head_timeout: Duration::ZERO, ..default() }).contains("head_timeout"));
        let trusting = Config { forwarded: Forwarded::Rfc7239, ..default() };
        assert!(said(trusting).starts_with("trusted_proxies is empty; it must be"));
        let origins = Origins::Only(vec!["https://a.example".to_owned(), "example.org".to_owned()]);
        assert!(said(Config { origins, ..default() }).starts_with("origins is example.org; it must be"));
        let long = Duration::from_secs(25 * 86_400);
        assert!(said(Config { ping_interval: long, ..default() }).contains("24 days"));
    }
}
