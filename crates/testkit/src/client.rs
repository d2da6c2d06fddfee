//! A CARTA client without a page.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use chartroom_compute::{nan_runs, zfp};
use chartroom_icd::messages::{self, CompressionType};
use chartroom_icd::{Frame, Header, Request, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long an answer may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can go wrong with a client; all of it ends a test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The WebSocket could not be opened or broke.
    #[error("the WebSocket failed: {0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// The server closed the WebSocket.
    #[error("the server closed the connection: {0}")]
    Closed(String),
    /// What was waited for did not come.
    #[error("{0} did not come in time")]
    TimedOut(&'static str),
    /// What came could not be understood.
    #[error("{0}")]
    Garbled(String),
}

/// A frame of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message of the ICD.
    Message(Frame),
    /// A text frame.
    Text(String),
    /// A binary frame that is too short for a header.
    Short(Bytes),
}

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

/// A client with its connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    version: u16,
    requests: u32,
    /// Messages that came while something else was waited for.
    kept: VecDeque<Frame>,
}

impl Client {
    /// Opens a connection to `url` (`http` or `ws`, with its query) for a client of this ICD version.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the server does not take it.
    pub async fn connect(url: &str, version: u16) -> Result<Self, ClientError> {
        let url = url.replacen("http", "ws", 1);
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, Some(config), true)
            .await
            .map_err(Box::new)?;
        Ok(Self {
            socket,
            version,
            requests: 0,
            kept: VecDeque::new(),
        })
    }

    /// Opens a connection and registers as a new viewer.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::wait`].
    pub async fn register(url: &str, version: u16) -> Result<Self, ClientError> {
        let mut client = Self::connect(url, version).await?;
        client
            .send(messages::RegisterViewer {
                session_id: 0,
                client_feature_flags: 5,
                ..Default::default()
            })
            .await?;
        client.wait::<messages::RegisterViewerAck>().await?;
        Ok(client)
    }

    /// Sends a request and gives its number.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone.
    pub async fn send(&mut self, request: impl Into<Request>) -> Result<u32, ClientError> {
        let request = request.into();
        self.requests += 1;
        let header = Header {
            event: request.event() as i32 as u16,
            version: self.version,
            request_id: self.requests,
        };
        let bytes = [&header.to_bytes()[..], &request.encode()].concat();
        self.send_raw(Message::Binary(bytes.into())).await?;
        Ok(self.requests)
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone.
    pub async fn send_raw(&mut self, message: Message) -> Result<(), ClientError> {
        Ok(self.socket.send(message).await.map_err(Box::new)?)
    }

    /// The next frame of the server, whatever it is; kept messages first.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::WebSocket`] if there is none any more.
    pub async fn next(&mut self) -> Result<Incoming, ClientError> {
        match self.kept.pop_front() {
            Some(frame) => Ok(Incoming::Message(frame)),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Result<Incoming, ClientError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(match Frame::split(bytes.clone()) {
                        Ok(frame) => Incoming::Message(frame),
                        Err(_) => Incoming::Short(bytes),
                    });
                }
                Some(Ok(Message::Text(text))) => return Ok(Incoming::Text(text.as_str().to_owned())),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(String::new(), |f| format!("{} {}", u16::from(f.code), f.reason));
                    return Err(ClientError::Closed(code));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
                None => return Err(ClientError::Closed(String::new())),
            }
        }
    }

    /// Waits for the next message of a kind; others are kept for later.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] after a minute, or as [`Client::next`].
    pub async fn wait<M: ServerMessage + Default>(&mut self) -> Result<M, ClientError> {
        self.wait_with_header::<M>().await.map(|(_, message)| message)
    }

    /// As [`Client::wait`], with the header of the message.
    ///
    /// # Errors
    /// As [`Client::wait`].
    pub async fn wait_with_header<M: ServerMessage + Default>(&mut self) -> Result<(Header, M), ClientError> {
        let event = M::EVENT as i32 as u16;
        let decode = |frame: Frame| {
            let message = M::decode(frame.payload).map_err(|e| ClientError::Garbled(e.to_string()))?;
            Ok((frame.header, message))
        };
        let kept = self.kept.iter().position(|frame| frame.header.event == event);
        if let Some(frame) = kept.and_then(|at| self.kept.remove(at)) {
            return decode(frame);
        }
        let waiting = async {
            loop {
                match self.receive().await? {
                    Incoming::Message(frame) if frame.header.event == event => return decode(frame),
                    Incoming::Message(frame) => self.kept.push_back(frame),
                    Incoming::Text(_) | Incoming::Short(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| ClientError::TimedOut(M::EVENT.as_str_name()))?
    }

    /// All messages up to the first one that `is_last`, in the order in which they came; kept ones first.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] after a minute, or as [`Client::next`].
    pub async fn until(
        &mut self,
        mut is_last: impl FnMut(&Frame) -> bool,
    ) -> Result<Vec<Frame>, ClientError> {
        let mut frames = Vec::new();
        let waiting = async {
            loop {
                let Incoming::Message(frame) = self.next().await? else {
                    continue;
                };
                let last = is_last(&frame);
                frames.push(frame);
                if last {
                    return Ok::<_, ClientError>(());
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| ClientError::TimedOut("The last of several messages"))??;
        Ok(frames)
    }

    /// From now on the headers of requests name this version.
    pub fn speak(&mut self, version: u16) {
        self.version = version;
    }

    /// Messages that came while something else was waited for, and forgets them.
    pub fn take_kept(&mut self) -> Vec<Frame> {
        self.kept.drain(..).collect()
    }

    /// Opens a file and waits for its acknowledgement.
    ///
    /// # Errors
    /// As [`Client::wait`]; [`ClientError::Garbled`] with the server's sentence if it refuses.
    pub async fn open(
        &mut self,
        directory: &str,
        file: &str,
        file_id: i32,
    ) -> Result<messages::OpenFileAck, ClientError> {
        let request = messages::OpenFile {
            directory: directory.into(),
            file: file.into(),
            file_id,
            ..Default::default()
        };
        self.send(request).await?;
        let ack: messages::OpenFileAck = self.wait().await?;
        if !ack.success {
            return Err(ClientError::Garbled(ack.message));
        }
        Ok(ack)
    }

    /// Asks for tiles of the plane in view.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone.
    pub async fn ask_tiles(
        &mut self,
        file_id: i32,
        tiles: Vec<i32>,
        compression: CompressionType,
        quality: f32,
    ) -> Result<u32, ClientError> {
        let wish = messages::AddRequiredTiles {
            file_id,
            tiles,
            compression_type: compression.into(),
            compression_quality: quality,
            ..Default::default()
        };
        self.send(wish).await
    }

    /// Waits for a whole group of tiles and decodes them. Gives the start of the group as well.
    ///
    /// # Errors
    /// As [`Client::wait`]; [`ClientError::Garbled`] if the group is not what it says.
    pub async fn tiles(&mut self) -> Result<(messages::RasterTileSync, Vec<Tile>), ClientError> {
        let start: messages::RasterTileSync = self.wait().await?;
        if start.end_sync || start.sync_id <= 0 {
            return Err(ClientError::Garbled(format!(
                "a group cannot start with {start:?}"
            )));
        }
        let mut tiles = Vec::new();
        while tiles.len() < start.tile_count as usize {
            let data: messages::RasterTileData = self.wait().await?;
            if (
                data.sync_id,
                data.file_id,
                data.channel,
                data.stokes,
                data.animation_id,
            ) != (
                start.sync_id,
                start.file_id,
                start.channel,
                start.stokes,
                start.animation_id,
            ) {
                return Err(ClientError::Garbled("a tile of another group".into()));
            }
            for tile in &data.tiles {
                tiles.push(decode(&data, tile)?);
            }
        }
        let end: messages::RasterTileSync = self.wait().await?;
        if !end.end_sync || end.sync_id != start.sync_id {
            return Err(ClientError::Garbled(format!("a group cannot end with {end:?}")));
        }
        Ok((start, tiles))
    }

    /// Closes the connection as a page does that is closed.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone already.
    pub async fn close(mut self) -> Result<(), ClientError> {
        Ok(self.socket.close(None).await.map_err(Box::new)?)
    }
}

fn decode(data: &messages::RasterTileData, tile: &messages::TileData) -> Result<Tile, ClientError> {
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
