//! Any path, with any fields, asked of a directory: nothing that is answered comes from outside of it, and what is answered
//! is the file that the path names.
//!
//! The first byte chooses method and settings; the first line is the path, the rest are the fields, each with its CRLF.
#![no_main]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use throng::app::http::Files;
use throng::proto::http::{HeaderSlots, Request};

/// Stands in every file that must never be served.
const SECRET: &[u8] = b"never to be served";

/// Stands in every file whose name begins with a dot.
const HIDDEN: &[u8] = b"hidden by its name";

const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/static_path");

/// The directory to serve. It is left as it is for the next run.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let base = Path::new(BASE);
        fs::create_dir_all(base.join("root/sub/.git")).unwrap();
        fs::write(base.join("secret"), SECRET).unwrap();
        fs::write(base.join("root/.env"), HIDDEN).unwrap();
        fs::write(base.join("root/sub/.git/config"), HIDDEN).unwrap();
        for name in ["index.html", "a", "é", "%2e", "b c", "sub/index.html", "sub/a", "etc"] {
            fs::write(base.join("root").join(name), format!("what {name} says")).unwrap();
        }
        for (link, to) in
            [("in", "a"), ("out", "../secret"), ("up", ".."), ("dir", "sub"), ("abs", BASE), ("loop", "loop")]
        {
            // It is there from an earlier run.
            _ = symlink(to, base.join("root").join(link));
        }
        base.join("root").canonicalize().unwrap()
    })
}

/// The file that a path names, found without regard to where it lies.
fn named(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = std::str::from_utf8(behind.get(..2).unwrap_or_default())
            .ok()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    let mut name = String::from_utf8(bytes).ok()?;
    if name.ends_with('/') {
        name.push_str("index.html");
    }
    root().join(name.trim_start_matches('/')).canonicalize().ok()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let (path, fields) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let method = [&b"GET "[..], b"HEAD ", b"OPTIONS ", b"POST "][usize::from(choice & 3)];
    let head = [method, path, b" HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"].concat();
    let mut slots = HeaderSlots::new();
    let Ok(request) = Request::parse(&head, &mut slots) else { return };

    let are_dots_served = choice & 4 != 0;
    let files = Files::new(root()).unwrap().dot_files(are_dots_served);
    let files = if choice & 8 != 0 { files.file_bytes_max(5).unwrap() } else { files };
    let Some(response) = files.answer(&request) else { return };
    let mut wire = Vec::new();
    response.encode(&mut wire, false, true);
    assert!(!contains(&wire, SECRET), "{:?}", request.path());
    assert!(are_dots_served || !contains(&wire, HIDDEN), "{:?}", request.path());

    let file = named(request.path()).expect("what is answered is there");
    assert!(file.starts_with(root()), "{:?} leads to {}", request.path(), file.display());
    match response.code() {
        200 => assert_eq!(response.content(), fs::read(file).unwrap()),
        206 => {
            assert!(!response.content().is_empty() && contains(&fs::read(file).unwrap(), response.content()))
        }
        301 => {
            assert!(file.is_dir());
            let location = format!("\r\nLocation: {}/", request.path());
            assert!(contains(&wire, location.as_bytes()));
            assert!(
                !request.path().starts_with("//") && !request.path().contains('\\'),
                "it would be another host"
            );
        }
        304 | 204 => assert!(response.content().is_empty()),
        500 => assert!(choice & 8 != 0 && fs::read(file).unwrap().len() > 5),
        405 | 412 | 416 => {}
        code => panic!("{:?} is answered {code}", request.path()),
    }
});
