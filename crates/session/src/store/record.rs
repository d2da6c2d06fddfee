//! The record of one session, and how it is encoded.
//!
//! | part | encoding |
//! |---|---|
//! | format | one byte: 1, or 2 if the stream says who opened it |
//! | client version | 16 bits, little-endian |
//! | state | 0, or 1 and the milliseconds since 1970, 64 bits, little-endian |
//! | owner | text |
//! | stream | 0, or 1, the name as text, and 32 bytes; in format 2 then the opener as text |
//! | body | everything that follows |
//!
//! Text is UTF-8 after its length in bytes, 32 bits, little-endian. There is one encoding for each record: format 2 is for
//! streams that somebody else than the owner opened, so that releases that do not know it read all other records.

use bytes::Bytes;

use super::Timestamp;

/// The newest format that this release reads.
const FORMAT: u8 = 2;

/// All that is needed to bring a session back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The principal to whom the session belongs.
    pub owner: String,
    /// The version of the protocol that the client speaks; its meaning is the application's affair.
    pub client_version: u16,
    /// The stream by which the client comes back, if it speaks a resumable transport.
    pub stream: Option<Stream>,
    /// Whether somebody uses the session.
    pub state: State,
    /// The session's descriptor; its meaning is the session's affair.
    pub body: Bytes,
}

/// How a client of a resumable transport proves that a session is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The public name of the stream.
    pub name: String,
    /// The SHA-256 hash of its secret.
    pub secret_hash: [u8; 32],
    /// The principal that opened it, and has to come back. It is not the owner of a session that was registered with an access
    /// key over a link of somebody else.
    pub opener: String,
}

/// Whether somebody uses a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is used, as long as the node that holds it lives.
    Live,
    /// Nobody uses it. It is kept until then.
    Parked {
        /// When its time is over, by the store's clock.
        until: Timestamp,
    },
}

impl State {
    /// Whether the time of the session is over at `now`.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        matches!(self, Self::Parked { until } if until <= now)
    }
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer release wrote it.
    #[error("It has format {found}, written by a newer release; this one reads formats up to {FORMAT}.")]
    Newer {
        /// The format that it has.
        found: u8,
    },
    /// It is damaged.
    #[error("Its {field} is damaged or cut off.")]
    Damaged {
        /// The part that cannot be read.
        field: &'static str,
    },
}

impl Record {
    /// The record as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.owner.len() + self.body.len());
        let foreign = self.stream.as_ref().filter(|stream| stream.opener != self.owner);
        out.push(if foreign.is_some() { 2 } else { 1 });
        out.extend_from_slice(&self.client_version.to_le_bytes());
        match self.state {
            State::Live => out.push(0),
            State::Parked { until } => {
                out.push(1);
                out.extend_from_slice(&until.0.to_le_bytes());
            }
        }
        put_text(&mut out, &self.owner);
        match &self.stream {
            None => out.push(0),
            Some(stream) => {
                out.push(1);
                put_text(&mut out, &stream.name);
                out.extend_from_slice(&stream.secret_hash);
                if foreign.is_some() {
                    put_text(&mut out, &stream.opener);
                }
            }
        }
        out.extend_from_slice(&self.body);
        out.into()
    }

    /// The record that `bytes` encode; its body shares them.
    ///
    /// # Errors
    /// [`RecordError::Newer`] or [`RecordError::Damaged`].
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader { rest: bytes };
        let [format] = reader.array("format")?;
        if format > FORMAT {
            return Err(RecordError::Newer { found: format });
        }
        if format == 0 {
            return Err(RecordError::Damaged { field: "format" });
        }
        let client_version = u16::from_le_bytes(reader.array("client version")?);
        let state = if reader.flag("state")? {
            State::Parked {
                until: Timestamp(u64::from_le_bytes(reader.array("state")?)),
            }
        } else {
            State::Live
        };
        let owner = reader.text("owner")?;
        let stream = if reader.flag("stream")? {
            Some(Stream {
                name: reader.text("stream name")?,
                secret_hash: reader.array("secret hash")?,
                opener: match format {
                    1 => owner.clone(),
                    _ => reader.text("opener")?,
                },
            })
        } else {
            None
        };
        if (format == 2) != stream.as_ref().is_some_and(|stream| stream.opener != owner) {
            return Err(RecordError::Damaged { field: "opener" });
        }
        Ok(Self {
            owner,
            client_version,
            stream,
            state,
            body: bytes.slice_ref(reader.rest),
        })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Names of principals and streams are far from 4 GiB; if one were not, it would be cut, and never fail to be read.
    let end = text.floor_char_boundary(text.len().min(u32::MAX as usize));
    out.extend_from_slice(&(end as u32).to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let Some((array, rest)) = self.rest.split_first_chunk() else {
            return Err(RecordError::Damaged { field });
        };
        self.rest = rest;
        Ok(*array)
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, RecordError> {
        match self.array(field)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(RecordError::Damaged { field }),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, RecordError> {
        let length = u32::from_le_bytes(self.array(field)?) as usize;
        let Some((text, rest)) = self.rest.split_at_checked(length) else {
            return Err(RecordError::Damaged { field });
        };
        self.rest = rest;
        let text = std::str::from_utf8(text).map_err(|_| RecordError::Damaged { field })?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let opener = proptest::option::of(any::<String>());
        let stream = (any::<String>(), any::<[u8; 32]>(), opener);
        let state = proptest::option::of(any::<u64>()).prop_map(|until| {
            until.map_or(State::Live, |until| State::Parked {
                until: Timestamp(until),
            })
        });
        let body = proptest::collection::vec(any::<u8>(), 0..200);
        (
            any::<String>(),
            any::<u16>(),
            proptest::option::of(stream),
            state,
            body,
        )
            .prop_map(|(owner, client_version, stream, state, body)| Record {
                client_version,
                stream: stream.map(|(name, secret_hash, opener)| Stream {
                    name,
                    secret_hash,
                    opener: opener.unwrap_or_else(|| owner.clone()),
                }),
                owner,
                state,
                body: body.into(),
            })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(record in records()) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn there_is_one_encoding_for_each_record(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Mostly what could be a record, so that more than the first byte is looked at.
            for (position, byte) in bytes.iter_mut().enumerate() {
                match position {
                    0 => *byte %= 4,
                    3 | 8 => *byte %= 2,
                    5..8 => *byte = 0,
                    4 => *byte %= 8,
                    _ => {}
                }
            }
            let bytes = Bytes::from(bytes);
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }

        #[test]
        fn a_record_that_was_cut_before_its_body_is_damaged(record in records(), cut in any::<proptest::sample::Index>()) {
            let bytes = record.encode();
            let head = bytes.slice(..cut.index(bytes.len() - record.body.len()));
            let damaged = matches!(Record::decode(&head), Err(RecordError::Damaged { .. }));
            prop_assert!(damaged);
        }
    }

    #[test]
    fn the_format_stays_as_it_was_released() {
        let record = Record {
            owner: "ann".into(),
            client_version: 30,
            stream: Some(Stream {
                name: "s1".into(),
                secret_hash: [7; 32],
                opener: "ann".into(),
            }),
            state: State::Parked {
                until: Timestamp(0x0102),
            },
            body: Bytes::from_static(b"body"),
        };
        let mut expected = vec![1, 30, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0];
        expected.extend_from_slice(b"ann");
        expected.extend_from_slice(&[1, 2, 0, 0, 0]);
        expected.extend_from_slice(b"s1");
        expected.extend_from_slice(&[7; 32]);
        expected.extend_from_slice(b"body");
        assert_eq!(record.encode(), expected);

        let mut foreign = record;
        foreign.stream.as_mut().unwrap().opener = "bob".into();
        expected[0] = 2;
        let end = expected.len() - 4;
        expected.splice(end..end, *b"\x03\0\0\0bob");
        assert_eq!(foreign.encode(), expected);
    }

    #[test]
    fn a_record_of_a_newer_release_is_refused_by_its_format() {
        let newer = Bytes::from_static(&[3, 255, 255]);
        assert_eq!(Record::decode(&newer), Err(RecordError::Newer { found: 3 }));
    }
}
