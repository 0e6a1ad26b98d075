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
        // Where the poll came in on another shard than its session's, that one may have been faster to refuse it.
        let answer = waiting.polls.answer();
        let told = (answer.status, answer.body.as_str());
        assert!(told == (200, "1") || (shards > 1 && answer.status == 503), "{told:?}");
        assert_eq!(waiting.polls.rest(), "");
        drop((between, waiting.posts));
        assert_eq!(fixture.unheard(), [""; 0]);
        fixture.stop();
    });
}
