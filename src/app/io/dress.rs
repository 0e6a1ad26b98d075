//! What is done to an answer before it goes out, on the shard that its request came in on: it is compressed, if that is worth
//! it, and says what a page of another origin may.

use crate::proto::http::{Gzip, Request, Response, takes_gzip};

use super::cors::{Cors, Judged};
use super::port::Port;
use super::state::State;

/// Compression of what polls bring (`httpCompression`): gzip, for clients that take it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HttpCompression {
    /// Bytes from which on an answer is compressed. 1,024.
    pub threshold_bytes: usize,
    /// Bytes that a shard compresses in one turn. 256 KiB, which are 1 ms of long JSON and at most 5 of short noise; what is
    /// beyond goes out as it is. So a broadcast of something large to many who poll cannot hold the others up.
    pub bytes_per_turn: usize,
}

impl Default for HttpCompression {
    fn default() -> Self {
        Self { threshold_bytes: 1024, bytes_per_turn: 256 << 10 }
    }
}

/// What a request says about how it is to be answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Manner {
    pub(super) origin: Judged,
    pub(super) takes_gzip: bool,
}

/// A shard's compressor, once it was needed, and what is left of this turn's bytes.
#[derive(Debug, Default)]
pub(super) struct Press {
    gzip: Option<Box<Gzip>>,
    turn_us: u64,
    pressed_bytes: usize,
}

impl Manner {
    /// A request's, and whether it is refused for its origin.
    pub(super) fn of(cors: &Cors, request: &Request<'_>) -> (Self, bool) {
        let takes_gzip = request.method() == "GET" && takes_gzip(request.header_all("accept-encoding"));
        let (origin, is_refused) = match cors.judge(request) {
            Ok(origin) => (origin, false),
            Err(origin) => (origin, true),
        };
        (Self { origin, takes_gzip }, is_refused)
    }
}

impl State {
    /// An answer as it goes out.
    pub(super) fn dress(&mut self, port: &dyn Port, manner: &Manner, response: Response) -> Response {
        let response = self.compressed(port, manner.takes_gzip, response);
        self.config.cors.tell(&manner.origin, response)
    }

    fn compressed(&mut self, port: &dyn Port, takes_gzip: bool, response: Response) -> Response {
        let Self { config, press, .. } = self;
        let Some(compression) = &config.http_compression else { return response };
        let bytes = response.content().len();
        if bytes < compression.threshold_bytes || response.code() != 200 {
            return response;
        }
        // To another client it would be something else.
        let response = response.header("Vary", "Accept-Encoding");
        if !takes_gzip {
            return response;
        }
        let now_us = port.now_us();
        if press.turn_us != now_us {
            (press.turn_us, press.pressed_bytes) = (now_us, 0);
        }
        if press.pressed_bytes + bytes > compression.bytes_per_turn {
            port.counters().io_compressions_skipped.add(1);
            return response;
        }
        press.pressed_bytes += bytes;
        let Some(encoded) = press.gzip.get_or_insert_default().encode(response.content()) else {
            return response;
        };
        port.counters().io_polls_compressed.add(1);
        response.body(encoded).header("Content-Encoding", "gzip")
    }
}
