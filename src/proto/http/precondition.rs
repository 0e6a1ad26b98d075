//! Whether a request that names a version of a content means the one that is there (RFC 9110 §13).
//!
//! Owns the order in which the fields count. Called by whoever answers a GET or HEAD and knows its content's version.

use super::date::parse_date;
use super::grammar::elements;
use super::request::Request;

/// What tells one version of a content from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validators<'a> {
    /// A strong entity tag with its quotes.
    pub etag: &'a str,
    /// When the content changed last, in seconds since 1970.
    pub modified: i64,
}

/// What the preconditions of a GET or HEAD come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The content is to be sent.
    Send,
    /// The client has it: 304.
    NotModified,
    /// The client wants a version that is gone: 412.
    Failed,
}

impl Validators<'_> {
    /// Judges a GET or HEAD, in the order of §13.2.2. A date counts only where there is no tag, and one that cannot be
    /// read, or stands twice, not at all.
    #[must_use]
    pub fn judge(&self, request: &Request<'_>) -> Verdict {
        let holds = match self.is_listed(request, "if-match", false) {
            Some(is_listed) => is_listed,
            None => date(request, "if-unmodified-since").is_none_or(|date| self.modified <= date),
        };
        if !holds {
            return Verdict::Failed;
        }
        let is_known = match self.is_listed(request, "if-none-match", true) {
            Some(is_listed) => is_listed,
            None => date(request, "if-modified-since").is_some_and(|date| self.modified <= date),
        };
        if is_known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether a `Range` counts: there is no `If-Range`, or it has this very tag.
    ///
    /// A date never does. It would have to be a strong validator (§13.1.5), and in one second a file can change twice.
    #[must_use]
    pub fn range_counts(&self, request: &Request<'_>) -> bool {
        let mut values = request.header_all("if-range");
        values.next().is_none_or(|value| value == self.etag.as_bytes()) && values.next().is_none()
    }

    /// Whether a field lists the tag, or `*`; `None` where the field is missing. The comparison is weak for
    /// `If-None-Match`, which asks for equal meaning, and strong for `If-Match`, which asks for equal bytes (§8.8.3.2).
    ///
    /// No tag has a quote inside, so a comma inside of one cannot make a part of it look like this one.
    fn is_listed(&self, request: &Request<'_>, name: &str, is_weak: bool) -> Option<bool> {
        request.header_all(name).next()?;
        let is_this = |one: &[u8]| {
            let strong = if is_weak { one.strip_prefix(b"W/").unwrap_or(one) } else { one };
            one == b"*" || strong == self.etag.as_bytes()
        };
        Some(request.header_all(name).flat_map(elements).any(is_this))
    }
}

fn date(request: &Request<'_>, name: &str) -> Option<i64> {
    let mut values = request.header_all(name);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    parse_date(std::str::from_utf8(value).ok()?)
}
