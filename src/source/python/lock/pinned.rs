//! `poetry.lock` and `Pipfile.lock`: they pin versions and hashes, but have no file URLs. They become requirements
//! with exact versions, which uv or pip resolves; lbuild verifies the hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::package::sha256;
use super::requirements::Asked;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::source::python::wheel::normalized;
use crate::source::text;

/// Requirements that pin the packages of a lock.
#[derive(Debug, Default)]
pub(in crate::source::python) struct Pinned {
    /// The text of a requirements file.
    pub(in crate::source::python) text: String,
    /// The hashes that each package's files may have.
    pub(in crate::source::python) asked: Asked,
}

impl Pinned {
    pub(in crate::source::python) fn read(text: &str, path: &Path) -> Result<Pinned> {
        let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
        match path.file_name().and_then(|name| name.to_str()) {
            Some("poetry.lock") => {
                let lock: PoetryLock = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
                lock.pinned().map_err(fail)
            }
            _ => {
                let lock: PipfileLock =
                    serde_json::from_str(text).map_err(|error| fail(error.to_string()))?;
                let pipfile = text::read(&path.with_file_name("Pipfile")).unwrap_or_default();
                lock.pinned(&pipfile).map_err(fail)
            }
        }
    }

    fn add(&mut self, name: &str, line: &str, hashes: BTreeSet<Digest>) -> Result<(), String> {
        if line.contains("${") {
            return Err(format!("`{line}` has a variable, which uv or pip would expand"));
        }
        self.line(line)?;
        self.asked.packages.entry(normalized(name)).or_default().extend(hashes);
        Ok(())
    }

    /// Adds a line. Text of a lock must stay on one line, and must not become an option: an option can name an index.
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.contains(char::is_control) || line.contains(" --") {
            return Err(format!("`{}` is not a requirement", line.escape_debug()));
        }
        self.text.push_str(line);
        self.text.push('\n');
        Ok(())
    }

    /// Adds an index to those of the program, unless it was added before.
    fn index(&mut self, flag: &str, url: &str) -> Result<(), String> {
        if url.is_empty() || url.contains(char::is_whitespace) || url.starts_with('-') {
            return Err("the URL of one of its indexes cannot be read".to_owned());
        }
        let line = format!("{flag} {url}");
        if self.text.lines().any(|other| other == line) {
            return Ok(());
        }
        self.line(&line)
    }
}

/// <https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock>
#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default, rename = "package")]
    packages: Vec<PoetryPackage>,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    /// Written by poetry 2; earlier locks do not mark packages for development.
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    #[serde(default)]
    files: Vec<PoetryFile>,
    source: Option<PoetrySource>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    /// The markers of each group.
    Each(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct PoetryFile {
    hash: String,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: String,
}

impl PoetryLock {
    fn pinned(self) -> Result<Pinned, String> {
        let mut pinned = Pinned::default();
        for package in self.packages.iter().filter(|package| !package.optional) {
            let name = &package.name;
            let Some(groups) = &package.groups else {
                return Err("it does not mark development packages: run `poetry lock` of version 2".into());
            };
            if !groups.iter().any(|group| group == "main") {
                continue;
            }
            match &package.source {
                // An index that the project declares.
                Some(source) if source.kind == "legacy" && !source.url.contains("${") => {
                    pinned.index("--extra-index-url", &source.url)?;
                }
                Some(source) if source.kind == "legacy" => {
                    return Err(format!(
                        "the URL of {name}'s index has a variable, which uv or pip would expand"
                    ));
                }
                Some(source) => {
                    return Err(format!(
                        "{name} is of the kind {}, which would have to be built",
                        source.kind
                    ));
                }
                None => {}
            }
            let marker = match &package.markers {
                Some(Markers::All(marker)) => Some(marker),
                Some(Markers::Each(groups)) => groups.get("main"),
                None => None,
            };
            let marker = marker.map(|marker| format!(" ; {marker}")).unwrap_or_default();
            let hashes = package.files.iter().filter_map(|file| sha256(&file.hash)).collect();
            pinned.add(name, &format!("{name}=={}{marker}", package.version), hashes)?;
        }
        Ok(pinned)
    }
}

/// <https://pipenv.pypa.io/en/latest/pipfile.html>
#[derive(Deserialize)]
struct PipfileLock {
    #[serde(rename = "_meta")]
    meta: PipfileMeta,
    #[serde(default)]
    default: BTreeMap<String, PipfilePackage>,
}

#[derive(Deserialize)]
struct PipfileMeta {
    #[serde(default)]
    sources: Vec<PipfileSource>,
}

#[derive(Deserialize)]
struct PipfileSource {
    url: String,
}

#[derive(Deserialize)]
struct PipfilePackage {
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    markers: Option<String>,
}

impl PipfileLock {
    /// `pipfile` is the text of the Pipfile from which the lock was made.
    fn pinned(self, pipfile: &str) -> Result<Pinned, String> {
        let mut pinned = Pinned::default();
        // The URL may have a login, or `${NAME}` in place of one. It is written to a file that only the user can read.
        for (number, source) in self.meta.sources.iter().enumerate() {
            let flag = if number == 0 { "--index-url" } else { "--extra-index-url" };
            // A lock alone must not choose which variable is sent to which host.
            if source.url.contains("${") && !pipfile.contains(&source.url) {
                return Err(
                    "the URL of an index has a variable, and the Pipfile does not have this URL".into()
                );
            }
            pinned.index(flag, &source.url)?;
        }
        for (name, package) in &self.default {
            let Some(version) = &package.version else {
                return Err(format!("{name} has no version, and would have to be built"));
            };
            let marker = package.markers.as_ref().map(|marker| format!(" ; {marker}")).unwrap_or_default();
            let hashes = package.hashes.iter().filter_map(|hash| sha256(hash)).collect();
            pinned.add(name, &format!("{name}{version}{marker}"), hashes)?;
        }
        Ok(pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Pinned> {
        Pinned::read(text, &Path::new("/p").join(name))
    }

    #[test]
    fn poetrys_main_group_is_pinned_with_its_markers() {
        let hash = format!("sha256:{}", "ab".repeat(32));
        let text = format!(
            r#"
[[package]]
name = "Client"
version = "1.2"
optional = false
groups = ["main", "dev"]
markers = {{ main = "python_version >= '3.9'", dev = "python_version < '3'" }}
files = [{{ file = "client-1.2-py3-none-any.whl", hash = "{hash}" }}]
[[package]]
name = "base"
version = "2"
groups = ["main"]
markers = "sys_platform == 'linux'"
[[package]]
name = "tester"
version = "3"
groups = ["dev"]
[[package]]
name = "plots"
version = "3"
optional = true
groups = ["main"]
"#
        );
        let pinned = read("poetry.lock", &text).unwrap();
        assert_eq!(pinned.text, "Client==1.2 ; python_version >= '3.9'\nbase==2 ; sys_platform == 'linux'\n");
        assert_eq!(pinned.asked.packages["client"].len(), 1);
        let old = read("poetry.lock", "[[package]]\nname='a'\nversion='1'").unwrap_err().to_string();
        assert!(old.contains("development"), "{old}");
    }

    #[test]
    fn indexes_of_a_poetry_lock_are_added() {
        let package = |name: &str, url: &str| {
            format!(
                "[[package]]\nname = '{name}'\nversion = '1'\ngroups = ['main']\n\
                [package.source]\ntype = 'legacy'\nurl = '{url}'\nreference = 'own'\n"
            )
        };
        let own = "https://i.example/simple";
        let pinned = read("poetry.lock", &(package("a", own) + &package("b", own))).unwrap();
        assert_eq!(pinned.text, format!("--extra-index-url {own}\na==1\nb==1\n"));
        for url in ["", "https://i.example/${TOKEN}", "https://i.example/ --find-links x"] {
            assert!(read("poetry.lock", &package("a", url)).is_err(), "{url}");
        }
    }

    #[test]
    fn a_pin_is_one_line_and_not_an_option() {
        for version in
            ["1\\n--index-url https://evil.example", "1 --index-url=https://evil.example", "1 ; ${TOKEN}"]
        {
            let poetry = format!("[[package]]\nname = 'a'\nversion = \"{version}\"\ngroups = ['main']\n");
            let pipenv = format!(r#"{{"_meta":{{}},"default":{{"a":{{"version":"=={version}"}}}}}}"#);
            for (name, text) in [("poetry.lock", poetry), ("Pipfile.lock", pipenv)] {
                let error = read(name, &text).unwrap_err().to_string();
                assert!(error.contains("is not a requirement") || error.contains("a variable"), "{error}");
            }
        }
    }

    #[test]
    fn pipenvs_default_group_is_pinned_with_the_index_of_its_lock() {
        let text = format!(
            r#"{{"_meta":{{"sources":[{{"name":"i","url":"https://${{USER}}@i.example/simple"}}]}},
            "default":{{"client":{{"hashes":["sha256:{}"],"markers":"python_version >= '3.8'","version":"==1.2"}}}},
            "develop":{{"tester":{{"version":"==3"}}}}}}"#,
            "cd".repeat(32)
        );
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("Pipfile.lock");
        let error = Pinned::read(&text, &lock).unwrap_err().to_string();
        assert!(error.contains("the Pipfile does not have this URL"), "{error}");
        let source = "[[source]]\nname = 'i'\nurl = 'https://${USER}@i.example/simple'\n";
        std::fs::write(dir.path().join("Pipfile"), source).unwrap();
        let pinned = Pinned::read(&text, &lock).unwrap();
        assert_eq!(
            pinned.text,
            "--index-url https://${USER}@i.example/simple\nclient==1.2 ; python_version >= '3.8'\n"
        );
        assert_eq!(pinned.asked.packages["client"].len(), 1);
    }
}
