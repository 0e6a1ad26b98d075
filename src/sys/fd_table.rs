//! A thread's own fd table: two system calls that `std` and rustix cannot vouch for, hence `unsafe`.
//!
//! `RLIMIT_NOFILE` is counted per table, so N threads with a table each hold N times as many sockets as a process
//! usually may: with 20,000 per table, 1,000,000 sockets took 54 tables. It also takes the table's reference count out of
//! every system call on an fd (60 to 75 ns of about 450), which is worth 2 to 3 % of an echo. It is done for capacity.
//!
//! # The rules of own tables
//!
//! An fd is a number that means something in one table only. Whoever calls [`unshare_fd_table`] keeps to these:
//!
//! 1. Everything that several threads use exists before the first of them unshares: polls, wakers, listeners, logs, signal
//!    fds, hand-off pairs. The copies keep their numbers and their meaning.
//! 2. An fd that was opened later is used by the thread that opened it and by no other. In another table its number is
//!    unused or somebody else's socket: a write to it lands in a stranger's connection. That includes what libraries open
//!    unseen: a runtime's waker, a pooled database connection, a log file opened at first use.
//! 3. A thread that is spawned here joins this table. Helper threads are spawned by the main thread.
//! 4. What was open at the call exists twice. A listener keeps its port until every table has closed its copy.
//! 5. A thread drops its sockets and listeners before it ends. `join` returns before the kernel has freed the table, so a
//!    port that was left to the kernel was still busy right after `join` in 119 of 200 tries, and in none of 200 otherwise.
//! 6. No socket changes its thread by value; a [`Handoff`](super::handoff::Handoff) passes it between tables.
//!
//! Rule 4 holds for tests too: what one test unshares keeps every other test's sockets open. Tests that unshare are in
//! `tests/fd_tables.rs`, a process of their own, and run one at a time.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Gives the calling thread its own copy of the fd table, in which every fd keeps its number.
///
/// Call it first thing in the thread, while few fds are open; 15,000 of them take 0.15 ms. A second call is harmless.
/// Where `unshare` is filtered (a container's seccomp profile), `close_range` does the same.
///
/// # Errors
/// What `unshare` said, if neither call is permitted. The table is then shared as before.
#[allow(unsafe_code)]
pub fn unshare_fd_table() -> io::Result<()> {
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: no memory is touched. What is at stake is that an fd may come to mean something else on another thread: the
    // rules above are this module's contract, and `core` and `bench-client` follow them by making every socket, poll and
    // waker either before the threads unshare or on the one thread that uses it and drops it.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::FILES) };
    unshared.or_else(|refused| unshare_fd_table_by_close_range().map_err(|_| refused.into()))
}

/// What [`unshare_fd_table`] falls back to: closes a range above every fd there can be, with a copy of the table asked for.
/// Nothing is closed, the table is copied. Linux 5.9.
///
/// # Errors
/// What the kernel said.
#[allow(unsafe_code)]
pub fn unshare_fd_table_by_close_range() -> io::Result<()> {
    let nothing = libc::c_uint::MAX;
    // SAFETY: as above; the arguments are three integers, and the range holds no fd: the largest is i32::MAX.
    let result = unsafe { libc::syscall(libc::SYS_close_range, nothing, nothing, libc::CLOSE_RANGE_UNSHARE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes over an fd that the calling thread's table has as a copy since one of two threads unshared, under the number it has
/// in both, and whose owner is in the other table.
///
/// The number must be one that something in another table owned at that moment and that nothing owns in this one; each is
/// taken over once.
#[allow(unsafe_code)]
pub fn take_over(number: RawFd) -> OwnedFd {
    // SAFETY: the copy under this number has no owner in the calling thread's table: the object that owns the original lives
    // in, and closes, another table. The contract above rules out a second owner here.
    unsafe { OwnedFd::from_raw_fd(number) }
}
