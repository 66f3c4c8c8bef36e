//! Logins of package indexes, from where uv and pip take them: addresses that bear one, `UV_INDEX_NAME_USERNAME` and
//! `_PASSWORD`, then netrc. Each is shown to its own scheme, host and port, and never told to anybody else.
//!
//! netrc's `default` entry is not used: it would go to any host that a lock file happens to name.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use reqwest::Url;

use super::choice::unescaped;
use crate::recipe::{Python, Requirements};
use crate::source::address::ADDRESS;
use crate::store::{Login, Logins};

/// Variables of uv and pip with addresses of indexes, some of them under a name.
const VARIABLES: [&str; 8] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
];

/// Files beside the requirements that may name indexes.
const BESIDE: [&str; 4] = ["pyproject.toml", "uv.toml", "Pipfile", "Pipfile.lock"];

/// Who we are to each index.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// By scheme, host and port.
    origins: Vec<(String, Login)>,
    /// By host.
    netrc: Vec<(String, Login)>,
}

impl Indexes {
    /// What the environment and the files around the requirements tell.
    pub(super) fn of(python: &Python) -> Indexes {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let mut texts: Vec<String> = VARIABLES.iter().filter_map(|name| variable(name)).collect();
        if let Requirements::File { path } = &python.requirements {
            let dir = path.parent().unwrap_or(Path::new(""));
            let beside = BESIDE.iter().map(|name| dir.join(name));
            let files = super::requirements::files(path).into_iter().chain(beside);
            texts.extend(files.filter_map(|path| std::fs::read_to_string(path).ok()));
        }
        let home = variable("HOME").map(PathBuf::from);
        let pip = pip_files(variable("PIP_CONFIG_FILE"), home.as_deref());
        texts.extend(pip.iter().filter_map(|path| std::fs::read_to_string(path).ok()));
        let netrc = variable("NETRC").map(PathBuf::from).or_else(|| home.map(|home| home.join(".netrc")));
        let netrc = netrc.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Indexes::from_texts(&texts, &netrc, variable)
    }

    fn from_texts(texts: &[String], netrc_text: &str, variable: impl Fn(&str) -> Option<String>) -> Indexes {
        let mut found = Indexes { origins: Vec::new(), netrc: netrc(netrc_text) };
        let texts: Vec<String> = texts.iter().map(|text| expanded(text, &variable)).collect();
        for text in &texts {
            for address in ADDRESS.find_iter(text) {
                let Ok(url) = Url::parse(address.as_str()) else { continue };
                found.origins.extend(login_in(&url).map(|login| (origin(&url), login)));
            }
        }
        for (name, url) in texts.iter().flat_map(|text| named(text)) {
            let variable = |what| variable(&format!("UV_INDEX_{}_{what}", variable_name(&name)));
            if let (Some(username), Some(password)) = (variable("USERNAME"), variable("PASSWORD")) {
                found.origins.push((origin(&url), Login { username, password: password.into() }));
            }
        }
        found
    }
}

impl Logins for Indexes {
    fn at(&self, url: &Url) -> Option<Login> {
        let here = origin(url);
        let own = self.origins.iter().find(|(origin, _)| *origin == here);
        let netrc = || self.netrc.iter().find(|(host, _)| Some(host.as_str()) == url.host_str());
        own.or_else(netrc).map(|(_, login)| login.clone())
    }
}

/// `name=https://…` in a variable, `name = "…"` with `url = "…"` in a table of uv's settings.
static NAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(https?://\S+)"));
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\$\{([A-Z0-9_]+)\}"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|_| unreachable!("the pattern is right"))
}

/// As pip does it, in requirements and in Pipfiles.
fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let value =
        |captures: &regex::Captures<'_>| variable(&captures[1]).unwrap_or_else(|| captures[0].to_owned());
    VARIABLE.replace_all(text, value).into_owned()
}

/// Indexes that have a name, and their addresses.
fn named(text: &str) -> Vec<(String, Url)> {
    let pair = |(name, url): (String, String)| Some((name, Url::parse(&url).ok()?));
    let inline = NAMED.captures_iter(text).map(|found| (found[1].to_owned(), found[2].to_owned()));
    let settings: Vec<(String, String)> =
        toml::from_str::<toml::Table>(text).map_or(Vec::new(), |settings| {
            let uv = settings.get("tool").and_then(|tool| tool.get("uv")?.as_table());
            let tables = uv.unwrap_or(&settings).get("index").and_then(toml::Value::as_array);
            let text = |table: &toml::Value, key: &str| Some(table.get(key)?.as_str()?.to_owned());
            tables
                .into_iter()
                .flatten()
                .filter_map(|table| Some((text(table, "name")?, text(table, "url")?)))
                .collect()
        });
    inline.chain(settings).filter_map(pair).collect()
}

/// <https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly>
fn variable_name(index: &str) -> String {
    index.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn login_in(url: &Url) -> Option<Login> {
    let (username, password) = (url.username(), url.password().unwrap_or_default());
    if username.is_empty() && password.is_empty() {
        return None;
    }
    Some(Login { username: unescaped(username)?, password: unescaped(password)?.into() })
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
            // A macro goes on to the next empty line.
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
mod tests {
    use super::*;
    use crate::source::address::{redacted, without_login};

    fn indexes(texts: &[&str], netrc: &str) -> Indexes {
        let variable = |name: &str| match name {
            "UV_INDEX_MY_INDEX_USERNAME" => Some("envuser".to_owned()),
            "UV_INDEX_MY_INDEX_PASSWORD" => Some("envpass".to_owned()),
            "TOKEN" => Some("s3cret".to_owned()),
            _ => None,
        };
        Indexes::from_texts(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), netrc, variable)
    }

    fn at(indexes: &Indexes, url: &str) -> Option<String> {
        let login = indexes.at(&Url::parse(url).unwrap())?;
        Some(format!("{}:{}", login.username, login.password.expose()))
    }

    #[test]
    fn a_login_goes_to_its_own_origin_only() {
        let found = indexes(&["--index-url https://me:p%40ss@i.example/simple"], "");
        assert_eq!(at(&found, "https://i.example/files/a.whl").as_deref(), Some("me:p@ss"));
        for url in
            ["http://i.example/a", "https://i.example:8443/a", "https://f.example/a", "https://x.i.example/a"]
        {
            assert_eq!(at(&found, url), None, "{url}");
        }
    }

    #[test]
    fn every_place_that_has_a_login_is_read() {
        for (text, netrc) in [
            ("-i https://u:${TOKEN}@h.example/simple", ""),
            ("extra-index-url = https://a.example/ https://u:s3cret@h.example/simple", ""),
            ("a @ https://u:s3cret@h.example/a-1-py3-none-any.whl#sha256=0", ""),
            ("[[tool.uv.index]]\nname = 'x'\nurl = 'https://u:s3cret@h.example/'", ""),
            (
                "",
                "machine a login b password c\n# machine h.example\nmachine h.example\n login u\n password s3cret",
            ),
        ] {
            assert_eq!(
                at(&indexes(&[text], netrc), "https://h.example/x").as_deref(),
                Some("u:s3cret"),
                "{text}"
            );
        }
        for text in [
            "my-index=https://h.example/simple",
            "[[tool.uv.index]]\nname = 'my-index'\nurl = 'https://h.example/'",
            "[[index]]\nname = 'my-index'\nurl = 'https://h.example/'",
        ] {
            let found = indexes(&[text], "machine h.example login u password p");
            assert_eq!(at(&found, "https://h.example/x").as_deref(), Some("envuser:envpass"), "{text}");
        }
    }

    #[test]
    fn netrc_names_hosts_and_its_default_is_not_for_everyone() {
        let text = "machine a.example login u password p\n\nmacdef init\nmachine b.example login x password y\n\n\
            machine c.example login w password v default login anonymous password me";
        let found = indexes(&[], text);
        assert_eq!(at(&found, "https://a.example/").as_deref(), Some("u:p"));
        assert_eq!(at(&found, "https://c.example:8000/").as_deref(), Some("w:v"));
        assert_eq!((at(&found, "https://b.example/"), at(&found, "https://d.example/")), (None, None));
    }

    #[test]
    fn nothing_shows_a_password() {
        let found = indexes(&["https://me:hunter2@i.example/"], "machine h login u password hunter2");
        assert!(!format!("{found:?}").contains("hunter2"));
        assert_eq!(without_login("https://me:hunter2@i.example/a"), "https://i.example/a");
        let said = redacted("error: no answer from `https://me:hunter2@i.example/simple/a/`");
        assert!(said.contains("i.example") && !said.contains("hunter2"), "{said}");
    }
}
