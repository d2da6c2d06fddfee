//! What is remembered of calls: answers while there is room, and all that another life of the session has to know.

use std::collections::BTreeSet;

use super::call::{Call, Name, Stage};
use super::{Calls, STEP, WRITTEN_ANSWER, WRITTEN_BYTES};
use crate::scripting::record::{Progress, Record, Remembered};

impl<W> Calls<W> {
    /// Keeps no answers that are not written down as well.
    pub(in crate::scripting) fn relieve(&mut self) {
        let written = self.written();
        for id in self.oldest_answers() {
            if !written.contains(&id) {
                self.change(id, |call| call.stage = Stage::AnswerDropped);
            }
        }
    }

    /// The answered calls whose answers are kept, the oldest first.
    fn oldest_answers(&self) -> Vec<i32> {
        let mut ids: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| matches!(call.stage, Stage::Answered(_)))
            .map(|(&id, call)| (call.begun(), id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The calls whose answers are written down.
    fn written(&self) -> BTreeSet<i32> {
        let mut left = WRITTEN_BYTES;
        let mut written = BTreeSet::new();
        for id in self.oldest_answers().into_iter().rev() {
            let bytes = self.calls.get(&id).map_or(0, |call| call.stage.answer_bytes());
            if bytes <= WRITTEN_ANSWER.min(left) {
                left -= bytes;
                written.insert(id);
            }
        }
        written
    }

    /// What has to be known of the calls in another life of the session.
    pub(in crate::scripting) fn remember(&self) -> Remembered {
        let written = self.written();
        let entry = |(&id, call): (&i32, &Call<W>)| {
            let name = call.name.as_ref()?;
            let progress = match &call.stage {
                Stage::Answered(answer) if written.contains(&id) => Progress::Answered(answer.clone()),
                Stage::Answered(_) | Stage::AnswerDropped => Progress::AnswerDropped,
                Stage::Noted(_) | Stage::Queued(_) | Stage::Sent => Progress::Begun,
            };
            Some(Record {
                id,
                name: name.text.clone(),
                content: name.content,
                begun: name.begun,
                progress,
            })
        };
        Remembered {
            next_id: (self.next_id / STEP + 2).saturating_mul(STEP),
            records: self.calls.iter().filter_map(entry).collect(),
        }
    }

    /// Goes on from another life.
    pub(in crate::scripting) fn restore(&mut self, remembered: Remembered) {
        // A life that goes on begins with a step, so that its first id is written down before it goes out.
        self.next_id = self.next_id.max(remembered.next_id).max(STEP);
        for record in remembered.records {
            let stage = match record.progress {
                Progress::Answered(answer) => Stage::Answered(answer),
                Progress::AnswerDropped => Stage::AnswerDropped,
                Progress::Begun => Stage::Sent,
            };
            let name = Name {
                text: record.name,
                content: record.content,
                begun: record.begun,
            };
            let call = Call {
                stage,
                size: 0,
                waiters: Vec::new(),
                name: Some(name),
            };
            if !self.calls.contains_key(&record.id) {
                self.insert(record.id, call);
            }
        }
    }
}
