//! `chartroom script`: actions of a session's page, called from the shell through the scripting door of a server that
//! runs somewhere.
//!
//! - `command` is the command line, and what happens in order.
//! - `call` is one call as JSON: what is asked, and what was answered.
//! - `remote` is the server, over HTTP.
//! - `headless` is a browser of our own with the page, if there is to be a new session.
//! - `picture` makes a file of an answer that is a picture.

mod call;
mod command;
mod headless;
mod picture;
mod remote;

use std::{io, path::PathBuf};

use bytes::Bytes;

pub use command::run;

/// How a script ended that could be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every action was carried out.
    Done,
    /// The page answered that an action failed; those after it were not asked for.
    ActionFailed,
}

/// Why a script could not be run to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The server could not be reached, or does not answer as one.
    #[error("{address} can not be reached: {source}.")]
    Unreachable {
        address: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{address} did not answer. It is not known whether the action ran.")]
    NoAnswer { address: String },
    #[error("{address} answered with something else than a Chartroom does (status {status}).")]
    Strange { address: String, status: u16 },
    /// The server said no, and why.
    #[error("{message}")]
    Refused {
        status: u16,
        message: String,
        /// All of its answer.
        body: Bytes,
    },
    #[error("No page is open at this server; open one in a browser, or use --new.")]
    NoSession,
    #[error("Several pages are open at this server; choose one with --session: {0}.")]
    SeveralSessions(String),
    #[error("No Chromium or Chrome was found on the PATH; install one, or name it with --browser.")]
    NoBrowser,
    #[error("The browser {} could not be started: {source}.", program.display())]
    Browser { program: PathBuf, source: io::Error },
    #[error("The browser {}. The last that it printed:\n{last}", how)]
    BrowserSilent { how: &'static str, last: String },
    #[error("Line {number} of the script can not be understood: {reason}.")]
    Line { number: usize, reason: String },
    #[error("{} can not be written: {source}.", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("The answer is no picture: it {0}.")]
    NoPicture(&'static str),
}

#[cfg(test)]
mod tests;
