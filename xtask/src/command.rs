//! Running other programs, with errors that say what to do.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a task did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TaskError {
    /// A program is not installed.
    #[error("{program} was not found: {advice}")]
    Missing {
        /// The program's name.
        program: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// The program's name.
        program: String,
        /// What the system answered.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("`{line}` failed ({status})")]
    Failed {
        /// The command line.
        line: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Anything else, as a sentence.
    #[error("{0}")]
    Said(String),
}

impl TaskError {
    /// Puts the file's name to what the system answered.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// What a task gives.
pub(crate) type Outcome<T = ()> = Result<T, TaskError>;

/// Cargo, as it was called.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::places::root());
    cargo
}

/// A program of Node.js; on Windows npm is a script with an extension of its own.
pub(crate) fn npm() -> Command {
    Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
}

/// Runs to the end; output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|source| not_started(command, source))?;
    finished(command, status)
}

/// Runs to the end with its standard output in place of ours going to standard error, for set-up steps whose
/// chatter must not mix with a task's own output.
pub(crate) fn run_aside(command: &mut Command) -> Outcome {
    run(command.stdout(io::stderr()))
}

/// Runs to the end and gives its standard output, trimmed; its standard error is shown only if it fails.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| not_started(command, source))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    finished(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a command runs and succeeds; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Turns a failed start into an error with advice for the programs that a fresh machine may lack.
pub(crate) fn not_started(command: &Command, source: io::Error) -> TaskError {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() != io::ErrorKind::NotFound {
        return TaskError::Start { program, source };
    }
    let advice = match program.trim_end_matches(".cmd") {
        "node" | "npm" => "install Node.js 20 or newer, which brings node and npm (https://nodejs.org)",
        "python3" | "python" => "install Python 3.11 or newer (https://www.python.org)",
        "tar" => "install tar with gzip support",
        _ => "install it and put it on the PATH",
    };
    TaskError::Missing { program, advice }
}

fn finished(command: &Command, status: std::process::ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    Err(TaskError::Failed {
        line: words.collect::<Vec<_>>().join(" "),
        status,
    })
}

/// Whether we may install system packages: root on a system with apt-get.
pub(crate) fn may_install() -> bool {
    cfg!(target_os = "linux")
        && succeeds(Command::new("apt-get").arg("--version"))
        && read(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

/// Installs a system package with apt-get; ask [`may_install`] first.
pub(crate) fn install(package: &str) -> Outcome {
    eprintln!("Installing {package} with apt-get …");
    run_aside(Command::new("apt-get").args(["update", "-qq"]))?;
    run_aside(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-qq", "--no-install-recommends", package]),
    )
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_advice() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-program-here was not found: install it and put it on the PATH"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_names_the_command_line() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }
}
