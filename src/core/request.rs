//! HTTP on a connection: requests are gathered, checked, put to the service, and answered or turned into a WebSocket.
//!
//! A request that comes whole in one read is parsed where it lies; otherwise its bytes are kept in an [`Exchange`].
//! One request is looked at at a time: what follows it waits until it is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::cause::Cause;
use crate::base::config::Origins;
use crate::base::id::Key;
use crate::proto::http::{Body, CONTINUE, HeaderSlots, Request};
use crate::proto::ws::handshake::{self, Accept};

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::exchange::{Awaited, Exchange, Incoming, Manner};
use super::io::Io;
use super::outbox::Unit;
use super::read::decode;
use super::service::{Reply, Service};
use super::shard::Shard;

/// What became of the bytes at the front.
enum Step {
    /// There is no whole request, or it has to wait until the answers before it are taken.
    Incomplete,
    /// A request was answered and used this many bytes; another may follow.
    Answered(usize),
    /// This many bytes were a handshake: the rest are frames.
    Upgraded(usize),
    /// This many bytes were a request that waits for its answer.
    Deferred(usize, Awaited),
    /// The connection goes to another shard, with all these bytes.
    Moves(usize),
    /// The connection is ending.
    Over,
}

impl<S: Service, I: Io> Shard<S, I> {
    /// The first `n` bytes of the scratch came in on a connection that speaks HTTP.
    pub(super) fn requests(&mut self, key: Key, n: usize) {
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        if let Arrived::Http(mut exchange) = conn.take_arrived(&mut self.core.incomplete) {
            self.core.store.buffers.grow(&mut exchange.bytes, n);
            exchange.bytes.extend_from_slice(&self.scratch[..n]);
            return self.go_on(key, exchange);
        }
        if conn.flags.any(Flags::KEPT) {
            self.core.watch_head(key);
        }
        let mut exchange = Exchange { since: self.core.now, ..Exchange::default() };
        let Self { core, service, scratch, .. } = self;
        let (used, step) =
            guarded(core, key, |core| advance(core, service, key, &mut exchange, &scratch[..n]));
        let mut rest = Vec::new();
        if used < n {
            rest = core.store.buffers.take(n - used);
            rest.extend_from_slice(&scratch[used..n]);
        }
        self.conclude(key, step, exchange, rest);
    }

    /// Looks at what was kept of a connection's requests.
    pub(super) fn pending_requests(&mut self, key: Key) {
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        let Arrived::Http(exchange) = conn.take_arrived(&mut self.core.incomplete) else { return };
        self.go_on(key, exchange);
    }

    fn go_on(&mut self, key: Key, mut exchange: Box<Exchange>) {
        let mut bytes = std::mem::take(&mut exchange.bytes);
        let Self { core, service, .. } = self;
        let (used, step) = guarded(core, key, |core| advance(core, service, key, &mut exchange, &bytes));
        bytes.drain(..used);
        self.conclude(key, step, *exchange, bytes);
    }

    /// Does what the last request that was looked at asks for; `rest` is what is not dealt with.
    fn conclude(&mut self, key: Key, step: Step, mut exchange: Exchange, mut rest: Vec<u8>) {
        match step {
            Step::Incomplete if rest.is_empty() => {}
            Step::Incomplete => {
                if let Some(body) = &exchange.body {
                    // The body has been decoded as far as it came: neither its raw bytes nor their buffer are needed any longer.
                    let mut head = self.core.store.buffers.take(body.head_bytes);
                    head.extend_from_slice(&rest[..body.head_bytes]);
                    self.core.store.buffers.give(std::mem::replace(&mut rest, head));
                }
                exchange.bytes = rest;
                return self.core.keep(key, exchange);
            }
            Step::Deferred(_, awaited) => {
                // That request is dealt with: what follows it begins with a head of its own.
                let exchange = Exchange { bytes: rest, awaited: Some(awaited), ..Exchange::default() };
                return self.core.keep(key, exchange);
            }
            Step::Upgraded(_) => {
                self.call_opened();
                return self.frames_of(key, rest);
            }
            Step::Moves(shard) => return self.hand_over(key, shard, rest),
            Step::Answered(_) | Step::Over => {}
        }
        self.core.store.buffers.give(rest);
    }

    /// Decodes frames that are not in the scratch any more: they came in behind a handshake, or had to wait.
    pub(super) fn frames_of(&mut self, key: Key, mut bytes: Vec<u8>) {
        let is_framed = |stage| matches!(stage, Stage::Open | Stage::Closing);
        if !bytes.is_empty() && self.core.table.conn(key).is_some_and(|conn| is_framed(conn.stage)) {
            let Self { core, service, io, .. } = self;
            core.cork_for(key, &[]);
            let retired = decode(core, service, key, &mut bytes, || io.now());
            self.uncork(key, retired);
        }
        self.core.store.buffers.give(bytes);
    }
}

/// Calls the service for as many requests as there are; a panic ends the connection.
fn guarded<S: Service>(
    core: &mut Core<S>,
    key: Key,
    work: impl FnOnce(&mut Core<S>) -> (usize, Step),
) -> (usize, Step) {
    catch_unwind(AssertUnwindSafe(|| work(core))).unwrap_or_else(|_| {
        core.blame(Some(key));
        (0, Step::Over)
    })
}

/// Goes through the requests in `bytes`. Returns how many bytes are dealt with, and where it stopped.
fn advance<S: Service>(
    core: &mut Core<S>,
    service: &mut S,
    key: Key,
    exchange: &mut Exchange,
    bytes: &[u8],
) -> (usize, Step) {
    let mut used = 0;
    loop {
        match step(core, service, key, exchange, &bytes[used..]) {
            Ok(Step::Answered(n)) => {
                used += n;
                *exchange = Exchange { since: core.now, ..Exchange::default() };
                if core.table.conn(key).is_none_or(|conn| conn.stage != Stage::Head) {
                    return (used, Step::Over);
                }
                // One that sends requests and takes no answers is to wait: the outbox is bounded for it as for others.
                if used == bytes.len() || core.is_paused(key) {
                    return (used, Step::Incomplete);
                }
            }
            Ok(stop @ (Step::Upgraded(n) | Step::Deferred(n, _))) => return (used + n, stop),
            Ok(stop) => return (used, stop),
            Err(cause) => {
                let head_only = bytes[used..].starts_with(b"HEAD ");
                core.fail_request(key, cause, head_only);
                return (used, Step::Over);
            }
        }
    }
}

/// Looks at the first request in `bytes`.
fn step<S: Service>(
    core: &mut Core<S>,
    service: &mut S,
    key: Key,
    exchange: &mut Exchange,
    bytes: &[u8],
) -> Result<Step, Cause> {
    let mut slots = HeaderSlots::new();
    let body = match &mut exchange.body {
        Some(body) => body,
        none => {
            let Some(head_bytes) = exchange.scan.find_within(bytes, core.config.head_bytes_max)? else {
                return Ok(Step::Incomplete);
            };
            let request = Request::parse(&bytes[..head_bytes], &mut slots)?.over(core.is_secure(key));
            let decoder = Body::new(request.framing(), core.config.body_bytes_max)?;
            if decoder.is_complete() {
                return Ok(core.dispatch(service, key, &request, &[])?.into_step(head_bytes));
            }
            if bytes.len() == head_bytes && request.expects_continue() {
                core.queue(key, Unit::own(CONTINUE.to_vec()), false);
            }
            none.insert(Incoming { head_bytes, decoder, bytes: Vec::new(), since: core.now })
        }
    };
    let head_bytes = body.head_bytes;
    let n = head_bytes + body.decoder.feed(&bytes[head_bytes..], &mut body.bytes)?;
    if !body.decoder.is_complete() {
        return Ok(Step::Incomplete);
    }
    let body = std::mem::take(&mut body.bytes);
    let mut slots = HeaderSlots::new();
    let request = Request::parse(&bytes[..head_bytes], &mut slots)?.over(core.is_secure(key));
    Ok(core.dispatch(service, key, &request, &body)?.into_step(n))
}

/// What the service made of a request.
enum Dispatched {
    Answered,
    Upgraded,
    Deferred(Awaited),
    Moves(usize),
}

impl Dispatched {
    fn into_step(self, n: usize) -> Step {
        match self {
            Self::Answered => Step::Answered(n),
            Self::Upgraded => Step::Upgraded(n),
            Self::Deferred(awaited) => Step::Deferred(n, awaited),
            Self::Moves(shard) => Step::Moves(shard),
        }
    }
}

impl<S: Service> Core<S> {
    /// Puts a complete request to the service and does what it replies.
    fn dispatch(
        &mut self,
        service: &mut S,
        key: Key,
        request: &Request<'_>,
        body: &[u8],
    ) -> Result<Dispatched, Cause> {
        if self.handshake_ends(key) {
            self.gate.handshakes_left = self.gate.handshakes_left.saturating_sub(1);
        }
        let request = &self.introduce(key, *request)?;
        let accept = if request.is_upgrade() { Some(self.check_upgrade(request)?) } else { None };
        let manner = Manner { head_only: request.method() == "HEAD", keep_alive: request.keep_alive() };
        if accept.is_some() && self.draining.is_closing {
            self.turn_back(key, manner);
            return Ok(Dispatched::Answered);
        }
        match (service.request(self, key, request, body, accept.is_some()), accept) {
            (Reply::Respond(response), None) => self.respond(key, &response, manner),
            (Reply::Respond(response), Some(_)) => self.refuse_with(key, &response, manner),
            (Reply::Refuse(cause), _) => return Err(cause),
            (Reply::Upgrade { subprotocol }, Some(accept)) => {
                self.upgrade(key, &accept, subprotocol.as_deref());
                return Ok(Dispatched::Upgraded);
            }
            (Reply::Upgrade { .. }, None) => return Err(Cause::UpgradeRequired),
            (reply @ (Reply::Defer(ticket) | Reply::Hold(ticket)), accept) => {
                if let Some(conn) = self.table.conn_mut(key) {
                    conn.stage = Stage::Waiting;
                }
                let is_held = matches!(reply, Reply::Hold(_));
                if !is_held {
                    self.watch_answer(key);
                }
                let (number, since) = (ticket.number, self.now);
                return Ok(Dispatched::Deferred(Awaited { number, since, is_held, manner, accept }));
            }
            (Reply::Move { shard }, _) => return Ok(Dispatched::Moves(shard)),
        }
        Ok(Dispatched::Answered)
    }

    fn check_upgrade(&self, request: &Request<'_>) -> Result<Accept, Cause> {
        let accept = handshake::check(request)?;
        if self.accepts_origin(request) { Ok(accept) } else { Err(Cause::OriginRefused) }
    }

    /// Whether a request names no origin, as clients that are no browsers do, or one that `origins` accepts.
    pub fn accepts_origin(&self, request: &Request<'_>) -> bool {
        match (&self.config.origins, request.origin()) {
            (Origins::Only(origins), Some(origin)) => origins.iter().any(|accepted| accepted == origin),
            _ => true,
        }
    }

    /// Whether a peer is not read until it has taken more of what is queued for it.
    pub fn is_paused(&self, key: Key) -> bool {
        self.table.conn(key).is_some_and(|conn| conn.flags.any(Flags::PAUSED))
    }

    /// Keeps what is not dealt with until more comes, or until the answer does.
    fn keep(&mut self, key: Key, exchange: Exchange) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if matches!(conn.stage, Stage::Head | Stage::Waiting) {
            conn.keep_arrived(Arrived::Http(Box::new(exchange)), &mut self.incomplete);
        }
    }
}
