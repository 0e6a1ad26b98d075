//! What peers and service say to each other: a kind, numbers in eight hex digits, then filler that both can check.
//!
//! Everything is ASCII, so the same bytes go as text and as binary.

/// Topics, few enough to be shared.
pub const TOPICS: u32 = 5;

pub fn topic(number: u32) -> String {
    format!("topic {number}")
}

/// A message of at least `bytes` bytes.
pub fn message(kind: u8, fields: &[u32], bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.max(1 + fields.len() * 8));
    out.push(kind);
    for field in fields {
        for shift in (0..8).rev() {
            out.push(b"0123456789abcdef"[(field >> (shift * 4)) as usize & 15]);
        }
    }
    let salt = fields
        .iter()
        .fold(usize::from(kind), |salt, &field| salt.wrapping_mul(31).wrapping_add(field as usize));
    while out.len() < bytes {
        out.push(filler(salt, out.len()));
    }
    out
}

fn filler(salt: usize, at: usize) -> u8 {
    b'A' + (salt.wrapping_add(at.wrapping_mul(7)) % 26) as u8
}

/// Field `index` of a message, if it is there.
pub fn field(message: &[u8], index: usize) -> Option<u32> {
    let digits = message.get(1 + index * 8..9 + index * 8)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The `N` fields of a message whose filler is what it must be.
pub fn fields<const N: usize>(message: &[u8]) -> Option<[u32; N]> {
    let mut fields = [0; N];
    for (index, to) in fields.iter_mut().enumerate() {
        *to = field(message, index)?;
    }
    let salt = fields
        .iter()
        .fold(usize::from(message[0]), |salt, &field| salt.wrapping_mul(31).wrapping_add(field as usize));
    let rest = 1 + N * 8;
    let is_right = message[rest..].iter().enumerate().all(|(at, &byte)| byte == filler(salt, rest + at));
    is_right.then_some(fields)
}
