//! Networks of proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all addresses that begin with the same bits.
///
/// ```
/// use ruggine_server::http::Network;
///
/// let pods: Network = "10.42.0.0/16".parse()?;
/// assert!(pods.contains("10.42.7.1".parse().expect("an address")));
/// assert!(!pods.contains("10.43.0.1".parse().expect("an address")));
/// # Ok::<(), ruggine_server::http::NotANetwork>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits have to be the same.
    prefix: u32,
}

/// The text is neither an address nor one with a length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NotANetwork;

impl Network {
    /// Whether the address lies in it. An IPv4 address that is written as IPv6 is
    /// the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, width) = bits(self.address);
        let (theirs, their_width) = bits(address.to_canonical());
        let ignored = width - self.prefix;
        // A shift by all bits is none that a processor does.
        width == their_width
            && ours.checked_shr(ignored).unwrap_or(0) == theirs.checked_shr(ignored).unwrap_or(0)
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            prefix: bits(address).1,
            address,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let Some((address, prefix)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| NotANetwork)?;
            return Ok(address.into());
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let prefix: u32 = prefix.parse().map_err(|_| NotANetwork)?;
        if prefix > bits(address).1 {
            return Err(NotANetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_lies_in_the_networks_whose_bits_it_has() {
        for (network, address) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", "::ffff:10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/8", "10.255.3.4"),
            ("10.1.2.3/8", "10.255.3.4"),
            ("0.0.0.0/0", "200.1.2.3"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("fd00::/8", "fd12:3456::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(holds(network, address), "{address} in {network}");
        }
    }

    #[test]
    fn no_other_address_lies_in_a_network() {
        for (network, address) in [
            ("10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.0.0.0/31", "10.0.0.2"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::/0", "10.0.0.1"),
            ("fd00::/8", "fe00::1"),
        ] {
            assert!(!holds(network, address), "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.1/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/-1",
            "proxy",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
