//! Files on a directory of the test's own, and routes.

mod answers;
mod routes;
mod traversal;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::Files;
use crate::proto::http::{HeaderSlots, Request};

/// A directory `root` to serve, beside a file that must never be, and what may lie in wait in one.
pub(super) struct Dir(PathBuf);

/// What the file beside the root says.
pub(super) const SECRET: &str = "secret";

impl Dir {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("throng-files-{}-{number}", std::process::id()));
        let dir = Self(base);
        fs::create_dir_all(dir.0.join("root/sub/deeper")).unwrap();
        fs::create_dir_all(dir.0.join("root/bare")).unwrap();
        fs::create_dir_all(dir.0.join("root/.git")).unwrap();
        fs::create_dir_all(dir.0.join("root2")).unwrap();
        for (name, content) in [
            ("secret.txt", SECRET),
            ("root2/secret.txt", SECRET),
            ("root/index.html", "home"),
            ("root/a.txt", "letters"),
            ("root/b c.txt", "space"),
            ("root/é.txt", "accent"),
            ("root/%2e%2e", "percent"),
            ("root/empty", ""),
            ("root/.env", "hidden"),
            ("root/.git/config", "hidden"),
            ("root/sub/index.html", "sub"),
            ("root/sub/page.html", "page"),
            ("root/bare/x.txt", "x"),
        ] {
            fs::write(dir.0.join(name), content).unwrap();
        }
        for (link, to) in [
            ("in.txt", "a.txt"),
            ("sub/up.txt", "../a.txt"),
            ("linked", "sub"),
            ("round", "sub/../sub/../a.txt"),
            ("out.txt", "../secret.txt"),
            ("sub/out.txt", "../../secret.txt"),
            ("away", ".."),
            ("beside", "../root2"),
            ("there-and-back", "../root/a.txt"),
            ("nowhere", "missing"),
            ("loop", "loop"),
            ("etc", "/etc"),
            ("self", "/proc/self/root"),
        ] {
            symlink(to, dir.root().join(link)).unwrap();
        }
        symlink(dir.0.join("secret.txt"), dir.root().join("absolute-out")).unwrap();
        symlink(dir.root().join("a.txt"), dir.root().join("absolute-in")).unwrap();
        mknodat(CWD, dir.root().join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        drop(UnixListener::bind(dir.root().join("socket")).unwrap());
        dir
    }

    pub(super) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.root().join(name), content).unwrap();
    }

    fn files(&self) -> Files {
        Files::new(self.root()).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // A directory that stays behind is in nobody's way: its name has the number of this process.
        _ = fs::remove_dir_all(&self.0);
    }
}

/// An answer as a client sees it.
#[derive(Debug)]
struct Answer {
    code: u16,
    head: String,
    content: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Asks with a whole head but for its end, which names the host: `GET /a HTTP/1.1\r\nRange: …\r\n`.
fn ask(files: &Files, head: &str) -> Option<Answer> {
    let head = format!("{head}Host: localhost\r\n\r\n");
    let mut slots = HeaderSlots::new();
    let request =
        Request::parse(head.as_bytes(), &mut slots).unwrap_or_else(|cause| panic!("{head:?}: {cause:?}"));
    let response = files.answer(&request)?;
    let mut wire = Vec::new();
    response.encode(&mut wire, request.method() == "HEAD", true);
    let end = wire.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(wire[..end].to_vec()).unwrap();
    Some(Answer { code: response.code(), head, content: wire[end + 4..].to_vec() })
}

/// A GET with these fields, each ending in CRLF.
fn get(files: &Files, path: &str, fields: &str) -> Option<Answer> {
    ask(files, &format!("GET {path} HTTP/1.1\r\n{fields}"))
}
