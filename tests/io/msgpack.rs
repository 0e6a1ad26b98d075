//! Packets in MessagePack on real sockets: events, bytes, acks, raw JSON, on both transports; and a client with another parser.

use std::time::Duration;

use data_encoding::BASE64;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use throng::io::{
    AckError, Admit, Binary, BinaryBuf, Connect, EmitArgs, Io, Limits, Parser, RawArgs, Socket,
};
use throng::proto::socketio::{Kind, Packet, msgpack};
use tungstenite::Message;

use super::peer::{Fixture, Poller, Tell, Ws, gone, start, with_shards};

fn speaking(io: &mut Io, tell: &Tell) {
    let (answered, outgoing, raw, went) = (tell.clone(), tell.clone(), tell.clone(), tell.clone());
    let admit = |connect: &Connect<'_>| {
        assert_eq!(connect.auth_json(), "{}");
        match connect.auth::<Value>(&mut String::new()) {
            Ok(auth) if auth["word"] == "wrong" => Admit::refuse_with("no", &json!({ "tries": [1, 2.5] })),
            auth => Admit::accept(auth.ok()),
        }
    };
    drop(
        io.of_with("/chat", admit)
            .on("echo", |socket, args: &RawArgs| {
                socket.emit("echo", args.as_args());
                socket.ack(args.as_args());
            })
            .on("bytes", |socket, bytes: &[u8]| _ = socket.ack((Binary(bytes), bytes.len())))
            .on("text", |socket, text: &str| _ = socket.ack(format!("{text} {:?}", socket.data())))
            .on("raw", move |_, json: &RawValue| raw.say(json.get()))
            .on("json", |socket, (): &()| {
                let json = to_raw_value(&json!({ "list": [1, "a", null] })).unwrap();
                socket.io().emit("all", (&*json, Binary(&[9]), vec![&json]));
                let ack = socket.take_ack();
                std::thread::spawn(move || ack.answer(json));
            })
            .on("ask", move |socket, (): &()| {
                let (answered, hour) = (answered.clone(), Duration::from_secs(3600));
                let done = move |_: &mut Socket<'_, _>, answer: Result<&(String, BinaryBuf), AckError>| {
                    let (text, bytes) = answer.unwrap();
                    answered.say(format!("{text} {:?}", bytes.0));
                };
                socket.timeout(hour).emit_with_ack("question", Binary(&[7]), done);
            })
            .on_any_outgoing(move |_, event, args| {
                if event == "all" {
                    assert_eq!(args.as_json(), None);
                    let mut scratch = String::new();
                    let (json, bytes) = args.parse::<(Value, BinaryBuf)>(&mut scratch).unwrap();
                    outgoing.say(format!("{event} {json} {:?}", bytes.0));
                }
            })
            .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
    );
}

fn speaks(shards: usize) -> Fixture {
    start(shards, speaking, |io| io.parser = Parser::Msgpack)
}

fn event(ack_id: Option<u64>, name: &str, args: impl EmitArgs) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::event(&mut out, "/chat", ack_id, name, &args).unwrap();
    out
}

fn ack(ack_id: u64, args: impl EmitArgs) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::ack(&mut out, "/chat", ack_id, &args).unwrap();
    out
}

/// A client's packets, whatever carries them.
trait Speaks {
    fn say(&mut self, packet: Vec<u8>);
    fn hear(&mut self) -> Vec<u8>;

    fn expect(&mut self, kind: Kind, ack_id: Option<u64>, name: &str, args: impl EmitArgs) {
        let packet = self.hear();
        let read = Packet::parse_msgpack(&packet, &Limits::default()).unwrap();
        assert_eq!((read.kind, read.namespace, &*read.event), (kind, "/chat", name));
        if kind == Kind::Event && ack_id.is_none() {
            assert_eq!(packet, event(read.ack_id, name, args));
        } else {
            let expected =
                if kind == Kind::Event { event(ack_id, name, args) } else { ack(ack_id.unwrap(), args) };
            assert_eq!(packet, expected);
        }
    }

    fn connect(&mut self, auth: Option<&Value>) -> (Kind, Value) {
        let mut out = Vec::new();
        msgpack::connect_request(&mut out, "/chat", auth).unwrap();
        self.say(out);
        let packet = self.hear();
        let read = Packet::parse_msgpack(&packet, &Limits::default()).unwrap();
        (read.kind, read.args.parse::<Value>(&mut String::new()).unwrap())
    }
}

impl Speaks for Ws {
    fn say(&mut self, packet: Vec<u8>) {
        self.client.send(Message::binary(packet)).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        self.binary()
    }
}

/// A polling client, and what it has polled and not looked at.
struct Polled(Poller, std::collections::VecDeque<String>);

impl Speaks for Polled {
    fn say(&mut self, packet: Vec<u8>) {
        self.0.post(&format!("b{}", BASE64.encode(&packet)));
    }

    fn hear(&mut self) -> Vec<u8> {
        while self.1.is_empty() {
            self.1.extend(self.0.poll().packets());
        }
        BASE64.decode(self.1.pop_front().unwrap().strip_prefix('b').unwrap().as_bytes()).unwrap()
    }
}

fn converse(fixture: &Fixture, client: &mut impl Speaks) {
    let (kind, refusal) = client.connect(Some(&json!({ "word": "wrong" })));
    assert_eq!(kind, Kind::ConnectError);
    assert_eq!(refusal, json!({ "message": "no", "data": { "tries": [1, 2.5] } }));
    let (kind, connected) = client.connect(Some(&json!({ "word": "right" })));
    assert!(kind == Kind::Connect && connected["sid"].is_string(), "{connected}");
    let args = (1, "text", Binary(&[1, 2]), json!({ "a": [null, -1.5] }), Binary(&[]));
    client.say(event(Some(3), "echo", args.clone()));
    client.expect(Kind::Event, None, "echo", args.clone());
    client.expect(Kind::Ack, Some(3), "", args);
    client.say(event(Some(1 << 40), "bytes", Binary(&[4, 5, 6])));
    client.expect(Kind::Ack, Some(1 << 40), "", (Binary(&[4, 5, 6]), 3));
    client.say(event(Some(5), "text", "é"));
    client.expect(Kind::Ack, Some(5), "", "é Some(Object {\"word\": String(\"right\")})");
    // There is no JSON in it that a handler could take as it is: it is not called.
    client.say(event(Some(6), "raw", json!({})));
    client.say(event(Some(7), "json", ()));
    let value = json!({ "list": [1, "a", null] });
    client.expect(Kind::Event, None, "all", (&value, Binary(&[9]), [&value].as_slice()));
    client.expect(Kind::Ack, Some(7), "", (value,));
    assert_eq!(fixture.said(), "all {\"list\":[1,\"a\",null]} [9]");
    client.say(event(None, "ask", ()));
    let question = client.hear();
    let question = Packet::parse_msgpack(&question, &Limits::default()).unwrap();
    assert_eq!(question.args.parse::<BinaryBuf>(&mut String::new()).unwrap().0, [7]);
    client.say(ack(question.ack_id.unwrap(), ("sure", Binary(&[8]))));
    assert_eq!(fixture.said(), "sure [8]");
}

#[test]
fn events_bytes_and_acks_go_both_ways() {
    with_shards(|shards| {
        let fixture = speaks(shards);
        let mut ws = fixture.websocket();
        converse(&fixture, &mut ws);
        ws.close();
        assert_eq!(fixture.said(), "-/chat transport close");
        let mut poller = Polled(fixture.poller(), Default::default());
        converse(&fixture, &mut poller);
        poller.0.post("1");
        assert_eq!(fixture.said(), "-/chat transport close");
        fixture.end();
    });
}

#[test]
fn a_client_with_another_parser_is_told_so() {
    with_shards(|shards| {
        let fixture = speaks(shards);
        let mut ws = fixture.websocket();
        assert_eq!(ws.connect(None).0, Kind::Connect);
        ws.send("42/chat,[\"echo\"]");
        assert_eq!(ws.close_code(), 1000);
        assert_eq!(fixture.said(), "-/chat parse error");
        // And what is no packet at all.
        let mut ws = fixture.websocket();
        ws.say(vec![0xc1, 0x80]);
        assert_eq!(ws.close_code(), 1000);
        fixture.end();
    });
}
