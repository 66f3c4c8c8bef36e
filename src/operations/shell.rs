//! [`Shell`]: the state of a command while it runs.

use std::collections::BTreeMap;

use super::files::{Errno, Filesystem, Ino, Kind, Last, ROOT};
use super::pattern;
use crate::recipe::{LockExport, Pathname};
use crate::tree::ImagePath;

/// The requirements of a lock, from the contents of the files in its directory by their names. The error is a fault.
pub(crate) type Exporter = fn(&LockExport, &BTreeMap<&str, Vec<u8>>) -> Result<String, String>;

/// A command that runs in a directory.
pub(super) struct Shell<'s> {
    pub files: &'s mut Filesystem,
    /// Its directory.
    pub directory: Ino,
    /// Its name, for messages.
    pub name: &'s str,
    /// Whether the image's `cp` is busybox's.
    pub is_busybox: bool,
    /// The day of the recipe's epoch, counted from 1970, for files that have dates.
    pub day: u64,
    pub exporter: Exporter,
    /// What it reports. Without a report it succeeds.
    pub faults: Vec<String>,
    /// Whether the line must not go on, although a shell would: what the real command does is not known.
    pub is_lost: bool,
}

impl Shell<'_> {
    /// Reports a failure; the command goes on with its next file.
    pub fn fail(&mut self, fault: impl AsRef<str>) {
        self.faults.push(format!("{}: {}", self.name, fault.as_ref()));
    }

    /// Reports that the command cannot do something with a file, in the words of coreutils.
    pub fn cannot(&mut self, what: &str, path: &[u8], error: Errno) {
        self.fail(format!("cannot {what} '{}': {error}", shown(path)));
    }

    /// The paths that the names stand for. A match that begins with a dash may be an option.
    pub fn expand(&mut self, paths: &[Pathname]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for path in paths {
            let matches = self.expand_one(path);
            let is_pattern = matches!(path, Pathname::Pattern(_));
            if let Some(option) = matches.iter().find(|path| is_pattern && path.starts_with(b"-")) {
                let option = shown(option);
                self.fail(format!("the pattern matches '{option}', which may be an option; write ./*"));
                self.is_lost = true;
                return Vec::new();
            }
            found.extend(matches);
        }
        found
    }

    fn expand_one(&self, path: &Pathname) -> Vec<Vec<u8>> {
        let pattern = match path {
            Pathname::Path(path) => return vec![path.clone().into_bytes()],
            Pathname::Pattern(pattern) => pattern.as_bytes(),
        };
        let start = if pattern.starts_with(b"/") { b"/".to_vec() } else { Vec::new() };
        let parts: Vec<&[u8]> = pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
        let mut found = Vec::new();
        self.matching(start, &parts, pattern.ends_with(b"/"), &mut found);
        found.sort();
        if found.is_empty() {
            found.push(pattern::unquoted(pattern));
        }
        found
    }

    /// Finds the paths that continue `start` with these parts of a pattern.
    fn matching(&self, start: Vec<u8>, parts: &[&[u8]], slash: bool, found: &mut Vec<Vec<u8>>) {
        let here = if start.is_empty() { b"." } else { &start[..] };
        let Some((part, rest)) = parts.split_first() else {
            // The last part, unless it is a pattern, need not exist.
            let last = if slash { Last::Follow } else { Last::Keep };
            let exists = self.files.find(self.directory, here, last);
            match (slash, exists.is_ok_and(|ino| !slash || self.files.is_directory(ino))) {
                (true, true) => found.push([&start[..], b"/"].concat()),
                (false, true) => found.push(start),
                (_, false) => {}
            }
            return;
        };
        let joined = |name: &[u8]| match start.last() {
            None | Some(b'/') => [&start[..], name].concat(),
            Some(_) => [&start[..], b"/", name].concat(),
        };
        if !pattern::is_special(part) {
            return self.matching(joined(&pattern::unquoted(part)), rest, slash, found);
        }
        let Ok(dir) = self.files.find(self.directory, here, Last::Follow) else { return };
        let names = self.files.names(dir).unwrap_or_default();
        let is_dotted = part.starts_with(b".") || part.starts_with(b"\\.");
        for (name, _) in names {
            if (is_dotted || !name.starts_with(b".")) && pattern::matches(part, &name) {
                self.matching(joined(&name), rest, slash, found);
            }
        }
    }

    /// The single path that a name stands for. A pattern that matches several files spells a path, as in a redirection.
    pub fn single(&self, path: &Pathname) -> Vec<u8> {
        let mut found = self.expand_one(path);
        match (found.len(), path) {
            (1, _) => found.remove(0),
            (_, Pathname::Path(text)) => text.clone().into_bytes(),
            (_, Pathname::Pattern(text)) => pattern::unquoted(text.as_bytes()),
        }
    }

    /// Whether a path is that of the null device, which the image need not have: a running container does.
    pub fn is_null(&self, path: &[u8]) -> bool {
        let located = self.files.walk(self.directory, path, Last::Follow);
        match located {
            Ok(located) => {
                located.name == b"null" && self.files.find(ROOT, b"/dev", Last::Follow) == Ok(located.dir)
            }
            Err(_) => path == b"/dev/null",
        }
    }

    /// Whether a path is a symbolic link.
    pub fn is_link(&self, path: &[u8]) -> bool {
        let found = self.files.find(self.directory, path, Last::Keep);
        found.is_ok_and(|ino| matches!(self.files.get(ino).kind, Kind::Symlink(_)))
    }
}

/// A path for a message.
pub(super) fn shown(path: &[u8]) -> String {
    ImagePath::new(path).to_string()
}

/// The last name of a path, without slashes after it; a slash for the root.
pub(super) fn last_name(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let name = path[..end].rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if name.is_empty() && !path.is_empty() { b"/" } else { name }
}

/// A path below another one.
pub(super) fn joined(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.ends_with(b"/") { [dir, name].concat() } else { [dir, b"/", name].concat() }
}
