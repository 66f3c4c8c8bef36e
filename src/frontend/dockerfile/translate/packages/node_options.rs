//! What npm, yarn and pnpm have in common: how they read options, and the install that results.

use super::super::command::Command;
use super::super::context::Context;
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::super::shell::variables::ShellVariables;
use super::options::check_variables;
use crate::image::paths::resolve;
use crate::recipe::{NodeInstall, NodeInstaller};

/// An option: its names, those with one letter after one dash, its value, and what it does.
pub(super) type Known = (&'static [&'static str], Takes, Effect);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// None; but `=true` and `=false` may follow.
    Nothing,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes only what is printed, how packages are fetched, or where the cache is.
    Nothing,
    /// The program gets it, with its first name.
    Passed,
    /// As `--omit=dev` of npm.
    Production,
    /// The groups of packages that npm has: `--omit`, `--include`.
    Group,
    /// Install scripts do not run.
    IgnoreScripts,
    /// The lock file must exist and fit.
    Frozen,
    /// The directory with `package.json`.
    Directory,
}

/// Settings that change what is installed, as variables `npm_config_…` of npm, yarn 1 and pnpm.
const SETTINGS: [&str; 24] = [
    "omit",
    "include",
    "only",
    "also",
    "dev",
    "production",
    "optional",
    "prefix",
    "global",
    "location",
    "ignore_scripts",
    "package_lock",
    "package_lock_only",
    "install_strategy",
    "install_links",
    "legacy_bundling",
    "global_style",
    "legacy_peer_deps",
    "node_linker",
    "workspace",
    "workspaces",
    "os",
    "cpu",
    "libc",
];

/// Settings of yarn 2 and later that change what is installed, as variables `YARN_…`.
const OF_YARN: [&str; 7] = [
    "NODE_LINKER",
    "ENABLE_SCRIPTS",
    "ENABLE_IMMUTABLE_INSTALLS",
    "IGNORE_SCRIPTS",
    "PRODUCTION",
    "RC_FILENAME",
    "YARN_PATH",
];

/// The words of a command: its operands, and the install that its options describe.
pub(super) struct Words<'f> {
    pub operands: Vec<&'f Field>,
    pub install: NodeInstall,
}

/// Reads the words of a command, with the variables that are in force.
pub(super) fn read<'f>(
    command: &Command<'f>,
    context: &Context<'_, '_>,
    program: NodeInstaller,
    known: &[Known],
) -> Attempt<Words<'f>> {
    if command.by_path {
        return Err(command.refuse("is not looked up in PATH"));
    }
    let upper: Vec<String> = SETTINGS.iter().map(|name| name.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    check_variables(command, context, "npm_config_", &SETTINGS)?;
    check_variables(command, context, "NPM_CONFIG_", &upper)?;
    check_variables(command, context, "YARN_", &OF_YARN)?;
    let variable = |name| ShellVariables::environment(context.variables, name);
    let install = NodeInstall {
        program,
        directory: ".".to_owned(),
        frozen: false,
        production: variable("NODE_ENV") == Some("production"),
        ignore_scripts: false,
        options: Vec::new(),
    };
    let mut words = Words { operands: Vec::new(), install };
    let mut fields = command.arguments.iter();
    while let Some(field) = fields.next() {
        let Some((name, value)) = named(field)? else {
            words.operands.push(field);
            continue;
        };
        let option = known.iter().find(|(names, ..)| names.contains(&name));
        let unknown = || field.refuse(format!("is not a translated option of {}", command.name));
        let &(names, takes, effect) = option.ok_or_else(unknown)?;
        let value = match (takes, value) {
            (Takes::Nothing, None | Some("true")) => None,
            (Takes::Nothing, Some("false")) => Some("false"),
            (Takes::Nothing, Some(_)) => return Err(field.refuse("has neither `true` nor `false`")),
            (Takes::Value, Some(value)) => Some(value),
            (Takes::Value, None) => {
                let next = fields.next().ok_or_else(|| field.refuse("is an option without its value"))?;
                Some(next.plain()?)
            }
        };
        words.take(names[0], effect, value, field, context)?;
    }
    let registry = ["NPM_CONFIG_REGISTRY", "npm_config_registry"].into_iter().find_map(variable);
    let is_given = words.install.options.iter().any(|option| option.starts_with("--registry="));
    words
        .install
        .options
        .extend(registry.filter(|url| !is_given && !url.is_empty()).map(|url| format!("--registry={url}")));
    let directory = resolve(context.directory, &words.install.directory);
    context.mounts.reach_install(&directory, None);
    context
        .mounts
        .fill(&directory)
        .map_err(|_| command.refuse("installs into a directory in which there is a mount"))?;
    Ok(words)
}

/// The word that says what the program does. If the words cannot be read, it is the first that is no option.
pub(super) fn verb<'f>(command: &Command<'f>, words: &Attempt<Words<'f>>) -> Option<&'f Field> {
    match words {
        Ok(words) => words.operands.first().copied(),
        Err(_) => command.arguments.iter().find(|field| !field.text.starts_with('-')),
    }
}

/// The name and the value of an option; `None` for an operand.
fn named(field: &Field) -> Attempt<Option<(&str, Option<&str>)>> {
    let text = field.plain()?;
    let name = match (text.strip_prefix("--"), text.strip_prefix('-')) {
        (Some(""), _) | (None, Some("")) => return Err(field.refuse("is not translated")),
        (Some(name), _) => name,
        // A letter is an option by its own, so that it is not taken for a word: `-s`.
        (None, Some(letters)) if letters.len() == 1 => letters,
        (None, Some(_)) => return Err(field.refuse("has several options in one word")),
        (None, None) => return Ok(None),
    };
    Ok(Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)))))
}

impl Words<'_> {
    fn take(
        &mut self,
        name: &str,
        effect: Effect,
        value: Option<&str>,
        field: &Field,
        context: &Context<'_, '_>,
    ) -> Attempt<()> {
        let install = &mut self.install;
        let is_on = value != Some("false");
        match effect {
            Effect::Nothing => {}
            Effect::Passed => install.options.push(match value {
                Some(value) => format!("--{name}={value}"),
                None => format!("--{name}"),
            }),
            Effect::Production if is_on => install.options.push("--omit=dev".to_owned()),
            // Versions of npm differ in whether this changes what NODE_ENV says.
            Effect::Production if install.production => {
                return Err(field.refuse("is not translated where NODE_ENV is production"));
            }
            Effect::Production => {}
            Effect::Group => match value {
                Some(group @ ("dev" | "optional" | "peer" | "prod")) => {
                    install.options.push(format!("--{name}={group}"));
                }
                _ => return Err(field.refuse("is not a group of packages")),
            },
            Effect::IgnoreScripts => install.ignore_scripts = is_on,
            Effect::Frozen => install.frozen = is_on,
            Effect::Directory => {
                let path = value.unwrap_or_default();
                context.path(&Field { span: field.span, text: path.to_owned(), pattern: None })?;
                path.clone_into(&mut install.directory);
            }
        }
        Ok(())
    }

    /// Refuses packages that the command names.
    pub fn check_operands(&self, count: usize) -> Attempt<()> {
        match self.operands.get(count) {
            Some(package) => Err(package.refuse("is a package that no lock file names")),
            None => Ok(()),
        }
    }
}
