//! What the options and variables of installers have in common.

use super::super::command::Command;
use super::super::context::Context;
use super::super::options::Arguments;
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::super::shell::variables::ShellVariables;
use super::requirement::{is_local, package};
use crate::recipe::{Bytecode, LockSelection, LockTool, PythonInstall, PythonInstaller};

/// Options that a requirements file has too, each with the variable of the same meaning.
const LINES: [(&str, &str); 4] = [
    ("index-url", "INDEX_URL"),
    ("extra-index-url", "EXTRA_INDEX_URL"),
    ("find-links", "FIND_LINKS"),
    ("trusted-host", "TRUSTED_HOST"),
];

/// An install of the packages and files that the arguments name.
pub fn install(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
    (installer, prefix): (PythonInstaller, &str),
) -> Attempt<PythonInstall> {
    let values = |name: &'static str| values(arguments, name);
    let paths = |name| {
        let paths = values(name).map(|field| {
            if field.text.contains("://") {
                return Err(field.refuse("is not a file of the image"));
            }
            context.path(field)?;
            Ok(field.plain()?.to_owned())
        });
        paths.collect::<Attempt<Vec<String>>>()
    };
    let target = arguments.value("target");
    if let Some(target) = target {
        context.place(target)?;
    }
    let settings = ShellVariables::environment(context.variables, &format!("{prefix}CONFIG_FILE"));
    context.mounts.reach_install(context.directory, settings);
    let packages = arguments.operands[1..].iter().map(|field| {
        if is_local(&field.text) {
            context.tree(field)?;
        }
        package(field)
    });
    let packages = packages.collect::<Attempt<_>>()?;
    let patterns = arguments.operands[1..].iter().filter(|field| field.pattern.is_some());
    let patterns = patterns.map(|field| field.text.clone()).collect();
    let (mut options, find_links) = lines(context, arguments, (installer, prefix));
    for field in values("find-links").filter(|field| !field.text.contains("://")) {
        context.tree(field)?;
    }
    if arguments.has("no-index") {
        options.push("--no-index".to_owned());
    }
    let install = PythonInstall {
        installer,
        program: command.name.to_owned(),
        packages,
        patterns,
        requirements: paths("requirement")?,
        constraints: paths("constraint")?,
        target: target.map(|target| target.plain().map(str::to_owned)).transpose()?,
        lock: None,
        environment: None,
        exact: false,
        user_base: None,
        upgrade: arguments.has("upgrade"),
        no_dependencies: arguments.has("no-deps"),
        require_hashes: arguments.has("require-hashes"),
        options,
        find_links,
        settings: settings.map(str::to_owned),
        bytecode: Bytecode::Never,
        installer_metadata: true,
    };
    match install.packages.is_empty() && install.requirements.is_empty() {
        true => Err(command.refuse("names no packages")),
        false => Ok(install),
    }
}

/// The options as lines of a requirements file, and the local places for packages. A variable counts like its option.
fn lines(
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
    (installer, prefix): (PythonInstaller, &str),
) -> (Vec<String>, Vec<String>) {
    let (mut options, mut find_links) = (Vec::new(), Vec::new());
    for (option, variable) in LINES {
        let given: Vec<&str> = values(arguments, option).map(|field| &*field.text).collect();
        let variable = ShellVariables::environment(context.variables, &format!("{prefix}{variable}"));
        let of_variable: Vec<&str> = variable.iter().flat_map(|value| value.split_whitespace()).collect();
        let used = match given.is_empty() {
            true => of_variable,
            // An option of pip that may be repeated adds to the variable; any other option replaces it.
            false if installer == PythonInstaller::Pip && option != "index-url" => {
                [of_variable, given].concat()
            }
            false => given,
        };
        for value in used {
            match option == "find-links" && !value.contains("://") {
                true => find_links.push(value.to_owned()),
                false => options.push(format!("--{option} {value}")),
            }
        }
    }
    (options, find_links)
}

/// The values of an option that may be repeated.
fn values<'a>(arguments: &'a Arguments<'_>, name: &'static str) -> impl Iterator<Item = &'a Field> {
    let options = arguments.options.iter().filter(move |option| option.name == name);
    options.filter_map(|option| option.value.as_ref())
}

/// Refuses a command that one of these variables changes.
pub fn check_variables(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    prefix: &str,
    names: &[&str],
) -> Attempt<()> {
    let is_set = |name: &&&str| {
        let value = ShellVariables::environment(context.variables, &format!("{prefix}{name}"));
        value.is_some_and(|value| !value.is_empty())
    };
    match names.iter().find(is_set) {
        Some(name) => Err(command.refuse(format!("is changed by the variable {prefix}{name}"))),
        None => Ok(()),
    }
}

/// Whether a variable switches something on.
pub fn is_on(context: &Context<'_, '_>, name: &str) -> bool {
    switch(context, name) == Some(true)
}

/// The value of a variable that is a switch; `None` if it is not set, or has another value.
pub fn switch(context: &Context<'_, '_>, name: &str) -> Option<bool> {
    let value = ShellVariables::environment(context.variables, name)?;
    match &*value.to_ascii_lowercase() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Some(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// The values of an option, each of which is a list.
pub fn listed(arguments: &Arguments<'_>, name: &str, separators: &[char]) -> Vec<String> {
    let given = arguments.options.iter().filter(|option| option.name == name);
    let values = given.filter_map(|option| option.value.as_ref());
    let names = values.flat_map(|value| value.text.split(separators).map(str::trim));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// An install of the packages of a lock.
pub fn locked(selection: LockSelection, installer: PythonInstaller, program: &str) -> PythonInstall {
    PythonInstall {
        installer,
        program: program.to_owned(),
        packages: Vec::new(),
        requirements: Vec::new(),
        constraints: Vec::new(),
        target: None,
        user_base: None,
        patterns: Vec::new(),
        lock: Some(selection),
        environment: None,
        exact: false,
        upgrade: false,
        no_dependencies: false,
        require_hashes: false,
        options: Vec::new(),
        find_links: Vec::new(),
        settings: None,
        bytecode: Bytecode::Never,
        installer_metadata: true,
    }
}

/// Refuses a command that reads files of the project in the place of a mount which only a process reads.
pub fn check_project(command: &Command<'_>, context: &Context<'_, '_>, tool: LockTool) -> Attempt<()> {
    context.mounts.reach_install(context.directory, None);
    for name in tool.files() {
        context.path(&named(command, name))?;
    }
    Ok(())
}

/// A path that a command uses without naming it.
pub fn named(command: &Command<'_>, path: &str) -> Field {
    Field { span: command.span, text: path.to_owned(), pattern: None }
}
