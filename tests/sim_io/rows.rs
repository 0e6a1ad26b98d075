//! What has to have happened, counted: a run over many seeds in which one of these never did has tested less than it says.

macro_rules! rows {
    ($($(#[$doc:meta])* $row:ident,)+) => {
        /// Something that has to have happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Row { $($(#[$doc])* $row,)+ }

        pub const ROWS: &[(Row, &str)] = &[$((Row::$row, stringify!($row)),)+];
    };
}

rows! {
    /// A poll, or a POST, came in on another shard than its session's.
    PollElsewhere,
    PostElsewhere,
    /// A client moved to its WebSocket, which another shard had accepted.
    Upgraded,
    UpgradeMovedShard,
    /// Something was on its way to it when it did.
    UpgradeWithMessages,
    /// The poll that waited was ended so that it could.
    PollEndedByProbe,
    PostDuringProbe,
    /// It did not wait for its poll, or its POST.
    FiveRacesPoll,
    FiveRacesPost,
    /// Its POST, or poll, came too late.
    PostBehindFive,
    PollBehindFive,
    ProbeClosed,
    ProbeReset,
    ProbeNonsense,
    FiveWithoutProbe,
    SecondProbe,
    UpgradeTimedOut,
    /// Its session's shard had no room for the WebSocket.
    HomeFull,
    PollAborted,
    /// The answer had left before the poll was aborted.
    AbortedAfterAnswer,
    TwoPolls,
    /// A packet and its attachment in two POSTs.
    AttachmentApart,
    /// An attachment by another transport than its packet.
    AttachmentUpgraded,
    PingTimeoutPolling,
    PingTimeoutWebSocket,
    /// A client that polls on and does not answer pings.
    SilentButPolling,
    NeverConnected,
    /// It had connected to nothing for long, and made room for another.
    Evicted,
    DeferredAccepted,
    DeferredRefused,
    DeferredDropped,
    /// Nobody ever decides.
    DeferredForever,
    /// The session ended while middleware had not decided.
    GoneWhileDeferred,
    /// It decided behind the end.
    DecidedBehindEnd,
    ConnectRefused,
    ClosedDuringPoll,
    ClosedDuringProbe,
    HandlerPanic,
    MiddlewarePanic,
    ServerDisconnects,
    ServerClosesSession,
    ClientLeaves,
    ForcedClose,
    ParseError,
    TransportError,
    TransportClose,
    VolatileDropped,
    AckTimeout,
    AckDisconnected,
    AckGivenUp,
    Gathered,
    BroadcastDropped,
    PollingFull,
    MailSpilled,
    Drained,
    StopWithPoll,
    StopDuringProbe,
}
