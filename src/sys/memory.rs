//! The memory of a process. `bench-client` reads a server's to say what a connection costs.

use std::{fs, io};

/// What a process holds in user memory. Its sockets' kernel memory is not in it; `/proc/net/sockstat` and slabinfo tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserMemory {
    /// Bytes in memory, shared pages counted in full.
    pub rss_bytes: u64,
    /// Bytes in memory, each shared page divided by the processes that share it.
    pub pss_bytes: u64,
}

/// The user memory of process `pid` at this moment.
///
/// The kernel walks the page tables for it: about 1 ms per 100 MB, during which the process's memory map is locked. Read it
/// between measurements, not during one.
///
/// # Errors
/// There is no such process, or it is another user's.
pub fn user_memory(pid: u32) -> io::Result<UserMemory> {
    parse(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup has no Rss or no Pss"))
}

/// Bytes that this process has in memory, shared pages counted in full: what the kernel counts anyway, so a few
/// microseconds however large it is.
///
/// # Errors
/// `/proc` is not mounted, or there is no fd left to read it by.
pub fn resident_bytes() -> io::Result<u64> {
    resident("/proc/self/statm")
}

/// The same of process `pid`.
///
/// # Errors
/// There is no such process.
pub fn resident_bytes_of(pid: u32) -> io::Result<u64> {
    resident(&format!("/proc/{pid}/statm"))
}

fn resident(statm: &str) -> io::Result<u64> {
    let counts = fs::read_to_string(statm)?;
    let pages = counts.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages =
        pages.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "statm has no second number"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Bytes of the whole machine's slab memory, where the kernel keeps its side of every socket.
///
/// The kernel counts it late and frees it later still: of two readings the second means something a few tenths of a
/// second after what changed it.
///
/// # Errors
/// `/proc` is not mounted.
pub fn slab_bytes() -> io::Result<u64> {
    bytes(&fs::read_to_string("/proc/meminfo")?, "Slab:")
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "meminfo has no Slab"))
}

fn parse(rollup: &str) -> Option<UserMemory> {
    Some(UserMemory { rss_bytes: bytes(rollup, "Rss:")?, pss_bytes: bytes(rollup, "Pss:")? })
}

fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_seen_to_grow() {
        let me = std::process::id();
        let before = user_memory(me).unwrap();
        let touched = std::hint::black_box(vec![7_u8; 64 << 20]);
        let after = user_memory(me).unwrap();
        // Other tests allocate and free meanwhile, but no 32 MiB.
        assert!(after.rss_bytes >= before.rss_bytes + (32 << 20), "{before:?} {after:?}");
        assert!(after.pss_bytes <= after.rss_bytes && touched[0] == 7);
        assert!(resident_bytes().unwrap() + (8 << 20) > after.rss_bytes);
        assert!(resident_bytes_of(me).unwrap() + (8 << 20) > after.rss_bytes);
        assert!(user_memory(u32::MAX).is_err());
        assert!(slab_bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn the_lines_are_found_among_their_like() {
        let rollup =
            "55c-7ff ---p 00000000 00:00 0 [rollup]\nRss:     2048 kB\nPss:  1024 kB\nPss_Dirty:  9 kB\n";
        assert_eq!(parse(rollup), Some(UserMemory { rss_bytes: 2 << 20, pss_bytes: 1 << 20 }));
        assert_eq!(parse("Pss_Dirty: 9 kB\nRss: 1 kB\n"), None);
    }
}
