//! A client that looks at one image after the other.

use std::path::Path;

use chartroom_icd::ServerMessage;
use chartroom_icd::messages::set_spatial_requirements::SpatialConfig;
use chartroom_icd::messages::set_spectral_requirements::SpectralConfig;
use chartroom_icd::messages::set_stats_requirements::StatsConfig;
use chartroom_icd::messages::{self, CompressionType, StatsType};
use chartroom_testkit::client::{Client, Tile, tile_number};
use chartroom_testkit::server::TestServer;

use super::oracle;

const IMAGE: i32 = -1;
const CUBE: i32 = -2;
const CURSOR: i32 = 0;

/// A server over a folder, a client, and the image that it has open.
#[derive(Debug)]
pub(super) struct Viewing {
    // Keeps the server running.
    _server: TestServer,
    client: Client,
    file_id: i32,
}

impl Viewing {
    pub(super) async fn start(folder: &Path) -> Self {
        Self::start_within(folder, None).await
    }

    /// With a bound on the server's memory.
    pub(super) async fn start_within(folder: &Path, memory: Option<u64>) -> Self {
        let server = TestServer::start_with(|options| {
            options.memory_limit = memory;
            options.paths = vec![folder.to_owned()];
            options.top_level_folder = Some(folder.to_owned());
        })
        .await
        .unwrap();
        let client = Client::register(server.url(), 30).await.unwrap();
        Self {
            _server: server,
            client,
            file_id: -1,
        }
    }

    pub(super) async fn open(&mut self, name: &str) -> messages::OpenFileAck {
        self.file_id += 1;
        let opened = self.client.open("", name, self.file_id).await;
        opened.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) async fn close(&mut self) {
        let request = messages::CloseFile {
            file_id: self.file_id,
        };
        self.client.send(request).await.unwrap();
        self.client.take_kept();
    }

    pub(super) async fn look_at(&mut self, channel: i32, stokes: i32) {
        let request = messages::SetImageChannels {
            file_id: self.file_id,
            channel,
            stokes,
            ..Default::default()
        };
        self.client.send(request).await.unwrap();
    }

    /// The tiles in the order asked for.
    pub(super) async fn tiles(
        &mut self,
        wanted: &[oracle::Tile],
        compression: CompressionType,
        precision: u32,
    ) -> Vec<Tile> {
        let numbers: Vec<i32> = wanted
            .iter()
            .map(|tile| tile_number(tile.layer, tile.x, tile.y))
            .collect();
        self.client
            .ask_tiles(self.file_id, numbers.clone(), compression, precision as f32)
            .await
            .unwrap();
        let (_, mut tiles) = self.client.tiles().await.unwrap();
        assert_eq!(tiles.len(), wanted.len());
        tiles.sort_by_key(|tile| {
            let number = tile_number(tile.layer, tile.x, tile.y);
            numbers.iter().position(|&asked| asked == number)
        });
        for (tile, wanted) in tiles.iter().zip(wanted) {
            let place = (tile.layer, tile.x, tile.y, tile.width, tile.height);
            assert_eq!(
                place,
                (wanted.layer, wanted.x, wanted.y, wanted.width, wanted.height)
            );
        }
        tiles
    }

    /// Sets the cursor and waits for the profiles that `configs` ask for.
    pub(super) async fn cursor(
        &mut self,
        (x, y): (i32, i32),
        configs: Vec<SpatialConfig>,
    ) -> messages::SpatialProfileData {
        let parts = |mip: i32, coordinate: &str| (mip, coordinate.to_owned());
        let asked: Vec<_> = configs.iter().map(|c| parts(c.mip, &c.coordinate)).collect();
        let request = messages::SetCursor {
            file_id: self.file_id,
            // Clients send where the mouse is, not the nearest pixel.
            point: Some(messages::Point {
                x: x as f32 + 0.4,
                y: y as f32 - 0.4,
            }),
            spatial_requirements: Some(messages::SetSpatialRequirements {
                file_id: self.file_id,
                region_id: CURSOR,
                spatial_profiles: configs,
            }),
        };
        self.client.send(request).await.unwrap();
        // A change of the channel brings profiles of the former place or kinds before.
        self.wait(move |message: &messages::SpatialProfileData| {
            let found = message.profiles.iter().map(|p| parts(p.mip, &p.coordinate));
            (message.x, message.y) == (x, y) && found.eq(asked.iter().cloned())
        })
        .await
    }

    /// Sets the cursor and waits for the complete spectrum.
    pub(super) async fn spectrum(
        &mut self,
        (x, y): (i32, i32),
        coordinate: &str,
    ) -> messages::SpectralProfileData {
        let request = messages::SetCursor {
            file_id: self.file_id,
            point: Some(messages::Point {
                x: x as f32,
                y: y as f32,
            }),
            ..Default::default()
        };
        self.client.send(request).await.unwrap();
        self.want_spectra(vec![SpectralConfig {
            coordinate: coordinate.to_owned(),
            stats_types: vec![StatsType::Sum.into()],
        }])
        .await;
        let spectrum = self
            .wait(|message: &messages::SpectralProfileData| message.progress >= 1.0)
            .await;
        // Otherwise the next cursor or polarisation would bring one more, which does not say of which pixel it is.
        self.want_spectra(vec![]).await;
        spectrum
    }

    async fn want_spectra(&mut self, spectral_profiles: Vec<SpectralConfig>) {
        let request = messages::SetSpectralRequirements {
            file_id: self.file_id,
            region_id: CURSOR,
            spectral_profiles,
        };
        self.client.send(request).await.unwrap();
    }

    pub(super) async fn want_histograms(
        &mut self,
        region_id: i32,
        histograms: Vec<messages::HistogramConfig>,
    ) {
        let request = messages::SetHistogramRequirements {
            file_id: self.file_id,
            region_id,
            histograms,
        };
        self.client.send(request).await.unwrap();
    }

    /// The histogram of a plane: the automatic one, or the one with fixed bins. That of a sample, which may come before,
    /// is left out.
    pub(super) async fn histogram(
        &mut self,
        plane: &oracle::Plane,
        fixed: bool,
    ) -> messages::RegionHistogramData {
        let place = (self.file_id, IMAGE, plane.channel, plane.stokes);
        self.wait(move |message: &messages::RegionHistogramData| {
            let found = (
                message.file_id,
                message.region_id,
                message.channel,
                message.stokes,
            );
            let config = message.config.as_ref();
            found == place
                && message.progress >= 1.0
                && config.is_some_and(|config| config.fixed_num_bins == fixed)
        })
        .await
    }

    /// Asks for the histogram of all channels and waits for it.
    pub(super) async fn cube_histogram(&mut self, coordinate: &str) -> messages::RegionHistogramData {
        let config = messages::HistogramConfig {
            coordinate: coordinate.to_owned(),
            channel: CUBE,
            num_bins: -1,
            ..Default::default()
        };
        self.want_histograms(CUBE, vec![config]).await;
        self.wait(|message: &messages::RegionHistogramData| {
            message.region_id == CUBE && message.progress >= 1.0
        })
        .await
    }

    pub(super) async fn want_statistics(&mut self, coordinate: &str, kinds: &[StatsType]) {
        let request = messages::SetStatsRequirements {
            file_id: self.file_id,
            region_id: IMAGE,
            stats_configs: vec![StatsConfig {
                coordinate: coordinate.to_owned(),
                stats_types: kinds.iter().map(|&kind| kind.into()).collect(),
            }],
        };
        self.client.send(request).await.unwrap();
    }

    pub(super) async fn statistics(&mut self, plane: &oracle::Plane) -> messages::RegionStatsData {
        let place = (self.file_id, IMAGE, plane.channel, plane.stokes);
        self.wait(move |message: &messages::RegionStatsData| {
            place
                == (
                    message.file_id,
                    message.region_id,
                    message.channel,
                    message.stokes,
                )
        })
        .await
    }

    /// The next message that is `wanted`; those of its kind before it are forgotten.
    async fn wait<M: ServerMessage + Default>(&mut self, wanted: impl Fn(&M) -> bool) -> M {
        loop {
            let message: M = self.client.wait().await.unwrap();
            if wanted(&message) {
                return message;
            }
        }
    }
}
