//! What a path that is served answers to methods that are not.

use std::collections::BTreeSet;
use std::fmt;

use crate::base::cause::Cause;
use crate::proto::http::Response;

/// The methods of a path, as an `Allow` field lists them (RFC 9110 §10.2.1): in order, `OPTIONS` among them, and `HEAD`
/// wherever there is `GET`. It prints as the field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Allow(String);

impl Allow {
    /// The methods of a path that serves these.
    pub(super) fn of<'m>(methods: impl IntoIterator<Item = &'m str>) -> Self {
        let mut all: BTreeSet<_> = methods.into_iter().chain(["OPTIONS"]).collect();
        if all.contains("GET") {
            all.insert("HEAD");
        }
        Self(all.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The answer to a request whose method has no handler: 204 to `OPTIONS`, which asks for nothing but the field, and
    /// 405 to every other. Both have the field.
    pub fn answer(&self, method: &str) -> Response {
        let response =
            if method == "OPTIONS" { Response::new(204) } else { Response::refusal(Cause::MethodNotAllowed) };
        response.header("Allow", &self.0)
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
