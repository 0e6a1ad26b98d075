//! Floating-point numbers as JavaScript writes them (ECMA-262, Number::toString): `1` for 1.0, `1e+21`, `0.000001`.
//!
//! The digits are `serde_json`'s, the shortest that are read back as the same number, as JavaScript's are; where they
//! stand to the point is not the same.

use std::io::{self, Write};

use serde_json::ser::{CompactFormatter, Formatter};

/// Digits before the point that are written without an exponent; JavaScript's own limit.
const WHOLE_DIGITS_MAX: i32 = 21;

/// Zeros behind the point, before the first digit, that are written without an exponent, plus one.
const ZEROS_MAX: i32 = 6;

/// Writes a finite number. Integers below 2⁵³, the most frequent by far, need no more than their digits.
pub(super) fn write_f64<W: ?Sized + Write>(out: &mut W, number: f64) -> io::Result<()> {
    write(out, |buffer| CompactFormatter.write_f64(buffer, number))
}

/// Writes a finite number in single precision, with the digits that it has in that.
pub(super) fn write_f32<W: ?Sized + Write>(out: &mut W, number: f32) -> io::Result<()> {
    write(out, |buffer| CompactFormatter.write_f32(buffer, number))
}

/// `-2.2250738585072014e-308` is the longest there is: 24 bytes.
fn write<W: ?Sized + Write>(
    out: &mut W,
    format: impl FnOnce(&mut &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0; 32];
    let mut free = &mut buffer[..];
    format(&mut free)?;
    let length = 32 - free.len();
    let text = &buffer[..length];
    let Some(at) = text.iter().position(|&byte| byte == b'e') else {
        return match text.strip_suffix(b".0").unwrap_or(text) {
            b"-0" => out.write_all(b"0"),
            text => out.write_all(text),
        };
    };
    let (sign, mantissa) = text[..at].split_at(usize::from(text[0] == b'-'));
    let exponent: i32 = std::str::from_utf8(&text[at + 1..])
        .ok()
        .and_then(|exponent| exponent.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    out.write_all(sign)?;
    lay_out(out, mantissa[0], mantissa.get(2..).unwrap_or_default(), exponent)
}

/// Writes `first.rest × 10^exponent`.
fn lay_out<W: ?Sized + Write>(out: &mut W, first: u8, rest: &[u8], exponent: i32) -> io::Result<()> {
    // `1.0e30`, should it ever be written so, has one digit.
    let rest = if rest == b"0" { b"" } else { rest };
    let zeros = |out: &mut W, count: i32| (0..count).try_for_each(|_| out.write_all(b"0"));
    let digits_behind = rest.len() as i32;
    if (digits_behind..WHOLE_DIGITS_MAX).contains(&exponent) {
        out.write_all(&[first])?;
        out.write_all(rest)?;
        return zeros(out, exponent - digits_behind);
    }
    if (-ZEROS_MAX..0).contains(&exponent) {
        out.write_all(b"0.")?;
        zeros(out, -1 - exponent)?;
        out.write_all(&[first])?;
        return out.write_all(rest);
    }
    out.write_all(&[first])?;
    if !rest.is_empty() {
        out.write_all(b".")?;
        out.write_all(rest)?;
    }
    write!(out, "e{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_does() {
        for (number, written) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (1.5, "1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (100.0, "100"),
            (1e5, "100000"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1.5e16, "15000000000000000"),
            (123456789012345680000.0, "123456789012345680000"),
            (1e20, "100000000000000000000"),
            (9.99e20, "999000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e21, "-1.5e+21"),
            (1.2345e300, "1.2345e+300"),
            (9007199254740993.0, "9007199254740992"),
            (0.01, "0.01"),
            (0.0001, "0.0001"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (-1.25e-6, "-0.00000125"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014e-308"),
        ] {
            let mut out = Vec::new();
            write_f64(&mut out, number).unwrap();
            assert_eq!(std::str::from_utf8(&out).unwrap(), written);
        }
        for (number, written) in [(0.1_f32, "0.1"), (2.0, "2"), (1e10, "10000000000"), (3e-8, "3e-8")] {
            let mut out = Vec::new();
            write_f32(&mut out, number).unwrap();
            assert_eq!(std::str::from_utf8(&out).unwrap(), written);
        }
    }

    #[test]
    fn what_is_written_is_the_same_number() {
        let mut bits = 88_172_645_463_325_252_u64;
        for _ in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            // Half of all exponents are far beyond what anybody writes; every other number is near 1.
            let number =
                f64::from_bits(if bits & 1 == 0 { bits } else { bits & !(0x7ff << 52) | 0x3ff << 52 });
            if number.is_finite() {
                let mut out = Vec::new();
                write_f64(&mut out, number).unwrap();
                let text = std::str::from_utf8(&out).unwrap();
                assert_eq!(text.parse::<f64>().unwrap(), number, "{text}");
            }
        }
    }
}
