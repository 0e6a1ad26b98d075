//! Masking (RFC 6455 §5.3): the same operation both ways, in place.
//!
//! Called by the decoder on every payload a server receives, and by the client side of the encoder.

/// XORs `bytes` with `mask`, which begins at its byte `phase % 4`: how many payload bytes came before these.
///
/// Blocks of 32 bytes become vector operations; what is left is at most one step of 16, 8 and 4 bytes and three single
/// ones. Every step's size is a multiple of 4, so the phase is settled once.
#[inline(always)]
pub fn unmask(bytes: &mut [u8], mask: [u8; 4], phase: usize) {
    let mask = turned(mask, phase);
    let rest = steps::<32>(bytes, mask);
    let rest = steps::<16>(rest, mask);
    let rest = steps::<8>(rest, mask);
    let rest = steps::<4>(rest, mask);
    for (byte, key) in rest.iter_mut().zip(mask) {
        *byte ^= key;
    }
}

/// Copies `from` to the start of `to` and XORs it with `mask` on the way, as [`unmask`] would. With a mask of zeros it
/// is a plain copy.
///
/// One pass instead of two, and no `rep movsb`, which at some offsets is 15 times slower
/// (see [`extend`](crate::base::pool::extend)): 256 KiB take 6 to 8 µs at every offset.
///
/// # Panics
/// If `to` is shorter than `from`.
pub fn copy_unmasked(to: &mut [u8], from: &[u8], mask: [u8; 4], phase: usize) {
    let mask = turned(mask, phase);
    let (to_steps, to_rest) = to[..from.len()].as_chunks_mut::<32>();
    let (from_steps, from_rest) = from.as_chunks::<32>();
    for (to, from) in to_steps.iter_mut().zip(from_steps) {
        for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<4>().0) {
            *to = (u32::from_ne_bytes(*from) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
        }
    }
    to_rest.copy_from_slice(from_rest);
    unmask(to_rest, mask, 0);
}

/// The mask as it goes on after `phase` bytes. As a number it is one instruction, and none where the phase is known to
/// be 0; turning the array is a call.
#[inline(always)]
const fn turned(mask: [u8; 4], phase: usize) -> [u8; 4] {
    u32::from_le_bytes(mask).rotate_right(8 * (phase % 4) as u32).to_le_bytes()
}

/// XORs as many whole steps of `N` bytes as there are; returns what is left. `N` is a constant and a multiple of 4,
/// which is what lets the compiler turn a step into one or two instructions.
#[inline(always)]
fn steps<const N: usize>(bytes: &mut [u8], mask: [u8; 4]) -> &mut [u8] {
    let (steps, rest) = bytes.as_chunks_mut::<N>();
    for step in steps {
        for word in step.as_chunks_mut::<4>().0 {
            *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one byte at a time.
    fn defined(bytes: &mut [u8], mask: [u8; 4], phase: usize) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte ^= mask[(index + phase) % 4];
        }
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_offset_and_phase() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let source: Vec<u8> = (0..200u8).map(|byte| byte.wrapping_mul(31)).collect();
        for len in (0..=100).chain([127, 128, 129, 180]) {
            for offset in 0..9 {
                for phase in 0..4 {
                    let (mut ours, mut theirs) = (source.clone(), source.clone());
                    unmask(&mut ours[offset..offset + len], mask, phase);
                    defined(&mut theirs[offset..offset + len], mask, phase);
                    assert_eq!(ours, theirs, "length {len}, offset {offset}, phase {phase}");
                    let mut copy = vec![1; len + 1];
                    copy_unmasked(&mut copy, &source[offset..offset + len], mask, phase);
                    assert_eq!(copy[..len], theirs[offset..offset + len], "copy, phase {phase}");
                    assert_eq!(copy[len], 1, "nothing behind it is touched");
                }
            }
        }
    }

    #[test]
    fn any_number_of_parts_equals_the_whole() {
        let mask = [1, 2, 3, 4];
        let source: Vec<u8> = (0..=255).collect();
        let mut whole = source.clone();
        unmask(&mut whole, mask, 0);
        for part in 1..40 {
            let (mut parts, mut phase) = (source.clone(), 0);
            for chunk in parts.chunks_mut(part) {
                unmask(chunk, mask, phase);
                phase += chunk.len();
            }
            assert_eq!(parts, whole, "parts of {part}");
        }
    }
}
