//! A running server.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::{AuthToken, Gate},
    error::ServerError,
    folders,
    frontend::Frontend,
    http::{self, AddressLimits, AllowedOrigins, Limits, LinkCount, Site},
    link::SocketService,
    metrics::Metrics,
    options::{Options, PortChoice},
    store::Store,
};

/// How many ports are tried when none was asked for.
const PORTS_TRIED: u16 = 100;
/// How long connections may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(4);
/// How often recorded durations are condensed.
const UPKEEP: Duration = Duration::from_secs(5);

/// A server that listens. Dropping it stops the listening at once; [`Server::stop`] does so with grace.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    token: Option<AuthToken>,
    links: LinkCount,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Starts listening as `options` say and hands every WebSocket to `service`.
    ///
    /// # Errors
    /// [`ServerError::Listen`] if the port can not be had, [`ServerError::Folder`] if the frontend or state folder
    /// can not be used, [`ServerError::Random`] if there is no random token.
    pub async fn start(options: &Options, service: Arc<dyn SocketService>) -> Result<Self, ServerError> {
        let token = match (options.require_auth, &options.auth_token) {
            (false, _) => None,
            (true, Some(token)) => Some(token.clone()),
            (true, None) => Some(AuthToken::random()?),
        };
        let (frontend, store) = load(options).await?;
        let listener = listen(&options.host, options.port).await?;
        let address = listener.local_addr().map_err(|source| ServerError::Listen {
            address: options.host.clone(),
            source,
        })?;
        let metrics = Metrics::of_process();
        let links = LinkCount::new();
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let site = Site {
            gate: token.clone().map_or(Gate::Open, Gate::Token),
            origins: AllowedOrigins::new(&options.allowed_origins),
            prefix: options.url_prefix.clone(),
            frontend,
            store: store.map(Arc::new),
            read_only: options.read_only,
            scripting: options.scripting,
            policy: http::content_security_policy(&options.external_services),
            metrics: metrics.clone(),
            service,
            max_body_size: options.max_body_size,
            request_timeout: options.request_timeout,
            max_message_size: options.max_message_size,
            links: links.clone(),
            shutdown: shutdown.clone(),
            tasks: tasks.clone(),
        };
        let limits = Limits {
            max_header_size: options.max_header_size,
            request_timeout: options.request_timeout,
            addresses: AddressLimits::new(options.connections_per_address),
        };
        let router = http::router(Arc::new(site));
        tasks.spawn(http::serve(
            listener,
            router,
            limits,
            shutdown.clone(),
            tasks.clone(),
        ));
        tasks.spawn(condense(metrics, shutdown.clone()));
        let url = url(options, address, token.as_ref());
        Ok(Self {
            address,
            url,
            token,
            links,
            shutdown,
            tasks,
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the page, with the token if one is asked for.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token, if one is asked for.
    #[must_use]
    pub fn token(&self) -> Option<&AuthToken> {
        self.token.as_ref()
    }

    /// The number of open WebSockets, with every change.
    #[must_use]
    pub fn links(&self) -> watch::Receiver<usize> {
        self.links.subscribe()
    }

    /// Stops listening, tells every connection to end, and waits for them, but for no more than four seconds.
    pub async fn stop(self) {
        self.stop_within(GRACE).await;
    }

    /// As [`Server::stop`], with another time to wait.
    pub async fn stop_within(self, grace: Duration) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some connections did not end in time");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Opens frontend and stores, off the threads that serve connections.
async fn load(options: &Options) -> Result<(Option<Frontend>, Option<Store>), ServerError> {
    let options = options.clone();
    let loaded = tokio::task::spawn_blocking(move || Ok((frontend(&options)?, store(&options)?))).await;
    loaded.unwrap_or_else(|error| {
        Err(ServerError::System {
            what: "Frontend and stores could not be opened",
            source: error.into(),
        })
    })
}

fn frontend(options: &Options) -> Result<Option<Frontend>, ServerError> {
    if !options.serve_frontend {
        return Ok(None);
    }
    let folder = options.frontend.clone().or_else(folders::installed_frontend);
    folder.map(|folder| Frontend::load(&folder)).transpose()
}

fn store(options: &Options) -> Result<Option<Store>, ServerError> {
    if !options.database {
        return Ok(None);
    }
    if let Some(folder) = &options.state_dir {
        return Store::open(folder, options.read_only).map(Some);
    }
    // A folder that nobody asked for must not keep the server from starting, for instance in a container.
    let Some(folder) = folders::default_state_folder() else {
        tracing::warn!("no state folder is known, so browsers keep their own preferences; see --state-dir");
        return Ok(None);
    };
    match Store::open(&folder, options.read_only) {
        Ok(store) => Ok(Some(store)),
        Err(error) => {
            tracing::warn!("{error} Browsers keep their own preferences; see --state-dir.");
            Ok(None)
        }
    }
}

async fn listen(host: &str, port: PortChoice) -> Result<TcpListener, ServerError> {
    let (first, tries) = match port {
        PortChoice::Exactly(port) => (port, 1),
        PortChoice::From(port) => (port, PORTS_TRIED),
    };
    let mut port = first;
    loop {
        match TcpListener::bind((host, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error)
                if error.kind() == ErrorKind::AddrInUse && port - first + 1 < tries && port < u16::MAX =>
            {
                port += 1;
            }
            Err(source) => {
                return Err(ServerError::Listen {
                    address: authority(host, port),
                    source,
                });
            }
        }
    }
}

async fn condense(metrics: Metrics, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => metrics.condense(),
        }
    }
}

/// The address for people: who listens on all interfaces is reached on this machine by the loopback address.
fn url(options: &Options, address: SocketAddr, token: Option<&AuthToken>) -> String {
    let host = match options.host.parse::<IpAddr>() {
        Ok(ip) if ip == Ipv4Addr::UNSPECIFIED => Ipv4Addr::LOCALHOST.to_string(),
        Ok(ip) if ip == Ipv6Addr::UNSPECIFIED => Ipv6Addr::LOCALHOST.to_string(),
        _ => options.host.clone(),
    };
    let query = token
        .map(|token| format!("?token={}", token.in_url()))
        .unwrap_or_default();
    format!(
        "http://{}{}/{query}",
        authority(&host, address.port()),
        options.url_prefix
    )
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
