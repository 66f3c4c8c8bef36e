//! The call of `docker run` by which CDK bundles a Python function.

use std::path::{Path, PathBuf};

use crate::cli::docker::refused::asked;
use crate::cli::output::exit::Failure;

/// What is to be bundled.
#[derive(Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The source directory.
    pub from: PathBuf,
    /// The directory of the bundle.
    pub to: PathBuf,
    /// The patterns of `--exclude`.
    pub exclude: Vec<String>,
    pub packages: Packages,
}

/// The file in the bundle that lists the packages.
#[derive(Debug, PartialEq, Eq)]
pub enum Packages {
    None,
    Requirements,
    Lock(&'static str),
}

/// The flags of `docker run` with a value.
const WITH_VALUE: [&str; 12] = [
    "-u",
    "--user",
    "-v",
    "--volume",
    "-w",
    "--workdir",
    "--platform",
    "--env",
    "-e",
    "--network",
    "--security-opt",
    "--entrypoint",
];

/// A call, by its parts.
struct Call<'w> {
    flags: Vec<(&'w str, &'w str)>,
    image: &'w str,
    command: &'w [String],
}

impl Call<'_> {
    fn parse(words: &[String]) -> Option<Call<'_>> {
        let (mut flags, mut at) = (Vec::new(), 0);
        while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
            at += 1;
            match word.split_once('=') {
                Some((name, value)) => flags.push((name, value)),
                None if WITH_VALUE.contains(&word.as_str()) => {
                    flags.push((word, words.get(at)?));
                    at += 1;
                }
                None => flags.push((word, "")),
            }
        }
        Some(Call { flags, image: words.get(at)?, command: &words[at + 1..] })
    }

    /// The directory of this machine that is mounted at a path of the container, or above it.
    fn mounted(&self, path: &str) -> Option<PathBuf> {
        let volumes = self.flags.iter().filter(|(name, _)| ["-v", "--volume"].contains(name));
        volumes
            .filter_map(|(_, volume)| {
                let (host, rest) = volume.split_once(':')?;
                let below = Path::new(path).strip_prefix(rest.split(':').next()?).ok()?;
                Path::new(host).is_absolute().then(|| Path::new(host).join(below))
            })
            .next()
    }
}

/// The image of a call.
pub fn image_of(words: &[String]) -> Option<&str> {
    Call::parse(words).map(|call| call.image)
}

impl Bundle {
    /// The bundle that a call makes.
    ///
    /// # Errors
    /// For a call that CDK does not make by itself: with commands of the user before or after, for example.
    pub fn parse(words: &[String]) -> Result<Bundle, Failure> {
        let fault = |what: &str| {
            let message = format!(
                "lbuild bundles Python functions by the command that CDK makes, and this one has {what}"
            );
            asked(
                message,
                "without commandHooks, command and entrypoint it is done; with them a container is needed",
            )
        };
        let call = Call::parse(words).ok_or_else(|| fault("no image"))?;
        if call.flags.iter().any(|(name, _)| ["--entrypoint", "--volumes-from"].contains(name)) {
            return Err(fault("an entrypoint or volumes of another container"));
        }
        let ([shell, flag, line], true) = (call.command, call.command.len() == 3) else {
            return Err(fault("another command"));
        };
        if shell != "bash" || flag != "-c" {
            return Err(fault(&format!("`{shell} {flag}`")));
        }
        let commands: Vec<Vec<String>> = line.split(" && ").map(words_of).collect();
        let (copy, rest) = commands.split_first().ok_or_else(|| fault("no command"))?;
        let (from, to, exclude) = copied(copy).ok_or_else(|| fault(&format!("`{}`", copy.join(" "))))?;
        let (enter, rest) = rest.split_first().ok_or_else(|| fault("no `cd`"))?;
        if *enter != ["cd", to] {
            return Err(fault(&format!("`{}`", enter.join(" "))));
        }
        let packages = packages(rest, to).ok_or_else(|| fault(&format!("`{}`", first_unknown(rest, to))))?;
        let place = |path: &str| {
            call.mounted(path).ok_or_else(|| fault(&format!("no directory of this machine at {path}")))
        };
        Ok(Bundle { from: place(from)?, to: place(to)?, exclude, packages })
    }
}

/// The directories and the patterns of the `rsync` with which CDK copies, following links.
fn copied(words: &[String]) -> Option<(&str, &str, Vec<String>)> {
    let [rsync, flags, exclude @ .., from, to] = words else { return None };
    let exclude: Option<Vec<_>> =
        exclude.iter().map(|word| word.strip_prefix("--exclude=").map(str::to_owned)).collect();
    (rsync == "rsync" && flags == "-rLv").then_some(())?;
    Some((from.strip_suffix('/')?, to, exclude?))
}

/// What the commands after `cd` install to the directory `to`.
fn packages(commands: &[Vec<String>], to: &str) -> Option<Packages> {
    let pip =
        |words: &[String]| *words == ["python", "-m", "pip", "install", "-r", "requirements.txt", "-t", to];
    let uv = |words: &[String]| *words == ["uv", "pip", "install", "-r", "requirements.txt", "--target", to];
    match commands {
        [] => Some(Packages::None),
        [install] if pip(install) => Some(Packages::Requirements),
        [export, install] if pip(install) && starts(export, &["poetry", "export"]) => {
            Some(Packages::Lock("poetry.lock"))
        }
        [export, install] if uv(install) && starts(export, &["uv", "export", "--frozen"]) => {
            Some(Packages::Lock("uv.lock"))
        }
        [export, remove, install]
            if pip(install)
                && starts(export, &["PIPENV_VENV_IN_PROJECT=1", "pipenv", "requirements", ">"])
                && *remove == ["rm", "-rf", ".venv"] =>
        {
            Some(Packages::Lock("Pipfile.lock"))
        }
        _ => None,
    }
}

fn starts(words: &[String], with: &[&str]) -> bool {
    words.iter().map(String::as_str).take(with.len()).eq(with.iter().copied())
}

/// The first command that CDK does not make.
fn first_unknown(commands: &[Vec<String>], to: &str) -> String {
    let known = |words: &&Vec<String>| {
        starts(words, &["poetry", "export"])
            || starts(words, &["uv", "export"])
            || starts(words, &["PIPENV_VENV_IN_PROJECT=1"])
            || **words == ["rm", "-rf", ".venv"]
            || packages(std::slice::from_ref(words), to).is_some()
    };
    commands
        .iter()
        .find(|words| !known(words))
        .or(commands.first())
        .map(|words| words.join(" "))
        .unwrap_or_default()
}

/// The words of a command. CDK quotes with apostrophes; one in a word is written as `'\''`.
fn words_of(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut started) = (Vec::new(), String::new(), false, false);
    let mut text = command.chars();
    while let Some(c) = text.next() {
        match c {
            '\'' => (quoted, started) = (!quoted, true),
            '\\' if !quoted => word.extend(text.next()),
            c if c.is_whitespace() && !quoted => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            c => word.push(c),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Vec<String> {
        let start = "--rm -u 0:0 -v /src/fn:/asset-input:delegated -v /out/x:/asset-output:delegated -w /asset-input cdk-0a bash -c";
        start.split(' ').chain([line]).map(str::to_owned).collect()
    }

    #[test]
    fn the_command_of_cdk_is_known() {
        let copy = "rsync -rLv '/asset-input/' '/asset-output' && cd '/asset-output'";
        let pip = "python -m pip install -r requirements.txt -t '/asset-output'";
        let uv = "uv export --frozen --no-emit-workspace --no-dev --no-editable -o requirements.txt && \
            uv pip install -r requirements.txt --target '/asset-output'";
        let poetry = "poetry export --without-hashes --with-credentials --format requirements.txt --output requirements.txt";
        for (line, packages) in [
            (copy.to_owned(), Packages::None),
            (format!("{copy} && {pip}"), Packages::Requirements),
            (format!("{copy} && {uv}"), Packages::Lock("uv.lock")),
            (format!("{copy} && {poetry} && {pip}"), Packages::Lock("poetry.lock")),
            (
                format!(
                    "{copy} && PIPENV_VENV_IN_PROJECT=1 pipenv requirements > requirements.txt && rm -rf .venv && {pip}"
                ),
                Packages::Lock("Pipfile.lock"),
            ),
        ] {
            let bundle = Bundle::parse(&call(&line)).unwrap();
            assert_eq!((bundle.from, bundle.to), ("/src/fn".into(), "/out/x".into()));
            assert_eq!((bundle.packages, bundle.exclude.len()), (packages, 0), "{line}");
        }
        let excluded = "rsync -rLv --exclude='*.md' --exclude='it'\\''s' '/asset-input/' '/asset-output/python' && cd '/asset-output/python'";
        let bundle = Bundle::parse(&call(excluded)).unwrap();
        assert_eq!(
            (bundle.exclude, bundle.to),
            (vec!["*.md".to_owned(), "it's".to_owned()], "/out/x/python".into())
        );
        assert_eq!(image_of(&call(copy)), Some("cdk-0a"));
    }

    #[test]
    fn a_command_of_the_user_is_named() {
        let copy = "rsync -rLv '/asset-input/' '/asset-output' && cd '/asset-output'";
        for (line, named) in [
            ("make build".to_owned(), "`make build`"),
            (format!("echo hi && {copy}"), "`echo hi`"),
            (
                format!(
                    "{copy} && python -m pip install -r requirements.txt -t '/asset-output' && rm -rf tests"
                ),
                "`rm -rf tests`",
            ),
            ("rsync -a '/asset-input/' '/asset-output'".to_owned(), "`rsync -a"),
        ] {
            let failure = Bundle::parse(&call(&line)).unwrap_err();
            assert!(failure.to_string().contains(named), "{failure}");
        }
    }
}
