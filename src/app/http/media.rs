//! Media types by the end of a file's name: those that browsers load, and no others.
//!
//! Answers go out with `nosniff`, so a wrong type is a broken page: a module is not run as `text/plain`.

/// What is not in the table: a browser saves it and runs none of it.
const UNKNOWN: &str = "application/octet-stream";

/// Ends of names and their types. Text is UTF-8: nothing else is written any more, and without the word a browser
/// guesses. JSON is UTF-8 by definition, XML says it itself.
const TYPES: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The media type of a file of this name, in whatever case its end is written.
pub(super) fn media_type(name: &str) -> &'static str {
    let Some((stem, end)) = name.rsplit('/').next().and_then(|name| name.rsplit_once('.')) else {
        return UNKNOWN;
    };
    let known = TYPES.iter().find(|(known, _)| !stem.is_empty() && known.eq_ignore_ascii_case(end));
    known.map_or(UNKNOWN, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_text_says_its_encoding() {
        assert!(TYPES.is_sorted_by(|(a, _), (b, _)| a < b));
        for (end, media_type) in TYPES {
            assert_eq!(end.to_ascii_lowercase(), *end);
            assert_eq!(media_type.starts_with("text/"), media_type.ends_with("; charset=utf-8"), "{end}");
        }
    }

    #[test]
    fn a_type_goes_by_the_last_end_of_the_last_name() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.min.JS", "text/javascript; charset=utf-8"),
            ("a.js/b", UNKNOWN),
            ("a.js/b.png", "image/png"),
            (".png", UNKNOWN),
            ("png", UNKNOWN),
            ("a.", UNKNOWN),
            ("a.exe", UNKNOWN),
            ("archive.tar.gz", "application/gzip"),
        ] {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }
}
