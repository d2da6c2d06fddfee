//! Requests for features that this server does not have yet. Invariant 3: none is met with silence.

use chartroom_icd::{Request, messages};

use crate::ViewerError;
use crate::session::Actor;

impl Actor {
    /// Refuses a request in the form that its client waits for, with a sentence.
    pub(crate) fn on_later(&mut self, request_id: u32, request: &Request) -> Result<(), ViewerError> {
        let later = |feature| ViewerError::Later { feature };
        let sentence = |feature| later(feature).to_string();
        let context = &self.context;
        macro_rules! refuse {
            ($message:ident, $feature:literal $(, $field:ident: $value:expr)*) => {{
                let mut reply = messages::$message::default();
                reply.message = sentence($feature);
                $(reply.$field = $value;)*
                context.reply(request_id, &reply);
            }};
        }
        if matches!(request, Request::SaveFile(_) | Request::ExportRegion(_)) && !context.may_write() {
            return self.refuse_writing(request_id, request);
        }
        match request {
            Request::RegionListRequest(_) => refuse!(RegionListResponse, "Listing region files"),
            Request::RegionFileInfoRequest(_) => refuse!(RegionFileInfoResponse, "Reading region files"),
            Request::ImportRegion(_) => refuse!(ImportRegionAck, "Importing regions"),
            Request::ExportRegion(_) => refuse!(ExportRegionAck, "Exporting regions"),
            Request::CatalogListRequest(_) => refuse!(CatalogListResponse, "Listing catalogues"),
            Request::CatalogFileInfoRequest(_) => refuse!(CatalogFileInfoResponse, "Reading catalogues"),
            Request::OpenCatalogFile(m) => {
                refuse!(OpenCatalogFileAck, "Opening catalogues", file_id: m.file_id);
            }
            Request::MomentRequest(_) => refuse!(MomentResponse, "Making moment images"),
            Request::SaveFile(m) => refuse!(SaveFileAck, "Saving images", file_id: m.file_id),
            Request::ConcatStokesFiles(m) => {
                let message = sentence("Joining files of polarisations");
                let open_file_ack = messages::OpenFileAck {
                    file_id: m.file_id,
                    message: message.clone(),
                    ..Default::default()
                };
                let ack = messages::ConcatStokesFilesAck {
                    success: false,
                    message,
                    open_file_ack: Some(open_file_ack),
                };
                context.reply(request_id, &ack);
            }
            Request::PvRequest(_) => refuse!(PvResponse, "Making position-velocity images"),
            Request::FittingRequest(_) => refuse!(FittingResponse, "Fitting"),
            Request::RemoteFileRequest(_) => refuse!(RemoteFileResponse, "Fetching remote files"),
            Request::SetContourParameters(m) if m.levels.is_empty() => {}
            Request::SetContourParameters(_) => return Err(later("Drawing contours")),
            Request::SetVectorOverlayParameters(m) if m.stokes_intensity < 0 && m.stokes_angle < 0 => {}
            Request::SetVectorOverlayParameters(_) => return Err(later("Drawing vector overlays")),
            Request::CatalogFilterRequest(_) => return Err(later("Filtering catalogues")),
            Request::RegisterViewer(_) => {
                // The link answers registrations and never hands them on.
                return Err(ViewerError::invalid("A session cannot register again by itself."));
            }
            // What stops or removes something that cannot have been started has nothing to do.
            _ => {}
        }
        Ok(())
    }
    /// Refuses to write for a client that may not, whatever its page believes.
    fn refuse_writing(&self, request_id: u32, request: &Request) -> Result<(), ViewerError> {
        let message = "Files cannot be written: this server is read-only for you.".to_owned();
        match request {
            Request::SaveFile(m) => {
                let ack = messages::SaveFileAck {
                    file_id: m.file_id,
                    message,
                    ..Default::default()
                };
                self.context.reply(request_id, &ack);
            }
            _ => {
                let ack = messages::ExportRegionAck {
                    message,
                    ..Default::default()
                };
                self.context.reply(request_id, &ack);
            }
        }
        Ok(())
    }
}
