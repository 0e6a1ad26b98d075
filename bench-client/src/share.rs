//! A share of the connections: how it is written, and which ones are meant.

/// Reads `5%`, or `5`, as 0.05.
///
/// # Errors
/// It is no number from 0 to 100.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a share from 0 to 100 % is wanted, as in 5%".into()),
    }
}

/// The same, but not nothing.
///
/// # Errors
/// It is no number above 0 and up to 100.
pub(crate) fn some(text: &str) -> Result<f64, String> {
    parse(text)
        .and_then(|share| if share > 0.0 { Ok(share) } else { Err("a share above 0 % is wanted".into()) })
}

/// Whether connection `number` is of the share, which is spread evenly over the numbers.
pub(crate) fn has(share: f64, number: u32) -> bool {
    let before = |number: u32| (f64::from(number) * share + 1e-9).floor();
    before(number + 1) > before(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly_and_is_as_large_as_it_says() {
        for (text, count) in [("5%", 50), ("100", 1000), ("0%", 0), ("0.1 %", 1), ("33.3%", 333)] {
            let share = parse(text).unwrap();
            assert_eq!((0..1000).filter(|&number| has(share, number)).count(), count, "{text}");
            let tenth = (0..100).filter(|&number| has(share, number)).count();
            assert!(tenth.abs_diff(count / 10) <= 1, "{text}: {tenth} of the first tenth");
        }
        assert!(["", "x", "-1%", "101%"].iter().all(|text| parse(text).is_err()) && some("0").is_err());
    }
}
