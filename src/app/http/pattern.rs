//! The path of a route: names to compare, and names to find out. Judged once, when the route is made.

use std::borrow::Cow;

use crate::base::error::SetupError;

/// What stands between two slashes of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// This name, decoded; the empty one at the end of a path with a slash behind it.
    Name(String),
    /// `:name`: any name but the empty one.
    Param(String),
    /// `*name`: all the rest, which may be empty.
    Rest(String),
}

/// A judged pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    /// Judges a pattern.
    ///
    /// # Errors
    /// It is none, or no request could ever match it.
    pub(super) fn parse(pattern: &str) -> Result<Self, SetupError> {
        let wrong = |right: &str| Err(SetupError::setting("route", format!("{pattern:?}"), right));
        let Some(path) = pattern.strip_prefix('/') else {
            return wrong("a path that begins with a slash");
        };
        let mut parts: Vec<Part> = Vec::new();
        let count = path.split('/').count();
        for (index, segment) in path.split('/').enumerate() {
            let is_last = index + 1 == count;
            let part = match (segment.as_bytes(), segment.get(1..)) {
                ([b':', ..], Some(name)) => Part::Param(name.to_owned()),
                ([b'*', ..], Some(_)) if !is_last => {
                    return wrong("a path in which a `*name` stands only at the end");
                }
                ([b'*', ..], Some(name)) => Part::Rest(name.to_owned()),
                ([], _) if !is_last => return wrong("a path without an empty name"),
                _ if segment.contains([':', '*']) => {
                    return wrong(
                        "a path in which a `:name` or `*name` is all that stands between two slashes",
                    );
                }
                _ if matches!(segment, "." | "..") || segment.contains(['\\', '\0', '%', '?', '#']) => {
                    return wrong(
                        "a path as it reads when decoded, without query, backslash, NUL, `.` and `..`",
                    );
                }
                _ => Part::Name(segment.to_owned()),
            };
            if let Some(name) = part.variable() {
                if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    return wrong("a path whose `:name` and `*name` have letters, digits and underscores");
                }
                if parts.iter().any(|earlier| earlier.variable() == Some(name)) {
                    return wrong("a path that names nothing twice");
                }
            }
            parts.push(part);
        }
        Ok(Self(parts))
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether it matches the decoded segments of a path.
    pub(super) fn matches(&self, segments: &[Cow<'_, str>]) -> bool {
        let mut segments = segments.iter();
        for part in &self.0 {
            let is_right = match (part, segments.next()) {
                (Part::Rest(_), Some(_)) => return true,
                (Part::Name(name), Some(segment)) => name == segment,
                (Part::Param(_), Some(segment)) => !segment.is_empty(),
                (_, None) => false,
            };
            if !is_right {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// What the variables of the pattern stand for, in order, in segments that it matches.
    pub(super) fn values<'p>(&self, segments: Vec<Cow<'p, str>>) -> Vec<Cow<'p, str>> {
        let mut segments = segments.into_iter();
        let mut values = Vec::new();
        for part in &self.0 {
            match part {
                Part::Name(_) => drop(segments.next()),
                Part::Param(_) => values.extend(segments.next()),
                Part::Rest(_) => values.push(Cow::Owned(segments.by_ref().collect::<Vec<_>>().join("/"))),
            }
        }
        values
    }

    /// By what patterns are tried in turn: names before params before the rest, from the left.
    pub(super) fn rank(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().map(|part| match part {
            Part::Name(_) => 0,
            Part::Param(_) => 1,
            Part::Rest(_) => 2,
        })
    }

    /// Whether both match the same paths.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Part, &Part)| match (one, other) {
            (Part::Name(one), Part::Name(other)) => one == other,
            (Part::Param(_), Part::Param(_)) | (Part::Rest(_), Part::Rest(_)) => true,
            _ => false,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(is_same)
    }
}

impl Part {
    /// The name of what a pattern leaves open.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Param(name) | Self::Rest(name) => Some(name),
        }
    }
}
