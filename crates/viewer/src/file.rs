//! One open file of a session: what is looked at, what is wanted, and what is at work for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chartroom_icd::messages;
use chartroom_sched::CancelToken;
use tokio::sync::watch;

use crate::channel_map::ChannelMap;
use crate::image::{Image, Plane, Polarisation};
use crate::planes::Planes;
use crate::session::{Hold, Holdings, Subject, Topic};
use crate::tiles::{TilePlace, TileWish};

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) id: i32,
    /// How the client asked for it.
    pub(crate) request: messages::OpenFile,
    _hold: Hold,
    pub(crate) planes: Planes,
    /// Cancelled when the file is closed; every other token of the file descends from it.
    pub(crate) life: CancelToken,
    pub(crate) view: View,
    /// Tiles that the client looks at, as far as it has said so.
    pub(crate) wish: Option<TileWish>,
    /// Tiles of the view that were wished for before, the newest first: they are on the screen, or on their way to it.
    pub(crate) earlier: Vec<TilePlace>,
    /// What the channel map shows, if there is one.
    pub(crate) map_wish: Option<messages::SetImageChannels>,
    pub(crate) channel_map: Option<ChannelMap>,
    /// The pixel under the cursor.
    pub(crate) cursor: Option<(u64, u64)>,
    pub(crate) spatial: Vec<messages::set_spatial_requirements::SpatialConfig>,
    pub(crate) spectral: Vec<messages::set_spectral_requirements::SpectralConfig>,
    /// The polarisation in view when the spectra were last sent.
    pub(crate) spectral_of: Option<Polarisation>,
    pub(crate) statistics: Vec<messages::set_stats_requirements::StatsConfig>,
    pub(crate) histograms: Vec<messages::HistogramConfig>,
    pub(crate) cube_histograms: Vec<messages::HistogramConfig>,
    /// What is at work, by its purpose; a newer wish cancels the older.
    tasks: BTreeMap<Purpose, CancelToken>,
}

/// How many tiles are remembered of earlier wishes: as many as fill a large screen.
const EARLIER_TILES: usize = 192;

/// What a task of a file is for. Invariant 9: of each there is one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    SpatialProfiles,
    SpectralProfiles,
    Statistics,
    Histograms,
    CubeHistogram,
}

/// The plane that the client looks at.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) plane: Plane,
    /// Cancelled when another plane is looked at.
    pub(crate) token: CancelToken,
    /// Opens when the histogram of the plane has been sent: tiles must not come before it.
    pub(crate) gate: watch::Sender<Gate>,
    /// Whether the histogram is on its way, so that the gate will open.
    pub(crate) begun: bool,
}

/// How far the histogram of a view has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// Nothing was sent yet.
    Closed,
    /// A histogram of a sample was sent: good enough to draw a first picture.
    Sampled,
    /// The histogram was sent, or it could not be made and the user was told.
    Open,
}

impl View {
    fn new(plane: Plane, life: &CancelToken) -> Self {
        Self {
            plane,
            token: life.child(),
            gate: watch::Sender::new(Gate::Closed),
            begun: false,
        }
    }

    /// Waits until the histogram has come as far as `wanted`.
    pub(crate) async fn passed(&self, wanted: Gate) {
        let mut gate = self.gate.subscribe();
        // The sender is part of `self`, so waiting cannot fail.
        let _ = gate.wait_for(|gate| *gate >= wanted).await;
    }
}

impl OpenFile {
    pub(crate) fn new(
        request: messages::OpenFile,
        image: Arc<Image>,
        life: CancelToken,
        holdings: &Holdings,
    ) -> Self {
        let plane = Plane {
            channel: 0,
            polarisation: Polarisation::Stored(0),
        };
        let hold = holdings.hold(&image);
        let planes = Planes { image };
        let view = View::new(plane, &life);
        Self {
            id: request.file_id,
            request,
            _hold: hold,
            planes,
            life,
            view,
            wish: None,
            earlier: Vec::new(),
            map_wish: None,
            channel_map: None,
            cursor: None,
            spatial: Vec::new(),
            spectral: Vec::new(),
            spectral_of: None,
            statistics: Vec::new(),
            histograms: Vec::new(),
            cube_histograms: Vec::new(),
            tasks: BTreeMap::new(),
        }
    }

    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.planes.image
    }

    /// What a message of this file is about.
    pub(crate) fn subject(&self, topic: Topic) -> Subject {
        Subject {
            file_id: Some(self.id),
            topic,
        }
    }

    /// Looks at another plane. The old view's work is cancelled.
    pub(crate) fn look_at(&mut self, plane: Plane) {
        self.view.token.cancel();
        self.view = View::new(plane, &self.life);
        self.earlier.clear();
    }

    /// Wishes for tiles of the view, besides those that were wished for before.
    pub(crate) fn wish_for(&mut self, wish: TileWish) {
        if let Some(before) = self.wish.take().filter(|before| before.is_like(&wish)) {
            let places = before.tiles.into_iter().chain(std::mem::take(&mut self.earlier));
            self.earlier = places.filter(|place| !wish.tiles.contains(place)).collect();
            self.earlier.truncate(EARLIER_TILES);
        } else {
            self.earlier.clear();
        }
        self.wish = Some(wish);
    }

    /// Begins something for `purpose` and cancels what was at work for it before. `parent` cancels it as well.
    pub(crate) fn begin(&mut self, purpose: Purpose, parent: &CancelToken) -> CancelToken {
        let token = parent.child();
        if let Some(older) = self.tasks.insert(purpose, token.clone()) {
            older.cancel();
        }
        token
    }

    /// Begins something for `purpose` that depends on the plane in view, if it is `wanted`; cancels what was at work for it
    /// before in any case.
    pub(crate) fn begin_for_view(&mut self, purpose: Purpose, wanted: bool) -> Option<(View, CancelToken)> {
        if !wanted {
            self.give_up(purpose);
            return None;
        }
        let view = self.view.clone();
        let token = self.begin(purpose, &view.token);
        Some((view, token))
    }

    /// Cancels what is at work for `purpose`.
    pub(crate) fn give_up(&mut self, purpose: Purpose) {
        if let Some(token) = self.tasks.remove(&purpose) {
            token.cancel();
        }
    }
}
