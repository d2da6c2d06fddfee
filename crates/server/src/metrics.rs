//! Numbers about the running server, for Prometheus.
//!
//! All rooms record through the `metrics` facade; this one describes the numbers, collects and renders them. The
//! recorder belongs to the process, so servers of one process share it.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of all durations, in seconds: from a cursor that follows the mouse to a histogram of
/// a huge cube.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// The collected numbers.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    /// `None` if another recorder is at work in this process.
    handle: Option<PrometheusHandle>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The numbers of this process; they are collected from the first call on.
    pub(crate) fn of_process() -> Self {
        static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            let builder =
                PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS);
            let recorder = builder.and_then(PrometheusBuilder::install_recorder);
            match recorder {
                Ok(handle) => {
                    describe();
                    Some(handle)
                }
                Err(error) => {
                    tracing::warn!(%error, "there will be no metrics");
                    None
                }
            }
        });
        Self {
            handle: handle.clone(),
        }
    }

    /// All numbers in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        // Rendering drains the recorded durations; two at once would each show a part.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let Some(handle) = &self.handle else {
            return String::new();
        };
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = crate::memory::of_process() {
            gauge!("chartroom_process_resident_memory_bytes").set(bytes as f64);
        }
        handle.render()
    }

    /// Condenses what was recorded, so that it does not grow while nobody asks.
    pub(crate) fn condense(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }
}

fn describe() {
    describe_gauge!("chartroom_sessions", "Sessions, by state.");
    describe_gauge!("chartroom_links", "Open WebSockets.");
    describe_counter!(
        "chartroom_messages_total",
        "Messages, by event type and direction."
    );
    describe_counter!(
        "chartroom_message_bytes_total",
        Unit::Bytes,
        "Bytes of messages, by event type and direction."
    );
    describe_gauge!(
        "chartroom_outbox_bytes",
        Unit::Bytes,
        "Bytes that wait to be sent."
    );
    describe_gauge!("chartroom_jobs", "Jobs that wait or run, by class and state.");
    describe_counter!(
        "chartroom_jobs_ended_total",
        "Jobs that ended, by class and outcome."
    );
    describe_histogram!(
        "chartroom_job_wait_seconds",
        Unit::Seconds,
        "How long jobs waited, by class."
    );
    describe_histogram!(
        "chartroom_job_seconds",
        Unit::Seconds,
        "How long jobs ran, by class."
    );
    describe_gauge!("chartroom_cache_bytes", Unit::Bytes, "Bytes held by caches.");
    describe_counter!(
        "chartroom_cache_lookups_total",
        "Look-ups in caches, by result: hit or miss."
    );
    describe_counter!(
        "chartroom_http_requests_total",
        "HTTP requests, by method and status."
    );
    describe_histogram!(
        "chartroom_http_request_seconds",
        Unit::Seconds,
        "How long HTTP requests took."
    );
    describe_gauge!(
        "chartroom_process_resident_memory_bytes",
        Unit::Bytes,
        "Memory that the process occupies."
    );
    gauge!("chartroom_links").set(0.0);
}
