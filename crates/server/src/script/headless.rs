//! A headless Chromium with the page, for a session that nobody sits in front of.

use std::{
    collections::VecDeque,
    env, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::Failure;
use crate::{auth, percent, store};

const NAMES: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
];

const PLACES: [&str; 3] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
];

/// WebGL without a graphics card, the console on standard error, and no calls of the browser's own to the outside.
const ARGUMENTS: [&str; 14] = [
    "--headless=new",
    "--enable-logging=stderr",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
];

/// What the page writes on its console when its session has begun; the number follows.
const CONNECTED: &str = "\"Connected with session ID ";

/// How long the browser may take to close its page.
const GOODBYE: Duration = Duration::from_secs(10);

/// How many lines of the browser's chatter are kept for an error.
const LINES: usize = 12;

/// A running browser. Dropping it closes the page, and waits until the browser has ended.
#[derive(Debug)]
pub(super) struct Headless {
    child: Child,
    folder: PathBuf,
    connected: Option<oneshot::Receiver<u32>>,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Headless {
    /// Starts `program`, or whatever is found, on `page`, with a profile of its own.
    pub(super) fn start(
        program: Option<&Path>,
        page: &str,
        token: Option<&str>,
        size: (u32, u32),
    ) -> Result<Self, Failure> {
        let program = find(program)?;
        let failed = |source| Failure::Browser {
            program: program.clone(),
            source,
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        let folder = env::temp_dir().join(format!("chartroom-{}", auth::hex(&random)));
        store::make_private_folder(&folder).map_err(failed)?;
        let started = start_in(&folder, &program, page, token, size).map_err(failed);
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                // Nobody is helped by a second error.
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
        };
        let last = Arc::default();
        let (sender, connected) = oneshot::channel();
        if let Some(lines) = child.stderr.take() {
            let last = Arc::clone(&last);
            thread::spawn(move || read(lines, sender, &last));
        }
        Ok(Self {
            child,
            folder,
            connected: Some(connected),
            last,
        })
    }

    /// The number of the page's session, once it has one.
    pub(super) async fn session(&mut self, limit: Duration) -> Result<u32, Failure> {
        let silent = |how| {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            Failure::BrowserSilent {
                how,
                last: last.iter().cloned().collect::<Vec<_>>().join("\n"),
            }
        };
        let Some(connected) = self.connected.take() else {
            return Err(silent("was asked twice for its session"));
        };
        match tokio::time::timeout(limit, connected).await {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(_)) => Err(silent("ended")),
            Err(_) => Err(silent("has not connected to the server in time")),
        }
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        // A browser that is asked closes its page first, which mostly says goodbye to the server.
        ask_to_end(&self.child);
        let deadline = Instant::now() + GOODBYE;
        while cfg!(unix) && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        end(&mut self.child);
        // What can not be removed is in a folder for temporary files.
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start_in(
    folder: &Path,
    program: &Path,
    page: &str,
    token: Option<&str>,
    (width, height): (u32, u32),
) -> io::Result<Child> {
    let token = token.map(|token| format!("&token={}", percent::encode(token, percent::is_unreserved)));
    // Everybody on this machine sees the arguments of a program; a file in this folder is our own.
    let start = folder.join("start.html");
    let url = format!("{page}?skipTelemetry=1{}", token.unwrap_or_default());
    fs::write(&start, redirection(&url))?;
    let mut command = Command::new(program);
    command
        .args(ARGUMENTS)
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    {
        // A group of its own: the browser is many processes, and Ctrl-C is for us to handle.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        if rustix::process::geteuid().is_root() {
            // Chromium does not start otherwise.
            command.arg("--no-sandbox");
        }
    }
    command.arg(&start).spawn()
}

fn redirection(url: &str) -> String {
    let url = url.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!doctype html><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={url}\">"
    )
}

/// Reads what the browser prints until it ends.
fn read(lines: ChildStderr, connected: oneshot::Sender<u32>, last: &Mutex<VecDeque<String>>) {
    let mut connected = Some(connected);
    for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some(id) = session_in(&line)
            && let Some(connected) = connected.take()
        {
            // Nobody may be waiting any more.
            let _ = connected.send(id);
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LINES {
            last.pop_front();
        }
        last.push_back(line.chars().take(500).collect());
    }
}

/// The session that a line of the browser's log tells of.
pub(super) fn session_in(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(CONNECTED)?;
    rest.split_once('"')?.0.parse().ok()
}

/// The browser to start: the one that is asked for, or the first that is found.
fn find(wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(program) = wanted {
        return Ok(program.to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let named = NAMES.iter().flat_map(|name| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(move |folder| folder.join(&name))
    });
    named
        .chain(PLACES.map(PathBuf::from))
        .find(|program| program.is_file())
        .ok_or(Failure::NoBrowser)
}

/// Asks the browser to end; its other processes end with it.
#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use rustix::process::{Signal, kill_process};
    if let Some(browser) = process(child) {
        // It may have ended by itself.
        let _ = kill_process(browser, Signal::TERM);
    }
}

/// Ends whatever is left of the browser.
#[cfg(unix)]
fn end(child: &mut Child) {
    use rustix::process::{Signal, kill_process_group};
    if let Some(group) = process(child) {
        // Most likely nothing is.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(unix)]
fn process(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// There is no way to ask.
#[cfg(not(unix))]
fn ask_to_end(_: &Child) {}

/// Ends the browser.
#[cfg(not(unix))]
fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
}
