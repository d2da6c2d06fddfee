//! Rules that can be changed while frames pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::{Decision, Direction, Facts, InvalidRules, Level, RuleSet, redact};
use crate::message::Message;

/// The rules of one side, shared by all its connections. Clones are the same rules.
///
/// Without rules a frame costs the reading of one flag.
#[derive(Debug, Clone, Default)]
pub struct LogRules(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether there is any frame that the rules would not drop.
    active: AtomicBool,
    rules: RwLock<Arc<RuleSet>>,
}

impl LogRules {
    /// Begins with these rules.
    ///
    /// # Errors
    /// [`InvalidRules`] if they make no sense.
    pub fn new(rules: RuleSet) -> Result<Self, InvalidRules> {
        let handle = Self::default();
        handle.set(rules)?;
        Ok(handle)
    }

    /// Replaces the rules, for all frames from now on.
    ///
    /// # Errors
    /// [`InvalidRules`] if they make no sense; those before stay then.
    pub fn set(&self, rules: RuleSet) -> Result<(), InvalidRules> {
        rules.validate()?;
        let active = !rules.drops_all();
        let mut current = self.0.rules.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(rules);
        // Under the lock, so that the flag is that of the newest rules.
        self.0.active.store(active, Ordering::Relaxed);
        Ok(())
    }

    /// The rules as they are now.
    #[must_use]
    pub fn get(&self) -> Arc<RuleSet> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules as they are now, unless they drop everything.
    #[must_use]
    pub fn active(&self) -> Option<Arc<RuleSet>> {
        self.0.active.load(Ordering::Relaxed).then(|| self.get())
    }

    /// Writes a frame to the log, if the rules say so: an event of `tracing` with the target `chartroom_rpc::frames`.
    pub fn log(&self, direction: Direction, message: &Message, text: &str) {
        let Some(rules) = self.active() else { return };
        let facts = Facts::of(message, direction, text.len());
        let Decision::Log { level, redact } = rules.decide(&facts) else {
            return;
        };
        if redact.is_empty() {
            return write(level, &facts, message, text);
        }
        match without(text, redact) {
            Some(text) => write(level, &facts, message, &text),
            None => write(level, &facts, message, "[not readable, and therefore not shown]"),
        }
    }
}

/// The frame without these fields; nothing if it is nested too deeply to take them out.
fn without(text: &str, fields: &[String]) -> Option<String> {
    let mut frame: Value = serde_json::from_str(text).ok()?;
    redact(&mut frame, fields);
    Some(frame.to_string())
}

fn write(level: Level, facts: &Facts<'_>, message: &Message, text: &str) {
    let direction = match facts.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    // The level of an event is part of its place in the code, so each has one of its own.
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: "chartroom_rpc::frames",
                tracing::Level::$level,
                direction,
                kind = facts.kind.name(),
                id = message.id,
                lane = %facts.lane,
                bytes = facts.bytes,
                "{text}"
            )
        };
    }
    match level {
        Level::Error => event!(ERROR),
        Level::Warn => event!(WARN),
        Level::Info => event!(INFO),
        Level::Debug => event!(DEBUG),
        Level::Trace => event!(TRACE),
    }
}
