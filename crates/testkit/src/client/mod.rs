//! A CARTA client without a page.
//!
//! [`Client`] speaks the ICD over a [`Link`]: one WebSocket, or a resumable stream. It can keep a record of all that it
//! sends and sees, for [`crate::history`].

mod decode;
mod link;
mod resumable;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use chartroom_icd::messages::{self, CompressionType};
use chartroom_icd::{Frame, Header, Request, ServerMessage};
use tokio_tungstenite::tungstenite::Message;

use crate::history::{History, Kind, Level};
pub use decode::{Tile, fp32, statistics, tile, tile_number};
pub use link::{Delivery, Link, PlainLink};
pub use resumable::{Counters, ResumableClient, ResumableLink, ResumeOptions};

/// How long an answer may take before a test is given up. Batch work has the lowest priority, and a busy machine little for
/// it.
const PATIENCE: Duration = Duration::from_secs(300);

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

/// A client with its link to the server.
#[derive(Debug)]
pub struct Client<L = PlainLink> {
    link: L,
    version: u16,
    requests: u32,
    session_id: u32,
    /// Messages that came while something else was waited for.
    kept: VecDeque<Frame>,
    history: Option<History>,
}

impl Client {
    /// Opens a connection to `url` (`http` or `ws`, with its query) for a client of this ICD version.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the server does not take it.
    pub async fn connect(url: &str, version: u16) -> Result<Self, ClientError> {
        Ok(Self::over(PlainLink::connect(url).await?, version))
    }

    /// Opens a connection and registers as a new viewer.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::wait`].
    pub async fn register(url: &str, version: u16) -> Result<Self, ClientError> {
        let mut client = Self::connect(url, version).await?;
        client.register_as(0).await?;
        Ok(client)
    }

    /// Opens a new connection in the place of the one that there is, which is dropped without a word if it still
    /// stands, and registers with the number of a session, as a page does on "Retry". What was waited for is forgotten,
    /// and requests are counted from 1 again.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::wait`].
    pub async fn reconnect(
        &mut self,
        url: &str,
        session_id: u32,
    ) -> Result<messages::RegisterViewerAck, ClientError> {
        self.note(Kind::Dropped);
        self.link = PlainLink::connect(url).await?;
        self.kept.clear();
        self.requests = 0;
        self.note(Kind::Resumed(Level::Registered));
        self.register_as(session_id).await
    }
}

impl<L: Link> Client<L> {
    /// A client over a link that stands.
    #[must_use]
    pub fn over(link: L, version: u16) -> Self {
        Self {
            link,
            version,
            requests: 0,
            session_id: 0,
            kept: VecDeque::new(),
            history: None,
        }
    }

    /// Registers with the number of a session, 0 for a new one, and waits for the acknowledgement.
    ///
    /// # Errors
    /// As [`Client::wait`].
    pub async fn register_as(&mut self, session_id: u32) -> Result<messages::RegisterViewerAck, ClientError> {
        let registration = messages::RegisterViewer {
            session_id,
            client_feature_flags: 5,
            ..Default::default()
        };
        self.send(registration).await?;
        let ack: messages::RegisterViewerAck = self.wait().await?;
        self.session_id = ack.session_id;
        Ok(ack)
    }

    /// The number that the server gave to the session, 0 before it did.
    #[must_use]
    pub fn session_id(&self) -> u32 {
        self.session_id
    }

    /// The way to the server.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// Keeps a record of everything from now on.
    pub fn record(&mut self) {
        self.history = Some(History::new());
    }

    /// The record since [`Client::record`], which ends; empty if there is none.
    pub fn take_history(&mut self) -> History {
        self.history.take().unwrap_or_default()
    }

    /// Adds to the record, if one is kept, what the client cannot know by itself.
    pub fn note(&mut self, kind: Kind) {
        if let Some(history) = &mut self.history {
            history.push(kind);
        }
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
        self.note(Kind::Sent {
            request_id: self.requests,
            request: Box::new(request),
        });
        self.link.send(Message::Binary(bytes.into())).await?;
        Ok(self.requests)
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// [`ClientError::WebSocket`] if the connection is gone.
    pub async fn send_raw(&mut self, message: Message) -> Result<(), ClientError> {
        self.link.send(message).await
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
        let incoming = loop {
            match self.link.receive().await? {
                Delivery::Text(text) => break Incoming::Text(text),
                Delivery::Binary(bytes) => match Frame::split(bytes.clone()) {
                    Ok(frame) => break Incoming::Message(frame),
                    Err(_) => break Incoming::Short(bytes),
                },
                Delivery::Dropped => self.note(Kind::Dropped),
                Delivery::Resumed(level) => self.note(Kind::Resumed(level)),
            }
        };
        if let Incoming::Message(frame) = &incoming {
            self.note(Kind::Received(frame.clone()));
        }
        Ok(incoming)
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
                tiles.push(decode::tile(&data, tile)?);
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
    pub async fn close(self) -> Result<(), ClientError> {
        self.link.close().await
    }
}
