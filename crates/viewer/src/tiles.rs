//! Raster tiles: ADD_REQUIRED_TILES, REMOVE_REQUIRED_TILES, and the groups in which tiles are sent.
//!
//! A group is announced with the number of its tiles, then come the tiles, then its end. Tiles of full or half
//! resolution are read from the file; coarser ones come from the sums that the first pass over the plane left.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use chartroom_compute::{mip, nan_runs, zfp};
use chartroom_icd::messages::{self, CompressionType};
use chartroom_icd::{Outgoing, RasterTile, TileMessage};
use chartroom_image::Shape4;
use chartroom_sched::{CancelToken, Class};
use futures_util::StreamExt;

use crate::ViewerError;
use crate::cursor::little_endian;
use crate::file::{Gate, OpenFile, View};
use crate::image::{Plane, Window};
use crate::planes::{BASE_MIP, Overview, Planes, with_scratch};
use crate::session::{Actor, Context, Subject, Topic};
use crate::work::Work;

/// Pixels along one side of a tile.
const TILE: u64 = 256;

/// Planes with more pixels than this get a first picture with the histogram of a sample.
const LARGE_PLANE_PIXELS: u64 = 16 * 1024 * 1024;

/// A tile's place in the pyramid of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TilePlace {
    layer: u32,
    x: u32,
    y: u32,
}

impl TilePlace {
    /// Takes a tile's number apart: layer in 8 bits, row and column in 12 bits each.
    fn decode(encoded: i32) -> Option<Self> {
        let bits = u32::try_from(encoded).ok()?;
        Some(Self {
            layer: bits >> 24,
            y: bits >> 12 & 0xFFF,
            x: bits & 0xFFF,
        })
    }

    /// The number of the tile, as clients write it.
    fn encode(self) -> i32 {
        // As it was decoded, so that the top bit is not set.
        (self.layer << 24 | self.y << 12 | self.x) as i32
    }

    /// Number of image pixels per tile pixel along one axis; `None` if the image has no such layer.
    fn mip(self, shape: Shape4) -> Option<u64> {
        let tiles = shape.width.div_ceil(TILE).max(shape.height.div_ceil(TILE)).max(1);
        let layers = tiles.next_power_of_two().trailing_zeros();
        layers.checked_sub(self.layer).map(|steps| 1 << steps)
    }

    /// The part of the plane that the tile shows; `None` if it lies beyond the image.
    fn window(self, shape: Shape4) -> Option<(Window, u64)> {
        let mip = self.mip(shape)?;
        let side = TILE * mip;
        let range = |place: u32, length: u64| {
            let start = u64::from(place) * side;
            (start < length).then(|| start..(start + side).min(length))
        };
        Some((
            Window {
                x: range(self.x, shape.width)?,
                y: range(self.y, shape.height)?,
            },
            mip,
        ))
    }
}

/// Tiles that a client wants, and how.
#[derive(Debug, Clone)]
pub(crate) struct TileWish {
    pub(crate) tiles: Vec<TilePlace>,
    compression: CompressionType,
    /// Bits of precision for zfp, whole, from 1 to 32.
    precision: u32,
}

impl TileWish {
    /// The tiles that the image has, each once, in the order of the wish.
    pub(crate) fn new(wish: &messages::AddRequiredTiles, shape: Shape4) -> Result<Self, ViewerError> {
        let compression = match wish.compression_type() {
            CompressionType::Sz => {
                return Err(ViewerError::Later {
                    feature: "SZ compression",
                });
            }
            known => known,
        };
        let mut seen = HashSet::new();
        let tiles = wish
            .tiles
            .iter()
            .filter_map(|&encoded| TilePlace::decode(encoded))
            .filter(|place| place.window(shape).is_some() && seen.insert(*place))
            .collect();
        // NaN becomes the lowest precision.
        let precision = wish.compression_quality.floor().clamp(1.0, 32.0).max(1.0) as u32;
        Ok(Self {
            tiles,
            compression,
            precision,
        })
    }

    /// The same, for no tile.
    pub(crate) fn without_tiles(&self) -> Self {
        Self {
            tiles: Vec::new(),
            ..*self
        }
    }

    /// Whether another wish is for tiles that are compressed alike.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.compression, self.precision) == (other.compression, other.precision)
    }

    /// The request for the tiles of the wish and some more.
    pub(crate) fn request(&self, file_id: i32, more: &[TilePlace]) -> messages::AddRequiredTiles {
        messages::AddRequiredTiles {
            file_id,
            tiles: self
                .tiles
                .iter()
                .chain(more)
                .map(|place| place.encode())
                .collect(),
            compression_type: self.compression.into(),
            compression_quality: self.precision as f32,
            current_tiles: Vec::new(),
        }
    }

    /// Leaves out the tiles that are not among those with these numbers.
    pub(crate) fn retain(&mut self, numbers: &HashSet<i32>) {
        self.tiles.retain(|place| numbers.contains(&place.encode()));
    }

    /// Whether the wish is for the single tile that shows the whole of an image of several tiles: a first look, that
    /// the client follows with a wish for finer tiles.
    fn is_first_look(&self, shape: Shape4) -> bool {
        let first = TilePlace { layer: 0, x: 0, y: 0 };
        self.tiles == [first] && first.mip(shape).is_some_and(|mip| mip > 1)
    }
}

/// A group of tiles on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) file_id: i32,
    pub(crate) planes: Planes,
    pub(crate) plane: Plane,
    pub(crate) wish: TileWish,
    pub(crate) sync_id: i32,
    pub(crate) animation_id: i32,
    pub(crate) class: Class,
    pub(crate) token: CancelToken,
    /// For whom the start of the group was. A client that comes later has not seen it and gets nothing of the rest.
    audience: Arc<OnceLock<u64>>,
}

/// How many groups that clients asked for may be at work for one session. A client that asks for more is not listened
/// to until one of them is done.
pub(crate) const GROUPS_AT_WORK: usize = 64;

impl Actor {
    /// ADD_REQUIRED_TILES: sends tiles of the plane that is looked at. While an animation runs, the wish is for its later frames.
    pub(crate) async fn want_tiles(&mut self, wish: &messages::AddRequiredTiles) -> Result<(), ViewerError> {
        let file_id = wish.file_id;
        let animated = self
            .animation
            .as_ref()
            .is_some_and(|animation| animation.moves(file_id));
        let file = self.file(file_id)?;
        let wish = TileWish::new(wish, file.image().shape())?;
        if wish.tiles.is_empty() {
            return Ok(());
        }
        if animated {
            file.earlier.clear();
            file.wish = Some(wish);
            return Ok(());
        }
        file.wish_for(wish.clone());
        if !file.view.begun {
            self.start_view(file_id);
        }
        let file = self.file(file_id)?;
        let view = file.view.clone();
        let token = view.token.clone();
        let group = self.group(file_id, view.plane, wish, 0, Class::Interactive, token)?;
        let context = self.context.clone();
        // The semaphore is never closed, so that leave always comes.
        let leave = Arc::clone(&self.groups).acquire_owned().await;
        tokio::spawn(async move {
            group.send_for(&context, &view).await;
            drop(leave);
        });
        Ok(())
    }

    /// Prepares a group of tiles.
    pub(crate) fn group(
        &mut self,
        file_id: i32,
        plane: Plane,
        wish: TileWish,
        animation_id: i32,
        class: Class,
        token: CancelToken,
    ) -> Result<Group, ViewerError> {
        let sync_id = self.next_sync_id;
        self.next_sync_id = sync_id.checked_add(1).unwrap_or(1);
        let planes = self.file(file_id)?.planes.clone();
        Ok(Group {
            file_id,
            planes,
            plane,
            wish,
            sync_id,
            animation_id,
            class,
            token,
            audience: Arc::default(),
        })
    }

    /// The tiles named are not looked at any more. Those under way are still sent: the client counts them.
    pub(crate) fn on_remove_required_tiles(
        &mut self,
        request: &messages::RemoveRequiredTiles,
    ) -> Result<(), ViewerError> {
        let file = self.file(request.file_id)?;
        let gone: HashSet<_> = request
            .tiles
            .iter()
            .filter_map(|&encoded| TilePlace::decode(encoded))
            .collect();
        if let Some(wish) = &mut file.wish {
            wish.tiles.retain(|place| !gone.contains(place));
        }
        file.earlier.retain(|place| !gone.contains(place));
        Ok(())
    }
}

/// Whether a plane is so large that its histogram keeps a user waiting.
pub(crate) fn is_large(shape: Shape4) -> bool {
    shape.width * shape.height > LARGE_PLANE_PIXELS
}

impl Group {
    /// Sends the group for a view, after the histogram of the view: the client applies the histogram when a group is
    /// complete and would never do so if it came later. Of a large plane, tiles come as soon as the histogram of a
    /// sample was sent, and only the last one waits.
    pub(crate) async fn send_for(self, context: &Context, view: &View) {
        let shape = self.planes.image.shape();
        let (before, last) = match (is_large(shape), self.wish.is_first_look(shape)) {
            (false, _) => (Gate::Open, Gate::Open),
            (true, true) => (Gate::Sampled, Gate::Sampled),
            (true, false) => (Gate::Sampled, Gate::Open),
        };
        view.passed(before).await;
        self.send(context, view.passed(last)).await;
    }

    /// Sends the group; its last tile waits for `before_last`.
    pub(crate) async fn send(self, context: &Context, before_last: impl Future<Output = ()>) {
        if let Err(error) = self.try_send(context, before_last).await {
            context.complain(Some(self.file_id), "tiles", &error).await;
            // The client counts groups, also those that broke; one that is stale is not admitted.
            self.post(context, self.sync(true)).await;
        }
    }

    async fn try_send(
        &self,
        context: &Context,
        before_last: impl Future<Output = ()>,
    ) -> Result<(), ViewerError> {
        let count = self.wish.tiles.len();
        self.post(context, self.sync(false)).await;
        let work = context.work(self.class, &self.token);
        let coarse = self
            .wish
            .tiles
            .iter()
            .any(|t| t.mip(self.planes.image.shape()).is_some_and(|m| m >= BASE_MIP));
        let overview = if coarse {
            Some(self.planes.overview(&work, self.plane).await?)
        } else {
            None
        };

        // Enough in flight that no thread waits for another tile to be sent.
        let in_flight = work.scheduler.options().threads * 2;
        let mut tiles = futures_util::stream::iter(self.wish.tiles.clone())
            .map(|place| {
                let (work, group, overview) = (work.clone(), self.clone(), overview.clone());
                async move { group.tile(&work, place, overview).await }
            })
            .buffered(in_flight);
        let mut sent = 0;
        tokio::pin!(before_last);
        while let Some(tile) = tiles.next().await {
            let tile = tile?;
            sent += 1;
            if sent == count {
                before_last.as_mut().await;
            }
            self.post(context, tile).await;
        }
        self.post(context, self.sync(true)).await;
        Ok(())
    }

    async fn post(&self, context: &Context, message: Outgoing) {
        let subject = Subject {
            file_id: Some(self.file_id),
            topic: Topic::Tiles,
        };
        // Under the lock of the outbox, so that the first message decides for whom all are.
        let admit = || {
            let audience = context.present_audience();
            !self.token.is_cancelled() && *self.audience.get_or_init(|| audience) == audience
        };
        context.send_if(subject, message, admit).await;
    }

    fn sync(&self, end_sync: bool) -> Outgoing {
        let message = messages::RasterTileSync {
            file_id: self.file_id,
            channel: self.plane.channel as i32,
            stokes: self.plane.polarisation.number(),
            sync_id: self.sync_id,
            animation_id: self.animation_id,
            tile_count: self.wish.tiles.len() as i32,
            end_sync,
        };
        Outgoing::new(0, &message)
    }

    /// Makes one tile.
    async fn tile(
        &self,
        work: &Work,
        place: TilePlace,
        overview: Option<Arc<Overview>>,
    ) -> Result<Outgoing, ViewerError> {
        let group = self.clone();
        work.run(move |token| {
            let planes = &group.planes;
            let (window, mip) = place
                .window(planes.image.shape())
                .ok_or_else(|| ViewerError::invalid("The image has no such tile."))?;
            let width = (window.x.end - window.x.start).div_ceil(mip) as usize;
            let height = (window.y.end - window.y.start).div_ceil(mip) as usize;
            with_scratch(width * height, |pixels| {
                match overview.as_deref().filter(|_| mip >= BASE_MIP) {
                    Some(overview) => {
                        let (x, y) = ((window.x.start / mip) as usize, (window.y.start / mip) as usize);
                        let means = overview.sums.means(mip as usize, x..x + width, y..y + height)?;
                        pixels.copy_from_slice(&means);
                    }
                    None if mip == 1 => planes.read(group.plane, &window, pixels, token)?,
                    None => with_scratch(window.pixels(), |full| {
                        planes.read(group.plane, &window, full, token)?;
                        let full_width = (window.x.end - window.x.start) as usize;
                        let full_height = (window.y.end - window.y.start) as usize;
                        Ok::<_, ViewerError>(mip::block_mean(
                            full,
                            full_width,
                            full_height,
                            mip as usize,
                            pixels,
                        )?)
                    })?,
                }
                group.encode(place, mip, pixels, width, height)
            })
        })
        .await
    }

    fn encode(
        &self,
        place: TilePlace,
        mip: u64,
        pixels: &mut [f32],
        width: usize,
        height: usize,
    ) -> Result<Outgoing, ViewerError> {
        let mut message = TileMessage::with_capacity(pixels.len() * 2);
        let mut nan_encodings = Vec::new();
        let quality = match self.wish.compression {
            CompressionType::Zfp => {
                nan_encodings = nan_runs::to_bytes(&nan_runs::encode(pixels, width, height)?);
                zfp::compress(pixels, width, height, self.wish.precision, message.pixels());
                self.wish.precision as f32
            }
            CompressionType::None | CompressionType::Sz => {
                message.pixels().extend_from_slice(&little_endian(pixels));
                32.0
            }
        };
        let tile = RasterTile {
            file_id: self.file_id,
            channel: self.plane.channel as i32,
            stokes: self.plane.polarisation.number(),
            compression: self.wish.compression,
            quality,
            sync_id: self.sync_id,
            animation_id: self.animation_id,
            layer: place.layer as i32,
            x: place.x as i32,
            y: place.y as i32,
            width: width as i32,
            height: height as i32,
            mip: mip as i32,
        };
        Ok(message.finish(&tile, &nan_encodings))
    }
}

impl OpenFile {
    /// Retracts the tiles that wait for the client.
    pub(crate) fn retract_tiles(&self, context: &Context) {
        let subject = self.subject(Topic::Tiles);
        context.retract(|waiting| *waiting == subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(width: u64, height: u64) -> Shape4 {
        Shape4 {
            width,
            height,
            depth: 1,
            stokes: 1,
        }
    }

    fn encoded(layer: i32, x: i32, y: i32) -> i32 {
        layer << 24 | y << 12 | x
    }

    #[test]
    fn the_lowest_layer_is_one_tile_and_the_highest_is_full_resolution() {
        let shape = shape(600, 400);
        let mip = |layer| TilePlace { layer, x: 0, y: 0 }.mip(shape);
        assert_eq!(
            [mip(0), mip(1), mip(2), mip(3)],
            [Some(4), Some(2), Some(1), None]
        );
    }

    #[test]
    fn edge_tiles_end_with_the_image() {
        let (window, mip) = TilePlace { layer: 2, x: 2, y: 1 }
            .window(shape(600, 400))
            .unwrap();
        assert_eq!(
            (window, mip),
            (
                Window {
                    x: 512..600,
                    y: 256..400
                },
                1
            )
        );
        assert_eq!(TilePlace { layer: 2, x: 3, y: 0 }.window(shape(600, 400)), None);
    }

    #[test]
    fn a_wish_keeps_the_order_and_drops_what_the_image_has_not() {
        let wish = messages::AddRequiredTiles {
            tiles: vec![
                encoded(2, 1, 0),
                -1,
                encoded(2, 0, 0),
                encoded(2, 1, 0),
                encoded(2, 9, 0),
                encoded(7, 0, 0),
            ],
            compression_type: CompressionType::Zfp.into(),
            compression_quality: 11.7,
            ..Default::default()
        };
        let wish = TileWish::new(&wish, shape(600, 400)).unwrap();
        let places: Vec<_> = wish.tiles.iter().map(|t| (t.layer, t.x, t.y)).collect();
        assert_eq!(places, [(2, 1, 0), (2, 0, 0)]);
        assert_eq!(wish.precision, 11);
    }

    #[test]
    fn precisions_beyond_those_of_zfp_are_brought_into_its_range() {
        for (asked, used) in [
            (0.0, 1),
            (-5.0, 1),
            (99.0, 32),
            (f32::NAN, 1),
            (f32::INFINITY, 32),
        ] {
            let wish = messages::AddRequiredTiles {
                compression_quality: asked,
                ..Default::default()
            };
            assert_eq!(
                TileWish::new(&wish, shape(1, 1)).unwrap().precision,
                used,
                "{asked}"
            );
        }
    }
}
