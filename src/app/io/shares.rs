//! How many sessions an address may have: counted when one opens and when it ends, and only where there is a limit.

use std::net::IpAddr;

use crate::core::crowd::Shares;

use super::state::State;

impl State {
    fn shares(&self) -> Shares {
        let most = self.config.sessions_per_ip_max;
        Shares { per_ip: most, per_prefix: most }
    }

    /// Whether an address may have another session. Shards look without a lock, so together they may pass it by one each.
    pub(super) fn has_share(&self, address: IpAddr) -> bool {
        let shares = self.shares();
        shares.is_off() || self.census.crowd.has_room(address, shares)
    }

    /// A session of this address is open.
    pub(super) fn session_opens(&mut self, slot: u32, address: IpAddr) {
        let shares = self.shares();
        if !shares.is_off() {
            self.census.crowd.count(address, shares);
            self.addresses.insert(slot, address);
        }
    }

    /// The session in this slot is gone.
    pub(super) fn session_ends(&mut self, slot: u32) {
        if let Some(address) = self.addresses.remove(&slot) {
            self.census.crowd.leave(address, self.shares());
        }
    }
}
