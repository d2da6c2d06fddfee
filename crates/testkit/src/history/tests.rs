//! Each violation is found in a history that has it, and none in a good one.

use bytes::Bytes;
use chartroom_icd::messages::*;
use chartroom_icd::{EventType, Header, Outgoing, ServerMessage};

use super::*;

/// A history told step by step.
#[derive(Default)]
struct Story(History);

impl Story {
    fn sends(mut self, request_id: u32, request: impl Into<Request>) -> Self {
        self.0.push(Kind::Sent {
            request_id,
            request: Box::new(request.into()),
        });
        self
    }

    fn gets<M: ServerMessage>(mut self, request_id: u32, message: &M) -> Self {
        let bytes = Outgoing::new(request_id, message).into_bytes(chartroom_icd::IcdVersion::OLDEST);
        self.0.push(Kind::Received(Frame::split(bytes).unwrap()));
        self
    }

    fn comes_back(mut self, level: Level) -> Self {
        self.0.push(Kind::Dropped);
        self.0.push(Kind::Resumed(level));
        self
    }

    fn opens(self, request_id: u32, file_id: i32) -> Self {
        self.sends(request_id, open(file_id))
            .gets(request_id, &opened(file_id))
    }

    /// A whole group of this many tiles.
    fn gets_group(self, file_id: i32, sync_id: i32, tiles: i32) -> Self {
        let start = start(file_id, sync_id, tiles);
        let told = (0..tiles).fold(self.gets(0, &start), |story, _| {
            story.gets(0, &data(file_id, sync_id))
        });
        told.gets(0, &end(file_id, sync_id, tiles))
    }

    fn violations(&self) -> Vec<Violation> {
        check(&self.0)
    }
}

fn open(file_id: i32) -> OpenFile {
    OpenFile {
        file_id,
        ..Default::default()
    }
}

fn opened(file_id: i32) -> OpenFileAck {
    OpenFileAck {
        file_id,
        success: true,
        ..Default::default()
    }
}

fn close(file_id: i32) -> CloseFile {
    CloseFile { file_id }
}

fn register(session_id: u32) -> RegisterViewer {
    RegisterViewer {
        session_id,
        ..Default::default()
    }
}

fn registered(session_id: u32) -> RegisterViewerAck {
    RegisterViewerAck {
        session_id,
        success: true,
        ..Default::default()
    }
}

fn start(file_id: i32, sync_id: i32, tile_count: i32) -> RasterTileSync {
    RasterTileSync {
        file_id,
        sync_id,
        tile_count,
        ..Default::default()
    }
}

fn end(file_id: i32, sync_id: i32, tile_count: i32) -> RasterTileSync {
    RasterTileSync {
        end_sync: true,
        ..start(file_id, sync_id, tile_count)
    }
}

fn data(file_id: i32, sync_id: i32) -> RasterTileData {
    RasterTileData {
        file_id,
        sync_id,
        tiles: vec![TileData::default()],
        ..Default::default()
    }
}

fn histogram(file_id: i32) -> RegionHistogramData {
    RegionHistogramData {
        file_id,
        ..Default::default()
    }
}

fn list() -> FileListRequest {
    FileListRequest::default()
}

fn listed() -> FileListResponse {
    FileListResponse::default()
}

fn told() -> Story {
    Story::default()
}

#[test]
fn a_good_history_passes_over_drops_of_every_level() {
    let story = told()
        .sends(1, register(0))
        .gets(1, &registered(77))
        .opens(2, 0)
        .gets(0, &histogram(0))
        .gets_group(0, 1, 2)
        .sends(3, list())
        .comes_back(Level::Transparent)
        .gets(3, &listed())
        .sends(4, close(0))
        .gets(0, &data_on_its_way())
        .sends(5, list())
        .gets(5, &listed())
        .opens(6, 0)
        .gets(0, &histogram(0))
        .sends(7, list())
        .comes_back(Level::Restarted { settled: 6 })
        .gets(7, &listed())
        .gets(7, &listed())
        .gets_group(0, 1, 1)
        .sends(8, list())
        .comes_back(Level::Registered)
        .sends(1, register(77))
        .gets(1, &registered(77))
        .gets_group(0, 1, 0);
    assert_eq!(story.violations(), []);
}

#[test]
fn what_was_acknowledged_before_a_restart_is_not_answered_again() {
    let restarted = |settled| {
        told()
            .sends(1, list())
            .gets(1, &listed())
            .comes_back(Level::Restarted { settled })
            .gets(1, &listed())
            .violations()
    };
    assert_eq!(restarted(0), []);
    assert_eq!(
        restarted(1),
        [Violation::AnsweredTwice {
            at: 4,
            request_id: 1,
            request: EventType::FileListRequest
        }]
    );
}

fn data_on_its_way() -> RegionHistogramData {
    histogram(0)
}

#[test]
fn another_number_for_the_same_session_is_found() {
    let story = told().sends(1, register(77)).gets(1, &registered(78));
    assert_eq!(
        story.violations(),
        [Violation::IdentityChanged {
            at: 1,
            before: 77,
            after: 78
        }]
    );
    // A refusal gives no number.
    let refused = told()
        .sends(1, register(77))
        .gets(1, &RegisterViewerAck::default());
    assert_eq!(refused.violations(), []);
}

#[test]
fn silence_is_found_at_the_end_of_an_epoch_that_lasts() {
    let not_answered = [Violation::NotAnswered {
        at: 0,
        request_id: 1,
        request: EventType::FileListRequest,
    }];
    assert_eq!(told().sends(1, list()).violations(), not_answered);
    let survived = told().sends(1, list()).comes_back(Level::Transparent);
    assert_eq!(survived.violations(), not_answered);
    let forgotten = told().sends(1, list()).comes_back(Level::Registered);
    assert_eq!(forgotten.violations(), []);
    let mut lost = told().sends(1, list());
    lost.0.push(Kind::Dropped);
    assert_eq!(lost.violations(), []);
}

#[test]
fn a_second_answer_is_found() {
    let twice = Violation::AnsweredTwice {
        at: 2,
        request_id: 1,
        request: EventType::FileListRequest,
    };
    let story = told().sends(1, list()).gets(1, &listed()).gets(1, &listed());
    assert_eq!(story.violations(), [twice]);
    let over_a_drop = told()
        .sends(1, list())
        .gets(1, &listed())
        .comes_back(Level::Transparent)
        .gets(1, &listed());
    assert!(matches!(
        over_a_drop.violations()[..],
        [Violation::AnsweredTwice { at: 4, .. }]
    ));
}

#[test]
fn answers_to_nothing_or_to_something_else_are_found() {
    let nothing = told().gets(9, &listed());
    assert_eq!(
        nothing.violations(),
        [Violation::NothingAsked {
            at: 0,
            request_id: 9,
            reply: EventType::FileListResponse
        }]
    );
    let other = told().sends(9, open(0)).gets(9, &listed()).gets(9, &opened(0));
    assert!(matches!(
        other.violations()[..],
        [Violation::NothingAsked { at: 1, .. }]
    ));
    let without_reply = told().sends(9, close(0)).gets(9, &listed());
    assert!(matches!(
        without_reply.violations()[..],
        [Violation::NothingAsked { .. }]
    ));
    let of_another_epoch = told()
        .sends(9, list())
        .comes_back(Level::Registered)
        .gets(9, &listed());
    assert!(matches!(
        of_another_epoch.violations()[..],
        [Violation::NothingAsked { .. }]
    ));
}

#[test]
fn data_of_a_closed_file_is_found_after_the_next_reply() {
    let closed = || told().opens(1, 3).sends(2, close(3)).sends(3, list());
    assert_eq!(
        closed().gets(0, &histogram(3)).gets(3, &listed()).violations(),
        []
    );
    let late = closed()
        .gets(3, &listed())
        .gets(0, &histogram(4))
        .gets(0, &histogram(3));
    assert_eq!(
        late.violations(),
        [Violation::AfterClose {
            at: 6,
            file_id: 3,
            message: EventType::RegionHistogramData
        }]
    );
    // A reply to what was asked before proves nothing.
    let early = told()
        .sends(1, list())
        .sends(2, close(3))
        .gets(1, &listed())
        .gets(0, &histogram(3));
    assert_eq!(early.violations(), []);
    // Opened again, but not acknowledged yet.
    let hasty = closed()
        .sends(4, open(3))
        .gets(3, &listed())
        .gets(0, &histogram(3))
        .gets(4, &opened(3));
    assert!(matches!(
        hasty.violations()[..],
        [Violation::AfterClose { at: 6, .. }]
    ));
    let again = closed()
        .sends(4, open(3))
        .gets(3, &listed())
        .gets(4, &opened(3))
        .gets(0, &histogram(3));
    assert_eq!(again.violations(), []);
    // The acknowledgement of an opening before the close does not open it again.
    let crossed = told()
        .sends(1, open(3))
        .sends(2, close(3))
        .sends(3, list())
        .gets(3, &listed())
        .gets(1, &opened(3))
        .gets(0, &histogram(3));
    assert!(matches!(
        crossed.violations()[..],
        [Violation::AfterClose { at: 5, .. }]
    ));
}

#[test]
fn closing_all_files_closes_each_of_them() {
    let story = told()
        .opens(1, 3)
        .sends(2, close(-1))
        .sends(3, list())
        .gets(3, &listed())
        .gets(0, &histogram(3));
    assert!(matches!(
        story.violations()[..],
        [Violation::AfterClose { file_id: 3, .. }]
    ));
}

#[test]
fn broken_groups_of_tiles_are_found() {
    let found = |story: Story| story.violations();
    assert_eq!(found(told().gets_group(0, 1, 2).gets_group(0, 2, 0)), []);
    assert!(matches!(
        found(told().gets_group(0, 0, 1))[..],
        [Violation::SyncIdNotNew { at: 0, .. }]
    ));
    let again = told().gets_group(0, 1, 1).gets_group(1, 1, 1);
    assert!(matches!(
        found(again)[..],
        [Violation::SyncIdNotNew {
            at: 3,
            file_id: 1,
            sync_id: 1
        }]
    ));
    assert!(matches!(
        found(told().gets(0, &data(0, 1)))[..],
        [Violation::OutsideOfGroup { at: 0, .. }]
    ));
    assert!(matches!(
        found(told().gets(0, &end(0, 1, 0)))[..],
        [Violation::OutsideOfGroup { .. }]
    ));
    let after = told().gets_group(0, 1, 1).gets(0, &data(0, 1));
    assert!(matches!(
        found(after)[..],
        [Violation::OutsideOfGroup { at: 3, .. }]
    ));
    let foreign = told()
        .gets(0, &start(0, 1, 1))
        .gets(0, &data(2, 1))
        .gets(0, &end(0, 1, 1));
    assert!(matches!(
        found(foreign)[..],
        [Violation::OfAnotherPlane { at: 1, .. }]
    ));
    let foreign_end = told().gets(0, &start(0, 1, 0)).gets(0, &end(0, 1, 3));
    assert!(matches!(
        found(foreign_end)[..],
        [Violation::OfAnotherPlane { at: 1, .. }]
    ));
    let few = told()
        .gets(0, &start(0, 1, 2))
        .gets(0, &data(0, 1))
        .gets(0, &end(0, 1, 2));
    assert!(matches!(
        found(few)[..],
        [Violation::WrongTileCount {
            came: 1,
            announced: 2,
            ..
        }]
    ));
}

#[test]
fn only_the_newest_group_of_an_open_file_has_to_end() {
    let begun = || told().gets(0, &start(0, 1, 2)).gets(0, &data(0, 1));
    assert!(matches!(
        begun().violations()[..],
        [Violation::UnfinishedGroup {
            at: 0,
            sync_id: 1,
            ..
        }]
    ));
    assert_eq!(begun().gets_group(0, 2, 1).violations(), []);
    assert_eq!(begun().sends(1, close(0)).violations(), []);
    assert_eq!(begun().sends(1, close(-1)).violations(), []);
    let frame = RasterTileSync {
        animation_id: 1,
        ..start(0, 1, 2)
    };
    assert_eq!(told().gets(0, &frame).violations(), []);
    let other = begun().gets_group(1, 2, 1);
    assert!(matches!(
        other.violations()[..],
        [Violation::UnfinishedGroup { file_id: 0, .. }]
    ));
}

#[test]
fn messages_that_nobody_can_read_are_found() {
    let frame = |event, payload: &'static [u8]| Frame {
        header: Header {
            event,
            version: 30,
            request_id: 0,
        },
        payload: Bytes::from_static(payload),
    };
    let mut history = History::new();
    history.push(Kind::Received(frame(23, &[0xff])));
    history.push(Kind::Received(frame(4, &[])));
    history.push(Kind::Received(frame(999, &[])));
    let violations = check(&history);
    assert_eq!(
        violations,
        [
            Violation::Garbled {
                at: 0,
                message: EventType::RegionHistogramData
            },
            Violation::UnknownEvent { at: 1, event: 4 },
            Violation::UnknownEvent { at: 2, event: 999 },
        ]
    );
    assert_eq!(
        violations[0].to_string(),
        "Event 0: REGION_HISTOGRAM_DATA cannot be decoded."
    );
}

#[test]
fn what_two_clients_saw_differently_is_named() {
    let one = std::collections::BTreeMap::from([("a", 1), ("b", 2), ("c", 3)]);
    let other = std::collections::BTreeMap::from([("a", 1), ("b", 5), ("d", 4)]);
    assert_eq!(differences(&one, &one), []);
    let sentences: Vec<String> = differences(&one, &other)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        sentences,
        [
            "\"b\" differs: expected 2, but there is 5.",
            "\"c\" differs: expected 3, but there is nothing.",
            "\"d\" differs: expected nothing, but there is 4.",
        ]
    );
}

#[test]
fn every_request_with_a_reply_has_one_here() {
    for (request, _) in check::REPLIES {
        let request = Request::decode(request as i32 as u16, Bytes::new()).unwrap();
        assert!(request.has_reply(), "{request:?}");
    }
}
