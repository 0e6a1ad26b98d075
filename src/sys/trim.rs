//! Memory that the allocator keeps after it was freed, given back to the kernel.
//!
//! glibc gives back what is freed at the end of an arena alone, so one small piece that lives on pins all that was freed before
//! it. The program calls this every few seconds; the library never does: the allocator is its host's business. Beside `fd_table`
//! and `source` this is the third file here with `unsafe`: no crate that is used has the call.

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
