//! The command line, read by clap from the table of settings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction};

use super::failure::Failure;
use super::nearest::nearest;
use super::settings::{NAMES, Options, SETTINGS};

/// What is to be done.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// Serve, until told to stop.
    Serve,
    /// Say what would be served.
    CheckConfig,
    /// Print this: the help, or the version.
    Show(String),
}

/// The command line.
#[derive(Debug)]
pub(super) struct Flags {
    pub(super) command: Command,
    /// `--config`.
    pub(super) config: Option<PathBuf>,
    /// What the flags say, in the order of [`SETTINGS`].
    pub(super) values: Vec<Option<String>>,
}

const ABOUT: &str = "A realtime server for very large connection counts: echo, topics, a page to try them";

const AFTER_HELP: &str = "\
Every flag is also an environment variable (--ping-interval: THRONG_PING_INTERVAL) and a key of the file
(ping_interval = \"30s\"); a flag beats a variable, and that the file. THRONG_CONFIG names the file, THRONG_LOG what is
logged (warn). Sizes are written 65536, 64 KiB or 1 MiB; times 500ms, 30s or 2m.

Served: / and /chat are pages for browsers; a WebSocket on /topic/NAME gets what the topic's other members send, and on any
other path it is an echo; /healthz answers ok, and /readyz so until the server ends. For the load generator are the WebSocket on /bench and Socket.IO's namespace
/bench.

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 failed, 2 told something wrong, 3 stopped and connections were cut;
143, or 130: a second signal ended it at once.";

fn command() -> clap::Command {
    let defaults = Options::default();
    let config =
        Arg::new("config").long("config").value_name("FILE").help("A TOML file of settings").global(true);
    let arguments = SETTINGS.iter().zip(NAMES.iter()).map(|(setting, names)| {
        let default = (setting.show)(&defaults).replace(['"', '[', ']'], "");
        let argument = Arg::new(setting.name)
            .long(names.flag.as_str())
            .value_name(setting.form.place)
            .help(format!("{} [default: {default}]", setting.help))
            .help_heading(setting.group)
            .action(if setting.form.is_list { ArgAction::Append } else { ArgAction::Set })
            .allow_hyphen_values(true)
            .global(true);
        match setting.form.bare {
            Some(bare) => argument.num_args(0..=1).require_equals(true).default_missing_value(bare),
            None => argument,
        }
    });
    clap::Command::new("throng")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .max_term_width(120)
        .disable_help_subcommand(true)
        .arg(config)
        .args(arguments)
        .subcommand(
            clap::Command::new("check-config")
                .about("Print the settings in force, as a file, and what they come to"),
        )
}

impl Flags {
    /// Reads the command line, the program's name first.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let matches = match command().try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                let command = Command::Show(error.render().to_string());
                return Ok(Self { command, config: None, values: Vec::new() });
            }
            Err(error) => return Err(Failure::wrong(in_one_line(&error))),
        };
        // What stands before a subcommand is passed down to it.
        let (command, matches) = match matches.subcommand() {
            Some((_, matches)) => (Command::CheckConfig, matches),
            None => (Command::Serve, &matches),
        };
        let given = |name: &str| {
            let texts: Vec<_> = matches.get_many::<String>(name)?.map(String::as_str).collect();
            Some(texts.join(","))
        };
        let values = SETTINGS.iter().map(|setting| given(setting.name)).collect();
        Ok(Self { config: matches.get_one::<String>("config").map(PathBuf::from), command, values })
    }
}

/// clap's paragraph about what is wrong, as a line.
fn in_one_line(error: &clap::Error) -> String {
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        let known = NAMES.iter().map(|names| names.flag.as_str()).chain(["config", "help", "version"]);
        // Most servers have it, and its nearest name is none that would help.
        if flag == "--port" {
            return "--port is no flag; --bind takes the port with the host, such as localhost:8080"
                .to_owned();
        }
        return match nearest(flag.trim_start_matches('-'), known) {
            Some(name) if flag.starts_with("--") => format!("{flag} is no flag; the nearest is --{name}"),
            _ => format!("{flag} is no flag; throng --help lists them"),
        };
    }
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("{}; throng --help tells more", line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Flags, Failure> {
        Flags::read(line.split(' ').map(OsString::from))
    }

    fn value(flags: &Flags, name: &str) -> Option<String> {
        flags.values[SETTINGS.iter().position(|setting| setting.name == name).unwrap()].clone()
    }

    #[test]
    fn flags_stand_before_and_behind_the_subcommand() {
        for line in ["throng --shards 2 --config a check-config", "throng check-config --shards=2 --config a"]
        {
            let flags = read(line).unwrap();
            assert_eq!(
                (&flags.command, flags.config.as_deref()),
                (&Command::CheckConfig, Some("a".as_ref()))
            );
            assert_eq!((value(&flags, "shards").as_deref(), value(&flags, "pin")), (Some("2"), None));
        }
        let flags = read("throng --bind a:1 --pin --bind b:2 --origin null").unwrap();
        assert_eq!(flags.command, Command::Serve);
        for (name, expected) in [("bind", "a:1,b:2"), ("pin", "on"), ("origins", "null")] {
            assert_eq!(value(&flags, name).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        for (line, expected) in [
            ("throng --shrads 2", "--shrads is no flag; the nearest is --shards"),
            ("throng --origins null", "the nearest is --origin"),
            ("throng --frobnicate", "throng --help lists them"),
            ("throng --port 80", "--bind takes the port"),
            ("throng -x", "-x is no flag; throng --help"),
            ("throng check-confg", "check-confg"),
            ("throng --shards", "--shards <N>"),
            ("throng --shards 1 --shards 2", "multiple times"),
        ] {
            let failure = read(line).unwrap_err();
            assert!(failure.line.contains(expected) && !failure.line.contains('\n'), "{}", failure.line);
            assert_eq!(failure.code, 2);
        }
    }

    #[test]
    fn the_help_names_every_flag_with_its_default() {
        let Command::Show(text) = read("throng --help").unwrap().command else { panic!("no help") };
        for names in NAMES.iter() {
            assert!(
                text.contains(&format!("--{} ", names.flag)) || text.contains(&format!("--{}[", names.flag))
            );
        }
        assert!(text.contains("[default: localhost:3000]") && text.contains("[default: 1 MiB]"), "{text}");
    }
}
