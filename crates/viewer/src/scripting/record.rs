//! What a session knows of calls in its next life. As a part of the descriptor, all numbers little-endian, texts after
//! their lengths:
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | next id of a call |
//! | 2 | number of calls with a name, each: |
//! | 4 | its id |
//! | 1 + … | its name |
//! | 8 | hash of its request |
//! | 8 | when it came, in seconds since 1970 |
//! | 1 | 0 if it was not answered, 1 if the answer follows, 2 if the answer was not kept |
//! | 1, 4 + …, 4 + … | only after 1: whether the action succeeded, message, response |

use bytes::{Buf, BufMut, Bytes, TryGetError};

use super::ScriptAnswer;

/// What is remembered of the calls of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Remembered {
    pub(crate) next_id: i32,
    pub(crate) records: Vec<Record>,
}

/// A call with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) content: u64,
    pub(crate) begun: u64,
    pub(crate) progress: Progress,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It may have been sent to a page.
    Begun,
    /// It was answered.
    Answered(ScriptAnswer),
    /// It was answered, and the answer was not kept.
    AnswerDropped,
}

/// What was read is not what was written.
pub(crate) struct Malformed;

impl From<TryGetError> for Malformed {
    fn from(_: TryGetError) -> Self {
        Self
    }
}

impl Remembered {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put_i32_le(self.next_id);
        let records = &self.records[..self.records.len().min(usize::from(u16::MAX))];
        out.put_u16_le(records.len() as u16);
        for record in records {
            out.put_i32_le(record.id);
            // Longer names are not taken.
            let name = &record.name.as_bytes()[..record.name.len().min(usize::from(u8::MAX))];
            out.put_u8(name.len() as u8);
            out.put_slice(name);
            out.put_u64_le(record.content);
            out.put_u64_le(record.begun);
            match &record.progress {
                Progress::Begun => out.put_u8(0),
                Progress::Answered(answer) => {
                    out.put_u8(1);
                    out.put_u8(answer.success.into());
                    for text in [&answer.message, &answer.response] {
                        // Answers that are kept are small.
                        out.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
                        out.put_slice(text.as_bytes());
                    }
                }
                Progress::AnswerDropped => out.put_u8(2),
            }
        }
    }

    pub(crate) fn read(bytes: &mut Bytes) -> Result<Self, Malformed> {
        let next_id = bytes.try_get_i32_le()?;
        let count = bytes.try_get_u16_le()?;
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(Record {
                id: bytes.try_get_i32_le()?,
                name: {
                    let length = usize::from(bytes.try_get_u8()?);
                    text(bytes, length)?
                },
                content: bytes.try_get_u64_le()?,
                begun: bytes.try_get_u64_le()?,
                progress: progress(bytes)?,
            });
        }
        Ok(Self { next_id, records })
    }
}

fn progress(bytes: &mut Bytes) -> Result<Progress, Malformed> {
    Ok(match bytes.try_get_u8()? {
        0 => Progress::Begun,
        1 => {
            let success = bytes.try_get_u8()? != 0;
            let length = bytes.try_get_u32_le()? as usize;
            let message = text(bytes, length)?;
            let length = bytes.try_get_u32_le()? as usize;
            let response = text(bytes, length)?;
            Progress::Answered(ScriptAnswer {
                success,
                message,
                response,
            })
        }
        2 => Progress::AnswerDropped,
        _ => return Err(Malformed),
    })
}

fn text(bytes: &mut Bytes, length: usize) -> Result<String, Malformed> {
    if length > bytes.remaining() {
        return Err(Malformed);
    }
    String::from_utf8(bytes.split_to(length).to_vec()).map_err(|_| Malformed)
}
