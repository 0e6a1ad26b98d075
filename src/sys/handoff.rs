//! Passing an open socket from one fd table to another, with the bytes that belong to it.
//!
//! A pair of connected `SOCK_SEQPACKET` sockets: one `sendmsg` is one packet, whole or not at all, in order. The kernel
//! opens the fd anew in the receiver's table (`SCM_RIGHTS`). About 10 µs each; 2,000 of 2,000 arrived in a prototype.
//! Pairs are made before the threads unshare. `core` decides who sends what to whom.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Bytes of a packet at most. The kernel's default send buffer (208 KiB) holds at least one packet of this size with what
/// the kernel adds to it.
pub const PACKET_BYTES_MAX: usize = 64 << 10;

/// One end of a pair; each end sends and receives. Nonblocking and close-on-exec.
#[derive(Debug)]
pub struct Handoff(OwnedFd);

/// A packet that came out of a [`Handoff`].
#[derive(Debug)]
pub struct Received {
    /// The fd, open in this table and close-on-exec. `None` if this table was full: the kernel has then closed it, and the
    /// bytes say whose it was.
    pub fd: Option<OwnedFd>,
    /// How many bytes came with it.
    pub bytes: usize,
}

impl Handoff {
    /// Two connected ends. Make them before any thread unshares its table, so that each finds its end in its own.
    ///
    /// # Errors
    /// The fd table or the system is out of fds.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (left, right) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(left), Self(right)))
    }

    /// Sends `fd` and the bytes that belong to it. The caller's own fd stays open: drop it after this succeeded.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) while the other end has not read what was sent before; it becomes
    /// writable again. [`InvalidInput`](io::ErrorKind::InvalidInput) for no bytes at all (which would read as the end) or
    /// more than [`PACKET_BYTES_MAX`]. `BrokenPipe` or a reset when the other end is gone. Nothing was sent in any of them.
    pub fn send(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || bytes.len() > PACKET_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)), "the space is for one fd");
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Receives the next packet into `buffer`, which [`PACKET_BYTES_MAX`] always suffices for.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none waits; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the
    /// other end is gone and all it sent has been read; [`InvalidData`](io::ErrorKind::InvalidData) if `buffer` was too
    /// small, the packet is then lost and its fd closed.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fd = fds.next().and_then(|mut fds| fds.next());
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Received { fd, bytes: message.bytes })
    }
}

impl AsFd for Handoff {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Handoff {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn tcp_pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn packets_keep_their_borders_and_their_order_until_the_pair_is_full() {
        let (from, to) = Handoff::pair().unwrap();
        let (_client, server) = tcp_pair();
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        assert_eq!(to.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let packet = |n: usize| vec![n as u8; 1 + (n * 7919) % PACKET_BYTES_MAX];
        let full = (0..).find_map(|n| from.send(server.as_fd(), &packet(n)).err().map(|error| (n, error)));
        let (sent, error) = full.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        for n in 0..sent {
            let received = to.receive(&mut buffer).unwrap();
            assert!(received.fd.is_some() && buffer[..received.bytes] == packet(n), "{n}");
        }
        assert_eq!(to.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(from.send(server.as_fd(), &packet(sent)).is_ok(), "what was read made room");
    }

    #[test]
    fn the_largest_packet_fits_and_what_cannot_be_sent_is_refused() {
        let (from, to) = Handoff::pair().unwrap();
        let (_client, server) = tcp_pair();
        for wrong in [0, PACKET_BYTES_MAX + 1] {
            let refused = from.send(server.as_fd(), &vec![0; wrong]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        from.send(server.as_fd(), &vec![1; PACKET_BYTES_MAX]).unwrap();
        from.send(server.as_fd(), b"next").unwrap();
        let small = &mut [0; 16];
        assert_eq!(to.receive(small).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(to.receive(small).unwrap().bytes, 4);

        to.send(server.as_fd(), b"last").unwrap();
        drop(to);
        assert_eq!(from.receive(small).unwrap().bytes, 4);
        assert_eq!(from.receive(small).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(from.send(server.as_fd(), b"nobody").is_err());
    }
}
