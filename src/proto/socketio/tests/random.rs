//! Random JSON: what is checked here is what `serde_json` takes, and what is read is what it reads.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use super::super::args::Form;
use super::super::json::{self, Checks};
use super::super::value::Reader;
use super::super::{Args, Limits, Packet};

/// Xorshift: the same values for the same seed, on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(self.pick(&["", "", "", "", " ", "\n", "\t\r "]));
    }

    fn string(&mut self, out: &mut String) {
        out.push('"');
        for _ in 0..self.below(12) {
            out.push_str(self.pick(&[
                "a",
                "bcdefgh",
                "\u{e9}",
                "\u{20ac}",
                "\u{1f600}",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u00e9",
                "\\ud83d\\ude00",
                "0",
                " ",
                "_placeholder",
                "num",
                "\u{7f}",
                "\\u0000",
                "{",
                "]",
                ",",
            ]));
        }
        out.push('"');
    }

    fn number(&mut self, out: &mut String) {
        match self.below(4) {
            0 => write!(out, "{}", self.below(1 << 20)),
            1 => write!(out, "-{}", self.below(usize::MAX)),
            2 => write!(out, "{:e}", f64::from_bits(self.0 & !(0x3ff << 53) | 0x3fb << 52)),
            _ => write!(
                out,
                "{}",
                self.pick(&["0", "-0", "0.1", "1E5", "18446744073709551615", "1e-7", "-1.5e+3"])
            ),
        }
        .unwrap();
    }

    /// A JSON value.
    pub(super) fn value(&mut self, depth: u32, out: &mut String) {
        let kinds = if depth == 0 { 4 } else { 7 };
        match self.below(kinds) {
            0 => out.push_str(self.pick(&["true", "false", "null"])),
            1 => self.string(out),
            2 | 3 => self.number(out),
            kind => {
                let is_object = kind > 4;
                out.push(if is_object { '{' } else { '[' });
                self.space(out);
                for index in 0..self.below(4) {
                    if index > 0 {
                        out.push(',');
                        self.space(out);
                    }
                    if is_object {
                        self.string(out);
                        self.space(out);
                        out.push(':');
                        self.space(out);
                    }
                    self.value(depth - 1, out);
                    self.space(out);
                }
                out.push(if is_object { '}' } else { ']' });
            }
        }
    }
}

const CHECKS: Checks = Checks { depth_max: 64, attachments: None };

#[test]
fn what_is_right_is_read_as_serde_json_reads_it() {
    for seed in 0..4000 {
        let mut text = String::new();
        Random::new(seed).value(5, &mut text);
        assert_eq!(json::value(text.as_bytes(), 0, CHECKS), Ok(text.len()), "{text}");
        let expected: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(Value::deserialize(&mut Reader::new(&text, &[])).as_ref(), Ok(&expected), "{text}");
        let several = format!("{text} , {text},1");
        for attachments in [None, Some(&[][..])] {
            let args = Args(Form::Json { json: &several, attachments });
            let mut scratch = String::new();
            let (first, second, third) = args.parse::<(Value, Value, u8)>(&mut scratch).unwrap();
            assert!(first == expected && second == expected && third == 1 && args.len() == 3, "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_wrong_to_serde_json_as_well() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut text = String::new();
        random.value(3, &mut text);
        for _ in 0..=random.below(2) {
            // A character is taken out, doubled or replaced.
            let at = random.below(text.len().max(1));
            let Some(at) = (at..text.len()).find(|&at| text.is_char_boundary(at)) else { continue };
            let c = text.remove(at);
            match random.below(3) {
                0 => {}
                1 => (0..2).for_each(|_| text.insert(at, c)),
                _ => text.insert_str(
                    at,
                    random.pick(&["\"", "\\", "{", "}", "[", "]", ",", ":", "1", "e", ".", "-", "\u{1}"]),
                ),
            }
        }
        let end = json::value(text.as_bytes(), json::skip_space(text.as_bytes(), 0), CHECKS);
        let ours = end.is_ok_and(|end| json::skip_space(text.as_bytes(), end) == text.len());
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        assert_eq!(ours, theirs, "{text}");
        *if ours { &mut right } else { &mut wrong } += 1;
        let _ = Packet::parse(&format!("51-[\"a\",{text}]"), &Limits::default());
    }
    assert!(right > 2000 && wrong > 2000, "{right} right, {wrong} wrong");
}
