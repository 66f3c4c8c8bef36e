//! lbuild as kaniko's `executor`, for pipelines that call it: started by a link or a copy of this name, as in an image at
//! `/kaniko/executor`, or as `lbuild kaniko`.
//!
//! Flags, files and exit codes are kaniko's. A flag that would change the image and cannot be served is refused by name.

mod args;
mod build_context;
mod environment;
mod failure;
mod flags;
mod outputs;
mod permissions;
mod registries;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use lbuild::{EngineBuilder, Sent};

use self::args::Executor;
use self::build_context::BuildContext;
use self::environment::Environment;
use self::failure::{BUILDING, PUSHING, while_doing};
use self::outputs::Outputs;
use self::registries::Registries;
use super::args::dockerfile::{CommandArgs, DockerfileArgs};
use super::args::fault::Fault;
use super::args::image::ImageArgs;
use super::args::push::{CachingArgs, DestinationArgs, Push};
use super::args::registry::Registry;
#[cfg(feature = "check")]
use super::commands::push::tool;
use super::commands::push::{Caller, send_input};
use super::context::{Context, Logins};
use super::interruption::Interruption;
use super::lower::config_file::ConfigFile;
use super::lower::platform::{of_machine, of_platform};
use super::output::exit::Failure;
use super::output::report::{self, Report, Style};
use super::{engine, lower, runtime};

/// The words of a call of `executor`, if these words of the process are one.
pub fn words(words: &[OsString]) -> Option<Vec<OsString>> {
    let name = words.first().map(Path::new).and_then(Path::file_stem).and_then(OsStr::to_str)?;
    match name {
        "executor" => Some(after_name(&words[1..])),
        _ if words.get(1).is_some_and(|word| word == "kaniko") => Some(after_name(&words[2..])),
        _ => None,
    }
}

/// The words of a call of `executor` with these arguments.
pub fn after_name(words: &[OsString]) -> Vec<OsString> {
    std::iter::once("executor".into()).chain(words.iter().cloned()).collect()
}

/// Runs a call of `executor`, and returns its exit code.
pub fn run(words: Vec<OsString>) -> ExitCode {
    let args = match Executor::parsed(words) {
        Ok(args) => args,
        Err(error) => {
            let Some(fault) = Fault::of(&error) else {
                let _ = error.print();
                return ExitCode::SUCCESS;
            };
            let failure = Failure::docker(1, fault.message(), "`lbuild kaniko --help` lists the flags");
            return ended(&Report::new(Style::Quiet), failure);
        }
    };
    let report = Report::new(args.style());
    if args.words.first().is_some_and(|word| word == "version") {
        let _ = report::print(&format!("Kaniko version :  lbuild {}", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    // Standard input is read before the runtime handles signals, so that a signal still ends the process.
    let done = Job::new(args, &report)
        .and_then(|job| runtime::until_done(&report, |interruption| job.run(report.clone(), interruption)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&report, failure),
    }
}

/// Reports a failure. kaniko's exit code is 1.
fn ended(report: &Report, failure: Failure) -> ExitCode {
    report.failure_last(&failure);
    ExitCode::from(match failure {
        Failure::Library(lbuild::Error::Interrupted) => failure.code(),
        _ => 1,
    })
}

/// A call whose arguments are read and whose build context is on this machine.
struct Job {
    args: Executor,
    environment: Environment,
    build_context: BuildContext,
    outputs: Outputs,
}

impl Job {
    fn new(args: Executor, report: &Report) -> Result<Job, Failure> {
        let environment = Environment::read(&args)?;
        let outputs = outputs::of(&args, environment.no_push)?;
        args.notes(report);
        args.refuse_unserved().map_err(while_doing(BUILDING))?;
        let build_context = build_context::of(&args).map_err(while_doing(build_context::RESOLVING))?;
        Ok(Job { args, environment, build_context, outputs })
    }

    async fn run(self, report: Report, interruption: Interruption) -> Result<(), Failure> {
        let context = Context {
            report,
            json: false,
            jobs: None,
            interruption,
            logins: Logins::Stored { config: None },
            #[cfg(feature = "aws")]
            aws: lbuild::aws::Aws::from_env(),
        };
        let report = &context.report;
        let push = self.push_args(report)?;
        let input = lower::input_with(&push.image, ConfigFile::default(), report);
        let input = input.map_err(while_doing(BUILDING))?;
        let names = &self.outputs.pushed;
        let registries = Registries::of(&self.args, &self.environment, names, &input.base_registries());
        let registries = registries.map_err(while_doing(BUILDING))?;
        registries.notes.iter().for_each(|note| report.note(note));
        if !self.args.skip_push_permission_check {
            permissions::check(&self.engine(&registries, &context)?.build()?, names)
                .await
                .map_err(while_doing(permissions::CHECKING))?;
        }
        let builder = self.engine(&registries, &context)?;
        let sent =
            send_input(&push, input, &self.outputs.to, builder, Caller::Tool(&|_| Ok(())), &context).await;
        self.end(sent, report)
    }

    /// Writes the files that the call asks for, if the image is everywhere where it should be.
    fn end(&self, sent: Result<Sent, Failure>, report: &Report) -> Result<(), Failure> {
        let (sent, doing) = match sent {
            Ok(sent) => (sent, PUSHING),
            Err(Failure::Library(error)) => (Sent { published: Vec::new(), failures: vec![error] }, BUILDING),
            Err(failure) => return Err(while_doing(BUILDING)(failure)),
        };
        for failure in sent.failures {
            match self.args.push_ignore_immutable_tag_errors && failure.is_of_immutable_tag() {
                true => report.warn(&failure.to_string(), None),
                false => return Err(while_doing(doing)(failure.into())),
            }
        }
        if self.args.dryrun {
            return Ok(());
        }
        match sent.published.first() {
            Some(published) => outputs::write_digests(&self.args, published.digest),
            None => Ok(()),
        }
    }

    fn engine(&self, registries: &Registries, context: &Context) -> Result<EngineBuilder, Failure> {
        let access = Registry { insecure: registries.insecure.clone(), ..Registry::default() };
        let builder = match self.environment.logins() {
            Some(first) => engine::builder_with(first, &access, context, &[])?,
            None => engine::builder(&access, &[], context, &[])?,
        };
        let endpoints = registries.endpoints.iter();
        Ok(endpoints.fold(builder, |builder, (registry, endpoint)| builder.endpoint(registry, endpoint)))
    }

    /// The arguments of the push that the call is.
    fn push_args(&self, report: &Report) -> Result<Push, Failure> {
        let args = &self.args;
        let arch = match &args.custom_platform {
            Some(platform) => of_platform(platform),
            None => of_machine("--custom-platform", report),
        };
        let image = ImageArgs {
            path: self.build_context.path.clone(),
            arch: Some(arch.map_err(while_doing(BUILDING))?),
            label: args.label.clone(),
            dockerfile: DockerfileArgs {
                dockerfile: Some(self.build_context.dockerfile.clone()),
                target: args.target.clone(),
                build_arg: args.build_arg.clone(),
                commands: CommandArgs { secret: args.secret.clone(), ..CommandArgs::default() },
                only_dockers_ignore_file: true,
                ..DockerfileArgs::default()
            },
            ..ImageArgs::default()
        };
        Ok(Push {
            image,
            destination: DestinationArgs { dry_run: args.dryrun, ..DestinationArgs::default() },
            caching: CachingArgs {
                cache_from: args.cache_repo.iter().cloned().collect(),
                ..CachingArgs::default()
            },
            #[cfg(feature = "check")]
            check: tool::check_args(!self.outputs.pushed.is_empty()),
            ..Push::default()
        })
    }
}
