//! `find` of GNU findutils.

use crate::operations::files::{Errno, Ino, Kind, Last, Located};
use crate::operations::pattern;
use crate::operations::shell::{Shell, joined, last_name, shown};
use crate::recipe::{Find, FindAction, FindIs, FindTest};

/// A file that find looks at.
struct Visited<'v> {
    path: &'v [u8],
    located: &'v Located,
    ino: Ino,
    depth: usize,
}

impl Shell<'_> {
    pub(in crate::operations) fn find(&mut self, find: &Find) {
        let mut roots = self.expand(&find.roots);
        if find.roots.is_empty() {
            roots.push(b".".to_vec());
        }
        let mut found = Vec::new();
        for root in roots {
            match self.files.walk(self.directory, &root, Last::Keep) {
                Ok(located) if located.inode.is_some() => self.visit(find, &root, &located, 0, &mut found),
                Ok(_) => self.fail(format!("'{}': {}", shown(&root), Errno::NoEntry)),
                Err(error) => self.fail(format!("'{}': {error}", shown(&root))),
            }
        }
        self.act(&find.action, &found);
    }

    fn visit(&mut self, find: &Find, path: &[u8], located: &Located, depth: usize, found: &mut Vec<Vec<u8>>) {
        let Some(ino) = located.inode else { return };
        let deletes = find.action == FindAction::Delete;
        let visited = Visited { path, located, ino, depth };
        if !deletes && self.is_found(find, &visited) {
            found.push(path.to_vec());
        }
        if self.files.is_directory(ino) && find.max_depth.is_none_or(|maximum| depth < maximum) {
            match self.files.names(ino) {
                Ok(names) => {
                    for (name, _) in names {
                        let at = self.files.at(ino, &name);
                        self.visit(find, &joined(path, &name), &at, depth + 1, found);
                    }
                }
                Err(error) => self.fail(format!("'{}': {error}", shown(path))),
            }
        }
        if deletes && self.is_found(find, &visited) {
            self.delete(&visited);
        }
    }

    fn delete(&mut self, visited: &Visited<'_>) {
        if visited.path == b"." {
            return;
        }
        let deleted = match self.files.is_directory(visited.ino) {
            true => self.files.remove_directory(visited.located),
            false => self.files.unlink(visited.located),
        };
        if let Err(error) = deleted {
            self.fail(format!("cannot delete '{}': {error}", shown(visited.path)));
        }
    }

    fn is_found(&self, find: &Find, visited: &Visited<'_>) -> bool {
        find.min_depth.is_none_or(|minimum| visited.depth >= minimum)
            && find.tests.iter().all(|test| self.holds(test, visited))
    }

    fn holds(&self, test: &FindTest, visited: &Visited<'_>) -> bool {
        let (kind, name) = (&self.files.get(visited.ino).kind, last_name(visited.path));
        let holds = match &test.is {
            FindIs::Name(text) => pattern::matches(text.as_bytes(), name),
            FindIs::AnyCaseName(text) => {
                pattern::matches(text.to_ascii_lowercase().as_bytes(), &name.to_ascii_lowercase())
            }
            FindIs::Path(text) => pattern::matches(text.as_bytes(), visited.path),
            FindIs::File => matches!(kind, Kind::File(_)),
            FindIs::Directory => matches!(kind, Kind::Directory(_)),
            FindIs::Link => matches!(kind, Kind::Symlink(_)),
            FindIs::Empty => match kind {
                Kind::File(data) => data.size() == 0,
                Kind::Directory(directory) => directory.names.is_empty(),
                Kind::Symlink(_) | Kind::Device(_) => false,
            },
            FindIs::Any(tests) => tests.iter().any(|test| self.holds(test, visited)),
        };
        holds != test.not
    }

    /// Passes the files to the command of `-exec`, all at once.
    fn act(&mut self, action: &FindAction, found: &[Vec<u8>]) {
        let (name, before) = (self.name, self.faults.len());
        match action {
            FindAction::Print | FindAction::Delete => {}
            FindAction::Remove { recursive, force, .. } => {
                self.name = "rm";
                self.remove(found, *recursive, *force);
            }
            FindAction::SetMode { mode, recursive, .. } => {
                self.name = "chmod";
                self.set_modes(found, mode, *recursive);
            }
        }
        self.name = name;
        if let FindAction::Remove { each: true, .. } | FindAction::SetMode { each: true, .. } = action {
            self.faults.truncate(before);
        }
    }
}
