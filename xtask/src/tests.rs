//! `cargo xtask test`: all tests, with one summary at the end.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::command::{Outcome, TaskError, cargo, not_started, run_aside};
use crate::{browser, demo, frontend, places, python};

/// Which tests to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// The Rust tests, doc tests included.
    pub(crate) rust: bool,
    /// The official frontend in a browser.
    pub(crate) browser: bool,
}

/// What a test runner counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs every wanted part even if an earlier one fails.
pub(crate) fn run(parts: Parts) -> Outcome {
    type Part = fn() -> Outcome<Count>;
    let rust = parts.rust.then_some(("Rust", rust as Part));
    // The Rust tests build the server too; building it on its own would compile its dependencies once more, with
    // fewer features.
    let in_browser: Part = if parts.rust {
        in_browser
    } else {
        || build_server().and_then(|()| in_browser())
    };
    let browser = parts.browser.then_some(("browser", in_browser));
    let mut total = Count::default();
    let mut lines = Vec::new();
    for (name, part) in rust.into_iter().chain(browser) {
        let start = Instant::now();
        let count = part().unwrap_or_else(|error| {
            eprintln!("{error}");
            lines.push(format!("{name}: {error}"));
            Count { passed: 0, failed: 1 }
        });
        let seconds = start.elapsed().as_secs();
        lines.push(format!(
            "{name}: {} passed, {} failed in {seconds} s",
            count.passed, count.failed
        ));
        total += count;
    }
    say(&format!(
        "\n{}\n{} passed, {} failed",
        lines.join("\n"),
        total.passed,
        total.failed
    ));
    if total.failed == 0 {
        return Ok(());
    }
    Err(TaskError::Said(
        "Some tests failed or could not be run; see above.".to_owned(),
    ))
}

/// `cargo test` rather than another runner: it is on every machine, and it runs the doc tests too.
fn rust() -> Outcome<Count> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        // Tests that cannot be made for want of an oracle must not count as passed.
        .env("CHARTROOM_REQUIRE_ORACLES", "1");
    match python::oracles() {
        Ok(oracles) => {
            command
                .env("CHARTROOM_PYTHON", oracles.python)
                .env("CHARTROOM_ASTROPY_DATA", oracles.files);
        }
        Err(error) => {
            eprintln!("Tests against numpy, astropy and zfpy cannot be made and will fail: {error}");
        }
    }
    counted(&mut command, |line| {
        let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Some(Count {
            passed: number_before(rest, " passed")?,
            failed: number_before(rest, " failed")?,
        })
    })
}

fn in_browser() -> Outcome<Count> {
    let chromium = browser::chromium()?;
    let folder = browser::packages()?;
    let mut command = Command::new("node");
    for version in frontend::VERSIONS {
        // One variable per version, for example CHARTROOM_FRONTEND_6_0_0.
        let name = format!("CHARTROOM_FRONTEND_{}", version.replace('.', "_"));
        command.env(name, frontend::build(version)?);
    }
    let data = demo::data()?;
    command
        .args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .current_dir(folder)
        .env("CHARTROOM_SERVER", places::binary("chartroom", "debug"))
        .env("CHARTROOM_CHROMIUM", chromium)
        .env("CHARTROOM_DATA", data);
    counted(&mut command, |line| {
        let (_, rest) = line.split_once("ℹ ")?;
        let (name, number) = rest.split_once(' ')?;
        let number = number.trim().parse().ok()?;
        match name {
            "pass" => Some(Count {
                passed: number,
                failed: 0,
            }),
            "fail" | "cancelled" => Some(Count {
                passed: 0,
                failed: number,
            }),
            _ => None,
        }
    })
}

/// In the profile of the Rust tests.
fn build_server() -> Outcome {
    run_aside(cargo().args(["build", "--package", "chartroom"]))
}

/// Runs a test runner, shows what it prints, and adds up what `summary` finds in its lines. A runner that fails
/// without a failed test, because something did not compile or crashed, counts as one; so does one without tests.
fn counted(command: &mut Command, summary: fn(&str) -> Option<Count>) -> Outcome<Count> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| not_started(command, source))?;
    let mut count = Count::default();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|output| BufReader::new(output).lines())
        .map_while(Result::ok)
    {
        say(&line);
        count += summary(&line).unwrap_or_default();
    }
    let status = child.wait().map_err(|source| not_started(command, source))?;
    if (!status.success() && count.failed == 0) || count == Count::default() {
        count.failed = 1;
    }
    Ok(count)
}

/// The number that ends where `word` starts.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let (before, _) = text.split_once(word)?;
    before.rsplit(' ').next()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "the report is this command's output")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(all(test, unix))]
mod checks {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn lines(line: &str) -> Option<Count> {
        line.strip_prefix("passed ")?
            .parse()
            .ok()
            .map(|passed| Count { passed, failed: 0 })
    }

    #[test]
    fn what_the_runner_reports_is_added_up() {
        let count = counted(&mut shell("echo passed 3; echo other; echo passed 4"), lines).unwrap();
        assert_eq!(count, Count { passed: 7, failed: 0 });
    }

    #[test]
    fn a_runner_that_dies_without_a_report_counts_as_a_failure() {
        let count = counted(&mut shell("echo passed 3; exit 101"), lines).unwrap();
        assert_eq!(count, Count { passed: 3, failed: 1 });
    }

    #[test]
    fn no_tests_at_all_count_as_a_failure() {
        assert_eq!(
            counted(&mut shell("echo nothing"), lines).unwrap(),
            Count { passed: 0, failed: 1 }
        );
    }

    #[test]
    fn the_line_of_the_rust_harness_is_understood() {
        let line = "ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(number_before(line, " passed"), Some(12));
        assert_eq!(number_before(line, " failed"), Some(1));
    }
}
