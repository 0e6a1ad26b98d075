//! A server that stops: its clients are told, and their sockets' handlers.

use super::peer::{start, talking, with_shards};

#[test]
fn polls_that_wait_and_sockets_hear_of_it() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut waiting = fixture.polling();
        let between = fixture.polling();
        let ws = fixture.connected();
        (0..3).for_each(|_| assert_eq!(fixture.said(), "+/"));
        waiting.wait_with_a_poll(&fixture);
        fixture.handle.stop(std::time::Duration::from_secs(10));
        assert_eq!(ws.close_code(), 1001);
        (0..3).for_each(|_| assert_eq!(fixture.said(), "-/ server shutting down"));
        // Not a `close`: python-socketio would not come back.
        assert_eq!(waiting.polls.answer().status, 503);
        assert_eq!(waiting.polls.rest(), "");
        drop((between, waiting.posts));
        assert_eq!(fixture.unheard(), [""; 0]);
        fixture.stop();
    });
}
