//! The ports of `EXPOSE`.

use core::net::IpAddr;

/// The ports that one word of `EXPOSE` lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    /// `NUMBER/PROTOCOL`.
    pub ports: Vec<String>,
    /// Whether the word maps ports of the host, which has no meaning in an image.
    pub is_mapping: bool,
}

/// `[[IP:]HOST:]PORT[-PORT][/PROTOCOL]`.
pub(super) fn ports(text: &str) -> Result<Exposed, String> {
    let invalid = |fault: &str| Err(format!("invalid port `{text}`: {fault}"));
    let mut parts = text.rsplitn(3, ':');
    let (container, host, address) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let (range, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let protocol = match protocol.to_ascii_lowercase() {
        empty if empty.is_empty() => "tcp".to_owned(),
        protocol => protocol,
    };
    if !["tcp", "udp", "sctp"].contains(&&*protocol) {
        return invalid("the protocol is tcp, udp or sctp");
    }
    let Some((first, last)) = parse_range(range) else {
        return invalid("it is not a number up to 65535 or a range");
    };
    if let Some(address) = address.map(|address| address.trim_matches(['[', ']'])).filter(|a| !a.is_empty())
        && address.parse::<IpAddr>().is_err()
    {
        return invalid("the part before the ports is not an address");
    }
    match host.filter(|host| !host.is_empty()).map(parse_range) {
        Some(None) => return invalid("the host's port is not a number or a range"),
        Some(Some((from, to))) if first != last && to - from != last - first => {
            return invalid("the two ranges differ in length");
        }
        _ => {}
    }
    let ports = (first..=last).map(|port| format!("{port}/{protocol}")).collect();
    Ok(Exposed {
        ports,
        is_mapping: host.is_some_and(|host| !host.is_empty()) || address.is_some_and(|a| !a.is_empty()),
    })
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_parsed() {
        for (text, expected, is_mapping) in [
            ("80", "80/tcp", false),
            ("80/UDP", "80/udp", false),
            ("80/", "80/tcp", false),
            ("8000-8002/sctp", "8000/sctp 8001/sctp 8002/sctp", false),
            ("1.2.3.4:80:80", "80/tcp", true),
            ("8080:80", "80/tcp", true),
            ("[::1]:80:80", "80/tcp", true),
            ("8000-9000:80", "80/tcp", true),
        ] {
            let exposed = ports(text).unwrap();
            assert_eq!(
                (exposed.ports.join(" "), exposed.is_mapping),
                (expected.to_owned(), is_mapping),
                "rule 43: {text}"
            );
        }
        for text in ["#", "", "80/icmp", "65536", "90-80", "a", "-1", "+1", "x:80:80", "1-2:80-83", "a:80"] {
            assert!(ports(text).is_err(), "rule 43: {text}");
        }
    }
}
