//! What goes wrong during a script.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::proxy::{Cut, Direction, FaultyProxy, Flow};
use crate::random::Random;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks.
    Cut(Cut),
    /// The connection breaks after so many more bytes, in the middle of a message.
    CutAfter(Direction, u64),
    /// Nothing gets through for a while.
    Stall(Direction, Duration),
    /// The connection dies silently; new ones work.
    HalfOpen,
    /// The client reads slowly for a while, so many bytes per second.
    SlowReader(NonZeroU64, Duration),
    /// The client opens another connection while the one that there is still stands.
    Duplicate,
    /// The server is killed and started again.
    Kill,
    /// The server is stopped with grace and started again.
    Stop,
}

impl Fault {
    /// Does to the connections of a proxy what it can do; false for what the client or the server has to do. What lasts
    /// ends by itself. Must be called on a tokio runtime.
    pub fn strike(self, proxy: &Arc<FaultyProxy>) -> bool {
        match self {
            Self::Cut(how) => proxy.cut(how),
            Self::CutAfter(direction, bytes) => proxy.cut_after(direction, bytes, Cut::Reset),
            Self::Stall(direction, lasting) => {
                proxy.change(direction, |faults| faults.flow = Flow::Stall);
                let proxy = Arc::clone(proxy);
                tokio::spawn(async move {
                    tokio::time::sleep(lasting).await;
                    proxy.change(direction, |faults| faults.flow = Flow::Forward);
                });
            }
            Self::HalfOpen => proxy.freeze(),
            Self::SlowReader(rate, lasting) => {
                proxy.change(Direction::ToClient, |faults| faults.bytes_per_second = Some(rate));
                let proxy = Arc::clone(proxy);
                tokio::spawn(async move {
                    tokio::time::sleep(lasting).await;
                    proxy.change(Direction::ToClient, |faults| faults.bytes_per_second = None);
                });
            }
            Self::Duplicate | Self::Kill | Self::Stop => return false,
        }
        true
    }
}

/// What goes wrong during a script: before the step with this number. In order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPlan {
    /// The faults.
    pub faults: Vec<(usize, Fault)>,
}

impl FaultPlan {
    /// So many faults over a script of `steps` steps; ends of the server only if it `may_restart`.
    #[must_use]
    pub fn random(seed: u64, steps: usize, count: usize, may_restart: bool) -> Self {
        let mut random = Random::new(seed).split(1);
        let mut faults = Vec::new();
        for _ in 0..count {
            let at = random.index(steps);
            let direction = if random.one_in(2) {
                Direction::ToServer
            } else {
                Direction::ToClient
            };
            let lasting = Duration::from_millis(20 + random.below(180));
            let fault = match random.below(if may_restart { 10 } else { 7 }) {
                0 => Fault::Cut(Cut::Reset),
                1 => Fault::Cut(Cut::Finish),
                2 => Fault::CutAfter(direction, random.below(20_000)),
                3 => Fault::Stall(direction, lasting),
                4 => Fault::HalfOpen,
                5 => Fault::SlowReader(NonZeroU64::new(200_000).unwrap_or(NonZeroU64::MIN), lasting),
                6 => Fault::Duplicate,
                7 => Fault::Stop,
                _ => Fault::Kill,
            };
            faults.push((at, fault));
        }
        faults.sort_by_key(|&(at, _)| at);
        Self { faults }
    }

    /// The faults before the step with this number.
    pub fn before(&self, step: usize) -> impl Iterator<Item = Fault> + '_ {
        let here = self.faults.iter().filter(move |&&(at, _)| at == step);
        here.map(|&(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_faults_every_time() {
        let plan = |seed| FaultPlan::random(seed, 50, 9, true);
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        assert!(plan(3).faults.is_sorted_by_key(|&(at, _)| at));
        let kills = |may| {
            (0..50).any(|seed| {
                let plan = FaultPlan::random(seed, 9, 9, may);
                plan.faults.iter().any(|&(_, fault)| fault == Fault::Kill)
            })
        };
        assert_eq!((kills(true), kills(false)), (true, false));
    }
}
