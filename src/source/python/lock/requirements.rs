//! Reads `requirements.txt`: the packages that it names, and the hashes that it allows.
//!
//! uv or pip resolves the dependencies of these packages.
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::source::address::file_name;
use crate::source::python::hashes::Hashes;
use crate::source::python::wheel::{WheelName, normalized};
use crate::source::text;

/// The packages that the requirements name.
#[derive(Debug, Default)]
pub(in crate::source::python) struct Asked {
    /// Each name with the hashes that its files may have; empty if the requirements have no hash for it.
    pub(in crate::source::python) packages: BTreeMap<String, Hashes>,
    /// Whether every package must have a hash: as with pip, one `--hash` makes hashes mandatory for all.
    strict: bool,
}

impl Asked {
    pub(in crate::source::python) fn read(path: &Path) -> Result<Asked> {
        let mut asked = Asked::default();
        for file in files(path) {
            asked.add(&text::read(&file)?);
        }
        Ok(asked)
    }

    /// Adds the packages of one file, without those of the files that it includes.
    pub(in crate::source::python) fn add(&mut self, text: &str) {
        for line in lines(text) {
            let Some(name) = name(&line) else { continue };
            self.allow(&name, hashes(&line));
            // A hash in a URL counts for its file alone.
            self.packages.entry(name).or_default().extend(hashes_of_url(&line));
        }
    }

    /// Allows these hashes for the files of a package.
    pub(super) fn allow(&mut self, name: &str, hashes: Hashes) {
        self.strict |= !hashes.is_empty();
        self.packages.entry(normalized(name)).or_default().extend(hashes);
    }

    /// The hashes that a package's file must have one of, if any. Fails for a package that must have a hash.
    pub(in crate::source::python) fn hashes(
        &self,
        name: &str,
        file: &str,
        require_hashes: bool,
    ) -> Result<Option<&Hashes>> {
        let allowed = self.packages.get(name).filter(|hashes| !hashes.is_empty());
        match allowed.is_none() && (self.strict || require_hashes) {
            true => {
                let fault = "the requirements have no hash for it".to_owned();
                Err(Error::Hash { file: file.to_owned(), fault })
            }
            false => Ok(allowed),
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

fn hashes(line: &str) -> Hashes {
    let options = line.split("--hash").skip(1);
    Hashes::of(
        options.map(|rest| rest.trim_start_matches(['=', ' ']).split_whitespace().next().unwrap_or_default()),
    )
}

/// The hash in the fragment of a URL, as in `a @ https://h.example/a.whl#sha512=…`.
fn hashes_of_url(line: &str) -> Hashes {
    let fragment =
        line.split_whitespace().find_map(|word| word.contains("://").then_some(word.split_once('#')?.1));
    let pairs =
        fragment.into_iter().flat_map(|fragment| fragment.split('&')).filter_map(|pair| pair.split_once('='));
    // Other keys are `egg` and `subdirectory`.
    let is_hash = |name: &str| name.starts_with("sha") || name.starts_with("md") || name.starts_with("blake");
    Hashes::of(pairs.filter(|(name, _)| is_hash(name)).map(|(name, hash)| format!("{name}:{hash}")))
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
        let hash = format!("sha256:{hex}");
        assert_eq!(asked.packages["d"], Hashes::of([hash.as_str(), "sha512:0"]));
        assert_eq!(asked.packages["h"], Hashes::of(["sha256:0"]));
    }

    #[test]
    fn one_hash_option_makes_hashes_mandatory_for_all() {
        let asked = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("r.txt"), text).unwrap();
            Asked::read(&dir.path().join("r.txt")).unwrap()
        };
        let has = |asked: &Asked, name: &str, require| {
            asked.hashes(name, "f.whl", require).map(|found| found.is_some())
        };
        let strict = asked("a==1 --hash=sha384:00\nb==1");
        assert!(has(&strict, "a", false).unwrap());
        assert!(has(&strict, "b", false).is_err() && has(&strict, "dependency", false).is_err());
        let of_url =
            asked("a @ https://h.example/a-1-py3-none-any.whl#egg=a&sha512=00 ; os_name == 'posix'\nb==1");
        assert!(has(&of_url, "a", true).unwrap() && !has(&of_url, "b", false).unwrap());
        assert!(has(&of_url, "b", true).is_err());
        assert!(!has(&asked("a @ https://h.example/a.zip#subdirectory=x"), "a", false).unwrap());
    }
}
