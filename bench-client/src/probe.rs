//! One connection before the thousands: is there a WebSocket server at all? Blocking; called once by the main thread.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use throng::proto::ws::{Opcode, encode};

use crate::handshake::Handshake;
use crate::target::Target;

/// Connects, completes the handshake, and closes.
///
/// # Errors
/// What is wrong with the server, in one line.
pub(crate) fn probe(target: &Target, handshake: &Handshake, timeout: Duration) -> Result<(), String> {
    let address = target.address;
    let until = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => format!("{address} refuses connections: nothing listens there"),
        ErrorKind::TimedOut => format!("{address} does not answer within {timeout:?}"),
        _ => format!("cannot connect to {address}: {error}"),
    })?;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("{address} accepts the connection but does not answer the handshake within {timeout:?}")
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            format!("{address} ended the connection before it answered the handshake")
        }
        _ => format!("{address}: the handshake failed: {error}"),
    };
    let mut request = Vec::new();
    let key = handshake.append_request(&mut request);
    stream.write_all(&request).map_err(failed)?;
    let (mut response, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).map_err(failed)?;
        match stream.read(&mut chunk) {
            Ok(0) => return Err(format!("{address} ended the connection before it answered the handshake")),
            Ok(read) => response.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        match handshake.response(&response, &key) {
            Ok(None) => {}
            Ok(Some(_)) => break,
            Err(what) => return Err(format!("ws://{}{}: the server {what}", target.host, target.path)),
        }
    }
    let mut close = Vec::new();
    encode::append_masked(&mut close, Opcode::Close, true, &1000u16.to_be_bytes(), [0x55; 4]);
    // The handshake was the question. A server that is gone by now shows in the run itself.
    drop(stream.write_all(&close));
    Ok(())
}
