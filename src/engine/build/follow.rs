//! Follows links of the image in the paths of a layer: on a base with `/bin -> usr/bin`, a file for `/bin/tool` goes to
//! `/usr/bin/tool`, and the link is kept.

use std::collections::HashMap;

use crate::error::Result;
use crate::image::Config;
use crate::scan::ScannedFile;
use crate::tree::{Entry, EntryKind, FileTree, Target, View};

/// Part of the cache keys. Increase it with any change of the code that changes a path in a layer.
pub(super) const VERSION: &str = "follow-1";

/// Directories that Lambda defines. In its bases they are not links, and an image where one is a link to another
/// directory would not work.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
pub(super) const LAMBDA: [&str; 3] = ["/var/task", "/var/runtime", "/opt"];

/// Directories that are links in many distributions.
///
/// <https://www.freedesktop.org/wiki/Software/systemd/TheCaseForTheUsrMerge/>
const LINKS: [&str; 9] =
    ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr/sbin", "/var/run", "/var/lock"];

/// Whether links of the image may lead from a path to another one. The config's working directory, its
/// `LAMBDA_TASK_ROOT` and the directories of Lambda are excluded, so that usually no layer of the base is read.
pub(super) fn may_lead_elsewhere(to: &str, config: &Config) -> bool {
    let named = [config.workdir(), config.var("LAMBDA_TASK_ROOT")].into_iter().flatten();
    let named = named.filter(|dir| !LINKS.iter().any(|link| is_within(dir, link)));
    !named.chain(LAMBDA).any(|dir| is_within(to, dir))
}

pub(super) fn is_within(path: &str, dir: &str) -> bool {
    let dir = dir.trim_end_matches('/');
    let below = path.strip_prefix(dir).filter(|_| !dir.is_empty());
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The tree with every entry at the path that it resolves to within the image's root. Directories of the image keep
/// their mode, owner and attributes.
pub(super) fn follow<F>(tree: FileTree, image: &View<'_, ScannedFile<F>>) -> Result<FileTree> {
    let mut places = Places::of(image);
    let mut followed = FileTree::new();
    for (path, mut entry) in tree {
        let place = match &mut entry.kind {
            EntryKind::Directory | EntryKind::Opaque => places.of_directory(&path),
            EntryKind::HardLink(target) => {
                *target = places.of_entry(target);
                places.of_entry(&path)
            }
            // A link or file at the end of a path is replaced, as when a layer is extracted.
            _ => places.of_entry(&path),
        };
        let known = match entry.kind {
            EntryKind::Directory => directory(image, &place),
            _ => None,
        };
        for parent in parents(&place) {
            if followed.get(parent).is_none()
                && let Some(known) = directory(image, parent)
            {
                followed.insert(parent, known)?;
            }
        }
        // A layer has no entry for the root.
        if !place.is_empty() {
            followed.insert(place, known.unwrap_or(entry))?;
        }
    }
    followed.settle_links();
    Ok(followed)
}

/// The image's own directory at `path`.
pub(super) fn directory<F>(image: &View<'_, ScannedFile<F>>, path: &[u8]) -> Option<Entry> {
    let Entry { kind, mode, uid, gid, xattrs } = &image.get(path)?.member.entry;
    let is_directory = matches!(kind, EntryKind::Directory);
    let (kind, xattrs) = (EntryKind::Directory, xattrs.clone());
    is_directory.then_some(Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs })
}

/// The parent directories of a path, the highest first.
pub(super) fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at])
}

/// Resolved directories, by their paths in the layer.
pub(super) struct Places<'v, 'm, F> {
    image: &'v View<'m, ScannedFile<F>>,
    known: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'v, 'm, F> Places<'v, 'm, F> {
    pub fn of(image: &'v View<'m, ScannedFile<F>>) -> Places<'v, 'm, F> {
        Places { image, known: HashMap::new() }
    }

    pub fn of_entry(&mut self, path: &[u8]) -> Vec<u8> {
        match path.iter().rposition(|&byte| byte == b'/') {
            None => path.to_vec(),
            Some(slash) => match self.of_directory(&path[..slash]) {
                dir if dir.is_empty() => path[slash + 1..].to_vec(),
                dir => [&dir, &path[slash..]].concat(),
            },
        }
    }

    pub fn of_directory(&mut self, path: &[u8]) -> Vec<u8> {
        if let Some(place) = self.known.get(path) {
            return place.clone();
        }
        let resolved = self.image.resolve(path);
        let place = match resolved.target {
            // A path to a file or into a loop stays: the layer's directory replaces the entry at that path.
            Target::Loop => path.to_vec(),
            Target::Entry(file) if !file.member.is_directory() => path.to_vec(),
            Target::Entry(_) | Target::Directory | Target::Nothing => resolved.path.as_bytes().to_vec(),
        };
        self.known.insert(path.to_vec(), place.clone());
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ConfigEdit, Image, Platform};
    use crate::scan::NoFact;
    use crate::tree::{Content, ImagePath, Member, ViewLayer};

    type Scanned = Member<ScannedFile<NoFact>>;

    fn member(path: &str, kind: EntryKind<ScannedFile<NoFact>>, mode: u32) -> Scanned {
        Member { path: ImagePath::from(path), entry: Entry::new(kind, mode), mtime: 0 }
    }

    /// A base with a merged `/usr`, and links of other kinds.
    fn base() -> Vec<Scanned> {
        let link = |path, target: &str| member(path, EntryKind::Symlink(target.into()), 0o777);
        vec![
            member("usr", EntryKind::Directory, 0o755),
            member("usr/bin", EntryKind::Directory, 0o755),
            link("bin", "usr/bin"),
            link("absolute", "/usr/bin"),
            link("out", "../../usr"),
            link("dangling", "nowhere/at/all"),
            link("loop", "loop"),
            link("usr/bin/sh", "dash"),
            link("etc/release", "../usr/release"),
            member("usr/release", EntryKind::File(ScannedFile::new(1, None)), 0o644),
            member("tmp", EntryKind::Directory, 0o1777),
            member("home", EntryKind::Directory, 0o700),
        ]
    }

    fn followed(paths: &[&str]) -> Vec<String> {
        let base = base();
        let view = View::of([Some(ViewLayer { members: &base, from_tree: false })]);
        let entry = |path: &str| match path.strip_suffix('/') {
            Some(dir) => (dir.as_bytes().to_vec(), Entry::directory()),
            None => (path.as_bytes().to_vec(), Entry::file(Content::Bytes((*b"x").into()), false)),
        };
        let tree = FileTree::of(paths.iter().map(|path| entry(path))).unwrap();
        let line = |(path, entry): (&[u8], &Entry)| {
            let slash = if entry.is_directory() { "/" } else { "" };
            format!("{}{slash} {:o}", path.escape_ascii(), entry.mode)
        };
        follow(tree, &view).unwrap().iter().map(line).collect()
    }

    #[test]
    fn entries_go_to_the_resolved_paths() {
        for (path, place) in [
            ("bin/tool", "usr/bin/tool 644"),
            ("absolute/tool", "usr/bin/tool 644"),
            ("out/bin/tool", "usr/bin/tool 644"),
            ("dangling/tool", "nowhere/at/all/tool 644"),
            ("loop/tool", "loop/tool 644"),
            ("new/dir/tool", "new/dir/tool 644"),
            ("tool", "tool 644"),
            ("usr/bin/sh/tool", "usr/bin/dash/tool 644"),
            ("etc/release/tool", "etc/release/tool 644"),
        ] {
            let found = followed(&[path]);
            assert_eq!(found.last().map(String::as_str), Some(place), "{path}: {found:?}");
        }
    }

    #[test]
    fn a_directory_that_is_a_link_in_the_image_stays_a_link() {
        assert_eq!(
            followed(&["bin/", "bin/a", "usr/", "usr/lib/", "usr/lib/b"]),
            ["usr/ 755", "usr/bin/ 755", "usr/bin/a 644", "usr/lib/ 755", "usr/lib/b 644"]
        );
    }

    #[test]
    fn directories_of_the_image_keep_their_modes() {
        assert_eq!(followed(&["tmp/a", "home/"]), ["home/ 700", "tmp/ 1777", "tmp/a 644"]);
    }

    #[test]
    fn a_link_at_the_end_of_a_path_is_replaced() {
        assert_eq!(followed(&["bin/sh"]), ["usr/ 755", "usr/bin/ 755", "usr/bin/sh 644"]);
    }

    #[test]
    fn the_functions_directory_needs_no_scan_of_the_image() {
        let image = Image::scratch(&Platform::linux(crate::image::Arch::Arm64));
        let config = |edit: ConfigEdit| image.clone().edit(&edit).config().clone();
        let app = config(ConfigEdit { workdir: Some("/app".into()), ..ConfigEdit::default() });
        for (to, expected) in [
            ("/app/", false),
            ("/app/x", false),
            ("/apps", true),
            ("/opt/", false),
            ("/bin/tool", true),
            ("/", true),
            ("/lib/app/", true),
        ] {
            assert_eq!(may_lead_elsewhere(to, &app), expected, "{to}");
        }
        let root = config(ConfigEdit { workdir: Some("/".into()), ..ConfigEdit::default() });
        assert!(may_lead_elsewhere("/bin/tool", &root));
    }
}
