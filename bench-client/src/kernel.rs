//! What the load generator needs of Linux and no safe interface offers, and its fd limit.
//!
//! The only file with `unsafe`; called when workers start and when sockets are made.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread an fd table of its own, so that `RLIMIT_NOFILE` counts for it alone.
///
/// Whatever is open stays open here under the same number; what is opened later, here or elsewhere, is not shared.
pub(crate) fn own_fd_table() -> io::Result<()> {
    // SAFETY: the contract is that no fd crosses between this thread and the others afterwards. A worker calls this
    // before it opens anything; it then uses only sockets, the epoll fd and the timer that it made itself, drops them
    // on its own thread, and shares nothing with other threads but memory.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::FILES) };
    if unshared.is_ok() {
        return Ok(());
    }
    // Some containers refuse unshare(2) whatever its flags. An empty range closes nothing but unshares all the same.
    // SAFETY: three integers by value, no memory; the contract is the one above.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, libc::c_uint::MAX, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `IP_BIND_ADDRESS_NO_PORT`: binding to a source address leaves the choice of port to `connect`, which needs it to
/// be unique per pair of addresses and not per source address.
pub(crate) fn bind_address_no_port(socket: BorrowedFd<'_>) -> io::Result<()> {
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
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A monotonic timer as an fd that becomes readable when it expires.
pub(crate) fn timer() -> io::Result<OwnedFd> {
    // SAFETY: two integers by value, no memory.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    // SAFETY: the kernel has just opened this fd for us and nothing else knows of it.
    if fd >= 0 { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) } else { Err(io::Error::last_os_error()) }
}

/// Sets a timer to expire once, so many nanoseconds from now; 0 stops it.
pub(crate) fn set_timer(timer: BorrowedFd<'_>, nanoseconds: u64) -> io::Result<()> {
    let value = libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    };
    let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    // SAFETY: the kernel only reads `once`, which outlives the call; a null old value is allowed.
    let result =
        unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const once, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes an epoll report every time `fd` becomes readable (edge-triggered), as an event with this token.
pub(crate) fn watch(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: token };
    // SAFETY: the kernel only reads `event`, which outlives the call; both fds are borrowed for its length.
    let result =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft fd limit to the hard one and returns it: the fds one table can hold.
pub(crate) fn raise_fd_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fd_opened_after_the_split_is_not_seen_by_others() {
        let (opened, done) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let thread = std::thread::spawn(move || {
            own_fd_table().unwrap();
            let file = std::fs::File::open("/proc/self/status").unwrap();
            let path = format!(
                "/proc/self/task/{}/fd/{}",
                rustix::thread::gettid().as_raw_nonzero(),
                file.as_raw_fd()
            );
            opened.0.send((path, file.as_raw_fd())).unwrap();
            done.1.recv().unwrap_err();
            drop(file);
        });
        let (path, number) = opened.1.recv().unwrap();
        let theirs = std::fs::read_link(path).unwrap();
        let ours = std::fs::read_link(format!("/proc/self/fd/{number}"));
        assert!(theirs.ends_with("status"));
        assert!(!ours.is_ok_and(|ours| ours == theirs));
        drop(done.0);
        thread.join().unwrap();
    }

    #[test]
    fn two_sockets_may_leave_one_address_without_a_port() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        bind_address_no_port(std::os::fd::AsFd::as_fd(&socket)).unwrap();
        let source: std::net::SocketAddr = "127.0.1.7:0".parse().unwrap();
        socket.bind(&source.into()).unwrap();
        assert_eq!(
            socket.local_addr().unwrap().as_socket().unwrap().port(),
            0,
            "no port is taken before connect"
        );
        assert!(raise_fd_limit() >= 64);
    }
}
