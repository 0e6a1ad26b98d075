//! The kinds of values that settings have: how people write them, and how they are written back.
//!
//! Each kind is a module with `FORM`, `parse` and `show`, which `settings` names in its table. What `show` writes is TOML
//! that `parse` reads. Pure text; ranges are the business of `Config::check`.

/// What a kind of value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// What stands for it in a synopsis.
    pub(super) place: &'static str,
    /// What a right one is, in a sentence that says what a wrong one must be.
    pub(super) right: &'static str,
    /// Whether it is a list: the flag may be repeated, and the texts are joined by commas.
    pub(super) is_list: bool,
    /// What the flag without a value means.
    pub(super) bare: Option<&'static str>,
}

const fn scalar(place: &'static str, right: &'static str) -> Form {
    Form { place, right, is_list: false, bare: None }
}

/// Whole numbers, with a decimal `k` or `M` if wanted.
pub(super) mod count {
    pub(in crate::cli) const FORM: super::Form = super::scalar("N", "a whole number, such as 64, 100k or 1M");

    pub(in crate::cli) fn parse<T: TryFrom<u64>>(text: &str) -> Option<T> {
        super::scaled(text, &[("", 1), ("k", 1000), ("K", 1000), ("M", 1_000_000)])
    }

    pub(in crate::cli) fn show<T: Copy + TryInto<u64>>(value: &T) -> String {
        super::wide(*value).to_string()
    }
}

/// Bytes, with binary units.
pub(super) mod size {
    const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

    pub(in crate::cli) const FORM: super::Form =
        super::scalar("SIZE", "a size, such as 65536, 64 KiB or 1 MiB");

    pub(in crate::cli) fn parse<T: TryFrom<u64>>(text: &str) -> Option<T> {
        let mut units = vec![("", 1), ("B", 1)];
        for (unit, shift) in UNITS {
            let factor = 1 << shift;
            units.extend([(unit, factor), (&unit[..1], factor)]);
        }
        units.extend([("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)]);
        super::scaled(text, &units)
    }

    pub(in crate::cli) fn show<T: Copy + TryInto<u64>>(value: &T) -> String {
        let bytes = super::wide(*value);
        let fits = |&&(_, shift): &&(&str, u32)| bytes > 0 && bytes.is_multiple_of(1 << shift);
        match UNITS.iter().rev().find(fits) {
            Some((unit, shift)) => format!("\"{} {unit}\"", bytes >> shift),
            None => bytes.to_string(),
        }
    }
}

/// Spans of time that may be none, to the millisecond. Without a unit only 0 is clear.
pub(super) mod time {
    use std::time::Duration;

    pub(in crate::cli) const FORM: super::Form =
        super::scalar("TIME", "a time with its unit, such as 500ms, 30s or 2m, or 0");

    pub(in crate::cli) fn parse(text: &str) -> Option<Duration> {
        if text.trim() == "0" || text == "off" {
            return Some(Duration::ZERO);
        }
        super::scaled(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000)])
            .map(Duration::from_millis)
    }

    pub(in crate::cli) fn show(value: &Duration) -> String {
        match value.as_millis() {
            0 => "0".to_owned(),
            millis if millis % 1000 == 0 => format!("\"{}s\"", millis / 1000),
            millis => format!("\"{millis}ms\""),
        }
    }
}

/// Spans of time that may not be none. 0 is of their form nevertheless: what it must be instead is said best by whoever knows
/// the range.
pub(super) mod span {
    pub(in crate::cli) use super::time::{parse, show};

    pub(in crate::cli) const FORM: super::Form =
        super::scalar("TIME", "a time with its unit, such as 500ms, 30s or 2m");
}

/// On or off.
pub(super) mod switch {
    pub(in crate::cli) const FORM: super::Form =
        super::Form { bare: Some("on"), ..super::scalar("on|off", "on or off") };

    pub(in crate::cli) fn parse(text: &str) -> Option<bool> {
        match text {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        }
    }

    pub(in crate::cli) fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// Addresses to listen on, or none. Whether each is one is for `Builder::bind` to say.
pub(super) mod addresses {
    pub(in crate::cli) const FORM: super::Form = super::Form {
        is_list: true,
        ..super::scalar("HOST:PORT", "an address and a port, such as localhost:3000, 0.0.0.0:80 or [::]:443")
    };

    pub(in crate::cli) fn parse(text: &str) -> Option<Vec<String>> {
        super::list_or_none(text)
    }

    pub(in crate::cli) fn show(value: &[String]) -> String {
        super::show_list(value)
    }
}

/// Files, or none. Whether each has what it is for is for whoever reads it to say.
pub(super) mod files {
    pub(in crate::cli) const FORM: super::Form =
        super::Form { is_list: true, ..super::scalar("FILE", "files, such as example.org.pem") };

    pub(in crate::cli) fn parse(text: &str) -> Option<Vec<String>> {
        super::list_or_none(text)
    }

    pub(in crate::cli) fn show(value: &[String]) -> String {
        super::show_list(value)
    }
}

/// Origins of pages that may connect.
pub(super) mod origins {
    use throng::Origins;
    use throng::base::config::is_origin;

    pub(in crate::cli) const FORM: super::Form = super::Form {
        is_list: true,
        ..super::scalar(
            "ORIGIN",
            "any, or origins without a path, such as https://example.org or http://localhost:8080",
        )
    };

    pub(in crate::cli) fn parse(text: &str) -> Option<Origins> {
        if matches!(text.trim(), "any" | "*") {
            return Some(Origins::Any);
        }
        super::list(text, is_origin).map(Origins::Only)
    }

    pub(in crate::cli) fn show(value: &Origins) -> String {
        match value {
            Origins::Only(origins) => super::show_list(origins),
            _ => "\"any\"".to_owned(),
        }
    }
}

/// Addresses, and prefixes of them.
pub(super) mod prefixes {
    use throng::Prefix;

    pub(in crate::cli) const FORM: super::Form = super::Form {
        is_list: true,
        ..super::scalar("PREFIX", "addresses, or prefixes of them such as 10.0.0.0/8 or 2001:db8::/32")
    };

    pub(in crate::cli) fn parse(text: &str) -> Option<Vec<Prefix>> {
        let texts = Some(text).filter(|text| !text.is_empty()).into_iter().flat_map(|text| text.split(','));
        texts.map(|text| text.trim().parse().ok()).collect()
    }

    pub(in crate::cli) fn show(value: &[Prefix]) -> String {
        super::show_list(&value.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

/// Which PROXY protocol.
pub(super) mod proxy_protocol {
    use throng::ProxyProtocol;

    const WORDS: [(&str, ProxyProtocol); 4] = [
        ("off", ProxyProtocol::Off),
        ("v1", ProxyProtocol::V1),
        ("v2", ProxyProtocol::V2),
        ("any", ProxyProtocol::Any),
    ];

    pub(in crate::cli) const FORM: super::Form = super::scalar("off|v1|v2|any", "off, v1, v2 or any");

    pub(in crate::cli) fn parse(text: &str) -> Option<ProxyProtocol> {
        super::meaning(&WORDS, text)
    }

    pub(in crate::cli) fn show(value: &ProxyProtocol) -> String {
        super::word(&WORDS, *value)
    }
}

/// Which fields name a proxy's client.
pub(super) mod forwarded {
    use throng::Forwarded;

    const WORDS: [(&str, Forwarded); 3] = [
        ("off", Forwarded::Off),
        ("x-forwarded-for", Forwarded::XForwardedFor),
        ("forwarded", Forwarded::Rfc7239),
    ];

    pub(in crate::cli) const FORM: super::Form =
        super::scalar("off|x-forwarded-for|forwarded", "off, x-forwarded-for or forwarded");

    pub(in crate::cli) fn parse(text: &str) -> Option<Forwarded> {
        super::meaning(&WORDS, text)
    }

    pub(in crate::cli) fn show(value: &Forwarded) -> String {
        super::word(&WORDS, *value)
    }
}

/// A directory, or none. Whether it has what it is for is for whoever reads it to say.
pub(super) mod directory {
    use std::path::PathBuf;

    pub(in crate::cli) const FORM: super::Form = super::scalar("DIR", "a directory");

    pub(in crate::cli) fn parse(text: &str) -> Option<Option<PathBuf>> {
        Some(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    pub(in crate::cli) fn show(value: &Option<PathBuf>) -> String {
        let text = value.as_ref().map(|path| path.display().to_string());
        toml::Value::String(text.unwrap_or_default()).to_string()
    }
}

/// What becomes of those there is no room for.
pub(super) mod fullness {
    use throng::WhenFull;

    pub(in crate::cli) const FORM: super::Form = super::scalar("refuse|wait", "refuse or wait");

    pub(in crate::cli) fn parse(text: &str) -> Option<WhenFull> {
        match text {
            "refuse" => Some(WhenFull::Refuse),
            "wait" => Some(WhenFull::Wait),
            _ => None,
        }
    }

    pub(in crate::cli) fn show(value: &WhenFull) -> String {
        format!("\"{}\"", if *value == WhenFull::Wait { "wait" } else { "refuse" })
    }
}

/// What becomes of messages to those who read too slowly.
pub(super) mod policy {
    use throng::SlowPolicy;

    const WORDS: [(&str, SlowPolicy); 4] = [
        ("close", SlowPolicy::Close),
        ("drop-new", SlowPolicy::DropNew),
        ("drop-oldest", SlowPolicy::DropOldest),
        ("latest-only", SlowPolicy::LatestOnly),
    ];

    pub(in crate::cli) const FORM: super::Form =
        super::scalar("POLICY", "close, drop-new, drop-oldest or latest-only");

    pub(in crate::cli) fn parse(text: &str) -> Option<SlowPolicy> {
        WORDS.iter().find(|(word, _)| *word == text).map(|(_, policy)| *policy)
    }

    pub(in crate::cli) fn show(value: &SlowPolicy) -> String {
        let word = WORDS.iter().find(|(_, policy)| policy == value).map(|(word, _)| *word);
        format!("\"{}\"", word.unwrap_or_default())
    }
}

/// Which fd tables, or whichever are needed.
pub(super) mod tables {
    use crate::cli::settings::Tables;

    pub(in crate::cli) const FORM: super::Form = super::scalar("auto|shared|own", "auto, shared or own");

    pub(in crate::cli) fn parse(text: &str) -> Option<Tables> {
        match text {
            "auto" => Some(Tables::Auto),
            "shared" => Some(Tables::Shared),
            "own" => Some(Tables::Own),
            _ => None,
        }
    }

    pub(in crate::cli) fn show(value: &Tables) -> String {
        let word = match value {
            Tables::Auto => "auto",
            Tables::Shared => "shared",
            Tables::Own => "own",
        };
        format!("\"{word}\"")
    }
}

fn meaning<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
}

fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> String {
    let word = words.iter().find(|(_, meaning)| *meaning == value).map_or("", |(word, _)| word);
    format!("\"{word}\"")
}

/// A whole number and one of these units. Underscores may group its digits.
fn scaled<T: TryFrom<u64>>(text: &str, units: &[(&str, u64)]) -> Option<T> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = (text[..end].replace('_', ""), text[end..].trim());
    let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)?.try_into().ok()
}

fn list(text: &str, is_right: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let items = text.split(',').map(str::trim);
    items.map(|item| is_right(item).then(|| item.to_owned())).collect()
}

fn list_or_none(text: &str) -> Option<Vec<String>> {
    if text.is_empty() { Some(Vec::new()) } else { list(text, |item| !item.is_empty()) }
}

fn show_list(items: &[String]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| toml::Value::from(item.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

fn wide<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

/// A number with its thousands apart, for people.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
