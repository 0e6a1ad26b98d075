//! The service under test: does whatever a peer asks, in every way a service can, and writes it all down.

use throng::Subscribed;
use throng::base::cause::CloseReason;
use throng::base::id::Key;
use throng::base::slow::Mark;
use throng::core::core::Core;
use throng::core::service::{Delivery, Reply, Service, Ticket};
use throng::proto::http::{Request, Response};
use throng::proto::ws::{Message, Opcode};

use super::ledger::{Ledger, Published};
use super::net::{Net, Shared};
use super::random::Random;
use super::seeds::Planned;
use super::words::{field, message, topic};

#[derive(Default)]
pub struct Data {
    pub uid: u32,
    streamed: u32,
}

/// What shards tell each other.
pub enum SimMail {
    /// An answer is owed at home: send it back there.
    Ask { home: usize, ticket: Ticket, number: u32, is_upgrade: bool },
    /// Give the answer that is owed.
    Answer { ticket: Ticket, number: u32, is_upgrade: bool },
    /// Bring a letter to a connection.
    Relay { from: u32, to: u32 },
    /// The uid of an adopted WebSocket.
    Adopted { uid: u32 },
}

pub enum SimTimer {
    /// Say something at the earliest at `due_us`.
    Say { key: Key, uid: u32, due_us: u64 },
    /// Send the next part of the streamed message.
    Stream { key: Key, uid: u32, rest: Vec<u8>, opcode: Opcode },
}

pub struct SimService {
    pub ledger: Shared<Ledger>,
    pub net: Shared<Net>,
    pub random: Random,
}

type Lent<'a> = &'a mut Core<SimService>;

fn as_message(bytes: &[u8], is_text: bool) -> Message<'_> {
    if is_text {
        Message::Text(std::str::from_utf8(bytes).expect("words are ASCII"))
    } else {
        Message::Binary(bytes)
    }
}

impl SimService {
    /// Sends a numbered message to a connection of this shard.
    fn say(&mut self, core: Lent<'_>, key: Key, uid: u32, bytes: usize) -> Delivery {
        let number = self.ledger.borrow_mut().life(uid).said + 1;
        let words = message(b'o', &[uid, number], bytes);
        let delivery = core.send(key, as_message(&words, bytes.is_multiple_of(2)));
        self.note(uid, delivery, true);
        delivery
    }

    fn note(&mut self, uid: u32, delivery: Delivery, is_numbered: bool) {
        let mut ledger = self.ledger.borrow_mut();
        let life = ledger.life(uid);
        life.said += u32::from(is_numbered && delivery != Delivery::Dropped);
        life.is_pressured |= delivery == Delivery::Pressured;
    }

    fn publish(&mut self, core: Lent<'_>, key: Key, uid: u32, to: u32, bytes: usize) {
        let number = self.ledger.borrow().published.get(&(uid, to)).map_or(0, Vec::len) as u32 + 1;
        let words = message(b'p', &[to, uid, number], bytes);
        let except = bytes.is_multiple_of(4).then_some(key);
        let is_everywhere = core.publish(&topic(to), as_message(&words, bytes.is_multiple_of(2)), except);
        let mut ledger = self.ledger.borrow_mut();
        let at = ledger.tick();
        let one = Published { at, is_everywhere, except: except.map(|_| uid) };
        ledger.published.entry((uid, to)).or_default().push(one);
    }

    /// Sends a letter to the last connection known under a uid, which may be gone.
    fn letter(&mut self, core: Lent<'_>, from: u32, to: u32) {
        let (id, number) = {
            let mut ledger = self.ledger.borrow_mut();
            let number = ledger.letters.get(&(from, to)).map_or(0, Vec::len) as u32 + 1;
            let life = ledger.life(to);
            let (id, is_over) = (life.id, life.closed > 0);
            ledger.stale_letters += u64::from(is_over);
            (id, number)
        };
        let Some(id) = id else { return };
        let words = message(b't', &[from, to, number], 30);
        let delivery = core.send_to(id, as_message(&words, true), Mark::UNSET);
        self.ledger.borrow_mut().letters.entry((from, to)).or_default().push(delivery != Delivery::Dropped);
    }

    /// Begins a message in parts, unless one is under way.
    fn stream(&mut self, core: Lent<'_>, key: Key, uid: u32, bytes: usize) {
        if core.is_streaming(key) {
            return;
        }
        let number = self.ledger.borrow_mut().life(uid).said + 1;
        let mut words = message(b'o', &[uid, number], bytes.max(20));
        let rest = words.split_off(self.random.within(1, words.len() - 1));
        let opcode = if bytes.is_multiple_of(2) { Opcode::Text } else { Opcode::Binary };
        let delivery = core.send_part(key, opcode, &words, false);
        self.note(uid, delivery, true);
        if delivery != Delivery::Dropped {
            self.ledger.borrow_mut().life(uid).is_streamed_to = true;
            if let Some(data) = core.data(key) {
                data.streamed += 1;
            }
            let after_us = self.random.within(0, 4000) as u64;
            core.set_timer(after_us, 0, SimTimer::Stream { key, uid, rest, opcode });
        }
    }

    fn panic_as_planned(&mut self) {
        self.ledger.borrow_mut().planned_panics += 1;
        std::panic::panic_any(Planned);
    }
}

/// A number in a request's query.
fn asked(request: &Request<'_>, name: &str) -> u32 {
    let query = request.query().unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0)
}

fn answer(number: u32) -> Response {
    Response::text(format!("n={number};{}", "x".repeat(number as usize * 37 % 300)))
}

impl Service for SimService {
    type Conn = Data;
    type Mail = SimMail;
    type Timer = SimTimer;

    fn request(
        &mut self,
        core: Lent<'_>,
        key: Key,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Reply {
        let (uid, number, shard) =
            (asked(request, "uid"), asked(request, "n"), asked(request, "shard") as usize);
        if let Some(data) = core.data(key) {
            data.uid = uid;
        }
        // One answer may take it above; whoever asks then waits until it has come down.
        if core.queued_bytes(key) > core.config().outbox_bytes_high + 1000 {
            let queued = core.queued_bytes(key);
            self.ledger
                .borrow_mut()
                .violation(format!("connection {uid}: asked with {queued} bytes of answers queued"));
        }
        match request.path() {
            "/move" if core.shard() != shard => return Reply::Move { shard },
            "/defer" => {
                let ticket = core.ticket(key);
                self.ledger.borrow_mut().owe(core.shard(), ticket, uid);
                let home = core.shard();
                core.mail(shard, SimMail::Ask { home, ticket, number, is_upgrade: asks_upgrade });
                return Reply::Defer(ticket);
            }
            "/body"
                if body.iter().any(|&byte| byte != b'z') || body.len() != asked(request, "len") as usize =>
            {
                self.ledger
                    .borrow_mut()
                    .violation(format!("connection {uid}: request {number} has another's body"));
            }
            "/panic" => self.panic_as_planned(),
            _ => {}
        }
        if asks_upgrade { Reply::Upgrade { subprotocol: None } } else { Reply::Respond(answer(number)) }
    }

    fn opened(&mut self, core: Lent<'_>, key: Key) {
        let Some(uid) = core.data(key).map(|data| data.uid) else { return };
        self.ledger.borrow_mut().opened(uid, core.id(key));
        if !core.is_open(key) {
            return;
        }
        let _greeting = self.say(core, key, uid, 20);
        if self.random.chance(10) {
            self.panic_as_planned();
        }
    }

    fn adopted(&mut self, core: Lent<'_>, key: Key, mail: SimMail) {
        if let (SimMail::Adopted { uid }, Some(data)) = (mail, core.data(key)) {
            data.uid = uid;
        }
    }

    fn message(&mut self, core: Lent<'_>, key: Key, heard: Message<'_>) {
        let Some(uid) = core.data(key).map(|data| data.uid) else { return };
        let bytes = heard.as_bytes();
        let (kind, number) = (bytes[0], field(bytes, 0));
        {
            let mut ledger = self.ledger.borrow_mut();
            ledger.tick();
            ledger.messages += 1;
            let life = ledger.life(uid);
            life.heard += 1;
            let (is_open, expected) = (life.is_open(), life.heard);
            if number != Some(expected)
                || !is_open
                || bytes != message(kind, &all_fields(kind, bytes), bytes.len())
            {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
                ledger.violation(format!(
                    "connection {uid} (open: {is_open}) was heard saying {text}, not its {expected}th"
                ));
            }
        }
        let arg = |index| field(bytes, index).unwrap_or(0);
        match kind {
            b'E' => {
                let delivery = core.send(key, heard);
                self.note(uid, delivery, false);
            }
            b'D' => {
                for _ in 0..arg(1) {
                    if self.say(core, key, uid, arg(2) as usize) == Delivery::Dropped {
                        break;
                    }
                }
            }
            b'S' => {
                let is_in =
                    matches!(core.subscribe(key, &topic(arg(1))), Subscribed::New | Subscribed::Already);
                let mut ledger = self.ledger.borrow_mut();
                let now = ledger.tick();
                if is_in {
                    ledger.life(uid).topics.entry(arg(1)).or_insert(now);
                }
                drop(ledger);
                let words = message(if is_in { b's' } else { b'u' }, &[arg(1)], 0);
                let delivery = core.send(key, as_message(&words, true));
                self.note(uid, delivery, false);
            }
            b'U' => {
                core.unsubscribe(key, &topic(arg(1)));
                self.ledger.borrow_mut().life(uid).topics.remove(&arg(1));
                let words = message(b'u', &[arg(1)], 0);
                let delivery = core.send(key, as_message(&words, true));
                self.note(uid, delivery, false);
            }
            b'P' => self.publish(core, key, uid, arg(1), arg(2) as usize),
            b'T' => self.letter(core, uid, arg(1)),
            b'M' => core.mail(arg(2) as usize % core.shards(), SimMail::Relay { from: uid, to: arg(1) }),
            b'R' => self.stream(core, key, uid, arg(1) as usize),
            b'W' => {
                let due_us = core.now_us() + u64::from(arg(1));
                core.set_timer(u64::from(arg(1)), 0, SimTimer::Say { key, uid, due_us });
            }
            b'C' => core.close(key, arg(1) as u16, "asked to"),
            b'X' => self.panic_as_planned(),
            _ => {}
        }
    }

    fn mail(&mut self, core: Lent<'_>, mail: SimMail) {
        match mail {
            SimMail::Ask { home, ticket, number, is_upgrade } => {
                core.mail(home, SimMail::Answer { ticket, number, is_upgrade });
            }
            SimMail::Answer { ticket, number, is_upgrade } => {
                let shard = core.shard();
                let reply = match (is_upgrade, number % 3) {
                    (true, 1 | 2) => Reply::Upgrade { subprotocol: None },
                    _ => Reply::Respond(answer(number)),
                };
                if core.answer(ticket, reply) {
                    self.ledger.borrow_mut().settle_owed(shard, ticket, true);
                }
            }
            SimMail::Relay { from, to } => {
                // Letters by different shards keep no order between them.
                let from = from | (core.shard() as u32 + 1) << 24;
                self.letter(core, from, to);
            }
            SimMail::Adopted { .. } => {
                self.ledger.borrow_mut().violation("an adoption came as plain mail".into())
            }
        }
        if self.random.chance(5) {
            self.panic_as_planned();
        }
    }

    fn timer(&mut self, core: Lent<'_>, timer: &mut SimTimer) {
        match timer {
            SimTimer::Say { key, uid, due_us } => {
                let now_us = self.net.borrow().now_us;
                if now_us < *due_us {
                    self.ledger.borrow_mut().violation(format!("a timer rang {} us early", *due_us - now_us));
                }
                if core.is_open(*key) {
                    let _told = self.say(core, *key, *uid, 40);
                }
            }
            SimTimer::Stream { key, uid, rest, opcode } => {
                let is_last = rest.len() < 10 || self.random.chance(400);
                let at = if is_last { rest.len() } else { self.random.within(1, rest.len() - 1) };
                let later = rest.split_off(at);
                let delivery = core.send_part(*key, *opcode, rest, is_last);
                self.note(*uid, delivery, false);
                if is_last && delivery != Delivery::Dropped {
                    self.ledger.borrow_mut().life(*uid).is_streamed_to = false;
                }
                if !is_last && delivery != Delivery::Dropped {
                    core.set_timer(
                        1000,
                        0,
                        SimTimer::Stream { key: *key, uid: *uid, rest: later, opcode: *opcode },
                    );
                }
            }
        }
    }

    fn drained(&mut self, core: Lent<'_>, key: Key) {
        let Some(uid) = core.data(key).map(|data| data.uid) else { return };
        let mut ledger = self.ledger.borrow_mut();
        // Publications may have filled it, of which a service is told nothing.
        ledger.life(uid).is_pressured = false;
        if !core.is_open(key) {
            ledger.violation(format!("connection {uid} was called drained and is not open"));
        }
    }

    fn closed(&mut self, core: Lent<'_>, key: Key, reason: CloseReason) {
        let Some(uid) = core.data(key).map(|data| data.uid) else { return };
        self.ledger.borrow_mut().closed(uid, reason);
        self.net.borrow_mut().check_end(uid, reason.cause, core.config());
    }

    fn gone(&mut self, core: Lent<'_>, ticket: Ticket) {
        self.ledger.borrow_mut().settle_owed(core.shard(), ticket, false);
    }
}

/// As many fields as a command of this kind has.
fn all_fields(kind: u8, bytes: &[u8]) -> Vec<u32> {
    let count = match kind {
        b'D' | b'P' | b'M' => 3,
        b'S' | b'U' | b'T' | b'R' | b'W' | b'C' => 2,
        _ => 1,
    };
    (0..count).filter_map(|index| field(bytes, index)).collect()
}
