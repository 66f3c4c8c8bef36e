//! Lowers a Dockerfile with made-up bases, and shows the recipe in a short form.

use std::fmt::Write as _;

use lbuild::Error;
use lbuild::frontend::dockerfile::{
    Arguments, BaseImage, Configs, Dockerfile, Lowered, NamedContext, Translate,
};
use lbuild::image::{Arch, Config, ConfigEdit, Platform};
use lbuild::recipe::{Add, Base, BuildContext, Command, CopyFiles, CopySource, Recipe, Run, Source, Step};
use serde_json::{Value, json};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The arguments in lines `# args: WORD…` of the text: `arch=`, `target=`, `translate=`, `arg:NAME=VALUE`, `dir:NAME=PATH`,
/// `image:NAME=REFERENCE`.
pub fn arguments(text: &str) -> Arguments {
    let mut arguments = Arguments::new(Platform::linux(Arch::Arm64), ".".into());
    arguments.build_platform = Platform::linux(Arch::Amd64);
    let lines = text.lines().filter_map(|line| line.strip_prefix("# args: "));
    for word in lines.flat_map(str::split_whitespace) {
        let (name, value) = word.split_once('=').unwrap();
        match name.split_once(':') {
            None if name == "arch" => arguments.platform = Platform::linux(value.parse().unwrap()),
            None if name == "target" => arguments.target = Some(value.to_owned()),
            None if name == "translate" => {
                arguments.translate = match value {
                    "always" => Translate::Always,
                    "never" => Translate::Never,
                    _ => Translate::Auto,
                }
            }
            Some(("arg", name)) => drop(arguments.build_args.insert(name.to_owned(), value.to_owned())),
            Some(("dir", name)) => {
                let context = BuildContext { path: value.into(), ignore: Vec::new() };
                arguments.contexts.insert(name.to_owned(), NamedContext::Directory(context));
            }
            Some(("image", name)) => {
                let image = NamedContext::Image(value.parse().unwrap());
                arguments.contexts.insert(name.to_owned(), image);
            }
            _ => panic!("{word}"),
        }
    }
    arguments
}

/// A config that the name of the image decides.
fn config(image: &BaseImage) -> Config {
    let name = image.base.to_string();
    let process = match () {
        () if name.contains("/lambda/") => json!({
            "Env": [format!("PATH={PATH}"), "LAMBDA_TASK_ROOT=/var/task"],
            "WorkingDir": "/var/task", "Entrypoint": ["/lambda-entrypoint.sh"],
        }),
        () if name.contains("/bare") => json!({}),
        () if name.contains("/trigger") => json!({
            "Env": [format!("PATH={PATH}")],
            "OnBuild": ["ARG VERSION=base", "COPY --from=tools /t /t", "RUN touch $VERSION"],
        }),
        () if name.contains("/broken-trigger") => json!({ "OnBuild": ["COPPY a b"] }),
        () if name.contains("/full") => json!({
            "Env": [format!("PATH={PATH}"), "BAD", "A=base"], "WorkingDir": "relative", "User": "app:group",
            "Shell": ["/bin/bash", "-c"], "ExposedPorts": { "1/tcp": {} }, "Volumes": { "/v": {} },
            "Labels": { "a": "base", "b": "base" }, "Entrypoint": ["/init"], "Cmd": ["base"],
            "Healthcheck": { "Test": ["NONE"] },
        }),
        () => json!({ "Env": [format!("PATH={PATH}")], "Cmd": ["sh"] }),
    };
    let config = json!({
        "os": image.platform.os, "architecture": image.platform.architecture, "config": process,
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    Config::parse(&name, config.to_string().as_bytes()).unwrap()
}

pub fn lower(text: &str) -> Result<Lowered, Error> {
    let arguments = arguments(text);
    let dockerfile = Dockerfile::parse("Dockerfile", text)?;
    let mut configs = Configs::default();
    loop {
        let bases = dockerfile.bases(&arguments, &configs)?;
        bases.iter().for_each(|base| configs.insert(base, config(base)));
        if bases.is_empty() {
            let lowered = dockerfile.lower(&arguments, &configs)?;
            lowered.recipe.check().unwrap_or_else(|error| panic!("{text}: {error}"));
            return Ok(lowered);
        }
    }
}

/// The message of the error and its hint.
pub fn refusal(text: &str) -> String {
    match lower(text) {
        Ok(lowered) => panic!("accepted: {text}\n{}", show(&lowered.recipe)),
        Err(error) => error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}\nhint: {hint}")),
    }
}

/// Fails with all cases that differ, each with its rule and text.
fn assert_all<T: std::fmt::Debug + PartialEq>(cases: impl Iterator<Item = (u32, String, T, T)>) {
    let wrong =
        cases.filter(|(_, _, found, expected)| found != expected).map(|(rule, text, found, expected)| {
            format!("rule {rule}:\n{text}\n  found: {found:#?}\n  expected: {expected:#?}\n")
        });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn shown(text: &str) -> Result<String, String> {
    lower(text).map(|lowered| show(&lowered.recipe)).map_err(|error| error.to_string())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Compares the steps of the last stage. In `expected`, steps are on a line each.
pub fn assert_steps(table: &[(u32, &str, &str)]) {
    assert_all(table.iter().map(|(rule, text, expected)| {
        let steps = shown(text).map(|shown| lines(shown.split("FROM ").last().unwrap()).split_off(1));
        (*rule, (*text).to_owned(), steps, Ok(lines(expected)))
    }));
}

/// Compares the whole recipe.
pub fn assert_recipes(table: &[(u32, &str, &str)]) {
    assert_all(table.iter().map(|(rule, text, expected)| {
        (*rule, (*text).to_owned(), shown(text).map(|shown| lines(&shown)), Ok(lines(expected)))
    }));
}

/// Compares the line, the column and the message of errors.
pub fn assert_refused(table: &[(u32, &str, &str)]) {
    assert_all(table.iter().map(|(rule, text, expected)| {
        let found = match lower(text) {
            Ok(lowered) => format!("accepted: {}", show(&lowered.recipe)),
            Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        };
        let shown: String = text.chars().take(200).collect();
        (*rule, shown, found, format!("Dockerfile:{expected}"))
    }));
}

/// Compares the warnings: line and rule.
pub fn assert_warned(table: &[(u32, &str, &[&str])]) {
    let name = |message: &str| message.rsplit_once('(').unwrap().1.trim_end_matches(')').to_owned();
    assert_all(table.iter().map(|(rule, text, expected)| {
        let found = lower(text).map_err(|error| error.to_string()).map(|lowered| {
            let found = lowered.warnings.iter();
            found.map(|warning| format!("{} {}", warning.line, name(&warning.message))).collect::<Vec<_>>()
        });
        (*rule, (*text).to_owned(), found, Ok(expected.iter().map(|line| (*line).to_owned()).collect()))
    }));
}

/// A short form of a recipe.
pub fn show(recipe: &Recipe) -> String {
    let mut out = String::new();
    for stage in &recipe.stages {
        write!(out, "FROM {}", stage.base).unwrap();
        if let Some(platform) = &stage.platform {
            write!(out, " for {platform}").unwrap();
        }
        if let Some(name) = &stage.name {
            write!(out, " AS {name}").unwrap();
        }
        out.push('\n');
        for step in &stage.steps {
            match step {
                Step::Edit(edit) => show_edit(edit, &mut out),
                Step::Add(add) => show_add(add, &mut out),
                Step::Run(run) => show_run(run, &mut out),
            }
        }
    }
    out
}

fn show_edit(edit: &ConfigEdit, out: &mut String) {
    let mut line = |name: &str, value: String| writeln!(out, "  {name} {value}").unwrap();
    for (name, value) in &edit.env {
        // In an edit, a dollar sign is written twice.
        line("env", format!("{name}={}", value.replace("$$", "$")));
    }
    for (name, value) in [("directory", &edit.workdir), ("user", &edit.user), ("author", &edit.author)] {
        value.iter().for_each(|value| line(name, value.clone()));
    }
    for (name, words) in [("entrypoint", &edit.entrypoint), ("cmd", &edit.cmd)] {
        words.iter().for_each(|words| line(name, json!(words).to_string()));
    }
    for (name, value) in &edit.labels {
        line("label", format!("{name}={value}"));
    }
    for (name, value) in &edit.fields {
        line(name, value.to_string());
    }
}

fn show_add(add: &Add, out: &mut String) {
    let to = add.to.as_deref().unwrap();
    match &add.source {
        Source::EmptyDirectory { owner, .. } => {
            let owner = owner.as_ref().map(|owner| format!(" {owner}")).unwrap_or_default();
            writeln!(out, "  make {to}{owner}").unwrap();
        }
        Source::Copy(CopyFiles { sources, owner, mode, exclude, parents, link, .. }) => {
            out.push_str("  copy");
            for (flag, value) in [("owner", owner), ("mode", mode)] {
                value.iter().for_each(|value| write!(out, " {flag}={value}").unwrap());
            }
            exclude.iter().for_each(|pattern| write!(out, " exclude={pattern}").unwrap());
            for (flag, value) in [("parents", parents), ("link", link)] {
                out.push_str(&if *value { format!(" {flag}") } else { String::new() });
            }
            sources.iter().for_each(|source| write!(out, " {}", shown_source(source)).unwrap());
            writeln!(out, " -> {to}").unwrap();
        }
        other => panic!("{other:?}"),
    }
}

fn shown_source(source: &CopySource) -> String {
    let unpacked = |unpack: &bool| if *unpack { "*" } else { "" };
    match source {
        CopySource::Context { context, path, unpack } if context.path.as_os_str() == "." => {
            format!("{path}{}", unpacked(unpack))
        }
        CopySource::Context { context, path, unpack } => {
            format!("{}:{path}{}", context.path.display(), unpacked(unpack))
        }
        CopySource::Image { image: Base::Stage(number), path } => format!("{number}:{path}"),
        CopySource::Image { image, path } => format!("{image}:{path}"),
        CopySource::Url { url, checksum, unpack } => {
            let checksum = checksum.map(|digest| format!("@{digest}")).unwrap_or_default();
            format!("{url}{checksum}{}", unpacked(unpack))
        }
        CopySource::Inline { name, content } => format!("<<{name}{content:?}"),
    }
}

fn show_run(run: &Run, out: &mut String) {
    let command = match &run.command {
        Command::Exec(words) => json!(words).to_string(),
        Command::Shell { shell, text } => format!("{} {text:?}", shell.join(" ")),
        Command::Script { name, content } => format!("script {name} {content:?}"),
    };
    write!(out, "  run {command} in {}", run.directory).unwrap();
    run.user.iter().for_each(|user| write!(out, " as {user}").unwrap());
    for (name, value) in run.arguments.iter() {
        write!(out, " {name}={value}").unwrap();
    }
    for (name, value) in run.proxies.iter() {
        write!(out, " proxy:{name}={value}").unwrap();
    }
    for mount in &run.mounts {
        write!(out, " {}", json!(mount)).unwrap();
    }
    match json!(run.network) {
        Value::String(network) if network != "default" => writeln!(out, " network={network}").unwrap(),
        _ => out.push('\n'),
    }
}
