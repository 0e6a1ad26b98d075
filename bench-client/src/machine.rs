//! The machine a run was made on, as its report names it.

use std::fs;

use serde::Serialize;
use throng::sys::host;

/// What figures depend on besides the server. What this system does not show is empty or `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Machine {
    /// Cores this process may use.
    pub(crate) cores: usize,
    /// The processor's model, as it names itself.
    pub(crate) cpu: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    pub(crate) memory_bytes: Option<u64>,
}

impl Machine {
    /// This one.
    pub(crate) fn read() -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model(&file("/proc/cpuinfo")),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_bytes: host::Host::read().memory_bytes,
        }
    }
}

/// The first processor's model.
fn model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"));
    line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
}

/// The command line as it can be shown to others: what it says to prove who it is, is left out.
pub(crate) fn command(arguments: impl Iterator<Item = String>) -> Vec<String> {
    const HIDDEN: &str = "…";
    let mut shown: Vec<String> = vec!["bench-client".into()];
    let mut flag = String::new();
    for argument in arguments.skip(1) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (argument.clone(), None),
        };
        let is_secret = |flag: &str, value: &str| {
            let value = value.to_ascii_lowercase();
            let says_who = ["authorization", "cookie", "proxy-authorization"];
            matches!(flag, "--auth" | "--cookie")
                || flag == "--header" && says_who.iter().any(|name| value.starts_with(name))
        };
        shown.push(match &value {
            Some(value) if is_secret(&name, value) => format!("{name}={HIDDEN}"),
            None if is_secret(&flag, &argument) => HIDDEN.into(),
            _ => argument,
        });
        flag = if value.is_none() { name } else { String::new() };
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_shows_everything_but_who_it_says_to_be() {
        let line = ["/x/y", "echo", "ws://h/", "--auth", "{\"t\":1}", "--auth=2", "--header", "Cookie: a=b"];
        let rest = ["--header=Authorization: z", "--header", "X: y", "-c", "5"];
        let shown = command(line.iter().chain(&rest).map(|word| (*word).to_owned())).join(" ");
        let expected = "bench-client echo ws://h/ --auth … --auth=… --header … --header=… --header X: y -c 5";
        assert_eq!(shown, expected);
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let machine = Machine::read();
        assert!(machine.cores >= 1 && !machine.kernel.is_empty(), "{machine:?}");
        assert_eq!(model("processor\t: 0\nmodel name\t: A B\nmodel name : C"), "A B");
        assert_eq!(model(""), "");
    }
}
