//! `cargo xtask test`: all tests, with one summary at the end.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{Outcome, TaskError, cargo, not_started, run_aside, succeeds};
use crate::{browser, clients, demo, frontend, node, places, python};

/// A runner that prints nothing for so long hangs. Longer than [`E2E_LIMIT`], which ends one file of tests only.
const SILENCE: Duration = Duration::from_mins(35);

/// How often it is looked whether a runner has ended.
const TICK: Duration = Duration::from_millis(100);

/// How long the last lines of a runner that has ended may take to be read.
const MOMENT: Duration = Duration::from_secs(5);

/// How long a file of tests may take in Node.js 20, in milliseconds; in Node.js 24, each test and each hook. There is no
/// `--test-force-exit` besides: with it reports of tests get lost now and then, in either.
const NODE_LIMIT: &str = "--test-timeout=300000";

/// The same in the browser.
const E2E_LIMIT: &str = "--test-timeout=1800000";

/// Which tests to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// The Rust tests, doc tests included.
    pub(crate) rust: bool,
    /// The client libraries in Node.js.
    pub(crate) clients: bool,
    /// The client library for Python.
    pub(crate) python: bool,
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
    let wanted: Vec<(&str, Part)> = [
        (parts.rust, "Rust", rust as Part),
        (parts.clients, "clients", of_clients),
        (parts.python, "Python", in_python),
        (parts.browser, "browser", in_browser),
    ]
    .into_iter()
    .filter_map(|(wanted, name, part)| wanted.then_some((name, part)))
    .collect();
    // The Rust tests build the servers too; building them on their own would compile their dependencies once more, with
    // fewer features.
    if !parts.rust {
        build_servers()?;
    }
    let mut total = Count::default();
    let mut lines = Vec::new();
    for (name, part) in wanted {
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
    // On its own, since a compiler may be silent for as long as it likes.
    run_aside(cargo().args(["test", "--workspace", "--no-run"]))?;
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

/// Types first: a test of code whose types are wrong says little.
fn of_clients() -> Outcome<Count> {
    let packages = clients::packages()?;
    let mut count = Count::default();
    // The console is checked with the compiler of the client.
    for folder in [packages, places::root().join("web/console")] {
        clients::check_types(&folder)?;
        count += counted(
            Command::new("node")
                .args(["--test", "--test-reporter=spec", NODE_LIMIT])
                .env(
                    "CHARTROOM_RPC_CONFORMANCE",
                    places::binary("rpc-conformance", "debug"),
                )
                .current_dir(folder),
            node_summary,
        )?;
    }
    Ok(count)
}

/// Types first, as for the other clients.
fn in_python() -> Outcome<Count> {
    let interpreter = python::for_tests()?;
    let folder = places::root().join("clients/python");
    let mut types = Command::new(&interpreter);
    types
        .args(["-m", "mypy", "--cache-dir"])
        .arg(places::fetched("mypy"))
        .current_dir(&folder);
    run_aside(&mut types)?;
    let version = frontend::VERSIONS[0];
    let mut command = Command::new(&interpreter);
    command
        // A line for each test, at once: dots in a buffer are no sign of life.
        .args(["-m", "pytest", "-v", "-p", "no:cacheprovider"])
        .env("PYTHONUNBUFFERED", "1")
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(
            format!("CHARTROOM_FRONTEND_{}", version.replace('.', "_")),
            frontend::build(version)?,
        )
        .env("CHARTROOM_SERVER", places::binary("chartroom", "debug"))
        .env("CHARTROOM_CHROMIUM", browser::chromium()?)
        .env("CHARTROOM_DATA", demo::data()?);
    counted(&mut command, pytest_summary)
}

/// The last line of pytest, for example `=== 1 failed, 49 passed in 2.25s ===`.
fn pytest_summary(line: &str) -> Option<Count> {
    let counts = line.trim_matches(['=', ' ']).rsplit_once(" in ")?.0;
    if !line.starts_with('=') {
        return None;
    }
    let number = |word| {
        counts
            .split(", ")
            .find_map(|part| part.strip_suffix(word)?.trim_end().parse::<u64>().ok())
            .unwrap_or(0)
    };
    Some(Count {
        passed: number("passed"),
        // A test that was skipped has shown nothing.
        failed: ["failed", "error", "errors", "skipped"].map(number).iter().sum(),
    })
}

fn in_browser() -> Outcome<Count> {
    let chromium = browser::chromium()?;
    let folder = node::packages("e2e")?;
    let mut command = Command::new("node");
    for version in frontend::VERSIONS {
        // One variable per version, for example CHARTROOM_FRONTEND_6_0_0.
        let name = format!("CHARTROOM_FRONTEND_{}", version.replace('.', "_"));
        command.env(name, frontend::build(version)?);
    }
    let data = demo::data()?;
    command
        .args([
            "--test",
            "--test-reporter=spec",
            "--test-concurrency=1",
            E2E_LIMIT,
        ])
        .current_dir(folder)
        .env("CHARTROOM_SERVER", places::binary("chartroom", "debug"))
        .env("CHARTROOM_CHAT", places::binary("chat", "debug/examples"))
        .env("CHARTROOM_CHROMIUM", chromium)
        .env("CHARTROOM_DATA", data);
    counted(&mut command, node_summary)
}

/// A line of the summary of Node.js's test runner.
fn node_summary(line: &str) -> Option<Count> {
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
}

/// In the profile of the Rust tests.
fn build_servers() -> Outcome {
    for (package, target) in [
        ("chartroom", ["--bin", "chartroom"]),
        ("chartroom-testkit", ["--bin", "rpc-conformance"]),
        ("chartroom-rpc", ["--example", "chat"]),
    ] {
        run_aside(cargo().args(["build", "--package", package]).args(target))?;
    }
    Ok(())
}

/// Runs a test runner, shows what it prints, and adds up what `summary` finds in its lines. A runner that fails
/// without a failed test, because something did not compile or crashed, counts as one; so does one without tests, and
/// one that hangs.
fn counted(command: &mut Command, summary: fn(&str) -> Option<Count>) -> Outcome<Count> {
    counted_unless_silent(command, summary, SILENCE)
}

fn counted_unless_silent(
    command: &mut Command,
    summary: fn(&str) -> Option<Count>,
    limit: Duration,
) -> Outcome<Count> {
    let is_group = own_group(command);
    let mut runner = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| not_started(command, source))?;
    let lines = lines(runner.stdout.take());
    let mut count = Count::default();
    let mut note = |line: String| {
        say(&line);
        count += summary(&line).unwrap_or_default();
    };
    let mut heard = Instant::now();
    let status = loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => {
                note(line);
                heard = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            // It has closed its output, and ends now or hangs.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
        let status = runner.try_wait().map_err(|source| not_started(command, source))?;
        if status.is_some() {
            break status;
        }
        if heard.elapsed() > limit {
            end(&mut runner, is_group);
            break None;
        }
    };
    // What it left running may hold its output open.
    let deadline = Instant::now() + MOMENT;
    while let Some(left) = deadline.checked_duration_since(Instant::now())
        && let Ok(line) = lines.recv_timeout(left)
    {
        note(line);
    }
    let Some(status) = status else {
        let program = command.get_program().to_string_lossy();
        eprintln!(
            "{program} was ended, since it had printed nothing for {} s.",
            limit.as_secs()
        );
        count.failed += 1;
        return Ok(count);
    };
    if (!status.success() && count.failed == 0) || count == Count::default() {
        count.failed = 1;
    }
    Ok(count)
}

/// The lines of an output as they come, whatever bytes they are of.
fn lines(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1024);
    thread::spawn(move || {
        let mut output = BufReader::new(output?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).ok()? > 0 {
            let text = String::from_utf8_lossy(&line);
            sender.send(text.trim_end_matches(['\r', '\n']).to_owned()).ok()?;
            line.clear();
        }
        Some(())
    });
    receiver
}

/// Has a command start with a process group of its own, with which all that it starts can be ended; tells whether it
/// will have one. At a terminal it has none: Ctrl-C reaches our group only.
#[cfg(unix)]
fn own_group(command: &mut Command) -> bool {
    let wanted = !std::io::IsTerminal::is_terminal(&std::io::stdin());
    if wanted {
        std::os::unix::process::CommandExt::process_group(command, 0);
    }
    wanted
}

/// There are no groups.
#[cfg(not(unix))]
fn own_group(_: &mut Command) -> bool {
    false
}

/// Ends a runner, and with it its group if it has one of its own.
fn end(runner: &mut Child, is_group: bool) {
    if is_group {
        // In every shell, while not every system has a program of this name.
        let kill = format!("kill -s KILL -- -{}", runner.id());
        succeeds(Command::new("sh").args(["-c", &kill]));
    }
    // It may have ended by now.
    let _ = runner.kill();
    let _ = runner.wait();
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

    fn passed(line: &str) -> Option<Count> {
        line.strip_prefix("passed ")?
            .parse()
            .ok()
            .map(|passed| Count { passed, failed: 0 })
    }

    #[test]
    fn what_the_runner_reports_is_added_up() {
        let count = counted(&mut shell("echo passed 3; echo other; echo passed 4"), passed).unwrap();
        assert_eq!(count, Count { passed: 7, failed: 0 });
    }

    #[test]
    fn a_runner_that_dies_without_a_report_counts_as_a_failure() {
        let count = counted(&mut shell("echo passed 3; exit 101"), passed).unwrap();
        assert_eq!(count, Count { passed: 3, failed: 1 });
    }

    #[test]
    fn no_tests_at_all_count_as_a_failure() {
        assert_eq!(
            counted(&mut shell("echo nothing"), passed).unwrap(),
            Count { passed: 0, failed: 1 }
        );
    }

    #[test]
    fn a_runner_that_falls_silent_is_ended_and_counts_as_a_failure() {
        let start = Instant::now();
        let mut silent = shell("echo passed 3; sleep 60");
        let count = counted_unless_silent(&mut silent, passed, Duration::from_secs(2)).unwrap();
        assert_eq!(count, Count { passed: 3, failed: 1 });
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_a_runner_leaves_behind_is_not_waited_for() {
        let start = Instant::now();
        let count = counted(&mut shell("sleep 60 2>/dev/null & echo passed 3"), passed).unwrap();
        assert_eq!(count, Count { passed: 3, failed: 0 });
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_line_that_is_not_text_does_not_end_the_reading() {
        let count = counted(&mut shell(r"printf 'a\377b\npassed 3\npassed 4'"), passed).unwrap();
        assert_eq!(count, Count { passed: 7, failed: 0 });
    }

    #[test]
    fn the_summary_of_node_is_understood() {
        assert_eq!(
            node_summary("ℹ pass 12"),
            Some(Count {
                passed: 12,
                failed: 0
            })
        );
        assert_eq!(node_summary("ℹ fail 2"), Some(Count { passed: 0, failed: 2 }));
        assert_eq!(
            node_summary("ℹ cancelled 1"),
            Some(Count { passed: 0, failed: 1 })
        );
        assert_eq!(node_summary("ℹ tests 15"), None);
        assert_eq!(node_summary("✔ pass 3"), None);
    }

    #[test]
    fn the_summary_of_pytest_is_understood() {
        let count = |line| pytest_summary(line).map(|count| (count.passed, count.failed));
        assert_eq!(
            count("============ 50 passed in 23.61s ============"),
            Some((50, 0))
        );
        assert_eq!(
            count("== 1 failed, 49 passed, 2 errors in 2.25s =="),
            Some((49, 3))
        );
        assert_eq!(
            count("=== 3 skipped, 1 passed in 62.00s (0:01:02) ==="),
            Some((1, 3))
        );
        assert_eq!(count("tests/test_door.py .... [ 4%]"), None);
        assert_eq!(count("50 passed in a row"), None);
    }

    #[test]
    fn the_line_of_the_rust_harness_is_understood() {
        let line = "ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(number_before(line, " passed"), Some(12));
        assert_eq!(number_before(line, " failed"), Some(1));
    }
}
