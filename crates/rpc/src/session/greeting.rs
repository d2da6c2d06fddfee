//! The answer to a hello.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Session;
use crate::context::Caller;
use crate::http::Visitor;
use crate::message::{Message, empty_object};
use crate::views::{Greeting, HelloPayload};

impl Session {
    /// Answers a hello: a generation begins. The session that the tab had on another connection ends before.
    pub(super) fn greet(&self, hello: &Message) {
        let here = self.lock().tab.clone();
        let greeting = HelloPayload::parse(&hello.payload).and_then(|payload| {
            let Visitor {
                client, principal, ..
            } = &self.visitor;
            self.shared
                .views
                .hello(client, principal, &payload, here.as_deref())
        });
        match greeting {
            Ok(greeting) => self.welcome(greeting),
            Err(error) => self.refuse(Some(&hello.id), None, &error),
        }
    }

    fn welcome(&self, greeting: Greeting) {
        let payload = to_raw_value(&self.welcome_payload(&greeting)).unwrap_or_else(|_| empty_object());
        let tab = greeting.tab;
        let replaced = self.shared.tabs.enter(tab.id(), &self.me);
        if let Some(replaced) = replaced {
            replaced.replaced();
        }
        let caller = Arc::new(Caller {
            principal: self.visitor.principal.clone(),
            client: (&self.visitor.client).into(),
            view: tab.view().into(),
            tab: tab.id().into(),
            origin: None,
            extensions: Arc::new(self.visitor.extensions.clone()),
        });
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.heartbeat = Some(Instant::now() + self.pause());
        let before = state.tab.replace(Arc::clone(&tab));
        drop(state);
        if let Some(before) = before.filter(|before| before.id() != tab.id()) {
            self.shared.tabs.leave(before.id(), &self.me);
            before.touch();
        }
        self.with(|machine, effects| machine.welcome(caller, greeting.generation, &payload, effects));
        // The driver has not looked at the time since.
        self.wake.notify_one();
    }

    fn welcome_payload(&self, greeting: &Greeting) -> Value {
        let tab = &greeting.tab;
        let snapshot = tab.snapshot();
        let mut state = snapshot.state;
        state.insert("serverMessage".to_owned(), json!(self.shared.message));
        state.insert("serverBootTs".to_owned(), json!(self.shared.booted));
        json!({
            "viewId": tab.view().as_str(),
            "viewKind": tab.kind().as_str(),
            "template": "main_menu",
            "version": snapshot.version,
            "state": state,
            "sessions": {},
            "resumed": greeting.resumed,
            "serverEpoch": self.shared.hub.epoch(),
            "tabId": tab.id().as_str(),
        })
    }
}
