//! A list of what is granted to whom.

use std::time::SystemTime;

use semver::VersionReq;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Expiry, Policy};
use crate::context::Caller;
use crate::error::{RpcError, code};
use crate::name::CapabilityName;
use crate::pattern::Pattern;

/// What is granted or denied.
///
/// ```toml
/// [[grants]]
/// principal = "alice@*"                # a pattern; "*" is everybody
/// family = "chartroom.image"           # a pattern
/// range = "^1"                         # of versions; "*", all that are released, if it is left out
/// effect = "allow"                     # or "deny"; "allow" if it is left out
/// expires = 2027-01-31T12:00:00Z       # never, if it is left out
/// mod = "my.mod"                       # only what this module of a page does; everything, if it is left out
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Whom it is for.
    pub principal: Pattern,
    /// Which module of a page it is for. Such a grant gives nothing to anybody: as soon as there is one for a module,
    /// valid or expired, the module needs one that allows, besides what its principal needs.
    #[serde(rename = "mod", default, skip_serializing_if = "Option::is_none")]
    pub origin_mod: Option<Pattern>,
    /// Which families of capabilities it is for.
    pub family: Pattern,
    /// Which versions, as in Cargo: `^1` and `1` are 1.0.0 to before 2.0.0, `~1.2`, `=1.2.3`, `>=1, <3`, `*`.
    #[serde(default)]
    pub range: VersionReq,
    /// Allowed or denied.
    #[serde(default)]
    pub effect: Effect,
    /// From when on it is as if it were not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
}

/// What a grant says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Allowed, if nothing denies it.
    #[default]
    Allow,
    /// Denied, whatever allows it.
    Deny,
}

/// Grants, in any order. What nothing allows is denied, and a denial wins over everything. If it expires, and what it denies
/// is allowed then, the error says when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// All of them.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

impl Grant {
    /// Whether it concerns this caller and family, in whatever version and at whatever time.
    fn concerns(&self, caller: &Caller, family: &str) -> bool {
        self.principal.matches(&caller.principal.0) && self.family.matches(family)
    }

    fn is_for(&self, origin_mod: &str) -> bool {
        self.origin_mod
            .as_ref()
            .is_some_and(|pattern| pattern.matches(origin_mod))
    }

    fn expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires.is_past(now))
    }

    /// Until when it is there.
    fn until(&self) -> Expiry {
        self.expires.unwrap_or(Expiry::NEVER)
    }
}

impl Policy for Grants {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        _path: &str,
        now: SystemTime,
    ) -> Result<(), RpcError> {
        decide(
            self.grants.iter().filter(|grant| grant.origin_mod.is_none()),
            caller,
            capability,
            now,
        )?;
        let Some(origin_mod) = caller.origin_mod() else {
            return Ok(());
        };
        let mut narrower = self
            .grants
            .iter()
            .filter(|grant| grant.is_for(origin_mod))
            .peekable();
        match narrower.peek() {
            Some(_) => decide(narrower, caller, capability, now),
            None => Ok(()),
        }
    }
}

/// What these grants say together.
fn decide<'a>(
    grants: impl Iterator<Item = &'a Grant>,
    caller: &Caller,
    capability: &CapabilityName,
    now: SystemTime,
) -> Result<(), RpcError> {
    let mut allowed_until = None;
    let mut denial: Option<&Grant> = None;
    // A grant that nearly fits, to tell the caller.
    let mut near = None;
    for grant in grants.filter(|grant| grant.concerns(caller, capability.family()) && !grant.expired(now)) {
        let fits = grant.range.matches(capability.version());
        match grant.effect {
            Effect::Deny if fits => {
                // That which lasts longest.
                denial = denial
                    .filter(|longest| longest.until() > grant.until())
                    .or(Some(grant));
            }
            Effect::Allow if fits => allowed_until = allowed_until.max(Some(grant.until())),
            Effect::Allow => near = Some(&grant.range),
            Effect::Deny => {}
        }
    }
    let Some(denial) = denial else {
        return match allowed_until {
            Some(_) => Ok(()),
            None => Err(denied(caller, capability, near)),
        };
    };
    let error = denied(caller, capability, Some(&denial.range));
    match denial.expires {
        Some(end) if allowed_until > Some(denial.until()) => Err(error.retryable(Some(end.after(now)))),
        _ => Err(error),
    }
}

fn denied(caller: &Caller, capability: &CapabilityName, range: Option<&VersionReq>) -> RpcError {
    let mut details = json!({
        "family": capability.family(),
        "requested": capability.version().to_string(),
        "decision": "denied",
    });
    if let Some(range) = range {
        details["grantRange"] = range.to_string().into();
    }
    let who = match caller.origin_mod() {
        Some(origin_mod) => format!("{} (as the module {origin_mod})", caller.principal.0),
        None => caller.principal.0.to_string(),
    };
    RpcError::new(
        code::PERMISSION_DENIED,
        format!("{who} may not use {capability}."),
    )
    .with(details)
}
