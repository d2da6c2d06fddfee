//! No bytes of a client do harm.

use bytes::Bytes;
use chartroom_icd::{Frame, Request, messages};
use prost::Message;

/// A small deterministic generator (xorshift64*, Vigna 2016), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let resume = messages::ResumeSession {
        images: vec![messages::ImageProperties {
            directory: "a/b".into(),
            file: "cube.fits".into(),
            regions: [(1, messages::RegionInfo::default())].into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let tiles = messages::AddRequiredTiles {
        tiles: vec![0, 1, 2, 1 << 24],
        ..Default::default()
    };
    let animation = messages::StartAnimation {
        required_tiles: Some(tiles.clone()),
        matched_frames: [(
            1,
            messages::MatchedFrameList {
                frame_numbers: vec![1.0, 2.0],
            },
        )]
        .into(),
        ..Default::default()
    };
    let requests: [Request; 3] = [resume.into(), tiles.into(), animation.into()];
    requests
        .iter()
        .map(|request| {
            let header = chartroom_icd::Header {
                event: request.event() as i32 as u16,
                version: 30,
                request_id: 9,
            };
            [&header.to_bytes()[..], &request.encode()[..]].concat()
        })
        .collect()
}

#[test]
fn ten_thousand_mutated_frames_are_decoded_or_refused() {
    let seeds = seeds();
    let mut random = Random(0x00C0_FFEE);
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..10_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, random.next() as u8),
                _ => bytes[at] ^= 1 << random.below(8),
            }
            if bytes.is_empty() {
                break;
            }
        }
        match Frame::split(Bytes::from(bytes)).and_then(|f| Request::decode(f.header.event, f.payload)) {
            Ok(_) => decoded += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(
        decoded > 100 && refused > 100,
        "{decoded} decoded, {refused} refused"
    );
}

#[test]
fn unpacked_numbers_are_understood_as_packed_ones() {
    // Field 2 of ADD_REQUIRED_TILES, sfixed32, once per number.
    let payload = Bytes::from_static(&[0x15, 7, 0, 0, 0, 0x15, 8, 0, 0, 0]);
    let Ok(Request::AddRequiredTiles(message)) = Request::decode(30, payload) else {
        panic!("is decoded")
    };
    assert_eq!(message.tiles, [7, 8]);
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    let mut payload = messages::CloseFile { file_id: 3 }.encode_to_vec();
    payload.extend_from_slice(&[0xFA, 0x3F, 2, 1, 2]);
    let Ok(Request::CloseFile(message)) = Request::decode(13, payload.into()) else {
        panic!("is decoded")
    };
    assert_eq!(message.file_id, 3);
}
