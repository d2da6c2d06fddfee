//! The cursor: its value, its profiles and its spectra.

use chartroom_icd::messages::set_spectral_requirements::SpectralConfig;
use chartroom_icd::messages::{
    ErrorData, SetSpectralRequirements, SpatialProfileData, SpectralProfileData, StatsType,
};
use chartroom_testkit::client::{Client, fp32};

use super::{
    ICD, all, channel, cube_value, fence, is_sentence, move_cursor, of_kind, server, server_with_cube,
    spatial, write_cube,
};

#[tokio::test]
async fn a_cursor_is_answered_with_the_value_of_its_pixel_and_the_profiles_through_it() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    move_cursor(&mut client, 0, 12.4, 33.6).await;
    let answer = client.wait::<SpatialProfileData>().await.unwrap();
    assert_eq!(
        (answer.file_id, answer.region_id, answer.x, answer.y),
        (0, 0, 12, 34)
    );
    assert_eq!((answer.channel, answer.stokes), (0, 0));
    assert_eq!(answer.value, cube_value(12, 34, 0));
    assert!(answer.profiles.is_empty());

    client
        .send(spatial(0, &[("x", 0, 0, 1), ("y", 0, 0, 1)]))
        .await
        .unwrap();
    let answer = client.wait::<SpatialProfileData>().await.unwrap();
    let [x, y] = &answer.profiles[..] else {
        panic!("{answer:?}");
    };
    assert_eq!((x.coordinate.as_str(), x.start, x.end), ("x", 0, 300));
    assert_eq!((y.coordinate.as_str(), y.start, y.end), ("y", 0, 200));
    let row: Vec<f32> = (0..300).map(|x| cube_value(x, 34, 0)).collect();
    let column: Vec<f32> = (0..200).map(|y| cube_value(12, y, 0)).collect();
    assert_eq!(fp32(&x.raw_values_fp32), row);
    assert_eq!(fp32(&y.raw_values_fp32), column);

    // The profiles follow the channel.
    client.send(channel(0, 5, &[])).await.unwrap();
    let answer = client.wait::<SpatialProfileData>().await.unwrap();
    assert_eq!((answer.channel, answer.value), (5, cube_value(12, 34, 5)));
}

#[tokio::test]
async fn a_part_of_a_profile_comes_with_its_bounds_and_as_coarse_as_asked() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client
        .send(spatial(
            0,
            &[("x", 20, 60, 1), ("y", 100, 5000, 1), ("x", 0, 300, 4)],
        ))
        .await
        .unwrap();
    move_cursor(&mut client, 0, 30.0, 40.0).await;
    let answer = client.wait::<SpatialProfileData>().await.unwrap();
    let [part, clamped, coarse] = &answer.profiles[..] else {
        panic!("{answer:?}");
    };
    assert_eq!((part.start, part.end, part.mip), (20, 60, 1));
    let row: Vec<f32> = (20..60).map(|x| cube_value(x, 40, 0)).collect();
    assert_eq!(fp32(&part.raw_values_fp32), row);
    assert_eq!((clamped.start, clamped.end), (100, 200));
    assert_eq!(fp32(&clamped.raw_values_fp32).len(), 100);
    assert_eq!((coarse.start, coarse.end, coarse.mip), (0, 300, 4));
    let values = fp32(&coarse.raw_values_fp32);
    assert!(!values.is_empty() && values.len() < 300);
    assert!(values.iter().all(|value| (400.0..700.0).contains(value)));
}

#[tokio::test]
async fn of_many_moves_the_last_is_answered() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client
        .send(spatial(0, &[("x", 0, 0, 1), ("y", 0, 0, 1)]))
        .await
        .unwrap();
    for round in 0..5 {
        for step in 0..100 {
            move_cursor(&mut client, 0, step as f32, round as f32).await;
        }
        let frames = client
            .until(|frame| of_kind::<SpatialProfileData>(frame).is_some_and(|p| (p.x, p.y) == (99, round)))
            .await
            .unwrap();
        let answers = all::<SpatialProfileData>(&frames);
        assert!(answers.len() <= 100);
        assert!(answers.is_sorted_by_key(|answer| (answer.y, answer.x)));
        // The last one is the last.
        assert!(all::<SpatialProfileData>(&fence(&mut client).await).is_empty());
    }
}

#[tokio::test]
async fn a_cursor_outside_of_the_image_is_no_error_and_has_no_value() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    for (x, y) in [
        (-1.0, 5.0),
        (5.0, -0.6),
        (300.0, 5.0),
        (5.0, 1e30),
        (f32::NAN, 5.0),
        (5.0, f32::INFINITY),
    ] {
        move_cursor(&mut client, 0, x, y).await;
    }
    let frames = fence(&mut client).await;
    assert!(all::<SpatialProfileData>(&frames).is_empty());
    assert!(all::<ErrorData>(&frames).is_empty());
    move_cursor(&mut client, 0, 299.4, 199.4).await;
    assert_eq!(client.wait::<SpatialProfileData>().await.unwrap().x, 299);
}

#[tokio::test]
async fn a_profile_that_the_image_does_not_have_leads_to_an_error() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    move_cursor(&mut client, 0, 3.0, 3.0).await;
    client.wait::<SpatialProfileData>().await.unwrap();
    for coordinate in ["z", "", "no such"] {
        client.send(spatial(0, &[(coordinate, 0, 0, 1)])).await.unwrap();
        let error = client.wait::<ErrorData>().await.unwrap();
        assert!(is_sentence(&error.message), "{coordinate}: {}", error.message);
    }
}

fn spectrum(file_id: i32, coordinates: &[&str]) -> SetSpectralRequirements {
    let config = |coordinate: &&str| SpectralConfig {
        coordinate: (*coordinate).to_owned(),
        stats_types: vec![StatsType::Sum.into()],
    };
    SetSpectralRequirements {
        file_id,
        region_id: 0,
        spectral_profiles: coordinates.iter().map(config).collect(),
    }
}

#[tokio::test]
async fn a_spectrum_follows_the_cursor_and_not_the_channel() {
    let (_server, mut client) = server_with_cube().await;
    client.open("", "cube.fits", 0).await.unwrap();
    client.send(spectrum(0, &["z"])).await.unwrap();
    move_cursor(&mut client, 0, 7.0, 9.0).await;
    let answer = client.wait::<SpectralProfileData>().await.unwrap();
    assert_eq!((answer.region_id, answer.stokes, answer.progress), (0, 0, 1.0));
    let expected: Vec<f32> = (0..12).map(|c| cube_value(7, 9, c)).collect();
    assert_eq!(answer.profiles[0].coordinate, "z");
    assert_eq!(answer.profiles[0].stats_type(), StatsType::Sum);
    assert_eq!(fp32(&answer.profiles[0].raw_values_fp32), expected);

    client.send(channel(0, 4, &[])).await.unwrap();
    client.wait::<SpatialProfileData>().await.unwrap();
    assert!(all::<SpectralProfileData>(&fence(&mut client).await).is_empty());

    client.send(spectrum(0, &["x"])).await.unwrap();
    assert!(is_sentence(&client.wait::<ErrorData>().await.unwrap().message));
    // Without requirements there are no spectra.
    client.send(spectrum(0, &[])).await.unwrap();
    move_cursor(&mut client, 0, 8.0, 9.0).await;
    while client.wait::<SpatialProfileData>().await.unwrap().x != 8 {}
    assert!(all::<SpectralProfileData>(&fence(&mut client).await).is_empty());
}

#[tokio::test]
async fn a_long_spectrum_is_given_up_for_that_of_a_newer_cursor() {
    const CHANNELS: u64 = 60_000;
    let server = server().await;
    write_cube(&server.folder().join("deep.fits"), [6, 5, CHANNELS]);
    let mut client = Client::register(server.url(), ICD).await.unwrap();
    client.open("", "deep.fits", 0).await.unwrap();
    client.send(spectrum(0, &["z"])).await.unwrap();
    for step in 0..30_u64 {
        move_cursor(&mut client, 0, (step % 6) as f32, (step / 6) as f32).await;
    }
    let values = |x, y| -> Vec<f32> { (0..CHANNELS).map(|c| cube_value(x, y, c)).collect() };
    let last = values(5, 4);
    let mut whole = 0;
    loop {
        let answer = client.wait::<SpectralProfileData>().await.unwrap();
        let spectrum = fp32(&answer.profiles[0].raw_values_fp32);
        assert_eq!(spectrum.len(), CHANNELS as usize);
        if answer.progress < 1.0 {
            // What is not known yet is said to be so.
            assert!(spectrum.last().unwrap().is_nan());
            continue;
        }
        whole += 1;
        if spectrum == last {
            break;
        }
    }
    assert!(whole <= 30);
    assert!(all::<SpectralProfileData>(&fence(&mut client).await).is_empty());
}
