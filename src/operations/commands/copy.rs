//! `cp`.

use std::collections::HashMap;

use super::target::CommandTarget;
use crate::operations::files::{Data, Errno, Ino, Kind, Last, Located, State};
use crate::operations::shell::{Shell, joined, shown};
use crate::recipe::{Follow, Transfer};

/// The state of one `cp`.
struct Copying<'c> {
    options: &'c Transfer,
    /// What the command names: the source and its copy.
    named: (Vec<u8>, Vec<u8>),
    /// The first copy of each file, for hard links.
    copies: HashMap<Ino, Ino>,
    /// Directories that it has made: a copy of a directory into itself ends there.
    made: Vec<Ino>,
}

impl Shell<'_> {
    pub(in crate::operations) fn copy(&mut self, options: &Transfer) {
        let sources = self.expand(&options.sources);
        let to = self.single(&options.to);
        if self.is_null(&to) {
            return;
        }
        let Some(mut target) = self.target(to, options.into, sources.len(), true) else { return };
        let named = (Vec::new(), Vec::new());
        let mut copying = Copying { options, named, copies: HashMap::new(), made: Vec::new() };
        for source in sources {
            copying.named = (source.clone(), target.of(&source));
            self.copy_named(&source, &mut target, &mut copying);
        }
    }

    fn copy_named(&mut self, source: &[u8], target: &mut CommandTarget, copying: &mut Copying<'_>) {
        let last = if copying.options.follow == Follow::Nothing { Last::Keep } else { Last::Follow };
        let to = target.of(source);
        if self.is_null(source) {
            return self.write_copy(source, &to, Data::default());
        }
        let from = match self.files.find(self.directory, source, last) {
            Ok(ino) => ino,
            Err(error) => return self.cannot("stat", source, error),
        };
        if self.files.is_directory(from) && !copying.options.recursive {
            return self.fail(format!("-r not specified; omitting directory '{}'", shown(source)));
        }
        let located = match self.files.walk(self.directory, &to, Last::Keep) {
            Ok(located) => located,
            Err(error) => return self.cannot_create(from, &to, error),
        };
        let is_directory = self.files.is_directory(from);
        if !is_directory && self.is_just_made(target, &located, source, &to) {
            return;
        }
        let faults = self.faults.len();
        self.copy_one(from, source, &to, copying);
        if !is_directory && self.faults.len() == faults {
            target.made.insert((located.dir, located.name));
        }
    }

    fn cannot_create(&mut self, from: Ino, to: &[u8], error: Errno) {
        let what = match self.files.get(from).kind {
            Kind::Directory(_) => "create directory",
            Kind::Symlink(_) => "create symbolic link",
            Kind::File(_) => "create regular file",
            Kind::Device(_) => "create special file",
        };
        self.cannot(what, to, error);
    }

    /// Copies an inode to a path.
    fn copy_one(&mut self, from: Ino, source: &[u8], to: &[u8], copying: &mut Copying<'_>) {
        let state = self.files.get(from).clone();
        match state.kind {
            Kind::Directory(_) => self.copy_directory(from, &state, source, to, copying),
            _ => self.copy_leaf(from, &state, source, to, copying),
        }
    }

    fn copy_leaf(&mut self, from: Ino, state: &State, source: &[u8], to: &[u8], copying: &mut Copying<'_>) {
        let options = copying.options;
        let is_file = matches!(state.kind, Kind::File(_));
        // A file is written through a link; anything else replaces it.
        let located = match self.files.walk(self.directory, to, Last::Keep) {
            Ok(located) => located,
            Err(error) => return self.cannot_create(from, to, error),
        };
        let end = match located.inode {
            Some(ino) if is_file && self.files.get(ino).is_symlink() => {
                self.files.find(self.directory, to, Last::Follow).ok()
            }
            other => other,
        };
        if located.inode.is_some() && options.no_clobber {
            return;
        }
        if let Some(end) = end {
            if end == from {
                return self.fail(format!("'{}' and '{}' are the same file", shown(source), shown(to)));
            }
            if self.files.is_directory(end) {
                return self.fail(format!("cannot overwrite directory '{}' with non-directory", shown(to)));
            }
        }
        // busybox keeps links in directories, unless it follows symbolic links.
        let is_plain_tree = options.recursive && options.follow != Follow::All;
        let keeps_links = options.preserve_links || (self.is_busybox && is_plain_tree);
        if keeps_links && let Some(&copy) = copying.copies.get(&from) {
            if located.inode == Some(copy) {
                return;
            }
            let linked = self.replace(&located).and_then(|located| self.files.link(copy, &located));
            return linked.unwrap_or_else(|error| {
                self.fail(format!("cannot create hard link '{}': {error}", shown(to)));
            });
        }
        if is_file && located.inode.is_some() && end.is_none() {
            return self.fail(format!("not writing through dangling symlink '{}'", shown(to)));
        }
        if matches!(state.kind, Kind::Device(_)) && !options.recursive {
            return self.fail(format!("'{}' is a device, which has no content here", shown(source)));
        }
        if self.is_busybox && !is_file && located.inode.is_some() && !options.force {
            return self.fail(format!("can't create '{}': {}", shown(to), Errno::Exists));
        }
        match self.copy_kind(from, state, source, &located, end) {
            Ok(None) => {}
            Ok(Some(copy)) => {
                copying.copies.insert(from, copy);
                self.keep_attributes(copy, state, options, to);
            }
            Err(error) => self.cannot_create(from, to, error),
        }
    }

    /// Returns the copy; `None` if a failure is reported.
    fn copy_kind(
        &mut self,
        from: Ino,
        state: &State,
        source: &[u8],
        located: &Located,
        end: Option<Ino>,
    ) -> Result<Option<Ino>, Errno> {
        let copy = match &state.kind {
            Kind::File(_) => return self.copy_content(from, state, source, located, end),
            Kind::Symlink(target) => {
                let located = self.replace(located)?;
                self.files.make_symlink(&located, target)?
            }
            Kind::Device(device) => {
                let located = self.replace(located)?;
                self.files.make_device(&located, *device, state.mode)?
            }
            Kind::Directory(_) => return Err(Errno::IsDirectory),
        };
        Ok(Some(copy))
    }

    /// Writes the content into the file that is there, or into a new one.
    fn copy_content(
        &mut self,
        from: Ino,
        state: &State,
        source: &[u8],
        located: &Located,
        end: Option<Ino>,
    ) -> Result<Option<Ino>, Errno> {
        let data = match self.files.read(from) {
            Ok(data) => data.clone(),
            Err(error) => {
                self.fail(format!("cannot open '{}' for reading: {error}", shown(source)));
                return Ok(None);
            }
        };
        let Some(end) = end else {
            if located.slash {
                return Err(Errno::NotDirectory);
            }
            let special = if self.is_busybox { 0o7000 } else { 0 };
            let made = self.files.make_file(located, state.mode & (0o777 | special))?;
            self.files.fill(made, data);
            return Ok(Some(made));
        };
        self.files.write(end, data)?;
        Ok(Some(end))
    }

    /// Makes room for another file.
    fn replace(&mut self, located: &Located) -> Result<Located, Errno> {
        if located.inode.is_some() {
            self.files.unlink(located)?;
        }
        Ok(Located { inode: None, ..located.clone() })
    }

    fn copy_directory(
        &mut self,
        from: Ino,
        state: &State,
        source: &[u8],
        to: &[u8],
        copying: &mut Copying<'_>,
    ) {
        if copying.made.contains(&from) {
            let (from, to) = (shown(&copying.named.0), shown(&copying.named.1));
            return self.fail(format!("cannot copy a directory, '{from}', into itself, '{to}'"));
        }
        let names = match self.files.names(from) {
            Ok(names) => names,
            Err(error) => return self.fail(format!("cannot access '{}': {error}", shown(source))),
        };
        let located = match self.files.walk(self.directory, to, Last::Keep) {
            Ok(located) => located,
            Err(error) => return self.cannot("create directory", to, error),
        };
        let there = located.inode.map(|ino| match self.files.get(ino).is_symlink() {
            true => self.files.find(self.directory, to, Last::Follow).unwrap_or(ino),
            false => ino,
        });
        let (dir, is_new) = match there {
            Some(ino) if self.files.is_directory(ino) => (ino, false),
            Some(_) => {
                let (from, to) = (shown(source), shown(to));
                return self.fail(format!("cannot overwrite non-directory '{to}' with directory '{from}'"));
            }
            None => match self.files.make_directory(&located, state.mode) {
                Ok(ino) => (ino, true),
                Err(error) => return self.cannot("create directory", to, error),
            },
        };
        // The new directory may be one of them.
        let names = self.files.names(from).unwrap_or(names);
        if is_new {
            copying.made.push(dir);
            if self.is_busybox && state.mode & 0o2000 != 0 {
                let mode = self.files.get(dir).mode | 0o2000;
                self.files
                    .set_mode(dir, mode)
                    .unwrap_or_else(|error| self.cannot("change permissions of", to, error));
            }
        }
        if dir == from && !is_new {
            let (from, to) = (shown(source), shown(to));
            return self.fail(format!("'{from}' and '{to}' are the same file"));
        }
        for (name, ino) in names {
            let (source, to) = (joined(source, &name), joined(to, &name));
            let follows = copying.options.follow == Follow::All && self.files.get(ino).is_symlink();
            let entry = match follows {
                true => self.files.find(from, &name, Last::Follow),
                false => Ok(ino),
            };
            match entry {
                Ok(ino) => self.copy_one(ino, &source, &to, copying),
                Err(error) => self.cannot("stat", &source, error),
            }
        }
        self.keep_attributes(dir, state, copying.options, to);
    }

    /// `-p`: the owner, then the mode, which a change of the owner may reduce.
    fn keep_attributes(&mut self, copy: Ino, state: &State, options: &Transfer, to: &[u8]) {
        if !options.preserve {
            return;
        }
        let is_owner = self.files.set_owner(copy, Some(state.uid), Some(state.gid)).is_ok();
        if !state.is_symlink() {
            let mode = if is_owner { state.mode } else { state.mode & !0o6000 };
            if let Err(error) = self.files.set_mode(copy, mode) {
                self.fail(format!("preserving permissions for '{}': {error}", shown(to)));
            }
        }
        if options.preserve_links && self.files.user.uid == 0 {
            self.files.set_xattrs(copy, state.xattrs.clone());
        }
    }

    fn write_copy(&mut self, source: &[u8], to: &[u8], data: Data) {
        if let Err(error) = self.write_file(to, data, false) {
            self.fail(format!(
                "cannot create regular file '{}' from '{}': {error}",
                shown(to),
                shown(source)
            ));
        }
    }
}
