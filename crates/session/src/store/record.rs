//! The record of one session, and how it is encoded.
//!
//! | part | encoding |
//! |---|---|
//! | format | one byte, [`FORMAT`] |
//! | client version | 16 bits, little-endian |
//! | state | 0, or 1 and the milliseconds since 1970, 64 bits, little-endian |
//! | active | as the state |
//! | owner | text |
//! | stream | 0, or 1, the name as text, 32 bytes, and the opener as text |
//! | body | everything that follows |
//!
//! Text is UTF-8 after its length in bytes, 32 bits, little-endian. There is one encoding for each record.

use bytes::Bytes;

use super::Timestamp;

/// The format that this release reads and writes.
const FORMAT: u8 = 1;

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
    /// When its client last asked for something, as far as that is known, by the store's clock.
    pub active: Option<Timestamp>,
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
        out.push(FORMAT);
        out.extend_from_slice(&self.client_version.to_le_bytes());
        put_time(
            &mut out,
            match self.state {
                State::Live => None,
                State::Parked { until } => Some(until),
            },
        );
        put_time(&mut out, self.active);
        put_text(&mut out, &self.owner);
        match &self.stream {
            None => out.push(0),
            Some(stream) => {
                out.push(1);
                put_text(&mut out, &stream.name);
                out.extend_from_slice(&stream.secret_hash);
                put_text(&mut out, &stream.opener);
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
        let state = match reader.time("state")? {
            Some(until) => State::Parked { until },
            None => State::Live,
        };
        let active = reader.time("activity")?;
        let owner = reader.text("owner")?;
        let stream = if reader.flag("stream")? {
            Some(Stream {
                name: reader.text("stream name")?,
                secret_hash: reader.array("secret hash")?,
                opener: reader.text("opener")?,
            })
        } else {
            None
        };
        Ok(Self {
            owner,
            client_version,
            stream,
            state,
            active,
            body: bytes.slice_ref(reader.rest),
        })
    }
}

fn put_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    out.push(time.is_some().into());
    if let Some(Timestamp(milliseconds)) = time {
        out.extend_from_slice(&milliseconds.to_le_bytes());
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

    fn time(&mut self, field: &'static str) -> Result<Option<Timestamp>, RecordError> {
        match self.flag(field)? {
            true => Ok(Some(Timestamp(u64::from_le_bytes(self.array(field)?)))),
            false => Ok(None),
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
        let stream = (any::<String>(), any::<[u8; 32]>(), any::<String>());
        let stream = stream.prop_map(|(name, secret_hash, opener)| Stream {
            name,
            secret_hash,
            opener,
        });
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
            proptest::option::of(any::<u64>()),
            body,
        )
            .prop_map(|(owner, client_version, stream, state, active, body)| Record {
                owner,
                client_version,
                stream,
                state,
                active: active.map(Timestamp),
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
                    0 => *byte = FORMAT,
                    3 | 4 | 9 => *byte %= 2,
                    6..9 => *byte = 0,
                    5 => *byte %= 8,
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
                opener: "bob".into(),
            }),
            state: State::Parked {
                until: Timestamp(0x0102),
            },
            active: Some(Timestamp(0x0304)),
            body: Bytes::from_static(b"body"),
        };
        let state = [1, 2, 1, 0, 0, 0, 0, 0, 0];
        let active = [1, 4, 3, 0, 0, 0, 0, 0, 0];
        let rest = [
            &[3, 0, 0, 0][..],
            b"ann",
            &[1, 2, 0, 0, 0],
            b"s1",
            &[7; 32],
            &[3, 0, 0, 0],
            b"bob",
            b"body",
        ]
        .concat();
        let expected = [&[1, 30, 0][..], &state, &active, &rest].concat();
        assert_eq!(record.encode(), expected);
    }

    #[test]
    fn a_record_of_a_newer_release_is_refused_by_its_format() {
        let newer = Bytes::from_static(&[FORMAT + 1, 255, 255]);
        let found = FORMAT + 1;
        assert_eq!(Record::decode(&newer), Err(RecordError::Newer { found }));
    }
}
