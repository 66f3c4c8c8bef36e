//! The files of a build context: a directory on this machine. No link leads out of it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::pattern::SourcePath;
use crate::error::{Error, Result};
use crate::recipe::{BuildContext, Origin};
use crate::source::directory;
use crate::source::ignore::Ignore;
use crate::tree::{Entry, FileTree};

/// The number of links after which Linux gives up.
const MAX_LINKS: usize = 40;

/// A build context with the rules of its ignore file.
pub(super) struct ContextFiles {
    root: PathBuf,
    ignore: Ignore,
    /// The ignore file, for messages.
    ignore_file: Option<PathBuf>,
}

/// A file or directory that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// The path as the source names it, below its pivot.
    pub named: Vec<u8>,
    /// The path in the context, without links.
    pub real: Vec<u8>,
    pub is_directory: bool,
}

impl ContextFiles {
    /// Reads the ignore file of a context.
    pub fn open(context: &BuildContext) -> Result<ContextFiles> {
        let root = &context.path;
        let metadata = fs::metadata(root).map_err(|source| Error::Read { path: root.clone(), source })?;
        if !metadata.is_dir() {
            let source = std::io::ErrorKind::NotADirectory.into();
            return Err(Error::Read { path: root.clone(), source });
        }
        let (ignore, ignore_file) = Ignore::of_context(&context.ignore)?;
        Ok(ContextFiles { root: root.clone(), ignore, ignore_file })
    }

    /// The files and directories that a source names, in the order of their paths. A source without wildcards names
    /// exactly one.
    pub fn select(&self, path: &SourcePath, text: &str, origin: &Origin) -> Result<Vec<Selected>> {
        let Some(pivot) = self.resolve(&path.pivot) else { return Err(self.missing(text, origin)) };
        let start = self.resolve(&join(&pivot, &path.literal));
        if path.wild.is_empty() {
            let found = start.and_then(|real| self.visible(path.literal.clone(), real));
            return found.map(|found| vec![found]).ok_or_else(|| self.missing(text, origin));
        }
        // A wildcard may match nothing.
        let Some(start) = start.filter(|start| self.on_disk(start).is_dir()) else { return Ok(Vec::new()) };
        let mut names = BTreeSet::new();
        self.matches(path, &start, &mut Vec::new(), &mut names)?;
        let mut all = Vec::new();
        for name in names {
            let (named, at) = (join(&path.literal, &name), join(&start, &name));
            if self.ignore.is_ignored(&at) && !self.on_disk(&at).is_dir() {
                continue;
            }
            let Some(real) = self.resolve(&at) else {
                let text = format!("{text}` (which matches `{}`)", named.escape_ascii());
                return Err(self.missing(text.trim_end_matches('`'), origin));
            };
            all.extend(self.visible(named, real));
        }
        Ok(all)
    }

    /// Collects the paths below `start` that match.
    fn matches(
        &self,
        path: &SourcePath,
        start: &[u8],
        below: &mut Vec<u8>,
        found: &mut BTreeSet<Vec<u8>>,
    ) -> Result<()> {
        let dir = join(start, below);
        let on_disk = self.on_disk(&dir);
        let unreadable = |source| Error::Read { path: on_disk.clone(), source };
        for item in fs::read_dir(&on_disk).map_err(unreadable)? {
            let item = item.map_err(unreadable)?;
            let length = below.len();
            if length > 0 {
                below.push(b'/');
            }
            below.extend_from_slice(item.file_name().as_bytes());
            if path.matches(below) {
                found.insert(below.clone());
            }
            let at = join(start, below);
            let is_directory = item.file_type().map_err(unreadable)?.is_dir();
            if is_directory
                && path.may_match_below(below)
                && !self.ignore.can_prune(self.ignore.verdict(&at), &at)
            {
                self.matches(path, start, below, found)?;
            }
            below.truncate(length);
        }
        Ok(())
    }

    /// The entries of a directory that was selected, by their paths in it, with their modes on the disk.
    pub fn tree(&self, selected: &Selected, jobs: usize) -> Result<FileTree> {
        FileTree::of(directory::collect_below(&self.root, &selected.real, &self.ignore, jobs)?)
    }

    /// The entry of a file that was selected, with its mode on the disk.
    pub fn file(&self, selected: &Selected) -> Result<Entry> {
        directory::single_file(&self.on_disk(&selected.real))
    }

    /// Whether a source includes the file at a path of the context, or would if the file existed.
    pub fn would_include(&self, source: &SourcePath, file: &[u8]) -> bool {
        let Some(start) = self.resolve(&join(&source.pivot, &source.literal)) else { return false };
        let below = match file.strip_prefix(&start[..]) {
            Some(below) if start.is_empty() => below,
            Some([b'/', below @ ..]) => below,
            Some([]) => b"",
            _ => return false,
        };
        // A wildcard may match a directory above the file.
        let ends = (0..below.len()).filter(|&at| below[at] == b'/').chain([below.len()]);
        let is_named = source.wild.is_empty() || ends.into_iter().any(|end| source.matches(&below[..end]));
        is_named && !self.ignore.is_ignored(file)
    }

    pub fn on_disk(&self, real: &[u8]) -> PathBuf {
        match real {
            b"" => self.root.clone(),
            real => self.root.join(OsStr::from_bytes(real)),
        }
    }

    /// The file or directory, unless the ignore file leaves it out.
    fn visible(&self, named: Vec<u8>, real: Vec<u8>) -> Option<Selected> {
        let is_directory = self.on_disk(&real).is_dir();
        let verdict = self.ignore.verdict(&real);
        let is_hidden = !real.is_empty()
            && match is_directory {
                false => self.ignore.ignores(verdict),
                true => {
                    self.ignore.ignores(verdict)
                        && directory::collect_below(&self.root, &real, &self.ignore, 1)
                            .is_ok_and(|found| found.is_empty())
                }
            };
        (!is_hidden).then_some(Selected { named, real, is_directory })
    }

    /// Follows the links in a path. Each `..` and each absolute link stays within the context.
    fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut ahead: Vec<Vec<u8>> = parts(path);
        let (mut end, mut links) = (Vec::new(), 0);
        while let Some(part) = ahead.pop() {
            if part == b".." {
                end.truncate(end.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            let next = join(&end, &part);
            let metadata = fs::symlink_metadata(self.on_disk(&next)).ok()?;
            if metadata.is_symlink() {
                links += 1;
                let target = fs::read_link(self.on_disk(&next)).ok().filter(|_| links <= MAX_LINKS)?;
                let target = target.as_os_str().as_bytes();
                if target.starts_with(b"/") {
                    end.clear();
                }
                ahead.extend(parts(target));
            } else {
                end = next;
            }
        }
        Some(end)
    }

    fn missing(&self, text: &str, origin: &Origin) -> Error {
        let path = text.split('`').next().unwrap_or(text);
        let there = self.resolve(path.as_bytes()).is_some();
        match (&self.ignore_file, there) {
            (Some(file), true) => origin.failed_at(
                path,
                format!("`{text}` is left out by {}", file.display()),
                Some(format!("add `!{path}` to {}, or remove the pattern that matches it", file.display())),
            ),
            _ => {
                let hint = self.near(path).unwrap_or_else(|| {
                    "a source is a path in the build context, which is PATH unless --from names another"
                        .to_owned()
                });
                let fault = format!("`{text}` does not exist in {}", self.root.display());
                origin.failed_at(path, fault, Some(hint))
            }
        }
    }

    /// A hint with the name of a similar file beside a missing one.
    fn near(&self, path: &str) -> Option<String> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.resolve(dir.as_bytes())?;
        let names = fs::read_dir(self.on_disk(&dir)).ok()?;
        let names: Vec<String> = names.filter_map(|item| item.ok()?.file_name().into_string().ok()).collect();
        let same = names.iter().find(|other| other.eq_ignore_ascii_case(name) && *other != name)?;
        Some(format!("there is `{same}`, which differs in case"))
    }
}

/// The components of a path, the last first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.rsplit(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect()
}

/// The two paths with a slash between them, if both are paths.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match (dir, name) {
        (b"", name) => name.to_vec(),
        (dir, b"") => dir.to_vec(),
        (dir, name) => [dir, b"/", name].concat(),
    }
}
