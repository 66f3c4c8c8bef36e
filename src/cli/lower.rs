//! Arguments and lbuild.toml become a recipe, its destinations and an engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lbuild::image::{Arch, ConfigEdit, Format, Platform};
use lbuild::lambda::runtime_base;
use lbuild::recipe::{Add, Base, DEFAULT_EPOCH, Recipe, Source, Step};
use lbuild::{Destination, DockerConfig, Engine, EngineBuilder, Password};

use super::Context;
#[cfg(feature = "aws")]
use super::args::ecr::Verb;
use super::args::{Command, Registry, What};
use super::config::Config;
use super::exit::Failure;
use super::packages;
use super::report::Report;

/// What is to be built.
pub struct Lowered {
    pub recipe: Recipe,
    pub config: Config,
    /// The handler, and the runtime or image whose rules say where its file must be.
    pub handler: Option<(String, String)>,
    /// Whether the image starts a program of the user's choice, not the base's.
    pub own_entrypoint: bool,
    /// Whether Lambda shall run it, as far as can be told: another container engine takes more.
    pub for_lambda: bool,
}

/// The recipe of the arguments; what they leave out, lbuild.toml says.
pub fn recipe(args: &What, report: &Report) -> Result<Lowered, Failure> {
    let config = Config::load(&args.path)?;
    let dir = &args.path;
    let arch = match (args.arch, &config.arch) {
        (Some(arch), _) => arch,
        (None, Some(name)) => name.parse()?,
        (None, None) => {
            return Err(Failure::usage("no architecture is given", "add --arch arm64 or --arch amd64"));
        }
    };
    let (base, base_name) = base(args, &config, report)?;
    let code = config.path.as_ref().map_or(dir.clone(), |path| dir.join(path));
    let packages = packages::python(args, &config, base_name.as_deref())?;
    if packages.is_none() {
        packages::remind(args, &config, &code, report);
    }
    let node = packages::node(args, &config, &code, report)?;
    let edit = edit(args, &config)?;
    let own_entrypoint = edit.entrypoint.is_some();
    if edit.cmd.is_none() && args.runtime.as_ref().or(config.runtime.as_ref()).is_some() {
        report.warn("the image names no handler", Some("add --handler, or set the command of the function"));
    }
    let handler = args.handler.clone().or(config.handler.clone().filter(|_| args.cmd.is_none()));
    let mut steps = Vec::new();
    if edit != ConfigEdit::default() {
        steps.push(Step::Edit(edit));
    }
    steps.extend(packages.map(|source| Step::Add(Add { source, to: None })));
    for deps in given(&args.deps, &config.deps.0, dir) {
        let (path, to) = split_path(&deps);
        let source = source(path.into(), false);
        let layer = matches!(source, Source::Zip { .. }).then(|| LAYERS.to_owned());
        steps.push(Step::Add(Add { source, to: to.or(layer) }));
    }
    let without = node.as_ref().map(packages::brought).unwrap_or_default();
    steps.extend(node.map(|npm| Step::Add(Add { source: Source::Npm(npm), to: None })));
    let code = match source(code, true) {
        Source::Directory { path, ignore, .. } => Source::Directory { path, ignore, without },
        other => other,
    };
    steps.push(Step::Add(Add { source: code, to: None }));
    for added in given(&args.add, &config.add.0, dir) {
        match split_path(&added) {
            (path, to @ Some(_)) => {
                let source = Source::Directory { path: path.into(), ignore: false, without: Vec::new() };
                steps.push(Step::Add(Add { source, to }));
            }
            (path, None) => {
                let message = format!("--add {path} names no place in the image");
                return Err(Failure::usage(message, "write it as SRC:/PATH"));
            }
        }
    }
    let recipe = Recipe { epoch: epoch()?, ..Recipe::new(Platform::linux(arch), base, steps) };
    let lambda_base = |name: &String| !name.contains(['/', ':']) || name.contains("/lambda/");
    let for_lambda = handler.is_some() || base_name.as_ref().is_some_and(lambda_base);
    Ok(Lowered { recipe, config, handler: handler.zip(base_name), own_entrypoint, for_lambda })
}

/// What was given by flag, else by the file; paths in the file are relative to it.
fn given(flags: &[String], file: &[String], dir: &Path) -> Vec<String> {
    match flags {
        [] => file.iter().map(|text| dir.join(text).display().to_string()).collect(),
        flags => flags.to_vec(),
    }
}

/// Splits `SRC:/PATH`; the last `:/` counts, as a source's name may hold one.
fn split_path(text: &str) -> (String, Option<String>) {
    match text.rfind(":/") {
        Some(colon) => (text[..colon].to_owned(), Some(text[colon + 1..].to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Where Lambda unpacks the zip archives of layers.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>
const LAYERS: &str = "/opt";

/// The content of a zip archive, when `path` is one; else that of a directory, or a file.
fn source(path: PathBuf, ignore: bool) -> Source {
    let mut magic = [0; 4];
    // a pipe would be waited for
    let read = path.is_file() && File::open(&path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok());
    // of the first member's header, or of the directory when there is no member
    match read && [b"PK\x03\x04", b"PK\x05\x06"].contains(&&magic) {
        true => Source::Zip { path },
        false => Source::Directory { path, ignore, without: Vec::new() },
    }
}

fn base(args: &What, config: &Config, report: &Report) -> Result<(Base, Option<String>), Failure> {
    let (runtime, base) = match (&args.runtime, &args.base) {
        (None, None) if config.runtime.is_some() && config.base.is_some() => {
            return Err(Failure::usage("lbuild.toml gives both a runtime and a base", "keep one of them"));
        }
        (None, None) => (config.runtime.as_ref(), config.base.as_ref()),
        flags => (flags.0.as_ref(), flags.1.as_ref()),
    };
    if let Some(runtime) = runtime {
        let base = runtime_base(runtime);
        for (message, hint) in base.warnings(&today()) {
            report.warn(&message, Some(hint));
        }
        return Ok((Base::Registry(base.image.parse()?), Some(runtime.clone())));
    }
    let from_file = args.base.is_none();
    let Some(base) = base else {
        return Err(Failure::usage(
            "no base is given",
            "add --runtime NAME or --base IMAGE, or run `lbuild init`",
        ));
    };
    Ok((parse_base(base, if from_file { &args.path } else { Path::new("") })?, Some(base.clone())))
}

/// `scratch`, `oci:DIR[:TAG]`, `oci:DIR@DIGEST`, `docker-archive:FILE[:NAME[:TAG]]`, or the name of an image.
pub fn parse_base(text: &str, dir: &Path) -> Result<Base, Failure> {
    if text == "scratch" {
        return Ok(Base::Scratch);
    }
    // As `lbuild inspect` names an image of a layout.
    if let Some((path, digest)) = text.strip_prefix("oci:").and_then(|rest| rest.rsplit_once('@'))
        && let Ok(digest) = digest.parse()
    {
        return Ok(Base::Layout { path: dir.join(path), tag: None, digest: Some(digest) });
    }
    if ["oci:", "docker-archive:"].iter().any(|scheme| text.starts_with(scheme)) {
        return match text.parse()? {
            Destination::Layout { path, tags } => {
                let tag = tags.into_iter().next();
                Ok(Base::Layout { path: dir.join(path), tag, digest: None })
            }
            Destination::Archive { path, names } => {
                let name = names.into_iter().next();
                Ok(Base::Archive { path: dir.join(path), name, digest: None })
            }
            Destination::Registry { .. } => unreachable!("it starts with the scheme of another"),
        };
    }
    Ok(Base::Registry(text.parse()?))
}

fn edit(args: &What, config: &Config) -> Result<ConfigEdit, Failure> {
    let words = |flag: &Option<String>, file: &Option<Vec<String>>| match flag {
        Some(text) => words(text).map(Some),
        None => Ok(file.clone()),
    };
    let cmd = match (&args.handler, &args.cmd) {
        (Some(handler), _) => Some(vec![handler.clone()]),
        (None, None) if config.cmd.is_none() => config.handler.clone().map(|handler| vec![handler]),
        (None, _) if args.cmd.is_none() && config.handler.is_some() => {
            return Err(Failure::usage("lbuild.toml gives both a handler and a cmd", "keep one of them"));
        }
        (None, flag) => words(flag, &config.cmd)?,
    };
    let mut env: BTreeMap<String, String> = config.env.clone();
    let flags = pairs(&args.env, "--env")?;
    flags.iter().for_each(|(name, _)| drop(env.remove(name)));
    let mut labels = config.label.clone();
    labels.extend(pairs(&args.label, "--label")?);
    Ok(ConfigEdit {
        env: env.into_iter().chain(flags).collect(),
        entrypoint: words(&args.entrypoint, &config.entrypoint)?,
        cmd,
        workdir: args.workdir.clone().or(config.workdir.clone()),
        user: args.user.clone().or(config.user.clone()),
        labels,
        created: None,
    })
}

fn pairs(flags: &[String], name: &str) -> Result<Vec<(String, String)>, Failure> {
    let split = |flag: &String| match flag.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // The value may be a secret: only the name's place is told.
        _ => Err(Failure::usage(format!("a value of {name} is not of the form NAME=VALUE"), None)),
    };
    flags.iter().map(split).collect()
}

/// A JSON array of texts, or words between spaces.
fn words(text: &str) -> Result<Vec<String>, Failure> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| {
            Failure::usage(
                format!("`{text}` is no JSON array of texts: {error}"),
                "quote it as '[\"a\", \"b\"]'",
            )
        });
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>
fn epoch() -> Result<u64, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text.trim().parse().map_err(|_| {
            Failure::usage(format!("SOURCE_DATE_EPOCH is `{text}`"), "it is a number of seconds since 1970")
        }),
        _ => Ok(DEFAULT_EPOCH),
    }
}

pub fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let date =
        i64::try_from(now.as_secs()).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    date.unwrap_or_default().format("%Y-%m-%d").to_string()
}

/// Where to, with every tag, and in which format: the flag's, else the file's, else the place's usual one.
pub fn destinations(
    to: &[String],
    tags: &[String],
    format: Option<Format>,
) -> Result<Vec<(Destination, Format)>, Failure> {
    let parse = |to: &String| {
        let to = to.parse::<Destination>()?.tagged(tags)?;
        let format = format.unwrap_or(to.usual_format());
        Ok((to, format))
    };
    to.iter().map(parse).collect()
}

/// Takes from standard input what the command expects there: a password, or a helper's question.
pub fn read_input(command: &mut Command) -> Result<(), Failure> {
    let read = |what: &str| {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text).map_err(|source| Failure::Read { what: what.to_owned(), source })
    };
    #[cfg(feature = "aws")]
    if let Command::CredentialHelper(helper) = command {
        // Who stores or erases a login says which, and would be told of a broken pipe if nobody listened.
        if !matches!(helper.verb, Verb::List) {
            helper.input = read("standard input")?;
        }
        return Ok(());
    }
    if let Some(registry) = command.registry().filter(|registry| registry.password_stdin) {
        let text = read("the password from standard input")?;
        registry.password = Some(text.trim_end_matches(['\r', '\n']).to_owned().into());
    }
    Ok(())
}

/// An engine; a password that was given is for `login`, and for no other registry.
pub fn engine(
    args: &Registry,
    config_insecure: &[String],
    context: &Context,
    login: &[&str],
) -> Result<EngineBuilder, Failure> {
    let report = context.report.clone();
    let mut builder = Engine::builder().on_event(move |event| report.event(&event));
    if let Some(jobs) = context.output.jobs {
        builder = builder.jobs(jobs.into());
    }
    for registry in args.insecure.iter().chain(config_insecure) {
        builder = builder.insecure(registry);
    }
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        let Some(registry) = login.first().filter(|first| login.iter().all(|other| other == *first)) else {
            let message = "a username is given, but not one registry that it is for";
            return Err(Failure::usage(
                message,
                "for several registries, log in to each with any Docker tool",
            ));
        };
        let (registry, username, password) = ((*registry).to_owned(), username.clone(), password.clone());
        builder = builder.credentials(Password { registry, username, password });
    }
    for (registry, endpoint) in endpoints()? {
        builder = builder.endpoint(registry, endpoint);
    }
    #[cfg(feature = "aws")]
    let builder = builder.credentials(context.aws.clone());
    Ok(builder.credentials(DockerConfig))
}

/// Where registries are reached, when that is not where their names say.
fn endpoints() -> Result<Vec<(String, String)>, Failure> {
    let text = std::env::var("LBUILD_REGISTRY_ENDPOINT").unwrap_or_default();
    let split = |pair: &str| match pair.trim().split_once('=') {
        Some((registry, endpoint)) if !registry.is_empty() => Ok((registry.to_owned(), endpoint.to_owned())),
        // What stands before an @ may be a password.
        _ => Err(Failure::usage(
            format!("LBUILD_REGISTRY_ENDPOINT has `{}`", pair.rsplit('@').next().unwrap_or_default().trim()),
            "write it as REGISTRY=https://HOST[:PORT], with commas between several",
        )),
    };
    text.split(',').filter(|pair| !pair.trim().is_empty()).map(split).collect()
}

/// The registry of a recipe's base.
pub fn base_registry(recipe: &Recipe) -> Option<&str> {
    recipe.stages.iter().find_map(|stage| match &stage.base {
        Base::Registry(name) => Some(name.registry()),
        _ => None,
    })
}

/// `--arch` is the flag's own type; a file's is text.
pub fn platform(arch: Option<Arch>) -> Option<Platform> {
    arch.map(Platform::linux)
}
