//! What is sent and what is heard, packet by packet.

use super::*;

const WANTED: Wanted<'_> = Wanted {
    namespace: "/",
    auth: None,
    echo: ("say \"it\"", "said"),
    publish: ("tell", "told"),
    is_acked: false,
    is_binary: false,
    transport: Transport::Websocket,
    size: Some(24),
};

fn socket_io(wanted: Wanted<'_>) -> SocketIo {
    SocketIo::new(wanted).unwrap()
}

fn stamp(kind: Kind, sequence: u32) -> Stamp {
    Stamp { kind, connection: 7, sequence, intended: 1234, slip: 0 }
}

/// The messages in an output of one event.
fn appended(socket_io: &SocketIo, stamp: &Stamp) -> Vec<Vec<u8>> {
    use throng::proto::ws::{Decoder, Item, Limits, Role, Store};
    let mut output = Output::new(3);
    socket_io.append(&mut output, stamp);
    let mut bytes = output.as_bytes().to_vec();
    let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
    let mut decoder = Decoder::new(Role::Server, limits, None, &mut bytes);
    let (mut store, mut messages) = (Store::new(), Vec::new());
    while let Some(Item::Message(message)) = decoder.next(&mut store).unwrap() {
        messages.push(message.as_bytes().to_vec());
    }
    messages
}

const CASES: [(&str, bool, Kind, u32, Option<u64>); 4] = [
    ("/", false, Kind::Echo, 0, None),
    ("/", true, Kind::Echo, 0, Some(0)),
    ("/x", true, Kind::Echo, 268_435_455, Some(268_435_455)),
    ("/x", true, Kind::Publish, 12, None),
];

#[test]
fn an_event_is_what_a_server_reads_and_its_answer_has_the_stamp() {
    for (namespace, is_acked, kind, sequence, id) in CASES {
        let socket_io = socket_io(Wanted { namespace, is_acked, ..WANTED });
        let stamp = stamp(kind, sequence);
        let [text] = &appended(&socket_io, &stamp)[..] else { panic!("one message") };
        let text = std::str::from_utf8(text).unwrap();
        let packet = Packet::parse(&text[1..], &Limits::default()).unwrap();
        let name = if kind == Kind::Echo { "say \"it\"" } else { "tell" };
        assert_eq!((packet.namespace, packet.ack_id, &*packet.event), (namespace, id, name), "{text}");
        let argument = last_text(packet.data);
        assert_eq!((argument.len(), packet.args.len()), (24, 1), "{text}");
        assert_eq!(socket_io.stamp(&argument, id), Some(stamp));
        assert_eq!(socket_io.stamp(&argument, Some(id.map_or(0, |id| id + 1))), None, "another's ack");
        assert_eq!(socket_io.stamp(&argument[..23], id), None, "cut");
    }
}

#[test]
fn a_binary_event_has_its_stamp_in_an_attachment() {
    for (namespace, is_acked, kind, sequence, id) in CASES {
        let socket_io = socket_io(Wanted { namespace, is_acked, is_binary: true, ..WANTED });
        let stamp = stamp(kind, sequence);
        let [text, attachment] = &appended(&socket_io, &stamp)[..] else { panic!("two messages") };
        let text = std::str::from_utf8(text).unwrap();
        let packet = Packet::parse(&text[1..], &Limits::default()).unwrap();
        assert_eq!((packet.kind, packet.attachments), (PacketIs::BinaryEvent, 1), "{text}");
        assert_eq!((packet.namespace, packet.ack_id, packet.args.len()), (namespace, id, 1), "{text}");
        assert_eq!(attachment.len(), 24);
        assert_eq!(socket_io.stamp_of(attachment, id), Some(stamp));
        assert_eq!(socket_io.stamp_of(attachment, Some(id.map_or(0, |id| id + 1))), None, "another's ack");
        assert_eq!(socket_io.stamp_of(&attachment[..23], id), None, "cut");
        assert_eq!(socket_io.stamp(&"E".repeat(24), id), None, "a text is no answer to bytes");
    }
}

#[test]
fn a_namespace_is_joined_step_by_step_and_a_refusal_is_told() {
    let socket_io = socket_io(Wanted { namespace: "/x", auth: Some(r#"{"token":"a"}"#), ..WANTED });
    let join =
        |text: &'static str, is_open: &mut bool| socket_io.join(EnginePacket::parse_text(text), is_open);
    for first in ["hello", "", "40{}", "2", "{}"] {
        assert!(join(first, &mut false).is_err_and(|said| said.contains("Engine.IO 4")), "{first}");
    }
    let is_open = &mut false;
    assert_eq!(join(r#"0{"sid":"s"}"#, is_open), Ok(Joining::Send(r#"40/x,{"token":"a"}"#)));
    assert!(*is_open);
    for (text, next) in [
        ("2", Joining::Send("3")),
        ("6", Joining::Wait),
        (r#"40{"sid":"of another namespace"}"#, Joining::Wait),
        (r#"42/x,["early"]"#, Joining::Wait),
        (r#"40/x,{"sid":"s"}"#, Joining::Joined),
    ] {
        assert_eq!(join(text, is_open), Ok(next), "{text}");
    }
    for (text, word) in [
        (r#"44/x,{"message":"not for you","data":1}"#, "(connect_error): not for you"),
        (r#"44/x,"an old server's text""#, "an old server's text"),
        ("40/x", "older Socket.IO"),
        ("41/x,", "disconnected"),
        ("1", "closed the Engine.IO session"),
        ("4nonsense", "broke Socket.IO"),
        ("nonsense", "broke Engine.IO"),
    ] {
        assert!(join(text, is_open).is_err_and(|said| said.contains(word)), "{text}");
    }
}

#[test]
fn replies_are_told_from_what_nobody_asked_for() {
    let socket_io = socket_io(Wanted { is_acked: true, ..WANTED });
    let announced = |left, ack_id, is_awaited| Heard::Announced(Announced { left, ack_id, is_awaited });
    for (text, heard) in [
        (r#"42["said","x"]"#, Heard::Reply("x".into(), None)),
        (r#"42["told","x"]"#, Heard::Reply("x".into(), None)),
        (r#"4317["x"]"#, Heard::Reply("x".into(), Some(17))),
        (r#"42["joined","x"]"#, Heard::Foreign),
        (r#"42/y,["said","x"]"#, Heard::Foreign),
        (r#"451-["said",{"_placeholder":true,"num":0}]"#, announced(1, None, true)),
        (r#"452-["joined",{"_placeholder":true,"num":0}]"#, announced(2, None, false)),
        (r#"451-/y,["said",{"_placeholder":true,"num":0}]"#, announced(1, None, false)),
        (r#"461-17[{"_placeholder":true,"num":0}]"#, announced(1, Some(17), true)),
        ("2", Heard::Ping),
    ] {
        assert_eq!(socket_io.hear(EnginePacket::parse_text(text)), Ok(heard), "{text}");
    }
    assert_eq!(socket_io.hear(Ok(EnginePacket::binary(b"bytes"))), Ok(Heard::Attachment(b"bytes")));
}

#[test]
fn flags_that_cannot_be_are_refused() {
    for (wanted, word) in [
        (Wanted { namespace: "x", ..WANTED }, "begins with /"),
        (Wanted { namespace: "/x,y", ..WANTED }, "comma"),
        (Wanted { auth: Some("[1]"), ..WANTED }, "object"),
        (Wanted { auth: Some("{"), ..WANTED }, "not JSON"),
        (Wanted { echo: ("connect", "b"), ..WANTED }, "reserved"),
        (Wanted { publish: ("a", "disconnect"), ..WANTED }, "reserved"),
        (Wanted { size: Some(19), ..WANTED }, "20 bytes"),
    ] {
        assert!(SocketIo::new(wanted).is_err_and(|said| said.contains(word)), "{word}");
    }
    assert!(SocketIo::new(Wanted { size: Some(16), is_binary: true, ..WANTED }).is_ok());
}
