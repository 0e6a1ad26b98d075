//! How far what was published came: when its first and its last subscriber had it, and how many have. Kept by `stats`, for each
//! publish by its number; workers' are joined, and those of several processes.

/// How far one published message got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    /// When it was to be sent.
    pub(crate) intended: u64,
    /// When the first subscriber had it.
    pub(crate) first: u64,
    /// When the last subscriber had it.
    pub(crate) last: u64,
    /// Subscribers that have it.
    pub(crate) count: u64,
}

impl Reach {
    /// When it was to be sent, and how much later the first and the last subscriber had it; how many have.
    pub(crate) fn spans(&self) -> (u64, u64, u64, u64) {
        let Self { intended, first, last, count } = *self;
        (intended, first.saturating_sub(intended), last.saturating_sub(intended), count)
    }

    /// The same again.
    pub(crate) fn of((intended, first, last, count): (u64, u64, u64, u64)) -> Self {
        Self { intended, first: intended + first, last: intended + last, count }
    }

    /// Adds what other subscribers saw of the same publish.
    pub(crate) fn join(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            self.first = self.first.min(other.first);
            self.last = self.last.max(other.last);
            self.count += other.count;
        }
    }
}
