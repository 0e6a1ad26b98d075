//! HTTP at the pace of the peer.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use throng::{Admission, Conn, Handler, Message, Opening, Request, Response, Shard};

use super::peer::{narrow_stream, serve, stop};

/// Serves one large page.
struct Page;

const PAGE_BYTES: usize = 6 << 20;

impl Handler for Page {
    type Data = ();

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_request(&mut self, _: &mut Shard<'_, Self>, _: &Request<'_>, _: &[u8]) -> Response {
        Response::text("x".repeat(PAGE_BYTES))
    }

    fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
}

const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// The last response of a connection has as long as it takes, while the peer takes some of it; a peer that takes none has
/// `close_timeout`.
#[test]
fn a_response_is_not_cut_while_its_reader_takes_it() {
    let (server, address) = serve(|config| config.close_timeout = CLOSE_TIMEOUT, |_| Page);
    let mut stream = narrow_stream(address);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let (began, mut bytes, mut total) = (Instant::now(), vec![0; 64 << 10], 0);
    loop {
        let n = stream.read(&mut bytes).unwrap();
        if n == 0 {
            break;
        }
        total += n;
        // A slow line: 6 MB in three times the timeout, however fast the machine.
        let pace = 3 * CLOSE_TIMEOUT * total as u32 / PAGE_BYTES as u32;
        std::thread::sleep(pace.saturating_sub(began.elapsed()));
    }
    assert!(total > PAGE_BYTES && began.elapsed() > 2 * CLOSE_TIMEOUT, "{total} bytes");
    drop(stream);

    let mut lazy = narrow_stream(address);
    lazy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    while server.handle().count() == 0 {
        std::thread::yield_now();
    }
    while server.handle().count() > 0 {
        std::thread::yield_now();
    }
    stop(server);
}
