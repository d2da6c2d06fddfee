//! What a runtime is made of.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chartroom_session::store::{Clock, MemoryStore, SessionStore};
use chartroom_session::transport::{Hub, HubOptions};
use futures_util::FutureExt;

use super::{Runtime, RuntimeError, Shared, Tabs};
use crate::archive::{Archive, Kind};
use crate::authenticate::{Anonymous, Authenticate};
use crate::capability::Capability;
use crate::http::{Front, Serve};
use crate::idempotency::{self, Archived, Table};
use crate::lanes::LaneLimits;
use crate::logging::{LogRules, RuleSet};
use crate::objects::Object;
use crate::permission::{AllowAll, Policy};
use crate::registry::Registry;
use crate::session::driver::Guest;
use crate::session::machine::Limits;
use crate::settings::{ServerSettings, Settings};
use crate::views::{Life, Views};

/// Requests and events of one page that are carried out at once.
const RUNNING: usize = 256;
/// Bytes of messages of one page that wait for their turn.
const WAITING: usize = 4 << 20;
/// Subscriptions of one page.
const SUBSCRIPTIONS: usize = 4096;
/// Bytes of outcomes that are remembered for those who ask again …
const OUTCOMES: usize = 32 << 20;
/// … and for how long.
const OUTCOME_AGE: Duration = Duration::from_secs(600);
/// Bytes to one page that it has not acknowledged, or that are not written.
const SEND_BUFFER: usize = 4 << 20;

/// Collects what a [`Runtime`] is made of.
pub struct RuntimeBuilder {
    settings: Settings,
    server: ServerSettings,
    authenticate: Arc<dyn Authenticate>,
    policy: Arc<dyn Policy>,
    store: Option<Arc<dyn SessionStore>>,
    rules: RuleSet,
    message: String,
    capabilities: Vec<Capability>,
    objects: Vec<(String, Arc<dyn Object>)>,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            server: ServerSettings::default(),
            authenticate: Arc::new(Anonymous),
            policy: Arc::new(AllowAll),
            store: None,
            rules: RuleSet::default(),
            message: "Welcome.".to_owned(),
            capabilities: Vec::new(),
            objects: Vec::new(),
        }
    }
}

impl RuntimeBuilder {
    /// What pages may know: the answer to `GET /settings`.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What only the server may know.
    #[must_use]
    pub fn server_settings(mut self, server: ServerSettings) -> Self {
        self.server = server;
        self
    }

    /// Who finds out who stands behind a page; by default, everybody is let in.
    #[must_use]
    pub fn authenticate(mut self, authenticate: Arc<dyn Authenticate>) -> Self {
        self.authenticate = authenticate;
        self
    }

    /// Who decides who may do what; by default, everybody may do everything.
    #[must_use]
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// Where views and outcomes of idempotent calls are kept; by default in memory. It must not be shared with anything else.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// By which rules frames are logged at the beginning; by default, none are.
    #[must_use]
    pub fn log_rules(mut self, rules: RuleSet) -> Self {
        self.rules = rules;
        self
    }

    /// What pages are told in their welcome, as `serverMessage` of the state.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = text.into();
        self
    }

    /// Offers a capability.
    #[must_use]
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Offers an object under this id.
    #[must_use]
    pub fn object(mut self, id: impl Into<String>, object: Arc<dyn Object>) -> Self {
        self.objects.push((id.into(), object));
        self
    }

    /// The runtime. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`RuntimeError`] if something that was registered is wrong, or the store cannot be opened.
    pub async fn build(self) -> Result<Runtime, RuntimeError> {
        let registry = Registry::new(self.capabilities, self.objects)?;
        let of_pages = &self.settings.debug.frontend.rpc;
        for rules in [&of_pages.incoming_messages, &of_pages.outgoing_messages]
            .into_iter()
            .flatten()
        {
            rules.validate().map_err(RuntimeError::Rules)?;
        }
        let store = self
            .store
            .unwrap_or_else(|| Arc::new(MemoryStore::new(Clock::system())));
        let (archive, kept) = Archive::open(store, &self.server.node)
            .await
            .map_err(RuntimeError::Store)?;
        let (servers, kept): (Vec<_>, _) = kept.into_iter().partition(|kept| kept.kind == Kind::Server);
        let (views, outcomes): (Vec<_>, Vec<_>) = kept.into_iter().partition(|kept| kept.kind == Kind::View);
        let life = Life::begin(self.server.cookie.clone(), Arc::clone(&archive), servers)
            .map_err(RuntimeError::Session)?;
        let life = Arc::new(life);
        let views = Arc::new(Views::open(
            self.server.views.clone(),
            Arc::clone(&archive),
            views,
        ));
        let hub = Hub::new(HubOptions {
            liveness: liveness(&self.settings),
            retention: self.server.retention,
            buffer_limit: SEND_BUFFER,
            ..HubOptions::default()
        })
        .map_err(RuntimeError::Session)?;
        let shared = Arc::new(Shared {
            registry,
            policy: self.policy,
            limits: limits(&self.settings, &self.server),
            retention: self.server.retention,
            log: LogRules::new(self.rules).map_err(RuntimeError::Rules)?,
            table: Table::new(idempotency::Limits {
                bytes: OUTCOMES,
                age: OUTCOME_AGE,
            }),
            outcomes: Arc::new(Archived::open(Arc::clone(&archive), outcomes)),
            views: Arc::clone(&views),
            archive,
            hub,
            tabs: Tabs::default(),
            message: self.message,
            booted: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            settings: self.settings,
        });
        let serve = serve(Arc::clone(&shared));
        let front = Front::new(
            &shared.settings,
            self.server,
            life,
            views,
            self.authenticate,
            serve,
        );
        Ok(Runtime { shared, front })
    }
}

/// A page that is silent for three signs of life is gone. Browsers answer pings by themselves, whatever their scripts do.
fn liveness(settings: &Settings) -> Duration {
    let heartbeats = Duration::from_millis(u64::from(settings.protocol.heartbeat_ms)) * 3;
    heartbeats.max(Duration::from_secs(10))
}

fn limits(settings: &Settings, server: &ServerSettings) -> Limits {
    Limits {
        lanes: LaneLimits {
            lane: settings.protocol.max_in_flight_per_lane.max(1) as usize,
            session: RUNNING,
            bytes: WAITING,
        },
        subscriptions: SUBSCRIPTIONS,
        default_budget: Duration::from_millis(u64::from(settings.timeouts.medium.service_ttl_ms)),
        max_budget: server.max_budget,
    }
}

fn serve(shared: Arc<Shared>) -> Serve {
    Arc::new(move |socket, visitor| {
        let shared = Arc::clone(&shared);
        async move {
            let principal = visitor.principal.clone();
            let hub = shared.hub.clone();
            let guest = Guest { shared, visitor };
            if socket.is_resumable() {
                hub.attach(socket, principal, &guest).await;
            } else {
                hub.attach_plain(socket, principal, &guest).await;
            }
        }
        .boxed()
    })
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("settings", &self.settings)
            .field("server", &self.server)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}
