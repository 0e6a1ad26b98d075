//! What must come of what was said: each pair of one who speaks and one who hears has a row, and each message its number.

use std::collections::BTreeMap;

/// What was counted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    counts: BTreeMap<&'static str, u64>,
    /// The first things that were wrong, in words.
    pub(crate) wrong: Vec<String>,
}

/// What may never be counted.
pub(crate) const NEVER: [&str; 6] = ["lost", "duplicated", "reordered", "foreign", "cut", "not ended"];

impl Tally {
    pub(crate) fn add(&mut self, what: &'static str, n: u64) {
        *self.counts.entry(what).or_default() += n;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Counts what may never be, and keeps the first of it.
    pub(crate) fn blame(&mut self, what: &'static str, n: u64, words: impl FnOnce() -> String) {
        self.add(what, n);
        if self.wrong.len() < 10 {
            self.wrong.push(format!("{what}: {}", words()));
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.counts.into_iter().for_each(|(what, n)| self.add(what, n));
        self.wrong.extend(other.wrong);
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(what, n)| (*what, *n))
    }
}

/// What one member has heard of another one.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) speaker: u64,
    /// What had been said before the hearer was known to hear: that it may hear, all that comes after it must.
    floor: u64,
    /// The last number heard; 0 while it is none.
    last: u64,
    /// Numbers that were jumped over.
    missing: Vec<u64>,
}

impl Row {
    pub(crate) fn new(speaker: u64, floor: u64) -> Self {
        Self { speaker, floor, last: 0, missing: Vec::new() }
    }

    /// A row that begins with what was just heard: the hearer was coming in, and the speaker going, or coming in too.
    pub(crate) fn begun(speaker: u64, number: u64) -> Self {
        Self { speaker, floor: number, last: number, missing: Vec::new() }
    }

    /// The hearer has heard a number.
    pub(crate) fn hear(&mut self, number: u64, tally: &mut Tally) {
        tally.add("heard", 1);
        if self.last == 0 && number <= self.floor {
            // Said while the hearer was coming in: where it begins is chance.
            self.last = number;
            return;
        }
        let next = if self.last == 0 { self.floor + 1 } else { self.last + 1 };
        let speaker = self.speaker;
        if number >= next {
            if number > next {
                tally.blame("lost", number - next, || format!("{next}..{number} of {speaker}"));
                self.missing.extend(next..number);
            }
            self.last = number;
        } else if let Some(at) = self.missing.iter().position(|&missing| missing == number) {
            self.missing.swap_remove(at);
            tally.blame("reordered", 1, || format!("{number} of {speaker} after {}", self.last));
        } else {
            tally.blame("duplicated", 1, || format!("{number} of {speaker} after {}", self.last));
        }
    }

    /// How many of the messages that it must hear, up to `said`, have not come behind the last that did.
    pub(crate) fn owed(&self, said: u64) -> u64 {
        said.saturating_sub(self.last.max(self.floor))
    }
}

/// What is behind the numbers of a message: as many bytes as they say, so that a damaged one shows.
pub(crate) fn filler(number: u64) -> usize {
    // Most are short; some do not fit a socket buffer that is full already.
    if number.is_multiple_of(40) { 3000 } else { (number % 97) as usize }
}

/// A message: which group it is for, who says it, its number.
pub(crate) fn message(group: usize, speaker: u64, number: u64) -> String {
    format!("{group} {speaker} {number} {:x<1$}", "", filler(number))
}

/// The numbers of a message, if it is whole.
pub(crate) fn numbers(text: &str) -> Option<(usize, u64, u64)> {
    let mut words = text.splitn(4, ' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (group, speaker, number) = (number()?, number()?, number()?);
    let rest = words.next()?;
    (rest.len() == filler(number) && rest.bytes().all(|byte| byte == b'x')).then_some((
        group as usize,
        speaker,
        number,
    ))
}
