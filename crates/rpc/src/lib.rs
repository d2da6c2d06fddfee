//! JSON RPC over a WebSocket that survives: typed capabilities, subscriptions and calls in both directions.
//!
//! A [`Runtime`] is what a server offers to pages: [`Capability`]s, whose paths are async functions with typed input and
//! output, and [`Object`]s. Its [router](Runtime::router) is merged into any axum application; the client for browsers is
//! `@chartroom/client`. `docs/rpc.md` in the repository is the guide, with a chat as its example.
//!
//! ```no_run
//! use chartroom_rpc::{Args, Capability, Context, RpcError, Runtime};
//!
//! async fn add(_: Context, Args((x, y)): Args<(f64, f64)>) -> Result<f64, RpcError> {
//!     Ok(x + y)
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let calculator = Capability::new("calculator@1").call("add", add);
//! let runtime = Runtime::builder().capability(calculator).build().await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3900").await?;
//! axum::serve(listener, runtime.router()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What a page asks survives its connection, if both ends speak the resumable transport of [`chartroom_session`]; without,
//! pages connect again, say hello, and subscribe anew. Every request ends in exactly one answer. Who asks is what
//! [`Authenticate`] finds out, what they may do what a [`Policy`](permission::Policy) says.

mod archive;
mod authenticate;
mod capability;
mod client;
mod context;
pub mod describe;
mod error;
mod http;
mod idempotency;
mod input;
mod lanes;
pub mod logging;
pub mod message;
mod meter;
mod name;
pub mod objects;
mod pattern;
pub mod permission;
mod registry;
mod runtime;
mod session;
pub mod settings;
mod socket;
mod updates;
pub mod views;

pub use authenticate::{Anonymous, Authenticate, Identity};
pub use capability::{ANY_PATH, Capability, stream_with, with};
pub use client::{Arguments, CallOptions, Client, PendingCall, PendingEmit, Subscription};
pub use context::{Caller, Context, Origin};
pub use error::{RpcError, code};
pub use input::{Args, Input, InputSchema, Payload, Raw};
pub use name::{CapabilityName, InvalidName};
pub use objects::{JsonObject, Object};
pub use pattern::Pattern;
pub use runtime::{Runtime, RuntimeBuilder, RuntimeError};
pub use settings::{ServerSettings, Settings};
pub use socket::Socket;
pub use updates::Updates;
