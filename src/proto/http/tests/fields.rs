//! Dates, ranges, preconditions, escapes: what their grammar lets through and what not.

use super::super::{Range, Validators, Verdict, decode_segment, format_date, parse_date};
use super::judge;

#[test]
fn every_day_is_written_as_a_calendar_has_it_and_read_again() {
    let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // 400 years, after which the calendar repeats itself, turned leaf by leaf.
    let (mut day, mut month, mut year) = (1, 0, 1970);
    for days in 0..146_097 {
        let seconds = days * 86_400 + days % 86_400;
        let (hour, minute, second) = (days % 86_400 / 3600, days % 3600 / 60, days % 60);
        let name = names[(days % 7) as usize];
        let clock = format!("{hour:02}:{minute:02}:{second:02}");
        let expected = format!("{name}, {day:02} {} {year} {clock} GMT", months[month]);
        assert_eq!(format_date(seconds).as_deref(), Some(&*expected));
        assert_eq!(parse_date(&expected), Some(seconds), "{expected}");
        let asctime = format!("{name} {} {day:2} {clock} {year}", months[month]);
        assert_eq!(parse_date(&asctime), Some(seconds), "{asctime}");
        let is_leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
        let length = [31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        day += 1;
        if day > length {
            (day, month) = (1, month + 1);
        }
        if month == 12 {
            (month, year) = (0, year + 1);
        }
    }
    assert_eq!((day, month, year), (1, 0, 2370));
    assert_eq!(format_date(253_402_300_799).as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
    for out in [-1, i64::MIN, 253_402_300_800, i64::MAX] {
        assert_eq!(format_date(out), None);
    }
}

#[test]
fn the_three_forms_of_a_date_are_read_and_no_fourth() {
    for text in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(parse_date(text), Some(784_111_777), "{text}");
    }
    assert_eq!(parse_date("Wednesday, 01-Jan-69 00:00:00 GMT"), Some(3_124_224_000), "2069");
    assert_eq!(parse_date("Thursday, 01-Jan-70 00:00:00 GMT"), Some(0));
    assert_eq!(parse_date("Fri, 30 Jun 1972 23:59:60 GMT"), Some(78_796_800), "an inserted second");
    for text in [
        "",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 2100 00:00:00 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  06 08:49:37 1994",
    ] {
        assert_eq!(parse_date(text), None, "{text:?}");
    }
}

#[test]
fn a_range_is_one_of_bytes_or_all() {
    let part = |first, last| Range::Part { first, last };
    for (value, length, expected) in [
        ("bytes=0-0", 10, part(0, 0)),
        ("bytes=0-9", 10, part(0, 9)),
        ("bytes=0-10", 10, part(0, 9)),
        ("bytes=9-", 10, part(9, 9)),
        ("bytes=-1", 10, part(9, 9)),
        ("bytes=-11", 10, part(0, 9)),
        ("Bytes=3-4", 10, part(3, 4)),
        ("bytes= 3-4 ", 10, part(3, 4)),
        ("bytes=,3-4,", 10, part(3, 4)),
        ("bytes=003-004", 10, part(3, 4)),
        ("bytes=0-99999999999999999999999999", 10, part(0, 9)),
        ("bytes=-99999999999999999999999999", 10, part(0, 9)),
        ("bytes=0-", u64::MAX, part(0, u64::MAX - 1)),
        ("bytes=10-", 10, Range::Unsatisfiable),
        ("bytes=10-11", 10, Range::Unsatisfiable),
        ("bytes=99999999999999999999999999-", u64::MAX, Range::Unsatisfiable),
        ("bytes=-0", 10, Range::Unsatisfiable),
        ("bytes=0-0", 0, Range::Unsatisfiable),
        ("bytes=-1", 0, Range::Whole),
        ("bytes=1-0", 10, Range::Whole),
        ("bytes=0-0,1-1", 10, Range::Whole),
        ("bytes=-", 10, Range::Whole),
        ("bytes=--1", 10, Range::Whole),
        ("bytes=1", 10, Range::Whole),
        ("bytes=", 10, Range::Whole),
        ("bytes", 10, Range::Whole),
        ("", 10, Range::Whole),
        ("bytes 0-0", 10, Range::Whole),
        ("bytes =0-0", 10, Range::Whole),
        ("lines=0-0", 10, Range::Whole),
        ("bytes=+1-2", 10, Range::Whole),
        ("bytes=1- 2", 10, Range::Whole),
        ("bytes=a-b", 10, Range::Whole),
        ("bytes=1-2-3", 10, Range::Whole),
    ] {
        assert_eq!(Range::parse(value.as_bytes(), length), expected, "{value:?} of {length}");
    }
}

#[test]
fn preconditions_count_in_their_order() {
    use Verdict::{Failed, NotModified, Send};
    let at = "Sun, 06 Nov 1994 08:49:37 GMT";
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    let after = "Sun, 06 Nov 1994 08:49:38 GMT";
    let table = [
        (String::new(), Send),
        ("If-None-Match: \"a\"\r\n".into(), NotModified),
        ("If-None-Match: W/\"a\"\r\n".into(), NotModified),
        ("If-None-Match: *\r\n".into(), NotModified),
        ("If-None-Match: \"b\", \"a\"\r\n".into(), NotModified),
        ("If-None-Match: \"b\" , ,W/\"a\" ,\r\n".into(), NotModified),
        ("If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n".into(), NotModified),
        ("If-None-Match: \"b,a\", \"a\"\r\n".into(), NotModified),
        ("If-None-Match: \"b\"\r\n".into(), Send),
        ("If-None-Match: a\r\n".into(), Send),
        ("If-None-Match: \"A\"\r\n".into(), Send),
        ("If-None-Match: \"a\r\n".into(), Send),
        ("If-None-Match: w/\"a\"\r\n".into(), Send),
        ("If-None-Match: \"aa\"\r\n".into(), Send),
        ("If-None-Match:\r\n".into(), Send),
        (format!("If-Modified-Since: {at}\r\n"), NotModified),
        (format!("If-Modified-Since: {after}\r\n"), NotModified),
        (format!("If-Modified-Since: {before}\r\n"), Send),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n".into(), NotModified),
        ("If-Modified-Since: yesterday\r\n".into(), Send),
        (format!("If-Modified-Since: {at}\r\nIf-Modified-Since: {at}\r\n"), Send),
        (format!("If-None-Match: \"b\"\r\nIf-Modified-Since: {at}\r\n"), Send),
        (format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {before}\r\n"), NotModified),
        ("If-Match: \"a\"\r\n".into(), Send),
        ("If-Match: *\r\n".into(), Send),
        ("If-Match: W/\"a\"\r\n".into(), Failed),
        ("If-Match: \"b\"\r\n".into(), Failed),
        ("If-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n".into(), Failed),
        ("If-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n".into(), NotModified),
        (format!("If-Match: \"a\"\r\nIf-Unmodified-Since: {before}\r\n"), Send),
        (format!("If-Unmodified-Since: {before}\r\n"), Failed),
        (format!("If-Unmodified-Since: {at}\r\n"), Send),
        ("If-Unmodified-Since: yesterday\r\n".into(), Send),
    ];
    let validators = Validators { etag: "\"a\"", modified: 784_111_777 };
    for (fields, expected) in table {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let verdict = judge(head.as_bytes(), |request| validators.judge(request));
        assert_eq!(verdict, Some(Ok(expected)), "{fields:?}");
    }
    for (fields, counts) in [
        (String::new(), true),
        ("If-Range: \"a\"\r\n".into(), true),
        ("If-Range: W/\"a\"\r\n".into(), false),
        ("If-Range: \"b\"\r\n".into(), false),
        ("If-Range: *\r\n".into(), false),
        ("If-Range: \"a\"\r\nIf-Range: \"a\"\r\n".into(), false),
        (format!("If-Range: {at}\r\n"), false),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let verdict = judge(head.as_bytes(), |request| validators.range_counts(request));
        assert_eq!(verdict, Some(Ok(counts)), "{fields:?}");
    }
}

#[test]
fn a_segment_is_decoded_once_and_is_one_name() {
    for (segment, name) in [
        ("", ""),
        ("a", "a"),
        ("a%62c", "abc"),
        ("%C3%A9", "é"),
        ("é", "é"),
        ("a+b", "a+b"),
        ("%252e", "%2e"),
        ("...", "..."),
        ("..;", "..;"),
        ("%0d%0a", "\r\n"),
        ("%7e", "~"),
    ] {
        assert_eq!(decode_segment(segment).as_deref(), Some(name), "{segment:?}");
    }
    for segment in [
        ".",
        "..",
        "%2e",
        "%2E%2e",
        ".%2e",
        "/",
        "a/b",
        "a%2fb",
        "a%2Fb",
        "\\",
        "%5c",
        "\0",
        "%00",
        "a%00",
        "%",
        "%2",
        "a%",
        "%g0",
        "%0g",
        "%+1",
        "% 1",
        "%-1",
        "%80",
        "%ff",
        "%c3",
        "%c0%ae",
        "%e0%80%ae",
        "%ed%a0%80",
        "%f4%90%80%80",
    ] {
        assert_eq!(decode_segment(segment), None, "{segment:?}");
    }
    // Every byte: itself where it is no sign of its own, and its escape in either case.
    for byte in 0..=0x7f_u8 {
        let text = char::from(byte).to_string();
        let is_name = !b"/\\.\0".contains(&byte);
        let expected = is_name.then_some(&*text);
        for escape in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
            assert_eq!(decode_segment(&escape).as_deref(), expected, "{escape}");
        }
        assert_eq!(decode_segment(&text).as_deref(), expected.filter(|_| byte != b'%'), "{text:?}");
    }
}

#[test]
fn a_query_is_names_and_values() {
    let table: &[(&str, &[(&str, &str)])] = &[
        ("/", &[]),
        ("/?", &[]),
        ("/?a", &[("a", "")]),
        ("/?a=", &[("a", "")]),
        ("/?=1", &[("", "1")]),
        ("/?a=1&b=2", &[("a", "1"), ("b", "2")]),
        ("/?a=1&a=2", &[("a", "1"), ("a", "2")]),
        ("/?a=b=c?d", &[("a", "b=c?d")]),
        ("/?&&a=1&", &[("a", "1")]),
        ("/?a+b=c+d%2Be", &[("a b", "c d+e")]),
        ("/?%61=%C3%A9&x=%26%3D", &[("a", "é"), ("x", "&=")]),
        ("/?a=%zz&b=%&%c=1&d=%ff&e=1", &[("e", "1")]),
    ];
    for (target, pairs) in table {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let read = judge(head.as_bytes(), |request| {
            let found: Vec<_> =
                request.query_params().map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
            for (name, _) in *pairs {
                let first = pairs.iter().find(|(one, _)| one == name).unwrap().1;
                assert_eq!(request.query_param(name).as_deref(), Some(first), "{target}");
            }
            assert_eq!(request.query_param("missing"), None);
            found
        });
        let expected: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(read, Some(Ok(expected)), "{target}");
    }
}
