//! What a client hears, packet by packet, each held against what must come.

use serde_json::Value;

use super::client::{Client, Cx, Standing, What};
use super::ledger::Due;
use super::rows::Row;
use super::words::{NOW, SPACES, is_filler};

/// A packet of Socket.IO, read by code of the simulator's own.
struct Heard<'a> {
    kind: u8,
    attachments: usize,
    space: usize,
    ack: Option<u64>,
    args: &'a str,
}

fn read(text: &str) -> Option<Heard<'_>> {
    let (&kind, mut rest) = (text.as_bytes().first()?, text.get(1..)?);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut attachments = 0;
    if let Some(behind) = rest.get(digits(rest)..).and_then(|behind| behind.strip_prefix('-')) {
        attachments = rest[..digits(rest)].parse().ok()?;
        rest = behind;
    }
    let mut space = 0;
    if rest.starts_with('/') {
        let end = rest.find(',').unwrap_or(rest.len());
        space = SPACES.iter().position(|name| *name == &rest[..end])?;
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    let id = digits(rest);
    let ack = if id > 0 { Some(rest[..id].parse().ok()?) } else { None };
    Some(Heard { kind, attachments, space, ack, args: &rest[id..] })
}

impl Client {
    /// A packet of Engine.IO.
    pub fn hears(&mut self, cx: &mut Cx<'_>, packet: &str) {
        if let Some(number) = self.attachment.take()
            && !self.is_muddled
        {
            self.wrong(cx, &format!("heard {packet:?} between {number} and its attachment"));
        }
        match packet.as_bytes().first() {
            Some(b'1') => self.over(cx),
            Some(b'2') => {
                self.last_ping_us = cx.net.now_us;
                if let Some(sent_us) = self.ponged_us.take() {
                    self.ponged(cx, sent_us);
                }
                if !self.is_shy {
                    self.say("3".into(), None, What::Pong);
                }
            }
            Some(b'4') => self.hears_message(cx, &packet[1..]),
            // What ends a poll for a client that wants to move, or to go.
            Some(b'6') if self.has_probed || self.is_closing => {
                // Until it has moved, every poll is ended at once.
                self.rest(cx);
            }
            _ => self.wrong(cx, &format!("heard {packet:?}")),
        }
    }

    /// A message of bytes.
    pub fn hears_bytes(&mut self, cx: &mut Cx<'_>, bytes: &[u8]) {
        let Some(number) = self.attachment.take() else {
            if !self.may_lack {
                self.wrong(cx, "heard bytes that belong to nothing");
            }
            return;
        };
        if bytes.iter().any(|&byte| byte != number as u8) {
            self.wrong(cx, &format!("the attachment of {number} is damaged"));
        }
        self.comes(cx, Due::Said(number));
    }

    fn hears_message(&mut self, cx: &mut Cx<'_>, text: &str) {
        let Some(heard) = read(text) else { return self.wrong(cx, &format!("heard {text:?}")) };
        let (standing, life) = self.spaces[heard.space];
        match heard.kind {
            b'0' | b'4' => {
                let is_in = heard.kind == b'0';
                if !matches!(standing, Standing::Asked | Standing::Unknown) {
                    return self
                        .wrong(cx, &format!("heard {text:?} and has asked for nothing: {standing:?}"));
                }
                let admitted = cx.ledger.life(self.uid, heard.space, life).is_admitted;
                if admitted != Some(is_in) && !self.may_lack {
                    return self.wrong(cx, &format!("heard {text:?}, and middleware said {admitted:?}"));
                }
                if !is_in && heard.space == NOW {
                    cx.ledger.count(Row::ConnectRefused);
                }
                self.spaces[heard.space].0 = if is_in { Standing::In } else { Standing::Out };
                self.rooms.retain(|place, _| place.0 != heard.space);
            }
            b'1' => {
                if matches!(standing, Standing::In | Standing::Unknown) {
                    self.spaces[heard.space].0 = Standing::Out;
                }
            }
            b'2' | b'5' => {
                if matches!(standing, Standing::Asked) && life == 0 {
                    return self.wrong(cx, &format!("heard {text:?} before it was let in"));
                }
                self.hears_event(cx, &heard);
            }
            b'3' => match heard.ack {
                Some(ack) => self.comes(cx, Due::Ack(ack as u32)),
                None => self.wrong(cx, &format!("heard {text:?}")),
            },
            _ => self.wrong(cx, &format!("heard {text:?}")),
        }
    }

    fn hears_event(&mut self, cx: &mut Cx<'_>, heard: &Heard<'_>) {
        self.messages += 1;
        let args: Vec<Value> = serde_json::from_str(heard.args).unwrap_or_default();
        let number = |at: usize| args.get(at).and_then(Value::as_u64).map_or(0, |number| number as u32);
        let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
        match text(0) {
            "s" if is_filler(number(1), text(4)) => {
                self.comes(cx, Due::Said(number(1)));
                let room = (heard.space, number(3));
                match text(2) {
                    "joined" if !self.rooms.insert(room, true).unwrap_or(false) => {
                        let here = |place: &(u32, usize, u32)| (place.1, place.2) == room;
                        self.heard.iter_mut().filter(|one| here(one.0)).for_each(|one| one.1.1 = false);
                    }
                    "left" => _ = self.rooms.insert(room, false),
                    _ => {}
                }
            }
            "sb" if heard.attachments == 1 => self.attachment = Some(number(1)),
            "q" => {
                self.comes(cx, Due::Said(number(1)));
                if self.random.chance(700) && self.spaces[heard.space].0 == Standing::In {
                    self.answer(heard.space, heard.ack, number(1) * 3);
                }
            }
            "g" => {
                if self.spaces[heard.space].0 == Standing::In {
                    self.answer(heard.space, heard.ack, self.uid);
                }
            }
            "b" if is_filler(number(3), text(4)) => {
                self.hears_room(cx, (number(1), heard.space, number(2)), number(3))
            }
            _ => self.wrong(cx, &format!("heard {}", heard.args)),
        }
    }

    /// What is next of what it is owed has come.
    fn comes(&mut self, cx: &mut Cx<'_>, due: Due) {
        let known = cx.ledger.of(self.uid);
        let at = known.due.iter().position(|one| *one == due);
        if self.is_muddled {
            return;
        }
        if at == Some(0) || (at.is_some() && self.may_lack) {
            known.due.drain(..=at.unwrap_or(0));
        } else {
            let next = known.due.front().copied();
            self.wrong(cx, &format!("heard {due:?}, and {next:?} was due"));
        }
    }

    fn hears_room(&mut self, cx: &mut Cx<'_>, place: (u32, usize, u32), number: u32) {
        let (from, space, room) = place;
        if self.is_muddled {
            return;
        }
        let own = Due::Own { space, room, number };
        if from == self.uid && cx.ledger.of(self.uid).due.contains(&own) {
            self.comes(cx, own);
        }
        let is_in = self.rooms.get(&(space, room)).copied().unwrap_or(false);
        let (last, is_whole) = self.heard.insert(place, (number, true)).unwrap_or((0, false));
        let lacks = is_whole && !self.may_lack;
        if lacks && (last + 1..number).any(|lacking| !cx.ledger.may_lack(place, lacking, self.uid)) {
            self.wrong(
                cx,
                &format!("heard {from}'s {number} to room {room} behind {last}, and none was dropped"),
            );
        }
        let published = cx.ledger.published.get(&place).and_then(|all| all.get(number as usize - 1));
        let is_spared = from == self.uid && published.is_some_and(|one| one.is_spared);
        if number <= last || is_spared || (!is_in && !self.may_lack) {
            self.wrong(cx, &format!("heard {from}'s {number} to room {room} behind {last}, in it: {is_in}"));
        }
    }
}
