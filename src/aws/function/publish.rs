//! Versions and aliases.

use super::deployment::{Deployed, Deployment, Publish};
use super::name::{LambdaFunction, is};
use super::state::FunctionState;
use super::wait::{For, FunctionStep, Tell};
use crate::error::Result;

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
            Some(alias) => self.find_at(Some(alias)).await?,
            None => None,
        };
        // An alias whose version has the same image and settings is right already.
        if let (Some(alias), Some(named)) = (alias, &named)
            && named.version != "$LATEST"
            && (named.digest, named.arch, &named.settings) == (now.digest, now.arch, &now.settings)
        {
            return Ok(Deployed { arn: arn(alias), version: Some(named.version.clone()), changed });
        }
        let call = self.call("publish a version of", "lambda:PublishVersion");
        // Lambda publishes no second version of the same code and settings, but names the first again.
        let request = self.client().await.publish_version().function_name(&self.called).send();
        let published = request.await.map_err(|error| call.failed(error))?;
        let version = published.version().unwrap_or_default().to_owned();
        self.wait(Some(&version), For::Success, wanted.patience, tell).await?;
        tell(FunctionStep::Published(version.clone()));
        let Some(alias) = alias else {
            return Ok(Deployed { arn: arn(&version), version: Some(version), changed: true });
        };
        self.point(alias, &version, named.is_some()).await?;
        tell(FunctionStep::Aliased { alias: alias.clone(), version: version.clone() });
        Ok(Deployed { arn: arn(alias), version: Some(version), changed: true })
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
        request.function_version(version).send().await.map(drop).map_err(|error| call.failed(error))
    }
}
