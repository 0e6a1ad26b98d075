//! The request target (RFC 9112 §3.2), split into what it names. Nothing is decoded here: `%2e` stays `%2e`.

use super::grammar::is_authority;

/// A request target in origin-form (`/x?y`) or absolute-form (`http://host/x?y`).
pub(super) struct Target<'a> {
    /// The host that an absolute-form target names; it takes the place of the `Host` field (RFC 9112 §3.2.2).
    pub(super) authority: Option<&'a str>,
    /// The path, which begins with a slash.
    pub(super) path: &'a str,
    /// What follows the question mark.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Splits a target, or says `None` where throng cannot serve it: `*`, `host:port` (a proxy's business), a scheme
    /// other than http and https, user information, a fragment, and whatever is no target at all.
    pub(super) fn split(target: &'a str) -> Option<Self> {
        if target.contains('#') || !target.bytes().all(|byte| byte > b' ' && byte != 0x7f) {
            return None;
        }
        if target.starts_with('/') {
            return Some(Self::of(None, target));
        }
        let rest = strip_scheme(target, "http://").or_else(|| strip_scheme(target, "https://"))?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.starts_with(':') || !is_authority(authority.as_bytes()) {
            return None;
        }
        Some(Self::of(Some(authority), rest))
    }

    fn of(authority: Option<&'a str>, path_and_query: &'a str) -> Self {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        Self { authority, path: if path.is_empty() { "/" } else { path }, query }
    }
}

/// What follows a scheme, which is compared without regard to case (RFC 3986 §3.1).
fn strip_scheme<'a>(target: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}
