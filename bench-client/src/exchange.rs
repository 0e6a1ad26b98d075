//! One request at a time on a keep-alive connection, and its response.
//!
//! Knows nothing of what is in them: `polling` has one for its GETs and one for its POSTs. Reads and writes whatever it
//! is handed, which is a socket that never blocks.

use std::io::{self, ErrorKind, Read, Write};

use crate::answer::{self, Answer};

/// One side of a session that polls.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The request under way, kept until it is answered.
    request: Vec<u8>,
    /// Bytes of it that the kernel took.
    sent: usize,
    /// The response so far, where one read did not bring it whole.
    response: Vec<u8>,
    /// Requests that were answered on the connection it is on.
    answered: u32,
}

/// What one read brought.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Brought<'a> {
    /// Nothing: the socket is empty.
    Nothing,
    /// Not the end of the response.
    Part,
    /// The response to the request, which is under way no more.
    Answer(Answer<'a>),
    /// The end of the connection.
    End,
}

impl Exchange {
    /// Whether a request was begun and not answered.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.request.is_empty()
    }

    /// Bytes of the request under way.
    pub(crate) fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// Begins a request. The one before it was answered.
    pub(crate) fn begin(&mut self, request: Vec<u8>) {
        (self.request, self.sent) = (request, 0);
    }

    /// Moves the request to a new connection, from its beginning. Whether that makes sense: the one before it had answered
    /// requests, so it may have ended for being idle, and this one was not answered in part.
    pub(crate) fn restart(&mut self) -> bool {
        let is_stale = self.answered > 0 && self.response.is_empty();
        (self.sent, self.answered) = (0, 0);
        is_stale
    }

    /// Writes what the kernel did not take yet.
    ///
    /// # Errors
    /// The socket's, other than that it is full or not connected yet.
    pub(crate) fn write(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.sent < self.request.len() {
            match stream.write(&self.request[self.sent..]) {
                Ok(taken) => self.sent += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once. Bytes that come with no request under way are taken for a server's last words.
    ///
    /// # Errors
    /// The socket's, and as `Ok(Err(…))` what the server did wrong, in words that continue "the server …".
    pub(crate) fn read<'s>(
        &mut self,
        stream: &mut impl Read,
        scratch: &'s mut [u8],
    ) -> io::Result<Result<Brought<'s>, String>> {
        let bytes = loop {
            match stream.read(scratch) {
                Ok(0) => return Ok(Ok(Brought::End)),
                Ok(bytes) => break bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Ok(Brought::Nothing)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if !self.is_under_way() {
            return Ok(Ok(Brought::End));
        }
        let read = &scratch[..bytes];
        let whole = if self.response.is_empty() {
            answer::read(read).map(|answer| answer.map(|answer| (answer, bytes)))
        } else {
            self.response.extend_from_slice(read);
            let answer = answer::read(&self.response);
            answer.map(|answer| answer.map(|answer| (owned(answer), self.response.len())))
        };
        Ok(whole.and_then(|whole| match whole {
            None => {
                if self.response.is_empty() {
                    self.response.extend_from_slice(read);
                }
                Ok(Brought::Part)
            }
            Some((answer, length)) if answer.bytes < length => {
                Err("sent more than one answer to a request".into())
            }
            Some((answer, _)) => {
                (self.request, self.response) = (Vec::new(), Vec::new());
                self.answered += 1;
                Ok(Brought::Answer(answer))
            }
        }))
    }
}

fn owned<'a>(answer: Answer<'_>) -> Answer<'a> {
    Answer { body: answer.body.into_owned().into(), ..answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A socket that takes and gives a few bytes at a time.
    struct Socket {
        taken: Vec<u8>,
        room: usize,
        gives: VecDeque<Vec<u8>>,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(std::mem::take(&mut self.room));
            self.taken.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Socket {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let bytes = self.gives.pop_front().ok_or(ErrorKind::WouldBlock)?;
            into[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_request_is_written_in_pieces_and_answered_at_every_split() {
        for cut in 1..ANSWER.len() {
            let mut socket = Socket { taken: Vec::new(), room: 0, gives: VecDeque::new() };
            let mut exchange = Exchange::default();
            exchange.begin(b"GET / HTTP/1.1\r\n\r\n".to_vec());
            for room in [0, 3, 100] {
                socket.room = room;
                exchange.write(&mut socket).unwrap();
            }
            assert_eq!(socket.taken, b"GET / HTTP/1.1\r\n\r\n");
            socket.gives = [ANSWER[..cut].to_vec(), ANSWER[cut..].to_vec()].into();
            let scratch = &mut [0; 100];
            assert_eq!(exchange.read(&mut socket, scratch).unwrap(), Ok(Brought::Part), "{cut}");
            assert!(exchange.is_under_way());
            let answer = exchange.read(&mut socket, scratch).unwrap();
            assert!(matches!(answer, Ok(Brought::Answer(answer)) if *answer.body == *b"hello"), "{cut}");
            assert!(!exchange.is_under_way());
            assert_eq!(exchange.read(&mut socket, scratch).unwrap(), Ok(Brought::Nothing));
        }
    }

    #[test]
    fn only_a_request_on_a_connection_that_answered_before_is_sent_again() {
        let mut socket = Socket { taken: Vec::new(), room: 99, gives: VecDeque::new() };
        let mut exchange = Exchange::default();
        exchange.begin(b"one".to_vec());
        assert!(!exchange.restart(), "the first on its connection");
        socket.gives.push_back(ANSWER.to_vec());
        let scratch = &mut [0; 100];
        assert!(matches!(exchange.read(&mut socket, scratch).unwrap(), Ok(Brought::Answer(_))));
        exchange.begin(b"two".to_vec());
        exchange.write(&mut socket).unwrap();
        assert!(exchange.restart());
        socket.room = 99;
        exchange.write(&mut socket).unwrap();
        assert_eq!(socket.taken, b"twotwo");
        socket.gives.push_back([ANSWER, b"x"].concat());
        assert!(exchange.read(&mut socket, scratch).unwrap().is_err(), "an answer and a half");
    }
}
