//! The one error of this room.

/// What can be wrong with a binary message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IcdError {
    /// Fewer bytes than a header has.
    #[error("The message has {length} bytes, fewer than the 8 of a header.")]
    ShortFrame {
        /// Number of bytes received.
        length: usize,
    },
    /// The header names an event that clients do not send.
    #[error("The event type {event} is not one that a client sends.")]
    UnknownEvent {
        /// Event number of the header.
        event: u16,
    },
    /// The payload is not the message that the header announces.
    #[error("The payload of {name} cannot be decoded.")]
    Payload {
        /// Name of the event.
        name: &'static str,
        /// What the decoder complains of.
        #[source]
        source: prost::DecodeError,
    },
    /// A version that is not spoken here.
    #[error("Invalid ICD version number: the client speaks {found}, this server speaks 28 to 30.")]
    Version {
        /// The version that the client's header carries.
        found: u16,
    },
}
