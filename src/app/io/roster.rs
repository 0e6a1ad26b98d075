//! What all shards count together of their sessions: how many there are, and how many of each address, where that is limited,
//! and how many there are of those that may have to make room.
//!
//! Owns no session. Called when one opens and when it ends.

use std::net::IpAddr;

use crate::base::config::Config;
use crate::base::prefix::Prefix;
use crate::core::census::Census;
use crate::core::crowd::Shares;

use super::config::IoConfig;
use super::evict::Lingering;
use super::state::State;

/// The sessions of all shards, counted.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) census: Census,
    pub(super) lingering: Lingering,
    shares: Shares,
    /// Proxies that speak for their clients: what is limited by connections is not limited for them.
    exempt: Vec<Prefix>,
}

impl Roster {
    /// No session on any of `shards` shards, at most `max` in all.
    pub(super) fn new(shards: usize, max: usize, io: &IoConfig, core: &Config) -> Self {
        let is_derived = io.sessions_per_ip_max == 0;
        let exempt = if is_derived { core.trusted_proxies.clone() } else { Vec::new() };
        let (census, lingering) = (Census::new(shards, max), Lingering::new(shards));
        Self { census, lingering, shares: shares(io, core), exempt }
    }

    /// What an address may have, where that is limited.
    fn shares_of(&self, address: IpAddr) -> Option<Shares> {
        self.shares.of(address, &self.exempt)
    }
}

/// How many sessions an address may have. Where nothing is said it is as many as it may have connections: a client has one session, and
/// one connection at least while it has something to say.
fn shares(io: &IoConfig, core: &Config) -> Shares {
    if io.sessions_per_ip_max > 0 {
        return Shares { per_ip: io.sessions_per_ip_max, per_prefix: io.sessions_per_ip_max };
    }
    let per_ip = core.connections_per_ip_max;
    let per_prefix =
        if core.connections_per_prefix_max > 0 { core.connections_per_prefix_max } else { per_ip };
    Shares { per_ip, per_prefix }
}

impl State {
    /// Whether an address may have another session. Shards look without a lock, so together they may pass it by one each.
    pub(super) fn has_share(&self, address: IpAddr) -> bool {
        let roster = &self.roster;
        roster.shares_of(address).is_none_or(|shares| roster.census.crowd.has_room(address, shares))
    }

    /// A session of this address is open.
    pub(super) fn session_opens(&mut self, slot: u32, address: IpAddr) {
        if let Some(shares) = self.roster.shares_of(address) {
            self.roster.census.crowd.count(address, shares);
            self.addresses.insert(slot, address);
        }
    }

    /// The session in this slot is gone.
    pub(super) fn session_ends(&mut self, slot: u32) {
        if let Some(address) = self.addresses.remove(&slot) {
            self.roster.census.crowd.leave(address, self.roster.shares);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_sessions_as_it_is_said_or_as_it_has_connections() {
        for (sessions, connections, prefix, expected) in [
            (0, 0, 0, (0, 0)),
            (0, 100, 0, (100, 100)),
            (0, 100, 400, (100, 400)),
            (0, 0, 400, (0, 400)),
            (5, 100, 400, (5, 5)),
            (5, 0, 0, (5, 5)),
        ] {
            let io = IoConfig { sessions_per_ip_max: sessions, ..IoConfig::default() };
            let core = Config {
                connections_per_ip_max: connections,
                connections_per_prefix_max: prefix,
                ..Config::default()
            };
            let Shares { per_ip, per_prefix } = shares(&io, &core);
            assert_eq!((per_ip, per_prefix), expected, "{sessions}, {connections}, {prefix}");
        }
    }

    #[test]
    fn a_proxy_that_may_have_any_number_of_connections_may_of_sessions() {
        for (sessions, is_limited) in [(0, false), (5, true)] {
            let io = IoConfig { sessions_per_ip_max: sessions, ..IoConfig::default() };
            let core = Config {
                connections_per_ip_max: 100,
                trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
                ..Config::default()
            };
            let roster = Roster::new(1, 1000, &io, &core);
            let is_limited_there = |ip: &str| roster.shares_of(ip.parse().unwrap()).is_some();
            assert_eq!((is_limited_there("10.0.0.1"), is_limited_there("192.0.2.1")), (is_limited, true));
        }
    }
}
