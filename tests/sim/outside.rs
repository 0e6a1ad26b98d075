//! What other threads do to the shards: the handle's publishes, letters, closes and adoptions.

use throng::base::slow::Mark;
use throng::core::io::Parcel;
use throng::core::mail::{Adopted, Adoption, MAIL_BYTES, Mail};
use throng::core::published;
use throng::proto::ws::{Message, Opcode};

use super::io::Packed;
use super::ledger::Published;
use super::net::{End, Net};
use super::service::SimMail;
use super::words::{TOPICS, message, topic};
use super::world::World;

/// Connections that other servers opened are in nobody's table before they are adopted.
const HANDLE: u32 = 0;

impl World {
    /// One thing the handle does.
    pub(super) fn handle(&mut self) {
        match self.random.below(10) {
            0..=5 => self.publish_from_outside(),
            6..=8 => {
                let to = self.random.within(1, self.peers.len() + 1) as u32;
                self.letter_from_outside(to);
            }
            _ => {
                let uid = self.random.within(1, self.peers.len() + 1) as u32;
                let Some(id) = self.ledger.borrow_mut().life(uid).id else { return };
                let (net, shard) = (&mut *self.net.borrow_mut(), id.shard());
                let key = self.key_of(uid);
                let Some(key) = key else { return };
                let mail = Mail::Close { key, code: 4321, reason: "by the handle".into() };
                // Without a slot the handle is told Full, and nothing happens.
                let _is_put = self.put(net, shard, mail);
            }
        }
    }

    fn key_of(&self, uid: u32) -> Option<throng::base::id::Key> {
        // The id prints as shard-slot-generation; the handle itself is inside the crate and needs no such detour.
        let text = self.ledger.borrow_mut().life(uid).id?.to_string();
        let mut parts = text.split('-').skip(1).map(|part| part.parse().ok());
        Some(throng::base::id::Key { slot: parts.next()??, generation: parts.next()?? })
    }

    /// Puts a message into a mailbox as another thread does. False: there is no slot.
    pub(super) fn put(&self, net: &mut Net, shard: usize, mail: Mail<SimMail>) -> bool {
        if !self.outlets[shard].reserve(0) {
            return false;
        }
        self.outlets[shard].put(mail, 0);
        if self.outlets[shard].must_wake() {
            net.polls[shard].is_woken = true;
        }
        true
    }

    /// All mailboxes or none.
    pub(super) fn publish_from_outside(&mut self) {
        let to = self.random.below(TOPICS as usize) as u32;
        let length = self.random.within(10, 300);
        let bytes = length + MAIL_BYTES;
        let reserved: Vec<_> = self.outlets.iter().take_while(|outlet| outlet.reserve(bytes)).collect();
        if reserved.len() < self.outlets.len() {
            reserved.iter().for_each(|outlet| outlet.free(bytes));
            return;
        }
        let mut ledger = self.ledger.borrow_mut();
        let at = ledger.tick();
        let published = ledger.published.entry((HANDLE, to)).or_default();
        let words = message(b'p', &[to, HANDLE, published.len() as u32 + 1], length);
        published.push(Published { at, is_everywhere: true, except: None });
        let publication =
            published::Published::new(&topic(to), Message::Binary(&words), usize::MAX, &mut Vec::new());
        let net = &mut *self.net.borrow_mut();
        for (shard, outlet) in self.outlets.iter().enumerate() {
            outlet.put(Mail::Publish(publication.clone()), bytes);
            if outlet.must_wake() {
                net.polls[shard].is_woken = true;
            }
        }
    }

    fn letter_from_outside(&mut self, to: u32) {
        let (Some(key), Some(id)) = (self.key_of(to), self.ledger.borrow_mut().life(to).id) else { return };
        let mut ledger = self.ledger.borrow_mut();
        let letters = ledger.letters.entry((HANDLE, to)).or_default();
        let payload = message(b't', &[HANDLE, to, letters.len() as u32 + 1], 40);
        let is_put = self.put(
            &mut self.net.borrow_mut(),
            id.shard(),
            Mail::Send { key, opcode: Opcode::Text, mark: Mark::UNSET, payload },
        );
        letters.push(is_put);
    }

    /// A WebSocket that another server opened goes to a shard.
    pub(super) fn adopt(&self, net: &mut Net, shard: usize, socket: usize, uid: u32) {
        if net.fds.len() == 1 {
            net.sockets[socket].table = Some(0);
            net.fds[0] += 1;
        }
        let parcel: Parcel = Box::new(Packed(socket));
        let peer = ([127, 0, 0, 2], uid as u16).into();
        let adopted = Adopted::WebSocket(SimMail::Adopted { uid });
        let adoption = Adoption { parcel, peer, bytes: Vec::new(), adopted };
        if !self.put(net, shard, Mail::Adopt(Box::new(adoption))) {
            if let Some(table) = net.sockets[socket].table.take() {
                net.fds[table] -= 1;
            }
            net.sockets[socket].server = End::Reset;
        }
    }
}
