//! Questions about files and images from somebody who has no session.

use std::sync::Mutex;

use chartroom_compute::picture::{ColourMap, Stretch};
use chartroom_icd::messages;
use chartroom_sched::CancelToken;
use chartroom_session::SessionId;
use chartroom_viewer::{JobOwner, Limits, PictureWish, ViewerError};

use crate::support::{Site, open, write_fits};

const WISH: PictureWish = PictureWish {
    channel: 0,
    stokes: 0,
    map: ColourMap::Grey,
    stretch: Stretch::Linear,
    limits: Limits::Central(100.0),
    width: 512,
};

/// Width, height and RGBA pixels, the first row at the top.
fn decode(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgba);
    (info.width, info.height, pixels)
}

#[tokio::test]
async fn a_picture_has_the_last_row_at_the_top() {
    let site = Site::new();
    let inspector = site.viewer.inspector(1, &CancelToken::new());
    let image = inspector.open("", "flat.fits", "").await.unwrap();
    let progress = Mutex::new(Vec::new());
    let picture = image
        .picture(&inspector, WISH, |done| progress.lock().unwrap().push(done))
        .await
        .unwrap();
    assert_eq!(picture.limits, Some((0.0, 199.0)));
    let (width, height, pixels) = decode(&picture.png);
    assert_eq!((width, height), (20, 10));
    assert_eq!((picture.width, picture.height), (20, 10));
    let grey = |x: usize, y_from_top: usize| pixels[(y_from_top * 20 + x) * 4];
    // Pixels are their own numbers: the first is at the bottom left, the last at the top right.
    assert_eq!((grey(0, 9), grey(19, 0)), (0, 255));
    // numpy: int(100 / 199 * 256)
    assert_eq!(grey(0, 4), 128);
    assert_eq!(progress.into_inner().unwrap().last(), Some(&1.0));
}

#[tokio::test]
async fn a_picture_is_made_smaller_by_the_means_of_blocks() {
    let site = Site::new();
    let inspector = site.viewer.inspector(1, &CancelToken::new());
    let image = inspector.open("", "cube.fits", "").await.unwrap();
    let wish = PictureWish {
        width: 150,
        channel: 1,
        ..WISH
    };
    let picture = image.picture(&inspector, wish, |_| {}).await.unwrap();
    assert_eq!((picture.width, picture.height), (150, 100));
    // numpy: arange(300 * 200).reshape(100, 2, 150, 2).mean((1, 3)) + 300 * 200, its first and last
    assert_eq!(picture.limits, Some((60150.5, 119848.5)));
}

#[tokio::test]
async fn statistics_spectra_and_histograms_are_those_of_numpy() {
    let site = Site::new();
    let inspector = site.viewer.inspector(1, &CancelToken::new());
    let image = inspector.open("", "cube.fits", "").await.unwrap();
    let plane = image.plane(&inspector, 2, 0).await.unwrap();
    // numpy: arange(300 * 200, dtype=float64) + 120000
    assert_eq!(plane.statistics.count(), 60_000);
    assert!((plane.statistics.mean() - 149_999.5).abs() < 1e-6);
    assert_eq!(plane.statistics.max(), 179_999.0);
    let spectrum = image.spectrum(&inspector, (7, 3), 0, |_| {}).await.unwrap();
    let expected: Vec<f32> = (0..12).map(|c| (c * 60_000 + 907) as f32).collect();
    assert_eq!(spectrum.values, expected);
    let progress = Mutex::new(Vec::new());
    let cube = image
        .cube(&inspector, 0, |done| progress.lock().unwrap().push(done))
        .await
        .unwrap();
    assert_eq!(cube.statistics.count(), 720_000);
    assert_eq!(cube.histogram.unwrap().counts().iter().sum::<u64>(), 720_000);
    assert_eq!(progress.into_inner().unwrap().last(), Some(&1.0));
    assert!(image.spectrum(&inspector, (300, 0), 0, |_| {}).await.is_err());
    assert!(image.plane(&inspector, 12, 0).await.is_err());
}

#[tokio::test]
async fn folders_are_listed_and_files_described() {
    let site = Site::new();
    std::fs::create_dir(site.folder.path().join("sub")).unwrap();
    let inspector = site.viewer.inspector(1, &CancelToken::new());
    let list = inspector.list("").await.unwrap();
    let names: Vec<_> = list.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["cube.fits", "flat.fits"]);
    assert_eq!(list.subdirectories[0].name, "sub");
    let info = inspector.info("", "cube.fits", "").await.unwrap();
    assert_eq!(info.images.len(), 1);
    assert_eq!(info.images[0].1.depth, 12);
    for outside in ["..", "/../.."] {
        assert!(matches!(
            inspector.list(outside).await,
            Err(ViewerError::Outside { .. })
        ));
        assert!(inspector.open(outside, "passwd", "").await.is_err());
    }
}

#[tokio::test]
async fn nothing_is_answered_after_a_cancel() {
    let site = Site::new();
    let token = CancelToken::new();
    let inspector = site.viewer.inspector(1, &token);
    let image = inspector.open("", "cube.fits", "").await.unwrap();
    token.cancel();
    assert!(image.picture(&inspector, WISH, |_| {}).await.is_err());
    assert!(image.cube(&inspector, 0, |_| {}).await.is_err());
}

#[tokio::test]
async fn the_cube_histogram_of_a_session_is_a_job_that_can_be_cancelled() {
    let site = Site::new();
    // Seconds of work on a file of holes.
    let path = site.folder.path().join("large.fits");
    write_fits(&path, &[2, 2, 2]);
    let header = std::fs::read(&path).unwrap()[..2880].to_vec();
    let header = String::from_utf8(header)
        .unwrap()
        .replace("NAXIS1  =                    2", "NAXIS1  =                 8192")
        .replace("NAXIS2  =                    2", "NAXIS2  =                 8192")
        .replace("NAXIS3  =                    2", "NAXIS3  =                   64");
    std::fs::write(&path, header).unwrap();
    let length = 2880 + (8192_u64 * 8192 * 64 * 4).next_multiple_of(2880);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length).unwrap();

    let mut tab = site.start(None);
    tab.send(open(0, "large.fits")).await;
    let config = messages::HistogramConfig {
        coordinate: "z".to_owned(),
        channel: -2,
        num_bins: -1,
        ..Default::default()
    };
    tab.send(messages::SetHistogramRequirements {
        file_id: 0,
        region_id: -2,
        histograms: vec![config],
    })
    .await;
    let jobs = site.viewer.jobs();
    let mut changes = jobs.changes();
    let job = loop {
        match jobs.list().into_iter().next() {
            Some(job) => break job,
            None => changes.changed().await.unwrap(),
        }
    };
    assert_eq!(job.what, "cube histogram of large.fits");
    assert_eq!(job.owner, JobOwner::Session(SessionId::new(7).unwrap()));
    assert!(jobs.cancel(job.id));
    let told: messages::ErrorData = tab.wait().await;
    assert_eq!(told.message, "The histogram of the cube was cancelled.");
    while !jobs.list().is_empty() {
        changes.changed().await.unwrap();
    }
}
