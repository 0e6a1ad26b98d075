//! Those who speak no protocol, or break one: the server is to end each of them, and nobody else is to notice.

use crate::wire::{SOCKET_IO, TEXT, framed, handshake};

/// How many ways there are.
pub(crate) const WAYS: usize = 12;

/// What one of them says; it joins a group first where it breaks the rules as a WebSocket.
pub(crate) fn words(way: usize, group: usize, random: u64) -> Vec<u8> {
    let noise: Vec<u8> = (0..200).map(|n| (random.rotate_left(n % 64) >> 3) as u8 ^ n as u8).collect();
    let path = format!("/topic/{group}");
    let behind = |bytes: &[u8]| [&handshake(&path), bytes].concat();
    let io = |text: &str| [handshake(SOCKET_IO), framed(TEXT, b"40"), framed(TEXT, text.as_bytes())].concat();
    match way % WAYS {
        0 => [b"\xff\xfe", &noise[..]].concat(),
        // Half a head, and then silence.
        1 => handshake(&path)[..(random % 100) as usize + 20].to_vec(),
        2 => b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: x\r\n\r\n".to_vec(),
        3 => format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000)).into_bytes(),
        // Reserved bits and an opcode that there is not.
        4 => behind(&framed(0xff, &noise)),
        // Not masked.
        5 => behind(b"\x81\x02hi"),
        // As long as nothing can be.
        6 => behind(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"),
        7 => behind(&framed(TEXT, b"\xc3\x28\xff")),
        // A continuation of nothing.
        8 => behind(&framed(0x80, b"continued")),
        // A code that may not be sent.
        9 => behind(&framed(0x88, &[3, 237])),
        10 => io("42[\"say\",\"room 1\","),
        _ => io("9 is no packet"),
    }
}
