//! What the server was told to do.
//!
//! `table` holds one row for each option; parsing, help, environment, configuration file and documentation are
//! all made from it. `layers` lays the sources over each other: defaults, then the TOML file, then the
//! environment, then the command line.

mod layers;
mod manual;
mod table;
mod values;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

pub use manual::markdown;
pub(crate) use values::{duration, list};

use crate::auth::AuthToken;

/// Which port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// This one, and no other. 0 lets the operating system pick one.
    Exactly(u16),
    /// This one, or the next free one after it.
    From(u16),
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

/// Everything that can be configured, with its type.
///
/// [`Options::default`] gives the documented defaults; [`Options::from_sources`] reads the command line, the
/// environment and the configuration file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The starting folder, or files to open at once; empty for the current folder.
    pub paths: Vec<PathBuf>,
    /// Name or address of the interface to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: PortChoice,
    /// Nothing outside this folder can be seen; `None` for the starting folder.
    pub top_level_folder: Option<PathBuf>,
    /// Folder with the built frontend; `None` to look beside the binary.
    pub frontend: Option<PathBuf>,
    /// Whether the frontend is served.
    pub serve_frontend: bool,
    /// Folder for preferences, layouts, snippets and workspaces; `None` for the user's state folder.
    pub state_dir: Option<PathBuf>,
    /// Whether preferences, layouts, snippets and workspaces are kept by the server.
    pub database: bool,
    /// Prefix of every path: empty, or with a slash in front and none behind.
    pub url_prefix: String,
    /// Whether a token is asked for.
    pub require_auth: bool,
    /// The token to ask for; `None` for a new random one.
    pub auth_token: Option<AuthToken>,
    /// Whether a browser is opened at start.
    pub open_browser: bool,
    /// Command that opens the browser; `None` for the desktop's own.
    pub browser: Option<String>,
    /// Whether requests that write files are refused.
    pub read_only: bool,
    /// Whether scripts may drive a session over HTTP.
    pub scripting: bool,
    /// A token that lets scripts drive sessions and opens nothing else.
    pub scripting_token: Option<AuthToken>,
    /// The file that says who may use which capability; `None` for the one in the state folder, if it is there.
    pub rpc_grants: Option<PathBuf>,
    /// How often a second each principal may use one capability, in the long run; more than 0.
    pub rpc_rate: f64,
    /// How often at once; at least 1.
    pub rpc_burst: u32,
    /// A user who asks for nothing for so long is disconnected, and the session kept; `None` for never.
    pub idle_timeout: Option<Duration>,
    /// How long a session without a connection is kept.
    pub session_retention: Duration,
    /// A connection that was silent for so long is given up, and its session kept. From 5 seconds to 1 hour.
    pub liveness_timeout: Duration,
    /// Whether the page gets the script by which its connection outlives interruptions.
    pub transparent_resume: bool,
    /// Whether sessions are stored in the state folder, so that they outlive the process.
    pub session_store: bool,
    /// Stop when nobody connects for so long after the start; `None` for never.
    pub initial_timeout: Option<Duration>,
    /// Stop when so long has passed since the last connection was closed; `None` for never.
    pub exit_timeout: Option<Duration>,
    /// Bound on the bytes that all caches and queues may hold; `None` for half of the machine's memory.
    pub memory_limit: Option<u64>,
    /// Number of threads for long work; `None` for one for each core.
    pub threads: Option<NonZeroUsize>,
    /// Origins, besides the server's own, whose pages may connect. `*` stands for all.
    pub allowed_origins: Vec<String>,
    /// Outside services, as Content-Security-Policy sources, which the page may call.
    pub external_services: Vec<String>,
    /// How many connections one address may hold at once; `None` for any number.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Largest head of a request, in bytes.
    pub max_header_size: usize,
    /// Largest body of a request, in bytes.
    pub max_body_size: usize,
    /// How long a client may take for the head or the body of a request.
    pub request_timeout: Duration,
    /// Largest WebSocket message from a client, in bytes.
    pub max_message_size: usize,
    /// What is logged, as a directive of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The configuration file that was read.
    pub config: Option<PathBuf>,
    /// Options of carta_backend that were given and have no effect here; for a log line.
    pub without_effect: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        let mut options = Self {
            paths: Vec::new(),
            host: String::new(),
            port: PortChoice::From(DEFAULT_PORT),
            top_level_folder: None,
            frontend: None,
            serve_frontend: true,
            state_dir: None,
            database: true,
            url_prefix: String::new(),
            require_auth: true,
            auth_token: None,
            open_browser: true,
            browser: None,
            read_only: false,
            scripting: false,
            scripting_token: None,
            rpc_grants: None,
            rpc_rate: 0.0,
            rpc_burst: 0,
            idle_timeout: None,
            session_retention: Duration::ZERO,
            liveness_timeout: Duration::ZERO,
            transparent_resume: true,
            session_store: true,
            initial_timeout: None,
            exit_timeout: None,
            memory_limit: None,
            threads: None,
            allowed_origins: Vec::new(),
            external_services: Vec::new(),
            connections_per_address: None,
            max_header_size: 0,
            max_body_size: 0,
            request_timeout: Duration::ZERO,
            max_message_size: 0,
            log_level: String::new(),
            log_format: LogFormat::Text,
            config: None,
            without_effect: Vec::new(),
        };
        layers::apply_defaults(&mut options);
        options
    }
}

/// The port that is tried first when none is given.
const DEFAULT_PORT: u16 = 3002;
