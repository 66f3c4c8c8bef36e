//! Versions and aliases.

use std::collections::HashMap;

use aws_sdk_lambda::types::{AliasRoutingConfiguration, State};

use super::deploy::{Turns, is_conflict};
use super::deployment::{Deployed, Deployment, Publish};
use super::name::{LambdaFunction, is};
use super::state::FunctionState;
use super::wait::{For, FunctionStep, Tell};
use crate::error::{Error, Result};

impl LambdaFunction {
    /// Publishes the version, and moves the alias last.
    pub(super) async fn publish(
        &self,
        now: FunctionState,
        wanted: &Deployment,
        changed: bool,
        tell: &Tell<'_>,
    ) -> Result<Deployed> {
        let alias = match &wanted.publish {
            Publish::Nothing => return Ok(Deployed { arn: now.arn, version: None, changed }),
            Publish::Version => None,
            Publish::Alias(name) => Some(name),
        };
        let arn = |qualifier: &str| format!("{}:{qualifier}", now.arn);
        let named = match alias {
            Some(alias) => self.alias(alias).await?,
            None => None,
        };
        let (version, is_new) = self.publish_version(now.revision.as_deref(), wanted, tell).await?;
        self.wait(Some(&version), For::Success, wanted.patience, tell).await?;
        if is_new {
            tell(FunctionStep::Published(version.clone()));
        }
        let changed = changed || is_new;
        let Some(alias) = alias else {
            return Ok(Deployed { arn: arn(&version), version: Some(version), changed });
        };
        if named.as_deref() == Some(&*version) {
            return Ok(Deployed { arn: arn(alias), version: Some(version), changed });
        }
        self.point(alias, &version, named.is_some()).await?;
        tell(FunctionStep::Aliased { alias: alias.clone(), version: version.clone() });
        Ok(Deployed { arn: arn(alias), version: Some(version), changed: true })
    }

    /// The version, and whether it is a new one: for the code and settings of the latest version, Lambda names that again,
    /// which then is not pending.
    async fn publish_version(
        &self,
        revision: Option<&str>,
        wanted: &Deployment,
        tell: &Tell<'_>,
    ) -> Result<(String, bool)> {
        let (mut turns, mut revision) = (Turns::new(wanted.patience), revision.map(str::to_owned));
        loop {
            let call = self.call("publish a version of", "lambda:PublishVersion");
            let request = self.client().await.publish_version().function_name(&self.called);
            let sent = request.set_revision_id(revision.take()).send().await;
            match sent.map_err(|error| call.failed(error)) {
                Ok(published) => {
                    let is_new = published.state() == Some(&State::Pending);
                    return Ok((published.version().unwrap_or_default().to_owned(), is_new));
                }
                // Only the revision says that it would be somebody else's code.
                Err(Error::Aws { answer, operation, call })
                    if answer.code == "PreconditionFailedException" =>
                {
                    return Err(Error::Aws { answer, operation, call });
                }
                Err(error) if is_conflict(&error) => {
                    tell(FunctionStep::Conflict);
                    self.next(&mut turns, error).await?;
                    self.wait(None, For::Quiet, wanted.patience, tell).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The version that an alias names. One that names two has none, so that it is made to name one.
    async fn alias(&self, alias: &str) -> Result<Option<String>> {
        let call = self.call(&format!("look for the alias {alias} of"), "lambda:GetAlias");
        let request = self.client().await.get_alias().function_name(&self.called).name(alias);
        match request.send().await {
            Ok(found) => {
                let is_split = found
                    .routing_config()
                    .and_then(|routing| routing.additional_version_weights())
                    .is_some_and(|weights| !weights.is_empty());
                Ok(Some(if is_split {
                    String::new()
                } else {
                    found.function_version().unwrap_or_default().to_owned()
                }))
            }
            Err(error) if is(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(call.failed(error)),
        }
    }

    /// Makes the alias name a version.
    async fn point(&self, alias: &str, version: &str, exists: bool) -> Result<()> {
        if !exists {
            let call = self.call(&format!("create the alias {alias} of"), "lambda:CreateAlias");
            let request = self.client().await.create_alias().function_name(&self.called).name(alias);
            match request.function_version(version).send().await {
                Ok(_) => return Ok(()),
                // An answer got lost, or another deployment was faster.
                Err(error) if is(&error, "ResourceConflictException") => {}
                Err(error) => return Err(call.failed(error)),
            }
        }
        let call = self.call(&format!("move the alias {alias} of"), "lambda:UpdateAlias");
        let request = self.client().await.update_alias().function_name(&self.called).name(alias);
        let whole =
            AliasRoutingConfiguration::builder().set_additional_version_weights(Some(HashMap::new())).build();
        let request = request.function_version(version).routing_config(whole);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }
}
