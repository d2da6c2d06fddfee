//! How the server behaves on the wire: what it answers to what, in which order, and what it refuses.

mod access;
mod animation;
mod cursor;
pub(crate) mod elsewhere;
mod files;
mod frames;
mod histograms;
mod hostile;
mod links;
mod regions;
mod requests;
mod resume;
mod security;
mod sessions;
mod tiles;

use std::path::Path;

use chartroom_icd::messages::CompressionType;
use chartroom_icd::messages::set_spatial_requirements::SpatialConfig;
use chartroom_icd::{Frame, ServerMessage, messages};
use chartroom_testkit::client::{Client, Link};
use chartroom_testkit::fits::{Header, image};
use chartroom_testkit::server::TestServer;

/// The newest version of the ICD, which most tests speak.
const ICD: u16 = 30;

/// What clients ask tiles to be compressed with.
const ZFP: CompressionType = CompressionType::Zfp;

/// A server over an empty folder.
async fn server() -> TestServer {
    TestServer::start().await.unwrap()
}

/// A server with the small cube `cube.fits`, and a client that has registered.
async fn server_with_cube() -> (TestServer, Client) {
    let server = server().await;
    write_cube(&server.folder().join("cube.fits"), [300, 200, 12]);
    let client = Client::register(server.url(), ICD).await.unwrap();
    (server, client)
}

/// What a cube of [`write_cube`] holds.
fn cube_value(x: u64, y: u64, channel: u64) -> f32 {
    (x + 10 * y + 1000 * channel) as f32
}

/// Writes a cube with known values.
pub(crate) fn write_cube(path: &Path, [width, height, channels]: [u64; 3]) {
    let header = Header::image::<f32>(&[width, height, channels]).with("CTYPE3", "FREQ");
    let cube = image(&header, |i| {
        cube_value(i % width, i / width % height, i / (width * height))
    });
    std::fs::write(path, cube).unwrap();
}

/// Messages of a kind among frames.
fn all<M: ServerMessage + Default>(frames: &[Frame]) -> Vec<M> {
    frames.iter().filter_map(of_kind).collect()
}

/// The message in a frame, if it is of this kind.
fn of_kind<M: ServerMessage + Default>(frame: &Frame) -> Option<M> {
    (frame.header.event == M::EVENT as i32 as u16).then(|| M::decode(frame.payload.clone()).unwrap())
}

/// Everything that the server sends up to the point where it has taken all requests sent so far.
///
/// OPEN_FILE with a negative number is refused at once by the session itself, in the order of its requests, and
/// changes nothing.
async fn fence(client: &mut Client) -> Vec<Frame> {
    let open = messages::OpenFile {
        file_id: -2,
        ..Default::default()
    };
    let request_id = client.send(open).await.unwrap();
    let mut frames = client
        .until(|frame| {
            frame.header.request_id == request_id && of_kind::<messages::OpenFileAck>(frame).is_some()
        })
        .await
        .unwrap();
    frames.pop();
    frames
}

/// Whether a text is a sentence for a person.
fn is_sentence(text: &str) -> bool {
    text.len() > 10 && text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase())
}

/// The wish for profiles of the cursor: coordinate, start, end and mip of each.
fn spatial(file_id: i32, profiles: &[(&str, i32, i32, i32)]) -> messages::SetSpatialRequirements {
    let profile = |&(coordinate, start, end, mip): &(&str, i32, i32, i32)| SpatialConfig {
        coordinate: coordinate.into(),
        start,
        end,
        mip,
        ..Default::default()
    };
    messages::SetSpatialRequirements {
        file_id,
        region_id: 0,
        spatial_profiles: profiles.iter().map(profile).collect(),
    }
}

async fn move_cursor<L: Link>(client: &mut Client<L>, file_id: i32, x: f32, y: f32) {
    let point = Some(messages::Point { x, y });
    let cursor = messages::SetCursor {
        file_id,
        point,
        ..Default::default()
    };
    client.send(cursor).await.unwrap();
}

/// A wish for tiles, compressed as for viewing.
fn wish(file_id: i32, tiles: &[i32]) -> messages::AddRequiredTiles {
    messages::AddRequiredTiles {
        file_id,
        tiles: tiles.to_vec(),
        compression_type: ZFP.into(),
        compression_quality: 11.0,
        ..Default::default()
    }
}

/// The wish to look at a channel.
fn channel(file_id: i32, channel: i32, tiles: &[i32]) -> messages::SetImageChannels {
    messages::SetImageChannels {
        file_id,
        channel,
        required_tiles: Some(wish(file_id, tiles)),
        ..Default::default()
    }
}
