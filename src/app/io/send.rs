//! Packets for one client, on their way to whatever transport it has at the moment.

use crate::core::service::Delivery;
use crate::proto::engineio::PacketKind;
use crate::proto::ws::Message;

use super::broadcast::frames;
use super::parser::Parser;
use super::port::Port;
use super::session::Link;
use super::state::State;

impl State {
    /// Sends a packet of Engine.IO.
    pub(super) fn packet(&mut self, port: &mut dyn Port, slot: u32, kind: PacketKind, text: &str) {
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        match &mut session.link {
            Link::WebSocket(key) => {
                let key = *key;
                let mut packet = String::with_capacity(text.len() + 1);
                packet.push(char::from(kind.digit()));
                packet.push_str(text);
                port.send(key, Message::Text(&packet));
            }
            Link::Polling(polling) => {
                polling.text(kind, text);
                self.unpolled.push(slot);
            }
        }
    }

    /// Sends what the working space holds: the text of a Socket.IO packet with Engine.IO's digit before it, and its
    /// attachments; or a packet in MessagePack.
    pub(super) fn send_out(&mut self, port: &mut dyn Port, slot: u32) -> Delivery {
        let Self { sessions, out, attachments, unpolled, config, .. } = self;
        let Some(session) = sessions.get_mut(slot as usize) else { return Delivery::Dropped };
        if config.parser == Parser::Msgpack {
            return match &mut session.link {
                Link::WebSocket(key) => port.send(*key, Message::Binary(out)),
                Link::Polling(polling) => {
                    polling.binary(out);
                    unpolled.push(slot);
                    Delivery::Queued
                }
            };
        }
        let text = std::str::from_utf8(out).expect("the encoder writes text");
        match &mut session.link {
            Link::WebSocket(key) if attachments.is_empty() => port.send(*key, Message::Text(text)),
            Link::WebSocket(key) => {
                // One unit: nothing comes between a packet and its attachments.
                port.hand(*key, &frames(Message::Text(text), attachments).0);
                Delivery::Queued
            }
            Link::Polling(polling) => {
                polling.text(PacketKind::Message, &text[1..]);
                attachments.iter().for_each(|bytes| polling.binary(bytes));
                unpolled.push(slot);
                Delivery::Queued
            }
        }
    }
}
