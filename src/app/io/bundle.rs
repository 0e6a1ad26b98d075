//! The browser's client, as files under Socket.IO's path: throng's own, or the official one out of a directory.
//!
//! Files are read when the server is built and shared by all shards: no request opens one, and no name but those listed
//! here leads anywhere.

use std::borrow::Cow;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::base::error::SetupError;
use crate::proto::http::{Request, Response, Validators, Verdict};

/// throng's own client.
const OWN: &str = include_str!("client/socket.io.js");

/// The file that there must be.
const FIRST: &str = "socket.io.js";

/// What is served of a directory, where it is there.
const NAMES: [&str; 8] = [
    FIRST,
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

#[derive(Debug)]
struct File {
    name: &'static str,
    content: Cow<'static, [u8]>,
    etag: String,
}

impl File {
    fn new(name: &'static str, content: Cow<'static, [u8]>) -> Self {
        // It need tell versions from each other, not withstand anybody.
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let etag = format!("\"{:016x}-{:x}\"", hasher.finish(), content.len());
        Self { name, content, etag }
    }
}

/// The files of the browser's client.
#[derive(Debug)]
pub(crate) struct Bundle(Vec<File>);

impl Default for Bundle {
    fn default() -> Self {
        let own = |name| File::new(name, Cow::Borrowed(OWN.as_bytes()));
        Self(vec![own(FIRST), own("socket.io.min.js")])
    }
}

impl Bundle {
    /// Whether a directory has the client.
    pub(super) fn check(directory: Option<&Path>) -> Result<(), SetupError> {
        directory.map_or(Ok(()), |directory| match fs::metadata(directory.join(FIRST)) {
            Ok(metadata) if metadata.is_file() => Ok(()),
            Ok(_) => Err(wrong(directory, "that is no file")),
            Err(error) => Err(wrong(directory, error)),
        })
    }

    /// Reads what a directory has of the client; throng's own where there is none.
    pub(super) fn read(directory: Option<&Path>) -> Result<Self, SetupError> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        Self::check(Some(directory))?;
        let mut files = Vec::new();
        for name in NAMES {
            match fs::read(directory.join(name)) {
                Ok(content) => files.push(File::new(name, Cow::Owned(content))),
                Err(error) if name != FIRST && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(wrong(directory, format_args!("{name}: {error}"))),
            }
        }
        Ok(Self(files))
    }

    /// The answer to a GET or HEAD for a file of this name; `None` where there is none.
    pub(super) fn answer(&self, name: &str, request: &Request<'_>) -> Option<Response> {
        let file = self.0.iter().find(|file| file.name == name)?;
        // No date is known of it, so none that a client names is as late.
        let validators = Validators { etag: &file.etag, modified: i64::MAX };
        let response = match validators.judge(request) {
            Verdict::NotModified => Response::new(304),
            Verdict::Failed => return Some(Response::text("the file is another one by now").status(412)),
            Verdict::Send => {
                let is_map = name.ends_with(".map");
                let media_type =
                    if is_map { "application/json" } else { "application/javascript; charset=utf-8" };
                Response::new(200)
                    .body(file.content.clone())
                    .header("Content-Type", media_type)
                    .header("X-Content-Type-Options", "nosniff")
            }
        };
        Some(response.header("ETag", &file.etag).header("Cache-Control", "public, max-age=0"))
    }
}

fn wrong(directory: &Path, why: impl std::fmt::Display) -> SetupError {
    let right = format!("a directory that has {FIRST}: {why}");
    SetupError::setting("io.client_dir", directory.display(), right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeaderSlots;

    fn asked(bundle: &Bundle, name: &str, fields: &str) -> Option<Response> {
        let head = format!("GET /socket.io/{name} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = HeaderSlots::new();
        bundle.answer(name, &Request::parse(head.as_bytes(), &mut slots).unwrap())
    }

    /// The value of a field, empty where there is none.
    fn field(response: &Response, name: &str) -> String {
        let mut head = Vec::new();
        response.encode(&mut head, true, true);
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| *field == name).map_or_else(String::new, |(_, value)| value.to_owned())
    }

    fn etag(response: &Response) -> String {
        field(response, "ETag")
    }

    #[test]
    fn its_own_client_is_there_by_two_names_and_sent_once() {
        let bundle = Bundle::read(None).unwrap();
        for name in NAMES {
            let response = asked(&bundle, name, "");
            assert_eq!(response.is_some(), matches!(name, "socket.io.js" | "socket.io.min.js"), "{name}");
        }
        let response = asked(&bundle, FIRST, "").unwrap();
        assert_eq!((response.code(), response.content()), (200, OWN.as_bytes()));
        for (field, code) in [
            (format!("If-None-Match: {}", etag(&response)), 304),
            (format!("If-None-Match: W/{}", etag(&response)), 304),
            ("If-None-Match: \"other\"".to_owned(), 200),
            ("If-Match: \"other\"".to_owned(), 412),
            ("If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT".to_owned(), 200),
        ] {
            assert_eq!(asked(&bundle, FIRST, &format!("{field}\r\n")).unwrap().code(), code, "{field}");
        }
    }

    #[test]
    fn a_directory_s_files_are_served_by_their_listed_names_alone() {
        let directory = std::env::temp_dir().join(format!("throng-bundle-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let refused = Bundle::read(Some(&directory)).unwrap_err().to_string();
        assert!(refused.contains("io.client_dir") && refused.contains("socket.io.js"), "{refused}");
        for name in [FIRST, "socket.io.msgpack.min.js", "socket.io.esm.min.js.map", "package.json"] {
            fs::write(directory.join(name), name).unwrap();
        }
        let bundle = Bundle::read(Some(&directory)).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        for (name, media_type) in [
            (FIRST, Some("application/javascript; charset=utf-8")),
            ("socket.io.msgpack.min.js", Some("application/javascript; charset=utf-8")),
            ("socket.io.esm.min.js.map", Some("application/json")),
            ("socket.io.min.js", None),
            ("package.json", None),
            ("../socket.io.js", None),
            ("", None),
        ] {
            let response = asked(&bundle, name, "");
            let found = response.as_ref().map(|response| field(response, "Content-Type"));
            assert_eq!(found.as_deref(), media_type, "{name}");
            response.into_iter().for_each(|response| assert_eq!(response.content(), name.as_bytes()));
        }
        assert_ne!(
            etag(&asked(&bundle, FIRST, "").unwrap()),
            etag(&asked(&Bundle::default(), FIRST, "").unwrap())
        );
    }
}
