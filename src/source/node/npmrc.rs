//! `.npmrc` beside the lock file: the settings that determine the installed files, and the secrets.
//!
//! <https://docs.npmjs.com/cli/configuring-npm/npmrc>

use std::path::{Path, PathBuf};

use super::yarnrc;
use crate::source::text;

/// The file's name.
pub(super) const NAME: &str = ".npmrc";

/// The settings that may affect the installed files, sorted: without logins and the addresses of registries.
pub(super) fn decisive(dir: &Path) -> Vec<String> {
    let text = text::read(&dir.join(NAME)).unwrap_or_default();
    let elsewhere = ["registry", "proxy", "cert", "key", "ca", "cafile", "cache", "email", "username"];
    let decides = |key: &str| {
        let name = key.rsplit(':').next().unwrap_or(key);
        !is_secret(key) && !key.starts_with("//") && !elsewhere.iter().any(|word| name.ends_with(word))
    };
    let settings = settings(&text).filter(|(key, _)| decides(key));
    let mut settings: Vec<String> = settings.map(|(key, value)| format!("{key}={value}")).collect();
    settings.sort();
    settings
}

/// Whether settings turn install scripts off.
pub(super) fn ignores_scripts(text: &str) -> bool {
    settings(text).any(|setting| setting == ("ignore-scripts", "true"))
}

/// The names of the variables that settings take their values from.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name.trim_end_matches('?'))
}

/// Every password and token in the function's and the user's settings, with variables expanded as npm and yarn do.
pub(super) fn secrets(dir: &Path) -> Vec<String> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let named = variable("NPM_CONFIG_USERCONFIG").or_else(|| variable("npm_config_userconfig"));
    let user = named.or_else(|| variable("HOME").map(|home| home.join(NAME)));
    let texts = [Some(dir.join(NAME)), user].into_iter().flatten();
    let texts: Vec<String> = texts.filter_map(|path| text::read(&path).ok()).collect();
    let settings = texts.iter().flat_map(|text| settings(text));
    let values = settings.filter(|(key, _)| is_secret(key)).map(|(_, value)| expanded(value));
    let yarn = [Some(dir.to_owned()), variable("HOME")].into_iter().flatten();
    let yarn: Vec<String> = yarn.filter_map(|dir| text::read(&dir.join(yarnrc::SETTINGS)).ok()).collect();
    let values = values.chain(yarn.iter().flat_map(|text| yarnrc::secrets(text)).map(expanded));
    // A shorter value is not a secret, and would occur within ordinary words.
    values.filter(|value| value.len() >= 4).collect()
}

/// The text without the secrets.
pub(super) fn redacted(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["_auth", "_password", "token"].iter().any(|word| key.contains(word))
}

fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs =
        lines.filter(|line| !line.is_empty()).map(|line| line.split_once('=').unwrap_or((line, "true")));
    pairs.map(|(key, value)| (key.trim().trim_end_matches("[]"), value.trim().trim_matches(['"', '\''])))
}

/// The value with each `${NAME}` replaced by the variable's value.
fn expanded(value: &str) -> String {
    let (mut text, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else { break };
        text.push_str(before);
        text.push_str(&std::env::var(name.trim_end_matches('?')).unwrap_or_default());
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_not_decisive_and_are_redacted() {
        let dir = tempfile::tempdir().unwrap();
        let text = "; a comment\nlegacy-peer-deps = true\n//r.example/:_authToken=\"hunter2\"\n\
            @scope:registry=https://r.example\nregistry=https://r.example\nomit[]=optional\n_auth = ${NONE_OF_THIS_NAME}abcd\n";
        std::fs::write(dir.path().join(NAME), text).unwrap();
        assert_eq!(decisive(dir.path()), ["legacy-peer-deps=true", "omit=optional"]);
        let found = secrets(dir.path());
        assert!(found.starts_with(&["hunter2".to_owned(), "abcd".to_owned()]), "{}", found.len());
        assert_eq!(variables(text).collect::<Vec<_>>(), ["NONE_OF_THIS_NAME"]);
        assert!(ignores_scripts("ignore-scripts = true\n") && !ignores_scripts("#ignore-scripts=true\n"));
        assert_eq!(redacted("bad token hunter2!", &found), "bad token ***!");
    }
}
