//! Peers that say what they like, and the servers they say it to.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use throng::{Config, Handler, Server};
use tungstenite::WebSocket;

/// Longer than anything here takes; who waits that long has found a bug.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = WebSocket<TcpStream>;

pub(crate) fn serve<H: Handler>(
    configure: impl FnOnce(&mut Config),
    handler: impl Fn(usize) -> H + Send + Sync + 'static,
) -> (Server, SocketAddr) {
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        config.shards = 1;
        config.max_connections = 500;
        configure(config);
    });
    let server = builder.serve(handler).unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

/// Stops a server and gives what it has counted; all that came has gone.
pub(crate) fn stop(server: Server) -> throng::Metrics {
    let handle = server.handle();
    handle.stop(Duration::from_secs(2));
    server.join().unwrap();
    let metrics = handle.metrics();
    assert_eq!(metrics.counter("connections_opened"), metrics.counter("connections_closed"));
    metrics
}

pub(crate) fn stream(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A stream whose kernel takes little before it is read.
pub(crate) fn narrow_stream(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn upgrade(address: SocketAddr, stream: TcpStream) -> Client {
    tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
}

pub(crate) fn client(address: SocketAddr) -> Client {
    upgrade(address, stream(address))
}

/// A frame as clients send them, its first byte given; masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(long as u16).to_be_bytes());
        }
        longer => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(longer as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Sends bytes as they are, past the client's WebSocket.
pub(crate) fn send_raw(client: &mut Client, bytes: &[u8]) {
    client.get_mut().write_all(bytes).unwrap();
}

/// The next message, as text.
pub(crate) fn text(client: &mut Client) -> String {
    client.read().unwrap().into_text().unwrap().to_string()
}
