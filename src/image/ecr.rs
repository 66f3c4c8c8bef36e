//! Hosts of ECR registries. The host of a private registry contains its account and region.

use std::fmt;

/// The host of a private ECR registry.
///
/// Documented at <https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>, and with IPv6 at
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html>.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EcrHost {
    account: String,
    region: String,
    suffix: &'static str,
    fips: bool,
    dual_stack: bool,
}

/// ECR's registry of public images.
pub const ECR_PUBLIC: &str = "public.ecr.aws";

/// The suffix after the region in the hosts of each partition, and whether such a host is dual-stack. Partitions that
/// share a suffix differ in their regions.
const SUFFIXES: [(&str, bool); 10] = [
    ("amazonaws.com", false),
    ("amazonaws.com.cn", false),
    ("amazonaws.eu", false),
    ("c2s.ic.gov", false),
    ("sc2s.sgov.gov", false),
    ("cloud.adc-e.uk", false),
    ("csp.hci.ic.gov", false),
    ("on.aws", true),
    ("on.amazonwebservices.com.cn", true),
    ("on.amazonwebservices.eu", true),
];

/// The prefix of a region's name, its partition, and the suffix of its hosts.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("", "aws", "amazonaws.com"),
];

impl EcrHost {
    /// The registry of an account in a region.
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> EcrHost {
        let region = region.into();
        let (_, suffix) = partition(&region);
        EcrHost { account: account.into(), region, suffix, fips: false, dual_stack: false }
    }

    /// Parses a registry's host; `None` if it is not a private ECR registry.
    pub fn parse(host: &str) -> Option<EcrHost> {
        let (account, rest) = host.split_at_checked(12)?;
        let forms = [(false, false), (true, false), (false, true), (true, true)];
        let (fips, dual_stack, rest) = forms.into_iter().find_map(|(fips, dual_stack)| {
            Some((fips, dual_stack, rest.strip_prefix(service(fips, dual_stack))?))
        })?;
        let (region, suffix) = rest.split_once('.')?;
        let (suffix, _) = SUFFIXES.into_iter().find(|known| *known == (suffix, dual_stack))?;
        let well_formed = account.bytes().all(|b| b.is_ascii_digit())
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && region.contains('-');
        well_formed.then(|| EcrHost {
            account: account.into(),
            region: region.into(),
            suffix,
            fips,
            dual_stack,
        })
    }

    /// The account's twelve digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The region, for example `eu-west-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition in ARNs, for example `aws` or `aws-cn`.
    pub fn partition(&self) -> &'static str {
        partition(&self.region).0
    }

    /// Whether it is a FIPS endpoint, from which Lambda does not pull.
    pub fn is_fips(&self) -> bool {
        self.fips
    }

    /// Whether it is a dual-stack endpoint, which IPv6 can reach too.
    pub fn is_dual_stack(&self) -> bool {
        self.dual_stack
    }

    /// The ARN of one of its repositories.
    pub fn repository_arn(&self, repository: &str) -> String {
        format!("arn:{}:ecr:{}:{}:repository/{repository}", self.partition(), self.region, self.account)
    }
}

/// The part of the host between the account and the region.
fn service(fips: bool, dual_stack: bool) -> &'static str {
    match (fips, dual_stack) {
        (false, false) => ".dkr.ecr.",
        (true, false) => ".dkr.ecr-fips.",
        (false, true) => ".dkr-ecr.",
        (true, true) => ".dkr-ecr-fips.",
    }
}

fn partition(region: &str) -> (&'static str, &'static str) {
    let found = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    found.map_or(("aws", "amazonaws.com"), |(_, partition, suffix)| (partition, suffix))
}

impl fmt::Display for EcrHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = service(self.fips, self.dual_stack);
        write!(f, "{}{service}{}.{}", self.account, self.region, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_host_contains_account_and_region() {
        for (host, region, partition, fips, dual_stack) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", "aws", false, false),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", "aws", true, false),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                "aws-us-gov",
                true,
                false,
            ),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn", false, false),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", "aws-eusc", false, false),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "aws-iso", false, false),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", "aws", false, true),
            ("123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2", "aws", true, true),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                "cn-north-1",
                "aws-cn",
                false,
                true,
            ),
        ] {
            let parsed = EcrHost::parse(host).unwrap_or_else(|| panic!("{host}"));
            assert_eq!((parsed.account(), parsed.region()), ("123456789012", region), "{host}");
            assert_eq!(parsed.partition(), partition, "{host}");
            assert_eq!((parsed.is_fips(), parsed.is_dual_stack()), (fips, dual_stack), "{host}");
            assert_eq!(parsed.to_string(), host);
        }
    }

    #[test]
    fn other_hosts_are_not_private_registries() {
        for host in [
            "public.ecr.aws",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
            "123456789012.dkr.ecr.amazonaws.com",
            "x23456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "ééééééé.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }

    #[test]
    fn a_host_is_built_from_account_and_region() {
        assert_eq!(
            EcrHost::new("123456789012", "eu-west-1").to_string(),
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        );
        assert_eq!(
            EcrHost::new("123456789012", "cn-north-1").to_string(),
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
        );
        let host = EcrHost::new("123456789012", "us-gov-west-1");
        assert_eq!(
            host.repository_arn("a/b"),
            "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/a/b"
        );
    }
}
