//! Files of a directory as answers: where a path leads, which version of it the client has, which part it wants.
//!
//! Owns a path and two settings, never a file: each is opened for its answer and closed again. Never follows a path out of
//! the directory. Called with requests for which no route is known.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::base::cause::Cause;
use crate::base::error::SetupError;
use crate::proto::http::{Range, Request, Response, Validators, Verdict, decode_segment, format_date};

use super::allow::Allow;
use super::media::media_type;
use super::open::{self, Entry};

/// Bytes of a file in one response, unless told otherwise: 16 MiB.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// The largest `file_bytes_max`: a response is one unit of an outbox, and no unit is larger than 1 GiB.
const FILE_BYTES_MOST: usize = 512 << 20;

/// What stands for a directory.
const INDEX: &str = "index.html";

/// The files of a directory, served as they are.
///
/// `GET` and `HEAD` are answered, with an `ETag`, `Last-Modified`, 304 and single byte ranges; `OPTIONS` with 204 and every
/// other method with 405. A directory is its `index.html`; without the slash at its end it is redirected there. Files are
/// looked up anew for each request, so a change shows at once. Clients ask each time whether their copy is still good
/// (`Cache-Control: public, max-age=0`).
///
/// A path leads to a regular file within the directory or to nothing. It is decoded once; one that has an empty, `.` or
/// `..` segment, a backslash, a NUL, an encoded slash or a broken escape leads nowhere. So does a name that begins with a
/// dot, unless [`dot_files`](Self::dot_files) says otherwise. Symbolic links are followed while they stay beneath the
/// directory, which links to absolute paths do not. What the process may not read is not there.
///
/// Files are read on the shard's thread. Where they lie on a slow or remote disk, a handler should answer them through
/// `offload`. Nothing is kept but what the kernel keeps in memory: a file of 10 KB takes some 10 µs, one of 1 MB some 55
/// (`cargo bench --bench files`).
///
/// ```
/// use throng::app::http::Files;
/// use throng::proto::http::{HeaderSlots, Request};
///
/// let files = Files::new("docs")?;
/// let mut slots = HeaderSlots::new();
/// let request = Request::parse(b"GET /TUNING.md HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut slots).unwrap();
/// let response = files.answer(&request).expect("the file is there");
/// assert_eq!(response.code(), 200);
/// assert_eq!(response.content(), std::fs::read("docs/TUNING.md").unwrap());
/// # Ok::<(), throng::SetupError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    root: PathBuf,
    file_bytes_max: usize,
    dot_files: bool,
}

impl Files {
    /// The files of a directory. A relative path is one of the current directory's, now; the directory itself may later be
    /// replaced by another.
    ///
    /// # Errors
    /// It is not there, or is no directory.
    pub fn new(directory: impl AsRef<Path>) -> Result<Self, SetupError> {
        let directory = directory.as_ref();
        let wrong = |why: String| {
            SetupError::setting(
                "files",
                format!("{directory:?}"),
                format!("a directory that is there: {why}"),
            )
        };
        let root = std::path::absolute(directory).map_err(|error| wrong(error.to_string()))?;
        let metadata = root.metadata().map_err(|error| wrong(format!("{}: {error}", root.display())))?;
        if !metadata.is_dir() {
            return Err(wrong(format!("{} is none", root.display())));
        }
        Ok(Self { root, file_bytes_max: FILE_BYTES_MAX, dot_files: false })
    }

    /// Sets how many bytes of a file one response carries: [`FILE_BYTES_MAX`], 16 MiB, by default.
    ///
    /// A larger file is answered 500 (`file_too_large`), as a response is made whole in memory and is not streamed. A range
    /// of it is served, and one that is too long is cut: players of sound and video go on from there by themselves. Whoever
    /// asks and does not read pins that much until `stall_timeout`, so connections × this is the worst case of user memory.
    ///
    /// # Errors
    /// It is 0 or above 512 MiB.
    pub fn file_bytes_max(mut self, bytes: usize) -> Result<Self, SetupError> {
        if !(1..=FILE_BYTES_MOST).contains(&bytes) {
            let right = format!("a number from 1 to {FILE_BYTES_MOST}");
            return Err(SetupError::setting("file_bytes_max", bytes, right));
        }
        self.file_bytes_max = bytes;
        Ok(self)
    }

    /// Serves names that begin with a dot, too, or hides them, which is the default: `.git` and `.env` come to lie in served
    /// directories unseen.
    #[must_use]
    pub const fn dot_files(mut self, are_served: bool) -> Self {
        self.dot_files = are_served;
        self
    }

    /// The answer to a request whose path leads to a file; `None` where it does not, and somebody else may have one.
    ///
    /// A file that is there and cannot be sent is answered 500, a host without a free fd 503.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Option<Response> {
        let names = self.names(request.path())?;
        match open::open(&self.root, &names) {
            Ok(Entry::File(file, metadata)) => {
                Some(allowed(request, || self.file(request, &names, &file, &metadata)))
            }
            // An index that is a directory itself is none.
            Ok(Entry::Directory) if request.path().ends_with('/') => None,
            Ok(Entry::Directory) => {
                let index = open::open(&self.root, &format!("{names}/{INDEX}"));
                matches!(index, Ok(Entry::File(..))).then(|| allowed(request, || with_slash(request)))
            }
            Ok(Entry::Nothing) => None,
            Err(error) => Some(Response::refusal(cause(error))),
        }
    }

    /// The names of a path from the root on, decoded and checked, with the index's at the end of a directory's.
    pub(super) fn names(&self, path: &str) -> Option<String> {
        let mut names = String::with_capacity(path.len() + INDEX.len());
        let mut segments = path.strip_prefix('/')?.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            match &*decode_segment(segment)? {
                "" if is_last => names.push_str(INDEX),
                "" => return None,
                name if name.starts_with('.') && !self.dot_files => return None,
                name => names.push_str(name),
            }
            if !is_last {
                names.push('/');
            }
        }
        Some(names)
    }

    fn file(&self, request: &Request<'_>, name: &str, file: &File, metadata: &Metadata) -> Response {
        let etag = etag(metadata);
        let validators = Validators { etag: &etag, modified: metadata.mtime() };
        let described = |response: Response| {
            let response = response.header("ETag", &etag).header("Cache-Control", "public, max-age=0");
            match format_date(metadata.mtime()) {
                Some(date) => response.header("Last-Modified", &date),
                None => response,
            }
        };
        match validators.judge(request) {
            Verdict::Send => {}
            Verdict::NotModified => return described(Response::new(304)),
            Verdict::Failed => return Response::text("the file is another one by now").status(412),
        }
        let length = metadata.len();
        let (first, count, status) = match range(request, &validators, length) {
            Range::Whole if length > self.file_bytes_max as u64 => {
                return Response::refusal(Cause::FileTooLarge).header("Accept-Ranges", "bytes");
            }
            Range::Whole => (0, length, 200),
            // A 206 says itself what it has, which may be less than what was asked for (RFC 9110 §15.3.7).
            Range::Part { first, last } => (first, (last - first + 1).min(self.file_bytes_max as u64), 206),
            Range::Unsatisfiable => {
                let refusal = Response::text("the range begins behind the end of the file").status(416);
                return refusal.header("Content-Range", &format!("bytes */{length}"));
            }
        };
        let content = match open::read(file, first, count as usize) {
            Ok(content) => content,
            Err(error) => return Response::refusal(cause(error)),
        };
        let response = described(Response::new(status).body(content))
            .header("Content-Type", media_type(name))
            .header("Accept-Ranges", "bytes")
            .header("X-Content-Type-Options", "nosniff");
        match status {
            206 => {
                let last = first + count - 1;
                response.header("Content-Range", &format!("bytes {first}-{last}/{length}"))
            }
            _ => response,
        }
    }
}

/// The answer to GET and HEAD; every other method is told which there are.
fn allowed(request: &Request<'_>, answer: impl FnOnce() -> Response) -> Response {
    match request.method() {
        "GET" | "HEAD" => answer(),
        method => Allow::of(["GET"]).answer(method),
    }
}

/// Sends a client from a directory to the same with a slash, so that what its index names is looked up within it.
///
/// The path begins with one slash and no more, or it would have led nowhere: `//host` would be another server.
fn with_slash(request: &Request<'_>) -> Response {
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", request.path());
    Response::new(301).header("Location", &location).header("Cache-Control", "public, max-age=0")
}

/// A range is a matter of GET alone (RFC 9110 §14.2), and of one field.
fn range(request: &Request<'_>, validators: &Validators<'_>, length: u64) -> Range {
    let mut values = request.header_all("range");
    match (values.next(), values.next()) {
        (Some(value), None) if request.method() == "GET" && validators.range_counts(request) => {
            Range::parse(value, length)
        }
        _ => Range::Whole,
    }
}

/// A tag of what the kernel knows of a version: when it was written, when it came to be here, how long it is.
///
/// The second of the times cannot be set by whoever writes a file. Copies that keep their dates, and builds that set
/// all of them to 1970, differ by it.
fn etag(metadata: &Metadata) -> String {
    let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
    let written = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
    let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
    format!("\"{written:x}-{changed:x}-{:x}\"", metadata.len())
}

fn cause(error: Errno) -> Cause {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Cause::Full,
        _ => Cause::FileUnreadable,
    }
}
