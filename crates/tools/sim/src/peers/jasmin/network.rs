//! What stands behind Jasmin: the networks and their phones, by `peers/jasmin/network.py`. A stand-in, not the peer that is tested.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::super::process::{Kept, free_ports};
use super::super::{PeerError, prepare};

const PROGRAM: &str = include_str!("../../../peers/jasmin/network.py");
const READY_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// A message that has arrived there, as its last hop wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Who sends.
    pub from: String,
    /// To whom, digits alone.
    pub to: String,
    /// Whether a header stands in front of the words.
    pub has_header: bool,
    /// The alphabet.
    pub data_coding: u8,
    /// Header and words.
    pub octets: Vec<u8>,
}

/// The running network.
#[derive(Debug)]
pub struct Network {
    process: Kept,
    address: SocketAddr,
    log: PathBuf,
}

impl Network {
    /// Starts it in a folder.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn start(folder: &Path) -> Result<Self, PeerError> {
        let [port] = free_ports().map_err(prepare("a port"))?;
        let log = folder.join("arrivals");
        std::fs::write(folder.join("network.py"), PROGRAM).map_err(prepare("the network"))?;
        let arguments = ["network.py".to_owned(), port.to_string(), log.to_string_lossy().into_owned()];
        let process = Kept::start("python3", &arguments, folder)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let until = Instant::now() + READY_LIMIT;
        while TcpStream::connect(address).await.is_err() {
            if Instant::now() >= until {
                return Err(PeerError::NotReady { program: "python3", said: process.said() });
            }
            sleep(PAUSE).await;
        }
        Ok(Self { process, address, log })
    }

    /// Where it listens for SMSCs.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The end of what it has printed.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// What has arrived for a number, in order.
    #[must_use]
    pub fn arrivals(&self, to: &str) -> Vec<Arrival> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let to = to.trim_start_matches('+');
        // The last line may be half written.
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.filter_map(arrival).filter(|arrival| arrival.to == to).collect()
    }

    /// Waits until so many have arrived for a number; what is there when it ends.
    pub async fn wait_for(&self, to: &str, count: usize, limit: Duration) -> Vec<Arrival> {
        let until = Instant::now() + limit;
        loop {
            let arrivals = self.arrivals(to);
            if arrivals.len() >= count || Instant::now() >= until {
                return arrivals;
            }
            sleep(PAUSE).await;
        }
    }
}

fn arrival(line: &str) -> Option<Arrival> {
    let mut words = line.strip_prefix("SUBMIT ")?.split(' ');
    let from = words.next()?.to_owned();
    let to = words.next()?.to_owned();
    let esm_class: u8 = words.next()?.parse().ok()?;
    let data_coding = words.next()?.parse().ok()?;
    let _registered = words.next()?;
    let octets = words.next()?;
    let octets = if octets == "-" { Vec::new() } else { hex::decode(octets).ok()? };
    Some(Arrival { from, to, has_header: esm_class & 0x40 != 0, data_coding, octets })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_an_arrival() {
        let read = arrival("SUBMIT RCSeal 4915100000001 64 8 1 0500").unwrap();
        assert_eq!((read.from.as_str(), read.has_header, read.data_coding), ("RCSeal", true, 8));
        assert_eq!(read.octets, [5, 0]);
        assert!(arrival("SUBMIT RCSeal 49 0 0 0 -").unwrap().octets.is_empty());
        assert_eq!(arrival("SUBMIT RCSeal"), None);
    }
}
