//! Which addresses strangers may have us connect to.
//!
//! Descriptors of files and descriptions of sessions come from peers, and each names an address. Whoever follows them anywhere lends peers
//! the device's place in its networks: its own services, the router at home, the machines beside a server. An address is judged here by where
//! it lies, after a name was looked up and before anything is sent; forms of IPv6 that stand for an address of IPv4 are judged as that one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::{TcpStream, lookup_host};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to an address that was judged: the name is not asked for again in between. An error is that of the last address.
pub(crate) async fn connect<E>(
    host: &str,
    port: u16,
    judge: impl Fn(IpAddr) -> Result<(), E>,
    unreachable: impl Fn(io::Error) -> E,
) -> Result<TcpStream, E> {
    let mut failure = unreachable(io::ErrorKind::NotFound.into());
    for address in lookup_host((host, port)).await.map_err(&unreachable)?.take(ADDRESSES_MAX) {
        if let Err(refusal) = judge(address.ip()) {
            failure = refusal;
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = unreachable(error),
        }
    }
    Err(failure)
}

/// Where an address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the public internet.
    Public,
    /// In a network that is not routed outside.
    Private,
    /// On this machine.
    Loopback,
    /// Nowhere that a peer could be: this link, groups, reserved.
    Nowhere,
}

impl Place {
    /// Where an address lies.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, third, _] = address.octets();
        let is_shared = first == 100 && (64..128).contains(&second);
        let is_benchmark = first == 198 && (second & 0xfe) == 18;
        let is_protocol = (first, second, third) == (192, 0, 0);
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_private() || is_shared {
            Self::Private
        } else if address.is_link_local()
            || address.is_multicast()
            || address.is_documentation()
            || is_benchmark
            || is_protocol
            || first == 0
            || first >= 240
        {
            Self::Nowhere
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let words = address.segments();
        let v4 = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Ipv4Addr::new(a, b, c, d)
        };
        match words {
            _ if address.is_loopback() => Self::Loopback,
            _ if address.is_unspecified() || address.is_multicast() => Self::Nowhere,
            // Mapped addresses, and addresses behind a translator (RFC 6052): what the translator connects to.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Self::of_v4(v4(high, low)),
            // A translator inside a network (RFC 8215), tunnels that hold an address (6to4, Teredo), and forms that are no longer used.
            [0x64, 0xff9b, 1, ..] | [0x2002, ..] | [0x2001, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => Self::Nowhere,
            [0x2001, 0xdb8, ..] => Self::Nowhere,
            [first, ..] if first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0 => Self::Nowhere,
            [first, ..] if first & 0xfe00 == 0xfc00 => Self::Private,
            _ => Self::Public,
        }
    }

    /// Whether a peer that we know by way of somebody here may lead us there: out into the public, and not further in than we are.
    pub(crate) const fn may_lead_to(self, there: Self) -> bool {
        match there {
            Self::Public => true,
            Self::Private => matches!(self, Self::Private | Self::Loopback),
            Self::Loopback => matches!(self, Self::Loopback),
            Self::Nowhere => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_lies_where_it_leads() {
        for (address, place) in [
            ("9.9.9.9", Place::Public),
            ("10.1.2.3", Place::Private),
            ("100.64.0.1", Place::Private),
            ("127.8.8.8", Place::Loopback),
            ("169.254.169.254", Place::Nowhere),
            ("0.0.0.0", Place::Nowhere),
            ("255.255.255.255", Place::Nowhere),
            ("::1", Place::Loopback),
            ("::", Place::Nowhere),
            ("::ffff:127.0.0.1", Place::Loopback),
            ("64:ff9b::a00:1", Place::Private),
            ("64:ff9b::909:909", Place::Public),
            ("fe80::1", Place::Nowhere),
            ("fd00::1", Place::Private),
            ("2606:4700::1", Place::Public),
        ] {
            assert_eq!(Place::of(address.parse().unwrap()), place, "{address}");
        }
    }

    #[test]
    fn nobody_leads_further_in_than_they_are() {
        assert!(Place::Public.may_lead_to(Place::Public) && !Place::Public.may_lead_to(Place::Private));
        assert!(Place::Private.may_lead_to(Place::Private) && !Place::Private.may_lead_to(Place::Loopback));
        assert!(Place::Loopback.may_lead_to(Place::Loopback) && !Place::Loopback.may_lead_to(Place::Nowhere));
    }
}
