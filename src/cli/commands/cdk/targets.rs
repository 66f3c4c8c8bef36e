//! The repositories of the assets, and the roles that push to them.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::try_join_all;
use lbuild::aws::{AssumedRoles, Aws, Role, Session};
use lbuild::frontend::cdk::{Environment, ImageDestination, RoleOptions};
use lbuild::image::{EcrHost, Reference};
use lbuild::{Engine, Error};

use crate::cli::context::Context;
use crate::cli::lower::cdk::Asset;
use crate::cli::output::exit::Failure;

/// The name of the sessions of roles, in AWS's logs.
const SESSION: &str = "lbuild";

/// Where the images of assets go.
pub struct Targets {
    /// The names of each asset's image, with their tags.
    pub names: Vec<Vec<Reference>>,
    /// The callers that push to them, where these are roles.
    pub roles: AssumedRoles,
}

/// The name of an image, and the role that pushes it.
struct Target {
    name: Reference,
    role: Option<Role>,
}

/// The caller of AWS, whose account is looked up when it is needed first.
struct Caller<'c> {
    context: &'c Context,
    account: tokio::sync::OnceCell<String>,
}

impl Targets {
    /// The targets of assets. Their roles are assumed.
    pub async fn of(assets: &[Asset], context: &Context) -> Result<Targets, Failure> {
        let caller = Caller { context, account: tokio::sync::OnceCell::new() };
        let mut targets = Vec::new();
        for asset in assets {
            let mut of_asset: Vec<Target> = Vec::new();
            for destination in &asset.image.destinations {
                let target = caller.target(asset, destination).await?;
                // Placeholders may make two destinations the same.
                if of_asset.iter().all(|other| other.name.to_string() != target.name.to_string()) {
                    of_asset.push(target);
                }
            }
            targets.push(of_asset);
        }
        let roles = caller.roles(targets.iter().flatten()).await?;
        let name = |target: Target| target.name;
        let names = targets.into_iter().map(|all| all.into_iter().map(name).collect()).collect();
        Ok(Targets { names, roles })
    }

    /// The registries, each once.
    pub fn registries(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self.names.iter().flatten().map(Reference::registry).collect();
        all.into_iter().collect()
    }
}

impl Caller<'_> {
    async fn account(&self) -> Result<String, Failure> {
        let identity = || async { Ok::<_, Error>(self.context.aws.identity().await?.account) };
        Ok(self.account.get_or_try_init(identity).await?.clone())
    }

    /// The target of a destination: the repository is in the account of its role, else in the caller's.
    async fn target(&self, asset: &Asset, destination: &ImageDestination) -> Result<Target, Failure> {
        let region = match &destination.region {
            Some(region) if !region.contains("${") => region.clone(),
            _ => self.context.aws.region().await?,
        };
        let account = match destination.needs_account() {
            true => self.account().await?,
            false => String::new(),
        };
        let partition = EcrHost::new("", &region).partition().to_owned();
        let environment = Environment { partition, account, region: region.clone() };
        let destination = destination.clone().in_environment(&environment);
        let role = role(asset, &destination)?;
        let account = match &role {
            None => self.account().await?,
            Some(role) => {
                let account = role.account().ok_or_else(|| {
                    asset.fault("assumeRoleArn", &format!("`{}` is not the ARN of a role", role.arn), None)
                })?;
                account.to_owned()
            }
        };
        let registry = EcrHost::new(account, region);
        let ImageDestination { repository_name, image_tag, .. } = destination;
        Ok(Target { name: format!("{registry}/{repository_name}:{image_tag}").parse()?, role })
    }

    /// Assumes the roles of the targets, each once.
    async fn roles(&self, targets: impl Iterator<Item = &Target>) -> Result<AssumedRoles, Failure> {
        let of_role: Vec<(&Reference, &Role)> =
            targets.filter_map(|target| Some((&target.name, target.role.as_ref()?))).collect();
        let mut different: Vec<&Role> = Vec::new();
        for (_, role) in &of_role {
            if !different.contains(role) {
                different.push(role);
            }
        }
        let assumed = try_join_all(different.iter().map(|role| self.assume(role))).await?;
        let callers: HashMap<&Role, Aws> =
            different.into_iter().zip(assumed).filter_map(|(role, caller)| Some((role, caller?))).collect();
        let mut by_name: HashMap<String, &Role> = HashMap::new();
        let mut pairs = Vec::new();
        for (name, role) in of_role {
            let other = by_name.entry(name.repository_name()).or_insert(role);
            if *other != role {
                let message = format!(
                    "the assembly names two roles for {}: {} and {}",
                    name.repository_name(),
                    other.arn,
                    role.arn
                );
                return Err(Failure::usage(
                    message,
                    "publish their assets one after the other, with --asset",
                ));
            }
            pairs.extend(callers.get(role).map(|caller| (name.clone(), caller.clone())));
        }
        Ok(pairs.into_iter().collect())
    }

    /// The caller in a role; `None` if it may not assume the role, and is in its account itself.
    async fn assume(&self, role: &Role) -> Result<Option<Aws>, Failure> {
        let denied = match self.context.aws.assume(role.clone()).await {
            Ok(caller) => return Ok(Some(caller)),
            Err(error @ Error::Aws { .. }) if is_denied(&error) => error,
            Err(error) => return Err(error.into()),
        };
        if self.account().await.ok().as_deref() != role.account() {
            return Err(denied.into());
        }
        let message = format!("{denied}; continuing with the current credentials, which are for its account");
        self.context.report.warn(&message, denied.hint().as_deref());
        Ok(None)
    }
}

fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Aws { answer, .. } if answer.missing.is_some())
}

/// The role of a destination.
fn role(asset: &Asset, destination: &ImageDestination) -> Result<Option<Role>, Failure> {
    let Some(arn) = destination.assume_role_arn.clone() else { return Ok(None) };
    let RoleOptions {
        role_session_name,
        tags,
        transitive_tag_keys,
        policy,
        policy_arns,
        duration_seconds,
        source_identity,
        unknown,
    } = destination.assume_role_additional_options.clone();
    if let Some(option) = unknown.first() {
        let field = format!("assumeRoleAdditionalOptions.{option}");
        return Err(asset.fault(&field, "lbuild cannot assume a role with this option", None));
    }
    let tags: Vec<_> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let session = Session {
        name: role_session_name.unwrap_or_else(|| SESSION.to_owned()),
        transitive_tag_keys: transitive_tag_keys
            .unwrap_or_else(|| tags.iter().map(|(key, _)| key.clone()).collect()),
        tags,
        policy,
        policy_arns: policy_arns.into_iter().map(|policy| policy.arn).collect(),
        duration: duration_seconds,
        source_identity,
    };
    Ok(Some(Role { arn, external_id: destination.assume_role_external_id.clone(), session }))
}

/// The digests of the images that the registries have under these names.
///
/// The registry is asked for the manifest, as every push does first: that needs no permission beyond those of the push,
/// works for registries in the place of ECR, and gives the digest. `cdk deploy` asks ECR's API (DescribeImages) for the
/// same tag later.
pub async fn present(
    names: &[Vec<Reference>],
    engine: &Engine,
) -> Result<Vec<Vec<Option<lbuild::image::Digest>>>, Failure> {
    let of_asset = names.iter().map(|names| try_join_all(names.iter().map(|name| engine.digest_of(name))));
    Ok(try_join_all(of_asset).await?)
}
