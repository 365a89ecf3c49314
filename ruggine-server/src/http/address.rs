//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};

use super::EdgeConfig;

/// The client's address: the peer of the connection, or what a trusted proxy
/// says of it. Of a chain, the last entry that is no trusted proxy counts, for
/// everything before it could have been made up.
pub(super) fn client_address(
    config: &EdgeConfig,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
            peer.ip().to_canonical()
        });
    if !is_trusted(config, peer) {
        return peer;
    }
    let chain = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect::<Vec<_>>();
    for entry in chain.into_iter().rev() {
        match entry.trim().parse::<IpAddr>() {
            Ok(address) if is_trusted(config, address) => {}
            Ok(address) => return address.to_canonical(),
            Err(_) => break,
        }
    }
    peer
}

fn is_trusted(config: &EdgeConfig, address: IpAddr) -> bool {
    let mut networks = config.trusted_proxies.iter();
    networks.any(|network| network.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trusted: &[&str], peer: &str, forwarded: &str) -> String {
        let config = EdgeConfig {
            trusted_proxies: trusted.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..EdgeConfig::default()
        };
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        client_address(&config, &extensions, &headers).to_string()
    }

    #[test]
    fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
        assert_eq!(seen(&[], "10.0.0.1", "1.2.3.4"), "10.0.0.1");
        assert_eq!(seen(&["10.0.0.1"], "10.0.0.1", "1.2.3.4"), "1.2.3.4");
        assert_eq!(seen(&["10.0.0.1"], "10.0.0.2", "1.2.3.4"), "10.0.0.2");
        assert_eq!(seen(&["10.0.0.0/8"], "10.7.7.7", "1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn what_a_client_puts_before_the_proxys_entry_is_ignored() {
        assert_eq!(
            seen(&["10.0.0.1"], "10.0.0.1", "6.6.6.6, 1.2.3.4"),
            "1.2.3.4"
        );
        assert_eq!(
            seen(&["10.0.0.1", "10.0.0.2"], "10.0.0.1", "1.2.3.4, 10.0.0.2"),
            "1.2.3.4"
        );
        assert_eq!(
            seen(&["10.0.0.1"], "10.0.0.1", "1.2.3.4, nonsense"),
            "10.0.0.1"
        );
    }
}
