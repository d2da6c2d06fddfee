//! The outer form of a binary message: an 8-byte header and a payload.

use bytes::{Buf, Bytes};

use crate::IcdError;

/// Number of bytes of a [`Header`].
pub const HEADER_BYTES: usize = 8;

/// The first eight bytes of every binary message, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes 0 and 1: the event number, see [`crate::EventType`].
    pub event: u16,
    /// Bytes 2 and 3: the ICD version of the sender.
    pub version: u16,
    /// Bytes 4 to 7: the number of the request, repeated in its reply; 0 for what nobody asked for.
    pub request_id: u32,
}

impl Header {
    /// Reads a header.
    #[must_use]
    pub fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        let [e0, e1, v0, v1, r0, r1, r2, r3] = bytes;
        Self {
            event: u16::from_le_bytes([e0, e1]),
            version: u16::from_le_bytes([v0, v1]),
            request_id: u32::from_le_bytes([r0, r1, r2, r3]),
        }
    }

    /// Writes a header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [e0, e1] = self.event.to_le_bytes();
        let [v0, v1] = self.version.to_le_bytes();
        let [r0, r1, r2, r3] = self.request_id.to_le_bytes();
        [e0, e1, v0, v1, r0, r1, r2, r3]
    }
}

/// A binary message, taken apart but not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The first eight bytes.
    pub header: Header,
    /// The protobuf message, sharing the memory of the whole.
    pub payload: Bytes,
}

impl Frame {
    /// Takes a binary message apart.
    ///
    /// # Errors
    /// [`IcdError::ShortFrame`] if there are fewer than eight bytes.
    pub fn split(mut message: Bytes) -> Result<Self, IcdError> {
        let Some(header) = message.first_chunk::<HEADER_BYTES>() else {
            return Err(IcdError::ShortFrame {
                length: message.len(),
            });
        };
        let header = Header::from_bytes(*header);
        message.advance(HEADER_BYTES);
        Ok(Self {
            header,
            payload: message,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_message_of_a_client_has_the_documented_bytes() {
        let header = Header {
            event: 1,
            version: 30,
            request_id: 1,
        };
        assert_eq!(header.to_bytes(), [1, 0, 30, 0, 1, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn headers_survive_the_round_trip(event: u16, version: u16, request_id: u32, payload: Vec<u8>) {
            let header = Header { event, version, request_id };
            let mut message = header.to_bytes().to_vec();
            message.extend_from_slice(&payload);
            let frame = Frame::split(Bytes::from(message)).unwrap();
            prop_assert_eq!(frame.header, header);
            prop_assert_eq!(&frame.payload[..], &payload[..]);
        }

        #[test]
        fn fewer_than_eight_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            let length = bytes.len();
            let refused = matches!(Frame::split(Bytes::from(bytes)), Err(IcdError::ShortFrame { length: l }) if l == length);
            prop_assert!(refused);
        }
    }
}
