//! Lists that are sent again when they have changed.

use std::time::Duration;

use chartroom_rpc::{RpcError, Updates};
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(250);

/// How often numbers that move all the time are sent.
const MOVING: Duration = Duration::from_secs(1);

/// A list, apart from its numbers that move all the time.
pub(super) trait Listing: PartialEq + Serialize {
    /// Whether only such numbers differ.
    fn is_alike(&self, other: &Self) -> bool;
}

/// Sends lists: at once, within a quarter of a second after something has changed, and each second while numbers move.
///
/// ```text
/// loop { changes.next().await; changes.send(the list as it is now).await?; }
/// ```
pub(super) struct Changes<L> {
    updates: Updates<L>,
    ticks: Interval,
    last: Option<(L, Instant)>,
}

impl<L: Listing + 'static> Changes<L> {
    pub(super) fn new(updates: Updates<L>) -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            updates,
            ticks,
            last: None,
        }
    }

    /// Waits until it is time to look again.
    pub(super) async fn next(&mut self) {
        self.ticks.tick().await;
    }

    /// Sends the list if that is worth it.
    pub(super) async fn send(&mut self, now: L) -> Result<(), RpcError> {
        let due = match &self.last {
            None => true,
            Some((before, _)) if *before == now => false,
            Some((before, sent)) => !before.is_alike(&now) || sent.elapsed() >= MOVING,
        };
        if due {
            self.updates.newest(&now).await?;
            self.last = Some((now, Instant::now()));
        }
        Ok(())
    }
}
