//! What messages hold, as numbers.

use std::collections::HashMap;

use chartroom_compute::{nan_runs, zfp};
use chartroom_icd::messages::{self, CompressionType};

use super::ClientError;

/// A tile, decoded: `width` × `height` values, lowest row first, NaN where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Layer of the tile pyramid.
    pub layer: i32,
    /// Column in the layer.
    pub x: i32,
    /// Row in the layer.
    pub y: i32,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The values.
    pub values: Vec<f32>,
}

/// The number of a tile as clients send it.
#[must_use]
pub fn tile_number(layer: i32, x: i32, y: i32) -> i32 {
    layer << 24 | y << 12 | x
}

/// Decodes a tile of a message.
///
/// # Errors
/// [`ClientError::Garbled`] if it is not what it says.
pub fn tile(data: &messages::RasterTileData, tile: &messages::TileData) -> Result<Tile, ClientError> {
    let garbled = |what: &dyn std::fmt::Display| ClientError::Garbled(what.to_string());
    let (width, height) = (tile.width as usize, tile.height as usize);
    let mut values = vec![0.0f32; width * height];
    match data.compression_type() {
        CompressionType::None => {
            for (value, bytes) in values.iter_mut().zip(tile.image_data.chunks_exact(4)) {
                *value = f32::from_le_bytes(bytes.try_into().map_err(|e| garbled(&e))?);
            }
        }
        CompressionType::Zfp => {
            let precision = data.compression_quality as u32;
            zfp::decompress(&tile.image_data, width, height, precision, &mut values)
                .map_err(|e| garbled(&e))?;
            let runs: Vec<i32> = tile
                .nan_encodings
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            nan_runs::decode(&runs, &mut values).map_err(|e| garbled(&e))?;
        }
        CompressionType::Sz => return Err(garbled(&"SZ was not asked for")),
    }
    Ok(Tile {
        layer: tile.layer,
        x: tile.x,
        y: tile.y,
        width,
        height,
        values,
    })
}

/// Statistics of a message by their kind.
#[must_use]
pub fn statistics(message: &messages::RegionStatsData) -> HashMap<messages::StatsType, f64> {
    message
        .statistics
        .iter()
        .map(|value| (value.stats_type(), value.value))
        .collect()
}

/// The numbers of a profile.
#[must_use]
pub fn fp32(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}
