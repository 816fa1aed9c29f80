//! Counting connections: in all, per address, and for the shutdown that waits for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::metrics::{ConnectionMetrics, ConnectionRefusal};

/// Hands out places for connections.
#[derive(Clone)]
pub(super) struct Gate {
    places: Arc<Semaphore>,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    per_address_max: u32,
    open: TaskTracker,
    metrics: ConnectionMetrics,
}

/// One connection's place, given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
    address: IpAddr,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    metrics: ConnectionMetrics,
}

impl Gate {
    pub(super) fn new(
        connections_max: u32,
        per_address_max: u32,
        open: TaskTracker,
        metrics: ConnectionMetrics,
    ) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections_max as usize)),
            per_address: Arc::default(),
            per_address_max,
            open,
            metrics,
        }
    }

    /// A place for a connection from `peer`, or why there is none. A refused connection is closed at once: a waiting one would
    /// look like a slow server, a closed one lets the client back off.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<Place, ConnectionRefusal> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ConnectionRefusal::Total)?;
        let address = subscriber(peer);
        {
            let mut counts = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_insert(0);
            if *count >= self.per_address_max {
                return Err(ConnectionRefusal::Address);
            }
            *count += 1;
        }
        self.metrics.opened();
        Ok(Place {
            _permit: permit,
            _open: self.open.token(),
            address,
            per_address: Arc::clone(&self.per_address),
            metrics: self.metrics.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
        self.metrics.closed();
    }
}

/// What one subscriber holds: an IPv4 address, or the /64 network that an IPv6 host may pick addresses from.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn gate(connections_max: u32, per_address_max: u32) -> Gate {
        Gate::new(connections_max, per_address_max, TaskTracker::new(), ConnectionMetrics::default())
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let gate = gate(1, 1);
        let address = "192.0.2.1".parse().unwrap();
        let place = gate.admit(address).unwrap_or_else(|_| panic!("the gate is empty"));
        assert_eq!(gate.admit(address).err(), Some(ConnectionRefusal::Total));
        drop(place);
        assert!(gate.admit(address).is_ok());
        assert!(gate.per_address.lock().unwrap().is_empty());
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let gate = gate(8, 2);
        let greedy: IpAddr = "192.0.2.1".parse().unwrap();
        let _places = [gate.admit(greedy), gate.admit(greedy)];
        assert_eq!(gate.admit(greedy).err(), Some(ConnectionRefusal::Address));
        assert!(gate.admit("192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_subscriber() {
        assert_eq!(
            subscriber("2001:db8:1:2:3:4:5:6".parse().unwrap()),
            subscriber("2001:db8:1:2:ffff::1".parse().unwrap())
        );
        assert_eq!(subscriber("::ffff:192.0.2.1".parse().unwrap()), subscriber("192.0.2.1".parse().unwrap()));
    }
}
