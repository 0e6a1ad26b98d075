//! Frames out of one read's bytes: unmasked in place, handed out borrowed.
//!
//! A [`Decoder`] lives for one read of one connection. What is incomplete at the end of the input it moves into a
//! [`Carry`]; everything else stays where the read put it. It answers nothing and closes nothing: the core acts on
//! the items, and on the cause of an error.

use super::carry::{Carry, Store};
use super::deflate::{Agreed, Inflater};
use super::fragments::Partial;
use super::head::{Head, Rules, common, parse};
use super::mask::unmask;
use super::message::{Message, Opcode};
use super::{Item, Limits, Role, close, utf8};
use crate::base::cause::Cause;

/// Decodes what one read brought.
///
/// ```
/// use throng::proto::ws::{Decoder, Item, Limits, Message, Role, Store};
/// let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 64 };
/// let mut store = Store::new();
/// let mut read = *b"\x81\x82\x01\x02\x03\x04ik\x82\x85"; // "hi", then the start of another frame
/// let mut decoder = Decoder::new(Role::Server, limits, None, &mut read);
/// assert_eq!(decoder.next(&mut store), Ok(Some(Item::Message(Message::Text("hi")))));
/// assert_eq!(decoder.next(&mut store), Ok(None));
/// assert!(decoder.finish(&mut store).carry.is_some());
/// ```
#[derive(Debug)]
#[must_use]
pub struct Decoder<'a> {
    input: &'a mut [u8],
    /// Where the next frame begins in the input.
    at: usize,
    carry: Option<Box<Carry>>,
    role: Role,
    limits: Limits,
    agreed: Agreed,
    /// What of the carry the last item borrows.
    lent: Lent,
    /// A close frame or an error came: nothing comes after it.
    over: bool,
    retired: Option<Vec<u8>>,
    /// The last compressed message: a buffer, and how many bytes of it are the message.
    inflated: (Vec<u8>, usize),
}

/// What a decoder leaves behind.
#[derive(Debug)]
#[must_use]
pub struct Finished {
    /// What the connection keeps until its next read: `None` at a frame boundary.
    pub carry: Option<Box<Carry>>,
    /// The buffer of a frame that was completed in the carry, its payload at the start. Whoever took the address of
    /// an item may still send from it, then gives it to [`Store::buffers`].
    pub retired: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lent {
    Nothing,
    Frame,
    Message,
    /// Nothing of the carry, but the buffer that a message was inflated into.
    Inflated,
}

/// Where the payload of a whole frame is.
#[derive(Clone, Copy)]
enum Place {
    Input { start: usize, end: usize },
    Carry,
}

/// What was found complete.
enum Found {
    Frame(Opcode, Place),
    Assembled,
    Inflated(Opcode),
}

impl<'a> Decoder<'a> {
    /// A decoder for `input`, which continues where `carry` left off.
    #[inline]
    pub fn new(role: Role, limits: Limits, carry: Option<Box<Carry>>, input: &'a mut [u8]) -> Self {
        let agreed = Agreed::NOTHING;
        let (lent, inflated) = (Lent::Nothing, (Vec::new(), 0));
        Self { input, at: 0, carry, role, limits, agreed, lent, over: false, retired: None, inflated }
    }

    /// The same for a connection that has agreed on compression: [`Store::inflater`] is what its messages go through.
    #[inline]
    pub fn agreed(mut self, agreed: Agreed) -> Self {
        self.agreed = agreed;
        self
    }

    /// The next item, `None` when the input is used up. An incomplete frame is in the carry then.
    ///
    /// # Errors
    /// `BadFrame`, `BadClose`, `BadUtf8`, `BadDeflate`, `MessageTooBig` or `TooManyFragments`. After an error, as after a close
    /// frame, there is nothing more: what the input still holds is ignored.
    #[inline(always)]
    pub fn next(&mut self, store: &mut Store) -> Result<Option<Item<'_>>, Cause> {
        self.next_within(usize::MAX, store)
    }

    /// The next item like [`next`](Self::next), but for no more than so many fragments of a message: a read may hold tens of
    /// thousands of them, and others wait. `None` while there is a [`rest`](Self::rest) says that these are taken in and the
    /// message goes on.
    ///
    /// # Errors
    /// As for `next`.
    #[inline(always)]
    pub fn next_within(&mut self, fragments: usize, store: &mut Store) -> Result<Option<Item<'_>>, Cause> {
        if let Some(head) = self.common_head() {
            return self.take_common(head).map(|message| Some(Item::Message(message)));
        }
        if self.carry.is_none() && self.at == self.input.len() {
            return Ok(None);
        }
        self.uncommon(fragments, store)
    }

    /// The next item, if it is a whole message in a common frame in the input: nearly all of them. `None` says nothing
    /// of what comes; ask [`next`](Self::next).
    ///
    /// It is apart so that a message reaches its handler in registers. Through the item of `next`, which the uncommon
    /// ways return in memory, its parts are stored one by one and loaded as one, which stalls for 6 ns.
    ///
    /// # Errors
    /// `BadUtf8`, and then there is nothing more.
    #[inline(always)]
    pub fn next_common(&mut self) -> Option<Result<Message<'_>, Cause>> {
        let head = self.common_head()?;
        Some(self.take_common(head))
    }

    #[inline(always)]
    fn common_head(&self) -> Option<Head> {
        if self.carry.is_some() {
            return None;
        }
        common(&self.input[self.at..], self.role, self.limits.message_bytes_max)
    }

    #[inline(always)]
    fn take_common(&mut self, head: Head) -> Result<Message<'_>, Cause> {
        let start = self.at + head.head_len;
        self.at = start + head.len;
        let used_up = self.input.len();
        let payload = &mut self.input[start..start + head.len];
        if self.role == Role::Server {
            unmask(payload, head.mask, 0);
        }
        if head.opcode == Opcode::Binary {
            return Ok(Message::Binary(payload));
        }
        let text = utf8::text(payload).map(Message::Text);
        if text.is_err() {
            self.at = used_up;
            self.over = true;
        }
        text
    }

    /// Ends the decoding: what the connection keeps. Call it when [`next`](Self::next) has returned `None` or an
    /// error: frames that were not asked for are lost.
    #[inline]
    pub fn finish(mut self, store: &mut Store) -> Finished {
        if self.carry.is_some() || self.lent != Lent::Nothing {
            self.take_back(store);
        }
        Finished { carry: self.carry, retired: self.retired }
    }

    /// The input's bytes that are not decoded yet, as they arrived: whole frames from the first byte on, which another
    /// decoder can go on with, beside what [`finish`](Self::finish) leaves. Empty when `next` has returned `None`.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// Whatever is not a whole common frame in the input.
    #[inline(never)]
    fn uncommon(&mut self, fragments: usize, store: &mut Store) -> Result<Option<Item<'_>>, Cause> {
        self.take_back(store);
        let used_up = self.input.len();
        let found = match self.find(fragments, store) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(cause) => {
                self.at = used_up;
                self.over = true;
                return Err(cause);
            }
        };
        let carry = self.carry.as_deref();
        let item = match found {
            Found::Inflated(opcode) => {
                let payload = &self.inflated.0[..self.inflated.1];
                match opcode {
                    Opcode::Text => utf8::text(payload).map(|text| Item::Message(Message::Text(text))),
                    _ => Ok(Item::Message(Message::Binary(payload))),
                }
            }
            Found::Assembled => {
                self.lent = Lent::Message;
                carry
                    .and_then(|carry| carry.message.as_ref()?.message())
                    .map(Item::Message)
                    .ok_or(Cause::BadFrame)
            }
            Found::Frame(opcode, place) => {
                let payload = match place {
                    Place::Input { start, end } => &self.input[start..end],
                    Place::Carry => {
                        self.lent = Lent::Frame;
                        let payload = carry.map_or(&[][..], Carry::payload);
                        let std::ops::Range { start, end } = payload.as_ptr_range();
                        store.carried = start as usize..end as usize;
                        payload
                    }
                };
                match opcode {
                    Opcode::Text => utf8::text(payload).map(|text| Item::Message(Message::Text(text))),
                    Opcode::Binary | Opcode::Continue => Ok(Item::Message(Message::Binary(payload))),
                    Opcode::Ping => Ok(Item::Ping(payload)),
                    Opcode::Pong => Ok(Item::Pong(payload)),
                    Opcode::Close => close::parse(payload).map(|(code, reason)| Item::Close { code, reason }),
                }
            }
        };
        if matches!(item, Err(_) | Ok(Item::Close { .. })) {
            self.at = used_up;
            self.over = true;
        }
        item.map(Some)
    }

    /// Finds the next thing that is complete, taking in so many fragments, and incomplete frames, on the way.
    fn find(&mut self, fragments: usize, store: &mut Store) -> Result<Option<Found>, Cause> {
        for _ in 0..fragments {
            if self.over {
                break;
            }
            let open = self.carry.as_ref().and_then(|carry| carry.open());
            let inflates = self.agreed.is_on();
            let rules = Rules { role: self.role, limits: self.limits, inflates, open };
            let Some((head, place)) = self.frame(&rules, store)? else { return Ok(None) };
            if head.opcode.is_control() || (head.fin && open.is_none()) {
                if head.compressed {
                    self.inflate_frame(place, store)?;
                    return Ok(Some(Found::Inflated(head.opcode)));
                }
                return Ok(Some(Found::Frame(head.opcode, place)));
            }
            let carry = self.carry.get_or_insert_with(|| store.take());
            let mut message =
                carry.message.take().unwrap_or_else(|| Box::new(Partial::new(&head, self.limits)));
            let complete = match place {
                Place::Input { start, end } => {
                    message.add(&head, &self.input[start..end], &mut store.buffers)?
                }
                Place::Carry => {
                    let complete = message.add(&head, carry.payload(), &mut store.buffers)?;
                    store.buffers.give(carry.end_frame());
                    complete
                }
            };
            match *message {
                Partial::Compressed(gathered) if complete => {
                    let inflated = inflate(&gathered.bytes, self.agreed, self.limits, store);
                    store.buffers.give(gathered.bytes);
                    (self.inflated, self.lent) = (inflated?, Lent::Inflated);
                    return Ok(Some(Found::Inflated(gathered.opcode)));
                }
                _ => carry.message = Some(message),
            }
            if complete {
                return Ok(Some(Found::Assembled));
            }
        }
        Ok(None)
    }

    /// Inflates the message of one whole frame.
    fn inflate_frame(&mut self, place: Place, store: &mut Store) -> Result<(), Cause> {
        let inflated = match (place, &mut self.carry) {
            (Place::Input { start, end }, _) => {
                inflate(&self.input[start..end], self.agreed, self.limits, store)
            }
            (Place::Carry, Some(carry)) => {
                let inflated = inflate(carry.payload(), self.agreed, self.limits, store);
                store.buffers.give(carry.end_frame());
                inflated
            }
            (Place::Carry, None) => Err(Cause::BadDeflate),
        };
        (self.inflated, self.lent) = (inflated?, Lent::Inflated);
        Ok(())
    }

    /// The next frame, if it is whole: its payload is unmasked then. If it is not, it is in the carry.
    fn frame(&mut self, rules: &Rules, store: &mut Store) -> Result<Option<(Head, Place)>, Cause> {
        let bytes = &self.input[self.at..];
        if !self.carry.as_ref().is_some_and(|carry| carry.is_partial()) {
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(head) = parse(bytes, rules)?
                && head.len <= bytes.len() - head.head_len
            {
                let start = self.at + head.head_len;
                self.at = start + head.len;
                unmask(&mut self.input[start..self.at], head.mask, 0);
                return Ok(Some((head, Place::Input { start, end: self.at })));
            }
        }
        let carry = self.carry.get_or_insert_with(|| store.take());
        let (taken, whole) = carry.absorb(bytes, rules, store)?;
        self.at += taken;
        Ok(whole.map(|head| (head, Place::Carry)))
    }

    /// Ends the loan of the last item, and gives up the carry if nothing is left in it.
    fn take_back(&mut self, store: &mut Store) {
        if self.lent == Lent::Inflated {
            self.lent = Lent::Nothing;
            store.buffers.give(std::mem::take(&mut self.inflated.0));
        }
        let Some(mut carry) = self.carry.take() else { return };
        match self.lent {
            Lent::Nothing | Lent::Inflated => {}
            Lent::Frame => {
                store.carried = 0..0;
                self.retired = Some(carry.end_frame());
            }
            Lent::Message => carry.message = None,
        }
        self.lent = Lent::Nothing;
        if self.over || !(carry.is_partial() || carry.message.is_some()) {
            store.give(carry);
        } else {
            self.carry = Some(carry);
        }
    }
}

/// Puts the payload of a compressed message through the inflater that the store has at this moment.
fn inflate(
    payload: &[u8],
    agreed: Agreed,
    limits: Limits,
    store: &mut Store,
) -> Result<(Vec<u8>, usize), Cause> {
    let keeps_context = agreed.client_takeover();
    // Without a context it serves every connection of the shard, and with it those of every window.
    let window_bits = if keeps_context { agreed.client_bits() } else { 15 };
    let inflater = store.inflater.get_or_insert_with(|| Box::new(Inflater::new(window_bits)));
    let result = inflater.inflate(payload, limits.message_bytes_max, keeps_context, &mut store.buffers);
    let tally = &mut store.inflated;
    tally.messages += 1;
    tally.bytes_in += payload.len();
    tally.bytes_out += match &result {
        Ok((_, bytes)) => *bytes,
        Err(Cause::MessageTooBig) => limits.message_bytes_max,
        Err(_) => 0,
    };
    result
}
