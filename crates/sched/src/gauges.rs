//! What the pool is doing: a snapshot for programs and the metrics for operators.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::class::{Class, PerClass};
use crate::job::Ending;

/// A consistent snapshot of a scheduler.
///
/// `submitted` is at all times the sum of all other totals and of the jobs that wait or run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gauges {
    pub(crate) classes: PerClass<ClassGauges>,
    /// All jobs ever submitted.
    pub submitted: u64,
    /// Jobs that answered with a result.
    pub finished: u64,
    /// Jobs that were cancelled before they ended.
    pub cancelled: u64,
    /// Jobs that panicked.
    pub panicked: u64,
    /// Jobs that were refused because their owner had too many waiting.
    pub refused: u64,
}

/// The present jobs of one class, and the time its jobs took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassGauges {
    /// Jobs that wait for a worker.
    pub queued: usize,
    /// Jobs that run.
    pub running: usize,
    /// The time that all jobs of the class that were started have waited, added up.
    pub waited: Duration,
    /// The time that all jobs of the class that have ended were running, added up.
    pub ran: Duration,
}

impl Gauges {
    /// The gauges of one class.
    #[must_use]
    pub fn class(&self, class: Class) -> ClassGauges {
        self.classes[class]
    }
}

/// The handles of one class's metrics, looked up once.
pub(crate) struct Meters {
    pub(crate) queued: Gauge,
    pub(crate) running: Gauge,
    pub(crate) wait_seconds: Histogram,
    pub(crate) run_seconds: Histogram,
    finished: Counter,
    cancelled: Counter,
    panicked: Counter,
    pub(crate) refused: Counter,
}

impl Meters {
    pub(crate) fn new(class: Class) -> Self {
        let class = class.as_str();
        let ended = |outcome| counter!("chartroom_jobs_ended_total", "class" => class, "outcome" => outcome);
        Self {
            queued: gauge!("chartroom_jobs", "class" => class, "state" => "queued"),
            running: gauge!("chartroom_jobs", "class" => class, "state" => "running"),
            wait_seconds: histogram!("chartroom_job_wait_seconds", "class" => class),
            run_seconds: histogram!("chartroom_job_seconds", "class" => class),
            finished: ended("finished"),
            cancelled: ended("cancelled"),
            panicked: ended("panicked"),
            refused: ended("refused"),
        }
    }

    pub(crate) fn ended(&self, ending: Ending) {
        match ending {
            Ending::Finished => self.finished.increment(1),
            Ending::Cancelled => self.cancelled.increment(1),
            Ending::Panicked => self.panicked.increment(1),
        }
    }
}
