//! Which counter counts what a client sent wrongly. Owns no number: the shard's counters do.

use crate::base::metrics::{Counter, Counters};
use crate::proto::{engineio, socketio};

/// The counter of a packet of Socket.IO that is refused.
pub(super) const fn of_packet(counters: &Counters, error: socketio::Malformed) -> &Counter {
    use socketio::Malformed;
    match error {
        Malformed::TooManyAttachments => &counters.io_attachments_too_many,
        Malformed::AttachmentsTooLarge => &counters.io_attachments_too_large,
        Malformed::Placeholder => &counters.io_placeholders_wrong,
        Malformed::NamespaceTooLong => &counters.io_namespaces_too_long,
        Malformed::AckId => &counters.io_ack_ids_too_large,
        Malformed::EventTooLong => &counters.io_events_too_long,
        Malformed::TooManyArgs => &counters.io_args_too_many,
        Malformed::TooDeep => &counters.io_nested_too_deep,
        Malformed::Kind
        | Malformed::AttachmentCount
        | Malformed::AttachmentOutstanding
        | Malformed::AttachmentUnannounced
        | Malformed::Namespace
        | Malformed::Json
        | Malformed::Msgpack
        | Malformed::Payload
        | Malformed::EventName
        | Malformed::EventReserved => &counters.io_packets_malformed,
    }
}

/// The counter of a payload, or a packet of Engine.IO, that is refused.
pub(super) const fn of_payload(counters: &Counters, error: engineio::Malformed) -> &Counter {
    use engineio::Malformed;
    match error {
        Malformed::TooManyPackets => &counters.io_payloads_too_long,
        Malformed::Empty | Malformed::Kind | Malformed::Base64 => &counters.io_payloads_malformed,
    }
}
