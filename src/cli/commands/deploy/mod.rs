//! `lbuild deploy`.

mod image;
mod policy;

use std::collections::BTreeMap;
use std::time::Duration;

use lbuild::aws::{
    Deployed, Deployment, FunctionSettings, FunctionStep, ImageOverrides, LambdaFunction, Publish,
};
use lbuild::{Event, Secret};
use serde_json::json;

pub use self::image::host;
use self::image::{pushed, refuse, stored};
use crate::cli::args::function::{Deploy, DeploySettings};
use crate::cli::args::image::ImageArgs;
use crate::cli::context::Context;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::named::named_image;
use crate::cli::lower::{edit, variables};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json};

/// Makes the function run the image, and prints its ARN.
pub async fn run(args: Deploy, context: &Context) -> Result<(), Failure> {
    let Deploy { function, mut push, settings } = args;
    let function = context.aws.function(&function).await?;
    if let Some(qualifier) = function.qualifier() {
        let message =
            format!("{function}:{qualifier} names a version or an alias, which a deployment does not change");
        return Err(Failure::usage(
            message,
            "name the function alone; --alias NAME publishes a version for an alias",
        ));
    }
    let env = env(&settings, &std::mem::take(&mut push.image.env))?;
    let found = function.find().await?;
    let finished = named_image(&push.image.path, push.image.making_files())?;
    let overrides = match &finished {
        Some(_) => overrides(&push.image)?,
        None => ImageOverrides::default(),
    };
    let image = match &finished {
        Some(name) => {
            let image = stored(name, &push, &function, context).await?;
            refuse(&function, found.as_ref(), image.arch, &settings)?;
            if push.destination.dry_run {
                context.report.note("nothing was changed: --dry-run");
                return Ok(());
            }
            Some(image)
        }
        None => pushed(&push, &function, found.as_ref(), &settings, context).await?,
    };
    let Some(image) = image else { return Ok(()) };
    policy::allow(&image, &push, &function, found.as_ref(), &settings, context).await?;
    let wanted = Deployment {
        image: (image.repository, image.digest),
        arch: image.arch,
        settings: FunctionSettings {
            image: overrides,
            env: env.into_iter().map(|(name, value)| (name, Secret::from(value))).collect(),
            unset_env: settings.unset_env,
            memory: settings.memory,
            timeout: settings.timeout,
            ephemeral_storage: settings.ephemeral_storage,
            role: settings.role,
        },
        create: settings.create,
        change_arch: settings.change_arch,
        publish: match (settings.alias, settings.publish) {
            (Some(alias), _) => Publish::Alias(alias),
            (None, true) => Publish::Version,
            (None, false) => Publish::Nothing,
        },
        rollback: settings.rollback_on_failure,
        patience: Duration::from_secs(settings.wait),
    };
    deploy(&function, &wanted, context).await
}

/// Deploys, and prints the result.
pub async fn deploy(
    function: &LambdaFunction,
    wanted: &Deployment,
    context: &Context,
) -> Result<(), Failure> {
    let (report, name) = (context.report.clone(), function.to_string());
    let tell = move |step: FunctionStep| {
        report.event(&Event::Function { function: name.clone(), message: text(&step) });
    };
    let Deployed { arn, version, changed } = function.deploy(wanted, &tell).await?;
    if !changed {
        let message = "nothing to do: it has this image and these settings".to_owned();
        context.report.event(&Event::Function { function: function.to_string(), message });
    }
    context.report.finish();
    match context.json {
        true => {
            let digest = wanted.image.1;
            print_json(&format!(
                "{:#}",
                json!({ "function": arn, "version": version, "digest": digest, "changed": changed })
            ))
        }
        false => print(&arn),
    }
}

fn text(step: &FunctionStep) -> String {
    match step {
        FunctionStep::Creates => "is created".to_owned(),
        FunctionStep::SetsImage => "gets the image".to_owned(),
        FunctionStep::Sets(names) => format!("gets another {}", names.join(", ")),
        FunctionStep::Waits(state) => format!("waiting: {state}"),
        FunctionStep::Conflict => "another update is under way: waiting for its end".to_owned(),
        FunctionStep::Published(version) => format!("version {version} is published"),
        FunctionStep::Aliased { alias, version } => format!("the alias {alias} names version {version}"),
        FunctionStep::RollsBack => "gets back what it had".to_owned(),
        _ => String::new(),
    }
}

/// The settings in place of a finished image's own.
fn overrides(args: &ImageArgs) -> Result<ImageOverrides, Failure> {
    let edit = edit::lower(args, &ConfigFile::default())?;
    Ok(ImageOverrides { entrypoint: edit.entrypoint, cmd: edit.cmd, workdir: edit.workdir })
}

/// The variables to set. What Lambda refuses is refused before the image is changed.
fn env(settings: &DeploySettings, flags: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let env = variables::lower(&settings.env_file, flags)?;
    let is_reserved = |name: &&String| {
        variables::RESERVED.contains(&name.as_str()) || variables::OF_LAMBDA.contains(&name.as_str())
    };
    if let Some(name) = env.keys().find(is_reserved) {
        return Err(Failure::usage(format!("Lambda sets {name} itself"), "choose another name"));
    }
    let unset = flags.iter().find(|flag| !flag.contains('=') && !env.contains_key(*flag));
    match unset {
        Some(name) => {
            let message =
                format!("--env {name} has no value, and this environment has no variable of that name");
            Err(Failure::usage(message, "write NAME=VALUE, or --unset-env NAME to remove it"))
        }
        None => Ok(env),
    }
}
