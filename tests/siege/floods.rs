//! Every flood that one peer can make, by name.

use std::net::SocketAddr;
use std::time::Instant;

use super::attack::{Done, Door, Goes, Pump, Storm, half_a_head};
use super::wire::{PING, PONG, SOCKET_IO, TEXT, frame, framed, handshake};

/// A flood.
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// Where those are who hear what is published.
    pub(crate) crowd: Option<&'static str>,
    kind: Kind,
}

enum Kind {
    /// The control: nobody does anything.
    Nothing,
    Pump(Pump),
    Storm(Storm),
}

impl Flood {
    /// No flood.
    pub(crate) fn none() -> Self {
        Self { name: "nothing", crowd: None, kind: Kind::Nothing }
    }

    pub(crate) fn run(&self, address: SocketAddr, until: Instant) -> Done {
        match &self.kind {
            Kind::Nothing => Done::default(),
            Kind::Pump(pump) => pump.run(address, until),
            Kind::Storm(storm) => storm.run(address, until),
        }
    }
}

/// Blocks are about as long as one read of the server's.
const BLOCK: usize = 256 << 10;

const ECHO: Door = Door::WebSocket("/echo");
const SUBSCRIBER: Door = Door::WebSocket("/subscriber");
const IO: Door = Door::WebSocket(SOCKET_IO);

/// As many of these frames, in turn, as fill a block.
fn frames(each: &[(u8, &str)]) -> Vec<u8> {
    let mut once = Vec::new();
    each.iter().for_each(|(first, payload)| frame(&mut once, *first, payload.as_bytes()));
    filled(&once)
}

fn texts(each: &[&str]) -> Vec<u8> {
    frames(&each.iter().map(|text| (TEXT, *text)).collect::<Vec<_>>())
}

/// So many texts, each made from its number.
fn numbered(count: usize, text: impl Fn(usize) -> String) -> Vec<u8> {
    let mut out = Vec::new();
    (0..count).for_each(|number| frame(&mut out, TEXT, text(number).as_bytes()));
    out
}

fn filled(once: &[u8]) -> Vec<u8> {
    once.repeat(BLOCK.div_ceil(once.len()))
}

/// A message in as many fragments as are allowed, of a byte each.
fn fragments() -> Vec<u8> {
    let mut out = framed(0x01, b"a");
    (0..65_534).for_each(|_| frame(&mut out, 0x00, b"b"));
    frame(&mut out, 0x80, b"c");
    out
}

fn request(line: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nHost: siege\r\n{fields}{length}\r\n{body}").into_bytes()
}

/// Every flood there is.
pub(crate) fn all() -> Vec<Flood> {
    let mut floods = Vec::new();
    let mut pump = |name, door, reads, block| {
        let kind = Kind::Pump(Pump { door, block, reads, step: usize::MAX });
        floods.push(Flood { name, crowd: None, kind });
    };
    let large = framed(0x82, &vec![7; 1 << 20]);
    let words = "€".repeat((1 << 20) / 3);
    let nested = format!("42[\"quiet\",{}{}]", "[".repeat(60), "]".repeat(60));
    let long = format!("42[\"quiet\",[{}1]]", "1.5,\"a\\n\",{\"b\":null},".repeat(5_000));
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{}0", "1\r\nx\r\n".repeat(50_000));
    let fields: String = (0..60).map(|n| format!("X-Field-{n}: {}\r\n", "v".repeat(200))).collect();
    let events = vec!["42[\"quiet\",1]"; 4096].join("\u{1e}");

    pump("pings", ECHO, true, frames(&[(PING, ""), (PING, &"p".repeat(125))]));
    pump("pings, unread", ECHO, false, frames(&[(PING, &"p".repeat(125))]));
    pump("pongs", ECHO, true, frames(&[(PONG, "")]));
    pump("fragments of a byte", ECHO, true, fragments());
    pump("empty messages", ECHO, true, texts(&[""]));
    pump("messages of a byte", ECHO, true, texts(&["x"]));
    pump("messages of a byte, unread", ECHO, false, texts(&["x"]));
    pump("messages of 1 MiB", ECHO, true, large.clone());
    pump("messages of 1 MiB, unread", ECHO, false, large);
    pump("text of 1 MiB", ECHO, true, framed(TEXT, words.as_bytes()));
    pump("requests", Door::Http, true, filled(&request("GET /", "", "")));
    pump("requests, unread", Door::Http, false, filled(&request("GET /", "", "")));
    pump("requests with large heads", Door::Http, true, filled(&request("GET /", &fields, "")));
    pump("requests with bodies", Door::Http, true, filled(&request("POST /", "", &"b".repeat(60_000))));
    pump("requests in chunks of a byte", Door::Http, true, request("POST /", &chunks, ""));
    pump("subscribing", SUBSCRIBER, true, texts(&["+a topic", "-a topic"]));
    let names = |sign: char| move |number: usize| format!("{sign}topic number {}", number % 1000);
    let (on, off) = (numbered(1000, names('+')), numbered(1000, names('-')));
    pump("subscribing to 1,000 topics", SUBSCRIBER, true, [on, off].concat());
    pump("publishing to nobody", SUBSCRIBER, true, texts(&["!a topic"]));
    pump("Socket.IO events", IO, true, texts(&["42[\"quiet\",1]"]));
    pump("Socket.IO acks", IO, true, texts(&["421[\"echo\",1]"]));
    pump("Socket.IO acks, unread", IO, false, texts(&["421[\"echo\",1]"]));
    pump("Socket.IO connects", IO, true, texts(&["40/beside,", "41/beside,"]));
    pump("Socket.IO connects, refused", IO, true, texts(&["40/nowhere,"]));
    pump("Socket.IO rooms", IO, true, texts(&["42[\"join\",\"a room\"]", "42[\"leave\",\"a room\"]"]));
    let rooms = |number: usize| format!("42[\"join\",\"room number {}\"]", number % 2000);
    pump("Socket.IO 2,000 rooms", IO, true, numbered(2000, rooms));
    pump("Socket.IO broadcasts to nobody", IO, true, texts(&["42[\"say\",\"a room\",\"x\"]"]));
    pump("Socket.IO nested events", IO, true, texts(&[&nested]));
    pump("Socket.IO events of 100 KB", IO, true, texts(&[&long]));
    let attached = [(TEXT, "451-[\"quiet\",{\"_placeholder\":true,\"num\":0}]"), (0x82, "bytes")];
    pump("Socket.IO attachments", IO, true, frames(&attached));
    let polling = "/socket.io/?EIO=4&transport=polling";
    let post = request(&format!("POST {polling}&sid=SID"), "", &events);
    pump("Socket.IO payloads", Door::Polling, true, filled(&post));

    for (name, block) in
        [("frames byte by byte", texts(&["x"])), ("1 MiB byte by byte", framed(TEXT, &[b'x'; 1 << 20]))]
    {
        let kind = Kind::Pump(Pump { door: ECHO, block, reads: true, step: 1 });
        floods.push(Flood { name, crowd: None, kind });
    }
    let heads = Pump { door: Door::Http, block: request("GET /", &fields, ""), reads: true, step: 1 };
    floods.push(Flood { name: "heads byte by byte", crowd: None, kind: Kind::Pump(heads) });

    for (name, crowd, door, text) in [
        ("publishing to a crowd", "/topic/crowd", Door::WebSocket("/topic/crowd"), "x"),
        ("Socket.IO broadcasts to a crowd", SOCKET_IO, IO, "42[\"say\",\"crowd\",\"x\"]"),
    ] {
        let kind = Kind::Pump(Pump { door, block: texts(&[text]), reads: true, step: usize::MAX });
        floods.push(Flood { name, crowd: Some(crowd), kind });
    }

    let mut storm = |name, goes, hello| {
        floods.push(Flood { name, crowd: None, kind: Kind::Storm(Storm { hello, goes, at_once: 64 }) });
    };
    storm("connections", Goes::Connected, Vec::new());
    storm("handshakes", Goes::Answered, handshake("/echo"));
    storm("handshakes of Socket.IO", Goes::Answered, handshake(SOCKET_IO));
    storm("half heads", Goes::Ended, half_a_head());
    storm("garbage", Goes::Ended, vec![0xff; 300]);
    let wrong = [handshake("/echo"), vec![0xff; 300]].concat();
    storm("wrong frames", Goes::Ended, wrong);
    storm("requests that close", Goes::Ended, request("GET /", "Connection: close\r\n", ""));

    let begun = |head: Vec<u8>| [head, vec![0; (1 << 20) - 1]].concat();
    let message = [handshake("/echo"), vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]].concat();
    let body = b"POST / HTTP/1.1\r\nHost: siege\r\nContent-Length: 1048576\r\n\r\n".to_vec();
    for (name, hello) in [("messages without an end", begun(message)), ("bodies without an end", begun(body))]
    {
        let storm = Storm { hello, goes: Goes::Ended, at_once: 400 };
        floods.push(Flood { name, crowd: None, kind: Kind::Storm(storm) });
    }

    // The last: it leaves as many sessions behind as there may be.
    let open = filled(&request(&format!("GET {polling}"), "", ""));
    let kind = Kind::Pump(Pump { door: Door::Http, block: open, reads: true, step: usize::MAX });
    floods.push(Flood { name: "Socket.IO sessions by polling", crowd: None, kind });
    floods
}
