//! What a core is put together from. Made by the shard, from its seed.

use std::sync::Arc;

use crate::base::config::Config;
use crate::base::metrics::Counters;

use super::census::Census;
use super::mail::Mail;
use super::mailbox::Outlets;

/// The parts.
pub(super) struct Parts<M> {
    pub(super) shard: u16,
    pub(super) config: Arc<Config>,
    pub(super) counters: Arc<Counters>,
    pub(super) census: Arc<Census>,
    pub(super) outlets: Outlets<Mail<M>>,
    pub(super) capacity: usize,
}
