//! The command line of `chartroom script`, and what happens in order.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use hyper::StatusCode;
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Ended, Failure,
    call::{self, Answer, Call},
    headless::Headless,
    picture,
    remote::Remote,
};
use crate::{error::ServerError, options};

/// Where a server is that was started without options.
const ADDRESS: &str = "http://127.0.0.1:3002/";

/// How long a new page may take until it is ready.
const START: Duration = Duration::from_secs(90);

/// How long a page that has just connected is left alone between questions.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer than its own time limit the server is waited for.
const GRACE: Duration = Duration::from_secs(15);

const AFTERWORD: &str = "\
ARGS are JSON values; whatever is no JSON is taken for a text. With - in place of PATH, calls are read from standard \
input, one JSON object in each line, with the fields path, action, parameters, return_path and out; each answer is \
written as one line before the next line is read, and the first action that fails is the last.

What an action gives is printed as JSON, null if that is nothing; why it failed is said on standard error. With --envelope \
the whole answer is printed instead, also of an action that failed or a call that the server refused: an object with \
success, message if it failed, and response if there is one.

The exit code is 0 if every action was carried out, 1 if one failed, 2 for a wrong command line, and 3 if the server or \
the session could not be reached, or did not let us in.

Tokens are better given in the environment or in --url than with --token, which other users of the machine can see.";

/// Runs `chartroom script …`. `arguments` begin with the name of the program and the word `script`; `variable` is the
/// environment, `input` the calls if they are not on the command line. Answers go to `output` as JSON, one in each line;
/// what people read to `remarks`.
///
/// # Errors
/// [`ServerError::Usage`] and [`ServerError::Option`] for a wrong command line; [`ServerError::Script`] with a sentence
/// if the server, the session or the browser fails.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
    input: impl BufRead + Send + 'static,
    output: &mut dyn Write,
    remarks: &mut dyn Write,
) -> Result<Ended, ServerError> {
    let words = arguments.into_iter().enumerate().filter(|(at, _)| *at != 1);
    let matches = command().try_get_matches_from(words.map(|(_, word)| word))?;
    let time_limit = option(&matches, "timeout")
        .map_or(Ok(Duration::from_secs(600)), options::duration)
        .map_err(|reason| wrong("Option --timeout", reason))?;
    let size = size(option(&matches, "size").unwrap_or_default())
        .map_err(|reason| wrong("Option --size", reason))?;
    let mut calls = calls(&matches, input)?;

    let (remote, page_token) = remote(&matches, variable)?;
    // Lives until the last call is answered.
    let mut browser = None;
    let found = async {
        let session = session(&matches, &remote, page_token.as_deref(), size, &mut browser).await?;
        let desk = Desk {
            remote: &remote,
            session,
            time_limit,
            envelope: matches.get_flag("envelope"),
        };
        let ended = desk
            .carry_out_all(option(&matches, "file"), &mut calls, output, remarks)
            .await;
        Ok::<_, ServerError>((session, ended))
    };
    let (session, ended) = found.await?;
    if let Some(browser) = browser {
        // First the browser, which would come back to a session that is ended. On its way out it says goodbye for its
        // page, or does not come to it: then the session would be kept for a page that never comes back.
        drop(browser);
        remote.end(session).await?;
    }
    ended
}

/// The session that is asked for: a new one with a page in `browser`, or one that is there.
async fn session(
    matches: &ArgMatches,
    remote: &Remote,
    page_token: Option<&str>,
    size: (u32, u32),
    browser: &mut Option<Headless>,
) -> Result<u32, ServerError> {
    if matches.get_flag("new") {
        // Better known before a browser is started: a wrong token, a server that is not there.
        remote.sessions().await?;
        let program = matches.get_one::<PathBuf>("browser").map(PathBuf::as_path);
        let started = Headless::start(program, &remote.page(), page_token, size)?;
        let deadline = Instant::now() + START;
        let id = browser.insert(started).session(START).await?;
        until_ready(remote, id, deadline).await?;
        return Ok(id);
    }
    match matches.get_one::<u32>("session") {
        Some(id) => Ok(*id),
        None => Ok(only_live(remote).await?),
    }
}

pub(super) fn command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("chartroom script")
        .bin_name("chartroom script")
        .about("Have the page of a session carry out actions, and print what they give as JSON.")
        .after_help(AFTERWORD)
        .args([
            text("url", "URL", "The server's address, as it prints it; http only [env: CHARTROOM_URL]")
,
            text(
                "token",
                "TOKEN",
                "Token for scripts [env: CHARTROOM_SCRIPTING_TOKEN; default: the one in --url, or CHARTROOM_AUTH_TOKEN]",
            ),
            text("session", "ID", "The session [default: the only one with a page]")
                .value_parser(value_parser!(u32).range(1..))
                .conflicts_with("new"),
            Arg::new("new")
                .long("new")
                .action(ArgAction::SetTrue)
                .help("Open the page in a headless Chromium, which is closed at the end"),
            text("browser", "PROGRAM", "The Chromium or Chrome for --new [default: one on the PATH]")
                .value_parser(value_parser!(PathBuf))
                .requires("new"),
            text("size", "WxH", "Width and height of the window of --new, in pixels").default_value("1280x1024"),
            text("file", "FILE", "Open this image first: a path below the server's top-level folder"),
            text("return-path", "PATH", "Dotted path of what is wanted of the result"),
            text("timeout", "TIME", "How long an action may take").default_value("10m"),
            text("out", "FILE", "Write the answer, which is a picture, to this file; the file's name is printed")
                .value_parser(value_parser!(PathBuf)),
            Arg::new("envelope")
                .long("envelope")
                .action(ArgAction::SetTrue)
                .help("Print the whole answer {success, message, response}, also on failure"),
            Arg::new("PATH")
                .required(true)
                .allow_hyphen_values(true)
                .help("Dotted path of an object of the page; '' for the application itself, - for calls from standard input"),
            Arg::new("ACTION").help("Name of one of its methods"),
            Arg::new("ARGS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("Arguments of the action"),
        ])
}

fn option<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn wrong(origin: &str, reason: impl Into<String>) -> ServerError {
    ServerError::Option {
        origin: origin.to_owned(),
        reason: reason.into(),
    }
}

/// The server, and the token for its page.
fn remote(
    matches: &ArgMatches,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Remote, Option<String>), ServerError> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let url = option(matches, "url")
        .map(str::to_owned)
        .or_else(|| set("CHARTROOM_URL"));
    let remote =
        Remote::new(url.as_deref().unwrap_or(ADDRESS)).map_err(|reason| wrong("Option --url", reason))?;
    let script = option(matches, "token")
        .map(str::to_owned)
        .or_else(|| set("CHARTROOM_SCRIPTING_TOKEN"));
    let page = remote
        .token_in_url
        .clone()
        .or_else(|| set("CHARTROOM_AUTH_TOKEN"));
    let (script, page) = (script.clone().or_else(|| page.clone()), page.or(script));
    Ok((remote.with_token(script), page))
}

/// Reads `WIDTHxHEIGHT`.
pub(super) fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=16384).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| format!("'{text}' is no size like 1280x1024"))
}

type Calls = mpsc::Receiver<Result<Call, Failure>>;

/// The calls, one after the other.
fn calls(matches: &ArgMatches, input: impl BufRead + Send + 'static) -> Result<Calls, ServerError> {
    let out = matches.get_one::<PathBuf>("out").cloned();
    let return_path = option(matches, "return-path").unwrap_or_default();
    let (sender, calls) = mpsc::channel(1);
    let path = option(matches, "PATH").unwrap_or_default();
    if let Some(action) = option(matches, "ACTION") {
        let words = matches.get_many::<String>("ARGS").into_iter().flatten();
        let call = Call {
            parameters: words.map(|word| call::parameter(word)).collect(),
            return_path: return_path.to_owned(),
            out,
            ..Call::new(path, action)
        };
        // There is room for one.
        let _ = sender.try_send(Ok(call));
        return Ok(calls);
    }
    if path != "-" {
        return Err(wrong("Argument ACTION", "is missing"));
    }
    if out.is_some() || !return_path.is_empty() {
        return Err(wrong(
            "Options --out and --return-path",
            "have a place in each line that is read",
        ));
    }
    // Reading waits for whoever writes, perhaps for ever; a thread that does ends with the process.
    thread::spawn(move || read_lines(input, &sender));
    Ok(calls)
}

fn read_lines(input: impl BufRead, sender: &mpsc::Sender<Result<Call, Failure>>) {
    for (line, number) in input.lines().zip(1..) {
        let failed = |reason: String| Failure::Line { number, reason };
        let call = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => serde_json::from_str(&line).map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        };
        let last = call.is_err();
        if sender.blocking_send(call).is_err() || last {
            return;
        }
    }
}

/// The only session that has a page.
async fn only_live(remote: &Remote) -> Result<u32, Failure> {
    let mut sessions = remote.sessions().await?;
    sessions.retain(|session| session.state == "live");
    match sessions.as_slice() {
        [] => Err(Failure::NoSession),
        [only] => Ok(only.id),
        several => {
            let ids: Vec<_> = several.iter().map(|session| session.id.to_string()).collect();
            Err(Failure::SeveralSessions(ids.join(", ")))
        }
    }
}

/// Waits until the page has laid out its parts: before, it has nothing to draw images on.
async fn until_ready(remote: &Remote, session: u32, deadline: Instant) -> Result<(), Failure> {
    // The empty text until there is a layout.
    let call = Call::new("layoutStore.currentLayoutName", "toString");
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = remote.act(call.body(session, left), left + GRACE).await?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| remote.strange(StatusCode::OK))?;
        if answer.success && answer.response.is_some_and(|name| name.get() != "\"\"") {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where calls are carried out.
struct Desk<'a> {
    remote: &'a Remote,
    session: u32,
    time_limit: Duration,
    /// Whether the whole answer is printed, not only what the action gave.
    envelope: bool,
}

impl Desk<'_> {
    /// Opens the file, if there is one, and carries out the calls until one fails.
    async fn carry_out_all(
        &self,
        file: Option<&str>,
        calls: &mut Calls,
        output: &mut dyn Write,
        remarks: &mut dyn Write,
    ) -> Result<Ended, ServerError> {
        if let Some(file) = file {
            let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
            let call = Call {
                parameters: [folder, name, ""].map(Into::into).into(),
                return_path: "frameInfo.fileId".to_owned(),
                ..Call::new("", "openFile")
            };
            // Nobody asked for this answer, unless it is the last.
            let mut answer = Vec::new();
            let ended = self.carry_out(&call, &mut answer, remarks).await;
            if !matches!(ended, Ok(Ended::Done)) {
                write(output, &answer)?;
                return ended;
            }
        }
        while let Some(call) = calls.recv().await {
            if self.carry_out(&call?, output, remarks).await? == Ended::ActionFailed {
                return Ok(Ended::ActionFailed);
            }
        }
        Ok(Ended::Done)
    }

    async fn carry_out(
        &self,
        call: &Call,
        output: &mut dyn Write,
        remarks: &mut dyn Write,
    ) -> Result<Ended, ServerError> {
        let body = call.body(self.session, self.time_limit);
        let answered = self.remote.act(body, self.time_limit + GRACE).await;
        if let (true, Err(Failure::Refused { body, .. })) = (self.envelope, &answered) {
            write_line(output, body)?;
        }
        let whole = answered?;
        let answer: Answer =
            serde_json::from_slice(&whole).map_err(|_| self.remote.strange(StatusCode::OK))?;
        if !answer.success {
            if self.envelope {
                write_line(output, &whole)?;
            }
            let name = if call.path.is_empty() {
                call.action.clone()
            } else {
                format!("{}.{}", call.path, call.action)
            };
            let sentence = format!("chartroom: {name} failed: {}", answer.message);
            write_line(remarks, sentence.as_bytes())?;
            return Ok(Ended::ActionFailed);
        }
        let Some(path) = &call.out else {
            let result = answer.response.map_or("null", RawValue::get);
            let line = if self.envelope { &whole } else { result.as_bytes() };
            write_line(output, line)?;
            return Ok(Ended::Done);
        };
        let picture = picture::bytes(answer.response.ok_or(Failure::NoPicture("is empty"))?)?;
        fs::write(path, picture).map_err(|source| Failure::File {
            path: path.clone(),
            source,
        })?;
        let mut line = Value::from(path.to_string_lossy());
        if self.envelope {
            line = json!({ "success": true, "response": line });
        }
        write_line(output, line.to_string().as_bytes())?;
        Ok(Ended::Done)
    }
}

/// Writes at once: somebody may be waiting for it before writing the next call.
fn write_line(output: &mut dyn Write, line: &[u8]) -> Result<(), ServerError> {
    write(output, line)?;
    write(output, b"\n")
}

fn write(output: &mut dyn Write, bytes: &[u8]) -> Result<(), ServerError> {
    output
        .write_all(bytes)
        .and_then(|()| output.flush())
        .map_err(|source| ServerError::System {
            what: "The answer could not be written",
            source,
        })
}

impl From<Failure> for ServerError {
    fn from(failure: Failure) -> Self {
        Self::Script(Box::new(failure))
    }
}
