//! Events: listeners of every kind, arguments that do not fit, and bytes.

use serde_json::value::RawValue;
use throng::io::{Binary, Io, RawArgs, Transport};
use tungstenite::Message;

use super::peer::{Tell, start, with_shards};

fn listening(io: &mut Io, tell: &Tell) {
    let tells: [Tell; 8] = std::array::from_fn(|_| tell.clone());
    let [any, packet, once, on, second, pair, late, kicked] = tells;
    drop(
        io.of("/")
            .on_any(move |_, event, args| any.say(format!("any {event} {}", args.as_json().unwrap())))
            .on_packet(move |socket, event, _| {
                if event == "last" {
                    socket.disconnect();
                }
                if event == "unwanted" {
                    packet.say("not wanted");
                }
                event != "unwanted"
            })
            .once("once", move |socket, text: &str| {
                once.say(format!("once {text}"));
                socket.emit("heard", text);
            })
            .on("on", move |_, text: &str| on.say(format!("on {text}")))
            .on("on", move |_, text: &str| second.say(format!("on too {text}")))
            .on("pair", move |_, (number, text): &(u8, String)| pair.say(format!("{number} {text}")))
            .on("last", move |_, (): &()| late.say("a disconnected socket hears nothing"))
            .on("kick", move |socket, (): &()| {
                kicked.say("kicked");
                assert_eq!(socket.emit("before", ()), throng::Delivery::Queued);
                socket.disconnect();
                assert_eq!(socket.emit("behind", ()), throng::Delivery::Dropped);
                socket.disconnect();
            })
            .on("raw", |socket, raw: &RawValue| _ = socket.emit("raw", raw))
            .on("transport", |socket, (): &()| {
                _ = socket.emit(
                    "transport",
                    if socket.transport() == Transport::Polling { "polling" } else { "websocket" },
                );
            })
            .on("reserved", |socket, (): &()| {
                assert_eq!(socket.emit("disconnect", ()), throng::Delivery::Dropped);
                _ = socket.emit("not", "dropped");
            })
            .on("bytes", |socket, bytes: &[u8]| _ = socket.emit("bytes", (bytes.len(), Binary(bytes))))
            .on("all", |socket, args: &RawArgs| _ = socket.emit("all", args.as_args())),
    );
}

#[test]
fn listeners_are_called_in_their_order() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        let mut ws = fixture.connected();
        let mut twin = fixture.connected();
        for (sent, said) in [
            ("42[\"on\",\"x\"]", &["any on \"x\"", "on x", "on too x"][..]),
            ("42[\"unwanted\",1]", &["not wanted"]),
            ("42[\"nobody\",[1, 2]]", &["any nobody [1, 2]"]),
            ("42[\"once\",\"1\"]", &["any once \"1\"", "once 1"]),
            ("42[\"once\",\"2\"]", &["any once \"2\""]),
            ("42[\"pair\",7,\"x\\u0041\",null]", &["any pair 7,\"x\\u0041\",null", "7 xA"]),
            // A number is a name too.
            ("42[5]", &["any 5 "]),
        ] {
            ws.send(sent);
            said.iter().for_each(|said| assert_eq!(fixture.said(), *said));
        }
        assert_eq!(ws.text(), "42[\"heard\",\"1\"]");
        // Once for each socket, and again for one that took the place of one that is gone.
        twin.send("42[\"once\",\"3\"]");
        assert_eq!([fixture.said(), fixture.said()], ["any once \"3\"", "once 3"]);
        twin.send("41");
        twin.send("40");
        twin.send("42[\"once\",\"4\"]");
        assert_eq!([fixture.said(), fixture.said()], ["any once \"4\"", "once 4"]);
        ws.close();
        twin.close();
        fixture.stop();
    });
}

#[test]
fn arguments_that_do_not_fit_are_ignored() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        let mut ws = fixture.connected();
        for (args, json) in [
            ("[\"on\"]", ""),
            ("[\"on\",1]", "1"),
            ("[\"on\",null]", "null"),
            ("[\"on\",[\"x\"]]", "[\"x\"]"),
            ("[\"pair\",256,\"x\"]", "256,\"x\""),
            ("[\"pair\",1]", "1"),
            ("[\"pair\",[1,\"x\"]]", "[1,\"x\"]"),
            ("[\"bytes\",\"text\"]", "\"text\""),
            ("[\"raw\"]", ""),
        ] {
            ws.send(&format!("42{args}"));
            let event = args.split('"').nth(1).unwrap();
            assert_eq!(fixture.said(), format!("any {event} {json}"));
        }
        ws.send("42[\"raw\",{\"a\" : [1.50, 1e3]}]");
        assert_eq!(ws.text(), "42[\"raw\",{\"a\" : [1.50, 1e3]}]");
        ws.close();
        fixture.stop();
    });
}

#[test]
fn a_socket_that_was_disconnected_hears_and_says_nothing() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        let mut ws = fixture.connected();
        ws.send("42[\"kick\"]");
        assert_eq!(ws.text(), "42[\"before\"]");
        assert_eq!(ws.text(), "41");
        assert_eq!([fixture.said(), fixture.said()], ["any kick ", "kicked"]);
        // Its session goes on, and it may come back.
        ws.enter("/");
        // By what looks at events first.
        ws.send("42[\"last\"]");
        assert_eq!(ws.text(), "41");
        ws.close();
        fixture.end();
    });
}

#[test]
fn what_cannot_be_sent_is_not() {
    let fixture = start(1, listening, |_| {});
    let mut ws = fixture.connected();
    ws.send("42[\"reserved\"]");
    assert_eq!(ws.text(), "42[\"not\",\"dropped\"]");
    ws.close();
    fixture.stop();
}

#[test]
fn bytes_go_both_ways_over_both_transports() {
    with_shards(|shards| {
        let fixture = start(shards, listening, |_| {});
        let (one, two) = ("{\"_placeholder\":true,\"num\":0}", "{\"_placeholder\":true,\"num\":1}");
        let all = format!("452-[\"all\",1,{one},\"x\",{{\"in\":[{two}]}}]");

        let mut ws = fixture.connected();
        ws.send("42[\"transport\"]");
        assert_eq!(ws.text(), "42[\"transport\",\"websocket\"]");
        ws.send(&format!("451-[\"bytes\",{one}]"));
        ws.client.send(Message::binary(vec![0, 255, 1])).unwrap();
        assert_eq!(ws.text(), format!("451-[\"bytes\",3,{one}]"));
        assert_eq!(ws.binary(), [0, 255, 1]);
        ws.send(&all);
        ws.client.send(Message::binary(vec![1])).unwrap();
        ws.client.send(Message::binary(Vec::new())).unwrap();
        assert_eq!((ws.text(), ws.binary(), ws.binary()), (all.clone(), vec![1], Vec::new()));
        ws.close();

        let mut poller = fixture.polling();
        poller.post("42[\"transport\"]");
        assert_eq!(poller.next(), "42[\"transport\",\"polling\"]");
        // In one body, and in one body each.
        poller.post(&format!("{all}\x1ebAQ==\x1eb"));
        assert_eq!(poller.poll().packets(), [all.as_str(), "bAQ==", "b"]);
        poller.post(&format!("451-[\"bytes\",{one}]"));
        poller.post("bAP8B");
        assert_eq!(poller.poll().packets(), [format!("451-[\"bytes\",3,{one}]").as_str(), "bAP8B"]);
        poller.post("1");
        fixture.stop();
    });
}
