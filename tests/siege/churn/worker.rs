//! One thread of the crowd: its groups are its own, so it knows of every pair what was said and what was heard.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use slab::Slab;

use super::Plan;
use super::garbage;
use super::ledger::{Row, Tally};
use super::member::{Going, Kind, Member, Stage, Word};
use crate::peer::{Peer, Said};
use crate::wire::{framed, handshake};

/// Members of a group.
pub(super) const GROUP: usize = 10;

/// How long the server may take to end what is to be ended; half a head has ten seconds.
pub(super) const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// One who is no member, and when the server must have ended it.
pub(super) struct Outsider {
    pub(super) peer: Peer,
    pub(super) until: Instant,
    /// What garbage it speaks. `None`: it floods and never reads, so it does not hear either how it is ended.
    pub(super) way: Option<usize>,
}

pub(super) enum Guest {
    Member(Member),
    Outsider(Outsider),
}

/// A group: its members by their places, and those who have gone in order, with what they had said that must be heard.
#[derive(Default)]
pub(super) struct Group {
    pub(super) places: Vec<usize>,
    pub(super) gone: Vec<(u64, Option<u64>)>,
}

pub(super) struct Worker {
    pub(super) plan: Plan,
    pub(super) address: SocketAddr,
    pub(super) sources: Vec<Ipv4Addr>,
    pub(super) poll: Poll,
    pub(super) guests: Slab<Guest>,
    /// The first group's number, and the groups.
    pub(super) first: usize,
    pub(super) groups: Vec<Group>,
    pub(super) next_id: u64,
    /// Groups that lack a member.
    pub(super) wanted: Vec<usize>,
    pub(super) coming: usize,
    /// Whose turn it is to speak.
    turn: usize,
    random: u64,
    scratch: Vec<u8>,
    pub(super) tally: Tally,
}

impl Worker {
    pub(super) fn new(plan: Plan, address: SocketAddr, number: usize, groups: usize) -> io::Result<Self> {
        // One address has 28,000 ports, and one that was used is not free again for a minute.
        let sources = match plan.connections > 10_000 {
            true => (1..=12).map(|n| Ipv4Addr::new(127, 1, number as u8, n)).collect(),
            false => vec![Ipv4Addr::LOCALHOST],
        };
        Ok(Self {
            plan,
            address,
            sources,
            poll: Poll::new()?,
            guests: Slab::new(),
            first: number * 1_000_000,
            groups: (0..groups).map(|_| Group::default()).collect(),
            next_id: 1,
            wanted: (0..groups).flat_map(|group| [group; GROUP]).collect(),
            coming: 0,
            turn: 0,
            random: 0x9e37_79b9_7f4a_7c15 ^ (plan.seed.wrapping_add(number as u64) << 17),
            scratch: vec![0; 64 << 10],
            tally: Tally::default(),
        })
    }

    pub(super) fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 33) as usize) % below.max(1)
    }

    /// Lets everybody in, lives for the planned time, and waits for what is owed.
    pub(super) fn run(&mut self, is_settled: &dyn Fn()) -> io::Result<()> {
        let by = Instant::now() + Duration::from_secs(60 + self.plan.connections as u64 / 200);
        while (!self.wanted.is_empty() || self.coming > 0) && Instant::now() < by {
            self.dial_wanted();
            self.step(Duration::from_millis(10))?;
        }
        is_settled();
        for _ in 0..self.plan.connections / self.plan.workers / 200 {
            self.outsider(handshake("/echo"), None);
        }
        let (began, mut last, mut looked) = (Instant::now(), Instant::now(), Instant::now());
        let (mut to_say, mut to_kill, mut to_litter) = (0.0, 0.0, 0.0);
        while began.elapsed() < self.plan.lasts {
            let seconds = last.elapsed().as_secs_f64();
            last = Instant::now();
            let members = (self.groups.len() * GROUP) as f64;
            to_say += members * self.plan.rate * seconds;
            to_kill += members * self.plan.kills / 100.0 * seconds;
            to_litter += members * self.plan.garbage / 100.0 * seconds;
            for due in [&mut to_say, &mut to_kill, &mut to_litter] {
                // Who was late itself does not make up for it in one burst.
                *due = due.min(members);
            }
            while to_say >= 1.0 {
                to_say -= 1.0;
                self.speak();
            }
            while to_kill >= 1.0 {
                to_kill -= 1.0;
                self.kill();
            }
            while to_litter >= 1.0 {
                to_litter -= 1.0;
                let (way, group, random) =
                    (self.draw(garbage::WAYS), self.draw(self.groups.len()), self.draw(1 << 20));
                let words = garbage::words(way, self.first + group, random as u64);
                self.outsider(words, Some(way));
            }
            self.dial_wanted();
            self.step(Duration::from_millis(5))?;
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                self.look_after(looked, false);
            }
        }
        let by = Instant::now() + ENDED_WITHIN;
        while Instant::now() < by && (self.owed(&mut Tally::default()) > 0 || self.is_unsettled()) {
            self.step(Duration::from_millis(20))?;
            self.look_after(Instant::now(), true);
        }
        let mut tally = std::mem::take(&mut self.tally);
        self.owed(&mut tally);
        self.tally = tally;
        Ok(())
    }

    fn is_unsettled(&self) -> bool {
        self.guests.iter().any(|(_, guest)| match guest {
            Guest::Member(member) => member.stage != Stage::Here,
            Guest::Outsider(outsider) => outsider.way.is_some(),
        })
    }

    /// The next of those who are here says its next message.
    fn speak(&mut self) {
        let places = self.groups.len() * GROUP;
        self.turn = (self.turn + 1) % places;
        let group = &self.groups[self.turn / GROUP];
        let Some(&place) = group.places.get(self.turn % GROUP) else { return };
        if let Some(Guest::Member(member)) = self.guests.get_mut(place)
            && member.stage == Stage::Here
        {
            member.speak();
            self.tally.add("said", 1);
        }
    }

    /// Waits for the server, and hears what it says.
    fn step(&mut self, most: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(most)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            self.resume(event.token().0);
        }
        Ok(())
    }

    /// Reads what there is for a guest.
    pub(super) fn resume(&mut self, place: usize) {
        match self.guests.get_mut(place) {
            None => {}
            Some(Guest::Outsider(outsider)) => {
                let mut is_over = outsider.peer.flush().is_err();
                if outsider.way.is_some() {
                    is_over |= outsider.peer.fill(&mut self.scratch, usize::MAX).is_err();
                    is_over |= outsider.peer.is_over;
                } else if outsider.peer.unsent() == 0 {
                    is_over |= outsider.peer.say(&framed(0x82, &[9; 16 << 10]).repeat(64)).is_err();
                }
                if is_over {
                    self.tally.add(if outsider.way.is_some() { "garbage ended" } else { "flood ended" }, 1);
                    self.guests.remove(place);
                }
            }
            Some(Guest::Member(member)) => {
                if member.sleeps_until.is_some() {
                    return;
                }
                let result =
                    member.peer.flush().and_then(|()| member.peer.fill(&mut self.scratch, usize::MAX));
                let result = result.map_err(|error| error.to_string()).and_then(|_| self.hear(place));
                let Some(Guest::Member(member)) = self.guests.get(place) else { return };
                let is_going = matches!(member.stage, Stage::Going(..));
                // The server has ended what was to end, or what it should not have.
                match result {
                    Ok(()) if !member.peer.is_over => {}
                    Ok(()) => self.leave(place, (!is_going).then(|| "it was ended".to_owned())),
                    Err(error) => self.leave(place, (!is_going).then_some(error)),
                }
            }
        }
    }

    /// Hears what a member has read.
    fn hear(&mut self, place: usize) -> Result<(), String> {
        let mut is_welcome = false;
        let Some(Guest::Member(member)) = self.guests.get_mut(place) else { return Ok(()) };
        let (kind, group, id) = (Kind::of(member.group), member.group, member.id);
        let gone = &self.groups[group - self.first].gone;
        let mut answers = Vec::new();
        while let Some(said) = member.peer.next()? {
            let word = match said {
                Said::Status(101) => continue,
                Said::Status(status) => return Err(format!("{id} was answered {status}")),
                Said::Frame(first, payload) => {
                    let stage = if is_welcome { Stage::Here } else { member.stage };
                    Member::understand(kind, group, stage, first, payload)
                }
            };
            match word {
                Word::Welcome => is_welcome = true,
                Word::Answer(first, payload) => answers.push((first, payload)),
                Word::Message(of, speaker, number) => {
                    let row = member.rows.iter_mut().find(|row| row.speaker == speaker);
                    match row.filter(|_| of == group) {
                        Some(row) => row.hear(number, &mut self.tally),
                        // Heard right behind the welcome, or of one who was going then.
                        None if of == group
                            && (is_welcome || gone.iter().any(|(other, _)| *other == speaker)) =>
                        {
                            self.tally.add("heard", 1);
                            member.rows.push(Row::begun(speaker, number));
                        }
                        None => {
                            let words = format!("{number} of {speaker} in {of}, to {id} in {group}");
                            self.tally.blame("foreign", 1, || words);
                        }
                    }
                }
                Word::Close => match member.stage {
                    Stage::Going(going, until) => {
                        if going == Going::Closing {
                            let owed = member.rows.iter().map(|row| row.owed(member.said)).sum::<u64>();
                            if kind.is_alone() && owed > 0 {
                                let words = || format!("{owed} to {id}, which then closed");
                                self.tally.blame("lost", owed, words);
                            }
                        }
                        member.stage = Stage::Going(Going::Closed, until);
                    }
                    _ => return Err(format!("{id} was closed")),
                },
                Word::Strange(words) => {
                    self.tally.blame("foreign", 1, || format!("{words} to {id} in {group}"));
                }
            }
        }
        // Not while it goes: behind a close frame comes nothing.
        if !matches!(member.stage, Stage::Going(..)) {
            answers.iter().for_each(|(first, payload)| drop(member.peer.frame(*first, payload)));
        }
        if is_welcome {
            self.welcome(place);
        }
        Ok(())
    }

    /// A member is known to hear: from now on it must hear all that is said.
    fn welcome(&mut self, place: usize) {
        let Some(Guest::Member(member)) = self.guests.get_mut(place) else { return };
        let (id, group) = (member.id, member.group);
        member.stage = Stage::Here;
        self.coming -= 1;
        if Kind::of(group).is_alone() {
            return member.rows.push(Row::new(id, 0));
        }
        let others = self.groups[group - self.first].places.clone();
        let mut rows = Vec::new();
        for &other in others.iter().filter(|&&other| other != place) {
            let Some(Guest::Member(other)) = self.guests.get_mut(other) else { continue };
            if other.stage == Stage::Coming {
                continue;
            }
            rows.push(Row::new(other.id, other.said));
            if other.stage == Stage::Here {
                other.rows.push(Row::new(id, 0));
            }
        }
        let Some(Guest::Member(member)) = self.guests.get_mut(place) else { return };
        // What was heard at once, with the welcome, has a row already.
        rows.retain(|row| member.rows.iter().all(|known| known.speaker != row.speaker));
        member.rows.extend(rows);
    }
}
