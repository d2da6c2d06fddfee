//! Metrics of one capability or object.
//!
//! | metric | kind | meaning |
//! |---|---|---|
//! | `rpc_messages_total` | counter | requests, events and subscriptions that were begun |
//! | `rpc_errors_total` | counter | those that ended with an error |
//! | `rpc_running` | gauge | those that are being carried out |
//! | `rpc_duration_seconds` | histogram | how long they took |
//!
//! Each has the label `capability`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

/// A handler that comes to its first wait, or its end, within this time has not blocked.
const QUICK: Duration = Duration::from_millis(1);

pub(crate) struct Meter {
    capability: String,
    begins_quickly: AtomicBool,
    /// Made at the first use: the recorder may be installed after the runtime is built.
    instruments: OnceLock<Instruments>,
}

struct Instruments {
    messages: Counter,
    errors: Counter,
    running: Gauge,
    duration: Histogram,
}

impl Meter {
    pub(crate) fn new(capability: &str) -> Self {
        Self {
            capability: capability.to_owned(),
            begins_quickly: AtomicBool::new(false),
            instruments: OnceLock::new(),
        }
    }

    /// Something begins, and ends when what is returned is dropped.
    pub(crate) fn begin(self: &std::sync::Arc<Self>) -> Measured {
        let instruments = self.instruments();
        instruments.messages.increment(1);
        instruments.running.increment(1.0);
        Measured {
            meter: std::sync::Arc::clone(self),
            began: Instant::now(),
        }
    }

    /// Whether the handler that began last came to its first wait, or its end, at once.
    pub(crate) fn begins_quickly(&self) -> bool {
        self.begins_quickly.load(Ordering::Relaxed)
    }

    /// A handler took so long for its beginning.
    pub(crate) fn began(&self, took: Duration) {
        self.begins_quickly.store(took < QUICK, Ordering::Relaxed);
    }

    /// Something ended with an error.
    pub(crate) fn failed(&self) {
        self.instruments().errors.increment(1);
    }

    fn instruments(&self) -> &Instruments {
        self.instruments.get_or_init(|| {
            let label = self.capability.clone();
            Instruments {
                messages: metrics::counter!("rpc_messages_total", "capability" => label.clone()),
                errors: metrics::counter!("rpc_errors_total", "capability" => label.clone()),
                running: metrics::gauge!("rpc_running", "capability" => label.clone()),
                duration: metrics::histogram!("rpc_duration_seconds", "capability" => label),
            }
        })
    }
}

/// Something that is being carried out.
pub(crate) struct Measured {
    meter: std::sync::Arc<Meter>,
    began: Instant,
}

impl Drop for Measured {
    fn drop(&mut self) {
        let instruments = self.meter.instruments();
        instruments.running.decrement(1.0);
        instruments.duration.record(self.began.elapsed().as_secs_f64());
    }
}
