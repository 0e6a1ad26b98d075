//! Listening sockets: one per shard on one port, with the options that every accepted socket inherits.
//!
//! Binds and sets options; never accepts. `core` takes the listeners, `examples/raw_epoll` measures against the same.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

/// What a listener is set up with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenOptions {
    /// The queue of connections not yet accepted; the kernel caps it at `net.core.somaxconn`.
    pub backlog: u32,
    /// `TCP_NOTSENT_LOWAT` in bytes: how much unsent data the kernel takes for a peer before it reports "not writable". 0
    /// leaves the kernel's default.
    pub notsent_lowat: u32,
    /// `SO_REUSEPORT`: whether more listeners of this user may bind the port, the kernel spreading connections over them.
    pub reuse_port: bool,
}

/// Binds `addr` and listens, nonblocking and close-on-exec.
///
/// `TCP_NODELAY` and `TCP_NOTSENT_LOWAT` are set here, once: accepted sockets inherit them, which is two system calls
/// less per connection (23 to 19 µs). An IPv6 address takes no IPv4 connections, whatever `net.ipv6.bindv6only` says.
/// `SO_REUSEADDR` lets a restarted server bind while connections of its predecessor are in TIME_WAIT.
///
/// # Errors
/// What the kernel said: the address in use, not this host's, or below `net.ipv4.ip_unprivileged_port_start`.
pub fn listen(addr: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    let socket = bind(addr, options.reuse_port)?;
    socket.set_tcp_nodelay(true)?;
    if options.notsent_lowat > 0 {
        socket.set_tcp_notsent_lowat(options.notsent_lowat)?;
    }
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Listens `shards` times on one address: a listener per shard, each with a queue of its own.
///
/// Unless the port is to be shared with other servers (`reuse_port`), it is first made sure that nobody listens there.
///
/// With port 0 the first gets a free port and the others join it. `SO_REUSEPORT` alone would let a second server of the same user share the port unnoticed, and every
/// other client would reach the wrong one. One shard needs no sharing and gets a plain listener.
///
/// # Errors
/// As [`listen`]; the port in use is [`AddrInUse`](io::ErrorKind::AddrInUse).
pub fn listen_each(addr: SocketAddr, shards: usize, options: ListenOptions) -> io::Result<Vec<TcpListener>> {
    let is_shared = options.reuse_port;
    let options = ListenOptions { reuse_port: is_shared || shards > 1, ..options };
    if options.reuse_port && !is_shared && addr.port() != 0 {
        // A probe without SO_REUSEPORT: it conflicts with every socket that listens on the port. It never listens, so
        // no client can reach it, and it is gone before the real ones are bound.
        drop(bind(addr, false)?);
    }
    let mut listeners = Vec::with_capacity(shards);
    let mut joined = addr;
    for _ in 0..shards {
        let listener = listen(joined, options)?;
        joined = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Has a listener drop who would begin a connection from here on: the SYN is left unanswered, and the client sends it again
/// a second later. By then the listener is closed, and another one on the port (`SO_REUSEPORT`) gets it. Without this,
/// whoever came between the last accept and the close would be reset. A handshake under way goes on.
///
/// # Errors
/// The kernel has no memory for the filter.
pub fn deafen(listener: &impl AsFd) -> io::Result<()> {
    // Classic BPF over the TCP header (filter(7)): load the flags' byte, and drop what has SYN and not ACK.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, 0x12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

fn bind(addr: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

    const OPTIONS: ListenOptions =
        ListenOptions { backlog: 4096, notsent_lowat: 16 << 10, reuse_port: false };
    const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    /// Accepts from a nonblocking listener on which a connection is known to wait.
    fn accept(listener: &TcpListener) -> TcpStream {
        listener.set_nonblocking(false).unwrap();
        listener.accept().unwrap().0
    }

    #[test]
    fn an_accepted_socket_has_the_listeners_options() {
        let listener = listen(LOOPBACK.into(), OPTIONS).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = accept(&listener);
        assert!(accepted.nodelay().unwrap());
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), 16 << 10);
    }

    #[test]
    fn a_lowat_of_zero_leaves_the_kernels() {
        let listener = listen(LOOPBACK.into(), ListenOptions { notsent_lowat: 0, ..OPTIONS }).unwrap();
        let untouched = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let lowat = |socket: SockRef<'_>| socket.tcp_notsent_lowat().unwrap();
        assert_eq!(lowat(SockRef::from(&listener)), lowat(SockRef::from(&untouched)));
    }

    #[test]
    fn every_shards_listener_has_the_same_port_and_its_own_queue() {
        let listeners = listen_each(LOOPBACK.into(), 3, OPTIONS).unwrap();
        let addr = listeners[0].local_addr().unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == addr));
        // 200 connections miss one of three queues with probability 3 × (2/3)²⁰⁰, about 10⁻³⁵.
        let clients: Vec<_> = (0..200).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let counts: Vec<_> =
            listeners.iter().map(|listener| std::iter::from_fn(|| listener.accept().ok()).count()).collect();
        assert_eq!(counts.iter().sum::<usize>(), clients.len());
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }

    #[test]
    fn a_port_in_use_is_an_error_even_where_it_is_shared() {
        for taken_by in [1, 2] {
            let taken = listen_each(LOOPBACK.into(), taken_by, OPTIONS).unwrap();
            let addr = taken[0].local_addr().unwrap();
            for shards in [1, 2] {
                let refused = listen_each(addr, shards, OPTIONS).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{taken_by} then {shards}");
                let anywhere = (Ipv4Addr::UNSPECIFIED, addr.port()).into();
                let refused = listen_each(anywhere, shards, OPTIONS).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{taken_by} then {shards} anywhere");
            }
        }
    }

    #[test]
    fn a_port_may_be_shared_where_both_servers_say_so() {
        let shared = ListenOptions { reuse_port: true, ..OPTIONS };
        for shards in [1, 2] {
            let first = listen_each(LOOPBACK.into(), shards, shared).unwrap();
            let addr = first[0].local_addr().unwrap();
            assert_eq!(listen_each(addr, 2, shared).unwrap().len(), 2);
            assert_eq!(listen_each(addr, 2, OPTIONS).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn a_restart_binds_while_its_predecessors_connections_live() {
        for shards in [1, 2] {
            let first = listen_each(LOOPBACK.into(), shards, OPTIONS).unwrap();
            let addr = first[0].local_addr().unwrap();
            let client = TcpStream::connect(addr).unwrap();
            let accepted = first.iter().find_map(|listener| listener.accept().ok()).unwrap().0;
            drop(first);
            drop(listen_each(addr, shards, OPTIONS).unwrap());
            // The server closes first, so its end goes to TIME_WAIT and keeps the port for a minute.
            drop(accepted);
            drop(client);
            assert_eq!(listen_each(addr, shards, OPTIONS).unwrap().len(), shards);
        }
    }

    #[test]
    fn a_listener_that_is_deaf_keeps_its_queue_and_leaves_newcomers_to_another_on_its_port() {
        let shared = ListenOptions { reuse_port: true, ..OPTIONS };
        let old = listen(LOOPBACK.into(), shared).unwrap();
        let addr = old.local_addr().unwrap();
        let queued: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
        deafen(&old).unwrap();
        let new = listen(addr, shared).unwrap();
        let connecting: Vec<_> =
            (0..20).map(|_| std::thread::spawn(move || TcpStream::connect(addr))).collect();
        let accepted: Vec<_> = queued.iter().map(|_| accept(&old)).collect();
        old.set_nonblocking(true).unwrap();
        assert_eq!(old.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(old);
        for connected in connecting {
            connected.join().unwrap().unwrap();
            drop(accept(&new));
        }
        drop((queued, accepted));
    }

    #[test]
    fn ipv6_and_ipv4_do_not_take_each_others_port() {
        let v6 = match listen((Ipv6Addr::UNSPECIFIED, 0).into(), OPTIONS) {
            Ok(listener) => listener,
            // A host without IPv6 has nothing to show here.
            Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT)),
        };
        let port = v6.local_addr().unwrap().port();
        let v4 = listen((Ipv4Addr::LOCALHOST, port).into(), OPTIONS).unwrap();
        assert_eq!(v4.local_addr().unwrap().port(), port);
    }
}
