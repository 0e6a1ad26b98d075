//! Why the program ends other than well: one line, and the exit code.

use std::io;

use throng::{Cut, SetupError};

/// The line without its `throng: `, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) line: String,
    pub(super) code: u8,
}

impl Failure {
    /// Something that was said on the command line, in the environment or in the file is wrong: exit code 2.
    pub(super) fn wrong(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 2 }
    }

    /// The host did not do what was asked of it: exit code 1.
    pub(super) fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 1 }
    }

    /// A stop's grace was over before its connections were: exit code 3.
    pub(super) fn cut(cut: Cut) -> Self {
        let line = format!("{} connections were cut at the end of the grace: {cut}", cut.total());
        Self { line, code: 3 }
    }

    /// The host's own words for it.
    pub(super) fn host(attempt: &str, error: io::Error) -> Self {
        Self::failed(format!("cannot {attempt}: {error}"))
    }

    /// For `check-config`, where nothing runs: whatever stands in the way is the configuration's fault.
    pub(super) fn wrong_in_any_case(self) -> Self {
        Self { code: 2, ..self }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Setting { .. } => Self::wrong(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}
