//! Lists of files, what a file holds, opening and closing.

use std::path::Path;

use chartroom_icd::messages::{
    AddRequiredTiles, CloseFile, ErrorData, FileInfoRequest, FileInfoResponse, FileListFilterMode,
    FileListRequest, FileListResponse, FileType, OpenFile, OpenFileAck, RasterTileData, RasterTileSync,
    RegionHistogramData, SetImageChannels, SetSpatialRequirements, SpatialProfileData, StopFileList,
};
use chartroom_icd::{EventType, Frame};
use chartroom_testkit::client::{Client, tile_number};
use chartroom_testkit::fits::{Header, image};
use chartroom_testkit::server::TestServer;
use tokio_tungstenite::tungstenite::Message;

use super::{ICD, ZFP, all, fence, is_sentence, move_cursor, of_kind, server, server_with_cube, write_cube};

async fn list(client: &mut Client, directory: &str, filter: FileListFilterMode) -> FileListResponse {
    let request = FileListRequest {
        directory: directory.into(),
        filter_mode: filter.into(),
    };
    let request_id = client.send(request).await.unwrap();
    let (header, response) = client.wait_with_header::<FileListResponse>().await.unwrap();
    assert_eq!(header.request_id, request_id);
    response
}

fn files(list: &FileListResponse) -> Vec<&str> {
    list.files.iter().map(|file| file.name.as_str()).collect()
}

fn folders(list: &FileListResponse) -> Vec<&str> {
    list.subdirectories
        .iter()
        .map(|folder| folder.name.as_str())
        .collect()
}

/// Files of all kinds in the top folder, with links into and out of it.
fn write_tree(server: &TestServer) {
    let (top, outside) = (server.folder(), server.outside());
    std::fs::create_dir_all(top.join("a/b")).unwrap();
    write_cube(&top.join("cube.fits"), [4, 3, 2]);
    write_cube(&top.join("named as it likes"), [4, 3, 2]);
    write_cube(&top.join(".hidden.fits"), [4, 3, 2]);
    write_cube(&top.join("a/b/deep.fits"), [4, 3, 2]);
    write_cube(&outside.join("secret.fits"), [4, 3, 2]);
    std::fs::write(top.join("notes.txt"), "no image").unwrap();
    std::fs::write(top.join("no image.fits"), "no image either").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(top.join("cube.fits"), top.join("link.fits")).unwrap();
        symlink(outside.join("secret.fits"), top.join("out.fits")).unwrap();
        symlink(outside, top.join("out")).unwrap();
        symlink(top.join("nowhere"), top.join("dangling.fits")).unwrap();
    }
}

#[tokio::test]
async fn folders_are_listed_by_any_spelling_of_their_names() {
    let server = TestServer::start_with(|options| {
        let start = options.paths[0].join("a");
        std::fs::create_dir(&start).unwrap();
        options.paths = vec![start];
    })
    .await
    .unwrap();
    write_tree(&server);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for (spelled, name, parent) in [
        ("$BASE", "a", "/"),
        ("", "/", ""),
        ("/", "/", ""),
        (".", "/", ""),
        ("//", "/", ""),
        ("a", "a", "/"),
        ("/a/", "a", "/"),
        ("a/b", "a/b", "a"),
        ("//a//b//", "a/b", "a"),
        ("a/b/..", "a", "/"),
        ("$BASE/b", "a/b", "a"),
    ] {
        let list = list(&mut client, spelled, FileListFilterMode::Content).await;
        assert!(list.success, "{spelled}: {}", list.message);
        assert_eq!(
            (list.directory.as_str(), list.parent.as_str()),
            (name, parent),
            "{spelled}"
        );
        match name {
            "/" => assert_eq!(folders(&list), ["a"]),
            "a" => assert_eq!((folders(&list), files(&list)), (vec!["b"], vec![])),
            _ => assert_eq!((folders(&list), files(&list)), (vec![], vec!["deep.fits"])),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn filters_choose_by_content_by_name_or_not_at_all_and_links_out_of_the_top_are_not_shown() {
    let server = server().await;
    write_tree(&server);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for (filter, expected) in [
        (
            FileListFilterMode::Content,
            &["cube.fits", "link.fits", "named as it likes"][..],
        ),
        (
            FileListFilterMode::Extension,
            &["cube.fits", "link.fits", "no image.fits"],
        ),
        (
            FileListFilterMode::AllFiles,
            &[
                "cube.fits",
                "link.fits",
                "named as it likes",
                "no image.fits",
                "notes.txt",
            ],
        ),
    ] {
        let list = list(&mut client, "", filter).await;
        assert_eq!(files(&list), expected, "{filter:?}");
        assert_eq!(folders(&list), ["a"]);
        assert_eq!(list.subdirectories[0].item_count, 1);
        for file in &list.files {
            assert!(
                !file.hdu_list.is_empty() && file.size > 0 && file.date > 0,
                "{file:?}"
            );
        }
        assert_eq!(list.files[0].r#type(), FileType::Fits);
    }
}

#[tokio::test]
async fn folders_that_are_missing_or_out_of_reach_are_refused_with_a_sentence() {
    let server = server().await;
    write_tree(&server);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for directory in [
        "nowhere",
        "a/nowhere",
        "cube.fits",
        "..",
        "a/../..",
        "out",
        "nul\0",
    ] {
        let list = list(&mut client, directory, FileListFilterMode::Content).await;
        assert!(!list.success, "{directory}");
        assert!(is_sentence(&list.message), "{}", list.message);
        assert!(list.files.is_empty() && list.subdirectories.is_empty());
        let outside = server.outside().to_string_lossy().into_owned();
        assert!(!list.message.contains(&outside), "{}", list.message);
    }
}

#[tokio::test]
async fn a_long_list_is_whole_and_one_that_is_stopped_is_answered_all_the_same() {
    let server = server().await;
    let bytes = image(&Header::image::<u8>(&[2, 2]), |i| i as u8);
    for number in 0..2000 {
        std::fs::write(server.folder().join(format!("{number:04}.fits")), &bytes).unwrap();
    }
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    let whole = list(&mut client, "", FileListFilterMode::Content).await;
    assert!(whole.success && !whole.cancel);
    assert_eq!(whole.files.len(), 2000);
    assert!(whole.files.is_sorted_by_key(|file| &file.name));

    let request_id = client.send(FileListRequest::default()).await.unwrap();
    client.send(StopFileList::default()).await.unwrap();
    let (header, stopped) = client.wait_with_header::<FileListResponse>().await.unwrap();
    assert_eq!(header.request_id, request_id);
    assert!(stopped.cancel || stopped.files.len() == 2000);

    // Of many at once each is answered, and the last is whole.
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(client.send(FileListRequest::default()).await.unwrap());
    }
    let mut answered = Vec::new();
    for _ in 0..5 {
        let (header, response) = client.wait_with_header::<FileListResponse>().await.unwrap();
        answered.push(header.request_id);
        if Some(&header.request_id) == ids.last() {
            assert_eq!(response.files.len(), 2000);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, ids);
}

async fn info(client: &mut Client, file: &str, hdu: &str) -> FileInfoResponse {
    let request = FileInfoRequest {
        directory: "/".into(),
        file: file.into(),
        hdu: hdu.into(),
        ..Default::default()
    };
    client.send(request).await.unwrap();
    client.wait().await.unwrap()
}

fn write_two_images(path: &Path) {
    let mut file = image(&Header::image::<u8>(&[]), |_| 0_u8);
    file.extend(image(&Header::extension::<i16>(&[7, 5]), |i| i as i16));
    file.extend(image(&Header::extension::<f32>(&[3, 2, 4]), |i| i as f32));
    std::fs::write(path, file).unwrap();
}

#[tokio::test]
async fn the_information_on_a_file_has_an_entry_for_each_image_in_it() {
    let server = server().await;
    write_two_images(&server.folder().join("two.fits"));
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    let both = info(&mut client, "two.fits", "").await;
    assert!(both.success, "{}", both.message);
    assert_eq!(both.file_info.unwrap().name, "two.fits");
    let shapes: Vec<_> = both
        .file_info_extended
        .iter()
        .map(|(hdu, e)| (hdu.as_str(), e.dimensions, e.width, e.height, e.depth))
        .collect();
    assert_eq!(shapes, [("1", 2, 7, 5, 1), ("2", 3, 3, 2, 4)]);
    let second = info(&mut client, "two.fits", "2").await;
    assert_eq!(second.file_info_extended.keys().collect::<Vec<_>>(), ["2"]);
}

#[tokio::test]
async fn files_that_cannot_be_opened_are_refused_with_a_sentence_and_the_session_goes_on() {
    let server = server().await;
    write_tree(&server);
    write_two_images(&server.folder().join("two.fits"));
    let damaged = &image(&Header::image::<f32>(&[30, 30]), |i| i as f32)[..200];
    std::fs::write(server.folder().join("damaged.fits"), damaged).unwrap();
    std::fs::write(server.folder().join("empty.fits"), "").unwrap();
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for (file, hdu) in [
        ("nowhere.fits", ""),
        ("damaged.fits", ""),
        ("empty.fits", ""),
        ("notes.txt", ""),
        ("a", ""),
        ("two.fits", "0"),
        ("two.fits", "7"),
        ("two.fits", "no such name"),
        ("../secret.fits", ""),
        ("out.fits", ""),
        ("", ""),
    ] {
        let request = OpenFile {
            directory: "/".into(),
            file: file.into(),
            hdu: hdu.into(),
            file_id: 5,
            ..Default::default()
        };
        client.send(request).await.unwrap();
        let ack = client.wait::<OpenFileAck>().await.unwrap();
        assert!(!ack.success && ack.file_id == 5, "{file}");
        let info = info(&mut client, file, hdu).await;
        assert!(!info.success, "{file} {hdu}");
        for message in [&ack.message, &info.message] {
            assert!(is_sentence(message), "{file}: {message}");
            assert!(
                !message.contains(server.outside().to_str().unwrap()),
                "where files are is nobody's business: {message}"
            );
            if file == "notes.txt" {
                assert_eq!(
                    message,
                    "Unsupported format: notes.txt is not an image of a known format."
                );
            }
        }
    }
    let expression = OpenFile {
        directory: "/".into(),
        file: "AMPLITUDE(\"cube.fits\")".into(),
        lel_expr: true,
        ..Default::default()
    };
    client.send(expression).await.unwrap();
    let ack = client.wait::<OpenFileAck>().await.unwrap();
    assert!(!ack.success && is_sentence(&ack.message), "{}", ack.message);
    let ack = client.open("/", "cube.fits", 5).await.unwrap();
    assert_eq!(
        (ack.file_id, ack.file_info.unwrap().name.as_str()),
        (5, "cube.fits")
    );
}

#[tokio::test]
async fn requests_right_behind_the_opening_are_served_after_it() {
    let (_server, mut client) = server_with_cube().await;
    let tiles = AddRequiredTiles {
        file_id: 2,
        tiles: vec![tile_number(1, 0, 0), tile_number(1, 1, 0)],
        compression_type: ZFP.into(),
        compression_quality: 11.0,
        ..Default::default()
    };
    let open = OpenFile {
        file: "cube.fits".into(),
        file_id: 2,
        ..Default::default()
    };
    client.send(open).await.unwrap();
    client.send(super::spatial(2, &[("x", 0, 0, 1)])).await.unwrap();
    let channels = SetImageChannels {
        file_id: 2,
        channel: 3,
        required_tiles: Some(tiles),
        ..Default::default()
    };
    client.send(channels).await.unwrap();
    move_cursor(&mut client, 2, 17.0, 4.0).await;
    let frames = client
        .until(|frame| {
            of_kind::<RasterTileSync>(frame).is_some_and(|sync| sync.end_sync && sync.channel == 3)
        })
        .await
        .unwrap();
    assert!(of_kind::<OpenFileAck>(&frames[0]).unwrap().success);
    assert!(all::<ErrorData>(&frames).is_empty());
    assert_eq!(
        all::<RasterTileData>(&frames)
            .iter()
            .filter(|d| d.channel == 3)
            .count(),
        2
    );
    let profile = match all::<SpatialProfileData>(&frames).pop() {
        Some(profile) => profile,
        None => client.wait().await.unwrap(),
    };
    assert_eq!((profile.x, profile.y, profile.channel), (17, 4, 3));
}

#[tokio::test]
async fn requests_behind_an_opening_that_fails_lead_to_errors() {
    let (_server, mut client) = server_with_cube().await;
    let open = OpenFile {
        file: "nowhere.fits".into(),
        file_id: 2,
        ..Default::default()
    };
    client.send(open).await.unwrap();
    client.ask_tiles(2, vec![0], ZFP, 11.0).await.unwrap();
    assert!(!client.wait::<OpenFileAck>().await.unwrap().success);
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
}

#[tokio::test]
async fn a_file_id_that_is_opened_again_stands_for_the_newer_file() {
    let (server, mut client) = server_with_cube().await;
    write_cube(&server.folder().join("other.fits"), [40, 30, 2]);
    for round in 0..10 {
        // Each opening is answered, and the last one holds, whether or not the first had been finished.
        let names = ["cube.fits", "cube.fits", "other.fits"];
        let mut ids = Vec::new();
        for name in names {
            let open = OpenFile {
                file: name.into(),
                file_id: 1,
                ..Default::default()
            };
            ids.push(client.send(open).await.unwrap());
        }
        client.ask_tiles(1, vec![0], ZFP, 11.0).await.unwrap();
        let mut last = None;
        for _ in names {
            let (header, ack) = client.wait_with_header::<OpenFileAck>().await.unwrap();
            let at = ids.iter().position(|id| *id == header.request_id).unwrap();
            ids[at] = 0;
            if at == 2 {
                last = Some(ack);
            } else {
                assert!(ack.success || is_sentence(&ack.message), "{}", ack.message);
            }
        }
        let last = last.unwrap();
        assert!(last.success, "round {round}: {}", last.message);
        assert_eq!(last.file_info_extended.unwrap().width, 40);
        let (_, tiles) = client.tiles().await.unwrap();
        assert_eq!(tiles[0].width, 40);
        fence(&mut client).await;
    }
}

/// Messages that carry data of a file.
fn data_of(frames: &[Frame], file_id: i32) -> Vec<EventType> {
    let mut events = Vec::new();
    let mut add = |event: EventType, file: i32| {
        if file == file_id {
            events.push(event);
        }
    };
    for frame in frames {
        if let Some(m) = of_kind::<RasterTileData>(frame) {
            add(EventType::RasterTileData, m.file_id);
        } else if let Some(m) = of_kind::<RasterTileSync>(frame) {
            add(EventType::RasterTileSync, m.file_id);
        } else if let Some(m) = of_kind::<RegionHistogramData>(frame) {
            add(EventType::RegionHistogramData, m.file_id);
        } else if let Some(m) = of_kind::<SpatialProfileData>(frame) {
            add(EventType::SpatialProfileData, m.file_id);
        }
    }
    events
}

#[tokio::test]
async fn a_closed_file_is_not_open_and_minus_one_closes_all() {
    let (_server, mut client) = server_with_cube().await;
    for file_id in 0..4 {
        client.open("", "cube.fits", file_id).await.unwrap();
    }
    client.send(CloseFile { file_id: 1 }).await.unwrap();
    // Closing what is not open is nothing to speak of.
    client.send(CloseFile { file_id: 77 }).await.unwrap();
    fence(&mut client).await;
    client.ask_tiles(1, vec![0], ZFP, 11.0).await.unwrap();
    client.ask_tiles(2, vec![0], ZFP, 11.0).await.unwrap();
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
    assert_eq!(client.tiles().await.unwrap().0.file_id, 2);

    client.send(CloseFile { file_id: -1 }).await.unwrap();
    fence(&mut client).await;
    for file_id in 0..4 {
        client.ask_tiles(file_id, vec![0], ZFP, 11.0).await.unwrap();
    }
    let frames = fence(&mut client).await;
    assert_eq!(all::<ErrorData>(&frames).len(), 4);
    client.open("", "cube.fits", 0).await.unwrap();
}

/// Invariant 7. What the server wrote before it took CLOSE_FILE may still be on its way; the fence behind CLOSE_FILE
/// marks the point from which nothing of the file may come.
#[tokio::test]
async fn after_a_file_was_closed_none_of_its_data_comes() {
    let server = server().await;
    let header = Header::image::<u8>(&[4096, 4096]);
    std::fs::write(
        server.folder().join("large.fits"),
        image(&header, |i| (i >> 8) as u8),
    )
    .unwrap();
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    for close in [3, -1] {
        client.open("", "large.fits", 3).await.unwrap();
        client
            .send(super::spatial(3, &[("x", 0, 0, 1), ("y", 0, 0, 1)]))
            .await
            .unwrap();
        move_cursor(&mut client, 3, 100.0, 100.0).await;
        let tiles = (0..256).map(|i| tile_number(4, i % 16, i / 16)).collect();
        // Uncompressed they are more than may wait for a client, so that the last of them is made late.
        let none = chartroom_icd::messages::CompressionType::None;
        client.ask_tiles(3, tiles, none, 32.0).await.unwrap();
        client.wait::<RasterTileData>().await.unwrap();
        client.send(CloseFile { file_id: close }).await.unwrap();
        let before = fence(&mut client).await;
        let sent = all::<RasterTileData>(&before).len();
        assert!(sent < 255, "everything was sent before the file was closed");

        client.send_raw(Message::Text("PING".into())).await.unwrap();
        client.send(FileListRequest::default()).await.unwrap();
        client.wait::<FileListResponse>().await.unwrap();
        let mut after = client.take_kept();
        after.extend(fence(&mut client).await);
        assert_eq!(data_of(&after, 3), []);
    }
}

#[tokio::test]
async fn a_spatial_requirement_of_a_region_is_refused_with_a_sentence() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let request = SetSpatialRequirements {
        region_id: 5,
        ..super::spatial(0, &[("x", 0, 0, 1)])
    };
    client.send(request).await.unwrap();
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
}

#[tokio::test]
async fn a_file_that_ends_too_early_is_told_of_in_a_sentence_and_harms_nothing_else() {
    let (server, mut client) = server_with_cube().await;
    let whole = image(&Header::image::<f32>(&[300, 200]), |i| i as f32);
    std::fs::write(server.folder().join("short.fits"), &whole[..whole.len() / 2]).unwrap();
    let open = OpenFile {
        file: "short.fits".into(),
        file_id: 4,
        ..Default::default()
    };
    client.send(open).await.unwrap();
    let ack = client.wait::<OpenFileAck>().await.unwrap();
    if ack.success {
        client.ask_tiles(4, vec![0], ZFP, 11.0).await.unwrap();
        let error = client.wait::<ErrorData>().await.unwrap();
        assert!(is_sentence(&error.message), "{}", error.message);
    } else {
        assert!(is_sentence(&ack.message), "{}", ack.message);
    }
    client.open("", "cube.fits", 4).await.unwrap();
    client.ask_tiles(4, vec![0], ZFP, 11.0).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.file_id, 4);
}

/// A file that is changed while it is open: what is read of it may be old, new or an error, but the server lives.
#[tokio::test]
async fn a_file_that_is_cut_short_while_it_is_open_leads_to_errors_and_nothing_else() {
    let (server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(server.folder().join("cube.fits"))
        .unwrap();
    file.set_len(2880 + 300 * 200 * 4 * 3).unwrap();
    client.send(super::channel(0, 9, &[0])).await.unwrap();
    // The group that breaks is ended all the same.
    let is_end = |frame: &Frame| of_kind::<RasterTileSync>(frame).is_some_and(|sync| sync.end_sync);
    let frames = client.until(is_end).await.unwrap();
    assert!(all::<RasterTileData>(&frames).is_empty());
    let errors = all::<ErrorData>(&frames);
    assert!(!errors.is_empty());
    for error in errors {
        assert!(is_sentence(&error.message), "{}", error.message);
        assert!(
            !error.message.contains(server.outside().to_str().unwrap()),
            "{}",
            error.message
        );
    }
    client.send(super::channel(0, 1, &[0])).await.unwrap();
    assert_eq!(client.tiles().await.unwrap().0.channel, 1);
}
