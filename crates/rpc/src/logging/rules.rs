//! Rules, and what follows from them for one frame.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::position;
use crate::message::{Message, MessageType, lane_of};
use crate::pattern::Pattern;

/// Rules in order: the first that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// At most 256.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is done with frames that no rule matches: by default they are dropped.
    #[serde(default)]
    pub default: Action,
}

/// What is done with some frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which frames; all, if nothing is asked for.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// What is done with them.
    pub action: Action,
}

/// What a frame must be like: all that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Its type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<OneOrMore>,
    /// Its lane, or the lane that follows from its route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<OneOrMore>,
    /// The capability of its route, without white space around it. A frame that has none does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<OneOrMore>,
    /// Its direction, as seen by the one who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Not smaller than this, in bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// Not larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// One pattern, or several of which one must match; `*` stands for anything in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// This one.
    One(Pattern),
    /// One of these.
    More(Vec<Pattern>),
}

/// The way of a frame, as seen by the one who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// It was received.
    In,
    /// It is sent.
    Out,
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something may be wrong.
    Warn,
    /// Worth to know in operation.
    Info,
    /// Worth to know when looking for a fault.
    #[default]
    Debug,
    /// Everything.
    Trace,
}

/// What is done with a frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// It is written to the log.
    #[serde(rename_all = "camelCase")]
    Log {
        /// How much it matters.
        #[serde(default)]
        level: Level,
    },
    /// It is written to the log for a share of all exchanges: a request and all that correlates to it are written both
    /// or not at all, and both ends choose the same ones.
    #[serde(rename_all = "camelCase")]
    Sample {
        /// The share, from 0 to 1: 0.1 is one of ten.
        rate: f64,
        /// How much it matters.
        #[serde(default)]
        level: Level,
    },
    /// It is written to the log without some fields.
    #[serde(rename_all = "camelCase")]
    Redact {
        /// The fields, as paths: see [`redact`](super::redact).
        fields: Vec<String>,
        /// How much it matters.
        #[serde(default)]
        level: Level,
    },
    /// It is not written to the log.
    #[default]
    Drop,
}

/// Why rules are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRules {
    /// There are more rules than anybody writes by hand.
    #[error(
        "There are {count} log rules, of which at most {} are taken.",
        RuleSet::MOST_RULES
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A rule makes no sense.
    #[error("{place} of the log rules {problem}.")]
    Rule {
        /// Which rule it is.
        place: String,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
    },
}

/// What is known about a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts<'a> {
    /// Its type.
    pub kind: MessageType,
    /// Its lane.
    pub lane: Cow<'a, str>,
    /// The capability of its route.
    pub capability: Option<&'a str>,
    /// Its way.
    pub direction: Direction,
    /// Its size, in bytes of UTF-8.
    pub bytes: usize,
    /// The id of the message that the exchange began with: the one that this correlates to, or else this one.
    pub exchange: &'a str,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It is not written to the log.
    Drop,
    /// It is.
    Log {
        /// How much it matters.
        level: Level,
        /// What is taken out of it before: see [`redact`](super::redact).
        redact: &'a [String],
    },
}

impl<'a> Facts<'a> {
    /// What is known about a message that is so many bytes long as text.
    #[must_use]
    pub fn of(message: &'a Message, direction: Direction, bytes: usize) -> Self {
        Self {
            kind: message.kind,
            lane: lane_of(message),
            capability: message
                .route
                .as_ref()
                .and_then(|route| route.capability.as_deref())
                .map(str::trim)
                .filter(|capability| !capability.is_empty()),
            direction,
            bytes,
            exchange: message.correlates_to.as_deref().unwrap_or(&message.id),
        }
    }
}

impl OneOrMore {
    fn patterns(&self) -> &[Pattern] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::More(patterns) => patterns,
        }
    }

    fn matches(&self, text: &str) -> bool {
        self.patterns().iter().any(|pattern| pattern.matches(text))
    }
}

impl Match {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let fits = |wanted: &Option<OneOrMore>, text: Option<&str>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| text.is_some_and(|text| wanted.matches(text)))
        };
        let bytes = facts.bytes as u64;
        fits(&self.kind, Some(facts.kind.name()))
            && fits(&self.lane, Some(&facts.lane))
            && fits(&self.capability, facts.capability)
            && self.direction.is_none_or(|wanted| wanted == facts.direction)
            && self.min_bytes.is_none_or(|least| bytes >= least)
            && self.max_bytes.is_none_or(|most| bytes <= most)
    }

    fn problem(&self) -> Option<String> {
        let lists = [
            ("type", &self.kind),
            ("lane", &self.lane),
            ("capability", &self.capability),
        ];
        for (name, list) in lists {
            let Some(list) = list else { continue };
            if list.patterns().is_empty() {
                return Some(format!("has an empty list in '{name}', which nothing matches"));
            }
            if list.patterns().len() > RuleSet::MOST_RULES {
                return Some(format!(
                    "has more than {} patterns in '{name}'",
                    RuleSet::MOST_RULES
                ));
            }
        }
        let types = self.kind.as_ref().map_or(&[][..], OneOrMore::patterns);
        let no_type = |pattern: &&Pattern| !MessageType::ALL.iter().any(|kind| pattern.matches(kind.name()));
        if let Some(pattern) = types.iter().find(no_type) {
            return Some(format!("matches the type '{pattern}', which no message has"));
        }
        if self.min_bytes > self.max_bytes && self.max_bytes.is_some() {
            return Some("has a 'minBytes' above its 'maxBytes'".to_owned());
        }
        None
    }
}

impl Action {
    fn decide(&self, facts: &Facts<'_>) -> Decision<'_> {
        match *self {
            Self::Log { level } => Decision::Log { level, redact: &[] },
            Self::Sample { rate, level } if position(facts.exchange) < rate => {
                Decision::Log { level, redact: &[] }
            }
            Self::Redact { ref fields, level } => Decision::Log {
                level,
                redact: fields,
            },
            Self::Sample { .. } | Self::Drop => Decision::Drop,
        }
    }

    fn problem(&self) -> Option<String> {
        match self {
            Self::Sample { rate, .. } if !(0.0..=1.0).contains(rate) => {
                Some(format!("has the rate {rate}, which is not from 0 to 1"))
            }
            Self::Redact { fields, .. } if fields.is_empty() || fields.iter().any(String::is_empty) => {
                Some("redacts without naming the fields".to_owned())
            }
            _ => None,
        }
    }
}

impl RuleSet {
    /// How many rules are taken.
    pub const MOST_RULES: usize = 256;

    /// What becomes of a frame.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision<'_> {
        self.rules
            .iter()
            .find(|rule| rule.matching.matches(facts))
            .map_or(&self.default, |rule| &rule.action)
            .decide(facts)
    }

    /// Whether every frame is dropped.
    #[must_use]
    pub fn drops_all(&self) -> bool {
        self.default == Action::Drop && self.rules.iter().all(|rule| rule.action == Action::Drop)
    }

    /// Whether the rules make sense.
    ///
    /// # Errors
    /// [`InvalidRules`] says which rule does not, and why.
    pub fn validate(&self) -> Result<(), InvalidRules> {
        if self.rules.len() > Self::MOST_RULES {
            return Err(InvalidRules::TooMany {
                count: self.rules.len(),
            });
        }
        let refused = |place: String, problem| Err(InvalidRules::Rule { place, problem });
        for (at, rule) in self.rules.iter().enumerate() {
            if let Some(problem) = rule.matching.problem().or_else(|| rule.action.problem()) {
                return refused(format!("Rule {}", at + 1), problem);
            }
        }
        match self.default.problem() {
            Some(problem) => refused("The default".to_owned(), problem),
            None => Ok(()),
        }
    }
}
