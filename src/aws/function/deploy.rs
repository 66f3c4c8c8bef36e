//! Makes a function what it is to be, in the order that Lambda requires: the image, a wait, the settings, a wait, then a
//! version and an alias.
//!
//! Each step looks at the function first, and does nothing if it is so already. A deployment that was killed between two
//! steps is thus completed by the next one, and one whose answer got lost is not made twice.

use std::time::Duration;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::types::{Architecture, FunctionCode, PackageType};

use super::deployment::{Deployed, Deployment};
use super::name::{LambdaFunction, is};
use super::settings::Present;
use super::state::FunctionState;
use super::wait::{For, FunctionStep, Tell};
use crate::error::{Error, Result};
use crate::image::Arch;

/// The settings of a new function, where none are given: those of Lambda.
const MEMORY: i32 = 128;
const TIMEOUT: i32 = 3;
const STORAGE: i32 = 512;

/// How long a new role may take until Lambda can use it.
const ROLE: Duration = Duration::from_secs(60);

/// How often an update is sent again that met another one.
const CONFLICTS: usize = 20;

impl LambdaFunction {
    /// Makes the function what it is to be, and waits until it can be invoked. `tell` gets the steps.
    ///
    /// # Errors
    /// When the function does not exist and is not to be created; when it cannot have such an image; when Lambda refuses a
    /// call, fails, or needs longer than the patience.
    pub async fn deploy(
        &self,
        wanted: &Deployment,
        tell: &(dyn Fn(FunctionStep) + Send + Sync),
    ) -> Result<Deployed> {
        let (before, mut changed) = match self.find_at(None).await? {
            Some(found) => (found, false),
            None if wanted.create => (self.create(wanted, tell).await?, true),
            None => return Err(Error::NoFunction { function: self.to_string() }),
        };
        self.refuse(&before, wanted)?;
        let update = async {
            let now = self.update_image(&before, wanted, tell, &mut changed).await?;
            self.update_settings(now, wanted, tell, &mut changed).await
        };
        match update.await {
            Ok(now) => self.publish(now, wanted, changed, tell).await,
            Err(error) if wanted.rollback && error.is_of_function() => {
                tell(FunctionStep::RollsBack);
                let image = before.resolved.clone().or_else(|| before.image.clone());
                let restored = self.restore(&before, image, wanted, tell).await.err().map(Box::new);
                Err(Error::FunctionRestored { function: self.to_string(), source: Box::new(error), restored })
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses what Lambda never changes, before anything changes.
    fn refuse(&self, found: &FunctionState, wanted: &Deployment) -> Result<()> {
        let function = self.to_string();
        if !found.is_image {
            return Err(Error::ZipFunction { function });
        }
        if found.arch != wanted.arch && !wanted.change_arch {
            return Err(Error::FunctionArchitecture { function, has: found.arch, image: wanted.arch });
        }
        Ok(())
    }

    async fn create(&self, wanted: &Deployment, tell: &Tell<'_>) -> Result<FunctionState> {
        tell(FunctionStep::Creates);
        let none = Present {
            image: Default::default(),
            env: Default::default(),
            memory: MEMORY,
            timeout: TIMEOUT,
            ephemeral_storage: STORAGE,
            role: String::new(),
        };
        let settings = none.with(&wanted.settings);
        let request = self
            .client()
            .await
            .create_function()
            .function_name(&self.called)
            .role(&settings.role)
            .package_type(PackageType::Image)
            .code(FunctionCode::builder().image_uri(wanted.uri()).build())
            .architectures(architecture(wanted.arch))
            .image_config(settings.image.config())
            .environment(settings.environment())
            .memory_size(settings.memory)
            .timeout(settings.timeout)
            .set_ephemeral_storage(settings.storage());
        let call = self.call("create the function", "lambda:CreateFunction");
        let (began, mut pause) = (std::time::Instant::now(), Duration::from_millis(500));
        loop {
            match request.clone().send().await {
                Ok(_) => break,
                // An answer got lost, or another deployment was faster.
                Err(error) if is(&error, "ResourceConflictException") => break,
                Err(error) if is_new_role(&error) && began.elapsed() < ROLE => {
                    tell(FunctionStep::Waits("Lambda cannot use the role yet".to_owned()));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(call.failed(error)),
            }
        }
        self.wait(None, For::Success, wanted.patience, tell).await?;
        self.again().await
    }

    /// The function, which has just existed.
    async fn again(&self) -> Result<FunctionState> {
        self.find_at(None).await?.ok_or_else(|| Error::NoFunction { function: self.to_string() })
    }

    async fn update_image(
        &self,
        before: &FunctionState,
        wanted: &Deployment,
        tell: &Tell<'_>,
        changed: &mut bool,
    ) -> Result<FunctionState> {
        let call = self.call("set the image of", "lambda:UpdateFunctionCode");
        let has_it =
            |found: &FunctionState| found.digest == Some(wanted.image.1) && found.arch == wanted.arch;
        let mut now = before.clone();
        for _ in 0..CONFLICTS {
            if now.is_changing() {
                self.wait(None, For::Quiet, wanted.patience, tell).await?;
                now = self.again().await?;
            }
            // A failed update has not brought its image, whatever Lambda names.
            if has_it(&now) && now.last_update != "Failed" && now.state != "Failed" {
                return Ok(now);
            }
            tell(FunctionStep::SetsImage);
            let request = self.client().await.update_function_code().function_name(&self.called);
            let sent = request.image_uri(wanted.uri()).architectures(architecture(wanted.arch)).send().await;
            match sent {
                Ok(_) => {
                    *changed = true;
                    self.wait(None, For::Success, wanted.patience, tell).await?;
                    return self.again().await;
                }
                Err(error) if is(&error, "ResourceConflictException") => {
                    tell(FunctionStep::Conflict);
                    self.wait(None, For::Quiet, wanted.patience, tell).await?;
                    now = self.again().await?;
                }
                Err(error) => return Err(call.failed(error)),
            }
        }
        Err(Error::FunctionBusy { function: self.to_string() })
    }

    async fn update_settings(
        &self,
        mut now: FunctionState,
        wanted: &Deployment,
        tell: &Tell<'_>,
        changed: &mut bool,
    ) -> Result<FunctionState> {
        for _ in 0..CONFLICTS {
            let settings = now.settings.with(&wanted.settings);
            let differences = now.settings.differences(&settings);
            if differences.is_empty() {
                return Ok(now);
            }
            tell(FunctionStep::Sets(differences));
            match self.send_settings(&settings).await {
                Ok(()) => {
                    *changed = true;
                    self.wait(None, For::Success, wanted.patience, tell).await?;
                    return self.again().await;
                }
                Err(Error::Aws { answer, .. }) if answer.code == "ResourceConflictException" => {
                    tell(FunctionStep::Conflict);
                    self.wait(None, For::Quiet, wanted.patience, tell).await?;
                    now = self.again().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::FunctionBusy { function: self.to_string() })
    }

    async fn send_settings(&self, settings: &Present) -> Result<()> {
        let request = self
            .client()
            .await
            .update_function_configuration()
            .function_name(&self.called)
            .role(&settings.role)
            .image_config(settings.image.config())
            .environment(settings.environment())
            .memory_size(settings.memory)
            .timeout(settings.timeout)
            .set_ephemeral_storage(settings.storage());
        let call = self.call("set the settings of", "lambda:UpdateFunctionConfiguration");
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    /// Gives the function back what it had.
    async fn restore(
        &self,
        before: &FunctionState,
        image: Option<String>,
        wanted: &Deployment,
        tell: &Tell<'_>,
    ) -> Result<()> {
        self.wait(None, For::Quiet, wanted.patience, tell).await?;
        let now = self.again().await?;
        if let Some(image) = image.filter(|_| now.digest != before.digest || now.last_update == "Failed") {
            let call = self.call("set the image of", "lambda:UpdateFunctionCode");
            let request = self.client().await.update_function_code().function_name(&self.called);
            let sent = request.image_uri(image).architectures(architecture(before.arch)).send().await;
            sent.map_err(|error| call.failed(error))?;
            self.wait(None, For::Success, wanted.patience, tell).await?;
        }
        if !now.settings.differences(&before.settings).is_empty() {
            self.send_settings(&before.settings).await?;
            self.wait(None, For::Success, wanted.patience, tell).await?;
        }
        Ok(())
    }
}

fn architecture(arch: Arch) -> Architecture {
    match arch {
        Arch::Amd64 => Architecture::X8664,
        Arch::Arm64 => Architecture::Arm64,
    }
}

/// Whether the role was created so recently that Lambda cannot assume it.
fn is_new_role<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
{
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    is(error, "InvalidParameterValueException") && message.contains("cannot be assumed by Lambda")
}
