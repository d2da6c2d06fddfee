//! Which frames are written to the log, and what of them.
//!
//! A [`RuleSet`] is the same on both sides: the server decides with it about the frames that it sends and receives, and
//! pages get one in their settings and decide in the same way; `fixtures/logging.json` is checked against both. As JSON:
//!
//! ```json
//! {
//!   "rules": [
//!     {"match": {"type": ["ack", "heartbeat"]}, "action": "drop"},
//!     {"match": {"capability": "login@*"}, "action": {"redact": {"fields": ["payload.password"]}}},
//!     {"match": {"direction": "out", "minBytes": 100000}, "action": {"log": {"level": "warn"}}},
//!     {"match": {"type": "stateUpdate", "lane": "cap:chartroom.*"}, "action": {"sample": {"rate": 0.01}}}
//!   ],
//!   "default": {"log": {"level": "debug"}}
//! }
//! ```
//!
//! The first rule that matches decides; if none does, the default, which is to drop the frame if it is not given.

mod handle;
mod redact;
mod rules;
mod sample;

pub use handle::LogRules;
pub use redact::redact;
pub use rules::{Action, Decision, Direction, Facts, InvalidRules, Level, Match, OneOrMore, Rule, RuleSet};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::captured;
