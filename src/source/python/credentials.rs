//! Logins of package indexes, from the same sources as in uv and pip: URLs with a login, `UV_INDEX_NAME_USERNAME` and
//! `_PASSWORD`, then netrc. Each login is sent to its own scheme, host and port only.
//!
//! netrc's `default` entry is not used: it would be sent to any host that a lock file names.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use reqwest::Url;

use super::lock::{self, Format};
use super::settings::InstallSettings;
use crate::recipe::{Python, Requirements};
use crate::source::address::{ADDRESS, unescaped};
use crate::source::text;
use crate::store::{Login, Logins, Secret};

/// Variables of uv with URLs of indexes, which may have the form `name=https://…`.
const NAMING: [&str; 2] = ["UV_DEFAULT_INDEX", "UV_INDEX"];

/// Variables of uv and pip with URLs of indexes.
const VARIABLES: [&str; 6] = [
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
];

/// Files beside the requirements that may name indexes.
const BESIDE: [(&str, TextKind); 4] = [
    ("pyproject.toml", TextKind::Settings),
    ("uv.toml", TextKind::Settings),
    ("Pipfile", TextKind::Requirements),
    ("Pipfile.lock", TextKind::Plain),
];

/// The features of a text besides logins in URLs. Variables are not expanded in lock files: these are rarely
/// reviewed, and a lock file from somebody else could send any variable to any host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    /// No other features: lock files, pip's settings, variables.
    Plain,
    /// `${NAME}` stands for a variable, as in uv, pip and pipenv.
    Requirements,
    /// Tables of uv's settings name indexes.
    Settings,
    /// `name=https://…` names an index.
    Naming,
}

/// The logins for indexes.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// By scheme, host and port.
    origins: Vec<(String, Login)>,
    /// By scheme, host and port: user names whose passwords, if any, are in another file or variable.
    usernames: Vec<(String, String)>,
    /// By host.
    netrc: Vec<(String, Login)>,
    /// URLs of indexes, with their logins.
    simple: Vec<Secret>,
}

impl Indexes {
    /// Collects the logins from the environment, the user's settings, and the files beside the requirements.
    /// What the settings of an install have comes before that of this machine.
    pub(super) fn of(python: &Python, settings: &InstallSettings) -> Indexes {
        let secret = |name: &str| {
            let found = settings.variables.iter().find(|(of, _)| of == name);
            found.map(|(_, value)| value.expose().to_owned())
        };
        let variable =
            |name: &str| secret(name).or_else(|| std::env::var(name).ok()).filter(|text| !text.is_empty());
        let variables =
            |names: &'static [&str], kind| names.iter().filter_map(move |name| Some((kind, variable(name)?)));
        let mut texts: Vec<(TextKind, String)> =
            variables(&NAMING, TextKind::Naming).chain(variables(&VARIABLES, TextKind::Plain)).collect();
        let home = variable("HOME").map(PathBuf::from);
        let mut files = Vec::new();
        if let Requirements::File { path, .. } = &python.requirements {
            match Format::of(path) {
                Format::Pylock | Format::Uv | Format::Poetry | Format::Pipfile => {
                    files.push((TextKind::Plain, path.clone()))
                }
                Format::Requirements => {
                    let all = lock::files(path).into_iter();
                    files.extend(all.map(|path| (TextKind::Requirements, path)));
                }
            }
            let dir = path.parent().unwrap_or(Path::new(""));
            files.extend(BESIDE.iter().map(|(name, kind)| (*kind, dir.join(name))));
        }
        let pip = pip_files(variable("PIP_CONFIG_FILE"), home.as_deref());
        files.extend(pip.into_iter().map(|path| (TextKind::Plain, path)));
        let read = |(kind, path): (_, PathBuf)| Some((kind, text::read(&path).ok()?));
        texts.extend(files.into_iter().filter_map(read));
        let of_user =
            || variable("NETRC").map(PathBuf::from).or_else(|| home.map(|home| home.join(".netrc")));
        let netrc = settings.netrc.clone().or_else(of_user);
        let netrc = netrc.and_then(|path| text::read(&path).ok()).unwrap_or_default();
        Indexes::from_texts(&texts, &netrc, variable)
    }

    fn from_texts(
        texts: &[(TextKind, String)],
        netrc_text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Indexes {
        let mut found = Indexes { netrc: netrc(netrc_text), ..Indexes::default() };
        for (kind, text) in texts {
            let text = match kind {
                TextKind::Requirements => &expanded(text, &variable),
                TextKind::Plain | TextKind::Settings | TextKind::Naming => text,
            };
            for address in ADDRESS.find_iter(text) {
                let Ok(url) = Url::parse(address.as_str()) else { continue };
                found.add(&url, username_in(&url), url.password().and_then(unescaped));
                let known = |known: &Secret| known.expose() == address.as_str();
                if is_index(&url) && !found.simple.iter().any(known) {
                    found.simple.push(address.as_str().to_owned().into());
                }
            }
        }
        for (name, url) in texts.iter().flat_map(|(kind, text)| named(*kind, text)) {
            let variable = |what| variable(&format!("UV_INDEX_{}_{what}", variable_name(&name)));
            found.add(&url, variable("USERNAME").or_else(|| username_in(&url)), variable("PASSWORD"));
        }
        found
    }

    fn add(&mut self, url: &Url, username: Option<String>, password: Option<String>) {
        match (username, password) {
            (username, Some(password)) => {
                let username = username.unwrap_or_default();
                self.origins.push((origin(url), Login { username, password: password.into() }));
            }
            (Some(username), None) => self.usernames.push((origin(url), username)),
            (None, None) => {}
        }
    }
}

impl Indexes {
    /// URLs of indexes, in the order in which they were found.
    pub(super) fn simple(&self) -> impl Iterator<Item = &str> {
        self.simple.iter().map(Secret::expose)
    }
}

/// Whether a URL ends as the URL of an index usually does.
fn is_index(url: &Url) -> bool {
    url.path().trim_end_matches('/').ends_with("simple")
}

impl Logins for Indexes {
    fn at(&self, url: &Url) -> Option<Login> {
        let here = origin(url);
        if let Some((_, login)) = self.origins.iter().find(|(origin, _)| *origin == here) {
            return Some(login.clone());
        }
        let username = self.usernames.iter().find(|(origin, _)| *origin == here).map(|(_, name)| name);
        let theirs = |login: &Login| {
            login.username.is_empty() || username.is_none_or(|username| *username == login.username)
        };
        let mut netrc = self.netrc.iter().filter(|(host, _)| Some(host.as_str()) == url.host_str());
        match (netrc.find(|(_, login)| theirs(login)), username) {
            (Some((_, login)), Some(username)) => {
                Some(Login { username: username.clone(), password: login.password.clone() })
            }
            (Some((_, login)), None) => Some(login.clone()),
            // Some indexes accept a token as the user name, without a password; pip sends it in the same way.
            (None, Some(username)) => {
                Some(Login { username: username.clone(), password: String::new().into() })
            }
            (None, None) => None,
        }
    }
}

static NAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(https?://\S+)"));
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\$\{([A-Z0-9_]+)\}"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is valid"))
}

/// A URL of a Pipfile with its variables expanded, as pipenv does.
pub(super) fn expanded_url(url: &str) -> String {
    expanded(url, |name| std::env::var(name).ok())
}

/// Expands variables as pip does, in requirements and in Pipfiles, but not in comments.
fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let value =
        |captures: &regex::Captures<'_>| variable(&captures[1]).unwrap_or_else(|| captures[0].to_owned());
    VARIABLE.replace_all(&lock::lines(text).join("\n"), value).into_owned()
}

/// The named indexes and their URLs.
fn named(kind: TextKind, text: &str) -> Vec<(String, Url)> {
    let pairs: Vec<(String, String)> = match kind {
        TextKind::Plain | TextKind::Requirements => Vec::new(),
        TextKind::Naming => {
            NAMED.captures_iter(text).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
        }
        TextKind::Settings => {
            let settings = toml::from_str::<toml::Table>(text).unwrap_or_default();
            let uv = settings.get("tool").and_then(|tool| tool.get("uv")?.as_table());
            let tables = uv.unwrap_or(&settings).get("index").and_then(toml::Value::as_array);
            let text = |table: &toml::Value, key: &str| Some(table.get(key)?.as_str()?.to_owned());
            let pair = |table| Some((text(table, "name")?, text(table, "url")?));
            tables.into_iter().flatten().filter_map(pair).collect()
        }
    };
    pairs.into_iter().filter_map(|(name, url)| Some((name, Url::parse(&url).ok()?))).collect()
}

/// <https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly>
fn variable_name(index: &str) -> String {
    index.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn username_in(url: &Url) -> Option<String> {
    unescaped(url.username()).filter(|username| !username.is_empty())
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// <https://pip.pypa.io/en/stable/topics/configuration/#location>
fn pip_files(named: Option<String>, home: Option<&Path>) -> Vec<PathBuf> {
    let named = named.map(PathBuf::from);
    let home =
        home.into_iter().flat_map(|home| [home.join(".config/pip/pip.conf"), home.join(".pip/pip.conf")]);
    named.into_iter().chain(home).chain(["/etc/pip.conf".into()]).collect()
}

/// <https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html>
fn netrc(text: &str) -> Vec<(String, Login)> {
    let mut words = text
        .split("\n\n")
        .flat_map(|part| {
            // A macro ends at the next empty line.
            let part = part.split_once("macdef").map_or(part, |(before, _)| before);
            part.lines().map(|line| {
                line.split_once('#').filter(|(before, _)| before.trim().is_empty()).map_or(line, |_| "")
            })
        })
        .flat_map(str::split_whitespace);
    let mut found: Vec<(String, Login)> = Vec::new();
    let mut named = false;
    while let Some(word) = words.next() {
        match word {
            "machine" => {
                let host = words.next().unwrap_or_default().to_owned();
                found.push((host, Login { username: String::new(), password: String::new().into() }));
                named = true;
            }
            "default" => named = false,
            "login" | "password" | "account" => {
                let Some(value) = words.next() else { break };
                let Some((_, login)) = found.last_mut().filter(|_| named) else { continue };
                match word {
                    "login" => login.username = value.to_owned(),
                    "password" => login.password = value.to_owned().into(),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
