//! What this process is asked to do: a run, several of them, or something that is done with the reports of runs.

use clap::{Args, Command, FromArgMatches};

use crate::cli::{self, Cli};
use crate::remote::part;
use crate::{compare, phases};

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Task {
    /// To measure a server.
    Run(Box<Cli>),
    /// To measure it several times, as a file says.
    Phases(phases::Flags),
    /// To compare reports.
    Compare(compare::Flags),
    /// To carry out parts of runs.
    Work(part::Flags),
}

/// The modes of a run, and what else there is.
fn command() -> Command {
    let phases =
        Command::new("run").about("Run the phases of a TOML file, one after the other on the same server");
    let compare =
        Command::new("compare").about("Compare reports that --json wrote: key figures, noise, curves");
    let worker =
        Command::new("worker").about("Carry out parts of runs that are started elsewhere with --workers");
    cli::command()
        .subcommand(phases::Flags::augment_args(phases))
        .subcommand(compare::Flags::augment_args(compare))
        .subcommand(part::Flags::augment_args(worker))
}

impl Task {
    /// The flags of this process. Where they are wrong it ends here, with what is wrong and exit code 2.
    pub(crate) fn parse() -> Self {
        let mut command = command();
        let matches = command.get_matches_mut();
        let task = match matches.subcommand() {
            Some(("run", matches)) => phases::Flags::from_arg_matches(matches).map(Self::Phases),
            Some(("compare", matches)) => compare::Flags::from_arg_matches(matches).map(Self::Compare),
            Some(("worker", matches)) => part::Flags::from_arg_matches(matches).map(Self::Work),
            _ => Cli::from_arg_matches(&matches).map(|cli| Self::Run(Box::new(cli))),
        };
        task.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_every_task_are_consistent() {
        command().debug_assert();
        for task in ["run", "compare"] {
            let parsed = command().try_get_matches_from(["bench-client", task]);
            assert!(parsed.is_err(), "{task}: a file is wanted");
        }
    }
}
