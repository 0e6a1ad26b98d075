//! Opens what a request names, beneath a root and nowhere else.
//!
//! The one place of throng that opens a file for a client. The kernel itself sees to it that no step of the way leaves the
//! root (`openat2`), so there is no moment between a check and its use. Nothing here waits: a FIFO without a writer is opened
//! at once, found to be no file, and closed.
//!
//! The root is opened for every call, by its path, and no fd is kept: an fd of another thread means nothing on a shard
//! with a table of its own, and a directory that is replaced by another is followed. So two fds are in use for a moment.

use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, Result, pread, retry_on_intr};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Entry {
    /// A regular file, open for reading.
    File(File, Metadata),
    /// A directory.
    Directory,
    /// Nothing that can be served: nothing at all, no permission, a device, a way out of the root.
    Nothing,
}

/// For a directory that is only passed through.
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// For the end of the way. A terminal does not become the process's own.
const END: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens `relative`, names with single slashes between them of which none is `.` or `..`, beneath `root`.
///
/// Symbolic links are followed while they stay beneath the root. One to an absolute path does not, wherever it leads.
///
/// # Errors
/// The host is at its end (no fd, no memory), or the file is there and cannot be opened.
pub(super) fn open(root: &Path, relative: &str) -> Result<Entry> {
    let opened = openat(CWD, root, STEP, Mode::empty()).and_then(|root| {
        match open_beneath(root.as_fd(), relative) {
            // Before Linux 5.6, and in sandboxes that know no newer calls.
            Err(Errno::NOSYS | Errno::PERM) => walk(root, relative),
            opened => opened,
        }
    });
    let file = match opened {
        Ok(opened) => File::from(opened),
        Err(error) if is_absent(error) => return Ok(Entry::Nothing),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(match metadata.file_type() {
        kind if kind.is_file() => Entry::File(file, metadata),
        kind if kind.is_dir() => Entry::Directory,
        _ => Entry::Nothing,
    })
}

fn open_beneath(root: BorrowedFd<'_>, relative: &str) -> Result<OwnedFd> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    retry_on_intr(|| openat2(root, relative, END, Mode::empty(), within))
}

/// The same step by step, following no symbolic link at all.
fn walk(root: OwnedFd, relative: &str) -> Result<OwnedFd> {
    let (steps, end) = relative.rsplit_once('/').map_or((None, relative), |(steps, end)| (Some(steps), end));
    let mut directory = root;
    for step in steps.into_iter().flat_map(|steps| steps.split('/')) {
        directory = openat(&directory, step, STEP | OFlags::NOFOLLOW, Mode::empty())?;
    }
    retry_on_intr(|| openat(&directory, end, END | OFlags::NOFOLLOW, Mode::empty()))
}

/// Whether an error says that there is nothing to be had for this client. Whether a file is missing or may not be read is
/// none of its business.
fn is_absent(error: Errno) -> bool {
    matches!(
        error,
        // Not there, or the way leads through something that is no directory.
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ
        // Out of the root, round in circles, or renamed on the way.
        | Errno::XDEV | Errno::LOOP | Errno::AGAIN
        // Not readable, or a socket or device.
        | Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV
    )
}

/// Reads `count` bytes from `first` on.
///
/// # Errors
/// What the kernel said, or `IO` where the file has become shorter.
pub(super) fn read(file: &File, first: u64, count: usize) -> Result<Vec<u8>> {
    let mut content = Vec::with_capacity(count);
    while content.len() < count {
        let at = first + content.len() as u64;
        if retry_on_intr(|| pread(file, rustix::buffer::spare_capacity(&mut content), at))? == 0 {
            return Err(Errno::IO);
        }
    }
    content.truncate(count);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dir;
    use super::*;

    #[test]
    fn without_the_kernels_help_no_link_is_followed() {
        let dir = Dir::new();
        let content = |names: &str| {
            let root = openat(CWD, dir.root(), STEP, Mode::empty()).unwrap();
            let file = File::from(walk(root, names).ok()?);
            Some(read(&file, 0, file.metadata().unwrap().len() as usize).unwrap())
        };
        for (names, expected) in [("a.txt", "letters"), ("sub/page.html", "page"), ("b c.txt", "space")] {
            assert_eq!(content(names).as_deref(), Some(expected.as_bytes()), "{names}");
        }
        for names in [
            "in.txt",
            "out.txt",
            "linked/page.html",
            "away/secret.txt",
            "away/root/a.txt",
            "etc/passwd",
            "missing",
            "a.txt/b",
            "sub/missing",
        ] {
            assert_eq!(content(names), None, "{names}");
        }
    }

    #[test]
    fn what_became_shorter_is_an_error_and_what_became_longer_is_cut() {
        let dir = Dir::new();
        let Ok(Entry::File(file, _)) = open(&dir.root(), "a.txt") else { panic!("the file is there") };
        assert_eq!(read(&file, 0, 7).as_deref(), Ok(&b"letters"[..]));
        assert_eq!(read(&file, 2, 3).as_deref(), Ok(&b"tte"[..]));
        assert_eq!(read(&file, 0, 8), Err(Errno::IO));
        assert_eq!(read(&file, 7, 1), Err(Errno::IO));
        assert_eq!(read(&file, 7, 0).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn only_a_host_at_its_end_is_an_error() {
        for error in
            [Errno::NOENT, Errno::NOTDIR, Errno::ACCESS, Errno::LOOP, Errno::XDEV, Errno::NAMETOOLONG]
        {
            assert!(is_absent(error), "{error}");
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::STALE] {
            assert!(!is_absent(error), "{error}");
        }
    }
}
