//! What one Socket.IO event costs: its packet read and checked, its argument decoded, an event written.
//!
//! `parse` is `Packet::parse` alone, beside `serde_json` only checking the same JSON; `text` and the like decode as a
//! handler of that type would; `emit` writes onto a buffer that has the room.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use throng::proto::engineio;
use throng::proto::socketio::{Binary, Decoder, EmitArgs, Limits, Packet, Payload, encode};

/// An event of about 40 bytes, as a chat sends it.
const CHAT: &str = r#"2["chat message","hello, everybody!"]"#;

fn parse(c: &mut Criterion) {
    let long = format!("2[\"chat message\",\"{}\"]", "a long message of many words. ".repeat(34));
    let document =
        format!("2[\"save\",[{}]]", vec![r#"{"id":1234,"name":"Ada","tags":["a","b"]}"#; 25].join(","));
    let limits = Limits::default();
    let mut group = c.benchmark_group("socketio/parse");
    for (name, text) in [
        ("text 37 B", CHAT),
        ("namespace, ack 40 B", r#"2/admin,17["chat message","hello, eve!"]"#),
        ("numbers 27 B", r#"2["move",1234.5,-17.25,true]"#),
        ("text 1 KiB", &long),
        ("document 1 KiB", &document),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("throng", name), |b| {
            b.iter(|| Packet::parse(black_box(text), &limits).is_ok());
        });
        let json = &text[text.find('[').unwrap_or(0)..];
        group.bench_function(BenchmarkId::new("serde_json", name), |b| {
            b.iter(|| serde_json::from_str::<IgnoredAny>(black_box(json)).is_ok());
        });
    }
    group.finish();
}

fn decode<T: Payload + ?Sized>(c: &mut Criterion, name: &str, text: &str) {
    let limits = Limits::default();
    let mut scratch = String::new();
    c.bench_function(&format!("socketio/decode/{name}"), |b| {
        b.iter(|| {
            let packet = Packet::parse(black_box(text), &limits).expect("the packet is right");
            black_box(packet.args.parse::<T>(&mut scratch)).is_ok()
        });
    });
}

fn decoded(c: &mut Criterion) {
    decode::<str>(c, "str", CHAT);
    decode::<str>(c, "str with escapes", r#"2["chat message","hello,\neverybody\u0021"]"#);
    decode::<String>(c, "String", CHAT);
    decode::<(f64, f64, bool)>(c, "(f64, f64, bool)", r#"2["move",1234.5,-17.25,true]"#);
    decode::<serde_json::Value>(c, "Value", r#"2["save",{"id":1234,"name":"Ada","tags":["a","b"]}]"#);

    let (limits, mut decoder, mut scratch) = (Limits::default(), Decoder::new(), String::new());
    let bytes = [7; 64];
    c.bench_function("socketio/decode/attachment of 64 B", |b| {
        b.iter(|| {
            let text = black_box(r#"51-["blob",{"_placeholder":true,"num":0}]"#);
            assert!(decoder.text(text, &limits).is_ok_and(|packet| packet.is_none()));
            let assembly = decoder.binary(&bytes, &limits).ok().flatten().expect("it is the last attachment");
            assembly.packet().args.parse::<[u8]>(&mut scratch).map(<[u8]>::len)
        });
    });
}

fn emit(c: &mut Criterion, name: &str, args: &(impl EmitArgs + ?Sized)) {
    let (mut out, mut attachments) = (Vec::with_capacity(4 << 10), Vec::new());
    c.bench_function(&format!("socketio/emit/{name}"), |b| {
        b.iter(|| {
            out.clear();
            attachments.clear();
            encode::event(&mut out, "/", None, "chat message", black_box(args), &mut attachments)
        });
    });
}

fn emitted(c: &mut Criterion) {
    emit(c, "str", "hello, everybody!");
    emit(c, "(f64, f64, bool)", &(1234.5, -17.25, true));
    emit(c, "Vec", &vec![1, 22, 333, 4444]);
    emit(c, "attachment of 64 B", &Binary(&[7; 64]));
}

fn payload(c: &mut Criterion) {
    let body = vec![format!("4{CHAT}"); 10].join("\x1e");
    let mut buffer = Vec::new();
    c.bench_function("engineio/payload of 10", |b| {
        b.iter(|| {
            let mut payload = engineio::Payload::new(black_box(&body), 100, &mut buffer);
            let mut packets = 0;
            while let Some(packet) = payload.next() {
                packets += usize::from(packet.is_ok());
            }
            packets
        });
    });
}

criterion_group!(benches, parse, decoded, emitted, payload);
criterion_main!(benches);
