//! What handlers take of arguments: that closures infer, and what each type is made of.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::args::Form;
use super::super::{Args, Binary, BinaryBuf, Limits, Packet, Payload, RawArgs};

/// Stands for a socket.
struct Socket(Vec<String>);

/// A handler behind its event: whether the arguments were what it takes.
type Call<'f> = Box<dyn FnMut(&mut Socket, Args<'_>) -> bool + 'f>;

/// Stands for a namespace: the shape of `on` as applications see it.
#[derive(Default)]
struct Namespace<'f>(HashMap<String, Call<'f>>);

impl<'f> Namespace<'f> {
    fn on<T: Payload + ?Sized>(&mut self, event: &str, mut f: impl FnMut(&mut Socket, &T) + 'f) -> &mut Self {
        let call = move |socket: &mut Socket, args: Args<'_>| {
            let mut scratch = String::new();
            match args.parse::<T>(&mut scratch) {
                Ok(parsed) => {
                    f(socket, std::borrow::Borrow::borrow(&parsed));
                    true
                }
                Err(_) => false,
            }
        };
        self.0.insert(event.to_owned(), Box::new(call));
        self
    }

    fn call(&mut self, text: &str) -> Option<String> {
        let packet = Packet::parse(text, &Limits::default()).unwrap();
        let mut socket = Socket(Vec::new());
        let f = self.0.get_mut(&*packet.event).unwrap();
        f(&mut socket, packet.args).then(|| socket.0.concat())
    }
}

#[derive(Deserialize, Debug, PartialEq)]
struct Document {
    title: String,
    pages: Option<u32>,
}

#[test]
fn closures_infer_what_they_take() {
    let calls = RefCell::new(0);
    let mut io = Namespace::default();
    io.on("text", |s, text: &str| s.0.push(text.to_uppercase()))
        .on("move", |s, &(x, y): &(i32, i32)| s.0.push(format!("{}", x + y)))
        .on("save", |s, doc: &Document| s.0.push(format!("{} {:?}", doc.title, doc.pages)))
        .on("bare", |s, _: &()| s.0.push("bare".to_owned()))
        .on("bytes", |s, bytes: &[u8]| s.0.push(format!("{bytes:?}")))
        .on("raw", |s, raw: &RawValue| s.0.push(raw.get().to_owned()))
        .on("all", |s, all: &RawArgs| s.0.push(all.as_args().as_json().unwrap().to_owned()))
        .on("list", |s, list: &Vec<f64>| s.0.push(format!("{list:?}")))
        .on("number", |s, &number: &u8| s.0.push(number.to_string()))
        .on("counted", |_, _: &()| *calls.borrow_mut() += 1);
    for (text, said) in [
        (r#"2["text","hello"]"#, Some("HELLO")),
        (r#"2["text","hel\"lo\u00e9", 7]"#, Some("HEL\"LO\u{c9}")),
        (r#"2["text", "a" ,1]"#, Some("A")),
        (r#"2["text",7]"#, None),
        (r#"2["text"]"#, None),
        (r#"2["text",null]"#, None),
        (r#"2["move",3,4]"#, Some("7")),
        (r#"2["move", 3 , 4 , "more"]"#, Some("7")),
        (r#"2["move",3]"#, None),
        (r#"2["move",[3,4]]"#, None),
        (r#"2["move",3,"4"]"#, None),
        (r#"2["save",{"title":"T","pages":9,"more":[1]}]"#, Some("T Some(9)")),
        (r#"2["save",{"title":"T"},2]"#, Some("T None")),
        (r#"2["save",{"pages":9}]"#, None),
        (r#"2["save"]"#, None),
        (r#"2["bare"]"#, Some("bare")),
        (r#"2["bare",1,{"a":2}]"#, Some("bare")),
        (r#"2["bytes","text"]"#, None),
        (r#"2["bytes",[1,2]]"#, None),
        (r#"2["bytes",{"_placeholder":true,"num":0}]"#, None),
        (r#"2["raw", {"a" : [1, 2]} ,3]"#, Some(r#"{"a" : [1, 2]}"#)),
        (r#"2["raw"]"#, None),
        (r#"2["all",1,"2",{"3":[true]}]"#, Some(r#"1,"2",{"3":[true]}"#)),
        (r#"2["all"]"#, Some("")),
        (r#"2["list",[1,2.5,-3e1],4]"#, Some("[1.0, 2.5, -30.0]")),
        (r#"2["number",255]"#, Some("255")),
        (r#"2["number",256]"#, None),
        (r#"2["counted"]"#, Some("")),
    ] {
        assert_eq!(io.call(text).as_deref(), said, "{text}");
    }
    drop(io);
    assert_eq!(calls.into_inner(), 1);
}

/// Parses the arguments of an event with attachments.
fn attached<'a>(json: &'a str, attachments: &'a [Vec<u8>]) -> Args<'a> {
    Args(Form::Json { json, attachments: Some(attachments) })
}

/// What `T` is made of, as text; `None` is a mismatch.
fn of<T: Payload + std::fmt::Debug>(args: Args<'_>) -> Option<String>
where
    for<'a> T::Parsed<'a>: std::fmt::Debug,
{
    args.parse::<T>(&mut String::new()).ok().map(|parsed| format!("{parsed:?}"))
}

#[test]
fn a_tuple_is_several_arguments_and_what_was_not_sent_is_none() {
    let plain = |json| of::<(String, Option<u8>, Option<Vec<u8>>)>(Args::json(json));
    assert_eq!(plain(r#""a",1,[2]"#).unwrap(), r#"("a", Some(1), Some([2]))"#);
    assert_eq!(plain(r#" "a" , null"#).unwrap(), r#"("a", None, None)"#);
    assert_eq!(plain(r#""a""#).unwrap(), r#"("a", None, None)"#);
    assert_eq!(plain(""), None);
    assert_eq!(plain("1"), None);
    assert_eq!(of::<(String,)>(Args::json("\"a\",1")).unwrap(), "(\"a\",)");
    assert_eq!(of::<((i8, i8),)>(Args::json("[1,2]")).unwrap(), "((1, 2),)");
    assert_eq!(of::<[i8; 2]>(Args::json("1,2")).unwrap(), "[1, 2]");
    assert_eq!(of::<Option<i8>>(Args::json("")).unwrap(), "None");
    assert_eq!(of::<Option<i8>>(Args::json(" null")).unwrap(), "None");
    assert_eq!(of::<Option<i8>>(Args::json("4")).unwrap(), "Some(4)");
    assert_eq!(of::<Box<(i8, bool)>>(Args::json("1,true")).unwrap(), "(1, true)");
    assert_eq!(of::<((), i8)>(Args::json("null,1")).unwrap(), "((), 1)");
}

#[derive(Deserialize, Debug, PartialEq)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Named { name: String },
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Either {
    Bytes(BinaryBuf),
    Text(String),
    Map(HashMap<String, Self>),
    Numbers(Vec<u64>),
}

#[test]
fn attachments_stand_where_their_placeholders_do() {
    let attachments = [vec![1, 2, 3], vec![], vec![255]];
    let args = |json| attached(json, &attachments);
    let zero = r#"{"_placeholder":true,"num":0}"#;
    let two = r#"{ "num" : 2, "_placeholder" : true }"#;
    let mut scratch = String::new();
    assert_eq!(args(zero).parse::<[u8]>(&mut scratch), Ok(&[1, 2, 3][..]));
    assert_eq!(args(two).parse::<[u8]>(&mut scratch), Ok(&[255][..]));
    assert_eq!(of::<BinaryBuf>(args(zero)).unwrap(), "BinaryBuf([1, 2, 3])");
    assert_eq!(of::<Vec<u8>>(args(zero)).unwrap(), "[1, 2, 3]");
    assert_eq!(of::<[u8; 2]>(args("7,8")).unwrap(), "[7, 8]");
    let json = format!("\"a\",{two},[{zero},{zero}]");
    assert_eq!(
        of::<(String, BinaryBuf, Vec<BinaryBuf>)>(args(&json)).unwrap(),
        r#"("a", BinaryBuf([255]), [BinaryBuf([1, 2, 3]), BinaryBuf([1, 2, 3])])"#
    );
    let json = format!(r#"{{"file":{zero},"name":"n\u0041","tags":["x",{{"num":3}}],"none":null}}"#);
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "it is looked at through Debug")]
    struct Upload {
        file: BinaryBuf,
        name: String,
        none: Option<BinaryBuf>,
    }
    assert_eq!(
        of::<Upload>(args(&json)).unwrap(),
        r#"Upload { file: BinaryBuf([1, 2, 3]), name: "nA", none: None }"#
    );
    assert_eq!(of::<Either>(args(zero)).unwrap(), "Bytes(BinaryBuf([1, 2, 3]))");
    let json = format!(r#"{{"a":{two}}}"#);
    assert_eq!(of::<Either>(args(&json)).unwrap(), r#"Map({"a": Bytes(BinaryBuf([255]))})"#);
    for (json, said) in [
        (r#""Point""#, "Point"),
        (r#"{"Circle":1}"#, "Circle(1.0)"),
        (r#"{"Line":[1,-2]}"#, "Line(1, -2)"),
        (r#" { "Named" : {"name":"x"} } "#, r#"Named { name: "x" }"#),
    ] {
        assert_eq!(of::<Shape>(args(json)).unwrap(), said);
        assert_eq!(of::<Shape>(Args::json(json)).unwrap(), said);
    }
    let json = format!("{zero},1");
    assert_eq!(args(&json).parse::<RawValue>(&mut scratch).unwrap().get(), zero);
    assert_eq!(of::<Box<RawValue>>(args(" [1 ,2] ,3")).unwrap(), "RawValue([1 ,2])");
    // What is no attachment is not taken for one, nor an attachment for something else.
    for json in ["\"text\"", "[1,2]", "{}", "1", ""] {
        assert_eq!(
            args(json).parse::<[u8]>(&mut scratch),
            Err(args(json).parse::<[u8]>(&mut String::new()).unwrap_err())
        );
        assert_eq!(of::<BinaryBuf>(args(json)), None);
        assert_eq!(of::<BinaryBuf>(Args::json(json)), None);
    }
    assert_eq!(of::<String>(args(zero)), None);
    assert_eq!(of::<u32>(args(zero)), None);
    assert_eq!(of::<BinaryBuf>(args(r#"{"_placeholder":true,"num":3}"#)), None);
    assert!(Binary::deserialize(args(zero).first()).is_ok_and(|binary| binary.len() == 3));
}

#[test]
fn raw_arguments_keep_everything() {
    let attachments = [vec![1, 2, 3]];
    let json = r#"1,{"_placeholder":true,"num":0}"#;
    let raw = RawArgs::from(attached(json, &attachments));
    assert_eq!(raw.as_args(), attached(json, &attachments));
    assert_eq!((raw.as_args().len(), raw.as_args().is_empty()), (2, false));
    assert_eq!((Args::NONE.len(), Args::NONE.is_empty(), Args::NONE.attachments()), (0, true, &[][..]));
}
