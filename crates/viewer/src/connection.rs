//! The CARTA side of one link, without IO: what each message that comes in leads to.

use std::sync::Arc;

use bytes::Bytes;
use chartroom_icd::{EventType, Frame, IcdError, IcdVersion, Outgoing, Request, messages};
use chartroom_session::{
    Arrival, Link, LinkEnd, OutboxReceiver, Principal, Registry, SessionError, SessionId,
};

use crate::session::{Subject, ViewerSession};
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
    /// Nothing, but from now on the messages of this session go to this link, for a client of this version.
    Attach(OutboxReceiver<Subject, Parcel>, IcdVersion),
}

/// One link of a CARTA client.
#[derive(Debug)]
pub struct Connection {
    viewer: Viewer,
    registry: Arc<Registry<ViewerSession>>,
    link: Link,
    /// What the client speaks, as far as it is known.
    version: IcdVersion,
    registered: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    id: SessionId,
    session: Arc<ViewerSession>,
}

impl Connection {
    /// A link of `principal` that has not registered yet.
    #[must_use]
    pub fn new(viewer: Viewer, registry: Arc<Registry<ViewerSession>>, principal: Principal) -> Self {
        Self {
            viewer,
            registry,
            link: Link::new(principal),
            version: IcdVersion::NEWEST,
            registered: None,
        }
    }

    /// The link as the registry sees it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Takes a text frame. `PING` is the heartbeat of today's clients, an empty frame that of older ones; each is
    /// answered in its own kind.
    pub fn text(&self, text: &str) -> Answer {
        match text {
            "PING" => Answer::Text("PONG"),
            "" => Answer::Text(""),
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
    pub async fn binary(&mut self, message: Bytes) -> Result<Answer, SessionError> {
        if message.is_empty() {
            return Ok(Answer::Binary(Bytes::new()));
        }
        let bytes = message.len();
        let frame = match Frame::split(message) {
            Ok(frame) => frame,
            Err(error) => return Ok(self.complain(&error)),
        };
        let header = frame.header;
        if let (None, Ok(version)) = (&self.registered, IcdVersion::try_from(header.version)) {
            self.version = version;
        }
        let request = match Request::decode(header.event, frame.payload) {
            Ok(request) => request,
            Err(error) => return Ok(self.complain(&error)),
        };
        count("received", request.event(), bytes);
        if let Request::RegisterViewer(wish) = &request {
            return match IcdVersion::try_from(header.version) {
                Ok(version) => self.register(header.request_id, version, wish),
                Err(error) => Ok(Self::refuse(header.request_id, &error)),
            };
        }
        let Some(registered) = &self.registered else {
            let sentence = "Register with REGISTER_VIEWER before anything else.";
            return Ok(self.error_data(sentence));
        };
        registered
            .session
            .request(header.request_id, request, bytes)
            .await?;
        Ok(Answer::Nothing)
    }

    /// The link has come to its end.
    pub fn end(self, end: LinkEnd) {
        if let Some(registered) = self.registered {
            self.registry.unlink(registered.id, self.link.id(), end);
        }
    }

    fn register(
        &mut self,
        request_id: u32,
        version: IcdVersion,
        wish: &messages::RegisterViewer,
    ) -> Result<Answer, SessionError> {
        // A link that registers again without an identity keeps the session that it has.
        let own = self.registered.as_ref().map(|r| r.id);
        let wanted = if wish.session_id == 0 {
            own.map_or(0, SessionId::number)
        } else {
            wish.session_id
        };
        if let Some(own) = own.filter(|own| own.number() != wanted) {
            // It wants another one: the session that it had is left behind.
            self.registry.unlink(own, self.link.id(), LinkEnd::Closed);
            self.registered = None;
        }
        let found = self
            .registry
            .register(wanted, &self.link, |id| self.viewer.start_session(id))?;
        let arrival = if wish.session_id == 0 {
            Arrival::New
        } else {
            found.arrival
        };
        tracing::info!(session = %found.id, ?arrival, version = version.number(), "client registered");
        if own != Some(found.id) {
            // What waits was meant for a client on another link, whose requests had other numbers.
            found.session.outbox().clear();
        }
        let ack = self.acknowledgement(found.id, arrival);
        // From here on an older link gets nothing, however long it takes to close.
        let receiver = found.session.outbox().receiver();
        found.session.acknowledge(request_id, &ack);
        self.version = version;
        self.registered = Some(Registered {
            id: found.id,
            session: found.session,
        });
        Ok(Answer::Attach(receiver, version))
    }

    fn acknowledgement(&self, id: SessionId, arrival: Arrival) -> messages::RegisterViewerAck {
        use messages::ServerFeatureFlags as Flag;
        let options = self.viewer.options();
        let (session_type, message) = match arrival {
            Arrival::New => (messages::SessionType::New, "Welcome to Chartroom."),
            Arrival::Resumed => (messages::SessionType::Resumed, "Welcome back to Chartroom."),
        };
        // The client takes a server for read-only only if this is its one and only feature.
        let features = match (options.read_only, options.scripting) {
            (true, _) => Flag::ReadOnly,
            (false, true) => Flag::Scripting,
            (false, false) => Flag::ServerFeatureNone,
        };
        messages::RegisterViewerAck {
            session_id: id.number(),
            success: true,
            message: message.to_owned(),
            session_type: session_type.into(),
            server_feature_flags: features as u32,
            platform_strings: options.platform.iter().cloned().collect(),
            ..Default::default()
        }
    }

    fn refuse(request_id: u32, error: &IcdError) -> Answer {
        tracing::warn!(%error, "a client was refused");
        let ack = messages::RegisterViewerAck {
            message: error.to_string(),
            ..Default::default()
        };
        Answer::Binary(Outgoing::new(request_id, &ack).into_bytes(IcdVersion::NEWEST))
    }

    fn complain(&self, error: &IcdError) -> Answer {
        tracing::warn!(%error, "a frame could not be understood");
        self.error_data(&error.to_string())
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

/// Counts a message for the metrics.
pub fn count(direction: &'static str, event: EventType, bytes: usize) {
    let event = event.as_str_name();
    metrics::counter!("chartroom_messages_total", "direction" => direction, "event" => event).increment(1);
    metrics::counter!("chartroom_message_bytes_total", "direction" => direction, "event" => event)
        .increment(bytes as u64);
}
