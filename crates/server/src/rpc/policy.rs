//! Who may use which capability. Which sessions and jobs somebody sees in it, the capabilities decide themselves.

use std::{path::Path, sync::Arc, time::SystemTime};

use chartroom_rpc::{
    Caller, CapabilityName, Pattern, RpcError, code,
    permission::{All, AllowAll, GrantsError, GrantsFile, Policy, RateLimit, RateLimits},
};

use super::rooms::identity_of;
use crate::{error::ServerError, options::Options, permissions::Permission};

/// The file of grants in the state folder, which counts if it is there.
const FILE: &str = "grants.toml";

/// What only those may do who have a permission. Everything else asks for none, or whose it is.
const NEEDED: [(&str, &str, Permission); 3] = [
    ("chartroom.scripting", "call", Permission::Script),
    ("chartroom.server", "setLogRules", Permission::Admin),
    ("chartroom.sessions", "setMessageOfTheDay", Permission::Admin),
];

/// What the options say: the grants of a file, if there is one, permissions, and limits of rates.
///
/// # Errors
/// [`ServerError::Grants`] if the file can not be used.
pub(super) fn of(options: &Options, state: Option<&Path>) -> Result<Arc<dyn Policy>, ServerError> {
    let rates = RateLimits::new(vec![RateLimit {
        family: Pattern::from("*"),
        per_second: options.rpc_rate,
        burst: options.rpc_burst,
    }]);
    let grants: Arc<dyn Policy> = match file(options, state)? {
        Some(grants) => Arc::new(grants),
        None => Arc::new(AllowAll),
    };
    Ok(Arc::new(All(vec![grants, Arc::new(Needed), Arc::new(rates)])))
}

/// Lets those pass who have the permission that is needed.
struct Needed;

impl Policy for Needed {
    fn decide(
        &self,
        caller: &Caller,
        capability: &CapabilityName,
        path: &str,
        _: SystemTime,
    ) -> Result<(), RpcError> {
        let mut needed = NEEDED.iter();
        let Some((_, _, needed)) =
            needed.find(|(family, at, _)| *family == capability.family() && *at == path)
        else {
            return Ok(());
        };
        if identity_of(caller).permissions.contain(*needed) {
            return Ok(());
        }
        let sentence = format!("This needs the permission '{needed}'.");
        let details = serde_json::json!({
            "family": capability.family(),
            "requested": needed.to_string(),
            "decision": "denied",
        });
        Err(RpcError::new(code::PERMISSION_DENIED, sentence).with(details))
    }
}

fn file(options: &Options, state: Option<&Path>) -> Result<Option<GrantsFile>, GrantsError> {
    if let Some(path) = &options.rpc_grants {
        return GrantsFile::open(path).map(Some);
    }
    let path = state.map(|folder| folder.join(FILE)).filter(|path| path.exists());
    path.map(GrantsFile::open).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permissions_are_asked_for_where_there_is_something_to_do() {
        let description = super::super::schemas::description().await;
        let offered = serde_json::to_value(&description).unwrap();
        for (family, path, _) in NEEDED {
            let capabilities = offered["capabilities"].as_array().unwrap();
            let capability = capabilities
                .iter()
                .find(|one| one["name"] == format!("{family}@1"));
            let paths = capability.unwrap()["paths"].as_array().unwrap();
            assert!(paths.iter().any(|one| one["path"] == path), "{family} {path}");
        }
    }
}
