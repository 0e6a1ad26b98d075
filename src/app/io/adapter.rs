//! How operations reach the sockets of other shards: one trait, so that a network can stand behind it as well.

use std::sync::Arc;

use super::broadcast::Broadcast;
use super::cluster::Operation;
use super::mail::IoMail;
use super::port::Port;

/// Takes broadcasts and operations to every member of the cluster but the shard they come from.
pub(crate) trait Adapter {
    /// Takes a broadcast there. False: at least one member is too far behind, and does not get it.
    fn broadcast(&mut self, port: &mut dyn Port, shard: usize, broadcast: Broadcast) -> bool;

    /// Takes an operation there; it is never dropped. Returns how many answers are to be awaited if it asks for any.
    fn operate(&mut self, port: &mut dyn Port, shard: usize, operation: &Arc<Operation>) -> usize;
}

/// The cluster is this process: its members are the shards.
#[derive(Clone, Copy, Debug)]
pub(super) struct InProcess;

impl Adapter for InProcess {
    fn broadcast(&mut self, port: &mut dyn Port, shard: usize, broadcast: Broadcast) -> bool {
        if port.shards() == 1 {
            return true;
        }
        let bytes = broadcast.bytes();
        let broadcast = Arc::new(broadcast);
        let others = (0..port.shards()).filter(|&other| other != shard);
        let sent =
            others.map(|other| port.mail_droppable(other, IoMail::Broadcast(broadcast.clone()), bytes));
        // Every shard is tried.
        sent.fold(true, |all, one| all & one)
    }

    fn operate(&mut self, port: &mut dyn Port, shard: usize, operation: &Arc<Operation>) -> usize {
        for other in (0..port.shards()).filter(|&other| other != shard) {
            port.mail(other, IoMail::Operation(operation.clone()));
        }
        port.shards() - 1
    }
}
