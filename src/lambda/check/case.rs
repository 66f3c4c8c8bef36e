//! An image as the rules see it.

use serde_json::Value;

use super::files::Files;
use crate::image::{Arch, Config, Descriptor, Manifest};
use crate::layer::Survey;

/// An image that is to be judged, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What the manifest says of each layer, lowest first.
    pub layers: &'a [Descriptor],
    /// Its config.
    pub config: &'a Config,
    /// What each layer holds; `None` where nobody knows.
    pub surveys: &'a [Option<Survey>],
    /// What else is known.
    pub asked: &'a Asked,
}

/// What is known besides the image itself.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The architecture that the function shall have.
    pub arch: Option<Arch>,
    /// The Region that the function shall be in.
    pub region: Option<String>,
    /// The image's registry, with its repository.
    pub repository: Option<String>,
    /// Whether the image is in a Docker archive: who pushes it from there makes its manifest, and compresses its layers.
    pub in_archive: bool,
    /// Whether the name led to an index, of which this image is one entry.
    pub in_index: bool,
    /// The day, as `2026-11-21`.
    pub today: String,
}

/// An image as the rules see it.
pub(super) struct Case<'a> {
    pub manifest: Value,
    pub media_type: &'a str,
    pub layers: &'a [Descriptor],
    pub config: &'a Config,
    pub surveys: &'a [Option<Survey>],
    pub asked: &'a Asked,
    /// What a container of the image sees.
    pub files: Files<'a>,
}

impl<'a> Case<'a> {
    pub fn of(subject: &Subject<'a>) -> Case<'a> {
        let Subject { manifest, layers, config, surveys, asked } = *subject;
        Case {
            manifest: serde_json::from_slice(&manifest.bytes).unwrap_or_default(),
            media_type: &manifest.media_type,
            layers,
            config,
            surveys,
            asked,
            files: Files::of(surveys),
        }
    }

    /// The layers that are known, by number.
    pub fn known(&self) -> impl Iterator<Item = (usize, &'a Survey)> {
        self.surveys.iter().enumerate().filter_map(|(number, survey)| Some((number, survey.as_ref()?)))
    }

    /// The architecture that the function shall have, or else the one that the config names.
    pub fn arch(&self) -> Option<Arch> {
        self.asked.arch.or_else(|| self.config.platform().architecture.parse().ok())
    }

    /// The directory of the function, without a slash at either end: nothing for the root.
    pub fn task_root(&self) -> &'a str {
        task_root(self.config)
    }

    /// The directories that may be the function's.
    pub fn roots(&self) -> Vec<&'a str> {
        roots(self.config)
    }

    /// The handler, when the image starts with the entry script of AWS's bases, which takes one.
    pub fn handler(&self) -> Option<&'a str> {
        handler(self.config)
    }

    /// The runtime of one of AWS's bases (`python`, `nodejs`, `java`, `dotnet`, `ruby`, `provided`), by what it has.
    pub fn runtime(&self) -> Option<&'static str> {
        const SIGNS: [(&str, &str); 6] = [
            ("awslambdaric", "python"),
            ("bootstrap.py", "python"),
            ("index.mjs", "nodejs"),
            ("index.js", "nodejs"),
            ("Amazon.Lambda.RuntimeSupport.dll", "dotnet"),
            ("lambda_runtime.rb", "ruby"),
        ];
        // An OS-only base may have got a runtime of any kind, with rules of its own for handlers.
        let named = self.named_runtime();
        if named == Some("provided") {
            return named;
        }
        let dir = self.config.var("LAMBDA_RUNTIME_DIR").unwrap_or("/var/runtime").trim_matches('/');
        let sign = SIGNS.iter().find(|(sign, _)| self.files.get(&format!("{dir}/{sign}")).is_some());
        // Java's client has its version in its name.
        let is_java = |name: &str| name.starts_with("aws-lambda-java-runtime");
        let has_java = || self.files.below(&format!("{dir}/lib")).any(|file| is_java(file.member.name()));
        let found = sign.map(|(_, runtime)| *runtime).or_else(|| has_java().then_some("java"));
        found.or(named)
    }

    /// By the name of the base that the image was made on.
    fn named_runtime(&self) -> Option<&'static str> {
        let base = self.config.label("org.opencontainers.image.base.name")?;
        let name = base.rsplit('/').next()?.split([':', '@']).next()?;
        let name = name.strip_prefix("aws-lambda-").unwrap_or(name);
        ["python", "nodejs", "java", "dotnet", "ruby", "provided"]
            .into_iter()
            .find(|runtime| *runtime == name)
    }
}

/// The directory of the function, without a slash at either end: nothing for the root.
pub(super) fn task_root(config: &Config) -> &str {
    let named = config.var("LAMBDA_TASK_ROOT").filter(|dir| !dir.is_empty());
    named.or_else(|| config.workdir()).unwrap_or("/var/task").trim_matches('/')
}

/// The directories that may be the function's: some runtimes go by the variable, others by where they are started.
pub(super) fn roots(config: &Config) -> Vec<&str> {
    let root = task_root(config);
    let started = config.workdir().map(|dir| dir.trim_matches('/')).filter(|dir| *dir != root);
    [root].into_iter().chain(started).collect()
}

/// The handler, when a container starts with the entry script of AWS's bases, which takes one.
pub(super) fn handler(config: &Config) -> Option<&str> {
    match config.entrypoint().into_iter().chain(config.cmd()).collect::<Vec<_>>()[..] {
        [entry, handler] if entry.ends_with("lambda-entrypoint.sh") => Some(handler),
        _ => None,
    }
}

/// Where Python looks for a function's modules first, as far as the settings tell.
pub(super) fn python_path(config: &Config) -> Vec<String> {
    let named = config.var("PYTHONPATH").filter(|path| !path.is_empty());
    let named = named.into_iter().flat_map(|path| path.split(':'));
    // What is relative, or empty, is so to where Python is started.
    let named = named.map(|dir| within(config.workdir().unwrap_or("/"), dir));
    [task_root(config).to_owned(), "opt/python".to_owned()].into_iter().chain(named).collect()
}

/// A path of a directory, which may be the root, and of something in it.
pub(super) fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

/// The plain form of a path that is relative to `dir`, or begins with a slash.
pub(super) fn within(dir: &str, path: &str) -> String {
    let dir = if path.starts_with('/') { "" } else { dir };
    let parts = dir.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(process: &str) -> Config {
        let text = format!(
            r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":[]}},"config":{process}}}"#
        );
        Config::parse("test", text.as_bytes()).unwrap()
    }

    #[test]
    fn the_root_of_the_image_may_be_the_functions() {
        for (process, expected) in [
            ("{}", &["var/task"][..]),
            (r#"{"WorkingDir":"/app/"}"#, &["app"]),
            (r#"{"WorkingDir":"/"}"#, &[""]),
            (r#"{"WorkingDir":"/","Env":["LAMBDA_TASK_ROOT=/var/task"]}"#, &["var/task", ""]),
            (r#"{"WorkingDir":"/var/task","Env":["LAMBDA_TASK_ROOT=/var/task/"]}"#, &["var/task"]),
            (r#"{"WorkingDir":"/app","Env":["LAMBDA_TASK_ROOT="]}"#, &["app"]),
        ] {
            assert_eq!(roots(&config(process)), expected, "{process}");
        }
        assert_eq!(join("", "lib/x"), "lib/x");
        assert_eq!(join("a", "x"), "a/x");
        for (dir, path, plain) in
            [("", "x", "x"), ("/a/", "./b//c.js", "a/b/c.js"), ("a", "/b", "b"), ("a", "", "a")]
        {
            assert_eq!(within(dir, path), plain);
        }
    }

    #[test]
    fn the_handler_is_the_entry_scripts_one_word() {
        for (process, expected) in [
            (r#"{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["a.b"]}"#, Some("a.b")),
            (r#"{"Entrypoint":["/lambda-entrypoint.sh","a.b"]}"#, Some("a.b")),
            (r#"{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["a.b","c"]}"#, None),
            (r#"{"Entrypoint":["/app"],"Cmd":["a.b"]}"#, None),
            (r#"{"Cmd":["a.b"]}"#, None),
        ] {
            assert_eq!(handler(&config(process)), expected, "{process}");
        }
    }

    #[test]
    fn python_looks_where_it_is_told_to() {
        let path = |process: &str| python_path(&config(process));
        assert_eq!(path("{}"), ["var/task", "opt/python"]);
        let named = r#"{"WorkingDir":"/var/task","Env":["PYTHONPATH=/var/task/src:.:lib:"]}"#;
        assert_eq!(
            path(named),
            ["var/task", "opt/python", "var/task/src", "var/task", "var/task/lib", "var/task"]
        );
    }
}
