//! A server on real sockets, spoken to by tungstenite's client.

use throng::{Admission, Conn, Handler, Message, Opening, Server};
use tungstenite::Message as Theirs;

struct Echo;

impl Handler for Echo {
    type Data = ();

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        conn.subscribe("all");
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        if message == Message::Text("to all") {
            conn.publish("all", message);
        } else {
            conn.send(message);
        }
    }
}

#[test]
fn echoes_and_publishes_over_real_sockets() {
    for shards in [1, 3] {
        for own in [false, true] {
            let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
                config.shards = shards;
                config.max_connections = 100;
                if own {
                    config.fd_tables = throng::FdTables::Own;
                }
            });
            let server = builder.serve(|_| Echo).unwrap();
            let address = server.local_addrs()[0];
            let mut clients: Vec<_> = (0..20)
                .map(|_| {
                    let stream = std::net::TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
                })
                .collect();
            for client in &mut clients {
                for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
                    let payload: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
                    client.send(Theirs::binary(payload.clone())).unwrap();
                    assert_eq!(client.read().unwrap().into_data(), payload);
                }
            }
            clients[0].send(Theirs::text("to all")).unwrap();
            for client in &mut clients {
                assert_eq!(client.read().unwrap(), Theirs::text("to all"));
                client.close(None).unwrap();
                while client.read().is_ok() {}
            }
            drop(clients);
            server.handle().stop(std::time::Duration::from_secs(1));
            let metrics = server.handle().metrics();
            assert_eq!(metrics.counter("websockets_opened"), Some(20));
            server.join().unwrap();
        }
    }
}
