//! How often something may be called.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Policy;
use crate::context::Caller;
use crate::error::{RpcError, code};
use crate::name::CapabilityName;
use crate::pattern::Pattern;

/// How often each principal may use each capability of some families.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Which families of capabilities it is for.
    pub family: Pattern,
    /// How often a second in the long run. What is not above 0 refuses everything after the burst.
    pub per_second: f64,
    /// How often at once, at least 1.
    pub burst: u32,
}

/// Rate limits: a token bucket for each principal and capability.
///
/// The first limit whose family matches counts; capabilities that none matches are not limited. Buckets are bounded in
/// number: when there are too many, those that are full are forgotten, which changes nothing, and if there are none, those
/// that were used longest ago.
#[derive(Debug)]
pub struct RateLimits {
    limits: Vec<RateLimit>,
    buckets: Mutex<HashMap<String, Bucket>>,
    most_buckets: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    /// When there were so many.
    at: SystemTime,
    /// When it will be full again, if it is not used.
    full_at: SystemTime,
}

/// Longer than anybody waits; also what waiting for something that never comes is told as.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl RateLimits {
    /// These limits.
    #[must_use]
    pub fn new(limits: Vec<RateLimit>) -> Self {
        Self::with_most_buckets(limits, 100_000)
    }

    /// These limits, remembering so many pairs of principal and capability at most.
    #[must_use]
    pub fn with_most_buckets(limits: Vec<RateLimit>, most_buckets: usize) -> Self {
        Self {
            limits,
            buckets: Mutex::default(),
            most_buckets: most_buckets.max(1),
        }
    }

    /// How many pairs of principal and capability are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self, key: String, limit: &RateLimit, now: SystemTime) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.most_buckets && !buckets.contains_key(&key) {
            make_room(&mut buckets, now);
        }
        buckets
            .entry(key)
            .or_insert_with(|| Bucket {
                tokens: burst(limit),
                at: now,
                full_at: now,
            })
            .take(limit, now)
    }
}

fn burst(limit: &RateLimit) -> f64 {
    f64::from(limit.burst.max(1))
}

impl Bucket {
    /// Takes a token, or says how long it takes until there is one.
    fn take(&mut self, limit: &RateLimit, now: SystemTime) -> Result<(), Duration> {
        let rate = limit.per_second.max(0.0);
        // A clock that was set back adds nothing, and counts from where it is now.
        let passed = now.duration_since(self.at).unwrap_or_default();
        self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(burst(limit));
        self.at = now;
        let result = if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(time_for(1.0 - self.tokens, rate))
        };
        self.full_at = now
            .checked_add(time_for(burst(limit) - self.tokens, rate))
            .unwrap_or(now);
        result
    }
}

/// How long it takes until there are so many tokens.
fn time_for(tokens: f64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(tokens / rate)
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

/// Forgets all full buckets, or else the quarter of them that was used longest ago.
fn make_room(buckets: &mut HashMap<String, Bucket>, now: SystemTime) {
    let before = buckets.len();
    buckets.retain(|_, bucket| bucket.full_at > now);
    if buckets.len() < before {
        return;
    }
    let mut times: Vec<SystemTime> = buckets.values().map(|bucket| bucket.at).collect();
    let quarter = times.len() / 4;
    let (_, &mut oldest, _) = times.select_nth_unstable(quarter);
    // Counted, as all of them may have been used at the same time.
    let mut surplus = quarter + 1;
    buckets.retain(|_, bucket| {
        let forget = surplus > 0 && bucket.at <= oldest;
        surplus -= usize::from(forget);
        !forget
    });
}

impl Policy for RateLimits {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        _path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError> {
        let Some(limit) = self
            .limits
            .iter()
            .find(|limit| limit.family.matches(capability.family()))
        else {
            return Ok(());
        };
        // No name has a line break in it, so no two pairs have the same key.
        let key = format!(
            "{}@{}\n{}",
            capability.family(),
            capability.version(),
            caller.principal.0
        );
        self.take(key, limit, now).map_err(|wait| {
            // Rounded up, as coming back a little too early is in vain.
            let wait =
                Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
            let message = format!(
                "{capability} was used too often, more than {} times a second; try again in {:.1} s.",
                limit.per_second,
                wait.as_secs_f64()
            );
            RpcError::new(code::RATE_LIMITED, message)
                .with(json!({
                    "family": capability.family(),
                    "requested": capability.version().to_string(),
                    "perSecond": limit.per_second,
                    "burst": limit.burst.max(1),
                }))
                .retryable(Some(wait))
        })
    }
}
