//! The application under test: namespaces that do whatever a client asks, and write it all down.

use std::panic::panic_any;
use std::time::Duration;

use serde::Deserialize;
use throng::Delivery;
use throng::io::{AckError, Admit, Binary, BinaryBuf, Connect, Io, Socket};

use super::ledger::{Due, Ledger, Published, Token, ledger, note};
use super::rows::Row;
use super::seeds::Planned;
use super::words::{LATER, SPACES, Said, filler, room};

/// What is kept of a socket.
#[derive(Clone, Debug)]
pub struct Data {
    pub uid: u32,
    pub space: usize,
    pub life: usize,
}

/// What a client asks with.
#[derive(Deserialize)]
struct Auth {
    uid: u32,
    life: usize,
    wish: String,
}

pub fn describe(io: &mut Io) {
    for (space, name) in SPACES.into_iter().enumerate() {
        let namespace = io.of_with(name, move |connect| admit(space, connect)).on_connection(|socket| {
            note(|ledger| ledger.connected(socket.data()));
            note(|ledger| tell(ledger, socket, "hello", 0, 5));
        });
        let namespace = namespace.on("c", |socket, said: &Said| said_to(socket, said)).on(
            "cb",
            |socket, (uid, number, bytes): &(u32, u32, BinaryBuf)| {
                let ledger = ledger();
                let ledger = &mut *ledger.borrow_mut();
                ledger.heard(socket.data(), *uid, *number);
                if bytes.iter().any(|&byte| byte != *number as u8) {
                    ledger.wrong(*uid, "an attachment is damaged");
                }
            },
        );
        drop(namespace.on_disconnect(|socket, reason| note(|ledger| ledger.ended(socket.data(), reason))));
    }
}

fn admit(space: usize, connect: &Connect<'_>) -> Admit<Data> {
    let mut scratch = String::new();
    let Ok(Auth { uid, life, wish }) = connect.auth::<Auth>(&mut scratch) else {
        return Admit::refuse("no auth");
    };
    let data = Data { uid, space, life };
    if wish == "panic" {
        note(|ledger| {
            ledger.excuse(uid, throng::io::Reason::TransportError);
            ledger.count(Row::MiddlewarePanic);
        });
        panic_any(Planned);
    }
    if space == LATER {
        let pending = connect.defer();
        note(|ledger| ledger.tokens.push(Token { uid, life, pending }));
        return Admit::Deferred;
    }
    let is_admitted = wish != "refuse";
    note(|ledger| {
        ledger.life(uid, space, life).is_admitted = Some(is_admitted);
        if is_admitted {
            ledger.ungreeted.push((uid, ledger.shard, ledger.now_us()));
        }
    });
    if is_admitted { Admit::accept(data) } else { Admit::refuse("as wished") }
}

/// Says something to a client, with its number.
fn tell(ledger: &mut Ledger, socket: &Socket<'_, Data>, kind: &str, arg: u32, bytes: usize) {
    let uid = socket.data().uid;
    let number = ledger.of(uid).told + 1;
    let delivery = match kind {
        "binary" => socket.emit("sb", (number, Binary(&vec![number as u8; bytes]))),
        "volatile" => socket.volatile().emit("s", (number, kind, arg, filler(number, bytes))),
        "ask" => {
            let timeout_us = u64::from(arg);
            ledger.asks(socket.data(), number, timeout_us);
            let done = move |socket: &mut Socket<'_, Data>, answer: Result<&u32, AckError>| {
                note(|ledger| ledger.acked(socket.data(), number, answer.copied()));
            };
            socket.timeout(Duration::from_micros(timeout_us)).emit_with_ack("q", (number,), done)
        }
        _ => socket.emit("s", (number, kind, arg, filler(number, bytes))),
    };
    ledger.of(uid).told = number;
    if delivery != Delivery::Dropped {
        ledger.of(uid).due.push_back(Due::Said(number));
    } else if kind == "volatile" {
        ledger.count(Row::VolatileDropped);
    }
}

/// Says something to a room, whoever says it, with its number in there.
pub fn publish(
    ledger: &mut Ledger,
    place: (u32, usize, u32),
    is_spared: bool,
    emit: impl FnOnce(u32, &mut Ledger) -> bool,
) {
    let number = ledger.published.get(&place).map_or(0, Vec::len) as u32 + 1;
    let is_everywhere = emit(number, ledger);
    if !is_everywhere {
        ledger.count(Row::BroadcastDropped);
    }
    let at = ledger.tick();
    ledger.published.entry(place).or_default().push(Published { at, is_everywhere, is_spared });
}

/// A client has said something.
fn said_to(socket: &mut Socket<'_, Data>, (uid, number, what, arg, text): &Said) {
    let ledger = ledger();
    let ledger = &mut *ledger.borrow_mut();
    let data = socket.data().clone();
    ledger.heard(&data, *uid, *number);
    if !super::words::is_filler(*number, text) {
        ledger.wrong(*uid, "what it said is damaged");
    }
    let acks_first = number.is_multiple_of(2);
    let ack = |ledger: &mut Ledger| {
        if socket.wants_ack() && socket.ack(number) != Delivery::Dropped {
            ledger.of(data.uid).due.push_back(Due::Ack(*number));
        }
    };
    if acks_first {
        ack(ledger);
    }
    let place = (data.uid, data.space, *arg);
    match what.as_str() {
        "echo" => tell(ledger, socket, "", 0, text.len()),
        "many" => (0..*arg).for_each(|_| tell(ledger, socket, "", 0, text.len())),
        "binary" | "volatile" => tell(ledger, socket, what, 0, text.len()),
        "ask" => tell(ledger, socket, what, *arg, 0),
        "join" => {
            socket.join(room(*arg));
            let now = ledger.tick();
            ledger.of(data.uid).rooms.entry((data.space, *arg)).or_insert(now);
            tell(ledger, socket, "joined", *arg, 0);
        }
        "leave" => {
            socket.leave(room(*arg));
            ledger.of(data.uid).rooms.remove(&(data.space, *arg));
            tell(ledger, socket, "left", *arg, 0);
        }
        "others" => publish(ledger, place, true, |number, _| {
            socket.to(room(*arg)).emit("b", (data.uid, *arg, number, filler(number, text.len())))
        }),
        "all" => publish(ledger, place, false, |number, ledger| {
            let known = ledger.of(data.uid);
            if known.rooms.contains_key(&(data.space, *arg)) {
                known.due.push_back(Due::Own { space: data.space, room: *arg, number });
            }
            socket.io().to(room(*arg)).emit("b", (data.uid, *arg, number, filler(number, text.len())))
        }),
        "gather" => {
            let gather = ledger.gathers.len();
            ledger.gathers.push(0);
            let within = Duration::from_millis(5);
            socket.io().to(room(*arg)).timeout(within).emit_with_acks("g", (), move |_, _| {
                note(|ledger| {
                    ledger.gathers[gather] += 1;
                    ledger.count(Row::Gathered);
                });
            });
        }
        "quit" => {
            ledger.excuse(data.uid, throng::io::Reason::ServerDisconnect);
            // What its client says before it knows is said in a namespace that it is not in.
            ledger.excuse(data.uid, throng::io::Reason::ForcedClose);
            ledger.count(Row::ServerDisconnects);
            socket.disconnect();
        }
        "close" => {
            ledger.excuse(data.uid, throng::io::Reason::ServerDisconnect);
            ledger.count(Row::ServerClosesSession);
            socket.disconnect_session();
        }
        "panic" => {
            ledger.excuse(data.uid, throng::io::Reason::TransportError);
            ledger.count(Row::HandlerPanic);
            panic_any(Planned);
        }
        _ => {}
    }
    if !acks_first {
        ack(ledger);
    }
}
