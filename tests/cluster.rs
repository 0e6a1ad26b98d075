//! Socket.IO's operations on sockets of all shards: from a handler, from another thread, with answers.

#![cfg(feature = "socketio")]

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use throng::io::{Acked, Admit, Fetched, Here, RawArgs};
use throng::{Handle, Server};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(10);
const SHARDS: usize = 3;

struct Client {
    socket: WebSocket<TcpStream>,
    id: String,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut client = Self { socket: tungstenite::client(url, stream).unwrap().0, id: String::new() };
        assert!(client.hear().starts_with("0{"));
        client.say("40");
        let answer = client.hear();
        client.id = answer.strip_prefix("40{\"sid\":\"").unwrap().trim_end_matches("\"}").to_owned();
        // The connection handler has run: from here on the client hears nothing unasked.
        assert_eq!(client.hear(), "42[\"hello\"]");
        client
    }

    fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    fn hear(&mut self) -> String {
        self.socket.read().unwrap().into_text().unwrap().to_string()
    }
}

struct Fixture {
    server: Server,
    clients: Vec<Client>,
    said: mpsc::Receiver<String>,
}

impl Fixture {
    /// A server on three shards, and clients until each shard has two.
    fn start() -> Self {
        let (say, said) = mpsc::channel();
        let builder =
            Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| config.shards = SHARDS);
        let server = builder
            .socket_io(move |io| {
                let (say, say_later) = (say.clone(), say.clone());
                io.on_server("rumour", move |_here, text: &str| say.send(text.to_owned()).unwrap());
                io.of("/")
                    .on_connection(|socket| _ = socket.emit("hello", ()))
                    .on("whisper", |socket, text: &str| socket.io().server_side_emit("rumour", text))
                    .on("count", move |socket, (): &()| {
                        let say = say_later.clone();
                        let done = move |_: &Here<'_>, fetched: Fetched| {
                            say.send(format!("{} {}", fetched.sockets.len(), fetched.is_partial)).unwrap();
                        };
                        socket.broadcast().timeout(PATIENCE).fetch_sockets(done);
                    })
                    .on("slow", |socket, (): &()| {
                        _ = socket.offload(|| "done elsewhere", |socket, text| _ = socket.emit("slow", text));
                    });
                drop(
                    io.of_with("/login", |connect| {
                        let (token, auth) = (connect.defer(), connect.auth_json().to_owned());
                        std::thread::spawn(move || match auth.as_str() {
                            "{\"token\":\"right\"}" => token.answer(Admit::accept(auth)),
                            "{}" => drop(token),
                            _ => token.answer(Admit::refuse_with("wrong token", &auth.len())),
                        });
                        Admit::<String>::Deferred
                    })
                    .on_connection(|socket| _ = socket.emit("welcome", socket.data())),
                );
            })
            .start()
            .unwrap();
        let address = server.local_addrs()[0];
        let mut clients: Vec<Client> = Vec::new();
        let mut per_shard = [0; SHARDS];
        while per_shard.iter().any(|&count| count < 2) {
            let client = Client::connect(address);
            let shard = data_shard(&client.id);
            per_shard[shard] += 1;
            clients.push(client);
        }
        Self { server, clients, said }
    }

    fn handle(&self) -> Handle {
        self.server.handle()
    }

    fn fetch(&self, room: Option<&str>) -> Fetched {
        let (tell, told) = mpsc::channel();
        let handle = self.handle();
        let whom = room.into_iter().fold(handle.io(), |whom, room| whom.to(room));
        whom.timeout(PATIENCE).fetch_sockets(move |_, fetched| tell.send(fetched).unwrap());
        told.recv_timeout(PATIENCE).unwrap()
    }

    fn stop(self) {
        self.server.handle().stop(Duration::from_millis(50));
        self.server.join().unwrap();
    }
}

/// The shard that an id names: its 16th and 17th byte, which characters 21 to 23 of its base64url hold.
fn data_shard(id: &str) -> usize {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = id
        .bytes()
        .skip(20)
        .take(3)
        .fold(0, |bits, byte| bits << 6 | alphabet.iter().position(|&one| one == byte).unwrap());
    bits >> 2
}

#[test]
fn sockets_of_all_shards_are_found_joined_told_and_disconnected() {
    let mut fixture = Fixture::start();
    let count = fixture.clients.len();
    let mut ids: Vec<String> = fixture.clients.iter().map(|client| client.id.clone()).collect();
    let fetched = fixture.fetch(None);
    assert!(!fetched.is_partial);
    let mut found: Vec<String> = fetched.sockets.iter().map(|socket| socket.id.to_string()).collect();
    found.sort();
    ids.sort();
    assert_eq!(found, ids);

    // One of each shard, by its own room, into a room.
    let chosen: Vec<usize> = (0..SHARDS)
        .map(|shard| fixture.clients.iter().position(|client| data_shard(&client.id) == shard).unwrap())
        .collect();
    let handle = fixture.handle();
    for &at in &chosen {
        handle.io().to(&fixture.clients[at].id).sockets_join("chosen");
    }
    let fetched = fixture.fetch(Some("chosen"));
    assert_eq!(fetched.sockets.len(), SHARDS);
    assert!(fetched.sockets.iter().all(|socket| socket.rooms == ["chosen"]));
    // The name of the room of all is nobody's to use.
    assert!(handle.io().to("\0").emit("all", 0));
    assert!(handle.io().to("chosen").emit("only", 1));
    assert!(handle.io().except("chosen").emit("others", 2));
    for (at, client) in fixture.clients.iter_mut().enumerate() {
        let expected = if chosen.contains(&at) { "42[\"only\",1]" } else { "42[\"others\",2]" };
        assert_eq!(client.hear(), expected);
    }

    handle.io().to("chosen").sockets_leave("chosen");
    assert_eq!(fixture.fetch(Some("chosen")).sockets, []);
    handle.io().to(&fixture.clients[chosen[0]].id).disconnect_sockets(false);
    assert_eq!(fixture.clients[chosen[0]].hear(), "41");
    assert_eq!(fixture.fetch(None).sockets.len(), count - 1);
    fixture.stop();
}

#[test]
fn an_event_to_all_is_answered_by_all_but_the_silent() {
    let mut fixture = Fixture::start();
    let count = fixture.clients.len();
    let (tell, told) = mpsc::channel();
    let handle = fixture.handle();
    handle
        .io()
        .timeout(Duration::from_millis(300))
        .emit_with_acks("well?", "how", move |_, acked| tell.send(acked).unwrap());
    for (at, client) in fixture.clients.iter_mut().enumerate() {
        let question = client.hear();
        let ack_id = question.strip_prefix("42").unwrap().strip_suffix("[\"well?\",\"how\"]").unwrap();
        if at > 0 {
            client.say(&format!("43{ack_id}[{at}]"));
            // Twice counts once.
            client.say(&format!("43{ack_id}[{at}]"));
        }
    }
    let Acked { answers, missing, is_partial, .. } = told.recv_timeout(PATIENCE).unwrap();
    let mut said: Vec<u32> = answers.iter().map(number).collect();
    said.sort_unstable();
    assert_eq!((said, missing, is_partial), ((1..count as u32).collect(), 1, false));
    fixture.stop();
}

fn number(args: &RawArgs) -> u32 {
    args.parse::<u32>(&mut String::new()).unwrap()
}

#[test]
fn shards_talk_to_each_other_and_count_from_a_handler() {
    let mut fixture = Fixture::start();
    let count = fixture.clients.len();
    fixture.clients[0].say("42[\"whisper\",\"psst\"]");
    for _ in 0..SHARDS - 1 {
        assert_eq!(fixture.said.recv_timeout(PATIENCE).unwrap(), "psst");
    }
    fixture.clients[1].say("42[\"count\"]");
    assert_eq!(fixture.said.recv_timeout(PATIENCE).unwrap(), format!("{} false", count - 1));
    fixture.stop();
}

#[test]
fn another_thread_decides_who_comes_in_and_does_what_takes_long() {
    let mut fixture = Fixture::start();
    let client = &mut fixture.clients[0];
    client.say("40/login,{\"token\":\"wrong\"}");
    assert_eq!(client.hear(), "44/login,{\"message\":\"wrong token\",\"data\":17}");
    client.say("40/login,");
    assert_eq!(client.hear(), "44/login,{\"message\":\"not decided\"}");
    client.say("40/login,{\"token\":\"right\"}");
    assert!(client.hear().starts_with("40/login,{\"sid\":\""));
    assert_eq!(client.hear(), "42/login,[\"welcome\",\"{\\\"token\\\":\\\"right\\\"}\"]");
    client.say("42[\"slow\"]");
    assert_eq!(client.hear(), "42[\"slow\",\"done elsewhere\"]");
    fixture.stop();
}
