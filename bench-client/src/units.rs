//! Numbers as people write them on a command line: `10s`, `100k`, `16KiB`.
//!
//! Pure text; called by the flags alone.

use std::time::Duration;

/// A span of time: a number with `ms`, `s`, `m` or `h`; without a unit it is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use us, ms, s, m or h")),
    };
    let value = number.parse::<f64>().map_err(|_| format!("`{number}` is not a number"))? * seconds;
    if !(0.0..=864_000.0).contains(&value) {
        return Err("a time from 0 to 10 days is wanted".into());
    }
    Ok(Duration::from_secs_f64(value))
}

/// A whole number with an optional decimal `k` or `M`; a trailing `/s` is allowed, for rates.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text.strip_suffix("/s").unwrap_or(text));
    let factor = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        _ => return Err(format!("`{unit}` is no multiple; use k or M")),
    };
    whole(number, factor)
}

/// A number of bytes with an optional binary `k`/`KiB` or `M`/`MiB`.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "B" => 1.0,
        "k" | "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1024.0 * 1024.0,
        _ => return Err(format!("`{unit}` is no unit of size; use B, KiB or MiB")),
    };
    Ok(whole(number, factor)? as usize)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn whole(number: &str, factor: f64) -> Result<u64, String> {
    let value = number.parse::<f64>().map_err(|_| format!("`{number}` is not a number"))? * factor;
    if value.fract() != 0.0 || !(0.0..=1e12).contains(&value) {
        return Err("a whole number up to 10^12 is wanted".into());
    }
    Ok(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(count("100k"), Ok(100_000));
        assert_eq!(count("1.5M"), Ok(1_500_000));
        assert_eq!(count("20k/s"), Ok(20_000));
        assert_eq!(bytes("16KiB"), Ok(16 << 10));
        assert_eq!(bytes("20"), Ok(20));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "k", "-1", "1.5", "10x", "1e9999"] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(duration("5 days").is_err() && duration("99999h").is_err() && bytes("1GB").is_err());
    }
}
