//! A game on timers: players steer, the world moves 20 times a second, and everybody is told where everybody is.
//!
//! Run it with `cargo run --example game`, or with another address: `cargo run --example game -- 0.0.0.0:8080`.
//! Then try it in a browser's console. What is sent is a direction: `up`, `down`, `left`, `right` or `stop`.
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:3000");
//! socket.onmessage = ({ data }) => console.log(data);   // "tick 7: 0-0-1@33,50 0-1-1@50,50"
//! socket.onopen = () => socket.send("left");
//! ```
//!
//! The world lives on one shard, so it is plain data behind `&mut self`. A game of many worlds would give each shard
//! its own, and send players to the right one by the address they connect to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use throng::{
    Admission, CloseReason, Conn, ConnId, Handler, Message, Opening, Server, SetupError, Shard, Timer,
};

const TICK: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(60);
const SIZE: i32 = 100;

#[derive(Default)]
struct World {
    ticks: u64,
    players: BTreeMap<ConnId, Player>,
    /// What is told to everybody, written anew each tick.
    told: String,
}

struct Player {
    at: (i32, i32),
    step: (i32, i32),
}

impl World {
    fn tick(&mut self, shard: &mut Shard<'_, Self>) {
        self.ticks += 1;
        self.told.clear();
        write!(self.told, "tick {}:", self.ticks).expect("a String takes everything");
        for (id, Player { at, step }) in &mut self.players {
            *at = ((at.0 + step.0).clamp(0, SIZE), (at.1 + step.1).clamp(0, SIZE));
            write!(self.told, " {id}@{},{}", at.0, at.1).expect("a String takes everything");
        }
        // A slow player gets the world as it is, not each state that it was in.
        shard.latest_only("world").publish("world", &self.told);
    }
}

/// The timer that sends an idle player home; it is set anew with every move.
fn idle(conn: &mut Conn<'_, World>) -> Timer {
    conn.after_on(IDLE, |_world, conn| conn.close(4000, "you do not play"))
}

impl Handler for World {
    type Data = Option<Timer>;

    fn on_start(&mut self, shard: &mut Shard<'_, Self>) {
        shard.every(TICK, Self::tick);
    }

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<Self::Data> {
        if self.players.len() < 1000 { Admission::accept(None) } else { Admission::refuse(503) }
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        self.players.insert(conn.id(), Player { at: (SIZE / 2, SIZE / 2), step: (0, 0) });
        conn.send(&format!("you are {}", conn.id()));
        conn.subscribe("world");
        let timer = idle(conn);
        *conn.data() = Some(timer);
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        let Some(player) = self.players.get_mut(&conn.id()) else { return };
        player.step = match message {
            Message::Text("up") => (0, -1),
            Message::Text("down") => (0, 1),
            Message::Text("left") => (-1, 0),
            Message::Text("right") => (1, 0),
            _ => (0, 0),
        };
        let timer = idle(conn);
        if let Some(old) = conn.data().replace(timer) {
            conn.cancel(old);
        }
    }

    fn on_close(&mut self, conn: &mut Conn<'_, Self>, _reason: CloseReason) {
        self.players.remove(&conn.id());
    }
}

fn main() -> Result<(), SetupError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    let builder = Server::builder().bind(address)?.configure(|config| config.shards = 1);
    let server = builder.serve(|_shard| World::default())?;
    println!("listening on ws://{}", server.local_addrs()[0]);
    server.join()
}
