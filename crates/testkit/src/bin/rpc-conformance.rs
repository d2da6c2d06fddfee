//! A server of the RPC runtime with known capabilities, so that any client can be tested against it:
//! `cargo run -p chartroom-testkit --bin rpc-conformance -- --port 3900`. Everything is granted to every page, but for
//! `conformance.denied@1`.

use std::process::ExitCode;

use chartroom_testkit::rpc::conformance;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => Some(0),
        ["--port", port] => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("usage: rpc-conformance [--port N]");
        return ExitCode::from(2);
    };
    match conformance::serve(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rpc-conformance: {error}");
            ExitCode::FAILURE
        }
    }
}
