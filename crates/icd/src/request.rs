//! Everything that a client may send, decoded.

use bytes::Bytes;
use prost::Message;

use crate::{EventType, IcdError, messages};

/// Writes [`Request`] and its decoder from one list; each name is the event, the variant and the message at once.
macro_rules! requests {
    ($($name:ident,)*) => {
        /// A message of a client, decoded.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Request {
            $(
                #[doc = concat!("A [`messages::", stringify!($name), "`].")]
                $name(messages::$name),
            )*
        }

        impl Request {
            /// Decodes the payload of event number `event`.
            ///
            /// # Errors
            /// [`IcdError::UnknownEvent`] for an event that clients do not send, [`IcdError::Payload`] if the payload
            /// is not the message of that event.
            pub fn decode(event: u16, payload: Bytes) -> Result<Self, IcdError> {
                match EventType::try_from(i32::from(event)) {
                    $(
                        Ok(EventType::$name) => messages::$name::decode(payload).map(Self::$name).map_err(|source| {
                            IcdError::Payload { name: EventType::$name.as_str_name(), source }
                        }),
                    )*
                    _ => Err(IcdError::UnknownEvent { event }),
                }
            }

            /// The event under which the message travels.
            #[must_use]
            pub fn event(&self) -> EventType {
                match self {
                    $(Self::$name(_) => EventType::$name,)*
                }
            }

            /// Encodes the message without a header, as a client does.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(message) => message.encode_to_vec(),)*
                }
            }
        }

        $(
            impl From<messages::$name> for Request {
                fn from(message: messages::$name) -> Self {
                    Self::$name(message)
                }
            }
        )*
    };
}

requests! {
    RegisterViewer,
    FileListRequest,
    FileInfoRequest,
    OpenFile,
    SetImageChannels,
    SetCursor,
    SetSpatialRequirements,
    SetHistogramRequirements,
    SetStatsRequirements,
    SetRegion,
    RemoveRegion,
    CloseFile,
    SetSpectralRequirements,
    StartAnimation,
    StopAnimation,
    AnimationFlowControl,
    AddRequiredTiles,
    RemoveRequiredTiles,
    RegionListRequest,
    RegionFileInfoRequest,
    ImportRegion,
    ExportRegion,
    SetContourParameters,
    ResumeSession,
    CatalogListRequest,
    CatalogFileInfoRequest,
    OpenCatalogFile,
    CloseCatalogFile,
    CatalogFilterRequest,
    ScriptingResponse,
    MomentRequest,
    StopMomentCalc,
    SaveFile,
    ConcatStokesFiles,
    StopFileList,
    PvRequest,
    StopPvCalc,
    FittingRequest,
    SetVectorOverlayParameters,
    StopFitting,
    StopPvPreview,
    ClosePvPreview,
    RemoteFileRequest,
    ChannelMapFlowControl,
}

impl Request {
    /// Whether the client waits for a reply that repeats the number of its request.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        matches!(
            self,
            Self::RegisterViewer(_)
                | Self::FileListRequest(_)
                | Self::RegionListRequest(_)
                | Self::CatalogListRequest(_)
                | Self::FileInfoRequest(_)
                | Self::RegionFileInfoRequest(_)
                | Self::CatalogFileInfoRequest(_)
                | Self::OpenFile(_)
                | Self::ConcatStokesFiles(_)
                | Self::OpenCatalogFile(_)
                | Self::RemoteFileRequest(_)
                | Self::SaveFile(_)
                | Self::ImportRegion(_)
                | Self::ExportRegion(_)
                | Self::SetRegion(_)
                | Self::StartAnimation(_)
                | Self::ResumeSession(_)
                | Self::MomentRequest(_)
                | Self::PvRequest(_)
                | Self::FittingRequest(_)
        )
    }
}
