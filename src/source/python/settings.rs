//! The settings that an install finds in the image and in the secrets of its line, besides the options of its command.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::recipe::PythonInstaller;
use crate::store::Secret;

/// The value of `PIP_CONFIG_FILE` with which pip reads no file.
const NO_FILE: &str = "/dev/null";

/// Keys of pip's files that name packages' places; as options of a requirements file they are the same.
const PLACES: [&str; 4] = ["index-url", "extra-index-url", "find-links", "trusted-host"];

/// Keys that change only what pip prints, how it connects, or where it has its cache.
const HARMLESS: [&str; 22] = [
    "break-system-packages",
    "cache-dir",
    "compile",
    "default-timeout",
    "disable-pip-version-check",
    "index",
    "log",
    "log-file",
    "no-cache-dir",
    "no-color",
    "no-compile",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "only-binary",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "retries",
    "root-user-action",
    "timeout",
];

/// What programs and downloads of an install use, besides the requirements.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstallSettings {
    /// Variables with secret values.
    pub(super) variables: Vec<(String, Secret)>,
    /// The file with logins by host, instead of the user's own.
    pub(super) netrc: Option<PathBuf>,
    /// The index, if the command, a variable or a file of settings names one.
    pub(super) index: Option<Secret>,
    /// Whether the install names an index, perhaps in its requirements. Those of this machine do not count then.
    pub(super) has_index: bool,
    /// Whether the best version of all indexes is used, as by pip, rather than one of the first that has the package.
    pub(super) best_of_all: bool,
}

/// What an install finds where it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstallSurroundings {
    /// The absolute directory of the command.
    pub(crate) directory: String,
    /// The values of `PATH` and `HOME`.
    pub(crate) path: String,
    pub(crate) home: String,
    /// The value of `NETRC`.
    pub(crate) netrc: Option<String>,
    /// Variables with secret values.
    pub(crate) secrets: Vec<(String, Secret)>,
}

/// Options of pip's files: lines of a requirements file by their keys.
#[derive(Debug, Default)]
pub(super) struct PipOptions(BTreeMap<&'static str, String>);

/// The places of pip's settings in an image, of which later ones take precedence. `prefix` is the interpreter's, `home`
/// the user's directory, and `named` the value of `PIP_CONFIG_FILE`.
///
/// <https://pip.pypa.io/en/stable/topics/configuration/#location>
pub(super) fn files_of_pip(prefix: &str, home: &str, named: Option<&str>) -> Vec<String> {
    if named == Some(NO_FILE) {
        return Vec::new();
    }
    let of_user = ["pip/pip.conf", "config/pip/pip.conf"].map(|name| format!("{home}/.{name}"));
    let of_system = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"].map(str::to_owned);
    let of_prefix = format!("/{prefix}/pip.conf");
    of_system.into_iter().chain(of_user).chain([of_prefix]).chain(named.map(str::to_owned)).collect()
}

impl PipOptions {
    /// Reads the files, by their paths without a leading slash; later ones take precedence. The error names what is not translated.
    pub(super) fn read<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Result<PipOptions, String> {
        let mut by_section: BTreeMap<(bool, &'static str), String> = BTreeMap::new();
        for (path, bytes) in files {
            for (section, key, value) in entries(&String::from_utf8_lossy(bytes)) {
                if section != "global" && section != "install" {
                    continue;
                }
                let place = PLACES.into_iter().chain(["no-index"]).find(|place| *place == key);
                match place {
                    Some(place) => drop(by_section.insert((section == "install", place), value)),
                    None if HARMLESS.contains(&&*key) => {}
                    // A switch that is off.
                    None if matches!(&*value.to_ascii_lowercase(), "false" | "no" | "off" | "0") => {}
                    None => return Err(format!("the setting `{key}` in /{path} is not translated")),
                }
            }
        }
        // The section of the command takes precedence, and comes later.
        Ok(PipOptions(by_section.into_iter().map(|((_, key), value)| (key, value)).collect()))
    }

    /// The values of a key.
    fn values(&self, key: &str) -> Vec<&str> {
        self.0.get(key).map(|value| value.split_whitespace().collect()).unwrap_or_default()
    }

    fn is_on(&self, key: &str) -> bool {
        self.0
            .get(key)
            .is_some_and(|value| matches!(&*value.to_ascii_lowercase(), "true" | "yes" | "on" | "1"))
    }
}

/// The lines of a requirements file for the places of packages: those of the command (`options`), else of secret
/// variables, else of pip's files. Also returns the index. The error names what is not translated.
pub(super) fn lines(
    installer: PythonInstaller,
    options: &[String],
    variables: &[(String, Secret)],
    files: &PipOptions,
) -> Result<(Vec<String>, Option<Secret>), String> {
    let mut lines = Vec::new();
    for key in PLACES {
        let option = format!("--{key} ");
        let of_command: Vec<&str> = options.iter().filter_map(|line| line.strip_prefix(&option)).collect();
        let of_variable = || variables.iter().filter(|(name, _)| names(installer, key).contains(&&**name));
        let of_variable: Vec<&str> = of_variable()
            .flat_map(|(_, value)| value.expose().split_whitespace())
            .map(without_name)
            .collect();
        let of_files = files.values(key);
        let is_one = key == "index-url";
        if !is_one && !of_command.is_empty() && !of_files.is_empty() {
            return Err(format!("{key} is set both for the command and in a file of settings"));
        }
        let values = match (of_command.is_empty(), of_variable.is_empty()) {
            (false, true) => of_command,
            // As on the command line, what may be repeated adds to the variable.
            (false, false) if !is_one && installer == PythonInstaller::Pip => {
                [of_variable, of_command].concat()
            }
            (false, false) => of_command,
            (true, false) => of_variable,
            (true, true) => of_files,
        };
        lines.extend(values.into_iter().map(|value| format!("{option}{value}")));
    }
    if options.iter().any(|line| line == "--no-index") || files.is_on("no-index") {
        lines.push("--no-index".to_owned());
    }
    let index = lines.iter().rev().find_map(|line| line.strip_prefix("--index-url "));
    let index = index.map(|index| Secret::from(index.to_owned()));
    Ok((lines, index))
}

/// The variables of a key.
fn names(installer: PythonInstaller, key: &str) -> &'static [&'static str] {
    match (installer, key) {
        (PythonInstaller::Pip, "index-url") => &["PIP_INDEX_URL"],
        (PythonInstaller::Pip, "extra-index-url") => &["PIP_EXTRA_INDEX_URL"],
        (PythonInstaller::Pip, "find-links") => &["PIP_FIND_LINKS"],
        (PythonInstaller::Pip, "trusted-host") => &["PIP_TRUSTED_HOST"],
        (PythonInstaller::Uv, "index-url") => &["UV_DEFAULT_INDEX", "UV_INDEX_URL"],
        (PythonInstaller::Uv, "extra-index-url") => &["UV_EXTRA_INDEX_URL"],
        (PythonInstaller::Uv, "find-links") => &["UV_FIND_LINKS"],
        _ => &[],
    }
}

/// Whether a file with settings of uv, or a project, names an index.
pub(super) fn names_index_of_uv(path: &str, text: &str) -> bool {
    let Ok(table) = toml::from_str::<toml::Table>(text) else { return false };
    let of_project = || table.get("tool").and_then(|tool| tool.get("uv")?.as_table());
    let settings = if path.ends_with("uv.toml") { Some(&table) } else { of_project() };
    settings.is_some_and(|settings| ["index", "index-url"].iter().any(|key| settings.contains_key(*key)))
}

/// The URL of `name=https://…`, as uv's variables may have it.
fn without_name(value: &str) -> &str {
    let named = value.split_once('=').filter(|(name, url)| !name.contains([':', '/']) && url.contains("://"));
    named.map_or(value, |(_, url)| url)
}

/// The entries of a file as Python's configparser reads it: section, key and value.
fn entries(text: &str) -> Vec<(String, String, String)> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    let (mut section, mut is_continued) = (String::new(), false);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) && is_continued {
            if let Some((_, _, value)) = found.last_mut() {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            (section, is_continued) = (name.trim().to_owned(), false);
            continue;
        }
        let (key, value) = match trimmed.split_once(['=', ':']) {
            Some((key, value)) => (key, value.trim()),
            None => (trimmed, ""),
        };
        let key = key.trim().to_ascii_lowercase().replace('_', "-");
        let key = key.trim_start_matches('-').to_owned();
        found.push((section.clone(), key, value.to_owned()));
        is_continued = true;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[&str]) -> Result<PipOptions, String> {
        PipOptions::read(files.iter().map(|text| ("etc/pip.conf", text.as_bytes())))
    }

    fn of_pip(options: &[&str], variables: &[(&str, &str)], files: &[&str]) -> Result<Vec<String>, String> {
        let options: Vec<String> = options.iter().map(|line| (*line).to_owned()).collect();
        let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::from((*value).to_owned()));
        let variables: Vec<_> = variables.iter().map(secret).collect();
        lines(PythonInstaller::Pip, &options, &variables, &read(files)?).map(|(lines, _)| lines)
    }

    #[test]
    fn settings_are_those_of_the_command_then_of_variables_then_of_files() {
        let file = "[global]\nindex-url = http://f/simple\ntimeout = 60\n[install]\nextra_index_url =\n  http://g/simple\n  http://h/simple\n";
        for (options, variables, files, expected) in [
            (
                &[][..],
                &[][..],
                &[file][..],
                &[
                    "--index-url http://f/simple",
                    "--extra-index-url http://g/simple",
                    "--extra-index-url http://h/simple",
                ][..],
            ),
            (
                &[],
                &[("PIP_INDEX_URL", "http://v/simple")],
                &["[global]\nindex-url=http://f\n"],
                &["--index-url http://v/simple"],
            ),
            (
                &["--index-url http://c"],
                &[("PIP_INDEX_URL", "http://v")],
                &["[global]\nindex-url: http://f\n"],
                &["--index-url http://c"],
            ),
            (
                &[],
                &[],
                &["[global]\nindex-url=http://f\n[install]\nindex-url=http://i\n"],
                &["--index-url http://i"],
            ),
            (
                &[],
                &[],
                &["[global]\nindex-url=http://f\n", "[global]\nindex-url=http://g\n"],
                &["--index-url http://g"],
            ),
            (
                &["--extra-index-url http://c"],
                &[("PIP_EXTRA_INDEX_URL", "http://v http://w")],
                &[],
                &["--extra-index-url http://v", "--extra-index-url http://w", "--extra-index-url http://c"],
            ),
            (&[], &[], &["[list]\nformat=columns\n[global]\nuser=false\nno-index = true\n"], &["--no-index"]),
            (&[], &[("OTHER", "http://v")], &["# nothing\n"], &[]),
        ] {
            assert_eq!(of_pip(options, variables, files).unwrap(), expected, "rule 170: {files:?}");
        }
        for (files, fault) in [
            (&["[global]\ntarget = /x\n"][..], "the setting `target` in /etc/pip.conf is not translated"),
            (&["[install]\nno-deps = true\n"], "the setting `no-deps` in /etc/pip.conf is not translated"),
        ] {
            assert_eq!(read(files).unwrap_err(), fault);
        }
        assert!(of_pip(&["--extra-index-url http://c"], &[], &[file]).is_err());
    }

    #[test]
    fn settings_of_uv_may_name_an_index() {
        for (path, text, expected) in [
            ("w/pyproject.toml", "[[tool.uv.index]]\nurl = 'http://i'\n", true),
            ("w/pyproject.toml", "[project]\nname = 'x'\n", false),
            ("w/uv.toml", "index-url = 'http://i'\n", true),
            ("w/uv.toml", "[[index]]\nurl = 'http://i'\n", true),
            ("w/uv.toml", "not toml", false),
        ] {
            assert_eq!(names_index_of_uv(path, text), expected, "{text}");
        }
    }

    #[test]
    fn indexes_may_have_names() {
        for (value, url) in [
            ("corp=https://i.example/simple", "https://i.example/simple"),
            ("https://i.example/simple?a=b", "https://i.example/simple?a=b"),
        ] {
            assert_eq!(without_name(value), url);
        }
    }
}
