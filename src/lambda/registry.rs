//! Registries that Lambda does not pull from.

use crate::image::EcrHost;

/// The host to use instead of a FIPS endpoint of ECR, from which Lambda does not pull; `None` for any other host.
///
/// Lambda's requirements for images: <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs>.
pub fn refused_registry(host: &str) -> Option<String> {
    let host = EcrHost::parse(host).filter(EcrHost::is_fips)?;
    Some(EcrHost::new(host.account(), host.region()).to_string())
}

#[cfg(test)]
mod tests {
    use super::refused_registry;

    #[test]
    fn a_fips_host_is_refused_and_maps_to_the_usual_one() {
        let usual = "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com";
        assert_eq!(
            refused_registry("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com").as_deref(),
            Some(usual)
        );
        assert_eq!(refused_registry(usual), None);
        assert_eq!(refused_registry("r.example"), None);
    }
}
