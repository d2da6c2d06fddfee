//! RESUME_SESSION: what a client believes that its session is, applied as a difference.
//!
//! The acknowledgement always comes, once, and says `success`: the session is usable whatever could not be had. The
//! official page takes a failure for the end of the session, so what is missing is named in `message`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chartroom_icd::{Request, messages};

use super::{Purpose, Ready, Wanted, in_one, push_note};
use crate::ViewerError;
use crate::cursor::CURSOR;
use crate::session::{Actor, Incoming};

impl Actor {
    pub(crate) fn on_resume_session(
        &mut self,
        request_id: u32,
        request: messages::ResumeSession,
    ) -> Result<(), ViewerError> {
        self.end_animation();
        // A client that resumes counts its requests anew.
        self.regions.forget_creations_before(request_id);
        let mut notes = Vec::new();
        let mut images = BTreeMap::new();
        for image in request.images {
            match images.entry(image.file_id) {
                Entry::Vacant(entry) => {
                    entry.insert(image);
                }
                Entry::Occupied(_) => {
                    let problem = format!("file id {} is that of another image", image.file_id);
                    push_note(&mut notes, &image.file, &problem);
                }
            }
        }
        let open: Vec<i32> = self.files.keys().copied().collect();
        for file_id in open {
            if !images.contains_key(&file_id) {
                self.close(file_id);
            }
        }
        let mut files = Vec::with_capacity(images.len());
        for image in images.into_values() {
            later(&image, &mut notes);
            files.push(self.wanted(image, &mut notes));
        }
        for catalog in &request.catalog_files {
            let feature = "Opening catalogues";
            push_note(
                &mut notes,
                &catalog.name,
                &ViewerError::Later { feature }.to_string(),
            );
        }
        let audience = self.context.audience;
        self.gather(Purpose::Resume { request_id, audience }, files, notes);
        Ok(())
    }

    /// What an image is to be; its regions are set at once.
    fn wanted(&mut self, image: messages::ImageProperties, notes: &mut Vec<String>) -> Wanted {
        let file_id = image.file_id;
        let mut settings = vec![Request::SetImageChannels(messages::SetImageChannels {
            file_id,
            channel: image.channel,
            stokes: image.stokes,
            ..Default::default()
        })];
        self.regions
            .retain(file_id, |region_id| image.regions.contains_key(&region_id));
        for (region_id, info) in image.regions {
            if region_id == CURSOR {
                let cursor = messages::SetCursor {
                    file_id,
                    point: info.control_points.first().copied(),
                    spatial_requirements: None,
                };
                settings.push(cursor.into());
            } else if let Err(error) = self.regions.set(region_id, file_id, Some(info)) {
                push_note(notes, &image.file, &format!("region {region_id}: {error}"));
            }
        }
        let request = messages::OpenFile {
            directory: image.directory,
            file: image.file,
            hdu: image.hdu,
            file_id,
            render_mode: image.render_mode,
            lel_expr: image.lel_expr,
            support_aips_beam: image.support_aips_beam,
        };
        Wanted { request, settings }
    }

    /// Answers the client, then whatever it wanted to be kept informed of. Gives the requests that waited.
    pub(super) fn resumed(&mut self, request_id: u32, ready: Vec<Ready>, notes: &[String]) -> Vec<Incoming> {
        let ack = messages::ResumeSessionAck {
            success: true,
            message: in_one(notes),
        };
        self.context.reply(request_id, &ack);
        if !notes.is_empty() {
            tracing::warn!(
                owner = self.context.owner.0,
                notes = in_one(notes),
                "not all could be resumed"
            );
        }
        let mut waiting = Vec::new();
        for file in ready {
            // The client shows a single channel again, and asks for the others when it needs them.
            let _ = self.end_channel_map(file.file_id);
            if let Some(open) = self.files.get_mut(&file.file_id) {
                open.map_wish = None;
            }
            self.answer_again(file.file_id);
            waiting.extend(file.waiting);
        }
        waiting
    }
}

/// Says what cannot be resumed yet. Clients send empty settings for what is switched off, and NaN for no threshold.
fn later(image: &messages::ImageProperties, notes: &mut Vec<String>) {
    let contours = image
        .contour_settings
        .as_ref()
        .is_some_and(|contours| !contours.levels.is_empty());
    let vectors = image.vector_overlay_settings.as_ref().is_some_and(|vectors| {
        let cleared = vectors.stokes_intensity < 0 && vectors.stokes_angle < 0;
        let set = vectors.smoothing_factor != 0 || vectors.stokes_intensity != 0 || vectors.stokes_angle != 0;
        set && !cleared
    });
    let features = [
        (contours, "Drawing contours"),
        (vectors, "Drawing vector overlays"),
        (!image.stokes_files.is_empty(), "Joining files of polarisations"),
    ];
    for (_, feature) in features.into_iter().filter(|(wanted, _)| *wanted) {
        push_note(notes, &image.file, &ViewerError::Later { feature }.to_string());
    }
}
