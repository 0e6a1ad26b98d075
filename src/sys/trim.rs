//! Memory that the allocator keeps after it was freed, given back to the kernel.
//!
//! glibc gives back what is freed at the end of an arena alone, so one small piece that lives on pins all that was freed before
//! it. The program calls both of these every few seconds; the library never does: the allocator is its host's business. Beside
//! `fd_table` and `source` this is the third file here with `unsafe`: no crate that is used has the call.

/// The sizes of what glibc keeps for each thread when it is freed, to give it out again without a lock: every 16 bytes from its
/// smallest piece to its largest, and so many of each.
#[cfg(target_env = "gnu")]
const KEPT_SIZES: std::ops::RangeInclusive<usize> = 24..=1032;
#[cfg(target_env = "gnu")]
const KEPT_OF_EACH: usize = 7;

/// Lets go of what glibc keeps for this thread. Behind a flood those are some 450 small pieces, and each may pin a page that is else
/// empty; no call frees them. So as many new ones are taken, which lie side by side, and are given back first: they are kept, and the
/// others are not. 900 allocations, 50 µs, and 230 KB that the thread keeps from then on. With another C library it does nothing.
pub fn refresh_thread() {
    #[cfg(target_env = "gnu")]
    {
        let take = || {
            let sizes = KEPT_SIZES.step_by(16).flat_map(|size| std::iter::repeat_n(size, KEPT_OF_EACH));
            sizes.map(Vec::<u8>::with_capacity).collect::<Vec<_>>()
        };
        let (kept, new) = (take(), take());
        drop(new);
        drop(kept);
    }
}

/// Gives the kernel the pages back that the allocator keeps and nobody uses. It locks one arena of glibc's after the other, for as
/// long as the walk over what is free in it takes: milliseconds behind a flood, microseconds else. With another C library it does
/// nothing.
#[cfg_attr(target_env = "gnu", allow(unsafe_code))]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, touches no memory that is in use, and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0)
    };
}
