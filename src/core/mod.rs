//! The only code that touches sockets, clocks and threads: shards and what they are made of.
//!
//! ```text
//!            Service (app)            the seam above: request, message, mail, timer, drained, closed
//!               │ lent a Core
//!  ┌────────────┴──────────────────────────────────────────────┐
//!  │ shard     the turn          core    what a service may do │
//!  │ listener  accept            table   slots and generations │
//!  │ read      decode, uncork    cork    this read's answers   │
//!  │ request   HTTP              batch   this turn's publishes │
//!  │ flush     dirty → socket    outbox  what the kernel left  │
//!  │ due       deadlines         mailbox from other shards     │
//!  │ gate      who may come in   crowd   how many per address  │
//!  └────────────┬──────────────────────────────────────────────┘
//!              Io                     the seam below: epoll, or a simulated network
//! ```
//!
//! A shard is called by its own thread only. What crosses threads is the mailbox, the bell, the counters and the census.

mod adopt;
pub mod audit;
pub mod batch;
pub mod bell;
pub mod census;
pub mod conn;
#[expect(
    clippy::module_inception,
    reason = "the room and what it lends have the same name in the plan of the house"
)]
pub mod core;
pub mod cork;
pub mod crowd;
pub mod deadlines;
mod deflating;
pub mod drain;
mod due;
mod end;
pub mod epoll;
pub mod exchange;
mod flush;
mod gate;
pub mod incomplete;
pub mod io;
pub mod listener;
pub mod load;
pub mod mail;
pub mod mailbox;
pub mod outbox;
pub mod outboxes;
pub mod parcels;
mod parts;
mod proxied;
pub mod publication;
mod publish;
pub mod published;
mod queue;
mod read;
mod reap;
mod relieve;
mod request;
mod respond;
pub mod service;
pub mod shard;
mod stream;
pub mod table;
pub mod timers;
#[cfg(feature = "tls")]
pub mod tls;
pub mod unit;
pub(crate) mod units;
mod wait;
