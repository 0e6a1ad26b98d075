//! Threads with an fd table of their own, and what happens when a table is full.
//!
//! A process of its own, because a table is a copy: it keeps the sockets of every test that runs meanwhile open. The
//! tests here run one at a time for the same reason.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use throng::sys::fd_table::{unshare_fd_table, unshare_fd_table_by_close_range};
use throng::sys::handoff::{Handoff, PACKET_BYTES_MAX};
use throng::sys::limits::{fd_limit, open_fds, raise_fd_limit};
use throng::sys::reserve::Reserve;

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which file an fd number means on this thread, if any.
fn meaning(fd: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/thread-self/fd/{fd}")).ok()
}

#[test]
fn what_was_open_stays_and_what_comes_later_is_nobody_elses() {
    let _turn = one_at_a_time();
    for unshare in [unshare_fd_table, unshare_fd_table_by_close_range] {
        let before = File::open("/dev/null").unwrap();
        let (number, (tell, told), seen) = (before.as_raw_fd(), mpsc::channel(), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                unshare().unwrap();
                assert_eq!(meaning(number), Some("/dev/null".into()));
                let later = File::open("/proc/version").unwrap();
                assert_eq!(meaning(later.as_raw_fd()), Some("/proc/version".into()));
                tell.send(later.as_raw_fd()).unwrap();
                seen.wait();
            });
            let later = told.recv().unwrap();
            let here = meaning(later);
            seen.wait();
            assert_ne!(here, Some("/proc/version".into()), "a number of another table");
        });
        assert_eq!(meaning(number), Some("/dev/null".into()));
    }
}

#[test]
fn a_table_is_filled_and_counted_without_touching_another() {
    let _turn = one_at_a_time();
    let here = open_fds().unwrap();
    let (unshared, held) = thread::spawn(|| {
        unshare_fd_table().unwrap();
        let before = open_fds().unwrap();
        let held: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
        assert_eq!(open_fds().unwrap(), before + held.len());
        (before, held.len())
    })
    .join()
    .unwrap();
    assert!(unshared >= here && held == 100);
    assert_eq!(open_fds().unwrap(), here);
}

#[test]
fn a_socket_goes_on_in_another_table() {
    let _turn = one_at_a_time();
    let (from, to) = Handoff::pair().unwrap();
    let (unshared, sent) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            unshare_fd_table().unwrap();
            unshared.wait();
            sent.wait();
            let mut buffer = [0; PACKET_BYTES_MAX];
            let received = to.receive(&mut buffer).unwrap();
            assert_eq!(&buffer[..received.bytes], b"token 7, unread bytes");
            let mut stream = TcpStream::from(received.fd.unwrap());
            let mut heard = [0; 12];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(b"from over there").unwrap();
            heard
        });
        let sender = scope.spawn(|| {
            unshare_fd_table().unwrap();
            unshared.wait();
            // Made in this table alone: the receiver has no fd of these before it is handed one.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = listener.accept().unwrap().0;
            client.write_all(b"before ").unwrap();
            from.send(server.as_fd(), b"token 7, unread bytes").unwrap();
            drop(server);
            sent.wait();
            client.write_all(b"after").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(&receiver.join().unwrap(), b"before after");
        // It was read to the end: the receiver held the last copy of the socket, and closed it.
        assert_eq!(sender.join().unwrap(), "from over there");
    });
}

/// Holds a table of its own full and uses its reserve; says how many fds that took.
fn fill_a_table() -> usize {
    unshare_fd_table().unwrap();
    let open = || File::open("/dev/null");
    let mut reserve = Reserve::open().unwrap();
    let filling: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
    for _ in 0..3 {
        assert!(open().is_err());
        assert!(reserve.spend(|| open().is_ok()).unwrap());
    }
    let kept = reserve.spend(open).unwrap().unwrap();
    assert!(reserve.spend(|| ()).is_none(), "what was not closed is not there to be spent");
    drop(kept);
    assert!(reserve.spend(|| open().is_ok()).unwrap());
    filling.len()
}

/// An fd that finds no room is told apart from one that arrives.
fn receive_into_a_full_table(to: &Handoff) {
    unshare_fd_table().unwrap();
    let mut filling: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut buffer = [0; 16];
    let received = to.receive(&mut buffer).unwrap();
    assert!(received.fd.is_none());
    assert_eq!(&buffer[..received.bytes], b"first");
    filling.pop();
    let received = to.receive(&mut buffer).unwrap();
    assert!(received.fd.is_some());
    assert_eq!(&buffer[..received.bytes], b"second");
}

#[test]
fn the_limit_counts_per_table_and_a_full_one_still_answers() {
    let _turn = one_at_a_time();
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum: hard }).unwrap();
    assert_eq!(fd_limit().soft, 200);

    for filled in [thread::spawn(fill_a_table), thread::spawn(fill_a_table)] {
        assert!(filled.join().unwrap() > 150);
    }
    let (from, to) = Handoff::pair().unwrap();
    let file = File::open("/dev/null").unwrap();
    from.send(file.as_fd(), b"first").unwrap();
    from.send(file.as_fd(), b"second").unwrap();
    thread::scope(|scope| scope.spawn(|| receive_into_a_full_table(&to)).join().unwrap());

    let raised = raise_fd_limit().unwrap();
    assert_eq!(raised.soft, raised.hard);
    assert_eq!(fd_limit(), raised);
}

/// Says on a channel that it has entered a message, and leaves it when another one is closed.
struct Held {
    entered: mpsc::Sender<()>,
    gate: std::sync::Arc<Mutex<mpsc::Receiver<()>>>,
}

impl throng::Handler for Held {
    type Data = ();

    fn admit(&mut self, _: &throng::Opening<'_, Self>) -> throng::Admission<()> {
        throng::Admission::accept(())
    }

    fn on_message(&mut self, _: &mut throng::Conn<'_, Self>, _: throng::Message<'_>) {
        self.entered.send(()).unwrap();
        let _closed = self.gate.lock().unwrap().recv();
    }
}

#[test]
fn a_stream_that_a_full_mailbox_does_not_take_is_closed_in_every_table() {
    let _turn = one_at_a_time();
    let ((entered, is_in), (go, gate)) = (mpsc::channel(), mpsc::channel());
    let gate = std::sync::Arc::new(Mutex::new(gate));
    let server = throng::Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        (config.shards, config.max_connections, config.mailbox_slots) = (1, 50, 16);
        config.fd_tables = throng::FdTables::Own;
    });
    let server = server.serve(move |_| Held { entered: entered.clone(), gate: gate.clone() }).unwrap();
    let (address, handle) = (server.local_addrs()[0], server.handle());
    let stream = TcpStream::connect(address).unwrap();
    let mut holder = tungstenite::client(format!("ws://{address}/"), stream).unwrap().0;
    holder.send(tungstenite::Message::text("hold")).unwrap();
    is_in.recv().unwrap();
    while handle.publish("nobody's", "x").is_ok() {}

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let refused = handle.adopt(listener.accept().unwrap().0, Vec::new(), ()).unwrap_err();
    assert!(refused.to_string().contains("mailbox is full"), "{refused}");
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the stream lives on in the shard's table");
    drop((go, holder));
    handle.stop(std::time::Duration::from_secs(1));
    server.join().unwrap();
}
