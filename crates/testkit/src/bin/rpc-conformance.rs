//! A server of the RPC runtime with known capabilities, so that any client can be tested against it:
//! `cargo run -p chartroom-testkit --bin rpc-conformance -- --port 3900`. Everything is granted to every page, but for
//! `conformance.denied@1`.

use std::process::ExitCode;

use chartroom_testkit::rpc::conformance;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut port, mut ack_wait) = (Some(0), None);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        match argument.as_str() {
            "--port" => port = value.and_then(|value| value.parse().ok()),
            // For clients on a machine that is too busy to acknowledge in time.
            "--ack-wait-ms" => ack_wait = value.and_then(|value| value.parse().ok()),
            _ => port = None,
        }
    }
    let Some(port) = port else {
        eprintln!("usage: rpc-conformance [--port N] [--ack-wait-ms N]");
        return ExitCode::from(2);
    };
    match conformance::serve(port, ack_wait).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rpc-conformance: {error}");
            ExitCode::FAILURE
        }
    }
}
