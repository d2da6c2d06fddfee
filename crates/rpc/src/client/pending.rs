//! Calls to a page that are under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::Stream;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Arguments, CallOptions};
use crate::message::MessageType;
use crate::session::Session;
use crate::session::ids::new_id;
use crate::{RpcError, code};

/// So many updates of one subscription wait for whoever reads them; one that reads too slowly loses the subscription.
const UPDATES: usize = 256;

/// What is said to a page.
#[derive(Debug)]
pub(crate) struct PageCall {
    pub(crate) kind: MessageType,
    pub(crate) id: Arc<str>,
    pub(crate) capability: String,
    pub(crate) path: String,
    pub(crate) arguments: Arguments,
    pub(crate) budget: Option<Duration>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) answers: mpsc::Sender<Event>,
}

/// What a page answers.
#[derive(Debug)]
pub(crate) enum Event {
    /// A state of a subscription.
    Update(Box<RawValue>),
    /// The reply, the end of a subscription, or the acknowledgement of an event; nothing follows.
    Done(Box<RawValue>),
    /// An error; nothing follows.
    Failed(RpcError),
}

/// A call that may not be sent yet.
#[derive(Debug)]
pub(super) struct Pending {
    id: Arc<str>,
    session: Weak<Session>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It was not polled.
    Unsent(Box<PageCall>, mpsc::Receiver<Event>),
    /// It was sent.
    Sent(mpsc::Receiver<Event>),
    /// It is over.
    Over,
}

impl Pending {
    pub(super) fn new(
        session: &Weak<Session>,
        kind: MessageType,
        capability: &str,
        path: &str,
        arguments: Arguments,
        options: CallOptions,
    ) -> Self {
        let id: Arc<str> = new_id().into();
        let room = if kind == MessageType::Subscribe {
            UPDATES
        } else {
            1
        };
        let (answers, receiver) = mpsc::channel(room);
        let call = PageCall {
            kind,
            id: Arc::clone(&id),
            capability: capability.to_owned(),
            path: path.to_owned(),
            arguments,
            budget: options.budget,
            idempotency_key: options.idempotency_key,
            answers,
        };
        Self {
            id,
            session: Weak::clone(session),
            stage: Stage::Unsent(Box::new(call), receiver),
        }
    }

    /// The next thing that the page answers; `None` after the last one.
    fn poll(&mut self, task: &mut Task<'_>) -> Poll<Option<Event>> {
        if let Stage::Unsent(..) = self.stage
            && let Stage::Unsent(call, receiver) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            let Some(session) = self.session.upgrade() else {
                return Poll::Ready(Some(Event::Failed(disconnected())));
            };
            self.stage = Stage::Sent(receiver);
            session.call_page(*call);
        }
        let Stage::Sent(receiver) = &mut self.stage else {
            return Poll::Ready(None);
        };
        let event = match receiver.poll_recv(task) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(event) => event.unwrap_or_else(|| Event::Failed(disconnected())),
        };
        if !matches!(event, Event::Update(_)) {
            self.stage = Stage::Over;
        }
        Poll::Ready(Some(event))
    }

    /// The last thing that the page answers.
    fn poll_end(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<RawValue>, RpcError>> {
        loop {
            match self.poll(task) {
                Poll::Pending => return Poll::Pending,
                // What comes before the end of a request is its progress.
                Poll::Ready(Some(Event::Update(_))) => {}
                Poll::Ready(Some(Event::Done(payload))) => return Poll::Ready(Ok(payload)),
                Poll::Ready(Some(Event::Failed(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Err(disconnected())),
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let (Stage::Sent(_), Some(session)) = (&self.stage, self.session.upgrade()) {
            session.forget_page_call(&self.id);
        }
    }
}

fn disconnected() -> RpcError {
    RpcError::new(code::DISCONNECTED, "The page is gone.")
}

/// A request to a page: a future of the payload of its reply.
///
/// It fails with the error that the page answers, with `REQUEST_TIMEOUT` when its budget is used up, with `DISCONNECTED` when
/// the page is gone. Dropping it cancels the request.
#[derive(Debug)]
#[must_use = "nothing is sent before it is polled"]
pub struct PendingCall(pub(super) Pending);

/// An event for a page: a future that is ready when the page has acknowledged it.
///
/// It fails as [`PendingCall`] does. Dropping it takes nothing back.
#[derive(Debug)]
#[must_use = "nothing is sent before it is polled"]
pub struct PendingEmit(pub(super) Pending);

/// A subscription to what a page exposes: a stream of the payloads of its updates. An error is its last item; without one,
/// the page has completed it. Dropping it ends it.
#[derive(Debug)]
#[must_use = "nothing is sent before it is polled"]
pub struct Subscription(pub(super) Pending);

impl PendingCall {
    /// The id that the request has, or will have.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

impl PendingEmit {
    /// The id that the event has, or will have.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

impl Subscription {
    /// The id that the subscription has, or will have.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

impl Future for PendingCall {
    type Output = Result<Box<RawValue>, RpcError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        self.0.poll_end(task)
    }
}

impl Future for PendingEmit {
    type Output = Result<(), RpcError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        self.0.poll_end(task).map_ok(|_| ())
    }
}

impl Stream for Subscription {
    type Item = Result<Box<RawValue>, RpcError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(task).map(|event| match event? {
            Event::Update(payload) => Some(Ok(payload)),
            Event::Done(_) => None,
            Event::Failed(error) => Some(Err(error)),
        })
    }
}
