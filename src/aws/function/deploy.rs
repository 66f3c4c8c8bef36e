//! Makes a function what it is to be, in the order that Lambda requires: the image, a wait, the settings, a wait, then a
//! version and an alias.
//!
//! Each step looks at the function first, and does nothing if it is so already. A deployment that was killed between two
//! steps is thus completed by the next one, and one whose answer got lost is not made twice.

use std::time::{Duration, Instant};

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::types::{Architecture, FunctionCode, PackageType};

use super::deployment::{Deployed, Deployment};
use super::name::{LambdaFunction, is};
use super::reasons;
use super::settings::{Present, Setting};
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
        if let Some(qualifier) = self.qualifier() {
            return Err(Error::FunctionName { text: format!("{self}:{qualifier}") });
        }
        let (before, mut changed) = match self.find_at(None).await? {
            Some(found) => (found, false),
            None if wanted.create => (self.create(wanted, tell).await?, true),
            None => return Err(Error::NoFunction { function: self.to_string() }),
        };
        self.refuse(&before, wanted)?;
        let was_created = changed;
        let update = async {
            let now = self.update_image(&before, wanted, tell, &mut changed).await?;
            let now = self.update_settings(now, wanted, tell, &mut changed).await?;
            self.publish(now, wanted, changed, tell).await
        };
        let error = match update.await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !wanted.rollback || !changed || was_created {
            return Err(error);
        }
        tell(FunctionStep::RollsBack);
        let restored = self.restore(&before, wanted, tell).await.err().map(Box::new);
        Err(Error::FunctionRestored { function: self.to_string(), source: Box::new(error), restored })
    }

    /// Refuses what Lambda never changes, and what would lose settings that nobody can read, before anything changes.
    fn refuse(&self, found: &FunctionState, wanted: &Deployment) -> Result<()> {
        let function = self.to_string();
        if !found.is_image {
            return Err(Error::ZipFunction { function });
        }
        if found.arch != wanted.arch && !wanted.change_arch {
            return Err(Error::FunctionArchitecture { function, has: found.arch, image: wanted.arch });
        }
        let changes_env = !wanted.settings.env.is_empty() || !wanted.settings.unset_env.is_empty();
        match changes_env && found.settings.env.is_none() {
            true => Err(Error::FunctionVariables { function }),
            false => Ok(()),
        }
    }

    async fn create(&self, wanted: &Deployment, tell: &Tell<'_>) -> Result<FunctionState> {
        tell(FunctionStep::Creates);
        let none = Present {
            image: Default::default(),
            env: Some(Default::default()),
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
            .set_image_config((settings.image != none.image).then(|| settings.image.config()))
            .set_environment(settings.environment().filter(|_| settings.env != none.env))
            .memory_size(settings.memory)
            .timeout(settings.timeout)
            .set_ephemeral_storage(settings.storage());
        let call = self.call("create the function", "lambda:CreateFunction");
        let (began, mut pause) = (Instant::now(), Duration::from_millis(500));
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
                Err(error) => return Err(self.of_image(call.failed(error))),
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
        let has_it =
            |found: &FunctionState| found.digest == Some(wanted.image.1) && found.arch == wanted.arch;
        let (mut now, mut turns) = (before.clone(), Turns::new(wanted.patience));
        loop {
            if now.is_changing() {
                self.wait(None, For::Quiet, wanted.patience, tell).await?;
                now = self.again().await?;
            }
            // A failed update has not brought its image, whatever Lambda names.
            if has_it(&now) && now.last_update != "Failed" && now.state != "Failed" {
                return Ok(now);
            }
            tell(FunctionStep::SetsImage);
            let sent = self.send_image(&wanted.uri(), wanted.arch).await;
            *changed |= may_be_done(&sent);
            let is_done = self.settle(sent, &mut turns, wanted, tell).await?;
            now = self.again().await?;
            if is_done {
                return Ok(now);
            }
        }
    }

    /// Waits for the end of a change; `false` after a conflict, when it is to be sent again.
    async fn settle(
        &self,
        sent: Result<()>,
        turns: &mut Turns,
        wanted: &Deployment,
        tell: &Tell<'_>,
    ) -> Result<bool> {
        let is_done = sent.is_ok();
        if let Err(error) = sent {
            if !is_conflict(&error) {
                return Err(error);
            }
            tell(FunctionStep::Conflict);
            self.next(turns, error).await?;
        }
        let aim = if is_done { For::Success } else { For::Quiet };
        self.wait(None, aim, wanted.patience, tell).await?;
        Ok(is_done)
    }

    async fn send_image(&self, uri: &str, arch: Arch) -> Result<()> {
        let call = self.call("set the image of", "lambda:UpdateFunctionCode");
        let request = self.client().await.update_function_code().function_name(&self.called);
        let sent = request.image_uri(uri).architectures(architecture(arch)).send().await;
        sent.map(drop).map_err(|error| self.of_image(call.failed(error)))
    }

    /// Lambda reports its own lack of rights for the image as one of the caller.
    fn of_image(&self, error: Error) -> Error {
        match error {
            Error::Aws { answer, .. } if answer.message.contains("permission to access the ECR image") => {
                let (code, reason) = ("ImageAccessDenied".to_owned(), answer.message.clone());
                let hint = reasons::explained(&code).map(|(_, hint)| hint);
                Error::FunctionFailed {
                    function: self.to_string(),
                    what: "Lambda refused the image",
                    code,
                    reason,
                    hint,
                }
            }
            error => error,
        }
    }

    /// Waits before an update is sent again.
    pub(super) async fn next(&self, turns: &mut Turns, error: Error) -> Result<()> {
        match turns.next() {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None if is_conflict(&error) => Err(Error::FunctionBusy { function: self.to_string() }),
            None => Err(error),
        }
    }

    async fn update_settings(
        &self,
        mut now: FunctionState,
        wanted: &Deployment,
        tell: &Tell<'_>,
        changed: &mut bool,
    ) -> Result<FunctionState> {
        let mut turns = Turns::new(wanted.patience);
        loop {
            let settings = now.settings.with(&wanted.settings);
            let differences = now.settings.differences(&settings);
            if differences.is_empty() {
                return Ok(now);
            }
            tell(FunctionStep::Sets(differences.iter().map(|setting| setting.name()).collect()));
            let sent = self.send_settings(&settings, &differences, now.revision.as_deref()).await;
            *changed |= may_be_done(&sent);
            // Variables are sent as a whole: after a conflict, those that others have set are read first.
            let is_done = self.settle(sent, &mut turns, wanted, tell).await?;
            now = self.again().await?;
            if is_done {
                return Ok(now);
            }
        }
    }

    /// Sends the settings that differ: Lambda keeps those that a call leaves out.
    async fn send_settings(
        &self,
        settings: &Present,
        differences: &[Setting],
        revision: Option<&str>,
    ) -> Result<()> {
        let request = self.client().await.update_function_configuration().function_name(&self.called);
        let mut request = request.set_revision_id(revision.map(str::to_owned));
        if differences.iter().any(|setting| setting.is_of_image()) {
            request = request.image_config(settings.image.config());
        }
        for setting in differences {
            request = match setting {
                Setting::Entrypoint | Setting::Cmd | Setting::Workdir => request,
                Setting::Env => request.set_environment(settings.environment()),
                Setting::Memory => request.memory_size(settings.memory),
                Setting::Timeout => request.timeout(settings.timeout),
                Setting::EphemeralStorage => request.set_ephemeral_storage(settings.storage()),
                Setting::Role => request.role(&settings.role),
            };
        }
        let call = self.call("set the settings of", "lambda:UpdateFunctionConfiguration");
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    /// Gives the function back what it had.
    async fn restore(&self, before: &FunctionState, wanted: &Deployment, tell: &Tell<'_>) -> Result<()> {
        self.wait(None, For::Quiet, wanted.patience, tell).await?;
        let now = self.again().await?;
        let image = before.resolved.clone().or_else(|| before.image.clone());
        if let Some(image) = image.filter(|_| now.digest != before.digest || now.last_update == "Failed") {
            self.send_image(&image, before.arch).await?;
            self.wait(None, For::Success, wanted.patience, tell).await?;
        }
        let differences = now.settings.differences(&before.settings);
        if !differences.is_empty() {
            self.send_settings(&before.settings, &differences, None).await?;
            self.wait(None, For::Success, wanted.patience, tell).await?;
        }
        Ok(())
    }
}

/// The pauses between the attempts of an update that meets others.
pub(super) struct Turns {
    until: Instant,
    pause: Duration,
}

impl Turns {
    pub(super) fn new(patience: Duration) -> Turns {
        Turns { until: Instant::now() + patience, pause: Duration::from_millis(100) }
    }

    /// The next pause; `None` when the patience is at its end.
    fn next(&mut self) -> Option<Duration> {
        let pause = self.pause;
        self.pause = (pause * 2).min(Duration::from_secs(2));
        (Instant::now() < self.until).then_some(pause)
    }
}

/// Whether Lambda may have done what was sent: a conflict may be with the first attempt, whose answer got lost.
fn may_be_done(sent: &Result<()>) -> bool {
    match sent {
        Ok(()) | Err(Error::AwsConnection { .. }) => true,
        Err(error) => is_conflict(error),
    }
}

/// Whether another update was under way, or came between a look and a change.
pub(super) fn is_conflict(error: &Error) -> bool {
    let codes = ["ResourceConflictException", "PreconditionFailedException"];
    matches!(error, Error::Aws { answer, .. } if codes.contains(&answer.code.as_str()))
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
