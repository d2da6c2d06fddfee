//! The CARTA application on a server: which conversations there are, and which session each of them is about.

mod conversation;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use chartroom_icd::IcdVersion;
use chartroom_rpc::Socket;
use chartroom_session::store::{Keeper, SessionStore, Stream};
use chartroom_session::transport::{Channel, Claim, Host, Hub, SecretHash, SocketMessage, StreamKey};
use chartroom_session::{Principal, Registry, SessionId, SessionState};
use chartroom_viewer::{Access, Connection, Subject, Viewer, ViewerSession};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use self::conversation::converse;
use crate::door::Door;
use crate::link::{PeerInfo, SocketService};
use crate::rpc::Rooms;

/// How often it is looked whether parked sessions hold too much memory.
const MAKING_ROOM: Duration = Duration::from_secs(5);

/// Everything that conversations with CARTA clients need.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) viewer: Viewer,
    pub(crate) registry: Arc<Registry<ViewerSession>>,
    pub(crate) access: Arc<dyn Access>,
    /// Where sessions are stored; `None` if they end with the process.
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) hub: Hub<Subject>,
    pub(crate) idle_timeout: Option<Duration>,
    /// How many bytes parked sessions may hold together.
    pub(crate) parked_bytes: usize,
    /// Where the JSON RPC interface keeps what outlives the process; `None` if nothing does.
    pub(crate) rpc_store: Option<Arc<dyn SessionStore>>,
}

/// Serves CARTA clients.
#[derive(Debug)]
pub(crate) struct CartaService {
    parts: Arc<Parts>,
    door: Door,
}

/// The service as the hub sees it.
struct Handle(Arc<Parts>);

impl CartaService {
    /// A service with its upkeep at work, which ends with `life`. Must be called in a tokio runtime.
    pub(crate) fn start(parts: Parts, life: &CancellationToken) -> Self {
        let parts = Arc::new(parts);
        let upkeep = {
            let parts = Arc::clone(&parts);
            async move {
                tokio::join!(parts.registry.tend(), parts.make_room());
            }
        };
        tokio::spawn(life.clone().run_until_cancelled_owned(upkeep));
        let door = Door::new(Arc::clone(&parts.registry));
        Self { parts, door }
    }
}

impl SocketService for CartaService {
    fn serve(
        &self,
        socket: WebSocket,
        peer: PeerInfo,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let host = Handle(Arc::clone(&self.parts));
        let principal = Principal(peer.principal.as_str().into());
        let socket = Socket(socket);
        async move {
            let hub = host.0.hub.clone();
            let link = async {
                match socket.is_resumable() {
                    true => {
                        let socket = socket.inspect_ok(move |message| {
                            // Whatever it is, it is the whole first message, and will be judged.
                            if matches!(message, SocketMessage::Text(_) | SocketMessage::Binary(_)) {
                                peer.intake.open();
                            }
                        });
                        hub.attach(socket, principal, &host).await;
                    }
                    false => hub.attach_plain(socket, principal, &host).await,
                }
            };
            let mut link = std::pin::pin!(link);
            tokio::select! {
                () = &mut link => {}
                () = shutdown.cancelled() => {
                    hub.stop();
                    link.await;
                }
            }
        }
        .boxed()
    }

    fn door(&self) -> Option<Door> {
        Some(self.door.clone())
    }

    fn rooms(&self) -> Option<Rooms> {
        Some(Rooms {
            viewer: self.parts.viewer.clone(),
            door: self.door.clone(),
            store: self.parts.rpc_store.clone(),
        })
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let parts = Arc::clone(&self.parts);
        async move {
            // Before their streams end: clients that lose them come back to the next process.
            parts.hub.refuse();
            // Sessions first: what is stored then is what their clients have seen last.
            parts.registry.stop().await;
            parts.hub.stop();
        }
        .boxed()
    }
}

/// What is known of a stream from another life of the server.
#[derive(Debug)]
pub(crate) struct Revival {
    id: SessionId,
    owner: Principal,
    version: IcdVersion,
}

impl Parts {
    async fn make_room(&self) {
        let mut ticks = tokio::time::interval(MAKING_ROOM);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let held = self.registry.make_room(self.parked_bytes).await;
            metrics::gauge!("chartroom_parked_bytes").set(held as f64);
        }
    }

    fn connection(&self, principal: Principal, stream: Option<StreamKey>) -> Connection {
        let stream = stream.map(|key| Stream {
            name: key.name.to_string(),
            secret_hash: *key.secret_hash.as_bytes(),
            opener: principal.0.to_string(),
        });
        Connection::new(
            self.viewer.clone(),
            Arc::clone(&self.registry),
            Arc::clone(&self.access),
            principal,
            stream,
        )
    }

    async fn look_up(&self, claim: Claim) -> Option<Revival> {
        let name = claim.key.name.to_string();
        let found = match self.keeper.as_ref()?.find_stream(&name).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(stream = name, %error, "a stored session could not be looked up");
                None
            }
        };
        let (id, record) = found?;
        let stream = record.stream?;
        let proven = SecretHash::from_bytes(stream.secret_hash) == claim.key.secret_hash
            && stream.opener == *claim.principal.0;
        if !proven {
            tracing::warn!(session = %id, stream = name, "somebody claimed a stream without its secret");
            return None;
        }
        // A session that is in memory is not to be had by an old stream: it has another one, or none.
        let stored = matches!(self.registry.state(id), Some(SessionState::Stored { .. }));
        let version = IcdVersion::try_from(record.client_version).ok()?;
        let owner = Principal(record.owner.into());
        stored.then_some(Revival { id, owner, version })
    }
}

impl Host<Subject> for Handle {
    type Revival = Revival;

    fn open(&self, principal: Principal, channel: Channel<Subject>) {
        let connection = self.0.connection(principal, channel.sender.stream());
        tokio::spawn(converse(channel, connection, None, self.0.idle_timeout));
    }

    async fn revive(&self, claim: Claim) -> Option<Revival> {
        self.0.look_up(claim).await
    }

    fn open_revived(&self, revival: Revival, principal: Principal, channel: Channel<Subject>) {
        let connection = self.0.connection(principal, channel.sender.stream());
        tokio::spawn(converse(channel, connection, Some(revival), self.0.idle_timeout));
    }
}
