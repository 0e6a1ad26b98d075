//! The search for the highest load that holds: doubled until one does not, then halved in between until it is known to 5 %.
//!
//! Pure; `scenarios/find_max` measures what it asks for.

/// Two loads that differ by no more than this share of the lower one are one load.
const PRECISION: f64 = 0.05;

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// The highest that held.
    pub(crate) held: Option<u64>,
    /// The lowest that did not.
    pub(crate) broke: Option<u64>,
    first: u64,
    max: u64,
}

impl Search {
    /// A search from `first` on, up to `max`.
    pub(crate) fn new(first: u64, max: u64) -> Self {
        Self { held: None, broke: None, first: first.clamp(1, max.max(1)), max: max.max(1) }
    }

    /// What is to be tried next; `None` once it is known.
    pub(crate) fn next(&self) -> Option<u64> {
        match (self.held, self.broke) {
            (None, None) => Some(self.first),
            (None, Some(broke)) => (broke > 1).then_some(broke / 2),
            (Some(held), None) => (held < self.max).then(|| held.saturating_mul(2).min(self.max)),
            (Some(held), Some(broke)) => {
                let is_close = broke - held <= 1 || (broke - held) as f64 <= held as f64 * PRECISION;
                (!is_close).then_some(held + (broke - held) / 2)
            }
        }
    }

    /// Takes note of whether a load held.
    pub(crate) fn told(&mut self, load: u64, is_held: bool) {
        if is_held {
            self.held = Some(self.held.map_or(load, |held| held.max(load)));
        } else {
            self.broke = Some(self.broke.map_or(load, |broke| broke.min(load)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_found_to_five_per_cent_in_few_steps_wherever_it_is() {
        for (first, max, border) in
            [(1000, 1 << 40, 137_000), (1000, 1 << 40, 1000), (1000, 1 << 40, 77), (64, 500, 499), (1, 9, 3)]
        {
            let (mut search, mut steps) = (Search::new(first, max), 0);
            while let Some(load) = search.next() {
                search.told(load, load <= border);
                steps += 1;
                assert!(load <= max && steps < 25, "{first} {border}");
            }
            let held = search.held.unwrap();
            assert!(held <= border && border - held <= (held / 20).max(1), "{held} of {border}");
        }
    }

    #[test]
    fn what_always_holds_ends_at_the_most_and_what_never_does_at_one() {
        let mut search = Search::new(10, 35);
        let mut tried = Vec::new();
        while let Some(load) = search.next() {
            tried.push(load);
            search.told(load, true);
        }
        assert_eq!((tried, search.held), (vec![10, 20, 35], Some(35)));
        let mut search = Search::new(10, 35);
        while let Some(load) = search.next() {
            search.told(load, false);
        }
        assert_eq!((search.held, search.broke), (None, Some(1)));
    }
}
