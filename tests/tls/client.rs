//! A client that speaks TLS over a socket: whole streams for tests of messages, bare records for tests of TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, StreamOwned, SupportedProtocolVersion};
use tungstenite::{Message, WebSocket};

use super::certs::Authority;

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type Socket = WebSocket<Stream>;

/// Both versions, each alone.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A client's settings: it trusts the authority, and speaks these versions.
pub(crate) fn config(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(authority.roots.clone()).with_no_client_auth()
}

/// Settings that nothing is said about.
pub(crate) fn any(authority: &Authority) -> Arc<ClientConfig> {
    Arc::new(config(authority, rustls::ALL_VERSIONS))
}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// A client that has said nothing yet.
pub(crate) fn client(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    ClientConnection::new(config.clone(), name.to_owned().try_into().unwrap()).unwrap()
}

/// A stream whose handshake is done by what is first read or written.
pub(crate) fn stream(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Stream {
    StreamOwned::new(client(config, name), tcp(address))
}

/// A WebSocket.
pub(crate) fn socket(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Socket {
    let stream = stream(address, config, name);
    tungstenite::client(format!("wss://{name}/"), stream).unwrap().0
}

/// A binary message of this length.
pub(crate) fn binary(len: usize) -> Message {
    Message::binary((0..len).map(|n| (n * 7) as u8).collect::<Vec<_>>())
}

/// Sends a message, and reads it again.
pub(crate) fn echo(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).unwrap();
    assert!(socket.read().unwrap() == message);
}

/// Gets a path, and reads the answer to the end that the server makes.
pub(crate) fn get(stream: &mut (impl Read + Write), path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
