//! The program as a child of the test, and clients for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tungstenite::WebSocket;

/// Longer than any answer takes: what does not come by then fails the test instead of stopping it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program with these arguments, and nothing of this process's environment but the path.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throng"));
    cleared(&mut command).args(arguments);
    command
}

/// The program from a shell that has lowered its fd limit.
pub(crate) fn command_with_fds(limit: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    cleared(&mut command).args(["-c", &script, env!("CARGO_BIN_EXE_throng")]).args(arguments);
    command
}

fn cleared(command: &mut Command) -> &mut Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null())
}

/// Runs the program to its end: exit code, stdout, stderr.
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A server that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said at its start.
    pub(crate) said: Vec<String>,
    /// The first address it listens on.
    pub(crate) address: SocketAddr,
}

impl Running {
    /// On a free port of 127.0.0.1, with these arguments besides.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::from_command(command(&[&["--bind", "127.0.0.1:0"], arguments].concat()))
    }

    /// From this command. The line that begins with `try: ` is its last before it serves.
    pub(crate) fn from_command(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.starts_with("try: ")) {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {said:?}");
            said.push(line.trim_end().to_owned());
        }
        let listening = said.iter().find_map(|line| line.trim_start().strip_prefix("listening")).unwrap();
        let url = listening.split_whitespace().next().unwrap();
        let (_, address) = url.trim_end_matches('/').split_once("://").unwrap();
        let address = address.parse().unwrap();
        Self { child, stderr, said, address }
    }

    /// The next line it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits for its end: exit code, and what it said until then.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A WebSocket to this path.
    pub(crate) fn client(&self, path: &str) -> WebSocket<TcpStream> {
        tungstenite::client(format!("ws://{}{path}", self.address), self.stream()).unwrap().0
    }

    /// The answer to a request with these fields, each ending in CRLF: status, head, content.
    pub(crate) fn ask(&self, line: &str, fields: &str) -> (u16, String, String) {
        let mut stream = self.stream();
        let close = if fields.contains("Connection:") { "" } else { "Connection: close\r\n" };
        write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\n{fields}{close}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), content.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
