//! A client of ECR's API for each registry.

use std::sync::PoisonError;

use aws_config::{Region, SdkConfig};

use crate::aws::caller::Aws;
use crate::image::EcrHost;

impl Aws {
    /// The client for a registry. The region is that of the host, not that of the environment.
    pub(super) async fn ecr(&self, host: &EcrHost) -> aws_sdk_ecr::Client {
        let config = self.config().await;
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(host.clone()).or_insert_with(|| ecr_client(config, host)).clone()
    }
}

fn ecr_client(config: &SdkConfig, host: &EcrHost) -> aws_sdk_ecr::Client {
    let region = Region::new(host.region().to_owned());
    let mut builder = aws_sdk_ecr::config::Builder::from(config).region(region);
    // An endpoint that the user set takes precedence.
    let own =
        ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR"].iter().any(|name| std::env::var_os(name).is_some());
    if !own && config.endpoint_url().is_none() {
        builder = match host.is_fips() {
            true => builder.use_fips(true),
            false => builder,
        };
        builder = match host.is_dual_stack() {
            true => builder.use_dual_stack(true),
            false => builder,
        };
    }
    aws_sdk_ecr::Client::from_conf(builder.build())
}
