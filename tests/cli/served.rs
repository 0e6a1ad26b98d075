//! What it serves.

use rustix::process::Signal;
use tungstenite::Message;

use crate::program::Running;

const ASKS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn a_page_that_may_run_its_own_script_and_no_other() {
    let server = Running::start(&[]);
    let (status, head, page) = server.ask("GET /", "");
    assert_eq!(status, 200);
    assert!(head.contains("Content-Type: text/html; charset=utf-8"), "{head}");
    let policy = head.lines().find(|line| line.starts_with("Content-Security-Policy: ")).unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for tag in ["script", "style"] {
        assert_eq!(page.matches(&format!("<{tag}")).count(), 1);
        assert!(page.contains(&format!("<{tag} nonce=\"{nonce}\">")), "{tag}");
    }
    for forbidden in ["{{", "innerHTML", "src=", "href=\"http", "@import", "onclick="] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let (_, other, _) = server.ask("GET /?tab=2", "");
    assert!(!other.contains(nonce), "a nonce is used once");
    let length =
        |head: &str| head.lines().find(|line| line.starts_with("Content-Length: ")).unwrap().to_owned();
    let (status, head_only, content) = server.ask("HEAD /", "");
    assert_eq!((status, length(&head_only), content.as_str()), (200, length(&head), ""));
}

#[test]
fn every_request_gets_its_status() {
    let server = Running::start(&["--origin", "http://localhost:1", "--origin", "null"]);
    let long = format!("GET /topic/{}", "n".repeat(257));
    let most = format!("GET /topic/{}", "n".repeat(256));
    let with_origin = |origin: &str| format!("{ASKS}Origin: {origin}\r\n");
    let (ours, theirs, none) =
        (with_origin("http://localhost:1"), with_origin("http://localhost:2"), with_origin("null"));
    for (line, fields, expected, part) in [
        ("GET /healthz", "", 200, "ok"),
        ("HEAD /healthz", "", 200, "Content-Length: 2"),
        ("GET /readyz", "", 200, "ready"),
        ("POST /readyz", "", 405, "Allow: GET, HEAD"),
        ("GET /healthz?verbose", "", 200, "ok"),
        ("POST /", "", 405, "Allow: GET, HEAD"),
        ("DELETE /healthz", "", 405, "Allow: GET, HEAD"),
        ("GET /ws", "", 426, "Upgrade: websocket"),
        ("GET /bench", "", 426, "Sec-WebSocket-Version: 13"),
        ("GET /topic/x", "", 426, "Upgrade: websocket"),
        ("POST /topic/x", "", 405, "Allow: GET, HEAD"),
        (&most, "", 426, ""),
        (&long, "", 414, "256 bytes"),
        ("GET /topic/", "", 404, ""),
        ("GET /nothing", "", 404, "nothing is served here"),
        ("POST /nothing", "", 404, ""),
        (&long, ASKS, 414, "256 bytes"),
        ("GET /topic/", ASKS, 404, ""),
        ("GET /", &theirs, 403, "origin"),
        ("POST /", ASKS, 405, ""),
    ] {
        let (status, head, content) = server.ask(line, fields);
        assert_eq!(status, expected, "{line}");
        assert!(head.contains(part) || content.contains(part), "{line}: {head} {content}");
    }
    // What is accepted stays open, so its answer is read by the client that keeps it.
    for fields in [ours, none] {
        let origin = fields.trim_end().rsplit(' ').next().unwrap();
        let request =
            tungstenite::ClientRequestBuilder::new(format!("ws://{}/", server.address).parse().unwrap());
        let stream = std::net::TcpStream::connect(server.address).unwrap();
        assert!(tungstenite::client(request.with_header("Origin", origin), stream).is_ok(), "{origin}");
    }
}

#[test]
fn an_echo_on_every_path_without_a_websocket_of_its_own() {
    for arguments in
        [&["--shards", "1"][..], &["--shards", "3", "--fd-tables", "own", "--max-connections", "100"]]
    {
        let server = Running::start(arguments);
        for path in ["/", "/ws", "/chat", "/healthz", "/topics/x?y=z"] {
            let mut client = server.client(path);
            for message in [Message::text("P: häh?"), Message::binary(vec![0xff; 70_000]), Message::text("")]
            {
                client.send(message.clone()).unwrap();
                assert_eq!(client.read().unwrap(), message, "{path}");
            }
        }
    }
}

#[test]
fn a_topic_s_members_hear_each_other_and_not_themselves() {
    let server = Running::start(&["--shards", "3"]);
    let paths = ["/topic/a", "/topic/a", "/topic/a", "/topic/b", "/topic/a%2Fb", "/topic/a/b"];
    let mut clients: Vec<_> = paths.iter().map(|path| server.client(path)).collect();
    // Each says a line in turn; what it hears is what the members of its own topic said, and so never its own line.
    for round in 0..2 {
        for speaker in 0..clients.len() {
            let line = format!("{speaker} in round {round}");
            clients[speaker].send(Message::text(line.clone())).unwrap();
            for hearer in 0..clients.len() {
                if hearer != speaker && paths[hearer] == paths[speaker] {
                    assert_eq!(clients[hearer].read().unwrap(), Message::text(line.clone()), "{hearer}");
                }
            }
        }
    }
    // Whoever has heard nothing that was not for it finds the answer to its ping next.
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(Message::Ping(vec![7].into())).unwrap();
        assert_eq!(client.read().unwrap(), Message::Pong(vec![7].into()), "{index}");
    }
    // Half of them leave before the server does. It ends well only if every name has been released by then.
    clients.truncate(3);
    server.signal(Signal::TERM);
    drop(clients);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn bench_publishes_what_begins_with_p_and_echoes_the_rest() {
    let server = Running::start(&["--shards", "2"]);
    let mut clients: Vec<_> = (0..6).map(|_| server.client("/bench")).collect();
    let mut outsider = server.client("/topic/bench");
    let published = Message::binary(&b"P to all others"[..]);
    clients[0].send(published.clone()).unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.read().unwrap(), published);
    }
    // The publisher has not heard itself: what it hears first is its next message.
    for message in [Message::binary(&b"E to me"[..]), Message::text("p"), Message::binary(&b""[..])] {
        for client in &mut clients {
            client.send(message.clone()).unwrap();
            assert_eq!(client.read().unwrap(), message);
        }
    }
    outsider.send(Message::Ping(vec![7].into())).unwrap();
    assert_eq!(outsider.read().unwrap(), Message::Pong(vec![7].into()));
}

/// Limits of the server below the chat's own are no reason not to start.
#[test]
fn small_messages_are_enough_for_the_chat() {
    let throng = Running::start(&[
        "--bind",
        "127.0.0.1:0",
        "--message-bytes-max",
        "1 KiB",
        "--body-bytes-max",
        "2 KiB",
    ]);
    assert_eq!(throng.ask("GET /chat", "").0, 200);
    let (status, _, open) = throng.ask("GET /socket.io/?EIO=4&transport=polling", "");
    assert_eq!(status, 200);
    assert!(open.contains("\"maxPayload\":1024}"), "{open}");
}

/// What `bench-client --protocol socketio --namespace /bench` asks, with `--ack` and without, in `broadcast` and in `rooms`.
#[test]
fn the_namespace_bench_echoes_publishes_and_has_rooms() {
    let server = Running::start(&["--shards", "2"]);
    let mut clients: Vec<_> =
        (0..4).map(|_| server.client("/socket.io/?EIO=4&transport=websocket")).collect();
    for client in &mut clients {
        assert!(client.read().unwrap().to_text().unwrap().starts_with('0'));
        client.send(Message::text("40/bench,")).unwrap();
        assert!(client.read().unwrap().to_text().unwrap().starts_with("40/bench,"));
    }
    for (said, heard) in [
        (r#"42/bench,7["echo","a"]"#, r#"43/bench,7["a"]"#),
        (r#"42/bench,["echo","b"]"#, r#"42/bench,["echo","b"]"#),
    ] {
        for client in &mut clients {
            client.send(Message::text(said)).unwrap();
            assert_eq!(client.read().unwrap(), Message::text(heard));
        }
    }
    for (client, room) in clients.iter_mut().zip(["a", "a", "b", "b"]) {
        client.send(Message::text(format!(r#"42/bench,["join","{room}"]"#))).unwrap();
        assert_eq!(client.read().unwrap(), Message::text(format!(r#"42/bench,["joined","{room}"]"#)));
    }
    // The other of the room hears it, and the next that everybody hears is for everybody.
    let say = Message::text(r#"42/bench,["say","c"]"#);
    let publish = Message::text(r#"42/bench,["publish","d"]"#);
    clients[0].send(say.clone()).unwrap();
    assert_eq!(clients[1].read().unwrap(), say);
    clients[0].send(publish.clone()).unwrap();
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), publish);
    }
}
