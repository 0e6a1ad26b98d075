//! tokio-tungstenite as a peer: `/` echoes, `/topic/NAME` relays.
//!
//! Better than its examples where that is a line or two: a read buffer of 4 KiB (with the default of 128 KiB an idle
//! connection takes 137 KiB, and a message of 20 bytes three times the CPU time), and what has been read already is
//! answered with one write.

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use peers::{Relayed, Room, serve};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

const READ_BUFFER_BYTES: usize = 4096;

fn main() -> std::io::Result<()> {
    let room = Room::default();
    serve(|stream| drop(tokio::spawn(connection(stream, room.clone()))))
}

async fn connection(stream: TcpStream, room: Room) -> Result<(), Error> {
    let mut listens = false;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    // The signature is the callback's.
    #[allow(clippy::result_large_err)]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        listens = Room::is_for(request.uri().path());
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, look, Some(config)).await?;
    if listens {
        let (number, waiting) = room.join();
        let ended = member(socket, &room, number, waiting).await;
        room.leave(number);
        return ended;
    }
    echo(socket).await
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(message) = next {
            let message = message?;
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn member(
    mut socket: WebSocketStream<TcpStream>,
    room: &Room,
    number: u64,
    mut waiting: tokio::sync::mpsc::UnboundedReceiver<Relayed>,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            said = socket.next() => match said {
                None => return Ok(()),
                Some(message) => match message? {
                    Message::Text(text) => room.relay(number, &(true, Bytes::from(text))),
                    Message::Binary(bytes) => room.relay(number, &(false, bytes)),
                    _ => {}
                },
            },
            first = waiting.recv() => {
                let mut next = first;
                while let Some((is_text, payload)) = next {
                    let message = match is_text {
                        true => Utf8Bytes::try_from(payload).map_or_else(|_| Message::binary(""), Message::Text),
                        false => Message::Binary(payload),
                    };
                    socket.feed(message).await?;
                    next = waiting.try_recv().ok();
                }
                socket.flush().await?;
            }
        }
    }
}
