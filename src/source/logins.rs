//! Logins in requirement files: a password in an index URL must not reach the image together with the code.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::text;
use super::zip::read;
use crate::error::{Error, Result};
use crate::tree::{Content, EntryKind, FileTree};

/// Files that may name an index, besides those with `requirements` or `constraints` in their name.
const NAMES: [&str; 8] = [
    "pyproject.toml",
    "uv.toml",
    "uv.lock",
    "poetry.lock",
    "poetry.toml",
    "Pipfile",
    "Pipfile.lock",
    "pip.conf",
];

/// Upper bound on the size of a file that is searched, in bytes: larger files are generated, without logins.
const LIMIT: u64 = 16 << 20;

/// User, password and host of a URL. `${NAME}` stands for a variable, so the login itself is not in the file.
static LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?-u)https?://([^\s/@:'"<>]*)(?::([^\s/@'"<>]*))?@([A-Za-z0-9.\[\]:-]+)"#;
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is valid"))
});

/// Fails for the first requirement file that has a login in a URL. The files in `named` are searched whatever their
/// names.
pub(super) fn refuse(tree: &FileTree, named: &[PathBuf]) -> Result<()> {
    let named: Vec<PathBuf> = named.iter().filter_map(|path| path.canonicalize().ok()).collect();
    for (path, entry) in tree.iter() {
        let EntryKind::File(content) = &entry.kind else { continue };
        if content.size() > LIMIT || !(is_named(content, &named) || is_requirements(path)) {
            continue;
        }
        let (path, text) = match content {
            Content::File(file) => {
                let read = std::fs::read(&file.path);
                (file.path.clone(), read.map_err(|source| Error::Read { path: file.path.clone(), source })?)
            }
            Content::Zip(member) => {
                let name = String::from_utf8_lossy(&member.name).into_owned();
                (member.archive.path.join(name), read(member)?)
            }
            Content::Bytes(_) => continue,
        };
        // UTF-16 would hide the login.
        let text = text::recoded(text.clone()).unwrap_or(text);
        if let Some((line, host)) = login(&text) {
            return Err(Error::PackedLogin { path, line, host });
        }
    }
    Ok(())
}

fn is_named(content: &Content, named: &[PathBuf]) -> bool {
    let Content::File(file) = content else { return false };
    !named.is_empty() && file.path.canonicalize().is_ok_and(|path| named.contains(&path))
}

fn is_requirements(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().and_then(|name| std::str::from_utf8(name).ok());
    let Some(name) = name else { return false };
    let text = [".txt", ".in"].iter().any(|end| name.ends_with(end));
    let listed = text && (name.contains("requirements") || name.contains("constraints"));
    listed
        || NAMES.contains(&name)
        || (name.starts_with("pylock.") && Path::new(name).extension() == Some("toml".as_ref()))
}

/// The line of the first login, and its host.
fn login(text: &[u8]) -> Option<(usize, String)> {
    let variable = |part: &[u8]| part.starts_with(b"$");
    let found = LOGIN.captures_iter(text).find(|found| {
        let password =
            found.get(2).map(|password| password.as_bytes()).filter(|password| !password.is_empty());
        match password {
            Some(password) => !variable(password),
            // A user without a password may be a token; `git` is not.
            None => !found[1].is_empty() && &found[1] != b"git" && !variable(&found[1]),
        }
    })?;
    let at = found.get(0)?.start();
    let line = text[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    Some((line, String::from_utf8_lossy(&found[3]).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_unless_it_is_a_variable() {
        for (text, found) in [
            ("a\n--index-url https://me:hunter2@i.example/simple\n", Some((2, "i.example"))),
            ("a @ git+https://ghp_token@g.example/a", Some((1, "g.example"))),
            ("url = \"http://me:x@127.0.0.1:8080/\"", Some((1, "127.0.0.1:8080"))),
            ("-i https://me:${PASSWORD}@i.example/simple", None),
            ("-i https://${TOKEN}@i.example/simple", None),
            ("a @ git+https://git@g.example/a", None),
            ("a @ git+ssh://git@g.example/a", None),
            ("-i https://i.example/simple # mail@i.example", None),
            ("a @ https://i.example/@scope/a.whl", None),
        ] {
            assert_eq!(login(text.as_bytes()), found.map(|(line, host)| (line, host.to_owned())), "{text}");
        }
    }

    #[test]
    fn requirement_files_are_recognised_by_name() {
        for name in
            ["requirements.txt", "a/dev-requirements.txt", "constraints.in", "uv.lock", "x/pylock.dev.toml"]
        {
            assert!(is_requirements(name.as_bytes()), "{name}");
        }
        for name in ["requirements.py", "notes.txt", "pylock.py", "uv.lock/x"] {
            assert!(!is_requirements(name.as_bytes()), "{name}");
        }
    }
}
