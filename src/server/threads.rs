//! Starting the shards: everything that can fail is made here, on the main thread, then each shard's part moves to its
//! thread, which only runs.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{io, thread};

use crossbeam_channel::{Sender, bounded};

use crate::app::handle::Handle;
#[cfg(feature = "socketio")]
use crate::app::io::Parser;
use crate::app::raw::{Handler, Offload, Raw, RawMail, Remote};
use crate::base::config::{Config, FdTables};
use crate::base::error::SetupError;
use crate::core::drain::Cut;
use crate::core::epoll::{Epoll, EpollParts, Transport};
use crate::core::parcels::pack_foreign;
use crate::core::shard::{Seed, Shard, Turn};
#[cfg(feature = "tls")]
use crate::core::tls::{Sessions, Tls};
use crate::sys::fd_table;
use crate::sys::handoff::Handoff;
use crate::sys::pin::pin_to_nth_core;

use super::plan::Plan;
use super::running::Server;
use super::shared::Shared;

/// One shard's part, on its way to its thread.
struct Part<H: Handler> {
    seed: Seed<RawMail<H>>,
    io: EpollParts,
    /// Under own fd tables: the listeners of all shards, by number, to be taken over in the thread's own table.
    foreign: Vec<RawFd>,
}

pub(super) fn start<H: Handler>(
    config: Config,
    plan: Plan,
    listeners: Vec<Vec<TcpListener>>,
    #[cfg(feature = "tls")] tls: Vec<Option<Tls>>,
    #[cfg(feature = "socketio")] parser: Parser,
    make: impl Fn(usize, Arc<Remote<H>>) -> Raw<H> + Send + Sync + 'static,
) -> Result<Server, SetupError> {
    let refused =
        |error| SetupError::host("set up the shards", error, "the fd limit may be too small: see ulimit -n");
    let addresses: Vec<SocketAddr> =
        listeners.iter().filter_map(|shards| shards[0].local_addr().ok()).collect();
    let binds = listeners.len();
    let is_own = config.fd_tables == FdTables::Own;
    let offload_threads = config.offload_threads;
    #[cfg(feature = "tls")]
    let (handshakes, handshake_bytes) = (config.tls_handshakes_per_turn, config.tls_handshake_bytes_max);
    let (shared, inboxes) = Shared::new(config, plan.shards, plan.max_connections);

    let mut ios =
        (0..plan.shards).map(|_| EpollParts::new()).collect::<io::Result<Vec<_>>>().map_err(refused)?;
    let wakers: Vec<_> = ios.iter().map(EpollParts::waker).collect();
    let mut outgoing = Vec::new();
    let mut incoming = Vec::new();
    if is_own {
        for _ in 0..plan.shards {
            let (to, from) = Handoff::pair().map_err(refused)?;
            outgoing.push(to);
            incoming.push(from);
        }
    }
    let outgoing: Arc<[Handoff]> = outgoing.into();
    for (shard, (io, incoming)) in ios.iter_mut().zip(incoming).enumerate() {
        io.transport = Transport::Own { shard: shard as u16, incoming, outgoing: outgoing.clone() };
    }

    let left_behind: Vec<RawFd> =
        if is_own { ios.iter().flat_map(EpollParts::left_behind).collect() } else { Vec::new() };

    let offload = Offload::start(offload_threads).map_err(refused)?;
    let wake = {
        let wakers = wakers.clone();
        // The eventfd's counter cannot overflow; a shard that is gone has nothing to be woken for.
        Arc::new(move |shard: usize| drop(wakers[shard].wake()))
    };
    let pack = {
        let outgoing = is_own.then(|| outgoing.clone());
        Box::new(move |stream, shard, count| {
            pack_foreign(stream, outgoing.as_ref().map(|outgoing: &Arc<[Handoff]>| &outgoing[shard]), count)
        })
    };
    let remote = shared.remote(
        wake,
        offload,
        pack,
        #[cfg(feature = "tls")]
        distinct(&tls),
        #[cfg(feature = "socketio")]
        parser,
    );

    // Listeners are numbered shard by shard; a shard under a shared table knows only its own.
    let mut per_shard: Vec<Vec<TcpListener>> = (0..plan.shards).map(|_| Vec::new()).collect();
    for shards in listeners {
        per_shard.iter_mut().zip(shards).for_each(|(own, listener)| own.push(listener));
    }
    let foreign: Vec<RawFd> =
        if is_own { per_shard.iter().flatten().map(AsRawFd::as_raw_fd).collect() } else { Vec::new() };

    let (ready, readiness) = bounded(plan.shards);
    let make = Arc::new(make);
    let mut threads = Vec::new();
    let mut not_spawned = None;
    let mut kept = Vec::new();
    for (shard, ((mut io, inbox), own)) in ios.into_iter().zip(inboxes).zip(per_shard).enumerate() {
        io.wakers = wakers.clone();
        let listeners = if is_own {
            kept.extend(own);
            (0..plan.shards * binds).map(|number| number / binds == shard).collect()
        } else {
            io.listeners = own;
            vec![true; binds]
        };
        let seed = shared.seed(shard, inbox, plan.per_shard, listeners);
        #[cfg(feature = "tls")]
        {
            io.tls.clone_from(&tls);
            io.sessions = Sessions::new(handshakes, handshake_bytes, seed.counters.clone());
        }
        let part = Part { seed, io, foreign: foreign.clone() };
        let (make, remote, ready) = (make.clone(), remote.clone(), ready.clone());
        let thread = thread::Builder::new()
            .name(format!("throng-{shard}"))
            .spawn(move || run(part, make.as_ref(), remote, ready));
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                not_spawned = Some(error);
                break;
            }
        }
    }
    drop(ready);
    if let Some(error) = not_spawned {
        // Those that run already would go on accepting, and nobody could stop them.
        remote.stop(0);
        threads.into_iter().for_each(|thread| drop(thread.join()));
        return Err(refused(error));
    }
    let started: Result<Vec<()>, io::Error> = readiness.iter().take(plan.shards).collect();
    // Every table has its own copy by now: the main thread's would keep the ports bound when the shards have ended.
    drop(kept);
    let handle = Handle::new(remote);
    #[cfg(feature = "tls")]
    let secure = addresses.iter().zip(&tls).filter(|(_, tls)| tls.is_some()).map(|(one, _)| *one).collect();
    let server = Server::new(
        handle,
        threads,
        addresses,
        #[cfg(feature = "tls")]
        secure,
        plan,
    );
    match started {
        Ok(up) if up.len() == plan.shards => {
            // Every shard is in its own table, and with it what owned these.
            left_behind.into_iter().for_each(|fd| drop(fd_table::take_over(fd)));
            Ok(server)
        }
        Ok(_) => Err(refused(io::Error::other("a shard's handler panicked before it was running"))),
        Err(error) => Err(refused(error)),
    }
}

/// Each of those that there are once, however many addresses speak it.
#[cfg(feature = "tls")]
fn distinct(tls: &[Option<Tls>]) -> Vec<Tls> {
    let mut distinct: Vec<Tls> = Vec::new();
    for one in tls.iter().flatten() {
        if !distinct.iter().any(|known| known.is(one)) {
            distinct.push(one.clone());
        }
    }
    distinct
}

/// A shard's thread.
fn run<H: Handler>(
    part: Part<H>,
    make: &dyn Fn(usize, Arc<Remote<H>>) -> Raw<H>,
    remote: Arc<Remote<H>>,
    ready: Sender<io::Result<()>>,
) -> io::Result<Cut> {
    let mut others = StopOthers(Some(remote.clone()));
    let mut shard = match set_up(part, make, remote) {
        Ok(shard) => {
            // The main thread waits for exactly this, or until nobody is left who could say it.
            let _told = ready.send(Ok(()));
            drop(ready);
            shard
        }
        Err(error) => {
            let _told = ready.send(Err(error));
            return Ok(Cut::default());
        }
    };
    shard.start(|service, core| service.start(core));
    while shard.turn()? == Turn::Again {}
    // It was stopped, and so were the others.
    others.0 = None;
    let cut = shard.cut();
    // All connections are gone. If dropping the handler panics, that is nobody's business any more but its own.
    let _panicked = catch_unwind(AssertUnwindSafe(|| drop(shard)));
    Ok(cut)
}

/// Stops the other shards when one ends that was not stopped, whether by an error or by a panic: whoever joins the server is to
/// hear of it, and waits for all of them.
struct StopOthers<H: Handler>(Option<Arc<Remote<H>>>);

impl<H: Handler> Drop for StopOthers<H> {
    fn drop(&mut self) {
        self.0.iter().for_each(|remote| remote.stop(0));
    }
}

fn set_up<H: Handler>(
    part: Part<H>,
    make: &dyn Fn(usize, Arc<Remote<H>>) -> Raw<H>,
    remote: Arc<Remote<H>>,
) -> io::Result<Shard<Raw<H>, Epoll>> {
    let Part { seed, mut io, foreign } = part;
    if seed.config.fd_tables == FdTables::Own {
        fd_table::unshare_fd_table()?;
        // Every listener has a copy in this table, under its old number and owned by nobody.
        io.listeners = foreign.into_iter().map(|fd| fd_table::take_over(fd).into()).collect();
    }
    if seed.config.pin {
        pin_to_nth_core(seed.shard)?;
    }
    let index = seed.shard;
    let epoll = Epoll::new(io)?;
    Ok(Shard::new(seed, make(index, remote), epoll))
}
