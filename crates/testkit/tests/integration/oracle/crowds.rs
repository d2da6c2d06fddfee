//! Many clients at once: a server that is killed under load, and connections that all break together.
//!
//! With `CHARTROOM_SEEDS` in the environment they are as many as the project promises, else fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chartroom_icd::messages::{
    self, AnimationFlowControl, AnimationFrame, CompressionType, FileListRequest, FileListResponse,
    ImageProperties, RasterTileData, RasterTileSync, ResumeSession, ResumeSessionAck, StartAnimation,
    StopAnimation,
};
use chartroom_icd::{Frame, ServerMessage};
use chartroom_testkit::client::{Client, Incoming, ResumableClient, tile};
use chartroom_testkit::fits::{Header, image};
use chartroom_testkit::history::check;
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::protocol::elsewhere::Elsewhere;

const ICD: u16 = 30;

const CHANNELS: u64 = 8;

/// So many by itself, or so many when there is time.
fn many(few: usize, all: usize) -> usize {
    match std::env::var_os("CHARTROOM_SEEDS") {
        Some(_) => all,
        None => few,
    }
}

/// Writes a cube for each client; every pixel says whose it is and of which channel.
fn write_cubes(server: &Elsewhere, clients: usize) {
    let header = Header::image::<f32>(&[64, 48, CHANNELS]).with("CTYPE3", "FREQ");
    for client in 0..clients {
        let cube = image(&header, |i| value(client, i / (64 * 48)));
        std::fs::write(server.folder().join(format!("{client}.fits")), cube).unwrap();
    }
}

fn value(client: usize, channel: u64) -> f32 {
    (client as u64 * 100 + channel) as f32
}

fn of_kind<M: ServerMessage + Default>(frame: &Frame) -> Option<M> {
    (frame.header.event == M::EVENT as i32 as u16).then(|| M::decode(frame.payload.clone()).unwrap())
}

fn wish() -> messages::AddRequiredTiles {
    messages::AddRequiredTiles {
        file_id: 0,
        tiles: vec![0],
        compression_type: CompressionType::Zfp.into(),
        // Enough bits for every value to be told from the next.
        compression_quality: 24.0,
        ..Default::default()
    }
}

/// Plays until it is told to stop, and checks that every frame is its own.
async fn play(
    mut client: ResumableClient,
    number: usize,
    frames: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) {
    let frame = |channel| Some(AnimationFrame { channel, stokes: 0 });
    client.open("", &format!("{number}.fits"), 0).await.unwrap();
    client
        .send(StartAnimation {
            last_frame: frame(CHANNELS as i32 - 1),
            delta_frame: frame(1),
            frame_rate: 10,
            looping: true,
            required_tiles: Some(wish()),
            ..Default::default()
        })
        .await
        .unwrap();
    loop {
        let incoming = tokio::select! {
            incoming = client.next() => incoming,
            stopped = stop.wait_for(|stop| *stop) => {
                stopped.unwrap();
                break;
            }
        };
        let Incoming::Message(message) = incoming.unwrap_or_else(|error| panic!("client {number}: {error}"))
        else {
            continue;
        };
        if let Some(data) = of_kind::<RasterTileData>(&message) {
            let expected = value(number, data.channel as u64);
            for one in &data.tiles {
                let pixels = tile(&data, one).unwrap().values;
                let own = pixels.iter().all(|pixel| (pixel - expected).abs() < 0.4);
                assert!(
                    own,
                    "client {number} expects {expected}, but was shown {}",
                    pixels[0]
                );
            }
        }
        if let Some(end) = of_kind::<RasterTileSync>(&message).filter(|sync| sync.end_sync) {
            frames.fetch_add(1, Ordering::Relaxed);
            let received = AnimationFlowControl {
                received_frame: frame(end.channel),
                ..Default::default()
            };
            client.send(received).await.unwrap();
        }
    }
    let end_frame = frame(0);
    client
        .send(StopAnimation {
            file_id: 0,
            end_frame,
        })
        .await
        .unwrap();
    client.send(FileListRequest::default()).await.unwrap();
    client.wait::<FileListResponse>().await.unwrap();
    assert_eq!(check(&client.take_history()), [], "client {number}");
    client.close().await.unwrap();
}

/// Waits until every client was shown so many more frames.
async fn go_on(frames: &[Arc<AtomicU64>], more: u64) {
    let seen = |counter: &Arc<AtomicU64>| counter.load(Ordering::Relaxed);
    let before: Vec<u64> = frames.iter().map(seen).collect();
    let begin = Instant::now();
    while !frames
        .iter()
        .zip(&before)
        .all(|(now, before)| seen(now) >= before + more)
    {
        let waiting: Vec<usize> = (0..frames.len())
            .filter(|&at| seen(&frames[at]) < before[at] + more)
            .collect();
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "nothing comes for {waiting:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn animations_go_on_as_their_own_however_often_the_server_is_killed() {
    let (clients, kills) = (many(12, 50), many(4, 10));
    let mut server = Elsewhere::start().await;
    write_cubes(&server, clients);
    let (stop, stopped) = watch::channel(false);
    let frames: Vec<Arc<AtomicU64>> = (0..clients).map(|_| Arc::default()).collect();
    let mut playing = Vec::new();
    for (number, frames) in frames.iter().enumerate() {
        let mut client = ResumableClient::open_stream(&server.url, ICD).await.unwrap();
        client.record();
        client.register_as(0).await.unwrap();
        playing.push(tokio::spawn(play(
            client,
            number,
            Arc::clone(frames),
            stopped.clone(),
        )));
    }
    for _ in 0..kills {
        go_on(&frames, 2).await;
        server.kill().await;
        server.start_again().await;
    }
    go_on(&frames, 3).await;
    stop.send(true).unwrap();
    for client in playing {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_knows_its_session_finds_it_again_if_the_server_is_killed_at_once() {
    for _ in 0..3 {
        let mut server = Elsewhere::start().await;
        let mut plain = Client::register(&server.url, ICD).await.unwrap();
        let mut stream = ResumableClient::register_resumable(&server.url, ICD)
            .await
            .unwrap();
        server.kill().await;
        server.start_again().await;
        let id = plain.session_id();
        let ack = plain.reconnect(&server.url, id).await.unwrap();
        assert_eq!(
            (ack.session_id, &*ack.platform_strings["recovery_level"]),
            (id, "cold")
        );
        stream.open("", "cube.fits", 0).await.unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sessions_whose_connections_break_all_at_once_come_back_warm_and_open_nothing_again() {
    let clients = many(40, 300);
    let server = Elsewhere::start().await;
    write_cubes(&server, clients);
    let (mut plain, mut streams) = (Vec::new(), Vec::new());
    for number in 0..clients {
        let name = format!("{number}.fits");
        if number % 2 == 0 {
            let mut client = Client::register(&server.url, ICD).await.unwrap();
            client.open("", &name, 0).await.unwrap();
            plain.push((number, client));
        } else {
            let mut client = ResumableClient::register_resumable(&server.url, ICD)
                .await
                .unwrap();
            client.open("", &name, 0).await.unwrap();
            streams.push((number, client));
        }
    }
    let before = server.open_files();
    assert!(before.len() >= clients, "{} files are open", before.len());

    for (_, client) in &mut streams {
        client.link().cut();
    }
    let url = server.url.as_str();
    let plain = plain.into_iter().map(|(number, mut client)| async move {
        let id = client.session_id();
        let ack = client.reconnect(url, id).await.unwrap();
        assert_eq!(ack.platform_strings["recovery_level"], "warm");
        let image = ImageProperties {
            file: format!("{number}.fits"),
            ..Default::default()
        };
        let resume = ResumeSession {
            images: vec![image],
            ..Default::default()
        };
        client.send(resume).await.unwrap();
        let ack: ResumeSessionAck = client.wait().await.unwrap();
        assert_eq!((ack.success, ack.message.as_str()), (true, ""));
        client.send(wish()).await.unwrap();
        let shown = client.tiles().await.unwrap().1;
        assert!((shown[0].values[0] - value(number, 0)).abs() < 0.4);
        client
    });
    let streams = streams.into_iter().map(|(number, mut client)| async move {
        client.send(wish()).await.unwrap();
        let shown = client.tiles().await.unwrap().1;
        assert!((shown[0].values[0] - value(number, 0)).abs() < 0.4);
        let counters = client.link().counters();
        // More than one if an attempt took so long that the client made another.
        assert!(counters.resumptions >= 1 && counters.restarts == 0, "{number}");
        client
    });
    let kept = tokio::join!(join_all(plain), join_all(streams));
    assert_eq!(server.sessions().await, clients as f64);
    assert_eq!(server.open_files(), before);
    drop(kept);
}
