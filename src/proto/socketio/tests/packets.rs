//! Packets as text: right ones, and every way to be refused.

use super::super::{Kind, Limits, Malformed, Packet, RESERVED_EVENTS};
use Kind::{Ack, BinaryAck, BinaryEvent, Connect, ConnectError, Disconnect, Event};

fn parse(text: &str) -> Result<Packet<'_>, Malformed> {
    Packet::parse(text, &Limits::default())
}

/// Text, kind, attachments, namespace, ack id, event, arguments.
type Row = (&'static str, Kind, u32, &'static str, Option<u64>, &'static str, &'static str);

const RIGHT: &[Row] = &[
    // The examples of the protocol's text.
    ("0", Connect, 0, "/", None, "", ""),
    (
        r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
        Connect,
        0,
        "/admin",
        None,
        "",
        r#"{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
    ),
    (r#"4{"message":"Not authorized"}"#, ConnectError, 0, "/", None, "", r#"{"message":"Not authorized"}"#),
    (r#"2["foo"]"#, Event, 0, "/", None, "foo", ""),
    (r#"2/admin,["bar"]"#, Event, 0, "/admin", None, "bar", ""),
    (
        r#"51-["baz",{"_placeholder":true,"num":0}]"#,
        BinaryEvent,
        1,
        "/",
        None,
        "baz",
        r#"{"_placeholder":true,"num":0}"#,
    ),
    (
        r#"52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
        BinaryEvent,
        2,
        "/admin",
        None,
        "baz",
        r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#,
    ),
    (r#"212["foo"]"#, Event, 0, "/", Some(12), "foo", ""),
    (r#"3/admin,13["bar"]"#, Ack, 0, "/admin", Some(13), "", r#""bar""#),
    (
        r#"61-15["bar",{"_placeholder":true,"num":0}]"#,
        BinaryAck,
        1,
        "/",
        Some(15),
        "",
        r#""bar",{"_placeholder":true,"num":0}"#,
    ),
    ("1", Disconnect, 0, "/", None, "", ""),
    ("1/admin,", Disconnect, 0, "/admin", None, "", ""),
    // Its test suite and the tests of the official parser.
    ("0/custom", Connect, 0, "/custom", None, "", ""),
    ("1/custom", Disconnect, 0, "/custom", None, "", ""),
    (r#"2[1,"a",{}]"#, Event, 0, "/", None, "1", r#""a",{}"#),
    (r#"2/test,1["a",1,{}]"#, Event, 0, "/test", Some(1), "a", "1,{}"),
    (r#"4"Unauthorized""#, ConnectError, 0, "/", None, "", r#""Unauthorized""#),
    (
        r#"2456["message-with-ack",1,"2",{"3":[false]}]"#,
        Event,
        0,
        "/",
        Some(456),
        "message-with-ack",
        r#"1,"2",{"3":[false]}"#,
    ),
    ("31[]", Ack, 0, "/", Some(1), "", ""),
    // What the grammar leaves room for.
    ("0/admin?token=1234&uid=abcd,{}", Connect, 0, "/admin", None, "", "{}"),
    ("0/?a=b", Connect, 0, "/", None, "", ""),
    ("0/a/b", Connect, 0, "/a/b", None, "", ""),
    ("0/\u{e9}\u{20ac},", Connect, 0, "/\u{e9}\u{20ac}", None, "", ""),
    ("2/,[\"a\"]", Event, 0, "/", None, "a", ""),
    ("2[ \"a\" , 1 , [ ] ] \n", Event, 0, "/", None, "a", " 1 , [ ] "),
    ("2[\"\"]", Event, 0, "/", None, "", ""),
    (r#"2["a\nb\u00e9\"\/",1]"#, Event, 0, "/", None, "a\nb\u{e9}\"/", "1"),
    (r#"2["\ud83d\ude00\ud83d",1]"#, Event, 0, "/", None, "\u{1f600}\u{fffd}", "1"),
    ("2[-1.5e3]", Event, 0, "/", None, "-1.5e3", ""),
    ("20[\"a\"]", Event, 0, "/", Some(0), "a", ""),
    ("29007199254740991[\"a\"]", Event, 0, "/", Some((1 << 53) - 1), "a", ""),
    ("50-[\"a\"]", BinaryEvent, 0, "/", None, "a", ""),
    ("510-7[\"a\"]", BinaryEvent, 10, "/", Some(7), "a", ""),
    (r#"2["a",{"_placeholder":true,"num":7}]"#, Event, 0, "/", None, "a", r#"{"_placeholder":true,"num":7}"#),
    (r#"51-["a",{"_placeholder":false}]"#, BinaryEvent, 1, "/", None, "a", r#"{"_placeholder":false}"#),
    (
        r#"51-["a",{"num":0 , "_placeholder" : true}]"#,
        BinaryEvent,
        1,
        "/",
        None,
        "a",
        r#"{"num":0 , "_placeholder" : true}"#,
    ),
    (r#"51-["a",{"num":3}]"#, BinaryEvent, 1, "/", None, "a", r#"{"num":3}"#),
];

#[test]
fn right_packets_are_read() {
    for &(text, kind, attachments, namespace, ack_id, event, args) in RIGHT {
        let packet = parse(text).unwrap_or_else(|malformed| panic!("{text}: {malformed}"));
        assert_eq!(
            (packet.kind, packet.attachments, packet.namespace),
            (kind, attachments, namespace),
            "{text}"
        );
        assert_eq!((packet.ack_id, &*packet.event), (ack_id, event), "{text}");
        assert_eq!(packet.args.as_json(), Some(args), "{text}");
        assert!(text.ends_with(packet.data));
    }
}

#[test]
fn no_prefix_of_a_right_packet_does_harm() {
    for &(text, ..) in RIGHT {
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            let Ok(packet) = parse(&text[..end]) else { continue };
            // What is right without its end had none that mattered.
            let complete = packet.data.is_empty() || text[end..].trim().is_empty();
            assert!(complete, "{}", &text[..end]);
        }
    }
}

#[test]
fn wrong_packets_are_refused_for_what_is_wrong_in_them() {
    use Malformed::*;
    for (text, why) in [
        // The test suite's and the official parser's.
        ("abc", Kind),
        ("999", Kind),
        ("2{}", Payload),
        (r#"2abc["message-with-ack",1,"2",{"3":[false]}]"#, Payload),
        (r#"442["some","data""#, Payload),
        (r#"0/admin,"invalid""#, Payload),
        ("0[]", Payload),
        ("1/admin,{}", Payload),
        (r#"2/admin,"invalid"#, Payload),
        ("2/admin,{}", Payload),
        (r#"2[{"toString":"foo"}]"#, EventName),
        (r#"2[true,"foo"]"#, EventName),
        (r#"2[null,"bar"]"#, EventName),
        (r#"2["disconnect","123"]"#, EventReserved),
        ("5", AttachmentCount),
        ("51", AttachmentCount),
        ("5a-", AttachmentCount),
        ("51.23-", AttachmentCount),
        // Heads.
        ("", Kind),
        ("7[]", Kind),
        ("-1", Kind),
        ("\u{e9}", Kind),
        (" 2[\"a\"]", Kind),
        ("5-[\"a\"]", AttachmentCount),
        ("5-1-[\"a\"]", AttachmentCount),
        ("5+1-[\"a\"]", AttachmentCount),
        ("511-[\"a\"]", TooManyAttachments),
        ("599999999999999999999999-[\"a\"]", TooManyAttachments),
        ("29007199254740992[\"a\"]", AckId),
        ("299999999999999999999999999[\"a\"]", AckId),
        ("2-1[\"a\"]", Payload),
        ("2 [\"a\"]", Payload),
        ("2admin,[\"a\"]", Payload),
        // Payloads of the wrong type, and none where there must be one.
        ("2", Payload),
        ("2/admin,", Payload),
        ("27", Payload),
        ("2\"a\"", Payload),
        ("2null", Payload),
        ("3", Payload),
        ("31", Payload),
        ("31{}", Payload),
        ("51-", Payload),
        ("4", Payload),
        ("4[]", Payload),
        ("4null", Payload),
        ("1[]", Payload),
        ("1 ", Payload),
        ("0\"a\"", Payload),
        ("0null", Payload),
        // Events.
        ("2[]", EventName),
        ("2[ ]", EventName),
        ("2[[\"a\"]]", EventName),
        ("2[,1]", EventName),
        (r#"2["\u0063onnect"]"#, EventReserved),
        (r#"51-["connect"]"#, EventReserved),
        // JSON.
        ("2[\"a\"", Json),
        ("2[\"a", Json),
        ("2[\"a\",", Json),
        ("2[\"a\",]", Json),
        ("2[\"a\",,1]", Json),
        ("2[\"a\" 1]", Json),
        ("2[\"a\"]]", Json),
        ("2[\"a\"]1", Json),
        ("2[\"a\"],", Json),
        ("2[\"a\\x\"]", Json),
        ("2[\"a\\u12g4\"]", Json),
        ("2[\"a\\u12\"]", Json),
        ("2[\"a\n\"]", Json),
        ("2[\"a\u{0}\"]", Json),
        ("2[\"a\",'b']", Json),
        ("2[\"a\",undefined]", Json),
        ("2[\"a\",NaN]", Json),
        ("2[\"a\",tru]", Json),
        ("2[\"a\",nulll]", Json),
        ("2[\"a\",True]", Json),
        ("2[\"a\",01]", Json),
        ("2[\"a\",1.]", Json),
        ("2[\"a\",.5]", Json),
        ("2[\"a\",-]", Json),
        ("2[\"a\",+1]", Json),
        ("2[\"a\",1e]", Json),
        ("2[\"a\",1e+]", Json),
        ("2[\"a\",1.5.5]", Json),
        ("2[\"a\",{]", Json),
        ("2[\"a\",{}}]", Json),
        ("2[\"a\",[}]", Json),
        ("2[\"a\",{\"b\"}]", Json),
        ("2[\"a\",{\"b\":}]", Json),
        ("2[\"a\",{b:1}]", Json),
        ("2[\"a\",{1:1}]", Json),
        ("2[\"a\",{\"b\":1,}]", Json),
        ("2[\"a\",{\"b\":1 \"c\":2}]", Json),
        ("2[\"a\",{\"b\",1}]", Json),
        ("2[\"a\",[1,]]", Json),
        ("2[\"a\",[1 2]]", Json),
        ("2[\"a\",\u{a0}1]", Json),
        ("2[\"a\",1/**/]", Json),
        ("31[", Json),
        ("31[,]", Json),
        ("0{}{}", Json),
        ("0{", Json),
        ("0{\"a\":1", Json),
        ("4\"a", Json),
        // Placeholders.
        (r#"51-["a",{"_placeholder":true,"num":1}]"#, Placeholder),
        (r#"50-["a",{"_placeholder":true,"num":0}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true,"num":-1}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true,"num":0.5}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true,"num":"0"}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true,"num":99999999999}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true}]"#, Placeholder),
        (r#"51-["a",{"_placeholder":true,"num":0,"x":1}]"#, Placeholder),
        (r#"51-["a",{"x":1,"_placeholder":true,"num":0}]"#, Placeholder),
        (r#"51-["a",[[{"b":{"num":7,"_placeholder":true}}]]]"#, Placeholder),
        (r#"61-1[{"_placeholder":true,"num":1}]"#, Placeholder),
    ] {
        assert_eq!(parse(text).map(|packet| packet.kind), Err(why), "{text:?}");
    }
    for event in RESERVED_EVENTS {
        assert_eq!(parse(&format!("2[\"{event}\",1]")).map(|packet| packet.kind), Err(EventReserved));
        assert!(parse(&format!("2[\"{event}s\",1]")).is_ok());
        assert!(parse(&format!("31[\"{event}\",1]")).is_ok(), "an ack has no name");
    }
}

#[test]
fn every_limit_is_the_last_that_passes() {
    let limits = Limits {
        attachments_max: 2,
        attachments_bytes_max: 0,
        namespace_bytes_max: 4,
        event_bytes_max: 3,
        args_max: 2,
        depth_max: 3,
    };
    for (within, beyond, why) in [
        ("52-[\"a\"]", "53-[\"a\"]", Malformed::TooManyAttachments),
        ("0/abc,", "0/abcd,", Malformed::NamespaceTooLong),
        ("0/abc", "0/abcd", Malformed::NamespaceTooLong),
        ("0/a?b,", "0/a?bc,", Malformed::NamespaceTooLong),
        ("2[\"abc\"]", "2[\"abcd\"]", Malformed::EventTooLong),
        ("2[123]", "2[1234]", Malformed::EventTooLong),
        ("2[\"a\",1,2]", "2[\"a\",1,2,3]", Malformed::TooManyArgs),
        ("31[1,2]", "31[1,2,3]", Malformed::TooManyArgs),
        ("2[\"a\",[[[]],1]]", "2[\"a\",[[[[]]]]]", Malformed::TooDeep),
        ("2[\"a\",{\"b\":{\"c\":{}}}]", "2[\"a\",{\"b\":{\"c\":{\"d\":{}}}}]", Malformed::TooDeep),
        ("0{\"b\":{\"c\":{}}}", "0{\"b\":{\"c\":{\"d\":{}}}}", Malformed::TooDeep),
        ("2[\"a\",[[],[],{}]]", "2[\"a\",[[],[],{\"a\":[[]]}]]", Malformed::TooDeep),
    ] {
        assert!(Packet::parse(within, &limits).is_ok(), "{within}");
        assert_eq!(Packet::parse(beyond, &limits).map(|packet| packet.kind), Err(why), "{beyond}");
    }
}

#[test]
fn nesting_is_bounded_whatever_the_limit() {
    let limits = Limits { depth_max: u32::MAX, ..Limits::default() };
    let nested = |depth: usize| format!("2[\"a\",{}{}]", "[".repeat(depth), "]".repeat(depth));
    let deepest = nested(127);
    let packet = Packet::parse(&deepest, &limits).unwrap();
    let mut scratch = String::new();
    packet.args.parse::<serde_json::Value>(&mut scratch).unwrap();
    assert_eq!(Packet::parse(&nested(128), &limits).map(|_| ()), Err(Malformed::TooDeep));
    assert_eq!(Packet::parse(&nested(100_000), &limits).map(|_| ()), Err(Malformed::TooDeep));
}

#[test]
fn every_string_ends_where_its_quote_is() {
    for length in 0..40 {
        for (at, odd) in
            (0..=length).flat_map(|at| ["", "\\\"", "\\u0041", "\u{20ac}", "\u{7f}"].map(|odd| (at, odd)))
        {
            let text = format!("2[\"{}{odd}{}\",\"x\"]", "a".repeat(at), "b".repeat(length - at));
            let packet = parse(&text).unwrap();
            assert_eq!(packet.args.as_json(), Some("\"x\""), "{text}");
            let plain = odd.replace("\\u0041", "A").replace('\\', "");
            assert_eq!(packet.event, "a".repeat(at) + &plain + &"b".repeat(length - at));
        }
        for at in 0..length {
            for control in 0..32_u8 {
                let mut text = format!("2[\"{}\",1]", "a".repeat(length)).into_bytes();
                text[3 + at] = control;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(parse(&text).map(|_| ()), Err(Malformed::Json), "{text:?}");
            }
        }
    }
}

#[test]
fn escapes_stand_for_what_javascript_means_by_them() {
    for (escaped, plain) in [
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0000\u00e9\u20AC\uffff", "\0\u{e9}\u{20ac}\u{ffff}"),
        (r"\ud800\udc00\udbff\udfff", "\u{10000}\u{10ffff}"),
        (r"\ud83d\ude00x", "\u{1f600}x"),
        // Halves of pairs: alone, the wrong way round, before something else.
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\u0041\ud83d\n\ud83du", "\u{fffd}A\u{fffd}\n\u{fffd}u"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud7ff\ue000\udbff\ue000", "\u{d7ff}\u{e000}\u{fffd}\u{e000}"),
    ] {
        let text = format!("2[\"a\",\"{escaped}\"]");
        assert_eq!(parse(&text).unwrap().args.parse::<str>(&mut String::new()), Ok(plain), "{escaped}");
        let text = format!("2[\"{escaped}\"]");
        assert_eq!(parse(&text).unwrap().event, plain);
    }
}
