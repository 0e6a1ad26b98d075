//! What is written, to the character, and that it is read again.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::encode::{self, EmitArgs};
use super::super::{
    Args, Binary, BinaryBuf, Decoder, Kind, Limits, Malformed, Packet, RESERVED_EVENTS, RawArgs,
};
use super::random::Random;

/// The text of an event and its attachments. Both buffers hold something already.
fn event(
    namespace: &str,
    ack_id: Option<u64>,
    name: &str,
    args: &(impl EmitArgs + ?Sized),
) -> Result<(String, Vec<Vec<u8>>), String> {
    let (mut out, mut attachments) = (b"4".to_vec(), vec![b"earlier".to_vec()]);
    let written = encode::event(&mut out, namespace, ack_id, name, args, &mut attachments);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(attachments.remove(0), b"earlier");
    match written {
        Ok(()) => Ok((text.strip_prefix('4').unwrap().to_owned(), attachments)),
        Err(error) => {
            assert_eq!((text.as_str(), attachments.len()), ("4", 0), "an error takes back what it wrote");
            Err(error.to_string())
        }
    }
}

fn plain(args: &(impl EmitArgs + ?Sized)) -> String {
    let (text, attachments) = event("/", None, "e", args).unwrap();
    assert!(attachments.is_empty());
    text
}

#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    pages: Option<u32>,
    price: f64,
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Id(u32);

#[derive(Serialize)]
struct Pair(u32, u32);

#[derive(Serialize)]
enum Shape {
    Point,
    Circle(f32),
    Line(i32, i32),
    Named { name: String },
}

#[test]
fn a_tuple_is_several_arguments_a_unit_none_and_the_rest_one() {
    let raw: Box<RawValue> = serde_json::from_str("{ \"a\" : 1 }").unwrap();
    let document = Document { title: "T", pages: None, price: 2.0 };
    let map: BTreeMap<_, _> = [(1, 'a'), (2, 'b')].into();
    for (written, expected) in [
        (plain(&()), r#"2["e"]"#),
        (plain("hello"), r#"2["e","hello"]"#),
        (
            plain(&String::from("a\"\\\n\u{1}\u{7f}\u{2028}/\u{e9}")),
            "2[\"e\",\"a\\\"\\\\\\n\\u0001\u{7f}\u{2028}/\u{e9}\"]",
        ),
        (plain("\u{8}\u{c}\r\t\u{0}\u{1e}\u{1f}"), r#"2["e","\b\f\r\t\u0000\u001e\u001f"]"#),
        (plain(&(1, "a", true)), r#"2["e",1,"a",true]"#),
        (plain(&(1,)), r#"2["e",1]"#),
        (plain(&[1, 2, 3]), r#"2["e",1,2,3]"#),
        (plain(&([1, 2, 3],)), r#"2["e",[1,2,3]]"#),
        (plain(&[1, 2, 3][..]), r#"2["e",[1,2,3]]"#),
        (plain(&vec![(1, 2), (3, 4)]), r#"2["e",[[1,2],[3,4]]]"#),
        (plain(&((), (1, ()), [(); 0])), r#"2["e",null,[1,null],[]]"#),
        (plain(&Box::new((1, 2))), r#"2["e",1,2]"#),
        (plain(&None::<u8>), r#"2["e",null]"#),
        (plain(&Some((1, 2))), r#"2["e",[1,2]]"#),
        (plain(&document), r#"2["e",{"title":"T","pages":null,"price":2}]"#),
        (plain(&(&document, 7)), r#"2["e",{"title":"T","pages":null,"price":2},7]"#),
        (plain(&map), r#"2["e",{"1":"a","2":"b"}]"#),
        (plain(&Unit), r#"2["e",null]"#),
        (plain(&Id(4)), r#"2["e",4]"#),
        (plain(&Pair(4, 5)), r#"2["e",[4,5]]"#),
        (plain(&Shape::Point), r#"2["e","Point"]"#),
        (plain(&Shape::Circle(0.1)), r#"2["e",{"Circle":0.1}]"#),
        (plain(&Shape::Line(1, -2)), r#"2["e",{"Line":[1,-2]}]"#),
        (plain(&Shape::Named { name: "n".into() }), r#"2["e",{"Named":{"name":"n"}}]"#),
        (plain(&json!({"3": [true], "a": 1.0})), r#"2["e",{"3":[true],"a":1}]"#),
        (plain(&*raw), r#"2["e",{ "a" : 1 }]"#),
        (
            plain(&(1_u8, -2_i64, u64::MAX, 1e21, 1e-7, f64::NAN, 0.5_f32, 'c')),
            r#"2["e",1,-2,18446744073709551615,1e+21,1e-7,null,0.5,"c"]"#,
        ),
        (plain(&Args::json("1, 2")), r#"2["e",1, 2]"#),
        (plain(&Args::NONE), r#"2["e"]"#),
        (plain(&RawArgs::from(Args::json("{}"))), r#"2["e",{}]"#),
    ] {
        assert_eq!(written, expected);
        Packet::parse(&written, &Limits::default()).unwrap();
    }
}

#[test]
fn heads_are_those_of_the_protocol() {
    assert_eq!(event("/", None, "foo", &()).unwrap().0, r#"2["foo"]"#);
    assert_eq!(event("/admin", None, "bar", &()).unwrap().0, r#"2/admin,["bar"]"#);
    assert_eq!(event("/", Some(12), "foo", &()).unwrap().0, r#"212["foo"]"#);
    assert_eq!(event("/test", Some(0), "a\"", &1).unwrap().0, r#"2/test,0["a\"",1]"#);
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let none = None::<&()>;
    for (text, expected) in [
        (
            written(&|out| encode::ack(out, "/admin", 13, "bar", &mut Vec::new()).unwrap()),
            r#"3/admin,13["bar"]"#,
        ),
        (written(&|out| encode::ack(out, "/", 1, &(), &mut Vec::new()).unwrap()), "31[]"),
        (written(&|out| encode::ack(out, "/", 456, &(1, "2"), &mut Vec::new()).unwrap()), r#"3456[1,"2"]"#),
        (written(&|out| encode::connect(out, "/", "wZX3")), r#"0{"sid":"wZX3"}"#),
        (written(&|out| encode::connect(out, "/admin", "oSO0")), r#"0/admin,{"sid":"oSO0"}"#),
        (written(&|out| encode::connect_request(out, "/", none).unwrap()), "0"),
        (written(&|out| encode::connect_request(out, "/admin", none).unwrap()), "0/admin,"),
        (
            written(&|out| encode::connect_request(out, "/", Some(&json!({"token": "123"}))).unwrap()),
            r#"0{"token":"123"}"#,
        ),
        (
            written(&|out| encode::connect_error(out, "/random", "Invalid namespace", none).unwrap()),
            r#"4/random,{"message":"Invalid namespace"}"#,
        ),
        (
            written(&|out| encode::connect_error(out, "/", "no", Some(&(1, 2.0))).unwrap()),
            r#"4{"message":"no","data":[1,2]}"#,
        ),
        (written(&|out| encode::disconnect(out, "/")), "1"),
        (written(&|out| encode::disconnect(out, "/admin")), "1/admin,"),
    ] {
        assert_eq!(text, expected);
        Packet::parse(&text, &Limits::default()).unwrap();
    }
}

#[test]
fn bytes_become_attachments() {
    let (text, attachments) = event("/", None, "baz", &Binary(&[1, 2, 3, 4])).unwrap();
    assert_eq!(text, r#"51-["baz",{"_placeholder":true,"num":0}]"#);
    assert_eq!(attachments, [[1, 2, 3, 4]]);
    let two = (Binary(&[1, 2]), BinaryBuf(vec![3, 4]));
    let (text, attachments) = event("/admin", Some(7), "baz", &two).unwrap();
    assert_eq!(text, r#"52-/admin,7["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#);
    assert_eq!(attachments, [[1, 2], [3, 4]]);
    let deep = BTreeMap::from([("a", (1, Some(Binary(b""))))]);
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    encode::ack(&mut out, "/", 15, &deep, &mut attachments).unwrap();
    assert_eq!(out, br#"61-15[{"a":[1,{"_placeholder":true,"num":0}]}]"#);
    assert_eq!(attachments, [b""]);
    let eleven = vec![Binary(b"x"); 11];
    let (text, attachments) = event("/", None, "e", &eleven).unwrap();
    assert!(text.starts_with("511-[\"e\",[{") && attachments.len() == 11);
}

#[test]
fn what_cannot_be_sent_leaves_nothing_behind() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("on purpose"))
        }
    }
    assert_eq!(event("/", None, "e", &Fails), Err("on purpose".to_owned()));
    assert_eq!(event("/", None, "e", &(Binary(b"x"), vec![Fails])), Err("on purpose".to_owned()));
    assert!(event("/", None, "e", &BTreeMap::from([((1, 2), 3)])).is_err(), "a key that is no string");
    for name in RESERVED_EVENTS {
        assert!(event("/", None, name, &()).unwrap_err().contains(name));
    }
    let mut out = b"kept".to_vec();
    encode::connect_error(&mut out, "/", "no", Some(&Binary(b"x"))).unwrap_err();
    encode::connect_request(&mut out, "/", Some(&vec![Fails])).unwrap_err();
    assert_eq!(out, b"kept");
}

#[test]
fn attachments_come_behind_their_packet_and_nowhere_else() {
    let limits = Limits { attachments_bytes_max: 8, ..Limits::default() };
    let mut decoder = Decoder::new();
    assert_eq!(decoder.binary(b"x", &limits).unwrap_err(), Malformed::AttachmentUnannounced);
    let text = r#"52-/admin?q,7["m\n",{"_placeholder":true,"num":1},{"num":0,"_placeholder":true}]"#;
    assert_eq!(decoder.text(text, &limits), Ok(None));
    assert_eq!(decoder.text("2[\"a\"]", &limits), Err(Malformed::AttachmentOutstanding));
    assert!(decoder.binary(b"first", &limits).unwrap().is_none());
    let assembly = decoder.binary(b"", &limits).unwrap().unwrap();
    let packet = assembly.packet();
    assert_eq!(
        (packet.kind, packet.namespace, packet.ack_id, &*packet.event),
        (Kind::Event, "/admin", Some(7), "m\n")
    );
    let (second, first) = packet.args.parse::<(BinaryBuf, BinaryBuf)>(&mut String::new()).unwrap();
    assert_eq!((&*first, &*second), (&b"first"[..], &b""[..]));
    // Passed on, it is the same packet again.
    let again = event("/admin", Some(7), "m\n", &packet.args).unwrap();
    assert_eq!(again, (text.replace("?q", ""), vec![b"first".to_vec(), vec![]]));
    assert_eq!(event("/admin", Some(7), "m\n", &RawArgs::from(packet.args)).unwrap(), again);
    assert_eq!(decoder.binary(b"x", &limits).unwrap_err(), Malformed::AttachmentUnannounced);
    // An attachment that no argument stands for is passed on as well.
    assert_eq!(decoder.text("51-[\"a\"]", &limits), Ok(None));
    let assembly = decoder.binary(b"lost", &limits).unwrap().unwrap();
    let again = event("/", None, "a", &assembly.packet().args).unwrap();
    assert_eq!(again, ("51-[\"a\"]".to_owned(), vec![b"lost".to_vec()]));

    let plain = decoder.text("50-[\"a\",1]", &limits).unwrap().unwrap();
    assert_eq!((plain.kind, plain.args.as_json()), (Kind::Event, Some("1")));
    assert_eq!(decoder.text("61-3[]", &limits), Ok(None));
    assert_eq!(decoder.binary(b"123456789", &limits).unwrap_err(), Malformed::AttachmentsTooLarge);
    let mut decoder = Decoder::new();
    assert_eq!(decoder.text("62-3[]", &limits), Ok(None));
    assert!(decoder.binary(b"12345678", &limits).unwrap().is_none());
    assert_eq!(decoder.binary(b"9", &limits).unwrap_err(), Malformed::AttachmentsTooLarge);
    assert_eq!(Decoder::new().text("9", &limits), Err(Malformed::Kind));
    assert_eq!(size_of::<Decoder>(), 8);
}

#[test]
fn what_is_written_is_read_again() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut text = String::new();
        random.value(4, &mut text);
        if text.contains("\"_placeholder\"") {
            // In a packet with attachments such an object would be refused, by the official decoder as well.
            continue;
        }
        let value: Value = serde_json::from_str(&text).unwrap();
        let bytes = seed.to_le_bytes();
        let args = (&value, Binary(&bytes), &value);
        let (text, attachments) = event("/ns", Some(seed), "n\u{e9}\n", &args).unwrap();
        let mut decoder = Decoder::new();
        assert_eq!(decoder.text(&text, &Limits::default()), Ok(None), "{text}");
        let assembly = decoder.binary(&attachments[0], &Limits::default()).unwrap().unwrap();
        let packet = assembly.packet();
        assert_eq!((packet.namespace, packet.ack_id, &*packet.event), ("/ns", Some(seed), "n\u{e9}\n"));
        let (first, binary, last) =
            packet.args.parse::<(Value, BinaryBuf, Value)>(&mut String::new()).unwrap();
        assert!(same(&first, &value) && same(&last, &value) && *binary == bytes, "{text}");
    }
}

/// Equal to JavaScript: 1.0 is written as 1, and -0 as 0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
        }
        (one, other) => one == other,
    }
}
