//! fastwebsockets as a peer: `/` echoes as its own example does, `/topic/NAME` relays.

use std::convert::Infallible;

use bytes::Bytes;
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError, upgrade,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{Room, serve};

fn main() -> std::io::Result<()> {
    let room = Room::default();
    serve(|stream| {
        let room = room.clone();
        let service = service_fn(move |request| answer(request, room.clone()));
        // It ends with an error where the peer ends it, which is nothing to tell.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    })
}

async fn answer(mut request: Request<Incoming>, room: Room) -> Result<Response<Empty<Bytes>>, Infallible> {
    let listens = Room::is_for(request.uri().path());
    let Ok((response, upgraded)) = upgrade::upgrade(&mut request) else {
        let mut refused = Response::new(Empty::new());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    match listens {
        true => drop(tokio::spawn(tokio::task::unconstrained(relay(upgraded, room)))),
        false => drop(tokio::spawn(tokio::task::unconstrained(echo(upgraded)))),
    }
    Ok(response)
}

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn relay(upgraded: upgrade::UpgradeFut, room: Room) -> Result<(), WebSocketError> {
    let (reading, mut writing) = upgraded.await?.split(tokio::io::split);
    let mut reading = FragmentCollectorRead::new(reading);
    let (number, mut waiting) = room.join();
    tokio::spawn(async move {
        while let Some((is_text, payload)) = waiting.recv().await {
            let opcode = if is_text { OpCode::Text } else { OpCode::Binary };
            let frame = Frame::new(true, opcode, None, Payload::Borrowed(&payload));
            if writing.write_frame(frame).await.is_err() {
                return;
            }
        }
    });
    // What a close frame or a ping obliges to is not sent: the load sends no pings, and is gone after its close.
    let mut obliged = |_| async { Ok::<_, WebSocketError>(()) };
    while let Ok(frame) = reading.read_frame(&mut obliged).await {
        match frame.opcode {
            OpCode::Close => break,
            OpCode::Text | OpCode::Binary => {
                let payload = Bytes::copy_from_slice(&frame.payload);
                room.relay(number, &(frame.opcode == OpCode::Text, payload));
            }
            _ => {}
        }
    }
    room.leave(number);
    Ok(())
}
