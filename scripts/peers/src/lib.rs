//! What the Rust peers share: the command line, a tokio runtime of one thread that accepts, and the members of a relay.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A message on its way to a member: whether it is text, and its payload, which all members share.
pub type Relayed = (bool, Bytes);

/// Serves the address behind `--bind`, on this thread alone, handing every connection to `accepted`.
///
/// # Errors
/// The listener's.
pub fn serve(mut accepted: impl FnMut(TcpStream)) -> io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let bind = words.iter().position(|word| word == "--bind").and_then(|at| words.get(at + 1));
    let bind: SocketAddr = bind.map_or("127.0.0.1:3001", String::as_str).parse().map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let socket = if bind.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(bind)?;
        let listener = socket.listen(65_535)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            accepted(stream);
        }
    })
}

/// Those who listen under `/topic/`: one relay, whatever the name.
#[derive(Clone, Default)]
pub struct Room(Arc<Mutex<Members>>);

#[derive(Default)]
struct Members {
    next: u64,
    queues: HashMap<u64, UnboundedSender<Relayed>>,
}

impl Room {
    /// Whether a request for this path listens.
    #[must_use]
    pub fn is_for(path: &str) -> bool {
        path.starts_with("/topic/")
    }

    /// A new member: its number, and what the others send.
    #[must_use]
    pub fn join(&self) -> (u64, UnboundedReceiver<Relayed>) {
        let (queue, waiting) = unbounded_channel();
        let mut members = self.members();
        members.next += 1;
        let number = members.next;
        members.queues.insert(number, queue);
        (number, waiting)
    }

    /// Queues a message for all others.
    pub fn relay(&self, from: u64, message: &Relayed) {
        for (_, queue) in self.members().queues.iter().filter(|(number, _)| **number != from) {
            // Who is gone leaves by itself.
            drop(queue.send(message.clone()));
        }
    }

    /// Takes a member out.
    pub fn leave(&self, number: u64) {
        self.members().queues.remove(&number);
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
