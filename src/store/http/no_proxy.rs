//! The hosts that `NO_PROXY` excludes, in all forms that curl and Go know: names, with or without a leading dot or `*.`,
//! which also match their subdomains; addresses and networks; each with or without a port; `*` for all.

use std::net::IpAddr;

use reqwest::Url;

/// The entries of `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    hosts: Hosts,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    All,
    /// A name in lower case, and its subdomains.
    Domain(String),
    /// The addresses whose first bits are those of this one.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// The entries in the environment: `NO_PROXY`, or `no_proxy` if it is empty.
    pub(super) fn from_env() -> NoProxy {
        let values = ["NO_PROXY", "no_proxy"].map(|name| std::env::var(name).unwrap_or_default());
        values
            .iter()
            .find(|value| !value.trim().is_empty())
            .map(|value| NoProxy::parse(value))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> NoProxy {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        NoProxy(entries.filter_map(Entry::parse).collect())
    }

    /// Whether requests to the URL use no proxy.
    pub(super) fn excludes(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let address = host.parse::<IpAddr>().ok();
        let port = url.port_or_known_default();
        self.0.iter().any(|entry| {
            let fits = match (&entry.hosts, address) {
                (Hosts::All, _) => true,
                (Hosts::Domain(domain), None) => host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
                (Hosts::Network(network, bits), Some(address)) => is_in(address, *network, *bits),
                (Hosts::Domain(_), Some(_)) | (Hosts::Network(..), None) => false,
            };
            fits && entry.port.is_none_or(|own| Some(own) == port)
        })
    }
}

impl Entry {
    /// The entry for a part of the list; `None` if it names no host.
    fn parse(text: &str) -> Option<Entry> {
        if let Some(hosts) = Hosts::of_network(text) {
            return Some(Entry { hosts, port: None });
        }
        let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let (host, port) = split.map_or((text, None), |(host, port)| (host, Some(port)));
        if host == "*" {
            return Some(Entry { hosts: Hosts::All, port });
        }
        let hosts = Hosts::of_network(host).or_else(|| {
            let name = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_ascii_lowercase();
            (!name.is_empty()).then_some(Hosts::Domain(name))
        });
        hosts.map(|hosts| Entry { hosts, port })
    }
}

impl Hosts {
    /// `ADDRESS` or `ADDRESS/BITS`; an IPv6 address may be in brackets.
    fn of_network(text: &str) -> Option<Hosts> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = bare.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some(Hosts::Network(address, bits))
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    };
    let ((address, is_v4), (network, network_is_v4)) = (number(address), number(network));
    is_v4 == network_is_v4 && (address ^ network).leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_excludes_its_hosts() {
        for (list, url, excluded) in [
            ("r.example", "https://r.example/v2/", true),
            ("r.example", "https://a.b.r.example/v2/", true),
            ("r.example", "https://other.example/v2/", false),
            ("r.example", "https://myr.example/v2/", false),
            (".r.example", "https://a.r.example/", true),
            (".r.example", "https://r.example/", true),
            ("*.r.example", "https://a.r.example/", true),
            ("R.Example", "https://r.example/", true),
            ("r.example.", "https://r.example/", true),
            ("r.example", "https://R.EXAMPLE./", true),
            ("r.example:5000", "https://r.example:5000/", true),
            ("r.example:5000", "https://r.example:5001/", false),
            ("r.example:5000", "https://r.example/", false),
            ("r.example:443", "https://r.example/", true),
            ("r.example:80", "http://r.example/", true),
            (".r.example:5000", "https://a.r.example:5000/", true),
            ("*", "https://r.example/", true),
            ("*", "http://10.0.0.1:5000/", true),
            ("a.example, r.example", "https://r.example/", true),
            ("a.example r.example", "https://r.example/", true),
            ("a.example,,\t", "https://r.example/", false),
            ("10.0.0.1", "http://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "http://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "http://10.0.0.1:5001/", false),
            ("10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("192.168.4.0/22", "http://192.168.7.255/", true),
            ("192.168.4.0/22", "http://192.168.8.0/", false),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("0.0.0.0/0", "http://[fd00::1]/", false),
            ("10.0.0.0/33", "http://10.0.0.1/", false),
            ("fd00::/8", "http://[fd12::1]:5000/", true),
            ("fd00::1", "http://[fd00::1]/", true),
            ("[fd00::1]", "http://[fd00::1]/", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5000/", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5001/", false),
            ("0.0.1", "http://10.0.0.1/", false),
            ("", "https://r.example/", false),
            (".", "https://r.example/", false),
        ] {
            assert_eq!(NoProxy::parse(list).excludes(&url.parse().unwrap()), excluded, "{list} {url}");
        }
    }
}
