//! Lambda layers, extensions and the wrapper of the runtime.

use std::path::{Path, PathBuf};

use lbuild::image::ConfigEdit;
use lbuild::lambda::runtime_of;
use lbuild::recipe::{Add, Base, ImageFiles, LambdaLayer, Source, Step};

use super::config_file::ConfigFile;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;

/// The directory into which Lambda unpacks layers, <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>,
/// and that from which it starts extensions.
pub const LAYERS: &str = "/opt";
const EXTENSIONS: &str = "/opt/extensions";

/// AWS's adapter, an extension that passes events to a web server: <https://github.com/aws/aws-lambda-web-adapter>.
const WEB_ADAPTER: &str = "public.ecr.aws/awsguru/aws-lambda-adapter:1.0.0";

/// The variable that names the wrapper: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html>.
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// The steps that add them, in the order of the arguments of each flag: a later layer is on top of those before it.
///
/// `base` is the name of the runtime or of the base image.
pub fn steps(args: &ImageArgs, config: &ConfigFile, base: Option<&str>) -> Result<Vec<Step>, Failure> {
    let layers = &args.layers;
    let mut steps = Vec::new();
    for text in given(&layers.layer, &config.layer.0) {
        let file = path(&text, &layers.layer, args);
        let source = match is_arn(&text) {
            true => of_arn(&text, base.and_then(runtime_of))?,
            false if file.is_dir() => {
                let message = format!("--layer {text} is a directory, not the zip of a layer");
                return Err(Failure::Usage {
                    message,
                    hint: Some(format!("add it with --deps {text}:/opt")),
                });
            }
            false => Source::Zip { path: file },
        };
        steps.push(add(source, LAYERS.to_owned()));
    }
    for text in given(&layers.layer_image, &config.layer_image.0) {
        // `oci:/DIR` names a layout; the path after the colon is not one in the image.
        let is_scheme = |name: &str| matches!(name, "oci" | "docker-archive");
        let (name, dir) = match text.rfind(":/").filter(|colon| !is_scheme(&text[..*colon])) {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (text.as_str(), LAYERS),
        };
        let dir = of_image(name, dir, relative(&layers.layer_image, args))?;
        steps.push(add(dir, format!("{LAYERS}/")));
    }
    for text in given(&layers.extension, &config.extension.0) {
        let file = path(&text, &layers.extension, args);
        steps.push(match file.is_file() {
            true => add(Source::Program { path: file }, format!("{EXTENSIONS}/")),
            false if file.exists() || text.starts_with(['.', '/']) => {
                let message = format!("--extension {text} is not a file");
                return Err(Failure::usage(message, "name its program, or an image with /opt/extensions"));
            }
            false => {
                let dir = of_image(&text, EXTENSIONS, relative(&layers.extension, args))?;
                add(dir, format!("{EXTENSIONS}/"))
            }
        });
    }
    if let Some(image) = layers.web_adapter.as_ref().or(config.web_adapter.0.as_ref()) {
        let image = if image.is_empty() { WEB_ADAPTER } else { image };
        let flags: Vec<String> = layers.web_adapter.iter().cloned().collect();
        let program = of_image(image, "/lambda-adapter", relative(&flags, args))?;
        steps.push(add(program, format!("{EXTENSIONS}/")));
    }
    steps.extend(wrapper(args, config)?);
    Ok(steps)
}

/// The steps for the wrapper: a file of this machine is added, any other one is in a layer or in the base.
fn wrapper(args: &ImageArgs, config: &ConfigFile) -> Result<Vec<Step>, Failure> {
    let flags: Vec<String> = args.layers.wrapper.iter().cloned().collect();
    let Some(text) = flags.first().or(config.wrapper.as_ref()) else { return Ok(Vec::new()) };
    let file = path(text, &flags, args);
    let set = |to: String| {
        let env = vec![(WRAPPER.to_owned(), to)];
        Step::Edit(ConfigEdit { env, ..ConfigEdit::default() })
    };
    if !file.is_file() {
        return match text.starts_with("/opt/") {
            true => Ok(vec![set(text.clone())]),
            false => {
                let message = format!("--wrapper {text} is not a file");
                Err(Failure::usage(message, "name a script, or the path of one in a layer, as /opt/wrapper"))
            }
        };
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to = format!("{LAYERS}/{name}");
    Ok(vec![add(Source::Program { path: file }, to.clone()), set(to)])
}

/// Whether a layer is named by its ARN, rather than by the path of its zip.
pub fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}

/// A version of a Lambda layer, for an image of this runtime.
pub fn of_arn(text: &str, runtime: Option<&str>) -> Result<Source, Failure> {
    let runtime = runtime.map(str::to_owned);
    Ok(Source::LambdaLayer(LambdaLayer { arn: text.parse()?, sha256: None, runtime }))
}

/// The step that adds files to a directory of the image.
pub fn add(source: Source, to: String) -> Step {
    Step::Add(Add { source, to: Some(to) })
}

fn of_image(name: &str, path: &str, dir: Option<&Path>) -> Result<Source, Failure> {
    let image: Base = name.parse()?;
    let image = match dir {
        Some(dir) => image.relative_to(dir),
        None => image,
    };
    Ok(Source::Image(ImageFiles { image, path: path.to_owned() }))
}

/// The values of the flag, else those of lbuild.toml.
fn given(flags: &[String], file: &[String]) -> Vec<String> {
    if flags.is_empty() { file.to_vec() } else { flags.to_vec() }
}

/// The directory to which the names of layouts are relative, if they are those of lbuild.toml.
fn relative<'a>(flags: &[String], args: &'a ImageArgs) -> Option<&'a Path> {
    flags.is_empty().then_some(args.path.as_path())
}

/// A path of a value: one of lbuild.toml is relative to the file.
fn path(text: &str, flags: &[String], args: &ImageArgs) -> PathBuf {
    if flags.is_empty() { args.path.join(text) } else { Path::new(text).to_owned() }
}
