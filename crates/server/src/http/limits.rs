//! How many connections one address may hold.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

/// So many connections beyond the limit are still told why they are refused; more are closed without a word.
const REFUSED_WITH_A_WORD: usize = 16;

/// Counts connections by address.
///
/// IPv6 addresses of one /64 network count as one, since one host has all of them.
#[derive(Debug, Clone)]
pub(crate) struct AddressLimits {
    limit: Option<NonZeroUsize>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Whether a connection may be served.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may.
    Admitted(Slot),
    /// It may not, but shall be told so.
    Refused(Slot),
    /// It shall be closed.
    Dropped,
}

/// One counted connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl AddressLimits {
    /// `None` for no limit.
    pub(crate) fn new(limit: Option<NonZeroUsize>) -> Self {
        Self {
            limit,
            counts: Arc::default(),
        }
    }

    /// Counts one more connection from `address`.
    pub(crate) fn admit(&self, address: IpAddr) -> Admission {
        let address = network(address);
        let limit = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.get(&address).copied().unwrap_or(0);
        if held >= limit.saturating_add(REFUSED_WITH_A_WORD) {
            return Admission::Dropped;
        }
        counts.insert(address, held + 1);
        let slot = Slot {
            address,
            counts: Arc::clone(&self.counts),
        };
        if held < limit {
            Admission::Admitted(slot)
        } else {
            Admission::Refused(slot)
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_connections_back_when_they_close() {
        let limits = AddressLimits::new(NonZeroUsize::new(2));
        let address = IpAddr::from([192, 0, 2, 1]);
        let held: Vec<_> = (0..2).map(|_| limits.admit(address)).collect();
        assert!(
            held.iter()
                .all(|admission| matches!(admission, Admission::Admitted(_)))
        );
        assert!(matches!(limits.admit(address), Admission::Refused(_)));
        assert!(matches!(
            limits.admit(IpAddr::from([192, 0, 2, 2])),
            Admission::Admitted(_)
        ));
        drop(held);
        assert!(matches!(limits.admit(address), Admission::Admitted(_)));
        assert!(limits.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn a_flood_is_closed_without_a_word() {
        let limits = AddressLimits::new(NonZeroUsize::new(1));
        let address = IpAddr::from([192, 0, 2, 1]);
        let held: Vec<_> = (0..=REFUSED_WITH_A_WORD).map(|_| limits.admit(address)).collect();
        assert!(matches!(held.last(), Some(Admission::Refused(_))));
        assert!(matches!(limits.admit(address), Admission::Dropped));
    }

    #[test]
    fn a_network_of_ipv6_addresses_counts_as_one() {
        let limits = AddressLimits::new(NonZeroUsize::new(1));
        let _held = limits.admit("2001:db8::1".parse().unwrap());
        assert!(matches!(
            limits.admit("2001:db8::2".parse().unwrap()),
            Admission::Refused(_)
        ));
        assert!(matches!(
            limits.admit("2001:db8:0:1::1".parse().unwrap()),
            Admission::Admitted(_)
        ));
    }
}
