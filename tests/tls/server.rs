//! The servers of these tests: an echo that says how it is reached.

use std::net::SocketAddr;
use std::time::Duration;

use throng::{Admission, Config, Conn, Handler, Message, Opening, Response, Server, Tls, Visit};

pub(crate) struct Echo;

impl Handler for Echo {
    type Data = ();

    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<()> {
        assert!(opening.is_secure() || opening.path() == "/plain");
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message {
            Message::Text("secure?") => _ = conn.send(if conn.is_secure() { "yes" } else { "no" }),
            Message::Text("who?") => {
                let address = conn.peer_addr().map(|address| address.to_string());
                conn.send(address.unwrap_or_default().as_str());
            }
            Message::Text("flood") => {
                for _ in 0..16 {
                    conn.send(&vec![b'x'; 100_000][..]);
                }
            }
            _ => _ = conn.send(message),
        }
    }
}

/// A server of TLS on a free port, and its address.
pub(crate) fn start(tls: &Tls, change: impl FnOnce(&mut Config)) -> (Server, SocketAddr) {
    let builder = Server::builder().bind_tls("127.0.0.1:0", tls).unwrap();
    let secure = |visit: &Visit<'_>| Response::text(if visit.is_secure() { "https" } else { "http" });
    let server = builder.get("/", secure).unwrap().configure(change).serve(|_| Echo).unwrap();
    let address = server.secure_addrs()[0];
    (server, address)
}

/// Stops it; what it counted is then final.
pub(crate) fn stop(server: Server) -> throng::Metrics {
    let handle = server.handle();
    handle.stop(Duration::from_secs(5));
    server.join().unwrap();
    handle.metrics()
}

pub(crate) fn counted(metrics: &throng::Metrics, name: &str) -> u64 {
    metrics.counter(name).unwrap()
}
