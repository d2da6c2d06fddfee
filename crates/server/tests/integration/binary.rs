//! The binary as launchers see it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn command(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartroom"));
    command
        .current_dir(folder)
        .env_clear()
        .args(["--no-browser", "--port", "0", "--state-dir", "state"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The first line on standard output, and what reads the rest.
fn first_line(child: &mut Child) -> (String, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    (line, output)
}

#[cfg(unix)]
fn end(child: &mut Child, signal: &str) -> (Duration, std::process::ExitStatus) {
    let begin = Instant::now();
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let status = child.wait().unwrap();
    (begin.elapsed(), status)
}

/// The time is that of the machine, which may be busy with other things: the best of three attempts counts.
#[test]
#[cfg(unix)]
fn one_line_goes_to_standard_output_and_signals_end_the_process_within_5_seconds() {
    for signal in ["-TERM", "-INT"] {
        let best = (0..3)
            .map(|_| run_and_end(signal))
            .find(|elapsed| *elapsed < Duration::from_secs(5));
        assert!(best.is_some(), "{signal}");
    }
}

/// Runs the server with a client until the signal ends it; gives how long that took.
#[cfg(unix)]
fn run_and_end(signal: &str) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path())
        .arg("--log-level")
        .arg("trace")
        .spawn()
        .unwrap();
    let (line, mut rest) = first_line(&mut child);
    let url = line
        .strip_prefix("chartroom listening on http://127.0.0.1:")
        .unwrap()
        .strip_suffix('\n')
        .unwrap();
    let (port, token) = url.split_once("/?token=").unwrap();
    assert_eq!(token.len(), 64);
    // A client that stays connected must not hold the process up; its token must not be logged.
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    let request = format!("GET /api/database/preferences?token={token} HTTP/1.1\r\nHost: a\r\n\r\n");
    std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
    let mut start = [0u8; 12];
    client.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let (elapsed, status) = end(&mut child, signal);
    assert!(status.success());
    let (mut more, mut log) = (String::new(), String::new());
    rest.read_to_string(&mut more).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(more, "");
    assert!(log.contains("listening") && !log.contains(token), "{log}");
    elapsed
}

#[test]
#[cfg(target_os = "linux")]
fn a_crowd_of_pages_behind_one_address_finds_room_without_any_option() {
    const PAGES: usize = 1100;
    let folder = tempfile::tempdir().unwrap();
    let plain = command(folder.path());
    let mut child = Command::new("sh");
    child
        // As many systems have it; the test itself, which holds the other ends, needs more.
        .args(["-c", "ulimit -Sn 1024 && exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    let (line, _rest) = first_line(&mut child);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let open_files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let [soft, hard] = [3, 4].map(|at| open_files.split_whitespace().nth(at).unwrap());
    assert_eq!(soft, hard, "{open_files}");

    chartroom::open_files::allow_as_many_as_possible();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut held: Vec<_> = (0..PAGES)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    for page in &mut held {
        std::io::Write::write_all(page, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut start = [0u8; 12];
        page.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    drop(held);
    end(&mut child, "-TERM");
}

#[test]
#[cfg(unix)]
fn the_line_has_the_prefix_and_no_token_where_none_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path())
        .args([
            "--debug_no_auth",
            "--http_url_prefix",
            "carta",
            "--log-format",
            "json",
        ])
        .spawn()
        .unwrap();
    let (line, _rest) = first_line(&mut child);
    assert!(
        line.starts_with("chartroom listening on http://127.0.0.1:") && line.ends_with("/carta/\n"),
        "{line}"
    );
    end(&mut child, "-TERM");
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
}

#[test]
fn keys_are_made_listed_and_revoked_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chartroom"));
        let command = command
            .current_dir(folder.path())
            .env_clear()
            .env("CHARTROOM_STATE_DIR", "state");
        let output = command.arg("keys").args(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, key, remark) = run(&["add", "ada", "--expires", "30d"]);
    assert_eq!((code, key.len()), (Some(0), 48), "{remark}");
    assert!(key.starts_with("chk_") && remark.starts_with("The key of 'ada' allows view,write,script"));
    let (code, list, _) = run(&["list"]);
    assert!(code == Some(0) && list.contains("\nada "), "{list}");
    assert_eq!(run(&["add", "ada"]).0, Some(1));
    assert_eq!(
        run(&["revoke", "ada"]),
        (
            Some(0),
            String::new(),
            "The key of 'ada' is revoked.\n".to_owned()
        )
    );
    let again = (
        Some(1),
        String::new(),
        "chartroom: There is no key 'ada'.\n".to_owned(),
    );
    assert_eq!(run(&["revoke", "ada"]), again);
    assert_eq!(run(&["steal"]).0, Some(2));
    assert_eq!(run(&["--help"]).0, Some(0));
}

#[test]
#[cfg(unix)]
fn no_key_and_no_message_is_ever_logged() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for name in ["ada", "bob"] {
        let state = format!("--state-dir={}", folder.path().join("state").display());
        let words = ["chartroom", "keys", "add", name, &state].map(std::ffi::OsString::from);
        let mut output = Vec::new();
        chartroom::keys::run(words, |_| None, &mut output, &mut Vec::new()).unwrap();
        keys.push(String::from_utf8(output).unwrap().trim_end().to_owned());
    }
    let words = ["chartroom", "keys", "revoke", "bob", "--state-dir"].map(std::ffi::OsString::from);
    let state = folder.path().join("state").into_os_string();
    chartroom::keys::run(
        words.into_iter().chain([state]),
        |_| None,
        &mut Vec::new(),
        &mut Vec::new(),
    )
    .unwrap();
    let level = "trace,tungstenite=trace";
    let mut child = command(folder.path())
        .args(["--log-level", level])
        .spawn()
        .unwrap();
    let (line, _rest) = first_line(&mut child);
    let (address, _) = line
        .strip_prefix("chartroom listening on http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    for (key, status) in keys.iter().zip(["200", "403"]) {
        for request in [
            format!("GET /api/database/layouts?token={key} HTTP/1.1\r\nHost: a\r\n"),
            format!("GET /api/database/layouts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"),
            format!("GET /api/database/layouts HTTP/1.1\r\nHost: a\r\nCookie: carta-auth-token={key}\r\n"),
        ] {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            let request = format!("{request}Connection: close\r\n\r\n");
            std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
            let answer = crate::client::Answer::read(&mut client);
            assert_eq!(answer.status.to_string(), status, "{request}");
        }
    }
    // Whatever the protocol, a message may hold a secret.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = format!("ws://{address}/?token={}", keys[0]);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        for message in ["text-that-is-secret", "PING"] {
            futures_util::SinkExt::send(&mut socket, message.into())
                .await
                .unwrap();
        }
        let answer = futures_util::StreamExt::next(&mut socket).await;
        assert!(answer.is_some_and(|answer| answer.is_ok()));
    });
    end(&mut child, "-TERM");
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let secrets = keys.iter().map(|key| &key[4..]).chain(["text-that-is-secret"]);
    for secret in secrets {
        assert!(!log.contains(secret), "{log}");
    }
    // 'text-that-is-secret' as the WebSocket library would write a frame.
    assert!(!log.contains("746578742d746861742d69732d736563726574"), "{log}");
    assert!(
        log.contains("an access key opened nothing") && log.contains("TRACE"),
        "{log}"
    );
}

#[test]
fn a_server_that_nobody_uses_ends_by_itself_when_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path())
        .args(["--initial_timeout", "50ms"])
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn mistakes_are_told_on_standard_error_with_a_failing_status() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (
            &["--frontend", "nowhere"][..],
            "The frontend folder nowhere can not be read",
        ),
        (&["nowhere"], "The starting folder or file"),
        (
            &["--memory-limit", "much"],
            "Option --memory-limit: 'much' is not a size",
        ),
        (&["--colour"], "unexpected argument"),
    ] {
        let output = command(folder.path()).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn help_shows_the_options_and_none_of_carta_backends_spellings() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for option in [
        "--top-level-folder <DIR>",
        "--no-auth",
        "--session-retention <TIME>",
        "[default: 127.0.0.1]",
    ] {
        assert!(help.contains(option), "{help}");
    }
    for hidden in ["top_level_folder", "verbosity", "grpc", "auth-token"] {
        assert!(!help.contains(hidden), "{hidden}");
    }
}

#[test]
fn the_page_of_documentation_is_what_the_table_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/options.md");
    let committed = std::fs::read_to_string(page)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    assert!(
        committed == chartroom::options::markdown(),
        "docs/options.md is out of date; run: cargo run -p chartroom -- --print-options-markdown > docs/options.md"
    );
}

#[test]
#[cfg(unix)]
fn a_server_without_a_place_for_state_starts_and_leaves_it_to_the_browsers() {
    for home in [None, Some("/dev/null")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chartroom"));
        command
            .current_dir(folder.path())
            .env_clear()
            .args(["--no-browser", "--port", "0", "--no-auth"]);
        command.envs(home.map(|home| ("HOME", home)));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, _rest) = first_line(&mut child);
        let address = line
            .trim()
            .strip_prefix("chartroom listening on http://")
            .unwrap()
            .trim_end_matches('/');
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let request = "GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
        assert!(
            crate::client::Answer::read(&mut client)
                .json()
                .as_object()
                .unwrap()
                .is_empty()
        );
        end(&mut child, "-TERM");
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains("--state-dir"), "{log}");
    }
}
