//! The one error of this room.

use std::path::PathBuf;

/// What can go wrong while the server is configured, started or serves its stores.
///
/// Every message is a sentence that names what is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The command line could not be parsed, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The viewer or its scheduler could not be set up.
    #[error("The viewer could not be started: {0}")]
    Viewer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The runtime of the JSON RPC interface could not be set up.
    #[error("The JSON RPC interface could not be started: {0}")]
    Rpc(#[from] chartroom_rpc::RuntimeError),
    /// The file that says who may use which capability can not be used.
    #[error(transparent)]
    Grants(#[from] chartroom_rpc::permission::GrantsError),
    /// The value of an option could not be read.
    #[error("{origin}: {reason}.")]
    Option {
        /// The option or variable, as the user knows it.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration file could not be read.
    #[error("Configuration file {} {reason}.", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder that is needed can not be used.
    #[error("{role} {} {reason}.", path.display())]
    Folder {
        /// What the folder is for.
        role: &'static str,
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The server could not listen.
    #[error("Could not listen on {address}: {source}.")]
    Listen {
        /// Host and port.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("The operating system gave no random bytes for the token: {0}.")]
    Random(getrandom::Error),
    /// Access keys could not be read or changed.
    #[error("{0}")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A script could not be run to its end.
    #[error("{0}")]
    Script(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something else is needed from the operating system and was refused.
    #[error("{what}: {source}.")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}
