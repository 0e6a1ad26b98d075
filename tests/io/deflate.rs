//! Compressed messages of Socket.IO: what is long is, for a client that takes it so, unless its emitter says no.

use std::io::{Read, Write};
use std::net::TcpStream;

use throng::base::pool::Pool;
use throng::io::{Binary, Io, RawArgs};
use throng::proto::ws::deflate::Inflater;
use throng::proto::ws::{Opcode, encode};

use super::http::Line;
use super::peer::{Fixture, Tell, gone, start_with, with_shards};

/// Long enough to be compressed.
fn news() -> String {
    "what there is of news, ".repeat(200)
}

fn namespace(io: &mut Io, tell: &Tell) {
    let (came, went) = (tell.clone(), tell.clone());
    drop(
        io.of("/")
            .on_connection(move |socket| {
                socket.join("room");
                came.say("+");
            })
            .on_disconnect(move |socket, reason| went.say(gone(socket, reason)))
            .on("short", |socket, (): &()| _ = socket.emit("news", "short"))
            .on("as usual", |socket, (): &()| _ = socket.emit("news", news()))
            .on("plain", |socket, (): &()| _ = socket.compress(false).emit("news", news()))
            .on("again", |socket, (): &()| _ = socket.compress(false).compress(true).emit("news", news()))
            .on("asked", |socket, (): &()| {
                socket.compress(false).emit_with_ack("news", news(), |_, _: Result<&RawArgs, _>| {});
            })
            .on("bytes", |socket, (): &()| {
                _ = socket.emit("news", (news(), Binary(&[7; 5000]), Binary(&[8; 5])));
            })
            .on("plain bytes", |socket, (): &()| {
                _ = socket.compress(false).emit("news", Binary(&[7; 5000]));
            })
            .on("to all", |socket, (): &()| _ = socket.io().emit("news", news()))
            .on("plain to all", |socket, (): &()| _ = socket.io().compress(false).emit("news", news()))
            .on("plain to a room", |socket, (): &()| {
                _ = socket.io().to("room").compress(false).emit("news", news());
            }),
    );
}

/// A client that offers compression, and sees of each message whether it was compressed.
struct Client {
    stream: TcpStream,
    inflater: Inflater,
}

impl Client {
    fn open(fixture: &Fixture) -> Self {
        let mut stream = Line::open(fixture.address).stream;
        stream
            .write_all(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
            )
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(String::from_utf8(head).unwrap().contains("permessage-deflate"));
        let mut client = Self { stream, inflater: Inflater::new(15) };
        assert!(client.next().0.starts_with(b"0{\"sid\":"));
        client.say("40");
        assert!(client.next().0.starts_with(b"40{\"sid\":"));
        client
    }

    fn say(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode::append_masked(&mut frame, Opcode::Text, true, text.as_bytes(), [1, 2, 3, 4]);
        self.stream.write_all(&frame).unwrap();
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next message, and whether it was compressed.
    fn next(&mut self) -> (Vec<u8>, bool) {
        let [first, len] = self.bytes();
        let len = match len {
            126 => usize::from(u16::from_be_bytes(self.bytes())),
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).unwrap();
        match first & 0x40 != 0 {
            false => (payload, false),
            true => {
                let inflated = self.inflater.inflate(&payload, 1 << 20, false, &mut Pool::new());
                let (bytes, len) = inflated.expect("the server compresses well");
                (bytes[..len].to_vec(), true)
            }
        }
    }
}

#[test]
fn events_are_compressed_unless_their_emitter_says_no() {
    with_shards(|shards| {
        let deflates = |builder: throng::Builder| builder.configure(|config| config.deflate = true);
        let fixture = start_with(shards, namespace, |_| {}, deflates);
        let mut client = Client::open(&fixture);
        assert_eq!(fixture.said(), "+");
        let text = format!("42[\"news\",\"{}\"]", news());
        let asked = format!("420[\"news\",\"{}\"]", news());
        let placeholder = |number| format!("{{\"_placeholder\":true,\"num\":{number}}}");
        let bytes = format!("451-[\"news\",{}]", placeholder(0));
        let both = format!("452-[\"news\",\"{}\",{},{}]", news(), placeholder(0), placeholder(1));
        let (seven, eight) = ([7; 5000], [8; 5]);
        for (event, expected) in [
            ("short", &[(b"42[\"news\",\"short\"]" as &[u8], false)][..]),
            ("as usual", &[(text.as_bytes(), true)]),
            ("plain", &[(text.as_bytes(), false)]),
            ("again", &[(text.as_bytes(), true)]),
            ("asked", &[(asked.as_bytes(), false)]),
            ("bytes", &[(both.as_bytes(), true), (&seven, true), (&eight, false)]),
            ("plain bytes", &[(bytes.as_bytes(), false), (&seven, false)]),
            ("to all", &[(text.as_bytes(), true)]),
            ("plain to all", &[(text.as_bytes(), false)]),
            ("plain to a room", &[(text.as_bytes(), false)]),
        ] {
            client.say(&format!("42[\"{event}\"]"));
            for &(message, is_compressed) in expected {
                let (came, was_compressed) = client.next();
                assert!(came == message, "{event}: {}", String::from_utf8_lossy(&came[..came.len().min(99)]));
                assert_eq!(was_compressed, is_compressed, "{event}");
            }
        }
        // From a thread that is no shard.
        assert!(fixture.handle.io().emit("news", news()));
        assert_eq!(client.next(), (text.clone().into_bytes(), true));
        assert!(fixture.handle.io().compress(false).emit("news", news()));
        assert_eq!(client.next(), (text.into_bytes(), false));
        drop(client);
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}
