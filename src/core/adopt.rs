//! Connections that change their shard, and those that were opened by another server.

use crate::base::cause::Cause;
use crate::base::id::Key;
use crate::proto::ws::encode;

use super::conn::Arrived;
use super::exchange::Exchange;
use super::io::Io;
use super::mail::{Adopted, Adoption, Mail};
use super::service::Service;
use super::shard::Shard;

/// The close code for a server that is full, in IANA's registry next to those of RFC 6455 §7.4.1.
const TRY_AGAIN_LATER: u16 = 1013;

impl<S: Service, I: Io> Shard<S, I> {
    /// Sends a connection to another shard, with its request not yet answered and everything behind it.
    pub(super) fn hand_over(&mut self, key: Key, shard: usize, bytes: Vec<u8>) {
        let Some(peer) = self.core.table.address(key) else { return };
        let has_answers = self.core.table.conn(key).is_none_or(|conn| conn.queued > 0);
        if shard >= self.core.shards() || has_answers {
            // Answers to earlier requests are still queued here; the other shard could only overtake them.
            return self.core.fail(key, Cause::NotAnswered);
        }
        let Some(stream) = self.streams[key.slot as usize].take() else { return };
        match self.io.pack(stream, shard) {
            Ok(parcel) => {
                let adoption = Adoption { parcel, peer, bytes, adopted: Adopted::Request };
                self.core.post_mail(shard, Mail::Adopt(Box::new(adoption)));
            }
            // The stream is closed with the failed attempt; its peer connects again.
            Err(_) => self.core.counters.connections_shed.add(1),
        }
        self.core.vanish(key, Cause::Moved);
    }

    /// Closes a WebSocket there is no room for. It is open already: an HTTP answer would be no frame.
    fn close_foreign(&mut self, stream: I::Stream, cause: Cause) {
        let mut bytes = self.core.store.buffers.take(140);
        let code = cause.close_code().unwrap_or(TRY_AGAIN_LATER);
        encode::append_close(&mut bytes, Some(code), cause.sentence());
        self.tell_and_close(stream, bytes, cause);
    }

    /// Takes a connection in that another shard, or the handle, has sent.
    pub(super) fn adopt(&mut self, adoption: Adoption<S::Mail>) {
        let Adoption { parcel, peer, bytes, adopted } = adoption;
        let Ok(stream) = self.io.unpack(parcel) else {
            self.core.counters.connections_shed.add(1);
            return self.discard(adopted);
        };
        // A request only changes its shard, and counts among all connections already.
        let is_full = match adopted {
            Adopted::Request => self.core.table.is_full(),
            Adopted::WebSocket(_) => self.core.table.is_full() || self.core.census.is_full(),
        };
        let stops = self.core.draining.is_closing;
        if is_full || stops {
            let cause = if stops { Cause::ServerStops } else { Cause::Full };
            match adopted {
                Adopted::Request => self.turn_away(stream, cause),
                Adopted::WebSocket(_) => self.close_foreign(stream, cause),
            }
            return self.discard(adopted);
        }
        self.core.address_moves_in(peer.ip());
        let Some(key) = self.take_in(stream, peer) else { return self.discard(adopted) };
        match adopted {
            Adopted::Request => {
                self.core.watch_head(key);
                let since = self.core.now;
                if let Some(conn) = self.core.table.conn_mut(key) {
                    let exchange = Exchange { bytes, since, ..Exchange::default() };
                    conn.keep_arrived(Arrived::Http(Box::new(exchange)), &mut self.core.incomplete);
                }
                self.pending_requests(key);
            }
            Adopted::WebSocket(mail) => {
                self.core.open(key);
                self.guard(Some(key), |service, core| service.adopted(core, key, mail));
                self.call_opened();
                self.frames_of(key, bytes);
            }
        }
    }
}
