//! Coming and going: who is let in, who goes and how, who is asleep, and what is owed to those who stay.

use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::ledger::Tally;
use super::member::{Going, Kind, Member, Stage};
use super::worker::{ENDED_WITHIN, GROUP, Guest, Outsider, Worker};
use crate::peer::{Dial, Peer};
use crate::wire::{CLOSE, handshake};

/// How many come in at once.
const COMING_MAX: usize = 128;

/// How many of those who have gone a group remembers; when that is doubled it forgets the older half.
const GONE: usize = 20;

impl Worker {
    /// What has to be heard still, counted as lost.
    pub(super) fn owed(&self, tally: &mut Tally) -> u64 {
        let mut owed = 0;
        for group in &self.groups {
            let here = group.places.iter().filter_map(|&place| self.member(place));
            for member in here.clone().filter(|member| member.stage == Stage::Here) {
                for row in &member.rows {
                    let speaker = here.clone().find(|other| other.id == row.speaker);
                    let said = speaker.filter(|other| other.stage == Stage::Here).map(|other| other.said);
                    let said = said.or_else(|| group.gone.iter().find(|(id, _)| *id == row.speaker)?.1);
                    let missing = row.owed(said.unwrap_or(0));
                    if missing > 0 {
                        owed += missing;
                        tally.blame("lost", missing, || {
                            format!("the last {missing} of {} to {}", row.speaker, member.id)
                        });
                    }
                }
            }
        }
        owed
    }

    fn member(&self, place: usize) -> Option<&Member> {
        match self.guests.get(place) {
            Some(Guest::Member(member)) => Some(member),
            _ => None,
        }
    }

    fn dial(&mut self, hello: &[u8], receive_bytes: Option<usize>) -> Option<(Peer, usize)> {
        let source = self.draw(self.sources.len());
        let source = self.sources[source];
        let dial = Dial { source: Some(source), receive_bytes };
        match Peer::dial(self.address, dial, hello) {
            Ok(mut peer) => {
                let place = self.guests.vacant_key();
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut peer.stream, Token(place), interest).ok()?;
                Some((peer, place))
            }
            Err(_) => {
                self.tally.add("dials refused by this host", 1);
                None
            }
        }
    }

    pub(super) fn dial_wanted(&mut self) {
        while self.coming < COMING_MAX
            && let Some(group) = self.wanted.pop()
        {
            let number = self.first + group;
            let is_sluggish = self.draw(25) == 0;
            let hello = handshake(&Kind::of(number).path(number));
            let Some((peer, place)) = self.dial(&hello, is_sluggish.then_some(16 << 10)) else {
                return self.wanted.push(group);
            };
            let (id, stage) = (self.next_id, Stage::Coming);
            self.next_id += 1;
            let rows = Vec::new();
            let member =
                Member { peer, id, group: number, stage, said: 0, rows, is_sluggish, sleeps_until: None };
            self.guests.insert(Guest::Member(member));
            self.groups[group].places.push(place);
            self.coming += 1;
        }
    }

    /// Lets one in who is no member: who speaks garbage, of this way, or who floods and never reads.
    pub(super) fn outsider(&mut self, hello: Vec<u8>, way: Option<usize>) {
        self.tally.add(if way.is_some() { "garbage" } else { "never read" }, 1);
        if let Some((peer, _)) = self.dial(&hello, None) {
            let until = Instant::now() + ENDED_WITHIN;
            self.guests.insert(Guest::Outsider(Outsider { peer, until, way }));
        }
    }

    /// One of those who are here goes, in one of five ways.
    pub(super) fn kill(&mut self) {
        let (group, at, way) = (self.draw(self.groups.len()), self.draw(GROUP), self.draw(5));
        let Some(&place) = self.groups[group].places.get(at) else { return };
        let Some(Guest::Member(member)) = self.guests.get_mut(place) else { return };
        if member.stage != Stage::Here {
            return;
        }
        self.tally
            .add(["reset", "finished", "closed", "half a frame, reset", "half a frame, finished"][way], 1);
        if way > 2 {
            drop(member.peer.say(&[0x81, 0xfe, 0x10]));
        }
        let until = Instant::now() + ENDED_WITHIN;
        // What had left when the end was said is heard by everybody who stays.
        let is_whole = member.peer.unsent() == 0;
        match way {
            0 | 3 => {}
            2 => {
                drop(member.peer.frame(CLOSE, &[3, 232]));
                member.stage = Stage::Going(Going::Closing, until);
            }
            _ => {
                member.stage = Stage::Going(Going::Finished, until);
                // One that is over already is found to be when it is read.
                drop(member.peer.finish());
            }
        }
        member.sleeps_until = None;
        let is_heard = is_whole && !matches!(way, 0 | 3);
        let gone = (member.id, is_heard.then_some(member.said));
        self.groups[group].gone.push(gone);
        match way {
            0 | 3 => self.leave(place, None),
            _ => self.resume(place),
        }
        if self.groups[group].gone.len() > 2 * GONE {
            self.forget(group);
        }
    }

    /// Those who have gone long ago have been heard by now, or never will be.
    fn forget(&mut self, group: usize) {
        self.tally.add("pairs looked at", 1);
        let old: Vec<_> = self.groups[group].gone.drain(..GONE).collect();
        for &place in &self.groups[group].places {
            let Some(Guest::Member(member)) = self.guests.get_mut(place) else { continue };
            let (id, is_here) = (member.id, member.stage == Stage::Here && member.sleeps_until.is_none());
            member.rows.retain(|row| {
                let Some((_, said)) = old.iter().find(|(id, _)| *id == row.speaker) else { return true };
                let missing = row.owed(said.unwrap_or(0));
                if is_here && missing > 0 {
                    let words = || format!("the last {missing} of {} to {id}", row.speaker);
                    self.tally.blame("lost", missing, words);
                }
                false
            });
        }
    }

    /// Takes a member out, and another one in.
    pub(super) fn leave(&mut self, place: usize, was_cut: Option<String>) {
        let Some(Guest::Member(member)) = self.guests.try_remove(place) else { return };
        let group = member.group - self.first;
        if member.stage == Stage::Coming {
            self.coming -= 1;
        }
        if let Some(words) = was_cut {
            let (id, said) = (member.id, member.said);
            let (unsent, is_sluggish) = (member.peer.unsent(), member.is_sluggish);
            let words = format!(
                "{id} of group {}, which had said {said}, {unsent} bytes unsent, sluggish {is_sluggish}: {words}",
                self.first + group
            );
            self.tally.blame("cut", 1, || words);
        }
        self.groups[group].places.retain(|&other| other != place);
        self.wanted.push(group);
        member.peer.reset();
    }

    /// Sends the sluggish to sleep and wakes them, and ends what has taken too long.
    pub(super) fn look_after(&mut self, now: Instant, is_end: bool) {
        let mut woken = Vec::new();
        let mut overdue = Vec::new();
        let nap = Duration::from_millis(1000 + self.draw(4000) as u64);
        for (place, guest) in &mut self.guests {
            match guest {
                Guest::Member(member) => {
                    if let Stage::Going(_, until) = member.stage
                        && until < now
                    {
                        overdue.push(place);
                    }
                    if member.stage != Stage::Here || !member.is_sluggish {
                        continue;
                    }
                    match member.sleeps_until {
                        Some(until) if until < now || is_end => {
                            member.sleeps_until = None;
                            woken.push(place);
                        }
                        None if !is_end && self.plan.naps => member.sleeps_until = Some(now + nap),
                        _ => {}
                    }
                }
                Guest::Outsider(outsider) if outsider.way.is_some() && outsider.until < now => {
                    overdue.push(place);
                }
                Guest::Outsider(_) => {}
            }
        }
        woken.into_iter().for_each(|place| self.resume(place));
        for place in overdue {
            let words = match self.guests.get(place) {
                Some(Guest::Member(member)) => {
                    format!("{} of group {}: {:?}", member.id, member.group, member.stage)
                }
                Some(Guest::Outsider(outsider)) => {
                    let (way, peer) = (outsider.way, &outsider.peer);
                    format!("garbage of way {way:?}, {} unsent, {} heard", peer.unsent(), peer.heard())
                }
                None => continue,
            };
            self.tally.blame("not ended", 1, || words);
            if matches!(self.guests.get(place), Some(Guest::Outsider(_))) {
                self.guests.remove(place);
            } else {
                self.leave(place, None);
            }
        }
    }
}
