//! The same protocol in MessagePack: written and read again, cut short, damaged, and every way to be refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::encode::EmitArgs;
use super::super::{
    Args, Binary, BinaryBuf, Kind, Limits, Malformed, Packet, RESERVED_EVENTS, RawArgs, msgpack,
};
use super::random::Random;

fn parse(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    Packet::parse_msgpack(bytes, &Limits::default())
}

fn event(args: &(impl EmitArgs + ?Sized)) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::event(&mut out, "/", Some(7), "e", args).unwrap();
    out
}

/// A packet of any values at all.
fn packet(value: Value) -> Vec<u8> {
    rmp_serde::to_vec(&value).unwrap()
}

#[test]
fn what_the_official_parser_writes_is_read() {
    // notepack.io's encoding of { type: 2, data: ["hi", 1, <Buffer 01 02>, undefined], options: { compress: true },
    // id: 300, nsp: "/chat" }.
    let bytes =
        b"\x85\xa4type\x02\xa4data\x94\xa2hi\x01\xc4\x02\x01\x02\xd4\x00\x00\xa7options\x81\xa8compress\xc3\
        \xa2id\xcd\x01\x2c\xa3nsp\xa5/chat";
    let packet = parse(bytes).unwrap();
    assert_eq!((packet.kind, packet.namespace, packet.ack_id), (Kind::Event, "/chat", Some(300)));
    assert_eq!((&*packet.event, packet.args.len(), packet.data), ("hi", 3, ""));
    let mut scratch = String::new();
    let (number, bytes, missing) =
        packet.args.parse::<(u8, BinaryBuf, Option<String>)>(&mut scratch).unwrap();
    assert_eq!((number, &*bytes, missing), (1, &[1, 2][..], None));
    // A connect with nothing but `undefined` for its payload and its id.
    let bytes = b"\x84\xa4type\x00\xa4data\xd4\x00\x00\xa2id\xd4\x00\x00\xa3nsp\xa1/";
    let packet = parse(bytes).unwrap();
    assert_eq!((packet.kind, packet.ack_id, packet.args.is_empty()), (Kind::Connect, None, true));
}

#[derive(Deserialize, serde::Serialize, Debug, PartialEq)]
struct Upload {
    name: String,
    file: BinaryBuf,
    pages: Option<u32>,
}

#[test]
fn handlers_see_no_difference() {
    let mut scratch = String::new();
    let upload = Upload { name: "n".into(), file: BinaryBuf(vec![1, 2]), pages: None };
    let bytes = event(&(&upload, "text", Binary(&[3])));
    let packet = parse(&bytes).unwrap();
    assert_eq!(
        (packet.kind, packet.namespace, packet.ack_id, &*packet.event),
        (Kind::Event, "/", Some(7), "e")
    );
    assert_eq!((packet.args.len(), packet.args.as_json()), (3, None));
    assert_eq!(packet.args.parse::<Upload>(&mut scratch).unwrap(), upload);
    let several = packet.args.parse::<(Upload, String, BinaryBuf, Option<u8>)>(&mut scratch).unwrap();
    assert_eq!(several, (upload, "text".into(), BinaryBuf(vec![3]), None));
    packet.args.parse::<(Upload, String, BinaryBuf, u8)>(&mut scratch).unwrap_err();
    packet.args.parse::<()>(&mut scratch).unwrap();

    assert_eq!(parse(&event("t\n")).unwrap().args.parse::<str>(&mut scratch), Ok("t\n"));
    assert_eq!(parse(&event(&Binary(b"\x01"))).unwrap().args.parse::<[u8]>(&mut scratch), Ok(&[1][..]));
    assert!(parse(&event(&Binary(b"x"))).unwrap().args.parse::<str>(&mut scratch).is_err());
    assert!(parse(&event("x")).unwrap().args.parse::<[u8]>(&mut scratch).is_err());
    assert_eq!(parse(&event(&None::<u8>)).unwrap().args.parse::<Option<u8>>(&mut scratch), Ok(None));
    assert_eq!(parse(&event(&())).unwrap().args.parse::<Option<u8>>(&mut scratch), Ok(None));
    assert_eq!(parse(&event(&[1, 2])).unwrap().args.len(), 2);
    assert_eq!(parse(&event(&vec![1, 2])).unwrap().args.len(), 1);

    // Passed on, arguments are the same bytes; as JSON they are refused, and JSON is here.
    let raw = packet.args.parse::<RawArgs>(&mut scratch).unwrap();
    assert_eq!((event(&raw), event(&packet.args)), (bytes.clone(), bytes.clone()));
    let mut out = b"kept".to_vec();
    super::super::encode::event(&mut out, "/", None, "e", &raw, &mut Vec::new()).unwrap_err();
    msgpack::event(&mut out, "/", None, "e", &Args::json("1")).unwrap_err();
    msgpack::event(&mut out, "/", None, "disconnect", &()).unwrap_err();
    assert_eq!(out, b"kept");
}

#[test]
fn every_kind_is_written_and_read() {
    type Expected = (Kind, &'static str, Option<u64>, Value);
    let none = None::<&()>;
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let rows: [(Vec<u8>, Expected); 7] = [
        (
            written(&|out| msgpack::connect(out, "/", "abc")),
            (Kind::Connect, "/", None, json!({"sid": "abc"})),
        ),
        (
            written(&|out| msgpack::connect_request(out, "/a", none).unwrap()),
            (Kind::Connect, "/a", None, Value::Null),
        ),
        (
            written(&|out| {
                msgpack::connect_request(out, "/a?b=c", Some(&BTreeMap::from([("t", 1)]))).unwrap()
            }),
            (Kind::Connect, "/a", None, json!({"t": 1})),
        ),
        (
            written(&|out| msgpack::connect_error(out, "/a", "no", none).unwrap()),
            (Kind::ConnectError, "/a", None, json!({"message": "no"})),
        ),
        (
            written(&|out| msgpack::connect_error(out, "/a", "no", Some(&2)).unwrap()),
            (Kind::ConnectError, "/a", None, json!({"message": "no", "data": 2})),
        ),
        (written(&|out| msgpack::disconnect(out, "/a")), (Kind::Disconnect, "/a", None, Value::Null)),
        (
            written(&|out| msgpack::ack(out, "/a", 1 << 40, &("x", 2)).unwrap()),
            (Kind::Ack, "/a", Some(1 << 40), json!("x")),
        ),
    ];
    for (bytes, (kind, namespace, ack_id, first)) in rows {
        let packet = parse(&bytes).unwrap();
        assert_eq!((packet.kind, packet.namespace, packet.ack_id), (kind, namespace, ack_id));
        let value = packet.args.parse::<Option<Value>>(&mut String::new()).unwrap().unwrap_or_default();
        assert_eq!(value, first);
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]).map(|_| ()), Err(Malformed::Msgpack), "{end} of {bytes:?}");
        }
        assert_eq!(parse(&[&bytes[..], &[0]].concat()).map(|_| ()), Err(Malformed::Msgpack));
    }
}

#[test]
fn wrong_packets_are_refused_for_what_is_wrong_in_them() {
    use Malformed::*;
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    for (value, why) in [
        (json!([]), Msgpack),
        (json!("2[]"), Msgpack),
        (json!({}), Kind),
        (json!({"type": 5, "nsp": "/", "data": ["a"]}), Kind),
        (json!({"type": -1, "nsp": "/", "data": ["a"]}), Kind),
        (json!({"type": "2", "nsp": "/", "data": ["a"]}), Kind),
        (json!({"nsp": "/", "data": ["a"]}), Kind),
        (json!({"type": 2, "data": ["a"]}), Namespace),
        (json!({"type": 2, "nsp": 1, "data": ["a"]}), Namespace),
        (json!({"type": 2, "nsp": "", "data": ["a"]}), Namespace),
        (json!({"type": 2, "nsp": "a", "data": ["a"]}), Namespace),
        (json!({"type": 2, "nsp": format!("/{}", "a".repeat(256)), "data": ["a"]}), NamespaceTooLong),
        (json!({"type": 2, "nsp": "/", "data": ["a"], "id": -1}), AckId),
        (json!({"type": 2, "nsp": "/", "data": ["a"], "id": 1.5}), AckId),
        (json!({"type": 2, "nsp": "/", "data": ["a"], "id": "1"}), AckId),
        (json!({"type": 2, "nsp": "/", "data": ["a"], "id": 1_u64 << 53}), AckId),
        (json!({"type": 2, "nsp": "/"}), Payload),
        (json!({"type": 2, "nsp": "/", "data": {}}), Payload),
        (json!({"type": 2, "nsp": "/", "data": "a"}), Payload),
        (json!({"type": 3, "nsp": "/"}), Payload),
        (json!({"type": 3, "nsp": "/", "data": {}}), Payload),
        (json!({"type": 0, "nsp": "/", "data": []}), Payload),
        (json!({"type": 0, "nsp": "/", "data": "a"}), Payload),
        (json!({"type": 1, "nsp": "/", "data": []}), Payload),
        (json!({"type": 4, "nsp": "/"}), Payload),
        (json!({"type": 4, "nsp": "/", "data": 1}), Payload),
        (json!({"type": 2, "nsp": "/", "data": []}), EventName),
        (json!({"type": 2, "nsp": "/", "data": [true]}), EventName),
        (json!({"type": 2, "nsp": "/", "data": [null]}), EventName),
        (json!({"type": 2, "nsp": "/", "data": [["a"]]}), EventName),
        (json!({"type": 2, "nsp": "/", "data": ["a".repeat(257)]}), EventTooLong),
        (json!({"type": 2, "nsp": "/", "data": [RESERVED_EVENTS[0]]}), EventReserved),
        (json!({"type": 2, "nsp": "/", "data": vec!["a"; 258]}), TooManyArgs),
        (json!({"type": 3, "nsp": "/", "data": vec!["a"; 257]}), TooManyArgs),
        (json!({"type": 2, "nsp": "/", "data": ["a", nested(65)]}), TooDeep),
        (json!({"type": 2, "nsp": "/", "data": ["a"], "more": nested(200)}), TooDeep),
    ] {
        assert_eq!(parse(&packet(value.clone())).map(|packet| packet.kind), Err(why), "{value}");
    }
    for value in [
        json!({"type": 2, "nsp": "/", "data": ["a", nested(64)]}),
        json!({"type": 2, "nsp": "/", "data": vec!["a"; 257], "id": (1_u64 << 53) - 1}),
        json!({"type": 2, "nsp": "/", "data": [17], "id": null}),
    ] {
        assert_eq!(
            parse(&packet(value.clone())).map(|packet| packet.kind),
            Ok(super::super::Kind::Event),
            "{value}"
        );
    }
    for bytes in [
        &b""[..],
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4type",
        b"\x81\x01\x02",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa1\xff",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff\xa1a",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a\xc6\xff\xff\xff\xff",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a\xc9\xff\xff\xff\xff",
    ] {
        assert_eq!(parse(bytes).map(|_| ()), Err(Malformed::Msgpack), "{bytes:?}");
    }
}

#[test]
fn values_come_back_and_damage_does_no_harm() {
    let mut scratch = String::new();
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut text = String::new();
        random.value(4, &mut text);
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut bytes = event(&(&value, 1, &value));
        let args = parse(&bytes).unwrap().args;
        let (first, one, last) = args.parse::<(Value, u8, Value)>(&mut scratch).unwrap();
        assert!(first == value && one == 1 && last == value && args.len() == 3, "{text}");
        for _ in 0..20 {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
            if let Ok(packet) = parse(&bytes) {
                let _ = packet.args.parse::<(Value, Option<Upload>, Value)>(&mut scratch);
                assert!(packet.args.len() <= 256);
            }
        }
    }
}

#[test]
fn every_marker_has_its_length() {
    let sized =
        |marker: u8, length: &[u8], content: usize| [&[marker], length, &vec![0x61; content]].concat();
    let mut values: Vec<Vec<u8>> =
        (0x00..=0x7f).chain(0xe0..=0xff).chain([0xc0, 0xc2, 0xc3]).map(|one| vec![one]).collect();
    values.extend((0xa0..=0xbf).map(|marker| sized(marker, &[], usize::from(marker & 0x1f))));
    values.extend((0x90..=0x9f).map(|marker| sized(marker, &[], usize::from(marker & 0x0f))));
    values.extend((0x80..=0x8f).map(|marker| sized(marker, &[], 2 * usize::from(marker & 0x0f))));
    for (marker, content) in [(0xca, 4), (0xcb, 8), (0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)] {
        values.push(sized(marker, &[], content));
    }
    for (marker, content) in [(0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)] {
        values.push(sized(marker, &[], content));
    }
    // Extensions have their type before what they hold.
    for (marker, content) in [(0xd4, 1), (0xd5, 2), (0xd6, 4), (0xd7, 8), (0xd8, 16)] {
        values.push(sized(marker, &[], 1 + content));
    }
    for (first, more) in [(0xc4, 0), (0xc7, 1), (0xd9, 0)] {
        values.push(sized(first, &[5], 5 + more));
        values.push(sized(first + 1, &[1, 2], 258 + more));
        values.push(sized(first + 2, &[0, 1, 0, 2], 65_538 + more));
    }
    for (first, each) in [(0xdc, 1), (0xde, 2)] {
        values.push(sized(first, &[1, 2], 258 * each));
        values.push(sized(first + 1, &[0, 1, 0, 2], 65_538 * each));
    }
    for value in values {
        let bytes = [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x93\xa1a", &value[..], &[7]].concat();
        let packet = parse(&bytes).unwrap_or_else(|malformed| panic!("{:02x}: {malformed}", value[0]));
        let (_, behind) = packet.args.parse::<(serde::de::IgnoredAny, u8)>(&mut String::new()).unwrap();
        assert_eq!((behind, packet.args.len()), (7, 2), "{:02x}", value[0]);
        assert_eq!(parse(&bytes[..bytes.len() - 1]).map(|_| ()), Err(Malformed::Msgpack));
    }
}

/// A value in every shape that serde knows, with `part` wherever one can be.
#[derive(serde::Serialize)]
struct Shapes<T> {
    plain: T,
    list: Vec<T>,
    pair: (u8, T),
    map: BTreeMap<&'static str, T>,
    some: Option<T>,
    none: Option<T>,
    newtype: Newtype<T>,
    tuple: Tuple<T>,
    variants: [Variant<T>; 4],
    bytes: BinaryBuf,
    scalars: (i8, u64, f32, f64, char, bool, (), Unit),
}

#[derive(serde::Serialize)]
struct Unit;

#[derive(serde::Serialize)]
struct Newtype<T>(T);

#[derive(serde::Serialize)]
struct Tuple<T>(T, u8);

#[derive(serde::Serialize)]
enum Variant<T> {
    Unit,
    Newtype(T),
    Tuple(u8, T),
    Struct { part: T, number: u8 },
}

fn shapes<T: Clone>(part: T) -> Shapes<T> {
    Shapes {
        plain: part.clone(),
        list: vec![part.clone(); 3],
        pair: (1, part.clone()),
        map: BTreeMap::from([("key", part.clone())]),
        some: Some(part.clone()),
        none: None,
        newtype: Newtype(part.clone()),
        tuple: Tuple(part.clone(), 2),
        variants: [
            Variant::Unit,
            Variant::Newtype(part.clone()),
            Variant::Tuple(3, part.clone()),
            Variant::Struct { part, number: 4 },
        ],
        bytes: BinaryBuf(vec![5, 6]),
        scalars: (-1, u64::MAX, 0.5, 1e300, 'c', true, (), Unit),
    }
}

#[test]
fn raw_json_goes_out_as_what_it_says() {
    for json in
        ["null", "-7", "18446744073709551615", "\"te\\u0078t\"", "[1, 2.5, [], {}]", "{ \"a\" : [true] }"]
    {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(event(&raw), event(&(&value,)), "{json}");
        assert_eq!(event(&*raw), event(&(&value,)), "{json}");
        assert_eq!(event(&("text", &raw, 1)), event(&("text", &value, 1)), "{json}");
        assert_eq!(event(&shapes(&raw)), event(&shapes(&value)), "{json}");
    }
    // A text that looks like it is a text.
    let name = "$serde_json::private::RawValue";
    let text = BTreeMap::from([(name, "[1]")]);
    assert_eq!(event(&text), event(&json!({ name: "[1]" })));
    // Deeper than anybody reads: refused, and nothing is written.
    let deep: Box<RawValue> = RawValue::from_string("[".repeat(200) + &"]".repeat(200)).unwrap();
    let mut out = vec![1, 2, 3];
    assert!(msgpack::event(&mut out, "/", None, "e", &(1, &deep)).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn everything_else_goes_out_as_it_would() {
    let mut plain = Vec::new();
    let mut serializer = rmp_serde::Serializer::new(&mut plain).with_struct_map().with_human_readable();
    serde::Serialize::serialize(&shapes("part"), &mut serializer).unwrap();
    let bytes = event(&shapes("part"));
    assert_eq!(&bytes[bytes.len() - plain.len()..], plain);
}
