//! Where an outgoing connection leaves from. `bench-client` asks for it; a server never does.
//!
//! A source address has about 28,000 ports towards one target, so 100,000 connections leave from several. Beside
//! `fd_table` this is the second file here with `unsafe`: neither std, socket2 nor rustix has this one socket option.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::SockRef;

/// Binds a socket to a source address and leaves the choice of its port to `connect` (`IP_BIND_ADDRESS_NO_PORT`).
///
/// `connect` needs a port that is free towards this one target. `bind` alone would take one that is free towards all of
/// them, and the search for it slows down as the address fills.
///
/// # Errors
/// What the kernel said: not an address of this host, or not of the socket's family.
#[allow(unsafe_code)]
pub fn bind_source(socket: BorrowedFd<'_>, source: IpAddr) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length describe `on`, which outlives the call; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    SockRef::from(&socket).bind(&SocketAddr::new(source, 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::os::fd::AsFd;

    #[test]
    fn the_port_is_chosen_at_connect_and_may_be_the_same_towards_two_targets() {
        let socket = |source: &str| {
            let source: IpAddr = source.parse().unwrap();
            let socket =
                Socket::new(Domain::for_address(SocketAddr::new(source, 0)), Type::STREAM, None).unwrap();
            bind_source(socket.as_fd(), source).map(|()| socket)
        };
        let local = |socket: &Socket| socket.local_addr().unwrap().as_socket().unwrap();
        for (source, target) in [("127.0.1.7", "127.0.0.1:0"), ("::1", "[::1]:0")] {
            let listener = std::net::TcpListener::bind(target).unwrap();
            let socket = socket(source).unwrap();
            assert_eq!(local(&socket).port(), 0, "no port is taken before connect");
            socket.connect(&listener.local_addr().unwrap().into()).unwrap();
            assert_eq!(local(&socket).ip().to_string(), source);
            assert_ne!(local(&socket).port(), 0);
        }
        assert!(socket("192.0.2.1").is_err(), "an address that is for documentation is nobody's");
    }
}
