//! The binary `chartroom`.

use std::{
    env,
    io::{BufReader, Write},
    process::ExitCode,
    time::Duration,
};

use chartroom::{Options, ServerError, keys, logging, open_files, options, script};

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
    if env::args_os().nth(1).is_some_and(|word| word == "script") {
        return run_script();
    }
    let keys = env::args_os().nth(1).is_some_and(|word| word == "keys");
    match if keys { manage_keys() } else { serve() } {
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

/// `chartroom script`, with exit codes that tell what failed.
fn run_script() -> ExitCode {
    let (mut output, mut remarks) = (std::io::stdout(), std::io::stderr());
    let error = match script_until_stopped(&mut output, &mut remarks) {
        Ok(Some(script::Ended::Done)) => return ExitCode::SUCCESS,
        Ok(Some(script::Ended::ActionFailed)) => return ExitCode::from(1),
        // As shells have it for a program that Ctrl-C ended.
        Ok(None) => return ExitCode::from(130),
        Err(error) => error,
    };
    if let ServerError::Usage(usage) = error {
        // Nobody to tell if this fails.
        let _ = usage.print();
        return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    }
    let _ = writeln!(remarks, "chartroom: {error}");
    ExitCode::from(if matches!(error, ServerError::Option { .. }) {
        2
    } else {
        3
    })
}

/// `None` if somebody asked the process to end; a browser that was started is closed in any case.
fn script_until_stopped(
    output: &mut dyn Write,
    remarks: &mut dyn Write,
) -> Result<Option<script::Ended>, ServerError> {
    let system = |what| move |source| ServerError::System { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("Threads could not be started"))?;
    runtime.block_on(async {
        let signal = stop_signal().map_err(system("Signals can not be received"))?;
        let input = BufReader::new(std::io::stdin());
        let script = script::run(env::args_os(), |name| env::var(name).ok(), input, output, remarks);
        tokio::select! {
            ended = script => ended.map(Some),
            () = signal => Ok(None),
        }
    })
}

fn manage_keys() -> Result<(), ServerError> {
    let (mut output, mut remarks) = (std::io::stdout(), std::io::stderr());
    keys::run(
        env::args_os(),
        |name| env::var(name).ok(),
        &mut output,
        &mut remarks,
    )
}

fn serve() -> Result<(), ServerError> {
    let options = Options::from_sources(env::args_os(), |name| env::var(name).ok())?;
    logging::start(&options);
    open_files::allow_as_many_as_possible();
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
