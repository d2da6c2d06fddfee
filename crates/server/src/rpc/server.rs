//! `chartroom.server@1`: the server itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration, time::SystemTime};

use chartroom_icd::IcdVersion;
use chartroom_rpc::{
    Capability, Context, Payload, RpcError, Updates, code, logging::RuleSet, stream_with, with,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::rooms::{Parts, finite, time};

/// The shortest time between two updates of the metrics, and the one if nothing is said, in milliseconds.
const SHORTEST_PERIOD: u64 = 250;
const PERIOD: u64 = 1000;
const LONGEST_PERIOD: u64 = 3_600_000;

/// What the server is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ServerVersion {
    /// Of Chartroom.
    version: String,
    /// The versions of the CARTA interface that are spoken.
    icd: Vec<u16>,
    /// How long it has been running, in milliseconds.
    uptime_ms: u64,
}

/// How the server is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ServerHealth {
    /// `ok`.
    status: String,
    /// How many jobs are listed.
    jobs: usize,
    /// Bytes of memory that the process occupies, if that is known.
    resident_bytes: Option<u64>,
}

/// How often the metrics are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct MetricsPeriod {
    /// Milliseconds between two updates, at least 250; 1000 if it is absent.
    #[serde(default)]
    period_ms: Option<u64>,
}

/// The rules of logging.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct LogRulesText {
    /// The first that matches a message decides about it.
    rules: RuleSet,
}

/// The numbers of the server.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    /// When they were read (RFC 3339).
    at: String,
    /// By name with labels, as Prometheus writes them. Buckets of histograms are left out.
    values: BTreeMap<String, f64>,
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    Capability::new("chartroom.server@1")
        .doc("The server itself.")
        .call("version", with(parts, version))
        .doc("What the server is, and for how long it has been running.")
        .call("health", with(parts, health))
        .doc("How the server is.")
        .stream("metrics", stream_with(parts, metrics))
        .doc("The numbers of the server, again and again.")
        .call("logRules", with(parts, log_rules))
        .doc("Which messages are written to the log.")
        .call("setLogRules", with(parts, set_log_rules))
        .doc("Changes that, until the server stops; needs the permission `admin`.")
}

async fn log_rules(parts: Arc<Parts>, _: Context, (): ()) -> Result<LogRulesText, RpcError> {
    let rules = parts.log_rules()?.get().as_ref().clone();
    Ok(LogRulesText { rules })
}

async fn set_log_rules(
    parts: Arc<Parts>,
    _: Context,
    Payload(LogRulesText { rules }): Payload<LogRulesText>,
) -> Result<(), RpcError> {
    let changed = parts.log_rules()?.set(rules);
    changed.map_err(|error| RpcError::new(code::BAD_REQUEST, error.to_string()))
}

async fn version(parts: Arc<Parts>, _: Context, (): ()) -> Result<ServerVersion, RpcError> {
    let spoken = IcdVersion::OLDEST.number()..=IcdVersion::NEWEST.number();
    Ok(ServerVersion {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        icd: spoken.collect(),
        uptime_ms: u64::try_from(parts.started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn health(parts: Arc<Parts>, _: Context, (): ()) -> Result<ServerHealth, RpcError> {
    Ok(ServerHealth {
        status: "ok".to_owned(),
        jobs: parts.viewer.jobs().list().len(),
        resident_bytes: crate::memory::of_process(),
    })
}

async fn metrics(
    parts: Arc<Parts>,
    _: Context,
    Payload(period): Payload<MetricsPeriod>,
    updates: Updates<Metrics>,
) -> Result<(), RpcError> {
    let period = period
        .period_ms
        .unwrap_or(PERIOD)
        .clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
    let mut ticks = interval(Duration::from_millis(period));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let metrics = parts.metrics.clone();
        // Takes about a millisecond, as text.
        let text = tokio::task::spawn_blocking(move || metrics.render()).await;
        let now = Metrics {
            at: time(SystemTime::now()),
            values: text.map(|text| values(&text)).unwrap_or_default(),
        };
        updates.newest(&now).await?;
    }
}

/// The numbers in a text of Prometheus' format (exposition format 0.0.4).
fn values(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let number = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let bucket = name
            .split('{')
            .next()
            .is_some_and(|name| name.ends_with("_bucket"));
        let value = finite(value.parse().ok()?).filter(|_| !bucket)?;
        Some((name.to_owned(), value))
    };
    lines.filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_prometheus_writes_them() {
        let text = "# TYPE a gauge\na{state=\"x y\"} 3\nb_bucket{le=\"1\"} 4\nb_sum 0.5\nc NaN\n\n";
        let found = values(text);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("a{state=\"x y\"}".to_owned(), 3.0), ("b_sum".to_owned(), 0.5)]
        );
    }
}
