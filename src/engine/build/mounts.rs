//! The mounts of a translated line: files of contexts and images that its commands read, secrets, and places that no
//! command may reach.
//!
//! While the line runs, their files are in the place of those of the image; afterwards nothing of them is left.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::content::{bytes_of, content_key};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Compression, Digest};
use crate::operations::{FileMount, LowerFile, MountedFiles};
use crate::recipe::{Base, CopyFiles, CopySource, Mount, MountFrom, Origin, Run, Source};
use crate::scan::{LayerScan, NoFact, ScannedFile, view};
use crate::source::{self, Context, Part, SourcePlan};
use crate::store::BuildSecrets;
use crate::tree::{Content, Entry, EntryKind, FileTree, ImagePath, Member};

/// The directory for the files of a mount while they are collected.
pub(super) const PLACE: &str = "m";

/// The mounts of a line.
#[derive(Default)]
pub(super) struct LineMounts(Vec<LineMount>);

/// A mount of a line, in the order of the instruction.
struct LineMount {
    target: String,
    kind: LineMountKind,
}

enum LineMountKind {
    /// Commands read its files.
    Files { source: Box<Source>, writable: bool },
    /// An installer reads it; no other command may.
    Secret { id: String },
    /// Only a process could use it.
    Closed,
}

/// The files of the mounts that commands read, by the number of the mount.
pub(super) struct MountFiles {
    trees: Vec<Option<MountTree>>,
}

/// The files of a mount by their paths below the target. An empty path is the target itself.
type MountTree = Vec<(Vec<u8>, Entry<Content>)>;

impl LineMounts {
    /// The stages whose files the commands read.
    pub(super) fn stages(&self) -> Vec<usize> {
        let sources = self.0.iter().filter_map(|mount| match &mount.kind {
            LineMountKind::Files { source, .. } => Some(source),
            LineMountKind::Secret { .. } | LineMountKind::Closed => None,
        });
        let mut stages = Vec::new();
        for source in sources {
            stages.extend(source::provider(source).images().into_iter().filter_map(|image| match image {
                Base::Stage(number) => Some(*number),
                _ => None,
            }));
        }
        stages
    }

    /// The mounts of a command: all that it may read, or those that its translation reads.
    pub(super) fn of(run: &Run) -> LineMounts {
        let read = run.translation.as_ref().map(|translation| &translation.mounts[..]);
        let mounts = run.mounts.iter().enumerate().filter_map(|(number, mount)| {
            let kind = match mount {
                Mount::Bind { writable, .. } if read.is_none_or(|read| read.contains(&number)) => {
                    LineMountKind::Files {
                        source: Box::new(source_of(mount, &run.origin)?),
                        writable: *writable,
                    }
                }
                Mount::Secret { id, .. } => LineMountKind::Secret { id: id.clone() },
                Mount::Bind { .. } | Mount::Cache { .. } | Mount::Tmpfs { .. } | Mount::Ssh { .. } => {
                    LineMountKind::Closed
                }
            };
            Some(LineMount { target: mount.target()?.to_owned(), kind })
        });
        LineMounts(mounts.collect())
    }

    /// The source of each mount; `None` for one that no command reads.
    pub(super) fn all_sources(&self) -> impl Iterator<Item = Option<&Source>> {
        self.0.iter().map(|mount| match &mount.kind {
            LineMountKind::Files { source, .. } => Some(&**source),
            LineMountKind::Secret { .. } | LineMountKind::Closed => None,
        })
    }

    /// Digests over the files that commands read, with their places. Reads files of contexts, but no image.
    pub(super) async fn identities(
        &self,
        session: &Session,
        context: &Context,
        epoch: u64,
    ) -> Result<Vec<String>> {
        let sources = self.0.iter().zip(self.all_sources());
        let sources = sources.filter_map(|(mount, source)| Some((&mount.target, source?)));
        let identities = sources.map(async |(target, source)| {
            let part = part(source, context).await?;
            let identity = match part.identities().first() {
                Some(identity) => *identity,
                None => {
                    let (fetched, key) =
                        content_key(session, part.fetch(PLACE, context).await?, epoch).await?;
                    // Stores the digests of the files, for the time when they are read.
                    session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
                    key.map(|key| key.0).ok_or(Error::Interrupted)?
                }
            };
            Ok(format!("{identity} {target}"))
        });
        try_join_all(identities).await
    }

    /// The targets that an install must not reach, with their paths in the image.
    pub(super) fn closed<'p>(&'p self, places: &'p [Vec<u8>]) -> impl Iterator<Item = (&'p str, &'p [u8])> {
        let closed =
            self.0.iter().zip(places).filter(|(mount, _)| matches!(mount.kind, LineMountKind::Closed));
        closed.map(|(mount, place)| (&*mount.target, &**place))
    }

    /// The mounts for file operations, which may read no secret. The files' contents are in layers from `first` on.
    pub(super) fn for_operations(&self, files: &MountFiles, first: usize) -> Vec<FileMount> {
        let mounts = self.0.iter().enumerate().map(|(number, LineMount { target, kind })| {
            let entry = |(path, entry): &(Vec<u8>, Entry<Content>)| {
                let content = |content: &Content| LowerFile {
                    layer: first + number,
                    path: Arc::from(&path[..]),
                    size: content.size(),
                    sha256: digest_of(content),
                };
                (path.clone(), mapped(entry, content))
            };
            let writable = matches!(kind, LineMountKind::Files { writable: true, .. });
            let entries = files.trees[number].as_ref().map(|tree| tree.iter().map(entry).collect());
            let files = entries.map(|entries| MountedFiles { entries, writable });
            FileMount { target: target.clone(), files }
        });
        mounts.collect()
    }

    /// Lays the files and the secrets over `scans`: what an installer sees. A secret that is not given has no file.
    /// Returns the path of each mount in the image.
    pub(super) fn lay(
        &self,
        scans: &mut Vec<Option<LayerScan<NoFact>>>,
        files: &MountFiles,
        has_secret: impl Fn(&str) -> bool,
    ) -> Vec<Vec<u8>> {
        let mut places = Vec::new();
        for (number, LineMount { target, kind }) in self.0.iter().enumerate() {
            let place = view(scans).resolve(target).path.as_bytes().to_vec();
            let mut members = Vec::new();
            let mut put = |path: Vec<u8>, entry| {
                members.push(Member { path: ImagePath::new(&path), entry, mtime: 0 });
            };
            match (kind, &files.trees[number]) {
                (LineMountKind::Files { .. }, Some(tree)) => {
                    if tree.first().is_none_or(|(path, _)| !path.is_empty()) {
                        put(place.clone(), Entry::new(EntryKind::Opaque, 0o755));
                        put(place.clone(), Entry::directory());
                    }
                    for (path, entry) in tree {
                        let path = match path.is_empty() {
                            true => place.clone(),
                            false => [&place[..], b"/", path].concat(),
                        };
                        let file = |content: &Content| ScannedFile::new(content.size(), digest_of(content));
                        put(path, mapped(entry, file));
                    }
                }
                (LineMountKind::Secret { id }, _) if has_secret(id) => {
                    put(place.clone(), Entry::new(EntryKind::File(ScannedFile::new(0, None)), 0o400));
                }
                _ => {}
            }
            places.push(place);
            scans.push(Some(LayerScan {
                diff_id: Digest::of(b""),
                uncompressed: 0,
                stored: 0,
                compression: Compression::None,
                members,
                from_tree: false,
            }));
        }
        places
    }

    /// The content of a file of a mount, by its path below the target.
    pub(super) fn content(
        &self,
        number: usize,
        path: &[u8],
        files: &MountFiles,
        secrets: &BuildSecrets,
    ) -> Result<Option<Vec<u8>>> {
        match &self.0[number].kind {
            LineMountKind::Secret { id } => Ok(secrets.get(id).map(<[u8]>::to_vec)),
            LineMountKind::Files { .. } => files.get(number, path).map(bytes_of).transpose(),
            LineMountKind::Closed => Ok(None),
        }
    }
}

impl MountFiles {
    /// The files of each mount; `None` for one that no command reads.
    pub(super) fn of(trees: Vec<Option<(FileTree, bool)>>) -> MountFiles {
        let below = |(tree, is_file)| below(tree, is_file);
        MountFiles { trees: trees.into_iter().map(|tree| tree.map(below)).collect() }
    }

    /// The content of a file by its path below the target.
    pub(super) fn get(&self, number: usize, path: &[u8]) -> Option<&Content> {
        let tree = self.trees.get(number)?.as_ref()?;
        tree.iter().find(|(of, _)| of == path).and_then(|(_, entry)| match &entry.kind {
            EntryKind::File(content) => Some(content),
            _ => None,
        })
    }
}

/// The entries by their paths below the target.
fn below(tree: FileTree, is_file: bool) -> MountTree {
    let start = PLACE.len() + 1;
    let entries = tree.into_iter().filter_map(|(path, mut entry)| {
        let path = path.get(start..)?.to_vec();
        if let EntryKind::HardLink(target) = &mut entry.kind {
            target.drain(..start.min(target.len()));
        }
        Some((if is_file { Vec::new() } else { path }, entry))
    });
    entries.collect()
}

/// The part with the files of a mount.
pub(super) async fn part(source: &Source, context: &Context) -> Result<Box<dyn Part>> {
    match source::provider(source).plan(false, context).await? {
        SourcePlan::Parts(mut parts) if parts.len() == 1 => Ok(parts.remove(0)),
        _ => unreachable!("a copy has one part"),
    }
}

/// The files of a mount, as `COPY` would take them.
pub(super) fn source_of(mount: &Mount, origin: &Origin) -> Option<Source> {
    let (Mount::Bind { from, source, .. } | Mount::Cache { from: Some((from, source)), .. }) = mount else {
        return None;
    };
    let source = match from {
        MountFrom::Context(context) => {
            let path = match source.trim_start_matches('/') {
                "" => ".",
                path => path,
            };
            CopySource::Context { context: context.clone(), path: path.to_owned(), unpack: false }
        }
        MountFrom::Image(image) => CopySource::Image { image: image.clone(), path: source.clone() },
    };
    Some(Source::Copy(CopyFiles::of(source, origin.clone())))
}

/// The files that a command reads from mounts.
pub(super) fn sources(run: &Run) -> impl Iterator<Item = Source> {
    run.mounts_read().filter_map(|mount| source_of(mount, &run.origin))
}

/// The files of this machine that a command mounts. They must exist whether it reads them or not.
pub(super) fn sources_on_disk(run: &Run) -> impl Iterator<Item = Source> {
    let mounts = run.mounts.iter();
    let on_disk = |mount: &&Mount| matches!(mount, Mount::Bind { from: MountFrom::Context(_), .. });
    mounts.filter(on_disk).filter_map(|mount| source_of(mount, &run.origin))
}

/// The entry with another description of its content.
fn mapped<D>(entry: &Entry<Content>, content: impl FnOnce(&Content) -> D) -> Entry<D> {
    let Entry { kind, mode, uid, gid, xattrs } = entry;
    Entry { kind: kind.map_content(content), mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() }
}

fn digest_of(content: &Content) -> Option<Digest> {
    match content {
        Content::Bytes(bytes) => Some(Digest::of(bytes)),
        Content::File(file) => file.sha256,
        Content::Zip(_) => None,
    }
}
