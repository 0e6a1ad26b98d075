//! `throng` as a child of this process: started on a free port, waited for, stopped. Used when no URL is given.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long the server may take to accept, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// What it writes to standard error, told only if it does not start.
    said: File,
    program: PathBuf,
    connections: usize,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `throng` from this executable's directory, or else from the path, for so many connections.
    ///
    /// # Errors
    /// Why it could not be started, in one line.
    pub(crate) fn start(connections: usize) -> Result<Self, String> {
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("throng")));
        let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("throng"));
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("there is no free port for a server: {error}"))?;
        Self::start_at(program, address, connections)
    }

    fn start_at(program: PathBuf, address: SocketAddr, connections: usize) -> Result<Self, String> {
        let (said, stderr) = unnamed_file()
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|error| format!("a server has nowhere to write its log to: {error}"))?;
        // A group of its own: an interrupt from the terminal ends the run, and the run then ends the server.
        let child = Command::new(&program)
            .args(["--bind", &address.to_string(), "--max-connections", &connections.to_string()])
            // Whoever does not offer compression is spoken to as ever.
            .arg("--deflate")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(|error| {
                format!(
                    "cannot start {}: {error}; build it (cargo build --release) or give a URL",
                    program.display()
                )
            })?;
        let name = program.display().to_string();
        let mut server = Self { child, said, program, connections, address };
        server.wait_until_it_accepts(&name)?;
        Ok(server)
    }

    /// Ends it without a word, as a machine that fails does.
    pub(crate) fn kill(&mut self) {
        // One that has ended by itself is gone as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again where it was, once it was killed.
    ///
    /// # Errors
    /// Why it could not be started, in one line.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        *self = Self::start_at(self.program.clone(), self.address, self.connections)?;
        Ok(())
    }

    fn wait_until_it_accepts(&mut self, program: &str) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                Ok(None) => {
                    return Err(format!("{program} does not accept on {} within {PATIENCE:?}", self.address));
                }
                Ok(Some(status)) => {
                    let last = self.last_words();
                    return Err(format!("{program} ended before it accepted a connection: {status}{last}"));
                }
                Err(error) => return Err(format!("{program} cannot be watched: {error}")),
            }
        }
        Ok(())
    }

    /// The last line it has written, behind a colon.
    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let read = self.said.rewind().and_then(|()| self.said.read_to_string(&mut text));
        let last = text.lines().rfind(|line| !line.trim().is_empty()).filter(|_| read.is_ok());
        last.map(|line| format!(": {}", line.trim())).unwrap_or_default()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// A file that is gone once it is closed. A pipe would stop a server that says more than the pipe holds.
fn unnamed_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("bench-client-{}.log", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

impl Drop for Server {
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        // Not reaped yet, so the id is still its own even if it has ended.
        if let Ok(None) = self.child.try_wait()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
            && kill_process(pid, Signal::TERM).is_ok()
        {
            while Instant::now() < until {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
