//! Connections that change their shard: the WebSocket of a Socket.IO session that began by polling, over `https` and `wss`.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::ClientConfig;
use throng::{FdTables, Server};
use tungstenite::Message;

use super::certs::Authority;
use super::client::{Socket, any, stream};
use super::server::{counted, stop};

fn ask(address: std::net::SocketAddr, config: &Arc<ClientConfig>, request: &str) -> String {
    let mut stream = stream(address, config, "localhost");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn text(socket: &mut Socket) -> String {
    let Message::Text(text) = socket.read().unwrap() else { panic!("no text") };
    text.to_string()
}

#[test]
fn a_session_goes_from_polling_to_a_websocket_on_its_own_shard() {
    let authority = Authority::new();
    for tables in [FdTables::Shared, FdTables::Own] {
        let builder = Server::builder().bind_tls("127.0.0.1:0", &authority.tls(&["localhost"])).unwrap();
        let builder = builder.configure(|config| (config.shards, config.fd_tables) = (3, tables));
        let builder = builder.configure_io(|io| io.keep_handshake = true).socket_io(|io| {
            io.of("/").on("echo", |socket, text: &str| _ = socket.emit("echo", text)).on(
                "secure",
                |socket, (): &()| {
                    let is_secure = socket.handshake().is_some_and(|handshake| handshake.is_secure());
                    socket.emit("secure", is_secure);
                },
            );
        });
        let server = builder.start().unwrap();
        let (address, config) = (server.secure_addrs()[0], any(&authority));
        // The kernel gives a WebSocket the shard of its session once in three times: that none of 16 is moved is 1 in 40 million.
        for _ in 0..16 {
            let path = "/socket.io/?EIO=4&transport=polling";
            let end = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
            let opened = ask(address, &config, &format!("GET {path} {end}\r\n"));
            let sid = opened.split('"').nth(3).unwrap();
            ask(address, &config, &format!("POST {path}&sid={sid} {end}Content-Length: 2\r\n\r\n40"));
            assert!(ask(address, &config, &format!("GET {path}&sid={sid} {end}\r\n")).starts_with("40{"));
            let url = format!("wss://localhost/socket.io/?EIO=4&transport=websocket&sid={sid}");
            let stream = stream(address, &config, "localhost");
            let mut socket = tungstenite::client(url, stream).unwrap().0;
            socket.send(Message::text("2probe")).unwrap();
            assert_eq!(text(&mut socket), "3probe");
            socket.send(Message::text("5")).unwrap();
            let large = format!("42[\"echo\",\"{}\"]", "x".repeat(50_000));
            for said in [large.as_str(), "42[\"echo\",\"small\"]"] {
                socket.send(Message::text(said)).unwrap();
                assert!(text(&mut socket) == said);
            }
            socket.send(Message::text("42[\"secure\"]")).unwrap();
            assert_eq!(text(&mut socket), "42[\"secure\",true]");
        }
        let metrics = stop(server);
        assert!(counted(&metrics, "moved") > 0);
        assert_eq!((counted(&metrics, "tls_handshakes"), counted(&metrics, "tls_failed")), (64, 0));
    }
}
