//! The binary `chartroom`.

use std::{env, io::Write, process::ExitCode, time::Duration};

use chartroom::{Options, ServerError, logging, options};

/// How long work on other threads may take to notice that the server has stopped.
const LAST_WAIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    if env::args_os()
        .nth(1)
        .is_some_and(|word| word == "--print-options-markdown")
    {
        let written = std::io::stdout().write_all(options::markdown().as_bytes());
        return if written.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServerError::Usage(usage)) => {
            // Nobody to tell if this fails.
            let _ = usage.print();
            ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2))
        }
        Err(error) => {
            // Logging may not have been started, or be off: a server that does not start always says why.
            let _ = writeln!(std::io::stderr(), "chartroom: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), ServerError> {
    let options = Options::from_sources(env::args_os(), |name| env::var(name).ok())?;
    logging::start(&options);
    let system = |what| move |source| ServerError::System { what, source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("chartroom-io")
        .build()
        .map_err(system("Threads could not be started"))?;
    let served = runtime.block_on(async {
        let signal = stop_signal().map_err(system("Signals can not be received"))?;
        chartroom::run(&options, signal).await
    });
    runtime.shutdown_timeout(LAST_WAIT);
    served
}

/// Ready when somebody asks the process to end.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

/// Ready when somebody asks the process to end.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a way to be told, the process ends with its console.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
