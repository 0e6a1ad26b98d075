//! What has happened, as the handlers know it: the truth that clients and the end of a run are checked against.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use throng::io::{AckError, PendingConnect, Reason};

use super::app::Data;
use super::net::{Net, Shared};
use super::rows::{ROWS, Row};
use super::words::{NOW, SPACES};

/// What a client must hear next, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// What was said to it with this number.
    Said(u32),
    /// The answer to what it said with this number.
    Ack(u32),
    /// Its own word to a room that it is in.
    Own { space: usize, room: u32, number: u32 },
}

/// A socket, from its client's wish to its end.
#[derive(Clone, Default, Debug)]
pub struct Life {
    /// What middleware has said.
    pub is_admitted: Option<bool>,
    pub is_connected: bool,
    pub ended: Option<Reason>,
}

/// A question to a client.
#[derive(Debug)]
pub struct Asked {
    at_us: u64,
    timeout_us: u64,
    place: (usize, usize),
    /// Too many others were asked behind it.
    is_given_up: bool,
    is_done: bool,
}

/// A client, as the server knows it.
#[derive(Default)]
pub struct Known {
    pub told: u32,
    pub due: VecDeque<Due>,
    pub heard: u32,
    /// What it said and nobody need have heard.
    pub doubtful: BTreeSet<u32>,
    pub lives: [Vec<Life>; SPACES.len()],
    pub excuses: Vec<Reason>,
    pub asked: BTreeMap<u32, Asked>,
    /// The rooms it is in, and since when.
    pub rooms: BTreeMap<(usize, u32), u64>,
    /// The turn in which the end of its session was told.
    pub over: Option<u64>,
    pub is_polling: bool,
    /// Its time to answer a ping cannot be over before, and while the clients do all they must, not go on behind.
    pub timeout_from_us: u64,
    pub timeout_to_us: Option<u64>,
    /// The core's own ping has not been answered for so long.
    pub may_be_unheard: bool,
    /// Its poll waited, and was cut off: that ends it.
    pub is_cut: bool,
    /// More may be said to it between two of its polls than the server keeps.
    pub may_overflow: bool,
}

/// A word to a room.
pub struct Published {
    pub at: u64,
    pub is_everywhere: bool,
    pub is_spared: bool,
}

/// A client that middleware has yet to decide about.
pub struct Token {
    pub uid: u32,
    pub life: usize,
    pub pending: PendingConnect<Data>,
}

#[derive(Default)]
pub struct Ledger {
    pub net: Option<Shared<Net>>,
    pub clients: Vec<Known>,
    /// By who speaks, namespace and room, by number from 1.
    pub published: BTreeMap<(u32, usize, u32), Vec<Published>>,
    pub tokens: Vec<Token>,
    pub gathers: Vec<u32>,
    /// Sockets that were let in at once and are to be greeted: their client, their shard, and since when.
    pub ungreeted: Vec<(u32, usize, u64)>,
    /// The shard that runs.
    pub shard: usize,
    pub clock: u64,
    pub turn: u64,
    pub violations: Vec<String>,
    pub rows: Vec<u64>,
    pub messages: u64,
    pub acks_max: usize,
    pub is_stopping: bool,
}

thread_local! {
    static LEDGER: Shared<Ledger> = Shared::default();
}

/// The ledger of this thread's run: handlers that must be `Send` cannot hold one.
pub fn ledger() -> Shared<Ledger> {
    LEDGER.with(Rc::clone)
}

/// The same, for a moment.
pub fn note<T>(work: impl FnOnce(&mut Ledger) -> T) -> T {
    work(&mut ledger().borrow_mut())
}

impl Ledger {
    pub fn new(net: Shared<Net>, acks_max: usize) -> Self {
        Self { net: Some(net), rows: vec![0; ROWS.len()], acks_max, ..Self::default() }
    }

    pub fn count(&mut self, row: Row) {
        self.rows[row as usize] += 1;
    }

    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn wrong(&mut self, uid: u32, what: &str) {
        self.violation(format!("client {uid}: {what}"));
    }

    pub fn of(&mut self, uid: u32) -> &mut Known {
        while self.clients.len() <= uid as usize {
            self.clients.push(Known::default());
        }
        &mut self.clients[uid as usize]
    }

    pub fn life(&mut self, uid: u32, space: usize, life: usize) -> &mut Life {
        let lives = &mut self.of(uid).lives[space];
        while lives.len() <= life {
            lives.push(Life::default());
        }
        &mut lives[life]
    }

    pub fn excuse(&mut self, uid: u32, reason: Reason) {
        self.of(uid).excuses.push(reason);
    }

    pub fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The time, for handlers: nobody holds the network while one runs.
    pub fn now_us(&self) -> u64 {
        self.net.as_ref().map_or(0, |net| net.borrow().now_us)
    }

    /// A shard has had a turn that began at this moment: whom it was to greet by then it has greeted.
    pub fn greets(&mut self, shard: usize, began_us: u64) {
        // 10 ms, up to the next millisecond.
        let late = self.ungreeted.iter().find(|one| one.1 == shard && one.2 + 11_000 <= began_us);
        if let Some(&(uid, _, since_us)) = late {
            self.wrong(uid, &format!("was let in at {since_us} us and is not greeted at {began_us} us"));
        }
    }

    pub fn connected(&mut self, data: &Data) {
        let turn = self.turn;
        if data.space == NOW {
            self.ungreeted.retain(|one| one.0 != data.uid);
        }
        let is_behind_end = self.of(data.uid).over.is_some_and(|over| over < turn);
        let life = self.life(data.uid, data.space, data.life);
        let was = std::mem::replace(&mut life.is_connected, true);
        if was || life.is_admitted != Some(true) || life.ended.is_some() || is_behind_end {
            let what = format!(
                "socket {} of {} was connected, was {life:?}, behind the end of its session: {is_behind_end}",
                data.life, SPACES[data.space]
            );
            self.wrong(data.uid, &what);
        }
    }

    /// A client was heard saying what has this number.
    pub fn heard(&mut self, data: &Data, uid: u32, number: u32) {
        self.messages += 1;
        let known = self.of(data.uid);
        let last = std::mem::replace(&mut known.heard, number);
        let is_next = number > last && (last + 1..number).all(|lacking| known.doubtful.contains(&lacking));
        let (over, life) = (known.over, known.lives[data.space][data.life].clone());
        if uid != data.uid || !is_next || over.is_some() || !life.is_connected || life.ended.is_some() {
            let what = format!(
                "was heard saying {uid}'s {number} behind {last}, its session over: {over:?}, its socket {life:?}"
            );
            self.wrong(data.uid, &what);
        }
    }

    pub fn ended(&mut self, data: &Data, reason: Reason) {
        let (turn, now_us) = (self.turn, self.now_us());
        let is_stopping = self.is_stopping;
        let known = self.of(data.uid);
        let is_of_socket = matches!(reason, Reason::ClientDisconnect | Reason::ServerDisconnect);
        let is_fair = match reason {
            Reason::PingTimeout => {
                let is_late = known.timeout_to_us.is_some_and(|to_us| now_us > to_us);
                (now_us >= known.timeout_from_us && !is_late && !known.is_cut) || known.may_be_unheard
            }
            Reason::ServerShuttingDown => is_stopping,
            _ => known.excuses.contains(&reason),
        };
        let has_overflowed = !is_fair && known.may_overflow && reason == Reason::TransportError;
        let is_fair = is_fair || has_overflowed;
        if !is_of_socket {
            known.over.get_or_insert(turn);
        }
        known.rooms.retain(|(space, _), _| *space != data.space);
        let (from_us, to_us) = (known.timeout_from_us, known.timeout_to_us);
        let is_polling = known.is_polling;
        let life = self.life(data.uid, data.space, data.life);
        let was = life.ended.replace(reason);
        if was.is_some() || !life.is_connected || !is_fair {
            let what = format!(
                "socket {} of {} ended by {reason}, before by {was:?}, at {now_us} us; a timeout is due from {from_us} to {to_us:?}",
                data.life, SPACES[data.space]
            );
            self.wrong(data.uid, &what);
        }
        match reason {
            Reason::PingTimeout if is_polling => self.count(Row::PingTimeoutPolling),
            Reason::PingTimeout => self.count(Row::PingTimeoutWebSocket),
            Reason::ForcedClose => self.count(Row::ForcedClose),
            Reason::ParseError => self.count(Row::ParseError),
            Reason::TransportError if has_overflowed => self.count(Row::PollingFull),
            Reason::TransportError => self.count(Row::TransportError),
            Reason::TransportClose => self.count(Row::TransportClose),
            _ => {}
        }
        if !is_of_socket && self.tokens.iter().any(|token| token.uid == data.uid) {
            self.count(Row::GoneWhileDeferred);
        }
    }

    /// A question is asked of a client.
    pub fn asks(&mut self, data: &Data, number: u32, timeout_us: u64) {
        let (at_us, most) = (self.now_us(), self.acks_max);
        let place = (data.space, data.life);
        let asked = &mut self.of(data.uid).asked;
        let open: Vec<_> = asked.iter().filter(|one| one.1.place == place && !one.1.is_done).collect();
        let oldest = open.iter().find(|one| !one.1.is_given_up).map(|one| *one.0);
        let is_too_many = open.iter().filter(|one| !one.1.is_given_up).count() >= most;
        if let Some(oldest) = oldest.filter(|_| is_too_many) {
            asked.entry(oldest).and_modify(|one| one.is_given_up = true);
            self.count(Row::AckGivenUp);
        }
        let one = Asked { at_us, timeout_us, place, is_given_up: false, is_done: false };
        self.of(data.uid).asked.insert(number, one);
    }

    pub fn acked(&mut self, data: &Data, number: u32, answer: Result<u32, AckError>) {
        let now_us = self.now_us();
        let Some(asked) = self.of(data.uid).asked.get_mut(&number) else { return };
        let was_done = std::mem::replace(&mut asked.is_done, true);
        let is_due = now_us >= asked.at_us + asked.timeout_us || asked.is_given_up;
        let is_own = asked.place == (data.space, data.life);
        let is_fair = match answer {
            Ok(answer) => answer == number * 3,
            Err(AckError::Timeout) => is_due,
            Err(AckError::Disconnected) => true,
            Err(_) => false,
        };
        match answer {
            Err(AckError::Timeout) => self.count(Row::AckTimeout),
            Err(AckError::Disconnected) => self.count(Row::AckDisconnected),
            _ => {}
        }
        if was_done || !is_own || !is_fair {
            let what =
                format!("question {number} was answered {answer:?}, before: {was_done}, due: {is_due}");
            self.wrong(data.uid, &what);
        }
    }

    /// Questions that are open although their time was over before this moment.
    pub fn overdue(&self, now_us: u64) -> Option<String> {
        self.clients.iter().enumerate().find_map(|(uid, known)| {
            let late =
                known.asked.iter().find(|(_, one)| !one.is_done && one.at_us + one.timeout_us < now_us);
            late.map(|(number, one)| format!("client {uid}: nobody was told of question {number}: {one:?}"))
        })
    }

    /// Whether a drop explains that a client did not get a word to a room.
    pub fn may_lack(&self, place: (u32, usize, u32), number: u32, uid: u32) -> bool {
        let one = self.published.get(&place).and_then(|all| all.get(number as usize - 1));
        one.is_none_or(|one| !one.is_everywhere || (one.is_spared && place.0 == uid))
    }
}
