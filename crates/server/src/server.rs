//! A running server.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use chartroom_rpc::Runtime;
use tokio::{io::DuplexStream, net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accounts::Accounts,
    auth::AuthToken,
    error::ServerError,
    folders,
    frontend::{Frontend, InlineScripts, RESUMABLE_SOCKET},
    gate::Gate,
    http::{self, AddressLimits, AllowedOrigins, Limits, LinkCount, Site},
    link::SocketService,
    metrics::Metrics,
    options::{Options, PortChoice},
    rpc,
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
    service: Arc<dyn SocketService>,
    rpc: Option<Runtime>,
    router: Router,
    limits: Limits,
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
        let accounts = Accounts::open(options).await?;
        Self::start_with(options, accounts, service, CancellationToken::new()).await
    }

    /// As [`Server::start`], with accounts that were opened before, as a service needs that asks them itself, and with
    /// the token that is cancelled when the server stops.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        options: &Options,
        accounts: Accounts,
        service: Arc<dyn SocketService>,
        shutdown: CancellationToken,
    ) -> Result<Self, ServerError> {
        let token = match (options.require_auth, &options.auth_token) {
            (false, _) => None,
            (true, Some(token)) => Some(token.clone()),
            (true, None) => Some(AuthToken::random()?),
        };
        let frontend = load(options).await?;
        let listener = listen(&options.host, options.port).await?;
        let address = listener.local_addr().map_err(|source| ServerError::Listen {
            address: options.host.clone(),
            source,
        })?;
        let metrics = Metrics::of_process();
        let links = LinkCount::new();
        let tasks = TaskTracker::new();
        let inline_scripts = frontend
            .as_ref()
            .map_or(InlineScripts::Any, |frontend| frontend.inline_scripts().clone());
        let gate = Gate::new(
            token.clone(),
            options.scripting_token.clone().filter(|_| options.scripting),
            accounts.clone(),
        );
        let rpc = match service.rooms() {
            Some(rooms) => {
                Some(rpc::start(options, rooms, gate.clone(), links.clone(), metrics.clone()).await?)
            }
            None => None,
        };
        let site = Site {
            gate,
            rpc: rpc.clone(),
            origins: AllowedOrigins::new(&options.allowed_origins),
            prefix: options.url_prefix.clone(),
            frontend,
            accounts,
            read_only: options.read_only,
            scripting: options.scripting,
            policy: http::content_security_policy(&options.external_services, &inline_scripts),
            metrics: metrics.clone(),
            service: Arc::clone(&service),
            transparent_resume: options.transparent_resume,
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
            router.clone(),
            limits.clone(),
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
            service,
            rpc,
            router,
            limits,
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

    /// Connects from within this process, without the network: HTTP is spoken on what it gives, as on the server's port.
    /// Must be called on a tokio runtime.
    #[must_use]
    pub fn connect(&self) -> DuplexStream {
        http::connect(
            self.router.clone(),
            self.limits.clone(),
            self.shutdown.clone(),
            &self.tasks,
        )
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
        let stopped = async {
            self.service.stop().await;
            if let Some(rpc) = &self.rpc {
                rpc.shutdown().await;
            }
            self.shutdown.cancel();
            self.tasks.close();
            self.tasks.wait().await;
        };
        if tokio::time::timeout(grace, stopped).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some connections did not end in time");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Opens the frontend, off the threads that serve connections.
async fn load(options: &Options) -> Result<Option<Frontend>, ServerError> {
    let options = options.clone();
    let loaded = tokio::task::spawn_blocking(move || frontend(&options)).await;
    loaded.unwrap_or_else(|error| {
        Err(ServerError::System {
            what: "The frontend could not be opened",
            source: error.into(),
        })
    })
}

fn frontend(options: &Options) -> Result<Option<Frontend>, ServerError> {
    if !options.serve_frontend {
        return Ok(None);
    }
    let folder = options.frontend.clone().or_else(folders::installed_frontend);
    let script = options.transparent_resume.then_some(RESUMABLE_SOCKET);
    folder.map(|folder| Frontend::load(&folder, script)).transpose()
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
