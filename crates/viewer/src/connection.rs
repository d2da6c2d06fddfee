//! The CARTA side of one conversation, without IO: what each message that comes in leads to.

use std::sync::Arc;

use bytes::Bytes;
use chartroom_icd::{EventType, Frame, Header, IcdError, IcdVersion, Outgoing, Request, messages};
use chartroom_session::store::Stream;
use chartroom_session::{
    Arrival, Link, LinkEnd, LinkId, OutboxReceiver, Principal, Registered, Registry, SessionError, SessionId,
};
use tokio::sync::watch;

use crate::access::{Access, Grant};
use crate::refusal::refusal;
use crate::session::{Restore, SessionStart, Subject, Traffic, ViewerSession};
use crate::viewer::{Parcel, Viewer};

/// What is to be sent back at once on the link that a message came from. Everything else goes through the outbox of
/// the session.
#[derive(Debug)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// A text frame.
    Text(&'static str),
    /// A binary frame.
    Binary(Bytes),
    /// Nothing, but from now on the messages of this session go to this link.
    Attach(Attachment),
}

/// A session whose messages go to a link from now on.
#[derive(Debug)]
pub struct Attachment {
    /// Its messages.
    pub messages: OutboxReceiver<Subject, Parcel>,
    /// What the client speaks.
    pub version: IcdVersion,
    /// How many of its requests have had an effect that is stored.
    pub stored: watch::Receiver<u64>,
    /// Where what is sent is counted.
    pub traffic: Arc<Traffic>,
}

/// What a message has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that outlives the message.
    None,
    /// It is one more request of the session.
    Request {
        /// How many requests the session was given with this one.
        handled: u64,
        /// The number that its reply will repeat, if it has one.
        reply_to: Option<u32>,
    },
}

/// How a client stands to the server.
#[derive(Debug)]
enum Standing {
    /// It has not registered yet.
    Unregistered,
    /// It came with a key that opens nothing, and is answered nothing but another registration.
    Refused,
    /// It has a session.
    Registered(Own),
}

#[derive(Debug)]
struct Own {
    id: SessionId,
    session: Arc<ViewerSession>,
}

/// By which it is told whether a link is heard at the moment, also while its conversation is busy.
#[derive(Debug, Clone)]
pub struct Presence {
    registry: Arc<Registry<ViewerSession>>,
    session: SessionId,
    link: LinkId,
}

impl Presence {
    /// The link has fallen silent, but may be heard again.
    pub fn silent(&self) {
        self.registry.silent(self.session, self.link);
    }

    /// The link was heard again. Whether the conversation can go on; if not, the link is being closed.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.registry.heard(self.session, self.link)
    }
}

/// One conversation with a CARTA client.
#[derive(Debug)]
pub struct Connection {
    viewer: Viewer,
    registry: Arc<Registry<ViewerSession>>,
    access: Arc<dyn Access>,
    link: Link,
    /// The stream of the resumable transport that carries the conversation, if one does.
    stream: Option<Stream>,
    /// What the client speaks, as far as it is known.
    version: IcdVersion,
    standing: Standing,
}

impl Connection {
    /// A conversation with a client that came in as `principal` and has not registered yet.
    #[must_use]
    pub fn new(
        viewer: Viewer,
        registry: Arc<Registry<ViewerSession>>,
        access: Arc<dyn Access>,
        principal: Principal,
        stream: Option<Stream>,
    ) -> Self {
        Self {
            viewer,
            registry,
            access,
            link: Link::new(principal),
            stream,
            version: IcdVersion::NEWEST,
            standing: Standing::Unregistered,
        }
    }

    /// Goes on with a conversation that an earlier life of the server began: the client does not know that there was
    /// another one, and does not register again. What it may still wait for is sent again. The session belongs to `owner`,
    /// who had proved who it was when it was registered, and may do what it may do now.
    ///
    /// # Errors
    /// [`SessionError`] if no session can be had.
    pub async fn revive(
        &mut self,
        id: SessionId,
        owner: Principal,
        version: IcdVersion,
    ) -> Result<Attachment, SessionError> {
        self.version = version;
        let grant = self.access.grant(owner, String::new()).await;
        // Whoever may come in no longer has no session to go on with.
        let grant = grant.map_err(|_| SessionError::Ended)?;
        let found = self
            .enter(id.number(), &grant.principal, grant.may_write, true)
            .await?;
        tracing::info!(session = %found.id, arrival = ?found.arrival, "conversation revived");
        let session = Arc::clone(&found.session);
        let attachment = self.attach(found);
        session.attach();
        Ok(attachment)
    }

    /// The link as the registry sees it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Takes a text frame. `PING` is the heartbeat of today's clients, an empty frame that of older ones; each is
    /// answered in its own kind, but after a refused registration.
    pub fn text(&self, text: &[u8]) -> Answer {
        match text {
            _ if matches!(self.standing, Standing::Refused) => Answer::Nothing,
            b"PING" => Answer::Text("PONG"),
            b"" => Answer::Text(""),
            other => {
                tracing::warn!(
                    bytes = other.len(),
                    "a text frame that means nothing was passed over"
                );
                Answer::Nothing
            }
        }
    }

    /// Takes a binary frame, and waits while the session has too much to do already.
    ///
    /// # Errors
    /// [`SessionError`] if the session has ended or none can be had; the link is of no use any more.
    pub async fn binary(&mut self, message: Bytes) -> Result<(Answer, Effect), SessionError> {
        if message.is_empty() {
            let answer = match self.standing {
                Standing::Refused => Answer::Nothing,
                Standing::Unregistered | Standing::Registered(_) => Answer::Binary(message),
            };
            return Ok((answer, Effect::None));
        }
        let bytes = message.len();
        let frame = match Frame::split(message) {
            Ok(frame) => frame,
            Err(error) => return Ok((self.complain(&error), Effect::None)),
        };
        let header = frame.header;
        if let (Standing::Unregistered, Ok(version)) = (&self.standing, IcdVersion::try_from(header.version))
        {
            self.version = version;
        }
        let request = match Request::decode(header.event, frame.payload) {
            Ok(request) => request,
            Err(error) => return Ok(self.refuse_payload(header, &error).await),
        };
        count("received", request.event(), bytes);
        let reply_to = request.has_reply().then_some(header.request_id);
        if let Request::RegisterViewer(wish) = request {
            let answer = match IcdVersion::try_from(header.version) {
                Ok(version) => self.register(header.request_id, version, wish).await?,
                Err(error) => refuse_registration(header.request_id, IcdVersion::NEWEST, error.to_string()),
            };
            return Ok((answer, Effect::Request { handled: 0, reply_to }));
        }
        match &self.standing {
            Standing::Registered(own) => {
                let request = match request {
                    Request::ScriptingResponse(response) => {
                        let Some(response) = own.session.answer_in_passing(response, bytes) else {
                            return Ok((Answer::Nothing, Effect::None));
                        };
                        Request::ScriptingResponse(response)
                    }
                    other => other,
                };
                let handled = own.session.request(header.request_id, request, bytes).await?;
                Ok((Answer::Nothing, Effect::Request { handled, reply_to }))
            }
            Standing::Unregistered => {
                let sentence = "Register with REGISTER_VIEWER before anything else.";
                Ok((self.error_data(sentence), Effect::None))
            }
            Standing::Refused => Ok((Answer::Nothing, Effect::None)),
        }
    }

    /// By which it is told whether the link is heard at the moment; `None` if there is no session that a lost link would
    /// leave behind.
    #[must_use]
    pub fn presence(&self) -> Option<Presence> {
        match &self.standing {
            Standing::Registered(own) => Some(Presence {
                registry: Arc::clone(&self.registry),
                session: own.id,
                link: self.link.id(),
            }),
            Standing::Unregistered | Standing::Refused => None,
        }
    }

    /// The conversation has come to its end.
    pub fn end(mut self, end: LinkEnd) {
        self.leave(end);
    }

    /// Leaves the session, if there is one.
    fn leave(&mut self, end: LinkEnd) {
        let Standing::Registered(own) = std::mem::replace(&mut self.standing, Standing::Unregistered) else {
            return;
        };
        self.registry.unlink(own.id, self.link.id(), end);
    }

    async fn register(
        &mut self,
        request_id: u32,
        version: IcdVersion,
        wish: messages::RegisterViewer,
    ) -> Result<Answer, SessionError> {
        let principal = self.link.principal().clone();
        let grant = match self.access.grant(principal, wish.api_key).await {
            Ok(grant) => grant,
            Err(sentence) => {
                tracing::warn!(reason = sentence, "a registration was refused");
                self.leave(LinkEnd::Lost);
                self.standing = Standing::Refused;
                return Ok(refuse_registration(request_id, version, sentence));
            }
        };
        // A link that registers again without an identity keeps the session that it has, and is told so: a client that is
        // answered "new" would take what is open for closed.
        let own = match &self.standing {
            Standing::Registered(own) => Some(own.id),
            Standing::Unregistered | Standing::Refused => None,
        };
        let wanted = match (wish.session_id, own) {
            (0, Some(own)) => own.number(),
            (wanted, _) => wanted,
        };
        if own.is_some_and(|own| own.number() != wanted) {
            // It wants another one: the session that it had is left behind.
            self.leave(LinkEnd::Closed);
        }
        let found = self
            .enter(wanted, &grant.principal, grant.may_write, false)
            .await?;
        if own.is_some_and(|own| own != found.id) {
            self.leave(LinkEnd::Lost);
        }
        let arrival = found.arrival;
        tracing::info!(session = %found.id, ?arrival, version = version.number(), "client registered");
        let ack = self.acknowledgement(found.id, arrival, grant);
        self.version = version;
        if own != Some(found.id) {
            // What waits was meant for a client on another link, whose requests had other numbers.
            found.session.detach();
        }
        let (session, journal) = (Arc::clone(&found.session), Arc::clone(&found.journal));
        // From here on an older link gets nothing, however long it takes to close.
        let attachment = self.attach(found);
        // A client that knows its session finds it again, even if the server is killed at once.
        journal.flush().await;
        session.acknowledge(request_id, &ack);
        session.attach();
        Ok(Answer::Attach(attachment))
    }

    /// Asks the registry for a session.
    async fn enter(
        &self,
        wanted: u32,
        principal: &Principal,
        may_write: bool,
        resend: bool,
    ) -> Result<Registered<ViewerSession>, SessionError> {
        let viewer = &self.viewer;
        let found = self
            .registry
            .register(wanted, &self.link, principal, |start| {
                viewer.start_session(SessionStart {
                    id: start.id,
                    journal: start.journal,
                    may_write,
                    restore: start.stored.map(|descriptor| Restore { descriptor, resend }),
                })
            })
            .await?;
        // It may be older than what its owner may do now.
        found.session.allow_writing(may_write);
        Ok(found)
    }

    fn attach(&mut self, found: Registered<ViewerSession>) -> Attachment {
        self.registry.bind(
            found.id,
            self.link.id(),
            self.stream.clone(),
            self.version.number(),
        );
        let attachment = Attachment {
            messages: found.session.outbox().receiver(),
            version: self.version,
            stored: found.journal.stored(),
            traffic: Arc::clone(found.session.traffic()),
        };
        self.standing = Standing::Registered(Own {
            id: found.id,
            session: found.session,
        });
        attachment
    }

    fn acknowledgement(&self, id: SessionId, arrival: Arrival, grant: Grant) -> messages::RegisterViewerAck {
        let session_type = match arrival {
            Arrival::New => messages::SessionType::New,
            Arrival::Warm | Arrival::Cold | Arrival::Adopted => messages::SessionType::Resumed,
        };
        let (recovery, message) = match arrival {
            Arrival::New => ("new", "Welcome to Chartroom: a new session has begun."),
            Arrival::Warm => (
                "warm",
                "Welcome back: your session was resumed (warm), and everything was kept as you left it.",
            ),
            Arrival::Cold => (
                "cold",
                "Welcome back: your session was resumed (cold); it was stored, and is being built again as you left it.",
            ),
            Arrival::Adopted => (
                "adopted",
                "Welcome back: your session was adopted; nothing was kept of it here, and what your page sends is opened again.",
            ),
        };
        let options = self.viewer.options();
        let platform = options.platform.iter().cloned();
        let recovery = ("recovery_level".to_owned(), recovery.to_owned());
        messages::RegisterViewerAck {
            session_id: id.number(),
            success: true,
            message: message.to_owned(),
            session_type: session_type.into(),
            server_feature_flags: features(options.scripting, &grant),
            platform_strings: platform.chain([recovery]).collect(),
            user_preferences: grant.preferences.into_iter().collect(),
            user_layouts: grant.layouts.into_iter().collect(),
        }
    }

    /// Complains of a payload that cannot be decoded. Whoever waits for a reply to it gets that as well.
    async fn refuse_payload(&self, header: Header, error: &IcdError) -> (Answer, Effect) {
        // No bytes are a message with nothing in it, in all of the ICD.
        let empty = Request::decode(header.event, Bytes::new()).ok();
        let reply = empty.and_then(|empty| refusal(header.request_id, &empty, error.to_string()));
        let complaint = self.complain(error);
        match (&self.standing, reply) {
            (Standing::Registered(own), Some(reply)) => {
                own.session.refuse(reply).await;
                let reply_to = Some(header.request_id);
                (complaint, Effect::Request { handled: 0, reply_to })
            }
            // Its sentence is that of the complaint.
            (_, Some(reply)) if reply.event() == EventType::RegisterViewerAck => {
                (Answer::Binary(reply.into_bytes(self.version)), Effect::None)
            }
            _ => (complaint, Effect::None),
        }
    }

    fn complain(&self, error: &IcdError) -> Answer {
        tracing::warn!(%error, "a frame could not be understood");
        match self.standing {
            Standing::Refused => Answer::Nothing,
            Standing::Unregistered | Standing::Registered(_) => self.error_data(&error.to_string()),
        }
    }

    fn error_data(&self, sentence: &str) -> Answer {
        let message = messages::ErrorData {
            severity: messages::ErrorSeverity::Error.into(),
            tags: vec!["protocol".to_owned()],
            message: sentence.to_owned(),
            data: String::new(),
        };
        Answer::Binary(Outgoing::new(0, &message).into_bytes(self.version))
    }
}

/// What the server can do for this client, as `ServerFeatureFlags`.
fn features(scripting: bool, grant: &Grant) -> u32 {
    use messages::ServerFeatureFlags as Flag;
    if !grant.may_write {
        // The client takes a server for read-only only if this is its one and only feature.
        return Flag::ReadOnly as u32;
    }
    [
        (scripting && grant.may_script, Flag::Scripting),
        (!grant.preferences.is_empty(), Flag::UserPreferences),
        (!grant.layouts.is_empty(), Flag::UserLayouts),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .fold(Flag::ServerFeatureNone as u32, |flags, (_, flag)| {
        flags | flag as u32
    })
}

/// The answer to a registration that is not granted.
fn refuse_registration(request_id: u32, version: IcdVersion, sentence: String) -> Answer {
    let ack = messages::RegisterViewerAck {
        message: sentence,
        ..Default::default()
    };
    Answer::Binary(Outgoing::new(request_id, &ack).into_bytes(version))
}

/// Counts a message for the metrics.
pub fn count(direction: &'static str, event: EventType, bytes: usize) {
    let event = event.as_str_name();
    metrics::counter!("chartroom_messages_total", "direction" => direction, "event" => event).increment(1);
    metrics::counter!("chartroom_message_bytes_total", "direction" => direction, "event" => event)
        .increment(bytes as u64);
}
