//! Where Lambda pulls images from.

use crate::image::EcrHost;

/// A registry that Lambda does not pull from, as it is a FIPS endpoint of ECR: then the name to push to instead.
///
/// What Lambda demands of an image: <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs>.
pub fn refused_registry(host: &str) -> Option<String> {
    let host = EcrHost::parse(host).filter(EcrHost::is_fips)?;
    Some(EcrHost::new(host.account(), host.region()).to_string())
}

#[cfg(test)]
mod tests {
    use super::refused_registry;

    #[test]
    fn fips_hosts_are_refused_and_the_usual_one_is_named() {
        let usual = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com";
        assert_eq!(
            refused_registry("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com").as_deref(),
            Some(usual)
        );
        assert_eq!(refused_registry(usual), None);
        assert_eq!(refused_registry("r.example"), None);
    }
}
