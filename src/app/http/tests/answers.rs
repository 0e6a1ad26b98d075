//! What an answer says about a file: its version, its type, its parts.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use super::super::{FILE_BYTES_MAX, Files};
use super::{Dir, ask, get};

#[test]
fn a_file_is_described() {
    let dir = Dir::new();
    let written = UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(dir.root().join("a.txt")).unwrap().set_modified(written).unwrap();
    let answer = get(&dir.files(), "/a.txt", "").unwrap();
    for (name, value) in [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "7"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Cache-Control", "public, max-age=0"),
        ("Accept-Ranges", "bytes"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        assert_eq!(answer.field(name), Some(value), "{}", answer.head);
    }
    let etag = answer.field("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with("-7\""), "{etag}");

    let head = ask(&dir.files(), "HEAD /a.txt HTTP/1.1\r\n").unwrap();
    assert_eq!((head.head, head.content), (answer.head, Vec::new()), "HEAD is GET without content");
}

#[test]
fn a_file_from_before_1970_has_no_date() {
    let dir = Dir::new();
    let early = UNIX_EPOCH - Duration::from_secs(1);
    File::options().write(true).open(dir.root().join("a.txt")).unwrap().set_modified(early).unwrap();
    let answer = get(&dir.files(), "/a.txt", "").unwrap();
    assert_eq!((answer.code, answer.field("Last-Modified")), (200, None));
}

#[test]
fn other_methods_are_told_which_there_are() {
    let dir = Dir::new();
    for (method, code) in [("POST", 405), ("PUT", 405), ("DELETE", 405), ("get", 405), ("OPTIONS", 204)] {
        for path in ["/a.txt", "/", "/sub", "/sub/"] {
            let answer = ask(&dir.files(), &format!("{method} {path} HTTP/1.1\r\n")).unwrap();
            assert_eq!(
                (answer.code, answer.field("Allow")),
                (code, Some("GET, HEAD, OPTIONS")),
                "{method} {path}"
            );
        }
        assert!(ask(&dir.files(), &format!("{method} /missing HTTP/1.1\r\n")).is_none());
    }
}

#[test]
fn a_directory_without_a_slash_is_sent_to_the_one_with() {
    let dir = Dir::new();
    for (target, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=1&b=/..//c", "/sub/?a=1&b=/..//c"),
        ("/sub?", "/sub/?"),
        ("/%73ub", "/%73ub/"),
        ("/linked", "/linked/"),
        ("http://localhost/sub", "/sub/"),
    ] {
        let answer = get(&dir.files(), target, "").unwrap();
        assert_eq!((answer.code, answer.field("Location")), (301, Some(location)), "{target}");
    }
    for target in ["//sub", "/\\sub", "/.//sub", "/%2f/sub", "//sub/..", "/%5csub", "http://localhost//sub"] {
        assert!(get(&dir.files(), target, "").is_none(), "{target} would lead to another host");
    }
}

#[test]
fn an_index_that_is_a_directory_is_none() {
    let dir = Dir::new();
    std::fs::remove_file(dir.root().join("index.html")).unwrap();
    std::fs::create_dir(dir.root().join("index.html")).unwrap();
    dir.write("index.html/index.html", "inner");
    assert!(get(&dir.files(), "/", "").is_none(), "it would be sent to `//`");
    assert_eq!(get(&dir.files(), "/index.html", "").unwrap().field("Location"), Some("/index.html/"));
    assert_eq!(get(&dir.files(), "/index.html/", "").unwrap().content, b"inner");
}

#[test]
fn who_has_the_file_is_not_sent_it_again() {
    let dir = Dir::new();
    let files = dir.files();
    let whole = get(&files, "/a.txt", "").unwrap();
    let (etag, date) = (whole.field("ETag").unwrap(), whole.field("Last-Modified").unwrap());
    for (fields, code) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{etag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(), 200),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"), 200),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-None-Match: {etag}\r\nRange: bytes=0-0\r\n"), 304),
    ] {
        let answer = get(&files, "/a.txt", &fields).unwrap();
        assert_eq!(answer.code, code, "{fields:?}");
        let head = ask(&files, &format!("HEAD /a.txt HTTP/1.1\r\n{fields}")).unwrap();
        assert!(head.code == code && head.content.is_empty(), "{fields:?}");
        match code {
            304 => {
                assert_eq!((answer.field("ETag"), answer.field("Last-Modified")), (Some(etag), Some(date)));
                assert_eq!((answer.field("Content-Length"), &answer.content[..]), (None, &b""[..]));
            }
            200 => assert_eq!(answer.content, b"letters"),
            _ => assert_eq!(answer.field("ETag"), None),
        }
    }
}

#[test]
fn another_version_has_another_tag_even_with_the_same_date_and_length() {
    let dir = Dir::new();
    let files = dir.files();
    let built = UNIX_EPOCH + Duration::from_secs(1);
    let put = |content: &str| {
        dir.write("next", content);
        let next = File::options().write(true).open(dir.root().join("next")).unwrap();
        next.set_modified(built).unwrap();
        std::fs::rename(dir.root().join("next"), dir.root().join("a.txt")).unwrap();
        get(&files, "/a.txt", "").unwrap().field("ETag").unwrap().to_owned()
    };
    let first = put("version 1");
    // The kernel's clock for files moves in steps of up to 10 ms: as soon as it has moved, the tags differ.
    let second = std::iter::repeat_with(|| put("version 2")).take(10_000).find(|tag| *tag != first);
    assert!(second.is_some(), "{first}");
    let answer = get(&files, "/a.txt", &format!("If-None-Match: {first}\r\n")).unwrap();
    assert_eq!((answer.code, &answer.content[..]), (200, &b"version 2"[..]));
}

#[test]
fn a_range_is_that_part_of_the_file() {
    let dir = Dir::new();
    let files = dir.files();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    dir.write("data", &content);
    let etag = get(&files, "/data", "").unwrap().field("ETag").unwrap().to_owned();
    for (range, part) in [
        ("0-0", 0..1),
        ("0-99999", 0..100_000),
        ("0-", 0..100_000),
        ("99999-", 99_999..100_000),
        ("5000-6000", 5000..6001),
        ("90000-1000000", 90_000..100_000),
        ("-1", 99_999..100_000),
        ("-70000", 30_000..100_000),
        ("-200000", 0..100_000),
    ] {
        for fields in ["".to_owned(), format!("If-Range: {etag}\r\n")] {
            let answer = get(&files, "/data", &format!("Range: bytes={range}\r\n{fields}")).unwrap();
            let described = format!("bytes {}-{}/100000", part.start, part.end - 1);
            assert_eq!((answer.code, answer.field("Content-Range")), (206, Some(&*described)), "{range}");
            assert_eq!(answer.field("ETag"), Some(&*etag));
            assert!(answer.content == content[part.clone()], "{range}");
        }
    }
    for (fields, code) in [
        ("Range: bytes=100000-\r\n", 416),
        ("Range: bytes=100000-100001\r\n", 416),
        ("Range: bytes=-0\r\n", 416),
        ("Range: bytes=0-0,2-2\r\n", 200),
        ("Range: bytes=0-0\r\nRange: bytes=2-2\r\n", 200),
        ("Range: bytes=0-0\r\nIf-Range: \"x\"\r\n", 200),
        ("Range: bytes=100000-\r\nIf-Range: \"x\"\r\n", 200),
        ("Range: lines=0-0\r\n", 200),
    ] {
        let answer = get(&files, "/data", fields).unwrap();
        let size = (code == 416).then_some("bytes */100000");
        assert_eq!((answer.code, answer.field("Content-Range")), (code, size), "{fields:?}");
        assert!(code == 416 || answer.content == content, "{fields:?}");
    }
    let head = ask(&files, "HEAD /data HTTP/1.1\r\nRange: bytes=0-0\r\n").unwrap();
    assert_eq!((head.code, head.field("Content-Length")), (200, Some("100000")));
    assert_eq!(get(&files, "/empty", "Range: bytes=0-\r\n").unwrap().code, 416);
    assert_eq!(get(&files, "/empty", "Range: bytes=-5\r\n").unwrap().code, 200);
}

#[test]
fn a_file_above_the_limit_is_served_in_parts_only() {
    let dir = Dir::new();
    let files = dir.files().file_bytes_max(1000).unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(2500).collect();
    dir.write("data", &content);
    dir.write("limit", &content[..1000]);
    dir.write("more", &content[..1001]);
    assert_eq!(get(&files, "/limit", "").unwrap().code, 200);
    for path in ["/more", "/data"] {
        let answer = get(&files, path, "").unwrap();
        assert_eq!((answer.code, answer.field("Accept-Ranges")), (500, Some("bytes")), "{path}");
        assert_eq!(ask(&files, &format!("HEAD {path} HTTP/1.1\r\n")).unwrap().code, 500);
    }
    // As a player of a film goes on from where an answer ended.
    let mut got = Vec::new();
    while got.len() < content.len() {
        let answer = get(&files, "/data", &format!("Range: bytes={}-\r\n", got.len())).unwrap();
        let last = (got.len() + 999).min(2499);
        let described = format!("bytes {}-{last}/2500", got.len());
        assert_eq!((answer.code, answer.field("Content-Range")), (206, Some(&*described)));
        got.extend(answer.content);
    }
    assert!(got == content);

    let sparse = File::create(dir.root().join("sparse")).unwrap();
    sparse.set_len(FILE_BYTES_MAX as u64 + 1).unwrap();
    assert_eq!(get(&dir.files(), "/sparse", "").unwrap().code, 500);
    sparse.set_len(FILE_BYTES_MAX as u64).unwrap();
    assert_eq!(get(&dir.files(), "/sparse", "").unwrap().content.len(), FILE_BYTES_MAX);
    sparse.set_len(1 << 42).unwrap();
    let tail = get(&dir.files(), "/sparse", "Range: bytes=-5\r\n").unwrap();
    assert_eq!((tail.code, &tail.content[..]), (206, &[0; 5][..]));
}

#[test]
fn a_directory_that_cannot_be_served_is_an_error_that_says_why() {
    let dir = Dir::new();
    for (path, why) in
        [(dir.root().join("missing"), "No such file"), (dir.root().join("a.txt"), "is none"), ("".into(), "")]
    {
        let error = Files::new(&path).unwrap_err().to_string();
        let starts = format!("files is {path:?}; it must be a directory that is there: ");
        assert!(error.starts_with(&starts) && error.contains(why), "{error}");
    }
    for bytes in [0, (512 << 20) + 1] {
        let error = dir.files().file_bytes_max(bytes).unwrap_err().to_string();
        assert_eq!(error, format!("file_bytes_max is {bytes}; it must be a number from 1 to 536870912"));
    }
    assert!(Files::new("src").is_ok(), "a relative path is the current directory's");
}
