//! Tile messages whose pixels are written straight into their final place.
//!
//! Tiles are nearly all of what a server sends. In a [`crate::messages::RasterTileData`] the compressed pixels come
//! behind length prefixes that are known only when the compression is done. So the buffer starts with room for the
//! longest possible prefix, the encoder appends the pixels, and the prefix is written last, right-aligned against
//! them. Nothing is copied from the encoder to the WebSocket.

use prost::encoding::{WireType, encode_key, encode_varint};

use crate::{EventType, HEADER_BYTES, Outgoing, messages::CompressionType};

/// Room for header and longest prefix: 8 bytes of header, 7 fields of at most 6 bytes, 5 fields of at most 6 bytes
/// in the tile, and three keys and lengths of at most 11 bytes.
const ROOM: usize = 128;

/// What a tile message says of its tile, besides the pixels. Field names are those of the ICD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RasterTile {
    /// The file as the client numbers it.
    pub file_id: i32,
    /// Channel, counted from 0.
    pub channel: i32,
    /// Polarisation index, or the number of a computed polarisation (13 to 17).
    pub stokes: i32,
    /// How the pixels are encoded.
    pub compression: CompressionType,
    /// Precision of the encoding, whole for zfp.
    pub quality: f32,
    /// The group that the tile belongs to.
    pub sync_id: i32,
    /// The animation that the tile belongs to, 0 if none.
    pub animation_id: i32,
    /// Layer of the tile pyramid, 0 for the whole image in one tile.
    pub layer: i32,
    /// Column of the tile in its layer.
    pub x: i32,
    /// Row of the tile in its layer, 0 at the bottom of the image.
    pub y: i32,
    /// Width in pixels.
    pub width: i32,
    /// Height in pixels.
    pub height: i32,
    /// Number of image pixels per tile pixel, along one axis.
    pub mip: i32,
}

/// A tile message under construction.
#[derive(Debug)]
pub struct TileMessage {
    buffer: Vec<u8>,
}

impl TileMessage {
    /// An empty message with room for about `capacity` bytes of pixels.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buffer = Vec::with_capacity(ROOM + capacity);
        buffer.resize(ROOM, 0);
        Self { buffer }
    }

    /// Where the encoder appends the pixels. What is there already must stay.
    pub fn pixels(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Closes the message. `nan_encodings` are the run lengths of valid and missing pixels, as little-endian 32-bit
    /// integers; empty if no pixel is missing.
    #[must_use]
    pub fn finish(mut self, tile: &RasterTile, nan_encodings: &[u8]) -> Outgoing {
        let pixels = self.buffer.len() - ROOM;
        if !nan_encodings.is_empty() {
            encode_key(7, WireType::LengthDelimited, &mut self.buffer);
            encode_varint(nan_encodings.len() as u64, &mut self.buffer);
            self.buffer.extend_from_slice(nan_encodings);
        }
        let tail = self.buffer.len() - ROOM;

        let mut inner = Vec::with_capacity(ROOM);
        put_sfixed32(1, tile.layer, &mut inner);
        put_sfixed32(2, tile.x, &mut inner);
        put_sfixed32(3, tile.y, &mut inner);
        put_sfixed32(4, tile.width, &mut inner);
        put_sfixed32(5, tile.height, &mut inner);
        put_sfixed32(8, tile.mip, &mut inner);
        encode_key(6, WireType::LengthDelimited, &mut inner);
        encode_varint(pixels as u64, &mut inner);

        let mut prefix = Vec::with_capacity(ROOM);
        prefix.resize(HEADER_BYTES, 0);
        put_sfixed32(1, tile.file_id, &mut prefix);
        put_sfixed32(2, tile.channel, &mut prefix);
        put_sfixed32(3, tile.stokes, &mut prefix);
        prost::encoding::int32::encode(4, &(tile.compression as i32), &mut prefix);
        prost::encoding::float::encode(5, &tile.quality, &mut prefix);
        put_sfixed32(6, tile.sync_id, &mut prefix);
        put_sfixed32(7, tile.animation_id, &mut prefix);
        encode_key(8, WireType::LengthDelimited, &mut prefix);
        encode_varint((inner.len() + tail) as u64, &mut prefix);
        prefix.extend_from_slice(&inner);

        let start = ROOM - prefix.len();
        self.buffer[start..ROOM].copy_from_slice(&prefix);
        Outgoing::in_place(EventType::RasterTileData, self.buffer, start)
    }
}

fn put_sfixed32(field: u32, value: i32, buffer: &mut Vec<u8>) {
    prost::encoding::sfixed32::encode(field, &value, buffer);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::{Frame, IcdVersion, messages};

    proptest! {
        #[test]
        fn a_tile_written_in_place_decodes_as_the_message_of_the_icd(
            numbers in prop::array::uniform11(any::<i32>()),
            quality: f32,
            pixels in prop::collection::vec(any::<u8>(), 0..70_000),
            runs in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            prop_assume!(!quality.is_nan());
            let [file_id, channel, stokes, sync_id, animation_id, layer, x, y, width, height, mip] = numbers;
            let tile = RasterTile {
                file_id, channel, stokes, compression: CompressionType::Zfp, quality, sync_id, animation_id,
                layer, x, y, width, height, mip,
            };
            let mut message = TileMessage::with_capacity(pixels.len());
            message.pixels().extend_from_slice(&pixels);
            let bytes = message.finish(&tile, &runs).into_bytes(IcdVersion::NEWEST);
            let frame = Frame::split(bytes).unwrap();
            prop_assert_eq!(frame.header.event, 32);
            let decoded = messages::RasterTileData::decode(frame.payload).unwrap();
            let expected = messages::RasterTileData {
                file_id, channel, stokes, sync_id, animation_id,
                compression_type: CompressionType::Zfp as i32,
                compression_quality: quality,
                tiles: vec![messages::TileData {
                    layer, x, y, width, height, mip,
                    image_data: pixels.into(),
                    nan_encodings: runs.into(),
                }],
            };
            prop_assert_eq!(decoded, expected);
        }
    }
}
