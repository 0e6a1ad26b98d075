//! Packets whose attachments follow them: what a connection keeps until the last of them is there.

use super::args::Form;
use super::packet::{Limits, Malformed, Packet};

/// Reads the messages of one session in their order. While no attachment is outstanding it keeps nothing: 8 bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    assembly: Option<Box<Assembly>>,
}

impl Decoder {
    /// A reader at the beginning of a session.
    #[must_use]
    pub const fn new() -> Self {
        Self { assembly: None }
    }

    /// Reads a text message. `None`: attachments follow, and [`Decoder::binary`] hands out the packet with the last.
    ///
    /// A binary packet without attachments is handed out at once, and its kind is then that of a plain one.
    ///
    /// # Errors
    /// The packet is malformed, or attachments of the one before are outstanding.
    pub fn text<'a>(&mut self, text: &'a str, limits: &Limits) -> Result<Option<Packet<'a>>, Malformed> {
        if self.assembly.is_some() {
            return Err(Malformed::AttachmentOutstanding);
        }
        let mut packet = Packet::parse(text, limits)?;
        if packet.attachments > 0 {
            self.assembly = Some(Box::new(Assembly {
                text: text.into(),
                limits: *limits,
                count: packet.attachments,
                attachments: Vec::with_capacity(packet.attachments as usize),
                attachments_bytes: 0,
            }));
            return Ok(None);
        }
        packet.kind = packet.kind.assembled();
        Ok(Some(packet))
    }

    /// Reads a binary message: the next attachment. With the last one, the packet and all of them.
    ///
    /// # Errors
    /// No attachment is outstanding, or they are too large together.
    pub fn binary(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Box<Assembly>>, Malformed> {
        let assembly = self.assembly.as_mut().ok_or(Malformed::AttachmentUnannounced)?;
        assembly.push(bytes, limits)?;
        Ok(self.assembly.take_if(|assembly| assembly.outstanding() == 0))
    }

    /// Bytes that are kept for a packet whose attachments are not whole; 0 where there is none.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| {
            let entries = assembly.attachments.capacity() * size_of::<Vec<u8>>();
            size_of::<Assembly>() + assembly.text.len() + entries + assembly.attachments_bytes
        })
    }
}

/// A packet and the attachments it has so far.
#[derive(Debug)]
pub struct Assembly {
    text: Box<str>,
    limits: Limits,
    count: u32,
    attachments: Vec<Vec<u8>>,
    attachments_bytes: usize,
}

impl Assembly {
    fn push(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Malformed> {
        self.attachments_bytes = self.attachments_bytes.saturating_add(bytes.len());
        if self.attachments_bytes > limits.attachments_bytes_max {
            return Err(Malformed::AttachmentsTooLarge);
        }
        self.attachments.push(bytes.to_vec());
        Ok(())
    }

    /// How many attachments are still to come.
    #[must_use]
    pub const fn outstanding(&self) -> u32 {
        self.count - self.attachments.len() as u32
    }

    /// The packet, with the attachments that are there. Its kind is that of a plain one: an event or an ack.
    ///
    /// Its text is read a second time: what that costs is little beside copying attachments, and an assembly need not
    /// remember where everything stood in it.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        let mut packet =
            Packet::parse(&self.text, &self.limits).expect("it was read when it came, within these limits");
        packet.kind = packet.kind.assembled();
        if let Form::Json { attachments, .. } = &mut packet.args.0 {
            *attachments = Some(&self.attachments);
        }
        packet
    }
}
