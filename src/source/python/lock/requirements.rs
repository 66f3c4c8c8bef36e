//! Reads `requirements.txt`: the packages that it names, and the hashes that it allows.
//!
//! uv or pip resolves the dependencies of these packages.
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::package::sha256;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::Wheel;
use crate::source::address::file_name;
use crate::source::python::wheel::{WheelName, normalized};
use crate::source::text;

/// The packages that the requirements name.
#[derive(Debug, Default)]
pub(in crate::source::python) struct Asked {
    /// Each name with the digests that its files may have; the set is empty if the requirements have no hash for it.
    pub(in crate::source::python) packages: BTreeMap<String, BTreeSet<Digest>>,
}

impl Asked {
    pub(in crate::source::python) fn read(path: &Path) -> Result<Asked> {
        let mut asked = Asked::default();
        for file in files(path) {
            for line in lines(&text::read(&file)?) {
                if let Some(name) = name(&line) {
                    asked.packages.entry(name).or_default().extend(hashes(&line));
                }
            }
        }
        Ok(asked)
    }

    /// Fails for a wheel that the hashes do not allow. As with pip, hashes for one package make them mandatory for all.
    pub(in crate::source::python) fn check(&self, wheel: &Wheel, require_hashes: bool) -> Result<()> {
        let fail = |fault| Err(Error::Hash { file: wheel.file.clone(), fault });
        let strict = require_hashes || self.packages.values().any(|hashes| !hashes.is_empty());
        match self.packages.get(&wheel.name).filter(|hashes| !hashes.is_empty()) {
            Some(allowed) if allowed.contains(&wheel.sha256) => Ok(()),
            Some(_) => fail("its hash is not among those in the requirements"),
            None if strict => fail("the requirements have no hash for it"),
            None => Ok(()),
        }
    }
}

/// A requirements file and the files that it includes, in order.
pub(in crate::source::python) fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let Ok(text) = text::read(&path) else { continue };
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        for line in lines(&text) {
            let included = ["-r", "--requirement"].iter().find_map(|flag| {
                let rest = line.strip_prefix(flag)?;
                let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
                (!rest.is_empty()).then(|| dir.join(rest))
            });
            // Two files may include each other.
            found.extend(included.filter(|path| !found.contains(path)).into_iter().collect::<Vec<_>>());
        }
    }
    found
}

/// Lines without comments; a line that ends in a backslash is joined with the next.
pub(in crate::source::python) fn lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut line = String::new();
    for part in text.lines() {
        let comment =
            part.starts_with('#').then_some(0).or_else(|| part.find(" #")).or_else(|| part.find("\t#"));
        let part = &part[..comment.unwrap_or(part.len())];
        match part.strip_suffix('\\').filter(|_| comment.is_none()) {
            Some(part) => line.push_str(part),
            None => {
                line.push_str(part);
                found.push(std::mem::take(&mut line).trim().to_owned());
            }
        }
    }
    found.push(line.trim().to_owned());
    found.retain(|line| !line.is_empty());
    found
}

/// The normalised name of the package that a line requests.
fn name(line: &str) -> Option<String> {
    if line.starts_with('-') {
        return None;
    }
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    // Otherwise the line is a URL or a path, and the file name contains the package's name.
    let named = rest.is_empty()
        || rest.starts_with(['=', '<', '>', '!', '~', '[', ';', '@', '('])
        || rest.starts_with("--");
    if named && !name.is_empty() && !name.ends_with(".whl") {
        return Some(normalized(name));
    }
    let path = line.split([' ', ';', '#']).next()?;
    let wheel = WheelName::parse(&file_name(path)?)?;
    Some(normalized(&wheel.name))
}

fn hashes(line: &str) -> impl Iterator<Item = Digest> + '_ {
    line.split("--hash").skip(1).filter_map(|rest| {
        let text = rest.trim_start_matches(['=', ' ']).split_whitespace().next()?;
        sha256(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hashes_are_read_from_all_included_files() {
        let dir = tempfile::tempdir().unwrap();
        let hex = "ab".repeat(32);
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "r.txt",
            &format!(
                "# x\n-r more.txt\n--index-url https://i.example/simple\nA.b[c]>=1 ; python_version > '3' # why\nd==1 \\\n  --hash=sha256:{hex} \\\n  --hash sha512:0\n"
            ),
        );
        write(
            "more.txt",
            "-r r.txt\n-c c.txt\ne @ https://h.example/e.whl\n./w/f_g-1-py3-none-any.whl\nhttps://h.example/h-2-py3-none-any.whl#sha256=0\n-e .\n",
        );
        let asked = Asked::read(&dir.path().join("r.txt")).unwrap();
        assert_eq!(asked.packages.keys().collect::<Vec<_>>(), ["a-b", "d", "e", "f-g", "h"]);
        assert_eq!(asked.packages["d"].iter().map(Digest::hex).collect::<Vec<_>>(), [hex]);
    }

    #[test]
    fn a_wheel_with_another_hash_is_refused() {
        let (right, wrong) = (Digest::of(b"right"), Digest::of(b"wrong"));
        let wheel = |name: &str, sha256| Wheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file: format!("{name}-1-py3-none-any.whl"),
            url: String::new(),
            sha256,
            size: 1,
            requested: true,
            direct: false,
        };
        let asked =
            |hash: Option<Digest>| Asked { packages: [("a".to_owned(), hash.into_iter().collect())].into() };
        assert!(asked(Some(right)).check(&wheel("a", right), true).is_ok());
        assert!(asked(Some(right)).check(&wheel("a", wrong), false).is_err());
        assert!(asked(Some(right)).check(&wheel("dependency", right), false).is_err());
        assert!(asked(None).check(&wheel("a", wrong), false).is_ok());
        assert!(asked(None).check(&wheel("a", wrong), true).is_err());
    }
}
