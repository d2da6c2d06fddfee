//! One conversation with a CARTA client, over whichever links it has.
//!
//! One task reads and one writes. The reader may wait for a session that has too much to do; the writer never waits
//! for anything but the channel, so that what waits for the client can always drain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chartroom_session::transport::wire::code;
use chartroom_session::transport::{Channel, ChannelEvent, ChannelReceiver, ChannelSender, Message};
use chartroom_session::{LinkEnd, SessionError};
use chartroom_viewer::{Answer, Attachment, Connection, Effect, Parcel, Presence, Subject, Traffic, count};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Revival;
use super::settle::Settlement;

/// Answers that may wait for the writer; the reader waits when there are more.
const WAITING_ANSWERS: usize = 16;

/// The code for a user who did nothing for too long; private use, as RFC 6455 section 7.4.2 foresees.
const IDLE: u16 = 4408;

/// How long a lost link is waited for before a session is registered. Its client has seen nothing of the server yet but
/// that it is there, and may still be about to register.
const UNREGISTERED: Duration = Duration::from_secs(10);

/// Where the writer finds the messages of a session, and what it tells the reader of.
enum Instruction {
    /// Send this.
    Send(Message),
    /// From now on the messages of this session go here.
    Attach(Attachment),
}

/// Speaks with a client until the conversation is over. `revival` says which session it was about before the server was
/// restarted.
pub(super) async fn converse(
    channel: Channel<Subject>,
    mut connection: Connection,
    revival: Option<Revival>,
    idle_timeout: Option<Duration>,
) {
    let Channel { receiver, sender } = channel;
    let (instructions, waiting) = mpsc::channel(WAITING_ANSWERS);
    let settlement = sender.stream().is_some().then(|| Ledger::new(sender.clone()));
    if let Some(Revival { id, owner, version }) = revival {
        match connection.revive(id, owner, version).await {
            Ok(attachment) => {
                // The queue is empty: there is room.
                let _ = instructions.send(Instruction::Attach(attachment)).await;
            }
            Err(error) => {
                let code = match error {
                    SessionError::Stopping => code::GOING_AWAY,
                    _ => code::REFUSED,
                };
                sender.close(code, &error.to_string());
                return;
            }
        }
    }
    let writer = tokio::spawn(write(sender.clone(), waiting, settlement.clone()));
    let link = connection.link().clone();
    let mut reader = Reader {
        receiver,
        instructions,
        settlement,
        idle_timeout,
        last_request: Instant::now(),
    };
    let ended = tokio::select! {
        ended = reader.read(&mut connection) => ended,
        reason = link.closing() => Ended::Close(reason.code(), reason.sentence().to_owned()),
    };
    let end = match ended {
        Ended::ByClient(end) => end,
        Ended::Close(code, reason) => {
            sender.close(code, &reason);
            LinkEnd::Lost
        }
    };
    tracing::debug!(?end, "conversation ended");
    connection.end(end);
    writer.abort();
}

/// How reading came to its end.
enum Ended {
    /// The client has closed, or is lost.
    ByClient(LinkEnd),
    /// This end has to close.
    Close(u16, String),
}

struct Reader {
    receiver: ChannelReceiver<Subject>,
    instructions: mpsc::Sender<Instruction>,
    settlement: Option<Ledger>,
    idle_timeout: Option<Duration>,
    /// When the user last did something; heartbeats do not count.
    last_request: Instant,
}

impl Reader {
    async fn read(&mut self, connection: &mut Connection) -> Ended {
        let mut down_since = None;
        loop {
            let patience = match down_since {
                None => self.idle_timeout.map(|timeout| self.last_request + timeout),
                Some(since) if connection.presence().is_none() => Some(since + UNREGISTERED),
                // The registry knows how long the session is kept.
                Some(_) => None,
            };
            let event = tokio::select! {
                event = self.receiver.next() => event,
                () = until(patience) => return Ended::out_of_patience(down_since.is_some()),
            };
            match event {
                ChannelEvent::Message { message, number } => {
                    if let Err(ended) = self.take(connection, message, number).await {
                        return ended;
                    }
                }
                ChannelEvent::Down => {
                    down_since = Some(Instant::now());
                    if let Some(presence) = connection.presence() {
                        presence.silent();
                    }
                }
                ChannelEvent::Up { .. } => {
                    down_since = None;
                    self.last_request = Instant::now();
                    if connection.presence().is_some_and(|presence| !presence.heard()) {
                        let reason = connection.link().closing().await;
                        return Ended::Close(reason.code(), reason.sentence().to_owned());
                    }
                }
                ChannelEvent::End(end) => return Ended::ByClient(end),
            }
        }
    }

    /// Takes a message of the client, and waits as long as the session or the writer has too much to do for it.
    async fn take(
        &mut self,
        connection: &mut Connection,
        message: Message,
        number: u32,
    ) -> Result<(), Ended> {
        let (answer, effect) = match message {
            Message::Text(text) => (connection.text(&text), Effect::None),
            Message::Binary(bytes) => {
                self.last_request = Instant::now();
                let presence = connection.presence();
                self.attend(presence, connection.binary(bytes))
                    .await?
                    .map_err(|error| Ended::Close(over(&error), error.to_string()))?
            }
        };
        if let Some(settlement) = &self.settlement {
            if matches!(answer, Answer::Attach(_)) {
                settlement.update(Settlement::restart);
            }
            settlement.update(|settlement| match effect {
                Effect::None => settlement.passing(number),
                Effect::Request { handled, reply_to } => settlement.request(number, handled, reply_to),
            });
            if settlement.lock().is_overfull() {
                let reason = "Too many messages came that cannot be acknowledged.";
                return Err(Ended::Close(code::PROTOCOL_ERROR, reason.to_owned()));
            }
        }
        let instruction = match answer {
            Answer::Nothing => return Ok(()),
            Answer::Text(text) => Instruction::Send(Message::Text(Bytes::from_static(text.as_bytes()))),
            Answer::Binary(bytes) => Instruction::Send(Message::Binary(bytes)),
            Answer::Attach(attachment) => Instruction::Attach(attachment),
        };
        self.attend(connection.presence(), self.instructions.send(instruction))
            .await?
            .map_err(|_| Ended::ByClient(LinkEnd::Lost))
    }

    /// Waits for `work`, and sees all the same when the link goes and comes: what the client asked for may wait for the
    /// client itself, which may never come back.
    async fn attend<T>(&self, presence: Option<Presence>, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        let mut up = true;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                changed = self.receiver.link(!up) => changed.map_err(Ended::ByClient)?,
            }
            up = !up;
            match &presence {
                // A link that the session does not have any more is being closed.
                Some(presence) if up => drop(presence.heard()),
                Some(presence) => presence.silent(),
                None => {}
            }
        }
    }
}

impl Ended {
    /// The client did not come back in time, or asked for nothing for too long.
    fn out_of_patience(down: bool) -> Self {
        let (code, reason) = match down {
            true => (code::REFUSED, "No session was registered."),
            false => (IDLE, "Nothing was asked for too long; reconnect to go on."),
        };
        Self::Close(code, reason.to_owned())
    }
}

/// The close code for a session that takes no requests.
fn over(error: &SessionError) -> u16 {
    match error {
        SessionError::Stopping => code::GOING_AWAY,
        _ => code::OVER,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What of a stream is settled; shared by reader and writer.
#[derive(Clone)]
struct Ledger {
    settlement: Arc<Mutex<Settlement>>,
    sender: ChannelSender<Subject>,
}

impl Ledger {
    fn new(sender: ChannelSender<Subject>) -> Self {
        Self {
            settlement: Arc::default(),
            sender,
        }
    }

    /// Notes something, and acknowledges to the client what is settled by it.
    fn update(&self, note: impl FnOnce(&mut Settlement)) {
        let settled = {
            let mut settlement = self.lock();
            note(&mut settlement);
            settlement.settled()
        };
        if let Some(settled) = settled {
            self.sender.settle(settled);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Settlement> {
        self.settlement.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes answers at once and messages of the session in their order.
async fn write(
    sender: ChannelSender<Subject>,
    mut waiting: mpsc::Receiver<Instruction>,
    settlement: Option<Ledger>,
) {
    let mut attached: Option<Attachment> = None;
    let mut acknowledged = sender.acknowledged();
    loop {
        let (stored, messages) = match &mut attached {
            Some(attachment) => (
                Some(&mut attachment.stored),
                Some((&attachment.messages, attachment.version, &attachment.traffic)),
            ),
            None => (None, None),
        };
        let next = async {
            match messages {
                Some((messages, version, traffic)) => {
                    // What cannot be sent yet is better left in the outbox, where it can be replaced or retracted.
                    sender.ready().await?;
                    let next = messages.next_with_key().await;
                    Ok(next.map(|(key, parcel)| (key, parcel, version, traffic)))
                }
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            biased;
            instruction = waiting.recv() => match instruction {
                Some(Instruction::Send(message)) => sender.send(message, None).await.map(|_| None),
                Some(Instruction::Attach(mut attachment)) => {
                    let stored = *attachment.stored.borrow_and_update();
                    if let Some(settlement) = &settlement {
                        settlement.update(|settlement| settlement.stored(stored));
                    }
                    attached = Some(attachment);
                    continue;
                }
                None => return,
            },
            changed = changed(Some(&mut acknowledged)), if settlement.is_some() => {
                if let Some(settlement) = &settlement {
                    settlement.update(|settlement| settlement.acknowledged(changed));
                }
                continue;
            }
            changed = changed(stored), if settlement.is_some() => {
                if let Some(settlement) = &settlement {
                    settlement.update(|settlement| settlement.stored(changed));
                }
                continue;
            }
            next = next => match next {
                Ok(Some((key, parcel, version, traffic))) => {
                    send(&sender, key, parcel, version, traffic).await.map(Some)
                }
                Ok(None) => {
                    // The session has ended or has another link; this one goes on for a new registration.
                    attached = None;
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match (sent, &settlement) {
            (Ok(Some((request_id, number))), Some(settlement)) if request_id != 0 => {
                settlement.update(|settlement| settlement.replied(request_id, number));
            }
            (Ok(_), _) => {}
            // The conversation is over.
            (Err(_), _) => return,
        }
    }
}

/// Waits for another value; for ever if there will be none.
async fn changed<T: Copy>(watched: Option<&mut watch::Receiver<T>>) -> T {
    if let Some(watched) = watched
        && watched.changed().await.is_ok()
    {
        return *watched.borrow_and_update();
    }
    std::future::pending().await
}

/// Sends a message of the session: the request that it answers, 0 for none, and its number.
async fn send(
    sender: &ChannelSender<Subject>,
    key: Option<Subject>,
    parcel: Parcel,
    version: chartroom_icd::IcdVersion,
    traffic: &Traffic,
) -> Result<(u32, u32), SessionError> {
    let outgoing = parcel.into_outgoing();
    count("sent", outgoing.event(), outgoing.wire_bytes());
    traffic.sent(outgoing.wire_bytes());
    let request_id = outgoing.request_id();
    let number = sender
        .send(Message::Binary(outgoing.into_bytes(version)), key)
        .await?;
    Ok((request_id, number))
}
