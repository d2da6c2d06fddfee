//! Requests for features that this server does not have yet.

use chartroom_icd::Request;

use crate::ViewerError;
use crate::refusal::refusal;
use crate::session::Actor;

impl Actor {
    /// Refuses a request in the form that its client waits for, with a sentence.
    pub(crate) fn on_later(&mut self, request_id: u32, request: &Request) -> Result<(), ViewerError> {
        let Some(error) = self.reason_against(request) else {
            return Ok(());
        };
        let Some(reply) = refusal(request_id, request, error.to_string()) else {
            return Err(error);
        };
        self.context.reply_with(reply);
        Ok(())
    }

    /// Why a request is refused; `None` if there is nothing to do for it.
    fn reason_against(&self, request: &Request) -> Option<ViewerError> {
        let feature = match request {
            Request::SaveFile(_) | Request::ExportRegion(_) if !self.context.may_write() => {
                // Whatever its page believes.
                let sentence = "Files cannot be written: this server is read-only for you.";
                return Some(ViewerError::invalid(sentence));
            }
            Request::RegisterViewer(_) => {
                // The link answers registrations and never hands them on.
                let sentence = "A session cannot register again by itself.";
                return Some(ViewerError::invalid(sentence));
            }
            Request::RegionListRequest(_) => "Listing region files",
            Request::RegionFileInfoRequest(_) => "Reading region files",
            Request::ImportRegion(_) => "Importing regions",
            Request::ExportRegion(_) => "Exporting regions",
            Request::CatalogListRequest(_) => "Listing catalogues",
            Request::CatalogFileInfoRequest(_) => "Reading catalogues",
            Request::OpenCatalogFile(_) => "Opening catalogues",
            Request::MomentRequest(_) => "Making moment images",
            Request::SaveFile(_) => "Saving images",
            Request::ConcatStokesFiles(_) => "Joining files of polarisations",
            Request::PvRequest(_) => "Making position-velocity images",
            Request::FittingRequest(_) => "Fitting",
            Request::RemoteFileRequest(_) => "Fetching remote files",
            Request::SetContourParameters(m) if !m.levels.is_empty() => "Drawing contours",
            Request::SetVectorOverlayParameters(m) if m.stokes_intensity >= 0 || m.stokes_angle >= 0 => {
                "Drawing vector overlays"
            }
            Request::CatalogFilterRequest(_) => "Filtering catalogues",
            // What stops or removes something that cannot have been started has nothing to do.
            _ => return None,
        };
        Some(ViewerError::Later { feature })
    }
}
