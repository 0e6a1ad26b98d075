//! Rooms: everybody talks to the others of their room, and every member knows of each of them what came and what did not.
//!
//! A member keeps 16 bytes for each other one of its room. What a sender sent in all is known once its worker has nothing more
//! to send: until then nothing is missing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::cli::Common;
use crate::conn::{Conn, Phase};
use crate::payload::{Stamp, elapsed};
use crate::sequence::Sequence;
use crate::spoken::{Protocol, Spoken};
use crate::table::Table;
use crate::traffic::Traffic;
use crate::worker::Worker;

/// What stands for a connection's room where connections are told apart, and what it is for templates.
const ROOM: &str = "${room}";
const COLUMN: &str = "${csv.room}";
/// Rooms of a table's numbers at most.
const CONNECTIONS_MAX: usize = 2_000_000;
/// How a connection of Socket.IO comes into its room, unless flags say how.
const JOIN: &str = "emit join \"bench-${csv.room}\"\nexpect json:/0=joined";

/// How connections are put into rooms: connection `n` is in room `n` modulo `count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rooms {
    pub(crate) count: u32,
    pub(crate) members: u32,
}

impl Rooms {
    /// Has each connection go into its room: by the URL or by the namespace, where the room stands there, or by its script; else
    /// by an event. The table is that of the rooms' numbers.
    ///
    /// # Errors
    /// Which flag is missing, or too much.
    pub(crate) fn lay_out(self, common: &mut Common, spoken: &mut Spoken) -> Result<Arc<Table>, String> {
        if common.opening.csv.is_some() || common.connections > CONNECTIONS_MAX {
            return Err(format!(
                "rooms takes no --csv, and at most {CONNECTIONS_MAX} connections: fewer --rooms or --members"
            ));
        }
        let is_socket_io = spoken.protocol == Protocol::Socketio;
        // A script may be a file: that it says nothing of rooms would show in what comes from others.
        let mut is_said = common.opening.on_open.is_some() || (common.url.is_none() && !is_socket_io);
        for text in
            [&mut common.url, &mut common.opening.on_open, &mut spoken.namespace].into_iter().flatten()
        {
            is_said |= text.contains(ROOM);
            *text = text.replace(ROOM, COLUMN);
        }
        if !is_said && is_socket_io {
            common.opening.on_open = Some(JOIN.to_owned());
        } else if !is_said {
            return Err(format!(
                "the URL of rooms has {ROOM} in it, as in ws://HOST:PORT/topic/bench-{ROOM}; or --on-open says which \
                 room it is"
            ));
        }
        Ok(Arc::new(Table::of_numbers("room", self.count)))
    }

    /// A connection's room, and its place there.
    fn place(self, number: u32) -> (u32, u32) {
        (number % self.count, number / self.count)
    }

    /// The number of the connection that has a place.
    fn number(self, room: u32, place: u32) -> u32 {
        room + place * self.count
    }

    /// The sum of something over the others in a member's room.
    fn behind(self, conn: &Conn, of: impl FnMut(u32) -> u64) -> u64 {
        let (room, own) = self.place(conn.number);
        (0..self.members).filter(|&place| place != own).map(|place| self.number(room, place)).map(of).sum()
    }
}

impl Traffic {
    /// Judges a message of a run with rooms.
    pub(crate) fn heard_in_room(&mut self, conn: &mut Conn, stamp: &Stamp, now: u64) {
        let Some(rooms) = self.rooms else {
            self.stats.tally.corrupt += 1;
            return;
        };
        let ((room, own), (its_room, place)) = (rooms.place(conn.number), rooms.place(stamp.connection));
        if place >= rooms.members {
            self.stats.tally.corrupt += 1;
        } else if its_room != room {
            self.stats.tally.misrouted += 1;
        } else if place == own {
            self.stats.tally.returned += 1;
        } else {
            let senders = conn.rest().senders.get_or_insert_with(|| senders(rooms.members));
            let arrival = senders[place as usize].arrive(stamp.sequence);
            if !self.judge(arrival) {
                return;
            }
            self.stats.tally.delivered += 1;
            self.stats.tally.delivered_in_window += u64::from(self.is_in_window(now));
            let response = elapsed(stamp, now);
            let in_window = self.is_in_window(now.saturating_sub(response));
            self.stats.delivery.record(response, in_window);
        }
    }
}

fn senders(members: u32) -> Box<[Sequence]> {
    (0..members).map(|_| Sequence::default()).collect()
}

impl Worker {
    /// Tells what its connections have sent, once that is all.
    pub(crate) fn tell_what_was_said(&mut self) {
        if self.shared.said.is_empty() || self.has_told {
            return;
        }
        self.has_told = true;
        for (_, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.phase == Phase::Open) {
            conn.echoes.forget(conn.sent);
            self.shared.said[conn.number as usize].store(conn.sent, Relaxed);
        }
        self.shared.told.fetch_add(1, std::sync::atomic::Ordering::Release);
    }

    /// Whether everything that was said in its room has come to a connection.
    pub(crate) fn has_heard_all(&self, conn: &Conn) -> bool {
        let Some(rooms) = self.shared.settings.rooms else { return true };
        if self.shared.told.load(std::sync::atomic::Ordering::Acquire) < self.shared.live.len() {
            return false;
        }
        let heard = conn.rest.as_ref().and_then(|rest| rest.senders.as_deref());
        let missing = rooms.behind(conn, |number| {
            let said = self.shared.said[number as usize].load(Relaxed);
            heard.map_or_else(
                || u64::from(said),
                |senders| {
                    let sender = &senders[rooms.place(number).1 as usize];
                    sender.missing() + u64::from(sender.outstanding(said))
                },
            )
        });
        missing == 0
    }

    /// Counts what a member did not get of what was said in its room.
    pub(crate) fn settle_room(&mut self, slot: usize) {
        let Some(rooms) = self.shared.settings.rooms else { return };
        let conn = &mut self.conns[slot];
        let mut heard = conn.rest().senders.take().unwrap_or_else(|| senders(rooms.members));
        self.traffic.stats.tally.lost += rooms.behind(conn, |number| {
            let sender = &mut heard[rooms.place(number).1 as usize];
            sender.give_up(self.shared.said[number as usize].load(Relaxed));
            sender.missing()
        });
    }
}
