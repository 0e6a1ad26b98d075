//! Every kind of fault, how often a seed wants it, and how often it has struck.

use super::random::Random;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $rate:literal,)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault { $($(#[$doc])* $fault,)+ }

        /// Every kind, with the rate in permille up to which a seed draws it; 0 where it is not drawn but counted.
        pub const FAULTS: &[(Fault, &str, usize)] = &[$((Fault::$fault, stringify!($fault), $rate),)+];
    };
}

faults! {
    /// A read brings part of what is there; the rest "arrives" right behind it.
    ShortRead = 300,
    /// A read brings less than was asked for, and says that there may be more.
    UnfinishedRead = 150,
    /// A read finds nothing yet; the bytes "arrive" right behind it.
    LateRead = 100,
    InterruptedRead = 60,
    ShortWrite = 200,
    RefusedWrite = 150,
    AcceptAborted = 60,
    RegisterRefused = 40,
    ListenRefused = 100,
    PackRefused = 150,
    UnpackRefused = 150,
    PollInterrupted = 50,
    /// An event without a cause.
    SpuriousEvent = 50,
    /// Poll reports only some of what is ready.
    PartialPoll = 200,
    /// Time passes within a turn.
    SlowTurn = 30,
    ClockJump = 60,
    ClockWrap = 0,
    /// The host stands still for longer than anything is to take.
    Standstill = 0,
    FdTableFull = 0,
    /// Turned away: the shard or the server is full.
    TurnedAway = 0,
    /// Turned away: too many of its address, too many that have not asked yet, turns that are too long.
    AddressFull = 0,
    HandshakesFull = 0,
    Overloaded = 0,
    /// Left in the queue, because there was no room for it.
    Waits = 0,
    Reset = 0,
    Fin = 0,
    FinWithData = 0,
    /// The peer closes both ways while something is on its way to it.
    Gone = 0,
    /// The peer falls silent for good: no FIN, nothing read, nothing answered.
    Mute = 0,
    StalledReader = 0,
    MalformedFrame = 0,
    MalformedHead = 0,
    HandlerPanic = 0,
    StaleLetter = 0,
    MailSpilled = 0,
    PublishDropped = 0,
    OutboxFull = 0,
    ReadPaused = 0,
    /// What had not come whole was too much.
    IncompleteFull = 0,
    /// A message was too long on its way.
    MessageLate = 0,
    Stop = 0,
    Drain = 0,
    /// A full shard asks another one to accept from its listener.
    ListenerCovered = 0,
}

/// How often each kind strikes in a seed, and how often it has.
pub struct Faults {
    rates: Vec<usize>,
    pub counts: Vec<u64>,
}

impl Faults {
    /// Each kind is off in a third of all seeds, so that what one of them hides is seen without it.
    pub fn draw(random: &mut Random) -> Self {
        let rates = FAULTS.iter().map(|&(_, _, rate)| match random.below(3) {
            0 => 0,
            1 => rate / 4,
            _ => rate,
        });
        Self { rates: rates.collect(), counts: vec![0; FAULTS.len()] }
    }

    /// No faults from here on.
    pub fn cease(&mut self) {
        self.rates.fill(0);
    }

    /// Whether it strikes now.
    pub fn strikes(&mut self, fault: Fault, random: &mut Random) -> bool {
        let struck = self.rates[fault as usize] > 0 && random.chance(self.rates[fault as usize]);
        self.counts[fault as usize] += u64::from(struck);
        struck
    }

    pub fn count(&mut self, fault: Fault, times: u64) {
        self.counts[fault as usize] += times;
    }
}
