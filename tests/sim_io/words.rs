//! What clients and handlers say: filler that both can check, and the shape of what is sent.

/// The namespaces: one that middleware decides about at once, one for which it takes its time.
pub const SPACES: [&str; 2] = ["/", "/later"];
pub const NOW: usize = 0;
pub const LATER: usize = 1;

/// About every so many clients nobody ever decides.
pub const UNDECIDED: u32 = 7;

/// Rooms, few enough to be shared.
pub const ROOMS: u32 = 3;

/// Whoever speaks from another thread.
pub const HANDLE: u32 = 0;

pub fn room(number: u32) -> String {
    format!("room {number}")
}

/// So many letters that follow from a number.
pub fn filler(salt: u32, bytes: usize) -> String {
    (0..bytes).map(|at| char::from(b'a' + ((salt as usize * 31 + at * 7) % 26) as u8)).collect()
}

pub fn is_filler(salt: u32, text: &str) -> bool {
    text == filler(salt, text.len())
}

/// What a client says: its uid, the number of what it says, what is to be done, with what, and filler.
pub type Said = (u32, u32, String, u32, String);
