//! What a session is, in few bytes: the requests that, one after the other, build it again in a fresh session, and the
//! numbers that it would give next.
//!
//! A descriptor outlives the process that wrote it, and perhaps the release. It begins with a byte for its format,
//! [`FORMAT`]; requests are stored as the ICD encodes them, so that fields which a release does not know are passed
//! over. All numbers are little-endian:
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | format |
//! | 4 | next sync id of a group of tiles |
//! | 4 | next region id |
//! | 4 | next animation id |
//! | 1 | number of creations of regions, oldest first, each of 4 bytes request id, 8 bytes hash, 4 bytes region id |
//! | 1 | 1 if an animation runs, else 0 |
//! | 9 | only then: animation id, request id, and 1 if it runs backwards, else 0 |
//! | … | calls of programs, as `scripting::record` has them; not in format 1 |
//! | … | to the end: requests, each of 2 bytes event, 4 bytes length, and the payload |

mod describe;

use bytes::{Buf, BufMut, Bytes};
use chartroom_icd::Request;

use crate::ViewerError;
use crate::animation::Running;
use crate::regions::Creation;
use crate::scripting::{Malformed, Remembered};

/// The format of the descriptors that are written here.
pub const FORMAT: u8 = 2;

/// A session, as it is written down.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Descriptor {
    pub(crate) next_sync_id: i32,
    pub(crate) next_region_id: i32,
    pub(crate) next_animation_id: i32,
    pub(crate) creations: Vec<Creation>,
    /// What START_ANIMATION among the requests does not say.
    pub(crate) animation: Option<Running>,
    pub(crate) scripts: Remembered,
    pub(crate) requests: Vec<Request>,
}

impl Descriptor {
    /// The requests that build the session, in order. Sessions whose requests are equal are in the same state; they may
    /// differ in the numbers that they give next.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Number of files that the session has open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let opens = |request: &&Request| matches!(request, Request::OpenFile(_));
        self.requests.iter().filter(opens).count()
    }

    /// Writes the descriptor. Equal ones have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        out.put_u8(FORMAT);
        out.put_i32_le(self.next_sync_id);
        out.put_i32_le(self.next_region_id);
        out.put_i32_le(self.next_animation_id);
        let creations = &self.creations[..self.creations.len().min(usize::from(u8::MAX))];
        out.put_u8(creations.len() as u8);
        for creation in creations {
            out.put_u32_le(creation.request_id);
            out.put_u64_le(creation.content);
            out.put_i32_le(creation.region_id);
        }
        out.put_u8(self.animation.is_some().into());
        if let Some(running) = &self.animation {
            out.put_i32_le(running.id);
            out.put_u32_le(running.request_id);
            out.put_u8(running.backwards.into());
        }
        self.scripts.write(&mut out);
        for request in &self.requests {
            let payload = request.encode();
            out.put_u16_le(request.event() as i32 as u16);
            // Far more than all limits of a session together.
            out.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
            out.extend_from_slice(&payload);
        }
        out.into()
    }

    /// Reads a descriptor. No bytes at all are that of a session to which nothing has happened.
    ///
    /// # Errors
    /// A sentence if it is of a newer format, or damaged.
    pub fn decode(mut bytes: Bytes) -> Result<Self, ViewerError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let format = bytes.get_u8();
        if !(1..=FORMAT).contains(&format) {
            return Err(ViewerError::invalid(format!(
                "The stored session has format {format}, but this server reads formats up to {FORMAT} only."
            )));
        }
        Self::decode_body(format, &mut bytes).map_err(|_: Damaged| damaged())
    }

    fn decode_body(format: u8, bytes: &mut Bytes) -> Result<Self, Damaged> {
        let (next_sync_id, next_region_id, next_animation_id) = (
            bytes.try_get_i32_le()?,
            bytes.try_get_i32_le()?,
            bytes.try_get_i32_le()?,
        );
        let count = bytes.try_get_u8()?;
        let mut creations = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            creations.push(Creation {
                request_id: bytes.try_get_u32_le()?,
                content: bytes.try_get_u64_le()?,
                region_id: bytes.try_get_i32_le()?,
            });
        }
        let animation = match bytes.try_get_u8()? {
            0 => None,
            _ => Some(Running {
                id: bytes.try_get_i32_le()?,
                request_id: bytes.try_get_u32_le()?,
                backwards: bytes.try_get_u8()? != 0,
            }),
        };
        let scripts = match format {
            1 => Remembered::default(),
            _ => Remembered::read(bytes).map_err(|Malformed| Damaged)?,
        };
        let mut requests = Vec::new();
        while bytes.has_remaining() {
            let event = bytes.try_get_u16_le()?;
            let length = bytes.try_get_u32_le()? as usize;
            if length > bytes.len() {
                return Err(Damaged);
            }
            let payload = bytes.split_to(length);
            requests.push(Request::decode(event, payload).map_err(|_| Damaged)?);
        }
        Ok(Self {
            next_sync_id,
            next_region_id,
            next_animation_id,
            creations,
            animation,
            scripts,
            requests,
        })
    }
}

/// The bytes are no descriptor.
struct Damaged;

impl From<bytes::TryGetError> for Damaged {
    fn from(_: bytes::TryGetError) -> Self {
        Self
    }
}

fn damaged() -> ViewerError {
    ViewerError::invalid("The stored session is damaged.")
}

#[cfg(test)]
mod tests {
    use chartroom_icd::messages;
    use proptest::prelude::*;

    use super::*;
    use crate::ScriptAnswer;
    use crate::scripting::{Progress, Record};

    fn some() -> Descriptor {
        Descriptor {
            next_sync_id: 2048,
            next_region_id: 4,
            next_animation_id: 2,
            creations: vec![Creation {
                request_id: 9,
                content: u64::MAX,
                region_id: 3,
            }],
            animation: Some(Running {
                id: 1,
                request_id: 77,
                backwards: true,
            }),
            scripts: Remembered {
                next_id: 131_072,
                records: [
                    Progress::Begun,
                    Progress::AnswerDropped,
                    Progress::Answered(ScriptAnswer {
                        success: true,
                        message: "ä".into(),
                        response: "[1]".into(),
                    }),
                ]
                .into_iter()
                .map(|progress| Record {
                    id: 7,
                    name: "a name".into(),
                    content: u64::MAX,
                    begun: 1,
                    progress,
                })
                .collect(),
            },
            requests: vec![
                messages::OpenFile {
                    file: "a.fits".into(),
                    ..Default::default()
                }
                .into(),
                messages::StartAnimation::default().into(),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for descriptor in [some(), Descriptor::default()] {
            assert_eq!(Descriptor::decode(descriptor.encode()).unwrap(), descriptor);
        }
    }

    #[test]
    fn the_first_format_knew_nothing_of_scripts_and_is_still_read() {
        let whole = Descriptor {
            scripts: Remembered::default(),
            ..some()
        };
        let bytes = whole.encode();
        let mut first = bytes.to_vec();
        first[0] = 1;
        let before = 1 + 3 * 4 + 1 + 16 + 1 + 9;
        first.drain(before..before + 6);
        assert_eq!(Descriptor::decode(first.into()).unwrap(), whole);
    }

    #[test]
    fn a_newer_format_is_refused_with_a_sentence_that_names_it() {
        let mut bytes = some().encode().to_vec();
        bytes[0] = FORMAT + 1;
        let error = Descriptor::decode(bytes.into()).unwrap_err().to_string();
        assert!(error.contains(&format!("format {}", FORMAT + 1)), "{error}");
    }

    #[test]
    fn a_descriptor_that_was_cut_short_is_refused_or_a_shorter_one() {
        let bytes = some().encode();
        for length in 0..bytes.len() {
            if let Ok(shorter) = Descriptor::decode(bytes.slice(..length)) {
                assert!(shorter.requests.len() < 2);
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_read_and_written_again(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            as_ours in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if let (true, Some(first)) = (as_ours, bytes.first_mut()) {
                *first = FORMAT;
            }
            if let Ok(descriptor) = Descriptor::decode(bytes.into()) {
                // NaN is not equal to itself, so bytes are compared.
                let encoded = descriptor.encode();
                prop_assert_eq!(Descriptor::decode(encoded.clone()).unwrap().encode(), encoded);
            }
        }

        #[test]
        fn a_damaged_byte_never_does_harm(at in 0usize..256, flip in 1u8..) {
            let mut bytes = some().encode().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let _ = Descriptor::decode(bytes.into());
        }
    }
}
