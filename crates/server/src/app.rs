//! The composition root: here the rooms are put together.

use std::{env, io::Write, sync::Arc, time::Duration};

use chartroom_image::{BlockCache, OpenOptions, SpillSpace};
use chartroom_sched::{Scheduler, SchedulerOptions};
use chartroom_session::transport::{Hub, HubOptions};
use chartroom_session::{Ids, Registry, Retention};
use chartroom_viewer::{Folders, Viewer, ViewerOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    browser,
    carta::{CartaService, Parts},
    error::ServerError,
    folders::DataFolders,
    link::SocketService,
    memory,
    metrics::Metrics,
    options::Options,
    percent,
    server::Server,
    sessions::{self, Stored},
};

/// Bytes that may wait for one client before those who make them wait.
const OUTBOX_BYTES: usize = 32 << 20;

/// Bytes of requests that may wait for one session before its link is not read any more.
const MAILBOX_BYTES: u32 = 32 << 20;

/// Starts a server with everything that belongs to it.
///
/// # Errors
/// Whatever keeps it from starting, as a sentence; see [`Server::start`] and [`DataFolders::resolve`].
pub async fn start(options: &Options) -> Result<Server, ServerError> {
    start_in(options, &data_folders(options)?).await
}

/// Runs a server until `stop` is ready or, if the options say so, nobody is there any more.
///
/// Writes the one line to standard output when clients may come.
///
/// # Errors
/// As [`start`].
pub async fn run(options: &Options, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
    for name in &options.without_effect {
        tracing::info!("option --{name} of carta_backend has no effect here");
    }
    let data = data_folders(options)?;
    let server = start_in(options, &data).await?;
    announce(&server);
    if options.open_browser && options.serve_frontend {
        browser::open(&page(&server, &data), options.browser.as_deref());
    }
    tokio::select! {
        () = stop => tracing::info!("told to stop"),
        () = deserted(server.links(), options.initial_timeout, options.exit_timeout) => {
            tracing::info!("nobody is connected any more");
        }
    }
    server.stop().await;
    Ok(())
}

async fn start_in(options: &Options, data: &DataFolders) -> Result<Server, ServerError> {
    let accounts = Accounts::open(options).await?;
    let stored = sessions::stored(options, &data.top_level).await;
    let options = &Options {
        auth_token: stored.token(options).await?,
        ..options.clone()
    };
    let life = CancellationToken::new();
    let service = service(options, data, accounts.clone(), stored, &life)?;
    let server = Server::start_with(options, accounts, service, life).await?;
    tracing::info!(
        address = %server.address(),
        top_level_folder = %data.top_level.display(),
        read_only = options.read_only,
        "listening"
    );
    if !options.require_auth {
        tracing::warn!("no token is asked for: everybody who reaches the port may read all data");
    }
    Ok(server)
}

/// What speaks on the WebSockets: the CARTA viewer and its sessions.
fn service(
    options: &Options,
    data: &DataFolders,
    accounts: Accounts,
    stored: Stored,
    life: &CancellationToken,
) -> Result<Arc<dyn SocketService>, ServerError> {
    // The scheduler looks its metrics up once, so the recorder has to be there before it.
    let _recorder = Metrics::of_process();
    let start = data.top_level.join(&data.starting);
    let folders =
        Folders::new(&data.top_level, &start).map_err(|source| ServerError::Viewer(Box::new(source)))?;
    let scheduler =
        Scheduler::new(scheduler_options(options)).map_err(|source| ServerError::Viewer(Box::new(source)))?;
    let memory = options.memory_limit.unwrap_or_else(|| memory::of_machine() / 2);
    let bytes = |share: u64| usize::try_from(share).unwrap_or(usize::MAX);
    let spill = SpillSpace::new(env::temp_dir(), memory.saturating_mul(2));
    let tiles = BlockCache::new(bytes(memory / 8));
    let viewer = Viewer::new(
        ViewerOptions {
            folders,
            read_only: options.read_only,
            scripting: options.scripting,
            cache_bytes: bytes(memory / 2),
            outbox_bytes: OUTBOX_BYTES,
            mailbox_bytes: MAILBOX_BYTES,
            platform: platform(options),
            open: OpenOptions {
                spill: Some(Arc::new(spill)),
                cache: Some(Arc::new(tiles)),
                ..OpenOptions::default()
            },
        },
        scheduler,
    );
    let retention = Retention {
        parked: options.session_retention,
        ..Retention::default()
    };
    let Stored {
        keeper,
        recovered,
        rpc,
        ..
    } = stored;
    let registry = Registry::new(Ids::random(), retention, keeper.clone(), recovered);
    let hub = Hub::new(HubOptions {
        liveness: options.liveness_timeout,
        retention: options.session_retention,
        receive_limit: options.max_message_size,
        deferred: true,
        ..HubOptions::default()
    });
    let parts = Parts {
        viewer,
        registry: Arc::new(registry),
        access: Arc::new(accounts),
        keeper,
        hub: hub.map_err(|source| ServerError::Viewer(Box::new(source)))?,
        idle_timeout: options.idle_timeout,
        parked_bytes: bytes(memory / 8),
        rpc_store: rpc,
    };
    Ok(Arc::new(CartaService::start(parts, life)))
}

fn scheduler_options(options: &Options) -> SchedulerOptions {
    match options.threads {
        // One thread could never be kept free for interactive work.
        Some(threads) => {
            let threads = threads.get().max(2);
            SchedulerOptions {
                threads,
                interactive_reserve: (threads / 8).max(1),
            }
        }
        None => SchedulerOptions::default(),
    }
}

/// What clients are told of the server.
fn platform(options: &Options) -> Vec<(String, String)> {
    let retention = options.session_retention.as_secs().to_string();
    let liveness = options.liveness_timeout.as_secs().to_string();
    [
        ("release_info", concat!("Chartroom ", env!("CARGO_PKG_VERSION"))),
        ("platform", env::consts::OS),
        ("architecture", env::consts::ARCH),
        ("deployment", "server"),
        ("session_retention_seconds", &retention),
        ("liveness_timeout_seconds", &liveness),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn data_folders(options: &Options) -> Result<DataFolders, ServerError> {
    let current = env::current_dir().map_err(|source| ServerError::System {
        what: "The current folder is not known",
        source,
    })?;
    DataFolders::resolve(options, &current)
}

/// The only thing that ever goes to standard output. Whoever closed it does not want to know.
fn announce(server: &Server) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "chartroom listening on {}", server.url()).and_then(|()| output.flush());
}

/// The address of the page with the files that were named at the start.
fn page(server: &Server, data: &DataFolders) -> String {
    let mut url = server.url().to_owned();
    let escaped = |file: &String| percent::encode(file, |byte| percent::is_unreserved(byte) || byte == b'/');
    let files: Vec<_> = data.files.iter().map(escaped).collect();
    let separator = if url.contains('?') { '&' } else { '?' };
    // The page takes commas in `files` for separators, escaped or not; in `file` they are part of the name.
    match files.as_slice() {
        [] => {}
        [file] => url.extend([&separator.to_string(), "file=", file]),
        files => url.extend([&separator.to_string(), "files=", &files.join(",")]),
    }
    url
}

/// Ready when nobody connected within `initial`, or the last one has been gone for `exit`; `None` is never.
async fn deserted(mut links: watch::Receiver<usize>, initial: Option<Duration>, exit: Option<Duration>) {
    let mut patience = initial;
    loop {
        let empty = *links.borrow_and_update() == 0;
        let waited_in_vain = async {
            match patience.filter(|_| empty) {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = waited_in_vain => return,
            changed = links.changed() => {
                if changed.is_err() {
                    return;
                }
                patience = exit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::watch, time::Instant};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_nobody_uses_stops_after_the_initial_timeout() {
        let begin = Instant::now();
        let links = watch::Sender::new(0);
        deserted(links.subscribe(), Some(Duration::from_secs(30)), None).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_stops_when_the_last_link_has_been_gone_for_the_exit_timeout() {
        let begin = Instant::now();
        let links = watch::Sender::new(0);
        let deserted = deserted(
            links.subscribe(),
            Some(Duration::from_secs(30)),
            Some(Duration::from_secs(5)),
        );
        let user = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            links.send_replace(1);
            tokio::time::sleep(Duration::from_secs(100)).await;
            links.send_replace(0);
            std::future::pending::<()>().await;
        };
        tokio::select! { () = deserted => {}, () = user => {} }
        assert_eq!(begin.elapsed(), Duration::from_secs(125));
    }
}
