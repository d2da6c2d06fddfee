//! Log lines on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::options::{LogFormat, Options};

/// Starts logging for the whole process; a second call changes nothing.
pub fn start(options: &Options) {
    let filter = EnvFilter::try_new(&options.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    // Below this level the WebSocket library writes down whole messages, with the keys and secrets in them.
    let filter = match "tungstenite=warn".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // A second start is harmless: the first subscriber stays.
    let _ = match options.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
