//! Servers whose shards have an fd table each, where one table holds 200 fds: more connections than one table, full
//! tables, adoption and everything that goes from one shard to another.
//!
//! A process of its own, one test at a time: a table is a copy, and keeps the sockets of whatever else is open.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use throng::sys::fd_table::unshare_fd_table;
use throng::sys::limits::open_fds;
use throng::{Admission, Conn, FdTables, Handler, Message, Opening, Plan, Post, Server, SetupError, Shard};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

const TABLE: u64 = 200;

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
        match message {
            Message::Text("shard") => _ = conn.send(&conn.index().to_string()),
            Message::Text("offload") => {
                _ = conn.offload_on(
                    || std::fs::read_to_string("/proc/self/comm").unwrap(),
                    |_, conn, name| _ = conn.send(&name),
                )
            }
            _ => _ = conn.send(message),
        }
    }

    fn adopt(&mut self, _shard: &mut Shard<'_, Self>, _post: Post) -> Option<()> {
        Some(())
    }
}

type Client = WebSocket<TcpStream>;

/// Makes this test the only one, and fd tables small.
fn small_tables() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(TABLE), maximum }).unwrap();
    turn
}

fn serve(shards: usize, connections: usize) -> Result<Server, SetupError> {
    let builder = Server::builder().bind("127.0.0.1:0")?.configure(|config| {
        config.shards = shards;
        config.fd_tables = FdTables::Own;
        config.max_connections = connections;
    });
    builder.serve(|_| Echo)
}

fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
}

fn said(client: &mut Client, text: &str) -> String {
    client.send(tungstenite::Message::text(text)).unwrap();
    client.read().unwrap().into_text().unwrap().to_string()
}

#[test]
fn more_connections_than_one_table_holds() {
    let _turn = small_tables();
    const CONNECTIONS: usize = 400;
    let server = serve(0, CONNECTIONS).unwrap();
    let shards = server.plan().shards;
    assert!(shards >= 4, "{:?}", server.plan());
    let address = server.local_addrs()[0];
    let handle = server.handle();
    // The clients need several tables too.
    let (connected, heard) = (Barrier::new(6), Barrier::new(6));
    let per_shard = thread::scope(|scope| {
        let clients: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    unshare_fd_table().unwrap();
                    let mut clients: Vec<_> = (0..CONNECTIONS / 5).map(|_| connect(address)).collect();
                    let on: Vec<usize> =
                        clients.iter_mut().map(|client| said(client, "shard").parse().unwrap()).collect();
                    connected.wait();
                    for client in &mut clients {
                        assert_eq!(client.read().unwrap(), tungstenite::Message::text("to all"));
                        assert_eq!(said(client, "and back"), "and back");
                    }
                    heard.wait();
                    on
                })
            })
            .collect();
        connected.wait();
        assert_eq!(handle.count(), CONNECTIONS);
        handle.publish("all", "to all").unwrap();
        heard.wait();
        let mut per_shard = vec![0; shards];
        for clients in clients {
            clients.join().unwrap().into_iter().for_each(|shard| per_shard[shard] += 1);
        }
        per_shard
    });
    assert!(per_shard.iter().all(|&count| count > 0 && count < TABLE as usize), "{per_shard:?}");
    handle.stop(Duration::from_millis(20));
    server.join().unwrap();
    assert_eq!(handle.metrics().counter("connections_shed"), Some(0));
}

#[test]
fn a_full_shard_is_covered_by_its_neighbour() {
    let _turn = small_tables();
    // The kernel spreads connections at random; what one shard cannot hold the other accepts in its place.
    let server = serve(2, 120).unwrap();
    let address = server.local_addrs()[0];
    let mut clients: Vec<_> = (0..120).map(|_| connect(address)).collect();
    for client in &mut clients {
        assert_eq!(said(client, "there"), "there");
    }
    assert_eq!(server.handle().count(), 120);
    let mut stream = TcpStream::connect(address).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(clients);
    server.handle().stop(Duration::from_millis(20));
    server.join().unwrap();
}

#[test]
fn streams_of_the_main_table_are_adopted() {
    let _turn = small_tables();
    let server = serve(3, 60).unwrap();
    let handle = server.handle();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut clients: Vec<_> = (0..30)
        .map(|_| {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            handle.adopt(listener.accept().unwrap().0, Vec::new(), ()).unwrap();
            Client::from_raw_socket(stream, Role::Client, None)
        })
        .collect();
    let mut on = [0; 3];
    for client in &mut clients {
        on[said(client, "shard").parse::<usize>().unwrap()] += 1;
        assert!(said(client, "offload").starts_with("own_tables"), "a helper reads files of the main table");
    }
    assert!(on.iter().all(|&count| count > 0), "{on:?}");
    handle.publish("all", "to all").unwrap();
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), tungstenite::Message::text("to all"));
    }
    handle.stop(Duration::from_secs(5));
    for client in &mut clients {
        let closed = client.read().unwrap();
        assert!(
            matches!(&closed, tungstenite::Message::Close(Some(frame)) if u16::from(frame.code) == 1001),
            "{closed}"
        );
        while client.read().is_ok() {}
        drop(client.get_ref().shutdown(std::net::Shutdown::Both));
    }
    server.join().unwrap();
}

/// What a client said on one connection to `port`, as a runtime of its own opens and reads it.
#[cfg(feature = "socketio")]
async fn fetch(port: u16) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"who?").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer + &std::fs::read_to_string("/proc/self/comm")?)
}

#[cfg(feature = "socketio")]
#[test]
fn a_runtime_of_another_table_works_for_sockets_and_its_results_come_back_to_their_shards() {
    use std::io::Write;
    use std::sync::Arc;
    let _turn = small_tables();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = Arc::new(runtime);
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        (config.shards, config.max_connections, config.fd_tables) = (3, 90, FdTables::Own);
    });
    let server = builder
        .socket_io(move |io| {
            let runtime = Arc::clone(&runtime);
            io.of("/").on("fetch", move |socket, &port: &u16| {
                let (runtime, asked_on) = (Arc::clone(&runtime), thread::current().id());
                let job = move || (runtime.block_on(fetch(port)).unwrap(), thread::current().id());
                socket.offload(job, move |socket, (answer, worked_on)| {
                    let here = thread::current().id();
                    let name = thread::current().name().unwrap_or_default().to_owned();
                    socket.emit("fetched", (answer.trim_end(), here == asked_on, worked_on == here, name));
                });
            });
        })
        .start()
        .unwrap();
    // Opened when every shard has its own table: what the jobs connect to means nothing in any of them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut question = [0; 4];
            if stream.read_exact(&mut question).is_err() || stream.write_all(b"me, ").is_err() {
                return;
            }
        }
    });
    let address = server.local_addrs()[0];
    let mut clients: Vec<_> = (0..40)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
            let mut client = tungstenite::client(url, stream).unwrap().0;
            assert!(client.read().unwrap().to_text().unwrap().starts_with('0'));
            assert!(said(&mut client, "40").starts_with("40{"));
            client
        })
        .collect();
    let mut shards = std::collections::BTreeSet::new();
    for client in &mut clients {
        client.send(tungstenite::Message::text(format!("42[\"fetch\",{port}]"))).unwrap();
    }
    for client in &mut clients {
        let fetched = client.read().unwrap().into_text().unwrap().to_string();
        let (what, shard) = fetched.rsplit_once(',').unwrap();
        assert!(
            what.starts_with(r#"42["fetched","me, own_tables"#) && what.ends_with(",true,false"),
            "{fetched}"
        );
        shards.insert(shard.to_owned());
    }
    assert_eq!(shards.len(), 3, "every shard has asked: {shards:?}");
    drop(clients);
    server.handle().stop(Duration::from_millis(20));
    server.join().unwrap();
}

#[test]
fn more_than_the_tables_hold_is_refused_at_the_start() {
    let _turn = small_tables();
    let refused = serve(2, 1000).unwrap_err().to_string();
    assert!(refused.contains("max_connections") && refused.contains("2 tables"), "{refused}");
}

#[test]
fn as_many_shards_as_can_be_planned_do_serve_and_one_more_is_refused() {
    let _turn = small_tables();
    let open = open_fds().unwrap();
    for tables in [FdTables::Shared, FdTables::Own] {
        let with = |shards| {
            let builder = Server::builder().bind("127.0.0.1:0").unwrap();
            builder.configure(|config| (config.shards, config.fd_tables) = (shards, tables))
        };
        let planned: Vec<Plan> = (1..).map_while(|shards| with(shards).plan().ok()).collect();
        let most = planned.last().unwrap();
        assert!(most.shards > 20 && most.max_connections > 0, "{most:?}");
        let refused = with(most.shards + 1).plan().unwrap_err();
        assert!(matches!(refused, SetupError::FdLimit { limit: TABLE, .. }), "{refused}");

        let server = with(most.shards).serve(|_| Echo).unwrap();
        assert_eq!(server.plan(), *most);
        let mut client = connect(server.local_addrs()[0]);
        assert_eq!(said(&mut client, "there"), "there");
        drop(client);
        server.handle().stop(Duration::from_millis(20));
        server.join().unwrap();
        assert_eq!(open_fds().unwrap(), open, "nothing is left behind");
    }
}

/// Takes fds until its table is full, and gives them back when it is told.
struct Hoarder(Vec<std::fs::File>);

impl Handler for Hoarder {
    type Data = ();

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message {
            Message::Text("fill") => {
                self.0.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()))
            }
            _ => self.0.clear(),
        }
        conn.send(&self.0.len().to_string());
    }
}

#[test]
fn a_full_table_refuses_with_an_answer_and_takes_connections_again() {
    let _turn = small_tables();
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        config.shards = 1;
        config.fd_tables = FdTables::Own;
        config.max_connections = 20;
    });
    let server = builder.serve(|_| Hoarder(Vec::new())).unwrap();
    let address = server.local_addrs()[0];
    let mut client = connect(address);
    assert_ne!(said(&mut client, "fill"), "0");
    let mut refused = TcpStream::connect(address).unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    assert_eq!(said(&mut client, "free"), "0");
    // The listener rests for a moment, and the backlog waits with it.
    assert_eq!(said(&mut connect(address), "hello"), "0");
    let metrics = server.handle().metrics();
    assert_eq!((metrics.counter("connections_shed"), metrics.counter("fd_table_full")), (Some(1), Some(1)));
    server.handle().stop(Duration::from_millis(20));
    server.join().unwrap();
}
