//! Ways out of the root, and ways that stay in it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::super::open::{self, Entry};
use super::{Dir, SECRET, get};
use crate::proto::http::{HeaderSlots, Request};

/// Paths that lead to nothing.
const NOWHERE: &[&str] = &[
    // Up, in every spelling.
    "/..",
    "/../",
    "/../secret.txt",
    "/../../../../etc/passwd",
    "/./a.txt",
    "/sub/../a.txt",
    "/sub/../../secret.txt",
    "/a.txt/..",
    "/a.txt/../a.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E/secret.txt",
    "/.%2e/secret.txt",
    "/%2e./secret.txt",
    "/%2e/a.txt",
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/sub/%2e%2e/%2e%2e/secret.txt",
    "/sub%2f..%2f..%2fsecret.txt",
    "/away/secret.txt/..",
    // Decoded once: these are names of files that are not there, or are (see SERVED).
    "/%252e%252e/secret.txt",
    "/%25%32%65%25%32%65/secret.txt",
    "/..%252fsecret.txt",
    "/%252e%252e%252fsecret.txt",
    // Backslashes, parameters, and what other systems take for a dot or slash.
    "/..\\secret.txt",
    "/a\\..\\..\\secret.txt",
    "/..%5csecret.txt",
    "/%5c..%5csecret.txt",
    "/a.txt%5c",
    "/..;/secret.txt",
    "/..;a=b/secret.txt",
    "/.../secret.txt",
    "/....//secret.txt",
    "/..%c0%afsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%c0%2e%c0%2e/secret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%f0%80%80%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/%u002e%u002e/secret.txt",
    "/\u{ff0e}\u{ff0e}/secret.txt",
    "/..\u{2215}secret.txt",
    // Absolute paths and empty names.
    "//",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/%2f%2fetc%2fpasswd",
    "/sub//page.html",
    "//a.txt",
    "/C:/secret.txt",
    "/file:///etc/passwd",
    // An encoded slash is not a slash.
    "/sub%2fpage.html",
    "/sub%2Findex.html",
    // NUL, broken escapes, broken UTF-8.
    "/a.txt%00",
    "/a.txt%00.html",
    "/%00",
    "/a.txt%",
    "/a.txt%2",
    "/%a.txt",
    "/%zz",
    "/%+2e%+2e/secret.txt",
    "/%ff",
    "/%c3",
    "/a.txt%c3%28",
    // Hidden.
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/.git/",
    "/sub/.git",
    // Links out, into circles, to nothing, and to absolute paths.
    "/out.txt",
    "/sub/out.txt",
    "/linked/out.txt",
    "/away",
    "/away/",
    "/away/secret.txt",
    "/away/root/a.txt",
    "/beside/secret.txt",
    "/there-and-back",
    "/absolute-out",
    "/absolute-in",
    "/etc/passwd",
    "/etc/",
    "/self/etc/passwd",
    "/nowhere",
    "/loop",
    "/loop/a.txt",
    // What is no file.
    "/fifo",
    "/fifo/",
    "/socket",
    "/bare",
    "/bare/",
    "/sub/deeper",
    "/sub/deeper/",
    // What is not there, or not so.
    "/missing",
    "/a.txt/",
    "/a.txt/index.html",
    "/A.TXT",
    "/a.txt.",
    "/a.txt%20",
    "/sub/missing/",
    "",
    "a.txt",
    "*",
    "../secret.txt",
];

/// Paths that lead to a file, and what it says.
const SERVED: &[(&str, &str)] = &[
    ("/", "home"),
    ("/index.html", "home"),
    ("/a.txt", "letters"),
    ("/%61%2Etxt", "letters"),
    ("/b%20c.txt", "space"),
    ("/%c3%a9.txt", "accent"),
    ("/é.txt", "accent"),
    ("/%252e%252e", "percent"),
    ("/empty", ""),
    ("/sub/", "sub"),
    ("/sub/page.html", "page"),
    ("/bare/x.txt", "x"),
    ("/in.txt", "letters"),
    ("/sub/up.txt", "letters"),
    ("/linked/", "sub"),
    ("/linked/page.html", "page"),
    ("/linked/up.txt", "letters"),
    ("/round", "letters"),
];

#[test]
fn nothing_leads_out_of_the_root() {
    let dir = Dir::new();
    let files = dir.files();
    for path in NOWHERE {
        if let Some(names) = files.names(path) {
            let entry = open::open(&dir.root(), &names).unwrap();
            assert!(!matches!(entry, Entry::File(..)), "{path:?} leads to {names:?}");
        }
        // What is no request at all was refused before anybody looked.
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut slots = HeaderSlots::new();
        let answer =
            Request::parse(head.as_bytes(), &mut slots).ok().and_then(|request| files.answer(&request));
        assert_eq!(answer, None, "{path:?}");
    }
    let long = ["/a", &"a".repeat(300), "/", &"b/".repeat(5000)];
    for path in [long[..2].concat(), long.concat(), long[2..].concat()] {
        assert!(get(&files, &path, "").is_none(), "{} bytes", path.len());
    }
}

#[test]
fn what_is_beneath_the_root_is_served() {
    let dir = Dir::new();
    let files = dir.files();
    for (path, content) in SERVED {
        let answer = get(&files, path, "").unwrap_or_else(|| panic!("{path:?} leads nowhere"));
        assert_eq!((answer.code, &answer.content[..]), (200, content.as_bytes()), "{path:?}");
    }
}

#[test]
fn names_with_a_dot_are_served_only_where_that_was_asked_for() {
    let dir = Dir::new();
    let files = dir.files().dot_files(true);
    for path in ["/.env", "/%2eenv", "/.git/config"] {
        assert_eq!(get(&files, path, "").unwrap().content, b"hidden", "{path:?}");
    }
    let up = NOWHERE.iter().filter(|path| path.contains("secret") || path.contains("passwd"));
    for path in up.filter(|path| path.starts_with('/') && !path.contains('\\')) {
        assert!(get(&files, path, "").is_none(), "{path:?}");
    }
    assert!(get(&dir.files().dot_files(false), "/.env", "").is_none());
}

#[test]
fn what_may_not_be_read_is_not_there() {
    let dir = Dir::new();
    let locked = dir.root().join("a.txt");
    fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    let may_read = File::open(&locked).is_ok();
    assert_eq!(get(&dir.files(), "/a.txt", "").is_some(), may_read);
    fs::set_permissions(dir.root().join("sub"), Permissions::from_mode(0o000)).unwrap();
    assert_eq!(get(&dir.files(), "/sub/page.html", "").is_some(), may_read);
    fs::set_permissions(dir.root().join("sub"), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_root_that_is_replaced_is_followed_and_one_that_is_gone_serves_nothing() {
    let dir = Dir::new();
    let files = dir.files();
    fs::rename(dir.root(), dir.0.join("old")).unwrap();
    assert!(get(&files, "/a.txt", "").is_none());
    fs::create_dir(dir.root()).unwrap();
    dir.write("a.txt", "new");
    assert_eq!(get(&files, "/a.txt", "").unwrap().content, b"new");
    assert!(get(&files, "/sub/page.html", "").is_none());
    assert_eq!(fs::read_to_string(dir.0.join("secret.txt")).unwrap(), SECRET);
}
