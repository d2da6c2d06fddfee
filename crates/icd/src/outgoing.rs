//! Messages to a client, encoded and waiting for their header.

use bytes::Bytes;
use prost::Message;

use crate::{EventType, HEADER_BYTES, Header, IcdVersion, messages};

/// A message that a server sends.
pub trait ServerMessage: Message {
    /// The event under which the message travels.
    const EVENT: EventType;
}

macro_rules! server_messages {
    ($($message:ident => $event:ident,)*) => {
        $(
            impl ServerMessage for messages::$message {
                const EVENT: EventType = EventType::$event;
            }
        )*
    };
}

server_messages! {
    StartAnimationAck => StartAnimationAck,
    RegisterViewerAck => RegisterViewerAck,
    FileListResponse => FileListResponse,
    FileInfoResponse => FileInfoResponse,
    OpenFileAck => OpenFileAck,
    SetRegionAck => SetRegionAck,
    RegionHistogramData => RegionHistogramData,
    SpatialProfileData => SpatialProfileData,
    SpectralProfileData => SpectralProfileData,
    RegionStatsData => RegionStatsData,
    ErrorData => ErrorData,
    RasterTileData => RasterTileData,
    RegionListResponse => RegionListResponse,
    RegionFileInfoResponse => RegionFileInfoResponse,
    ImportRegionAck => ImportRegionAck,
    ExportRegionAck => ExportRegionAck,
    ContourImageData => ContourImageData,
    ResumeSessionAck => ResumeSessionAck,
    RasterTileSync => RasterTileSync,
    CatalogListResponse => CatalogListResponse,
    CatalogFileInfoResponse => CatalogFileInfoResponse,
    OpenCatalogFileAck => OpenCatalogFileAck,
    CatalogFilterResponse => CatalogFilterResponse,
    ScriptingRequest => ScriptingRequest,
    MomentResponse => MomentResponse,
    MomentProgress => MomentProgress,
    SaveFileAck => SaveFileAck,
    ConcatStokesFilesAck => ConcatStokesFilesAck,
    ListProgress => FileListProgress,
    PvResponse => PvResponse,
    PvProgress => PvProgress,
    FittingResponse => FittingResponse,
    VectorOverlayTileData => VectorOverlayTileData,
    FittingProgress => FittingProgress,
    PvPreviewData => PvPreviewData,
    RemoteFileResponse => RemoteFileResponse,
}

/// An encoded message to a client.
///
/// The header is written only when the message goes onto a link, because a session may meet clients of several
/// versions in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    event: EventType,
    request_id: u32,
    /// From `start`: room for the header, then the payload.
    buffer: Vec<u8>,
    start: usize,
}

impl Outgoing {
    /// Encodes `message` as the reply to `request_id`, 0 for what nobody asked for.
    #[must_use]
    pub fn new<M: ServerMessage>(request_id: u32, message: &M) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_BYTES + message.encoded_len());
        buffer.resize(HEADER_BYTES, 0);
        // Encoding into a Vec cannot run out of room, so the error of `encode` cannot occur.
        message.encode_raw(&mut buffer);
        Self {
            event: M::EVENT,
            request_id,
            buffer,
            start: 0,
        }
    }

    /// A message whose payload begins [`HEADER_BYTES`] after `start` in `buffer`.
    pub(crate) fn in_place(event: EventType, buffer: Vec<u8>, start: usize) -> Self {
        debug_assert!(start + HEADER_BYTES <= buffer.len(), "the header has its room");
        Self {
            event,
            request_id: 0,
            buffer,
            start,
        }
    }

    /// The event under which the message travels.
    #[must_use]
    pub fn event(&self) -> EventType {
        self.event
    }

    /// The request that the message answers, 0 if none.
    #[must_use]
    pub fn request_id(&self) -> u32 {
        self.request_id
    }

    /// Number of bytes on the wire, header included.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Number of bytes that the message holds in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity() + size_of::<Self>()
    }

    /// Writes the header and gives the whole message, without copying the payload.
    #[must_use]
    pub fn into_bytes(mut self, version: IcdVersion) -> Bytes {
        // Event numbers are all below 100.
        let event = self.event as i32 as u16;
        let header = Header {
            event,
            version: version.number(),
            request_id: self.request_id,
        };
        self.buffer[self.start..self.start + HEADER_BYTES].copy_from_slice(&header.to_bytes());
        let mut bytes = Bytes::from(self.buffer);
        bytes::Buf::advance(&mut bytes, self.start);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn a_reply_carries_the_clients_version_and_request() {
        let ack = messages::ResumeSessionAck {
            success: true,
            message: "back".into(),
        };
        let outgoing = Outgoing::new(7, &ack);
        assert_eq!(outgoing.wire_bytes(), HEADER_BYTES + ack.encoded_len());
        let frame = Frame::split(outgoing.into_bytes(IcdVersion::OLDEST)).unwrap();
        assert_eq!(
            frame.header,
            Header {
                event: 48,
                version: 28,
                request_id: 7
            }
        );
        assert_eq!(messages::ResumeSessionAck::decode(frame.payload).unwrap(), ack);
    }
}
