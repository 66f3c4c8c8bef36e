//! Reads the project of a SAM user: the template, the values of its parameters, and the images to be built.

mod image;
pub mod repositories;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lbuild::frontend::sam::{ImageFunction, Template, Values};

pub use self::image::ImageInput;
use self::repositories::Repositories;
use self::settings::SamSettings;
use crate::cli::args::sam::SamArgs;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// A template with the functions whose images are to be built.
pub struct Project {
    /// The path of the template.
    pub path: PathBuf,
    pub template: Template,
    pub functions: Vec<ImageFunction>,
    pub repositories: Repositories,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only AWS has repositories of a stack"))]
    pub stack: Option<String>,
    pub settings: SamSettings,
}

impl Project {
    /// Reads the project. `commands` are SAM's commands whose sections of samconfig.toml count.
    pub async fn load(
        args: &SamArgs,
        commands: &'static [&'static str],
        context: &mut Context,
    ) -> Result<Project, Failure> {
        let settings = SamSettings::load(args, commands)?;
        let path = settings::template_path(args, &settings)?;
        let text = settings::exact_text(&path)?;
        let template = Template::parse(&path.display().to_string(), &text)?;
        let stack = match &args.stack_name {
            Some(stack) => Some(stack.clone()),
            None => settings.text("stack_name")?,
        };
        let region = match &args.region {
            Some(region) => Some(region.clone()),
            None => settings.text("region")?,
        };
        let parameters = parameters(args, &settings)?;
        let values = values(parameters, stack.clone(), region, &text, context).await;
        for name in template.unknown_parameters(&values)? {
            context.report.warn(&format!("{} has no parameter `{name}`", path.display()), None);
        }
        let all = template.image_functions(&values)?;
        let repositories = Repositories::of(args, &settings)?;
        repositories.check(&all)?;
        let functions = selected(all, &args.functions)?;
        if functions.is_empty() {
            let message = format!("{} has no function whose image is to be built", path.display());
            let hint =
                "a function needs PackageType: Image, and Dockerfile and DockerContext in its Metadata";
            return Err(Failure::usage(message, hint));
        }
        Ok(Project { path, template, functions, repositories, stack, settings })
    }

    /// The directory to which paths of the template are relative.
    pub fn dir<'p>(&'p self, args: &'p SamArgs) -> &'p Path {
        args.base_dir.as_deref().or(self.path.parent()).unwrap_or(Path::new(""))
    }
}

/// The values of parameters: those of the flags, else of SAM's settings.
fn parameters(args: &SamArgs, settings: &SamSettings) -> Result<BTreeMap<String, String>, Failure> {
    if args.parameter_overrides.is_empty() {
        return settings.overrides();
    }
    let mut values = BTreeMap::new();
    for flag in &args.parameter_overrides {
        values.extend(settings::overrides(flag, "--parameter-overrides")?);
    }
    Ok(values)
}

/// The given values, with those that AWS's settings give. The account is asked for only if the text mentions it.
#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "only AWS has an account"))]
async fn values(
    parameters: BTreeMap<String, String>,
    stack: Option<String>,
    region: Option<String>,
    text: &str,
    context: &mut Context,
) -> Values {
    #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "only AWS has more values"))]
    let mut values = Values { parameters, stack, region: region.clone(), ..Values::default() };
    #[cfg(feature = "aws")]
    {
        if let Some(region) = &region {
            context.aws = lbuild::aws::Aws::in_region(region);
        }
        if ["AWS::Region", "AWS::Partition", "AWS::URLSuffix"].iter().any(|name| text.contains(name)) {
            values.region = context.aws.region().await.ok().or(region);
        }
        if text.contains("AWS::AccountId") {
            values.account = context.aws.identity().await.ok().map(|identity| identity.account);
        }
    }
    values
}

/// The functions of these names, by logical id or `FunctionName`; all if there are none.
fn selected(functions: Vec<ImageFunction>, names: &[String]) -> Result<Vec<ImageFunction>, Failure> {
    let is_named = |function: &ImageFunction, name: &String| {
        function.logical_id == *name || function.function_name.as_ref() == Some(name)
    };
    if let Some(name) = names.iter().find(|name| !functions.iter().any(|function| is_named(function, name))) {
        let ids: Vec<_> = functions.iter().map(|function| &*function.logical_id).collect();
        let hint = (!ids.is_empty()).then(|| format!("the functions with images are {}", ids.join(", ")));
        return Err(Failure::Usage {
            message: format!("no image of a function `{name}` is to be built"),
            hint,
        });
    }
    let is_selected =
        |function: &ImageFunction| names.is_empty() || names.iter().any(|name| is_named(function, name));
    Ok(functions.into_iter().filter(is_selected).collect())
}
