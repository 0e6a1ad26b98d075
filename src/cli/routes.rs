//! What the binary serves: a page, an echo, topics.
//!
//! One per shard. A WebSocket on a path that has none of its own is an echo: tutorials connect to `/`, RFC 6455's sample
//! to `/chat`.

use throng::sys::trim;
use throng::{Admission, Cause, CloseReason, Conn, Handler, Message, Opening, Request, Response, Shard};
use tungstenite::handshake::client::generate_key;

use super::memory;
use super::names::{NameId, Names};

/// Bytes of a topic's name; beyond it 414.
const NAME_BYTES_MAX: usize = 256;

/// The topic of `/bench`: the empty name, which no path has.
const BENCH: &str = "";

/// The first byte of what `/bench` publishes.
const PUBLISH: u8 = b'P';

const PAGE: &str = include_str!("page.html");

const CHAT: &str = include_str!("chat.html");

/// Where the page's own script and style are allowed by name, once per answer.
const NONCE: &str = "{{nonce}}";

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Everything comes back.
    Echo,
    /// Everything goes to the topic's other members.
    Topic(NameId),
    /// One or the other, by the first byte: the load generator's own.
    Bench,
}

/// A purpose is kept per connection, where more than 8 bytes would spill into a second cache line.
const _: () = assert!(size_of::<Option<Purpose>>() == 8);

/// A shard's handler.
#[derive(Debug, Default)]
pub(super) struct Routes {
    names: Names,
}

impl Handler for Routes {
    type Data = Purpose;

    fn on_start(&mut self, shard: &mut Shard<'_, Self>) {
        shard.every(memory::EVERY, |_, _| trim::refresh_thread());
    }

    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<Purpose> {
        match topic(opening.path()) {
            Ok(None) if opening.path() == "/bench" => Admission::accept(Purpose::Bench),
            Ok(None) => Admission::accept(Purpose::Echo),
            Ok(Some(name)) => Admission::accept(Purpose::Topic(self.names.take(name))),
            Err(refusal) => Admission::Refuse(refusal),
        }
    }

    fn on_request(&mut self, _shard: &mut Shard<'_, Self>, request: &Request<'_>, _body: &[u8]) -> Response {
        let response = match (request.path(), topic(request.path())) {
            ("/", _) => page(PAGE),
            ("/chat", _) => page(CHAT),
            ("/ws" | "/bench", _) | (_, Ok(Some(_))) => Response::refusal(Cause::UpgradeRequired),
            (_, Err(refusal)) => return refusal,
            _ => return Response::refusal(Cause::NotFound),
        };
        match request.method() {
            "GET" | "HEAD" => response,
            _ => Response::refusal(Cause::MethodNotAllowed).header("Allow", "GET, HEAD"),
        }
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        let name = match *conn.data() {
            Purpose::Echo => return,
            Purpose::Topic(id) => self.names.text(id),
            Purpose::Bench => BENCH,
        };
        match conn.subscribe(name) {
            throng::Subscribed::TooMany => conn.close(1013, "topics_per_connection_max is reached"),
            throng::Subscribed::TooLong => {
                conn.close(1008, "the topic's name is longer than topic_bytes_max")
            }
            _ => {}
        }
    }

    #[inline]
    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        // What is dropped on the way is counted by the core, and the peer that was too slow for it is closed.
        match *conn.data() {
            Purpose::Topic(id) => _ = conn.broadcast(self.names.text(id), message),
            Purpose::Bench if message.as_bytes().first() == Some(&PUBLISH) => {
                _ = conn.broadcast(BENCH, message)
            }
            Purpose::Echo | Purpose::Bench => _ = conn.send(message),
        }
    }

    fn on_close(&mut self, conn: &mut Conn<'_, Self>, _reason: CloseReason) {
        if let Purpose::Topic(id) = *conn.data() {
            self.names.release(id);
        }
    }
}

/// The name in `/topic/NAME`, as it was sent: nothing is decoded, so equal paths are equal topics.
fn topic(path: &str) -> Result<Option<&str>, Response> {
    match path.strip_prefix("/topic/") {
        None => Ok(None),
        Some("") => Err(Response::refusal(Cause::NotFound)),
        Some(name) if name.len() > NAME_BYTES_MAX => {
            let sentence = format!("a topic's name has at most {NAME_BYTES_MAX} bytes");
            Err(Response::text(sentence).status(414))
        }
        Some(name) => Ok(Some(name)),
    }
}

/// A page, which may run its own script and that of Socket.IO's client, connect to its own server, and nothing else.
fn page(html: &str) -> Response {
    let nonce = generate_key();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Response::html(html.replace(NONCE, &nonce))
        .header("Content-Security-Policy", &policy)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-store")
}
