//! Where each setting comes from: a flag beats an environment variable, that the file, and that the default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use throng::SetupError;

use super::failure::Failure;
use super::file;
use super::flags::Flags;
use super::nearest::nearest;
use super::settings::{NAMES, Options, SETTINGS};

/// Where a setting's value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Nobody said anything.
    Default,
    /// The file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// The settings in force.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) options: Options,
    /// In the order of [`SETTINGS`].
    sources: Vec<Source>,
    /// The file that was read.
    file: Option<PathBuf>,
    /// What may be a mistake and is none for sure.
    pub(super) notes: Vec<String>,
}

/// The variables that are meant for throng.
pub(super) fn environment() -> BTreeMap<String, OsString> {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    // An empty one counts as none: that is how container files unset one.
    let mut named: BTreeMap<_, _> =
        named.filter(|(name, value)| name.starts_with("THRONG_") && !value.is_empty()).collect();
    // The flag is --origin: not to know the variable by that name would leave the server open to every page.
    if let Some(origins) = named.remove("THRONG_ORIGIN") {
        named.entry("THRONG_ORIGINS".to_owned()).or_insert(origins);
    }
    named
}

/// Puts the sources together.
pub(super) fn settle(flags: &Flags, environment: &BTreeMap<String, OsString>) -> Result<Settled, Failure> {
    let file = flags.config.clone().or_else(|| environment.get("THRONG_CONFIG").map(PathBuf::from));
    let mut settled = Settled {
        options: Options::default(),
        sources: vec![Source::Default; SETTINGS.len()],
        file,
        notes: notes(environment),
    };
    if let Some(path) = &settled.file {
        let values = file::read(path)?;
        settled.take(Source::File, values)?;
    }
    let variable = |name: &String| {
        let value = environment.get(name).map(|value| value.clone().into_string());
        value
            .transpose()
            .map_err(|value| Failure::wrong(format!("{name} is {}, which is not UTF-8", value.display())))
    };
    let values: Result<Vec<_>, _> = NAMES.iter().map(|names| variable(&names.variable)).collect();
    settled.take(Source::Environment, values?)?;
    settled.take(Source::Flag, flags.values.clone())?;
    settled.leave_the_clear();
    settled.options.config.check().map_err(|error| settled.name_source(error))?;
    Ok(settled)
}

/// Variables that look like a setting's and are not. They are not refused: container platforms make up variables with
/// the service's name in front.
fn notes(environment: &BTreeMap<String, OsString>) -> Vec<String> {
    let known = || NAMES.iter().map(|names| names.variable.as_str()).chain(["THRONG_CONFIG", "THRONG_LOG"]);
    let unknown = environment.keys().filter(|name| known().all(|known| known != *name));
    let note = |name: &String| {
        Some(format!("{name} is no setting and is ignored; the nearest is {}", nearest(name, known())?))
    };
    unknown.filter_map(note).collect()
}

impl Settled {
    fn take(&mut self, source: Source, values: Vec<Option<String>>) -> Result<(), Failure> {
        for (index, text) in values.into_iter().enumerate() {
            let (setting, Some(text)) = (&SETTINGS[index], text) else { continue };
            self.sources[index] = source;
            if (setting.set)(&mut self.options, &text).is_none() {
                let label = self.label(index);
                return Err(Failure::wrong(format!("{label} is {text}; it must be {}", setting.form.right)));
            }
        }
        Ok(())
    }

    /// A setting, as its source calls it.
    fn label(&self, index: usize) -> String {
        let (setting, names) = (&SETTINGS[index], &NAMES[index]);
        match self.sources[index] {
            Source::Default => setting.name.to_owned(),
            Source::File => {
                let file = self.file.as_deref().unwrap_or_else(|| "the file".as_ref());
                format!("{}: {}", file.display(), setting.name)
            }
            Source::Environment => names.variable.clone(),
            Source::Flag => format!("--{}", names.flag),
        }
    }

    /// The library's error with the setting named as whoever wrote it would.
    pub(super) fn name_source(&self, error: SetupError) -> Failure {
        let SetupError::Setting { setting, was, right } = &error else { return Failure::from(error) };
        // Socket.IO's settings are those of a struct of its own.
        let name = setting.replace('.', "_");
        let index = SETTINGS.iter().position(|known| known.name == name);
        let label = index.map_or_else(|| (*setting).to_owned(), |index| self.label(index));
        Failure::wrong(format!("{label} is {was}; it must be {right}"))
    }

    /// Who says where to speak TLS, and nothing else, does not want to be spoken to in the clear as well.
    fn leave_the_clear(&mut self) {
        let bind = SETTINGS.iter().position(|setting| setting.name == "bind");
        let is_default = bind.is_some_and(|index| self.sources[index] == Source::Default);
        if is_default && !self.options.own.bind_tls.is_empty() {
            self.options.own.bind.clear();
        }
    }

    /// Every setting that somebody has set, with where.
    pub(super) fn changed(&self) -> Vec<String> {
        let changed = (0..SETTINGS.len()).filter(|&index| self.sources[index] != Source::Default);
        let line = |index: usize| {
            let setting = &SETTINGS[index];
            format!("{} = {} ({})", setting.name, (setting.show)(&self.options), self.origin(index))
        };
        changed.map(line).collect()
    }

    /// Every setting with its value and where that comes from, as a file that could be read again.
    pub(super) fn as_file(&self) -> String {
        let mut out = String::new();
        let mut group = "";
        for (index, setting) in SETTINGS.iter().enumerate() {
            if setting.group != group {
                group = setting.group;
                let gap = if out.is_empty() { "" } else { "\n" };
                // A String takes everything that is written to it.
                let _written = writeln!(out, "{gap}# {group}");
            }
            let line = format!("{} = {}", setting.name, (setting.show)(&self.options));
            let _written = writeln!(out, "{line:<42} # {}", self.origin(index));
        }
        out
    }

    fn origin(&self, index: usize) -> String {
        match self.sources[index] {
            Source::Default => "default".to_owned(),
            Source::File => self.file.as_deref().unwrap_or_else(|| "the file".as_ref()).display().to_string(),
            Source::Environment | Source::Flag => self.label(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle_from(line: &str, environment: &[(&str, &str)]) -> Result<Settled, Failure> {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        settle(&Flags::read(line.split(' ').map(OsString::from)).unwrap(), &environment)
    }

    #[test]
    fn a_flag_beats_a_variable_and_that_the_default() {
        let environment =
            [("THRONG_SHARDS", "3"), ("THRONG_PING_INTERVAL", "5s"), ("THRONG_SERVICE_HOST", "10.0.0.1")];
        let settled = settle_from("throng --shards 2", &environment).unwrap();
        assert_eq!((settled.options.config.shards, settled.options.config.ping_interval.as_secs()), (2, 5));
        assert_eq!(
            settled.changed(),
            ["shards = 2 (--shards)", "ping_interval = \"5s\" (THRONG_PING_INTERVAL)"]
        );
        assert_eq!(settled.notes, [""; 0]);
        assert!(
            settled.as_file().contains("message_bytes_max = \"1 MiB\"")
                && settled.as_file().contains("# default")
        );
    }

    #[test]
    fn a_wrong_value_is_named_as_its_source_calls_it() {
        for (line, environment, expected) in [
            ("throng --shards two", &[][..], "--shards is two; it must be a whole number"),
            ("throng", &[("THRONG_SHARDS", "two")], "THRONG_SHARDS is two; it must be a whole number"),
            ("throng --shards 2000", &[], "--shards is 2000; it must be a number from 0 to 1024"),
            (
                "throng",
                &[("THRONG_HEAD_TIMEOUT", "0")],
                "THRONG_HEAD_TIMEOUT is 0ns; it must be a time from 1ms to 24 days",
            ),
            (
                "throng --outbox-bytes-max 1k",
                &[],
                "outbox_bytes_high is 65536; it must be at most outbox_bytes_max, which is 1024 and may be raised too",
            ),
            ("throng --config /nowhere.toml", &[], "cannot read the file /nowhere.toml: No such file"),
        ] {
            let failure = settle_from(line, environment).unwrap_err();
            assert!(failure.line.contains(expected), "{}", failure.line);
            assert_eq!(failure.code, 2);
        }
    }

    #[test]
    fn a_variable_that_is_nearly_one_is_told() {
        let settled = settle_from("throng", &[("THRONG_SHARD", "3")]).unwrap();
        assert_eq!(
            settled.notes,
            ["THRONG_SHARD is no setting and is ignored; the nearest is THRONG_SHARDS"]
        );
    }
}
