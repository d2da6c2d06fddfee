//! What a page may know of the server: the answer to `GET /settings`. Nothing else is ever served; what only the server may
//! know is in [`ServerSettings`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::logging::RuleSet;

/// Settings of pages, with the names that they have on the wire. All times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Limits of the protocol.
    pub protocol: Protocol,
    /// When a page tries again to connect.
    pub reconnect: Reconnect,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// Bounds of waiting.
    pub http: HttpSettings,
    /// What pages write to their console.
    pub debug: Debug,
    /// Where these settings come from; a page that could not fetch any says "none".
    #[serde(rename = "__source")]
    pub source: String,
    /// What the application wants its pages to know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub application: BTreeMap<String, Value>,
}

/// Limits of the protocol, for both ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Protocol {
    /// How long a page waits for an acknowledgement.
    pub ack_wait_ms: u32,
    /// How many requests of a lane may be under way at once; further ones wait.
    pub max_in_flight_per_lane: u32,
    /// How often each end gives a sign of life.
    pub heartbeat_ms: u32,
    /// How many messages of a lane may wait in a page.
    pub max_queue: u32,
    /// How many messages may wait in a page for a connection.
    pub max_offline_queue: u32,
    /// How many bytes a frame to the server may have.
    pub max_frame_bytes: u32,
}

/// When a page tries again to connect: after `initialDelayMs`, then each time after `factor` times as long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Reconnect {
    /// The first pause.
    pub initial_delay_ms: u32,
    /// The longest pause.
    pub max_delay_ms: u32,
    /// How much longer each pause is than the one before.
    pub factor: f64,
    /// Which part of a pause is left to chance, so that not all pages come at once.
    pub jitter_ratio: f64,
}

/// How long requests of one class may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutClass {
    /// The budget of the server.
    pub service_ttl_ms: u32,
    /// How much longer the page waits, for the answer to travel.
    pub client_patience_extra_ms: u32,
}

/// How long requests may take, by their class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "wire::Timeouts", from = "wire::Timeouts")]
#[schemars(with = "wire::Timeouts")]
pub struct Timeouts {
    /// What a person waits for without noticing.
    pub fast: TimeoutClass,
    /// The class of requests that name none.
    pub medium: TimeoutClass,
    /// Computations.
    pub heavy: TimeoutClass,
}

/// Bounds of waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSettings {
    /// No page waits longer for an answer, whatever the budget of its request. The default is above the longest
    /// budget that the server grants, so that it cuts nothing short.
    pub timeout_cap_ms: u32,
}

/// What pages write to their console.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Debug {
    /// Of the parts of the page.
    pub frontend: Frontend,
}

/// The parts of a page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Frontend {
    /// Of the client.
    pub rpc: RpcLogging,
}

/// Rules by which pages write messages to their console, the same as the server has for its log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RpcLogging {
    /// For messages from the server; none are written without.
    pub incoming_messages: Option<RuleSet>,
    /// For messages to the server.
    pub outgoing_messages: Option<RuleSet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            reconnect: Reconnect::default(),
            timeouts: Timeouts::default(),
            http: HttpSettings::default(),
            debug: Debug::default(),
            source: "server".to_owned(),
            application: BTreeMap::new(),
        }
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            ack_wait_ms: 250,
            max_in_flight_per_lane: 64,
            heartbeat_ms: 5000,
            max_queue: 1024,
            max_offline_queue: 2000,
            max_frame_bytes: 1_000_000,
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            initial_delay_ms: 500,
            max_delay_ms: 15_000,
            factor: 2.0,
            jitter_ratio: 0.25,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let class = |service_ttl_ms, client_patience_extra_ms| TimeoutClass {
            service_ttl_ms,
            client_patience_extra_ms,
        };
        Self {
            fast: class(800, 150),
            medium: class(3000, 200),
            heavy: class(30_000, 250),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        // The longest budget of `ServerSettings`, and the longest patience.
        Self {
            timeout_cap_ms: 600_250,
        }
    }
}

mod wire;

/// What only the server may know. It is not serialisable, so that it cannot be served by accident.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The name of this server among those that share a store; two that are alive must not have the same.
    pub node: String,
    /// The path under which the routes are mounted, with a slash at its beginning and none at its end; empty for the root.
    /// The cookie is sent back to this path only.
    pub prefix: String,
    /// The client cookie.
    pub cookie: CookieSettings,
    /// Pages of these origins (`https://example.org:8443`) may use the server besides those that it serves itself.
    pub allowed_origins: Vec<String>,
    /// Whether `X-Forwarded-Proto` and `X-Forwarded-Host` say the truth: a reverse proxy sets or removes them.
    pub behind_proxy: bool,
    /// Bounds of views and tabs.
    pub views: crate::views::ViewLimits,
    /// The longest budget of a request.
    pub max_budget: Duration,
    /// For how long a resumable connection is waited for after it was cut.
    pub retention: Duration,
    /// Bytes of a WebSocket message, above which the connection is closed with 1009. Frames above
    /// [`Protocol::max_frame_bytes`] and up to here are answered with an error.
    pub max_message_bytes: usize,
}

/// How the client cookie is set.
#[derive(Debug, Clone)]
pub struct CookieSettings {
    /// For how long it is valid; each bootstrap begins it anew.
    pub lifetime: Duration,
    /// With which requests of other sites it is sent (RFC 6265bis section 5.6.7).
    pub same_site: SameSite,
    /// Whether it is only sent over https.
    pub secure: SecureCookie,
    /// The keys that sign it; without any they are generated, stored, and changed every `key_lifetime`. Several servers
    /// that the same browsers come to need the same keys.
    pub keys: Option<crate::views::CookieKeys>,
    /// How long generated keys are used to sign. A key is accepted for as long again, so that this should not be shorter
    /// than `lifetime`.
    pub key_lifetime: Duration,
}

/// The attribute `SameSite` of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never with requests of other sites.
    Strict,
    /// Only when a link of another site is followed.
    Lax,
    /// Always; browsers then want it to be `Secure`.
    None,
}

/// Whether a cookie has the attribute `Secure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureCookie {
    /// If the request came over https: as `X-Forwarded-Proto` says, if the proxy is to be believed, or the request itself.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            node: "rpc".to_owned(),
            prefix: String::new(),
            cookie: CookieSettings::default(),
            allowed_origins: Vec::new(),
            behind_proxy: false,
            views: crate::views::ViewLimits::default(),
            max_budget: Duration::from_secs(600),
            retention: Duration::from_secs(60),
            max_message_bytes: 16 << 20,
        }
    }
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(30 * 24 * 3600),
            same_site: SameSite::Lax,
            secure: SecureCookie::Auto,
            keys: None,
            key_lifetime: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_were_written_are_read_again() {
        let mut settings = Settings::default();
        settings.timeouts.fast.service_ttl_ms = 1;
        settings.application.insert("a".to_owned(), json!([1]));
        let written = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&written).unwrap(), settings);
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let some = json!({"protocol": {"heartbeatMs": 1000}, "reconnect": {"factor": 3.0}});
        let settings: Settings = serde_json::from_value(some).unwrap();
        assert_eq!(settings.protocol.heartbeat_ms, 1000);
        assert_eq!(settings.protocol.ack_wait_ms, 250);
        assert_eq!(settings.reconnect.factor, 3.0);
        assert_eq!(settings.timeouts, Timeouts::default());
    }

    #[test]
    fn the_schema_has_all_that_is_served() {
        let schema = serde_json::to_value(schemars::schema_for!(Settings)).unwrap();
        let served = serde_json::to_value(Settings::default()).unwrap();
        for name in served.as_object().unwrap().keys() {
            assert!(schema["properties"].get(name).is_some(), "{name}");
        }
        let classes = &schema["$defs"]["TimeoutClasses"]["properties"];
        for name in ["request.fast", "request.medium", "request.heavy", "request"] {
            assert!(classes.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_longest_wait_of_a_page_is_above_the_longest_budget() {
        let longest = ServerSettings::default().max_budget.as_millis();
        let patience = Timeouts::default().heavy.client_patience_extra_ms;
        assert!(u128::from(HttpSettings::default().timeout_cap_ms) >= longest + u128::from(patience));
    }
}
