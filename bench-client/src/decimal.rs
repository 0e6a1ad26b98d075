//! Numbers as text, without an allocation: what a message carries besides its filler.

/// The digits of any number.
pub(crate) type Digits = [u8; 20];

/// A number's digits, at the end of `digits`.
pub(crate) fn decimal(mut number: u64, digits: &mut Digits) -> &[u8] {
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[from..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_largest_have_all_their_digits() {
        for number in [0, 9, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
