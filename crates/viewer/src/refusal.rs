//! Refusals in the form that clients wait for. Invariant 3: no request is met with silence.

use chartroom_icd::{Outgoing, Request, messages};

/// The reply that refuses a request with a sentence; `None` if its client waits for no reply.
pub(crate) fn refusal(request_id: u32, request: &Request, message: String) -> Option<Outgoing> {
    macro_rules! refuse {
        ($reply:ident $(, $field:ident: $value:expr)*) => {{
            let mut reply = messages::$reply::default();
            reply.message = message;
            $(reply.$field = $value;)*
            Outgoing::new(request_id, &reply)
        }};
    }
    Some(match request {
        Request::RegisterViewer(_) => refuse!(RegisterViewerAck),
        Request::FileListRequest(_) => refuse!(FileListResponse),
        Request::RegionListRequest(_) => refuse!(RegionListResponse),
        Request::CatalogListRequest(_) => refuse!(CatalogListResponse),
        Request::FileInfoRequest(_) => refuse!(FileInfoResponse),
        Request::RegionFileInfoRequest(_) => refuse!(RegionFileInfoResponse),
        Request::CatalogFileInfoRequest(_) => refuse!(CatalogFileInfoResponse),
        Request::OpenFile(m) => refuse!(OpenFileAck, file_id: m.file_id),
        Request::ConcatStokesFiles(m) => {
            let open_file_ack = messages::OpenFileAck {
                file_id: m.file_id,
                message: message.clone(),
                ..Default::default()
            };
            refuse!(ConcatStokesFilesAck, open_file_ack: Some(open_file_ack))
        }
        Request::OpenCatalogFile(m) => refuse!(OpenCatalogFileAck, file_id: m.file_id),
        Request::RemoteFileRequest(_) => refuse!(RemoteFileResponse),
        Request::SaveFile(m) => refuse!(SaveFileAck, file_id: m.file_id),
        Request::ImportRegion(_) => refuse!(ImportRegionAck),
        Request::ExportRegion(_) => refuse!(ExportRegionAck),
        Request::SetRegion(m) => refuse!(SetRegionAck, region_id: m.region_id),
        Request::StartAnimation(_) => refuse!(StartAnimationAck),
        Request::ResumeSession(_) => refuse!(ResumeSessionAck),
        Request::MomentRequest(_) => refuse!(MomentResponse),
        Request::PvRequest(_) => refuse!(PvResponse),
        Request::FittingRequest(_) => refuse!(FittingResponse),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn every_request_that_has_a_reply_can_be_refused_in_its_form_and_no_other() {
        let requests = (0..200).filter_map(|event| Request::decode(event, Bytes::new()).ok());
        let mut with_reply = 0;
        for request in requests {
            let refused = refusal(7, &request, "No.".to_owned());
            assert_eq!(refused.is_some(), request.has_reply(), "{request:?}");
            if let Some(refused) = refused {
                with_reply += 1;
                assert_eq!(refused.request_id(), 7);
            }
        }
        assert_eq!(with_reply, 20);
    }
}
