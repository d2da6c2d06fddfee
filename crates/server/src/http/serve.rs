//! Accepting connections and speaking HTTP on them.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::StatusCode, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    Peer, answer,
    intake::{Intake, Metered},
    limits::{AddressLimits, Admission, Slot},
    lingering::{Connection, Lingering},
};

/// How long a connection may last that is only told to go away.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the operating system refused a connection, mostly for want of file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
/// Bytes that wait in each direction of a pipe.
const PIPE: usize = 64 << 10;

/// What one connection may use.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest head of a request, in bytes; at least 8192.
    pub(crate) max_header_size: usize,
    /// How long a client may take for the head of a request, and keep a connection open without one.
    pub(crate) request_timeout: Duration,
    /// Connections by address.
    pub(crate) addresses: AddressLimits,
}

/// Serves `router` on `listener` until `shutdown`; connections are tasks of `tasks`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        // Small answers must not wait for more; where the system refuses, they do.
        let _ = stream.set_nodelay(true);
        match limits.addresses.admit(address.ip()) {
            Admission::Admitted(slot) => {
                let connection = connection(
                    stream,
                    address,
                    router.clone(),
                    slot,
                    limits.clone(),
                    shutdown.clone(),
                );
                tasks.spawn(connection);
            }
            Admission::Refused(slot) => {
                tracing::warn!(%address, "too many connections from one address");
                tasks.spawn(refuse(stream, slot, shutdown.clone()));
            }
            Admission::Dropped => {}
        }
    }
}

/// Serves `router` on a connection that is a pipe in this process; gives its other end. It counts for no address.
pub(crate) fn connect(
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
    tasks: &TaskTracker,
) -> DuplexStream {
    let (near, far) = tokio::io::duplex(PIPE);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if let Admission::Admitted(slot) = AddressLimits::new(None).admit(address.ip()) {
        tasks.spawn(connection(far, address, router, slot, limits, shutdown));
    }
    near
}

async fn connection(
    stream: impl Connection,
    address: SocketAddr,
    router: Router,
    slot: Slot,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let slot = Arc::new(slot);
    let intake = Intake::unlimited();
    let metered = Metered {
        connection: Lingering::new(stream),
        intake: intake.clone(),
    };
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Peer(address));
        request.extensions_mut().insert(Arc::clone(&slot));
        request.extensions_mut().insert(intake.clone());
        router.clone().oneshot(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.request_timeout)
            .max_buf_size(limits.max_header_size)
            .serve_connection(TokioIo::new(metered), service)
            .with_upgrades()
    );
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%address, %error, "connection ended");
    }
}

async fn refuse(stream: TcpStream, slot: Slot, shutdown: CancellationToken) {
    let service = service_fn(|_: hyper::Request<Incoming>| async {
        let sentence = "Too many connections are open from this address; close some pages and try again.";
        let mut response: Response = answer::failure(StatusCode::TOO_MANY_REQUESTS, sentence);
        response
            .headers_mut()
            .insert("retry-after", axum::http::HeaderValue::from_static("5"));
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REFUSAL_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever becomes of it, it is over.
    let _ = tokio::select! {
        () = shutdown.cancelled() => Ok(Ok(())),
        served = tokio::time::timeout(REFUSAL_TIMEOUT, connection) => served,
    };
    drop(slot);
}
