//! A client that behaves as the official page does when its connection is lost: it connects again, registers with the
//! number of its session, and sends RESUME_SESSION with what it knows.
//!
//! Everything that the session is can be told again, so that nothing is lost of it. Replies that were on their way are:
//! questions are asked again, and so are regions that were to be created; of files that were to be opened nothing but
//! the file itself comes back, and an animation is over.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use chartroom_icd::messages::{
    AddRequiredTiles, ImageProperties, OpenFile, Point, RegionInfo, RegisterViewerAck, ResumeSession,
    ResumeSessionAck, SetRegionAck,
};
use chartroom_icd::{Frame, Request};
use prost::Message;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite;

use crate::client::{Client, ClientError, Incoming};
use crate::oracle::Driver;

/// A connection over which nothing came for so long is asked for a sign of life, and given up after twice as long.
const SILENCE: Duration = Duration::from_millis(700);

/// How long the first attempt to come back may take; each further one twice as long, so that a busy machine gets there.
const ATTEMPT: Duration = Duration::from_secs(3);

/// How long the server may be out of reach.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers above this one are not given to regions.
const NO_REGION: i32 = 1 << 30;

/// A client with a plain connection that comes back when it is lost.
#[derive(Debug)]
pub struct Page {
    url: String,
    client: Client,
    /// Whether there is no connection, or the server has not heard yet what the page knows.
    away: bool,
    /// Times that the page came back.
    returns: u32,
    heard: Instant,
    asked_for_life: bool,
    requests: u32,
    /// Requests of this connection by their numbers, with those that the caller knows.
    numbers: HashMap<u32, u32>,
    /// Requests that were not answered yet.
    waiting: BTreeMap<u32, Request>,
    lost: HashSet<u32>,
    files: BTreeMap<i32, File>,
    /// By the numbers that the caller knows.
    regions: BTreeMap<i32, Region>,
    kept: VecDeque<Frame>,
}

#[derive(Debug)]
struct File {
    open: OpenFile,
    channel: i32,
    stokes: i32,
    tiles: Option<AddRequiredTiles>,
    cursor: Option<Point>,
    /// By event and region.
    requirements: BTreeMap<(i32, i32), Request>,
}

#[derive(Debug)]
struct Region {
    file_id: i32,
    info: Option<RegionInfo>,
    /// The request that creates it, as the caller numbers it.
    creation: u32,
    /// The number that the server gave.
    number: Option<i32>,
    removed: bool,
}

impl Page {
    /// Opens a page of a new session at `url`, with a record of everything.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn open(url: &str, version: u16) -> Result<Self, ClientError> {
        let mut client = Client::connect(url, version).await?;
        client.record();
        client.register_as(0).await?;
        Ok(Self {
            url: url.to_owned(),
            client,
            away: false,
            returns: 0,
            heard: Instant::now(),
            asked_for_life: false,
            requests: 0,
            numbers: HashMap::new(),
            waiting: BTreeMap::new(),
            lost: HashSet::new(),
            files: BTreeMap::new(),
            regions: BTreeMap::new(),
            kept: VecDeque::new(),
        })
    }

    /// The client that speaks for the page.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// How often the page came back.
    #[must_use]
    pub fn returns(&self) -> u32 {
        self.returns
    }

    /// Opens another connection before anything else.
    pub fn leave(&mut self) {
        self.away = true;
    }

    /// Comes back until it has succeeded.
    async fn come_back(&mut self) -> Result<(), ClientError> {
        self.away = true;
        let deadline = Instant::now() + PATIENCE;
        let mut attempt = ATTEMPT;
        loop {
            let failure = match tokio::time::timeout(attempt, self.try_to_come_back()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error,
                Err(_) => ClientError::TimedOut("A connection with all that the page knows"),
            };
            if Instant::now() > deadline {
                return Err(failure);
            }
            attempt = (2 * attempt).min(PATIENCE / 2);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.away = false;
        self.returns += 1;
        self.is_heard();
        Ok(())
    }

    async fn try_to_come_back(&mut self) -> Result<(), ClientError> {
        let session_id = self.client.session_id();
        let ack: RegisterViewerAck = self.client.reconnect(&self.url, session_id).await?;
        if !ack.success || ack.session_id != session_id {
            return Err(ClientError::Garbled(format!("The page was answered {ack:?}.")));
        }
        self.numbers.clear();
        let images = self
            .files
            .iter()
            .map(|(&file_id, file)| self.image(file_id, file));
        let resume = ResumeSession {
            images: images.collect(),
            catalog_files: Vec::new(),
        };
        self.client.send(resume).await?;
        let ack: ResumeSessionAck = self.client.wait().await?;
        if !ack.success || !ack.message.is_empty() {
            return Err(ClientError::Garbled(format!(
                "The page was resumed with {ack:?}."
            )));
        }
        let mut again = Vec::new();
        for file in self.files.values() {
            again.extend(file.requirements.values().map(|request| (None, request.clone())));
            again.extend(file.tiles.clone().map(|tiles| (None, tiles.into())));
        }
        for (&number, request) in &self.waiting {
            if self.is_asked_again(request) {
                again.push((Some(number), request.clone()));
            } else {
                self.lost.insert(number);
            }
        }
        self.waiting.retain(|number, _| !self.lost.contains(number));
        for (number, request) in again {
            let wire = self.client.send(self.translated(request)).await?;
            if let Some(number) = number {
                self.numbers.insert(wire, number);
            }
        }
        Ok(())
    }

    fn image(&self, file_id: i32, file: &File) -> ImageProperties {
        let cursor = file.cursor.map(|point| RegionInfo {
            control_points: vec![point],
            ..Default::default()
        });
        let drawn = self
            .regions
            .values()
            .filter(|region| region.file_id == file_id && !region.removed);
        let drawn = drawn.filter_map(|region| Some((region.number?, region.info.clone()?)));
        ImageProperties {
            directory: file.open.directory.clone(),
            file: file.open.file.clone(),
            hdu: file.open.hdu.clone(),
            file_id,
            render_mode: file.open.render_mode,
            channel: file.channel,
            stokes: file.stokes,
            regions: cursor
                .map(|cursor| (0, cursor))
                .into_iter()
                .chain(drawn)
                .collect(),
            ..Default::default()
        }
    }

    /// Whether a request that was not answered is sent again.
    fn is_asked_again(&self, request: &Request) -> bool {
        match request {
            Request::FileListRequest(_) | Request::FileInfoRequest(_) => true,
            // It is refused, and nothing comes of it.
            Request::OpenFile(m) => m.file_id < 0,
            Request::SetRegion(m) => m.region_id == -1 && self.files.contains_key(&m.file_id),
            _ => false,
        }
    }

    /// Notes what the caller wants the session to be.
    fn learn(&mut self, number: u32, request: &Request) {
        if request.has_reply() {
            self.waiting.insert(number, request.clone());
        }
        match request {
            Request::OpenFile(m) if m.file_id >= 0 => {
                let file = File {
                    open: m.clone(),
                    channel: 0,
                    stokes: 0,
                    tiles: None,
                    cursor: None,
                    requirements: BTreeMap::new(),
                };
                self.files.insert(m.file_id, file);
            }
            Request::CloseFile(m) => {
                self.files.remove(&m.file_id);
                for region in self.regions.values_mut() {
                    region.removed |= region.file_id == m.file_id;
                }
            }
            Request::SetImageChannels(m) => self.change(m.file_id, |file| {
                (file.channel, file.stokes) = (m.channel, m.stokes);
                if m.required_tiles.is_some() {
                    file.tiles.clone_from(&m.required_tiles);
                }
            }),
            Request::AddRequiredTiles(m) => self.change(m.file_id, |file| file.tiles = Some(m.clone())),
            Request::SetCursor(m) => self.change(m.file_id, |file| file.cursor = m.point),
            Request::SetSpatialRequirements(m) => self.require(m.file_id, m.region_id, request),
            Request::SetSpectralRequirements(m) => self.require(m.file_id, m.region_id, request),
            Request::SetHistogramRequirements(m) => self.require(m.file_id, m.region_id, request),
            Request::SetStatsRequirements(m) => self.require(m.file_id, m.region_id, request),
            Request::SetRegion(m) if m.region_id == -1 => {
                let region = Region {
                    file_id: m.file_id,
                    info: m.region_info.clone(),
                    creation: number,
                    number: None,
                    removed: false,
                };
                let known = self.regions.last_key_value().map_or(0, |(&known, _)| known);
                self.regions.insert(known + 1, region);
            }
            Request::SetRegion(m) => {
                if let Some(region) = self.regions.get_mut(&m.region_id) {
                    region.info.clone_from(&m.region_info);
                }
            }
            Request::RemoveRegion(m) => {
                if let Some(region) = self.regions.get_mut(&m.region_id) {
                    region.removed = true;
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, file_id: i32, change: impl FnOnce(&mut File)) {
        if let Some(file) = self.files.get_mut(&file_id) {
            change(file);
        }
    }

    fn require(&mut self, file_id: i32, region_id: i32, request: &Request) {
        let key = (request.event() as i32, region_id);
        self.change(file_id, |file| {
            file.requirements.insert(key, request.clone());
        });
    }

    /// The request with the number that the server gave to its region, or one that no region has.
    fn translated(&self, mut request: Request) -> Request {
        let gone = !matches!(request, Request::RemoveRegion(_));
        let region_id = match &mut request {
            Request::SetRegion(m) if m.region_id != -1 => &mut m.region_id,
            Request::RemoveRegion(m) => &mut m.region_id,
            Request::SetStatsRequirements(m) if m.region_id > 0 => &mut m.region_id,
            _ => return request,
        };
        let region = self.regions.get(region_id);
        // A server that was killed may give the number of a region that is gone once more.
        let number = region
            .filter(|region| !gone || !region.removed)
            .and_then(|region| region.number);
        *region_id = number.unwrap_or(NO_REGION + *region_id);
        request
    }

    /// The region that a request is about, if the server has not given it a number yet.
    fn unnumbered(&self, request: &Request) -> bool {
        let region_id = match request {
            Request::SetRegion(m) => m.region_id,
            Request::RemoveRegion(m) => m.region_id,
            Request::SetStatsRequirements(m) => m.region_id,
            _ => return false,
        };
        self.regions
            .get(&region_id)
            .is_some_and(|region| region.number.is_none() && self.waiting.contains_key(&region.creation))
    }

    fn is_heard(&mut self) {
        self.heard = Instant::now();
        self.asked_for_life = false;
    }

    /// The next message of the server, with numbers as the caller knows them.
    async fn receive(&mut self) -> Result<Frame, ClientError> {
        loop {
            if self.away {
                self.come_back().await?;
            }
            let deadline = self.heard + SILENCE;
            let incoming = match tokio::time::timeout_at(deadline, self.client.next()).await {
                Ok(Ok(incoming)) => incoming,
                Ok(Err(_)) => {
                    self.away = true;
                    continue;
                }
                Err(_) => {
                    self.ask_for_life().await;
                    continue;
                }
            };
            self.is_heard();
            let Incoming::Message(mut frame) = incoming else {
                continue;
            };
            if frame.header.request_id != 0 {
                let Some(number) = self.numbers.remove(&frame.header.request_id) else {
                    continue;
                };
                frame.header.request_id = number;
                self.answered(number, &mut frame)?;
            }
            return Ok(frame);
        }
    }

    async fn ask_for_life(&mut self) {
        if self.asked_for_life {
            self.away = true;
            return;
        }
        self.asked_for_life = true;
        self.heard = Instant::now();
        let ping = self.client.send_raw(tungstenite::Message::Text("PING".into()));
        self.away |= !matches!(tokio::time::timeout(SILENCE, ping).await, Ok(Ok(())));
    }

    fn answered(&mut self, number: u32, frame: &mut Frame) -> Result<(), ClientError> {
        let Some(Request::SetRegion(asked)) = self.waiting.remove(&number) else {
            return Ok(());
        };
        let garbled = |error: prost::DecodeError| ClientError::Garbled(error.to_string());
        let mut ack = <SetRegionAck as Message>::decode(frame.payload.clone()).map_err(garbled)?;
        let created = self
            .regions
            .iter_mut()
            .find(|(_, region)| region.creation == number);
        if let (Some((&known, region)), true) = (created, ack.success) {
            region.number = Some(ack.region_id);
            ack.region_id = known;
        } else if asked.region_id != -1 {
            ack.region_id = asked.region_id;
        }
        frame.payload = ack.encode_to_vec().into();
        Ok(())
    }
}

impl Driver for Page {
    async fn send(&mut self, request: Request) -> Result<u32, ClientError> {
        while self.unnumbered(&request) {
            let frame = self.receive().await?;
            self.kept.push_back(frame);
        }
        self.requests += 1;
        let number = self.requests;
        self.learn(number, &request);
        if self.away {
            // What was learnt is told with everything else.
            self.come_back().await?;
            return Ok(number);
        }
        let translated = self.translated(request);
        let has_reply = translated.has_reply();
        match tokio::time::timeout(ATTEMPT, self.client.send(translated)).await {
            Ok(Ok(wire)) if has_reply => {
                self.numbers.insert(wire, number);
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => self.come_back().await?,
        }
        Ok(number)
    }

    async fn next(&mut self) -> Result<Frame, ClientError> {
        match self.kept.pop_front() {
            Some(frame) => Ok(frame),
            None => self.receive().await,
        }
    }

    fn has_lost(&self, request_id: u32) -> bool {
        self.lost.contains(&request_id)
    }
}
