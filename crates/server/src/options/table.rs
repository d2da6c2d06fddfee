//! The one table of options.

use std::path::PathBuf;

use super::{LogFormat, Options, PortChoice, values};
use crate::auth::AuthToken;

/// One option: how it is spelled, what it means and where its value goes.
#[derive(Debug)]
pub(super) struct Row {
    /// The spelling after `--`. The environment variable and the key in a file follow from it.
    pub(super) name: &'static str,
    /// carta_backend's spellings, accepted but not shown.
    pub(super) aliases: &'static [&'static str],
    /// One-letter spelling.
    pub(super) short: Option<char>,
    /// Whether a value follows.
    pub(super) kind: Kind,
    /// The value without any source.
    pub(super) default: Preset,
    /// What the option does, as one or two sentences.
    pub(super) help: &'static str,
    /// For whom the option is there.
    pub(super) audience: Audience,
    /// Reads a value and puts it where it belongs; the error ends a sentence.
    pub(super) apply: fn(&mut Options, &str) -> Result<(), String>,
}

impl Row {
    /// The environment variable of this option.
    pub(super) fn variable(&self) -> String {
        format!("CHARTROOM_{}", self.key().to_ascii_uppercase())
    }

    /// The key of this option in a configuration file.
    pub(super) fn key(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// Whether a value follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// None needs to; `--name=false` takes back what another source said.
    Flag,
    /// One value, described by this word.
    Value(&'static str),
}

/// The value without any source.
#[derive(Debug, Clone, Copy)]
pub(super) enum Preset {
    /// This text, read like any other.
    Set(&'static str),
    /// No value; these words tell what happens then.
    Said(&'static str),
}

/// For whom an option is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Command line, environment and file.
    Everyone,
    /// Environment only, because other users of the machine can read command lines.
    Environment,
    /// Command lines written for carta_backend; not shown.
    CartaBackend,
}

const ROW: Row = Row {
    name: "",
    aliases: &[],
    short: None,
    kind: Kind::Flag,
    default: Preset::Said("off"),
    help: "",
    audience: Audience::Everyone,
    apply: |_, _| Ok(()),
};

/// A row for an option of carta_backend that changes nothing here but must not stop the start.
macro_rules! without_effect {
    ($name:literal, $kind:expr) => {
        Row {
            name: $name,
            kind: $kind,
            audience: Audience::CartaBackend,
            apply: |options, _| {
                options.without_effect.push($name);
                Ok(())
            },
            ..ROW
        }
    };
}

/// Every option there is.
pub(super) const TABLE: &[Row] = &[
    Row {
        name: "host",
        kind: Kind::Value("ADDRESS"),
        default: Preset::Set("127.0.0.1"),
        help: "Name or address of the interface to listen on; 0.0.0.0 or :: for all.",
        apply: |options, text| {
            options.host = text
                .trim()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            if options.host.is_empty() {
                Err("must not be empty".to_owned())
            } else {
                Ok(())
            }
        },
        ..ROW
    },
    Row {
        name: "port",
        short: Some('p'),
        kind: Kind::Value("PORT"),
        default: Preset::Said("3002, or the next free port after it"),
        help: "Port to listen on. A port that is asked for and busy is an error; 0 takes any free port.",
        apply: |options, text| {
            options.port = PortChoice::Exactly(values::port(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "top-level-folder",
        aliases: &["top_level_folder", "root"],
        kind: Kind::Value("DIR"),
        default: Preset::Said("the starting folder"),
        help: "Nothing outside this folder can be seen by anybody.",
        apply: |options, text| {
            options.top_level_folder = Some(path(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "frontend",
        aliases: &["frontend_folder"],
        kind: Kind::Value("DIR"),
        default: Preset::Said("../share/carta/frontend beside the folder of the binary, if it is there"),
        help: "Folder with the built CARTA frontend (the folder `build` of the npm package carta-frontend).",
        apply: |options, text| {
            options.frontend = Some(path(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-frontend",
        aliases: &["no_frontend"],
        help: "Serve no page, only the WebSocket and the REST interface.",
        apply: |options, text| {
            options.serve_frontend = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "state-dir",
        kind: Kind::Value("DIR"),
        default: Preset::Said("the user's folder for program state, e.g. ~/.local/state/chartroom"),
        help: "Folder where preferences, layouts, snippets, workspaces, sessions and the hashes of access keys are kept.",
        apply: |options, text| {
            options.state_dir = Some(path(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-database",
        aliases: &["no_database"],
        help: "Keep no preferences, layouts, snippets and workspaces; each browser then keeps its own.",
        apply: |options, text| {
            options.database = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "url-prefix",
        aliases: &["http_url_prefix"],
        kind: Kind::Value("PATH"),
        default: Preset::Said("none"),
        help: "Prefix of every path, for a proxy that serves the page at /PATH/.",
        apply: |options, text| {
            options.url_prefix = values::url_prefix(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-auth",
        aliases: &["debug_no_auth"],
        help: "Ask for no token: everybody who reaches the port may read all data.",
        apply: |options, text| {
            options.require_auth = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "auth-token",
        kind: Kind::Value("TOKEN"),
        default: Preset::Said("a new random one at each start"),
        help: "The token to ask for. CARTA_AUTH_TOKEN is read when it is not set.",
        audience: Audience::Environment,
        apply: |options, text| {
            options.auth_token = Some(AuthToken::new(text).map_err(str::to_owned)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-browser",
        aliases: &["no_browser"],
        help: "Do not open the page in a browser at start.",
        apply: |options, text| {
            options.open_browser = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "browser",
        kind: Kind::Value("COMMAND"),
        default: Preset::Said("the desktop's own"),
        help: "Command that opens the page. CARTA_URL in it stands for the address, which is otherwise added.",
        apply: |options, text| {
            options.browser = Some(text.to_owned());
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "read-only",
        aliases: &["read_only_mode"],
        help: "Refuse every request that would write a file.",
        apply: |options, text| {
            options.read_only = values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "enable-scripting",
        aliases: &["enable_scripting"],
        help: "Let scripts drive a session over HTTP.",
        apply: |options, text| {
            options.scripting = values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "scripting-token",
        kind: Kind::Value("TOKEN"),
        default: Preset::Said("none; scripts need the token or an access key"),
        help: "A token for scripts, which lets them drive the owner's sessions and opens nothing else. Other users of \
               the machine can read command lines: the environment keeps it better.",
        apply: |options, text| {
            options.scripting_token = Some(AuthToken::new(text).map_err(str::to_owned)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "rpc-grants",
        kind: Kind::Value("FILE"),
        default: Preset::Said("grants.toml in the state folder, if it is there"),
        help: "TOML file that says who may use which capability of the JSON RPC interface; changes count at once. \
               Without one, permissions alone decide.",
        apply: |options, text| {
            options.rpc_grants = Some(path(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "rpc-rate",
        kind: Kind::Value("NUMBER"),
        // More often than people and their pages do, and less often than would keep the server from its other work.
        default: Preset::Set("200"),
        help: "How often a second each user may use one capability of the JSON RPC interface, in the long run. Whoever \
               does it more often is told when to try again.",
        apply: |options, text| {
            options.rpc_rate = values::rate(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "rpc-burst",
        kind: Kind::Value("COUNT"),
        default: Preset::Set("1000"),
        help: "How often at once, after a pause.",
        apply: |options, text| {
            options.rpc_burst = values::count(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "idle-timeout",
        aliases: &["idle_timeout"],
        kind: Kind::Value("TIME"),
        default: Preset::Set("never"),
        help: "Disconnect a user who has asked for nothing for so long; the session is kept.",
        apply: |options, text| {
            options.idle_timeout = values::optional_duration(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "session-retention",
        kind: Kind::Value("TIME"),
        default: Preset::Set("1h"),
        help: "How long a session whose connection was lost is kept, with everything in it.",
        apply: |options, text| {
            options.session_retention = values::duration(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "liveness-timeout",
        kind: Kind::Value("TIME"),
        default: Preset::Set("30s"),
        help: "A connection that was silent for so long is given up; its session is kept. From 5s to 1h.",
        apply: |options, text| {
            options.liveness_timeout = values::liveness(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-transparent-resume",
        help: "Serve the page as it is, without the script by which it outlives interruptions of its connection.",
        apply: |options, text| {
            options.transparent_resume = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no-session-store",
        help: "Do not store sessions in the state folder; they end with the server.",
        apply: |options, text| {
            options.session_store = !values::flag(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "initial-timeout",
        aliases: &["initial_timeout"],
        kind: Kind::Value("TIME"),
        default: Preset::Set("never"),
        help: "Stop when nobody has connected for so long after the start.",
        apply: |options, text| {
            options.initial_timeout = values::optional_duration(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "exit-timeout",
        aliases: &["exit_timeout"],
        kind: Kind::Value("TIME"),
        default: Preset::Set("never"),
        help: "Stop so long after the last connection was closed; 0 for at once.",
        apply: |options, text| {
            options.exit_timeout = values::exit_timeout(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "memory-limit",
        kind: Kind::Value("SIZE"),
        default: Preset::Said("half of the machine's memory"),
        help: "Bound on the bytes that caches and queues may hold together, e.g. 4GiB.",
        apply: |options, text| {
            options.memory_limit = Some(values::buffer_size(text)? as u64);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "threads",
        aliases: &["omp_threads"],
        short: Some('t'),
        kind: Kind::Value("COUNT"),
        default: Preset::Said("one for each core"),
        help: "Number of threads for long work.",
        apply: |options, text| {
            options.threads = values::optional_count(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "allowed-origins",
        kind: Kind::Value("LIST"),
        default: Preset::Said("only the server's own page"),
        help: "Origins, between commas, whose pages may connect, e.g. https://example.org; * for all.",
        apply: |options, text| {
            options.allowed_origins = values::origins(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "allow-external-services",
        kind: Kind::Value("LIST"),
        default: Preset::Said("none"),
        help: "Outside services, between commas, which the page may call: hips, releases, simbad, splatalogue, \
               telemetry, vizier, all, or origins.",
        apply: |options, text| {
            options.external_services = values::external_services(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "connections-per-address",
        kind: Kind::Value("COUNT"),
        default: Preset::Set("4096"),
        help: "How many connections one address may hold at once; 0 for any number. Everybody behind one proxy, or one \
               router with address translation, has the same address.",
        apply: |options, text| {
            options.connections_per_address = values::optional_count(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "max-header-size",
        kind: Kind::Value("SIZE"),
        default: Preset::Set("32KiB"),
        help: "Largest head of a request.",
        apply: |options, text| {
            // The HTTP library can not work with less than 8 KiB.
            options.max_header_size = values::buffer_size(text)?.max(8192);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "max-body-size",
        kind: Kind::Value("SIZE"),
        default: Preset::Set("16MiB"),
        help: "Largest body of a request.",
        apply: |options, text| {
            options.max_body_size = values::buffer_size(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "request-timeout",
        kind: Kind::Value("TIME"),
        default: Preset::Set("60s"),
        help: "How long a client may take for the head or the body of a request.",
        apply: |options, text| {
            options.request_timeout = values::duration(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "max-message-size",
        kind: Kind::Value("SIZE"),
        default: Preset::Set("64MiB"),
        help: "Largest WebSocket message that a client may send.",
        apply: |options, text| {
            options.max_message_size = values::buffer_size(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "log-level",
        kind: Kind::Value("LEVEL"),
        default: Preset::Set("info"),
        help: "What is logged: off, error, warn, info, debug, trace, or directives such as info,chartroom=debug.",
        apply: |options, text| {
            options.log_level = values::log_level(text)?;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "log-format",
        kind: Kind::Value("FORMAT"),
        default: Preset::Set("text"),
        help: "How log lines are written to standard error: text or json.",
        apply: |options, text| {
            options.log_format = match text.trim() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(format!("'{text}' is neither text nor json")),
            };
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "config",
        kind: Kind::Value("FILE"),
        default: Preset::Said("none"),
        help: "TOML file with options.",
        apply: |options, text| {
            options.config = Some(path(text)?);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "base",
        aliases: &["starting_folder"],
        kind: Kind::Value("DIR"),
        audience: Audience::CartaBackend,
        apply: |options, text| {
            if options.paths.is_empty() {
                options.paths.push(path(text)?);
            }
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "no_http",
        audience: Audience::CartaBackend,
        apply: |options, text| {
            let off = values::flag(text)?;
            options.serve_frontend &= !off;
            options.database &= !off;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "verbosity",
        kind: Kind::Value("LEVEL"),
        audience: Audience::CartaBackend,
        apply: |options, text| {
            options.log_level = values::verbosity(text)?;
            Ok(())
        },
        ..ROW
    },
    without_effect!("no_user_config", Kind::Flag),
    without_effect!("no_system_config", Kind::Flag),
    without_effect!("no_runtime_config", Kind::Flag),
    without_effect!("controller_deployment", Kind::Flag),
    without_effect!("no_log", Kind::Flag),
    without_effect!("log_performance", Kind::Flag),
    without_effect!("log_protocol_messages", Kind::Flag),
    without_effect!("event_thread_count", Kind::Value("COUNT")),
    Row {
        short: Some('g'),
        ..without_effect!("grpc_port", Kind::Value("PORT"))
    },
];

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}
