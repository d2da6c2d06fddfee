//! `cargo xtask conformance`: the Autobahn test suite against the server's WebSocket.
//!
//! The suite is a program for Python 2.7 that was frozen on purpose, so it gets an environment of its own. What it found
//! is summarised in `docs/websocket-conformance.md`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::{Outcome, TaskError, cargo, not_started, read, run_aside, succeeds};
use crate::places;

const SUITE: &str = "autobahntestsuite==25.10.1";
/// The last version that makes environments for Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";

/// Compression is not offered, so there is nothing to be tested of it.
const LEFT_OUT: &str = r#"["12.*", "13.*"]"#;

/// Prints a line for each case: its number, how the messages were, how the closing was.
const LIST: &str = "
import json
for case, found in json.load(open('reports/index.json'))['chartroom'].items():
    print('%s %s %s' % (case, found['behavior'], found['behaviorClose']))
";

/// Runs all cases and fails if one failed.
pub(crate) fn run() -> Outcome {
    let home = places::fetched("autobahn");
    let suite = Suite::installed(&home)?;
    run_aside(cargo().args(["build", "--package", "chartroom", "--example", "echo"]))?;
    let endpoint = Endpoint::start()?;
    let config = home.join("fuzzingclient.json");
    let text = format!(
        r#"{{"outdir": "./reports", "cases": ["*"], "exclude-cases": {LEFT_OUT},
            "servers": [{{"agent": "chartroom", "url": "ws://{}/"}}]}}"#,
        endpoint.address
    );
    std::fs::write(&config, text).map_err(TaskError::file(&config))?;
    run_aside(
        Command::new(suite.program("wstest"))
            .args(["--mode", "fuzzingclient", "--spec"])
            .arg(&config)
            .current_dir(&home),
    )?;
    drop(endpoint);
    let list = read(
        Command::new(suite.program("python"))
            .args(["-c", LIST])
            .current_dir(&home),
    )?;
    let summary = Summary::of(&list);
    eprintln!(
        "The whole report is {}.",
        home.join("reports/index.html").display()
    );
    summary.print();
    summary.judge()
}

/// The installed test suite.
struct Suite {
    programs: PathBuf,
}

impl Suite {
    /// Installs the suite into `home` unless it is there.
    fn installed(home: &Path) -> Outcome<Self> {
        let programs = home.join(if cfg!(windows) { "env/Scripts" } else { "env/bin" });
        let suite = Self { programs };
        if succeeds(Command::new(suite.program("python")).args(["-c", "import autobahntestsuite"])) {
            return Ok(suite);
        }
        let python = python_2_7()?;
        eprintln!("Installing {SUITE} into {} …", home.display());
        std::fs::create_dir_all(home).map_err(TaskError::file(home))?;
        let tools = home.join("tools");
        run_aside(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--upgrade",
                    VIRTUALENV,
                    "--target",
                ])
                .arg(&tools),
        )?;
        run_aside(
            Command::new(&python)
                .args(["-m", "virtualenv", "--quiet", "--clear"])
                .arg(home.join("env"))
                .env("PYTHONPATH", &tools),
        )?;
        run_aside(Command::new(suite.program("python")).args(["-m", "pip", "install", "--quiet", SUITE]))?;
        Ok(suite)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// A Python 2.7, from the `PATH` or among the versions of pyenv.
fn python_2_7() -> Outcome<PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| std::env::home_dir().map(|home| home.join(".pyenv")));
    let versions = pyenv.and_then(|root| root.join("versions").read_dir().ok());
    let of_pyenv = versions
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin/python"));
    ["python2.7", "python2"]
        .map(PathBuf::from)
        .into_iter()
        .chain(of_pyenv)
        .find(|python| succeeds(Command::new(python).args(["-c", IS_2_7])))
        .ok_or_else(|| {
            TaskError::Said(
                "The Autobahn test suite needs a CPython 2.7, and none was found: install one, for example with \
                 `pyenv install 2.7.18`."
                    .to_owned(),
            )
        })
}

const IS_2_7: &str = "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))";

/// The server under test; it ends when this is dropped.
struct Endpoint {
    process: Child,
    address: String,
}

impl Endpoint {
    fn start() -> Outcome<Self> {
        let mut command = Command::new(places::binary("examples/echo", "debug"));
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| not_started(&command, source))?;
        let mut address = String::new();
        if let Some(output) = process.stdout.take() {
            // Without an address there is none to be tested, whatever the reason.
            let _ = BufReader::new(output).read_line(&mut address);
        }
        let endpoint = Self {
            process,
            address: address.trim().to_owned(),
        };
        match endpoint.address.is_empty() {
            false => Ok(endpoint),
            true => Err(TaskError::Said("the echo server did not start.".to_owned())),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many cases came out how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    messages: BTreeMap<String, usize>,
    closing: BTreeMap<String, usize>,
    failed: Vec<String>,
}

impl Summary {
    /// Reads lines of a case's number, how its messages were and how its closing was.
    fn of(list: &str) -> Self {
        let mut summary = Self::default();
        for line in list.lines() {
            let mut words = line.split_whitespace();
            let (Some(case), Some(messages), Some(closing)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            *summary.messages.entry(messages.to_owned()).or_default() += 1;
            *summary.closing.entry(closing.to_owned()).or_default() += 1;
            let passed = matches!(messages, "OK" | "NON-STRICT" | "INFORMATIONAL");
            let closed = matches!(closing, "OK" | "INFORMATIONAL");
            if !(passed && closed) {
                summary.failed.push(case.to_owned());
            }
        }
        summary
    }

    #[expect(clippy::print_stdout, reason = "the summary is this command's output")]
    fn print(&self) {
        for (what, counts) in [("messages", &self.messages), ("closing", &self.closing)] {
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            println!("{what}: {}", counts.join(", "));
        }
    }

    fn judge(&self) -> Outcome {
        match (self.messages.is_empty(), self.failed.is_empty()) {
            (true, _) => Err(TaskError::Said("no case was run.".to_owned())),
            (false, true) => Ok(()),
            (false, false) => Err(TaskError::Said(format!("failed: {}.", self.failed.join(", ")))),
        }
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_case_fails_by_its_messages_or_by_its_closing() {
        let good = "1.1.1 OK OK\n3.2 NON-STRICT OK\n7.1.6 INFORMATIONAL INFORMATIONAL\n";
        let summary = Summary::of(good);
        assert_eq!(summary.messages["OK"], 1);
        assert_eq!(summary.closing["OK"], 2);
        assert!(summary.judge().is_ok());
        for bad in ["2.1 FAILED OK", "2.1 OK UNCLEAN", "2.1 OK FAILED"] {
            let error = Summary::of(&format!("{good}{bad}")).judge().unwrap_err();
            assert_eq!(error.to_string(), "failed: 2.1.");
        }
        assert!(Summary::of("").judge().is_err());
    }
}
