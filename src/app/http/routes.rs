//! A table of routes: method and path ↔ what is kept for them. Pure data; it calls nothing.
//!
//! Owns which of several routes is meant. Filled when a program is set up, asked once per request.

use std::borrow::Cow;

use crate::base::error::SetupError;
use crate::proto::http::decode_segment;

use super::allow::Allow;
use super::pattern::{Part, Pattern};

/// Routes, each with a value: a handler, as a rule.
///
/// A pattern is a path of names, `:name` for any one name, and at its end `*name` for all that follows: `/`, `/api/:id`,
/// `/docs/*page`. Paths are compared decoded, and a slash at the end makes another path. Where several patterns match, the
/// one is meant that says more, from the left: a name before `:name` before `*name`; the order of insertion does not
/// matter. `HEAD` is served by a route for `GET` unless it has one of its own.
///
/// Params are decoded. They are never empty and hold no slash, backslash or NUL, nor are they `.` or `..`: a path that has
/// such a name matches nothing. So one can be looked up in a directory. `*name` is several of them with slashes between, or
/// empty; its last name may be empty.
///
/// ```
/// use throng::app::http::{Found, Routes};
///
/// let mut routes = Routes::new();
/// routes.insert("GET", "/rooms/:name", "one room")?;
/// routes.insert("GET", "/rooms/new", "a form")?;
/// routes.insert("POST", "/rooms/:name", "talk")?;
///
/// let Found::Route { value, params } = routes.find("GET", "/rooms/caf%C3%A9") else { panic!() };
/// assert_eq!((*value, params.get("name")), ("one room", Some("café")));
/// assert!(matches!(routes.find("HEAD", "/rooms/new"), Found::Route { value: &"a form", .. }));
/// let Found::WrongMethod(allow) = routes.find("DELETE", "/rooms/new") else { panic!() };
/// assert_eq!(allow.to_string(), "GET, HEAD, OPTIONS, POST");
/// assert_eq!((allow.answer("DELETE").code(), allow.answer("OPTIONS").code()), (405, 204));
/// assert!(matches!(routes.find("GET", "/rooms"), Found::Nothing));
/// # Ok::<(), throng::SetupError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Routes<T>(Vec<Route<T>>);

#[derive(Clone, Debug)]
struct Route<T> {
    method: String,
    pattern: Pattern,
    value: T,
}

/// What a table has for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Found<'a, V> {
    /// A route.
    Route {
        /// What is kept for it.
        value: V,
        /// What its pattern left open.
        params: Params<'a>,
    },
    /// The path has routes, but none for this method; what is to be answered to that.
    WrongMethod(Allow),
    /// No route has this path.
    Nothing,
}

/// What a route's pattern left open, as a request has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Params<'a> {
    parts: &'a [Part],
    values: Vec<Cow<'a, str>>,
}

impl<'a> Params<'a> {
    fn new(pattern: &'a Pattern, segments: Vec<Cow<'a, str>>) -> Self {
        Self { parts: pattern.parts(), values: pattern.values(segments) }
    }

    /// The value of `:name` or `*name`, decoded; `None` where the pattern has no such name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(one, _)| *one == name).map(|(_, value)| value)
    }

    /// Names and values in the pattern's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.parts.iter().filter_map(Part::variable);
        names.zip(self.values.iter().map(|value| &**value))
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Routes<T> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// True while there is no route.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a route.
    ///
    /// # Errors
    /// The method is none, the pattern is none, or the table has a route of this method that matches the same paths.
    pub fn insert(&mut self, method: &str, pattern: &str, value: T) -> Result<(), SetupError> {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            return Err(SetupError::setting(
                "method",
                format!("{method:?}"),
                "a method in capitals, like GET",
            ));
        }
        let judged = Pattern::parse(pattern)?;
        let is_taken = |route: &Route<T>| route.method == method && route.pattern.is_same(&judged);
        if self.0.iter().any(is_taken) {
            let right = "a path that no other route of this method has";
            return Err(SetupError::setting("route", format!("{method} {pattern}"), right));
        }
        // A HEAD of its own stands before the GET that would serve it.
        let rank = |method: &str, pattern: &Pattern| {
            pattern.rank().chain([if method == "HEAD" { 3 } else { 4 }]).collect::<Vec<_>>()
        };
        let own = rank(method, &judged);
        let place = self.0.partition_point(|route| rank(&route.method, &route.pattern) <= own);
        self.0.insert(place, Route { method: method.to_owned(), pattern: judged, value });
        Ok(())
    }

    /// What the table has for a request's method and path, the path as it was sent.
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Found<'a, &'a T> {
        match self.locate(method, path) {
            Located::At(index, segments) => {
                let Route { pattern, value, .. } = &self.0[index];
                Found::Route { value, params: Params::new(pattern, segments) }
            }
            Located::Elsewhere(allow) => Found::WrongMethod(allow),
            Located::Nowhere => Found::Nothing,
        }
    }

    /// The same, for values that change: handlers that are `FnMut`.
    pub fn find_mut<'a>(&'a mut self, method: &str, path: &'a str) -> Found<'a, &'a mut T> {
        match self.locate(method, path) {
            Located::At(index, segments) => {
                let Route { pattern, value, .. } = &mut self.0[index];
                Found::Route { value, params: Params::new(pattern, segments) }
            }
            Located::Elsewhere(allow) => Found::WrongMethod(allow),
            Located::Nowhere => Found::Nothing,
        }
    }

    fn locate<'p>(&self, method: &str, path: &'p str) -> Located<'p> {
        let Some(segments) = segments(path).filter(|_| !self.is_empty()) else { return Located::Nowhere };
        let mut others = Vec::new();
        for (index, route) in self.0.iter().enumerate() {
            if !route.pattern.matches(&segments) {
                continue;
            }
            if route.method == method || method == "HEAD" && route.method == "GET" {
                return Located::At(index, segments);
            }
            others.push(route.method.as_str());
        }
        if others.is_empty() { Located::Nowhere } else { Located::Elsewhere(Allow::of(others)) }
    }
}

enum Located<'p> {
    At(usize, Vec<Cow<'p, str>>),
    Elsewhere(Allow),
    Nowhere,
}

/// The names of a path, decoded; only the last may be empty.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let segments: Vec<_> = path.strip_prefix('/')?.split('/').map(decode_segment).collect::<Option<_>>()?;
    let (_, all_but_last) = segments.split_last()?;
    all_but_last.iter().all(|segment| !segment.is_empty()).then_some(segments)
}
