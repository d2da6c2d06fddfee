//! Reads a history and finds what must not be in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chartroom_icd::{EventType, Frame, Request, ServerMessage, messages};

use super::tiles::Groups;
use super::{History, Kind, Level, Violation};

/// Everything in a history that a server must not do. The history must reach to a point of rest: a request that is
/// answered after all other work was done.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut checker = Checker::default();
    for (at, event) in history.events().iter().enumerate() {
        match &event.kind {
            Kind::Sent { request_id, request } => checker.sent(at, *request_id, request),
            Kind::Received(frame) => checker.received(at, frame),
            Kind::Dropped => checker.linked = false,
            Kind::Resumed(level) => checker.resumed(*level),
        }
    }
    checker.finish()
}

#[derive(Debug)]
struct Checker {
    violations: Vec<Violation>,
    /// Requests of this epoch by their numbers.
    asked: HashMap<u32, Asked>,
    closed: BTreeMap<i32, Closed>,
    groups: Groups,
    linked: bool,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            violations: Vec::new(),
            asked: HashMap::new(),
            closed: BTreeMap::new(),
            groups: Groups::default(),
            linked: true,
        }
    }
}

#[derive(Debug)]
struct Asked {
    at: usize,
    request: EventType,
    /// The file that it opens, or the session that it registers for.
    about: About,
    answers: usize,
    /// How many times it may have taken effect.
    effects: usize,
}

#[derive(Debug, Clone, Copy)]
enum About {
    File(i32),
    Session(u32),
    Other,
}

/// A file that the client has closed.
#[derive(Debug)]
struct Closed {
    /// The last CLOSE_FILE.
    at: usize,
    request_id: u32,
    /// Whether a later request was answered.
    taken: bool,
}

impl Checker {
    fn sent(&mut self, at: usize, request_id: u32, request: &Request) {
        let about = match request {
            Request::OpenFile(m) => About::File(m.file_id),
            Request::ConcatStokesFiles(m) => About::File(m.file_id),
            Request::RegisterViewer(m) => About::Session(m.session_id),
            _ => About::Other,
        };
        match request {
            Request::CloseFile(m) => self.close(at, request_id, m.file_id),
            Request::OpenFile(m) => self.groups.opened(m.file_id),
            // It opens what it lists; its reply need not come before the first data.
            Request::ResumeSession(m) => {
                for image in &m.images {
                    self.closed.remove(&image.file_id);
                }
            }
            _ => {}
        }
        if request.has_reply() {
            let asked = Asked {
                at,
                request: request.event(),
                about,
                answers: 0,
                effects: 1,
            };
            self.asked.insert(request_id, asked);
        }
    }

    fn close(&mut self, at: usize, request_id: u32, file_id: i32) {
        self.groups.closed(file_id);
        let files: Vec<i32> = match file_id {
            // All of them: those that data came of, at least.
            -1 => self.groups.files().collect(),
            file_id => vec![file_id],
        };
        for file_id in files {
            let closed = Closed {
                at,
                request_id,
                taken: false,
            };
            self.closed.insert(file_id, closed);
        }
    }

    fn resumed(&mut self, level: Level) {
        self.linked = true;
        match level {
            Level::Transparent => {}
            Level::Restarted { settled } => {
                for (_, asked) in self.asked.iter_mut().filter(|(id, _)| **id > settled) {
                    asked.effects += 1;
                }
                for closed in self
                    .closed
                    .values_mut()
                    .filter(|closed| closed.request_id > settled)
                {
                    closed.taken = false;
                }
                self.groups.restarted();
            }
            Level::Registered => {
                // What was closed at the last moment may be open again, until RESUME_SESSION says what is.
                self.asked.clear();
                self.closed.clear();
                self.groups.restarted();
            }
        }
    }

    fn received(&mut self, at: usize, frame: &Frame) {
        let event = frame.header.event;
        let Ok(message) = EventType::try_from(i32::from(event)) else {
            self.violations.push(Violation::UnknownEvent { at, event });
            return;
        };
        if REPLIES.iter().any(|(_, reply)| *reply == message) {
            self.replied(at, message, frame);
            return;
        }
        if !STREAMED.contains(&message) {
            self.violations.push(Violation::UnknownEvent { at, event });
            return;
        }
        match file_of(message, frame) {
            Ok(None) => {}
            Ok(Some(file_id)) => {
                if self.closed.get(&file_id).is_some_and(|closed| closed.taken) {
                    self.violations
                        .push(Violation::AfterClose { at, file_id, message });
                }
                self.groups.received(at, message, frame, &mut self.violations);
            }
            Err(_) => self.violations.push(Violation::Garbled { at, message }),
        }
    }

    fn replied(&mut self, at: usize, reply: EventType, frame: &Frame) {
        let request_id = frame.header.request_id;
        let expected = REPLIES
            .iter()
            .find(|(_, known)| *known == reply)
            .map(|(request, _)| *request);
        let asked = match self.asked.get_mut(&request_id) {
            Some(asked) if Some(asked.request) == expected => asked,
            _ => {
                self.violations.push(Violation::NothingAsked {
                    at,
                    request_id,
                    reply,
                });
                return;
            }
        };
        asked.answers += 1;
        if asked.answers > asked.effects {
            let request = asked.request;
            self.violations.push(Violation::AnsweredTwice {
                at,
                request_id,
                request,
            });
        }
        // The server has taken everything that was sent before what it answers.
        let (sent, about) = (asked.at, asked.about);
        for closed in self.closed.values_mut() {
            closed.taken |= closed.at < sent;
        }
        match about {
            About::File(file_id) => {
                let opened = match reply {
                    EventType::OpenFileAck => decode::<messages::OpenFileAck>(frame).map(|ack| ack.success),
                    _ => decode::<messages::ConcatStokesFilesAck>(frame).map(|ack| ack.success),
                };
                match opened {
                    Ok(true) if self.closed.get(&file_id).is_some_and(|closed| closed.at < sent) => {
                        self.closed.remove(&file_id);
                    }
                    Ok(_) => {}
                    Err(_) => self.violations.push(Violation::Garbled { at, message: reply }),
                }
            }
            About::Session(before) => match decode::<messages::RegisterViewerAck>(frame) {
                Ok(ack) if ack.success && before != 0 && ack.session_id != before => {
                    let after = ack.session_id;
                    self.violations
                        .push(Violation::IdentityChanged { at, before, after });
                }
                Ok(_) => {}
                Err(_) => self.violations.push(Violation::Garbled { at, message: reply }),
            },
            About::Other => {}
        }
    }

    fn finish(mut self) -> Vec<Violation> {
        if self.linked {
            let silence: BTreeMap<_, _> = self
                .asked
                .iter()
                .filter(|(_, asked)| asked.answers == 0)
                .map(|(&request_id, asked)| (asked.at, (request_id, asked.request)))
                .collect();
            for (at, (request_id, request)) in silence {
                self.violations.push(Violation::NotAnswered {
                    at,
                    request_id,
                    request,
                });
            }
            let closed: BTreeSet<i32> = self.closed.keys().copied().collect();
            self.groups.finish(&closed, &mut self.violations);
        }
        self.violations
    }
}

pub(super) fn decode<M: ServerMessage + Default>(frame: &Frame) -> Result<M, prost::DecodeError> {
    M::decode(frame.payload.clone())
}

/// The file that a streamed message is about.
fn file_of(message: EventType, frame: &Frame) -> Result<Option<i32>, prost::DecodeError> {
    Ok(match message {
        EventType::RegionHistogramData => Some(decode::<messages::RegionHistogramData>(frame)?.file_id),
        EventType::SpatialProfileData => Some(decode::<messages::SpatialProfileData>(frame)?.file_id),
        EventType::SpectralProfileData => Some(decode::<messages::SpectralProfileData>(frame)?.file_id),
        EventType::RegionStatsData => Some(decode::<messages::RegionStatsData>(frame)?.file_id),
        EventType::RasterTileData => Some(decode::<messages::RasterTileData>(frame)?.file_id),
        EventType::RasterTileSync => Some(decode::<messages::RasterTileSync>(frame)?.file_id),
        EventType::ContourImageData => Some(decode::<messages::ContourImageData>(frame)?.file_id),
        EventType::VectorOverlayTileData => Some(decode::<messages::VectorOverlayTileData>(frame)?.file_id),
        _ => None,
    })
}

/// Requests with their replies.
pub(super) const REPLIES: [(EventType, EventType); 20] = {
    use EventType as E;
    [
        (E::RegisterViewer, E::RegisterViewerAck),
        (E::FileListRequest, E::FileListResponse),
        (E::RegionListRequest, E::RegionListResponse),
        (E::CatalogListRequest, E::CatalogListResponse),
        (E::FileInfoRequest, E::FileInfoResponse),
        (E::RegionFileInfoRequest, E::RegionFileInfoResponse),
        (E::CatalogFileInfoRequest, E::CatalogFileInfoResponse),
        (E::OpenFile, E::OpenFileAck),
        (E::ConcatStokesFiles, E::ConcatStokesFilesAck),
        (E::OpenCatalogFile, E::OpenCatalogFileAck),
        (E::RemoteFileRequest, E::RemoteFileResponse),
        (E::SaveFile, E::SaveFileAck),
        (E::ImportRegion, E::ImportRegionAck),
        (E::ExportRegion, E::ExportRegionAck),
        (E::SetRegion, E::SetRegionAck),
        (E::StartAnimation, E::StartAnimationAck),
        (E::ResumeSession, E::ResumeSessionAck),
        (E::MomentRequest, E::MomentResponse),
        (E::PvRequest, E::PvResponse),
        (E::FittingRequest, E::FittingResponse),
    ]
};

/// What servers send without being asked for each one.
const STREAMED: [EventType; 16] = {
    use EventType as E;
    [
        E::RegionHistogramData,
        E::SpatialProfileData,
        E::SpectralProfileData,
        E::RegionStatsData,
        E::ErrorData,
        E::RasterTileData,
        E::RasterTileSync,
        E::ContourImageData,
        E::CatalogFilterResponse,
        E::ScriptingRequest,
        E::MomentProgress,
        E::FileListProgress,
        E::PvProgress,
        E::VectorOverlayTileData,
        E::FittingProgress,
        E::PvPreviewData,
    ]
};
