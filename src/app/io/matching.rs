//! Which namespaces exist that nobody has named: a predicate, or a pattern with a star.

use super::admit::Connect;

/// Whether there is a namespace with this name, for a client that asks for it.
pub(super) type Matches = Box<dyn FnMut(&str, &Connect<'_>) -> bool>;

/// A pattern for [`Io::of_matching`](super::Io::of_matching): `*` stands for any number of characters, slashes included, and
/// for none. Everything else is itself.
///
/// ```
/// # fn describe(io: &mut throng::io::Io) {
/// io.of_matching(throng::io::wildcard("/room-*")).on("say", |socket, text: &str| {
///     socket.io().emit("said", (socket.namespace(), text));
/// });
/// # }
/// ```
pub fn wildcard(pattern: &str) -> impl FnMut(&str, &Connect<'_>) -> bool + use<> {
    let pattern: Box<str> = pattern.into();
    move |name, _| is_match(&pattern, name)
}

/// Between stars each piece is looked for where it first occurs, so the time is that of as many searches as there are pieces.
fn is_match(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in between.split('*') {
        let Some(at) = name.find(piece) else { return false };
        name = &name[at + piece.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything() {
        for (pattern, names, others) in [
            ("/a", &["/a"][..], &["/", "/ab", "/A", ""][..]),
            ("/room-*", &["/room-", "/room-1", "/room-a/b", "/room-*"], &["/room", "/Room-1", "x/room-1"]),
            ("*", &["", "/", "/a/b"], &[]),
            ("/*/chat", &["//chat", "/a/chat", "/a/b/chat", "/chat/chat"], &["/chat", "/a/chats"]),
            ("/a*b*c", &["/abc", "/axbxc", "/abbcc", "/aébüc"], &["/ab", "/ac", "/acb", "/abcd"]),
            ("/a*b*b", &["/abb", "/abbb", "/axbxb"], &["/ab", "/a"]),
            ("/a*a", &["/aa", "/aaa"], &["/a"]),
            ("/**", &["/", "/x"], &["", "x"]),
        ] {
            names.iter().for_each(|name| assert!(is_match(pattern, name), "{pattern} {name}"));
            others.iter().for_each(|name| assert!(!is_match(pattern, name), "{pattern} {name}"));
        }
    }
}
