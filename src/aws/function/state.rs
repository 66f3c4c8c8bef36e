//! A function as Lambda describes it.

use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::types::{FunctionConfiguration, PackageType};

use super::name::LambdaFunction;
use super::settings::{ImageOverrides, Present};
use crate::error::Result;
use crate::image::{Arch, Digest};
use crate::store::Secret;

/// A function that exists.
#[derive(Clone, Debug)]
pub struct FunctionState {
    /// Its ARN, with the version or alias if one was asked for.
    pub arn: String,
    /// `$LATEST`, or the number of a version.
    pub version: String,
    /// Whether its code is an image; this never changes.
    pub is_image: bool,
    /// The architecture that it runs on.
    pub arch: Arch,
    /// The image as the last update named it, often by a tag.
    pub image: Option<String>,
    /// The digest of the image that it runs.
    pub digest: Option<Digest>,
    /// `Active`, `Pending`, `Inactive`, `Failed`, or another state.
    pub state: String,
    /// Why it is in this state.
    pub state_reason: Option<Reason>,
    /// `Successful`, `InProgress` or `Failed`.
    pub last_update: String,
    /// Why the last update failed.
    pub last_update_reason: Option<Reason>,
    pub(super) settings: Present,
    pub(super) resolved: Option<String>,
    /// Changes with each change of the function.
    pub(super) revision: Option<String>,
}

/// A reason that Lambda gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its code, such as `ImageDeleted`.
    pub code: String,
    /// Its text.
    pub text: String,
}

impl Reason {
    fn of(code: Option<&str>, text: Option<&str>) -> Option<Reason> {
        let (code, text) = (code.unwrap_or_default().to_owned(), text.unwrap_or_default().to_owned());
        (!code.is_empty() || !text.is_empty()).then_some(Reason { code, text })
    }
}

impl FunctionState {
    fn of(found: &GetFunctionOutput) -> Option<FunctionState> {
        let config = found.configuration()?;
        let code = found.code();
        let resolved = code.and_then(|code| code.resolved_image_uri()).map(str::to_owned);
        let image = code.and_then(|code| code.image_uri()).map(str::to_owned);
        let of_name = |name: &String| name.split_once('@')?.1.parse().ok();
        let digest = resolved.as_ref().and_then(of_name).or_else(|| image.as_ref().and_then(of_name));
        Some(FunctionState { image, digest, resolved, ..FunctionState::of_config(config) })
    }

    /// Without the image, of which a configuration does not tell.
    pub(super) fn of_config(config: &FunctionConfiguration) -> FunctionState {
        let first = config.architectures().first().map(|name| name.as_str());
        let environment = config.environment();
        let is_unreadable = environment.is_some_and(|environment| environment.error().is_some());
        let variables = environment.and_then(|environment| environment.variables()).into_iter().flatten();
        let variables = variables.map(|(name, value)| (name.clone(), Secret::from(value.clone()))).collect();
        FunctionState {
            arn: config.function_arn().unwrap_or_default().to_owned(),
            version: config.version().unwrap_or("$LATEST").to_owned(),
            is_image: config.package_type() == Some(&PackageType::Image),
            // Functions from before the choice have none.
            arch: first.and_then(|name| name.parse().ok()).unwrap_or(Arch::Amd64),
            image: None,
            digest: None,
            resolved: None,
            revision: config.revision_id().map(str::to_owned),
            state: config.state().map_or("Active", |state| state.as_str()).to_owned(),
            state_reason: Reason::of(
                config.state_reason_code().map(|code| code.as_str()),
                config.state_reason(),
            ),
            last_update: config
                .last_update_status()
                .map_or("Successful", |status| status.as_str())
                .to_owned(),
            last_update_reason: Reason::of(
                config.last_update_status_reason_code().map(|code| code.as_str()),
                config.last_update_status_reason(),
            ),
            settings: Present {
                image: ImageOverrides::of(
                    config.image_config_response().and_then(|given| given.image_config()),
                ),
                env: (!is_unreadable).then_some(variables),
                memory: config.memory_size().unwrap_or(128),
                timeout: config.timeout().unwrap_or(3),
                ephemeral_storage: config.ephemeral_storage().map_or(512, |storage| storage.size()),
                role: config.role().unwrap_or_default().to_owned(),
            },
        }
    }

    /// The function's settings in place of the image's own.
    pub fn overrides(&self) -> &ImageOverrides {
        &self.settings.image
    }

    /// The names of its variables; `None` if the caller may not use the key by which they are encrypted.
    pub fn variables(&self) -> Option<impl Iterator<Item = &str>> {
        self.settings.env.as_ref().map(|env| env.keys().map(String::as_str))
    }

    /// Its memory in MiB, its timeout in seconds, and the size of its `/tmp` in MiB.
    pub fn limits(&self) -> (i32, i32, i32) {
        (self.settings.memory, self.settings.timeout, self.settings.ephemeral_storage)
    }

    /// The ARN of its execution role.
    pub fn role(&self) -> &str {
        &self.settings.role
    }

    /// The account that has it.
    pub fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4)
    }

    /// Whether Lambda is still at work on it, as far as its states are known.
    pub(super) fn is_changing(&self) -> bool {
        !matches!(self.state.as_str(), "Active" | "Inactive" | "Failed") || self.last_update == "InProgress"
    }
}

impl LambdaFunction {
    /// The function, or the version or alias that its name has; `None` if it does not exist.
    ///
    /// # Errors
    /// When Lambda refuses the call.
    pub async fn find(&self) -> Result<Option<FunctionState>> {
        self.find_at(self.qualifier()).await
    }

    pub(super) async fn find_at(&self, qualifier: Option<&str>) -> Result<Option<FunctionState>> {
        let call = self.call("look for the function", "lambda:GetFunction");
        let request = self.client().await.get_function().function_name(&self.called);
        match request.set_qualifier(qualifier.map(str::to_owned)).send().await {
            Ok(found) => Ok(FunctionState::of(&found)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                Ok(None)
            }
            Err(error) => Err(call.failed(error)),
        }
    }
}
