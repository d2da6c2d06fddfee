//! A session that was there before, rebuilt from its descriptor.

use std::collections::BTreeMap;
use std::sync::Arc;

use chartroom_icd::{Request, messages};

use super::{Purpose, Ready, Wanted};
use crate::animation::Running;
use crate::cursor::CURSOR;
use crate::descriptor::Descriptor;
use crate::session::{Actor, Incoming, Restore};

/// An animation that ran, and is to go on.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) request: messages::StartAnimation,
    pub(crate) running: Running,
}

impl Actor {
    /// Begins to rebuild the session.
    pub(crate) async fn restore(&mut self, Restore { descriptor, resend }: Restore) {
        let descriptor = match Descriptor::decode(descriptor) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                let notes = vec![error.to_string()];
                return self.restoration_ended(resend, notes).await;
            }
        };
        self.scripts.restore(descriptor.scripts);
        self.next_sync_id = descriptor.next_sync_id.max(1);
        self.animations = descriptor.next_animation_id.saturating_sub(1).max(0);
        let mut files: BTreeMap<i32, Wanted> = BTreeMap::new();
        let mut started = None;
        let mut notes = Vec::new();
        for request in descriptor.requests {
            let file_id = match &request {
                Request::SetImageChannels(m) => m.file_id,
                Request::AddRequiredTiles(m) => m.file_id,
                Request::SetCursor(m) => m.file_id,
                Request::SetSpatialRequirements(m) if m.region_id <= CURSOR => m.file_id,
                Request::SetSpectralRequirements(m) if m.region_id <= CURSOR => m.file_id,
                Request::SetHistogramRequirements(m) if m.region_id <= CURSOR => m.file_id,
                Request::SetStatsRequirements(m) if m.region_id <= CURSOR => m.file_id,
                _ => {
                    self.restore_other(request, &mut files, &mut started, &mut notes);
                    continue;
                }
            };
            if let Some(file) = files.get_mut(&file_id) {
                file.settings.push(request);
            }
        }
        self.regions
            .restore(descriptor.next_region_id, descriptor.creations, resend);
        let animation = started
            .zip(descriptor.animation)
            .map(|(request, running)| Box::new(Played { request, running }));
        let wanted: Vec<Wanted> = files.into_values().collect();
        if wanted.is_empty() {
            return self.restoration_ended(resend, notes).await;
        }
        self.gather(Purpose::Restore { resend, animation }, wanted, notes);
    }

    /// What is not the setting of a file.
    fn restore_other(
        &mut self,
        request: Request,
        files: &mut BTreeMap<i32, Wanted>,
        started: &mut Option<messages::StartAnimation>,
        notes: &mut Vec<String>,
    ) {
        let required = |file_id, region_id| Some((file_id, region_id));
        let requirement = match &request {
            Request::SetSpatialRequirements(m) => required(m.file_id, m.region_id),
            Request::SetSpectralRequirements(m) => required(m.file_id, m.region_id),
            Request::SetHistogramRequirements(m) => required(m.file_id, m.region_id),
            Request::SetStatsRequirements(m) => required(m.file_id, m.region_id),
            _ => None,
        };
        let outcome = match (requirement, request) {
            (Some((file_id, region_id)), request) => self.regions.require(file_id, region_id, request, false),
            (None, Request::OpenFile(request)) => {
                let settings = Vec::new();
                files.insert(request.file_id, Wanted { request, settings });
                Ok(())
            }
            (None, Request::SetRegion(m)) => self.regions.set(m.region_id, m.file_id, m.region_info),
            (None, Request::StartAnimation(m)) => {
                *started = Some(m);
                Ok(())
            }
            // Nothing else lasts.
            (None, _) => Ok(()),
        };
        if let Err(error) = outcome {
            notes.push(error.to_string());
        }
    }

    /// Goes on with what is open again. Gives the requests that waited.
    pub(super) async fn rebuilt(
        &mut self,
        resend: bool,
        animation: Option<Box<Played>>,
        ready: Vec<Ready>,
        mut notes: Vec<String>,
    ) -> Vec<Incoming> {
        let mut waiting = Vec::new();
        if resend {
            if let Some(Played { request, running }) = animation.map(|played| *played)
                && let Err(error) = self.go_on(request, running)
            {
                notes.push(error.to_string());
            }
            for file in &ready {
                self.answer_again(file.file_id);
                self.send_view(file.file_id).await;
            }
        }
        for file in ready {
            waiting.extend(file.waiting);
        }
        self.restoration_ended(resend, notes).await;
        waiting
    }

    /// Sends the tiles again that the client looks at.
    async fn send_view(&mut self, file_id: i32) {
        let Some(file) = self.files.get(&file_id) else {
            return;
        };
        let map = file.map_wish.clone();
        let tiles = file
            .wish
            .as_ref()
            .map(|wish| wish.request(file_id, &file.earlier));
        let moved = self
            .animation
            .as_ref()
            .is_some_and(|animation| animation.moves(file_id));
        let outcome = match (map, tiles) {
            (Some(map), _) => self.want_channel_map(&map),
            (None, Some(tiles)) if !moved => self.want_tiles(&tiles).await,
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            self.context.complain(Some(file_id), "tiles", &error).await;
        }
    }

    /// The session is as it was, as far as it could be. A client that never noticed is told what could not be.
    async fn restoration_ended(&mut self, resend: bool, notes: Vec<String>) {
        for note in &notes {
            tracing::warn!(
                owner = self.context.owner.0,
                note,
                "a part of a session could not be restored"
            );
        }
        self.restored.send_replace(Some(Arc::from(notes.clone())));
        if resend && !notes.is_empty() {
            self.context.tell(None, "restore", super::in_one(&notes)).await;
        }
    }
}
