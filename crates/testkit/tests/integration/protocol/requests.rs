//! Every request for which clients wait is answered, in the form that they wait for.

use chartroom_icd::messages::{
    AddRequiredTiles, AnimationFlowControl, CatalogFileInfoRequest, CatalogFileInfoResponse,
    CatalogListRequest, CatalogListResponse, ChannelMapFlowControl, CloseCatalogFile, ClosePvPreview,
    ConcatStokesFiles, ConcatStokesFilesAck, ErrorData, ExportRegion, ExportRegionAck, FileInfoRequest,
    FileInfoResponse, FileListRequest, FileListResponse, FittingRequest, FittingResponse, ImportRegion,
    ImportRegionAck, MomentRequest, MomentResponse, OpenCatalogFile, OpenCatalogFileAck, OpenFile,
    OpenFileAck, PvRequest, PvResponse, RegionFileInfoRequest, RegionFileInfoResponse, RegionListRequest,
    RegionListResponse, RemoteFileRequest, RemoteFileResponse, RemoveRegion, RemoveRequiredTiles, SaveFile,
    SaveFileAck, SetCursor, SetHistogramRequirements, SetImageChannels, SetRegion, SetRegionAck,
    SetSpatialRequirements, SetSpectralRequirements, SetStatsRequirements, StartAnimation, StartAnimationAck,
    StopAnimation, StopFileList, StopFitting, StopMomentCalc, StopPvCalc, StopPvPreview,
};
use chartroom_icd::{Request, ServerMessage};
use chartroom_testkit::client::Client;

use super::{all, fence, is_sentence, server_with_cube};

/// Sends a request that cannot be fulfilled and checks the reply.
async fn assert_refused<M: ServerMessage + Default>(
    client: &mut Client,
    request: impl Into<Request>,
    outcome: impl Fn(&M) -> (bool, &str),
) {
    let request_id = client.send(request).await.unwrap();
    let (header, reply) = client.wait_with_header::<M>().await.unwrap();
    let (success, message) = outcome(&reply);
    assert_eq!(header.request_id, request_id, "{:?}", M::EVENT);
    assert!(!success, "{:?}", M::EVENT);
    assert!(is_sentence(message), "{:?}: {message}", M::EVENT);
}

macro_rules! assert_refused {
    ($client:expr, $($request:expr => $reply:ident),* $(,)?) => {$(
        assert_refused::<$reply>($client, $request, |reply| (reply.success, &reply.message)).await;
    )*};
}

#[tokio::test]
async fn a_request_that_cannot_be_fulfilled_is_refused_with_a_sentence_in_its_own_reply() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let missing = "no such thing".to_owned();
    assert_refused!(
        &mut client,
        FileListRequest { directory: missing.clone(), ..Default::default() } => FileListResponse,
        FileInfoRequest { file: missing.clone(), ..Default::default() } => FileInfoResponse,
        OpenFile { file: missing.clone(), ..Default::default() } => OpenFileAck,
        StartAnimation { file_id: 9, ..Default::default() } => StartAnimationAck,
        RegionListRequest { directory: missing.clone(), ..Default::default() } => RegionListResponse,
        RegionFileInfoRequest::default() => RegionFileInfoResponse,
        CatalogListRequest { directory: missing, ..Default::default() } => CatalogListResponse,
        CatalogFileInfoRequest::default() => CatalogFileInfoResponse,
        ConcatStokesFiles::default() => ConcatStokesFilesAck,
        OpenCatalogFile::default() => OpenCatalogFileAck,
        RemoteFileRequest::default() => RemoteFileResponse,
        SaveFile::default() => SaveFileAck,
        ImportRegion::default() => ImportRegionAck,
        ExportRegion::default() => ExportRegionAck,
        SetRegion::default() => SetRegionAck,
        MomentRequest::default() => MomentResponse,
        PvRequest::default() => PvResponse,
        FittingRequest::default() => FittingResponse,
    );
}

#[tokio::test]
async fn what_stops_or_removes_something_that_is_not_there_is_passed_over() {
    let (_server, mut client) = server_with_cube().await;
    client.send(StopFileList::default()).await.unwrap();
    client.send(StopMomentCalc::default()).await.unwrap();
    client.send(StopPvCalc::default()).await.unwrap();
    client.send(StopFitting::default()).await.unwrap();
    client.send(StopPvPreview::default()).await.unwrap();
    client.send(ClosePvPreview::default()).await.unwrap();
    client.send(CloseCatalogFile::default()).await.unwrap();
    client.send(RemoveRegion::default()).await.unwrap();
    client.send(StopAnimation::default()).await.unwrap();
    client.send(AnimationFlowControl::default()).await.unwrap();
    client.send(ChannelMapFlowControl::default()).await.unwrap();
    let frames = fence(&mut client).await;
    assert!(frames.is_empty(), "{frames:?}");
}

#[tokio::test]
async fn a_request_without_a_reply_for_a_file_that_is_not_open_leads_to_an_error() {
    let (_server, mut client) = server_with_cube().await;
    client.send(SetImageChannels::default()).await.unwrap();
    client.send(SetCursor::default()).await.unwrap();
    client.send(SetSpatialRequirements::default()).await.unwrap();
    client.send(SetSpectralRequirements::default()).await.unwrap();
    client
        .send(SetHistogramRequirements {
            region_id: -1,
            ..Default::default()
        })
        .await
        .unwrap();
    client
        .send(SetStatsRequirements {
            region_id: -1,
            ..Default::default()
        })
        .await
        .unwrap();
    client.send(AddRequiredTiles::default()).await.unwrap();
    client.send(RemoveRequiredTiles::default()).await.unwrap();
    let errors = all::<ErrorData>(&fence(&mut client).await);
    assert_eq!(errors.len(), 8);
    for error in errors {
        assert!(is_sentence(&error.message), "{}", error.message);
    }
}
