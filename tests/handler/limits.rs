//! How many there may be, and what one too many is told.

use std::io::Read;
use std::sync::mpsc::{self, RecvTimeoutError};

use throng::{Server, SetupError};

use super::probe::{Hooks, PATIENCE, start, with_shards};

#[test]
fn one_connection_too_many_is_told_so() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| config.max_connections = 10);
        let clients: Vec<_> = (0..10).map(|_| fixture.client()).collect();
        for _ in 0..3 {
            let mut stream = fixture.stream();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: "), "{answer}");
        }
        assert_eq!(fixture.handle.count(), 10);
        // There is room again as soon as one is gone.
        let mut clients = clients.into_iter();
        let (gone, id) = clients.next().unwrap();
        drop(gone);
        fixture.closed(id);
        // Its handler hears of it a moment before the census does, which the other shards go by.
        while fixture.handle.count() == 10 {
            std::thread::yield_now();
        }
        let (_, newcomer) = fixture.client();
        assert!(newcomer != id);
        drop(clients);
        let metrics = fixture.stop();
        assert_eq!((metrics.counter("full"), metrics.counter("connections_shed")), (Some(3), Some(3)));
        assert_eq!(metrics.counter("connections_opened"), Some(11));
    });
}

#[test]
fn a_setting_that_cannot_be_is_named() {
    struct Never;
    impl throng::Handler for Never {
        type Data = ();
        fn admit(&mut self, _: &throng::Opening<'_, Self>) -> throng::Admission<()> {
            throng::Admission::refuse(503)
        }
        fn on_message(&mut self, _: &mut throng::Conn<'_, Self>, _: throng::Message<'_>) {}
    }
    let refused =
        Server::builder().configure(|config| config.mailbox_slots = 1).serve(|_| Never).unwrap_err();
    assert!(matches!(refused, SetupError::Setting { setting: "mailbox_slots", .. }), "{refused}");
    // A factory that panics fails the start, and leaves no thread behind.
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| config.shards = 3);
    let (tell, told) = mpsc::channel();
    let refused = builder.serve(move |shard| {
        tell.send(shard).unwrap();
        assert_ne!(shard, 1);
        Never
    });
    assert!(refused.is_err());
    let mut shards: Vec<_> = (0..3).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    shards.sort_unstable();
    assert_eq!(shards, [0, 1, 2]);
    let gone = told.recv_timeout(PATIENCE);
    assert_eq!(
        gone,
        Err(RecvTimeoutError::Disconnected),
        "the factory is gone, and so is everybody who held it"
    );
}
