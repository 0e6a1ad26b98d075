//! Handlers that panic where nobody expects it, and call what they should not.

use std::sync::mpsc;
use std::time::Duration;

use throng::{Admission, Conn, Handler, Message, Opening};
use tungstenite::Message as Theirs;

use super::peer::{client, serve, stop, text};

/// What a connection keeps, and what its timers hold: dropping it panics, once it is armed.
struct Mine(bool);

impl Drop for Mine {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "a mine was dropped");
    }
}

struct Minefield;

impl Handler for Minefield {
    type Data = Mine;

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<Mine> {
        Admission::accept(Mine(false))
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        let mine = Mine(true);
        match message.as_bytes() {
            b"data" => *conn.data() = mine,
            b"timer that rings" => _ = conn.after(Duration::ZERO, move |_, _| drop(mine)),
            b"timer that ends with its connection" => {
                conn.after_on(Duration::from_secs(60), move |_, _| drop(mine));
            }
            b"timer that is cancelled while it rings" => {
                let (tell, told) = mpsc::channel();
                let timer = conn.every(Duration::from_millis(1), move |_, shard| {
                    let _mine = &mine;
                    shard.cancel(told.recv().unwrap());
                });
                tell.send(timer).unwrap();
            }
            b"job" => _ = conn.offload(move || drop(mine), |_, _, ()| {}),
            b"result" => _ = conn.offload(move || mine, |_, _, mine| drop(mine)),
            b"result of a job whose end is gone" => {
                conn.offload_on(move || mine, |_, _, mine| drop(mine));
                conn.close(1000, "");
            }
            _ => {
                std::mem::forget(mine);
                conn.send(message);
            }
        }
    }
}

#[test]
fn a_panic_in_a_drop_costs_no_other_connection() {
    for what in [
        "data",
        "timer that rings",
        "timer that ends with its connection",
        "timer that is cancelled while it rings",
        "job",
        "result",
        "result of a job whose end is gone",
    ] {
        let (server, address) = serve(|_| {}, |_| Minefield);
        let (mut beside, mut one) = (client(address), client(address));
        one.send(Theirs::text(what)).unwrap();
        one.close(None).unwrap();
        while one.read().is_ok() {}
        drop(one);
        let exploded = |name| server.handle().metrics().counter(name).unwrap();
        while exploded("panics") + exploded("jobs_panicked") == 0 {
            beside.send(Theirs::text("unharmed")).expect(what);
            assert_eq!(text(&mut beside), "unharmed", "{what}");
        }
        let mut next = client(address);
        next.send(Theirs::text("served")).unwrap();
        assert_eq!(text(&mut next), "served", "{what}");
        drop((beside, next));
        stop(server);
    }
}
