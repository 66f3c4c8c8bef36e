//! The layer of a `COPY` or `ADD`.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use super::context::{ContextFiles, Selected};
use super::gather::{Excluded, Gathered};
use super::image::{ImageSource, is_settled, newest, plain_path};
use super::mode::Mode;
use super::taken::{Taken, normalise, parents_of, tell_of_modes};
use super::{archive, download, pattern, whole};
use crate::error::{Error, Result};
use crate::image::{Digest, Layer, Location};
use crate::recipe::{Base, CopyFiles, CopySource};
use crate::source::directory::Memory;
use crate::source::image::{self, ImageView};
use crate::source::part::{Context, Fetched, Part, SourceImage};
use crate::source::placing::{Placing, Shape};
use crate::store::BlobFile;
use crate::tree::{Content, Entry, FileTree, Member, SourceFile, Stat};

/// Part of every identity. Increase it with any change of the code that changes an entry.
const VERSION: &str = "copy-1";

/// The mode of a file that is downloaded.
///
/// <https://docs.docker.com/reference/dockerfile/#add>
const DOWNLOADED: u32 = 0o600;

/// A source whose files are known as far as they are without reading any.
pub(super) enum Planned {
    /// The names in a context, and whether archives are unpacked.
    Context {
        files: Arc<ContextFiles>,
        selected: Vec<Selected>,
        unpack: bool,
    },
    Image(Box<SourceImage>),
    Url,
    Inline,
}

/// The members of the layers of an image.
pub(super) type Lists = Arc<Vec<Vec<Member<u64>>>>;

/// The files of one instruction.
pub(super) struct CopyPart {
    pub files: CopyFiles,
    /// One for each source.
    pub planned: Vec<Planned>,
    /// The members of the layers of the first source, if that is an image.
    pub first_lists: OnceCell<Lists>,
}

impl CopyPart {
    fn mode(&self) -> Option<Mode> {
        self.files.mode.as_deref().and_then(Mode::parse)
    }

    /// The shape of the target, as far as it is known before the sources are read.
    fn shape(&self, to: &str) -> Shape {
        if to.ends_with('/') || self.files.parents {
            return Shape::Directory;
        }
        let mut names: Vec<Option<Vec<u8>>> = Vec::new();
        for (source, planned) in self.files.sources.iter().zip(&self.planned) {
            match (source, planned) {
                (_, Planned::Context { unpack: true, selected, .. })
                    if selected.iter().any(|one| !one.is_directory) =>
                {
                    return Shape::Unknown;
                }
                (_, Planned::Context { selected, .. }) => {
                    names.extend(
                        selected.iter().map(|one| (!one.is_directory).then(|| last(&one.named).to_vec())),
                    );
                }
                (CopySource::Url { url, unpack: false, .. }, _) => {
                    names.push(Some(download::file_name(url).into_bytes()));
                }
                (CopySource::Inline { name, .. }, _) => names.push(Some(name.clone().into())),
                _ => return Shape::Unknown,
            }
        }
        match &names[..] {
            [] => Shape::Nothing,
            [None] => Shape::Directory,
            [Some(name)] => Shape::File(name.clone()),
            _ => Shape::Several,
        }
    }

    /// The members of the layers of a source's image; none of those that need not be fetched.
    async fn lists(&self, number: usize, image: &SourceImage, context: &Context) -> Result<Lists> {
        let read = || async {
            let layers = image.layers()?;
            let is_remote = layers.iter().any(|layer| matches!(layer.blob.location, Location::Registry(_)));
            let file = match &self.files.sources[number] {
                CopySource::Image { path, .. } if is_remote && !self.files.parents => plain_path(path),
                _ => None,
            };
            match file {
                Some(file) => self.lists_from_the_top(layers, file, context).await,
                None => {
                    let lists = layers.iter().map(|layer| image::members(layer, context));
                    Ok(Arc::new(try_join_all(lists).await?))
                }
            }
        };
        match number {
            0 => self.first_lists.get_or_try_init(read).await.cloned(),
            _ => read().await,
        }
    }

    /// Reads one layer after the other, the topmost first, until the file is found. All layers may have files of a
    /// directory.
    async fn lists_from_the_top(&self, layers: &[Layer], file: &[u8], context: &Context) -> Result<Lists> {
        let mut upper: Vec<Vec<Member<u64>>> = Vec::new();
        let mut rest = layers.iter().rev();
        while let Some(layer) = rest.next() {
            upper.push(image::members(layer, context).await?);
            if is_settled(file, &upper) {
                break;
            }
            if newest(file, &upper).is_some_and(|member| !member.is_file()) {
                let lists = rest.by_ref().map(|layer| image::members(layer, context));
                upper.extend(try_join_all(lists).await?);
            }
        }
        upper.resize_with(layers.len(), Vec::new);
        upper.reverse();
        Ok(Arc::new(upper))
    }

    async fn gather(&self, context: &Context) -> Result<(Gathered, Vec<Memory>)> {
        let excluded = Arc::new(Excluded(pattern::excluded(&self.files)?));
        let (mut gathered, mut memories, mut normalised) = (Gathered::default(), Vec::new(), Vec::new());
        let mode = self.mode();
        for (number, (source, planned)) in self.files.sources.iter().zip(&self.planned).enumerate() {
            match (source, planned) {
                (_, Planned::Context { files, selected, unpack }) => {
                    for one in selected {
                        let taken = self.of_context(files, one, *unpack, &excluded, context).await?;
                        let Some(Taken { mut tree, name, memory, unpacked }) = taken else { continue };
                        memories.extend(memory);
                        if !unpacked {
                            normalise(&mut tree, &mut normalised);
                        }
                        gathered.unpacked |= unpacked;
                        gathered.add(tree, name, mode.as_ref().filter(|_| !unpacked));
                    }
                }
                (CopySource::Image { path, .. }, Planned::Image(image)) => {
                    let lists = self.lists(number, image, context).await?;
                    let (tree, names) = self.of_image(image, lists, path, &excluded, context).await?;
                    let mut tree = Some(tree);
                    for name in names {
                        gathered.add(tree.take().unwrap_or_default(), name, mode.as_ref());
                    }
                }
                (CopySource::Url { url, checksum, unpack }, _) => {
                    let file = download::fetch(url, *checksum, &self.files.origin, context).await?;
                    let taken = self.of_download(url, file, *unpack, context).await?;
                    gathered.unpacked |= taken.unpacked;
                    gathered.add(taken.tree, taken.name, mode.as_ref().filter(|_| !taken.unpacked));
                }
                (CopySource::Inline { name, content }, _) => {
                    let entry = Entry::file(Content::Bytes(content.as_bytes().into()), false);
                    let path = name.as_bytes().to_vec();
                    let tree = FileTree::of([(path, entry)])
                        .map_err(|error| self.files.origin.failed_at(name, error.to_string(), None))?;
                    gathered.add(tree, Some(name.clone().into()), mode.as_ref());
                }
                _ => {}
            }
        }
        if mode.is_none() {
            tell_of_modes(&normalised, context);
        }
        Ok((gathered, memories))
    }

    async fn of_context(
        &self,
        files: &Arc<ContextFiles>,
        selected: &Selected,
        unpack: bool,
        excluded: &Arc<Excluded>,
        context: &Context,
    ) -> Result<Option<Taken>> {
        let (files, selected, excluded) = (files.clone(), selected.clone(), excluded.clone());
        let (parents, origin) = (self.files.parents, self.files.origin.clone());
        let (cache, stat_dir) = (context.cache.clone(), context.cache.stat_dir());
        let take = move |jobs, stop: &_| {
            if selected.is_directory {
                return Taken::directory(&files, &selected, parents, &excluded, stat_dir, jobs).map(Some);
            }
            let name = last(&selected.named).to_vec();
            if excluded.leaves_out(&name) {
                return Ok(None);
            }
            if unpack {
                let unpacked = archive::unpack(&files.on_disk(&selected.real), &origin, &cache, stop)?;
                if let Some(tree) = unpacked {
                    return Ok(Some(Taken { tree, name: None, memory: None, unpacked: true }));
                }
            }
            let place = if parents { selected.named.clone() } else { name.clone() };
            let mut tree = FileTree::new();
            parents_of(&place, &mut tree)?;
            tree.insert(place, files.file(&selected)?)?;
            Ok(Some(Taken { tree, name: Some(name), memory: None, unpacked: false }))
        };
        context.threads.run(context.threads.all(), take).await
    }

    async fn of_image(
        &self,
        image: &SourceImage,
        lists: Lists,
        path: &str,
        excluded: &Arc<Excluded>,
        context: &Context,
    ) -> Result<(FileTree, Vec<Option<Vec<u8>>>)> {
        let (named, text, excluded) = (image.named.clone(), path.to_owned(), excluded.clone());
        let (parents, origin) = (self.files.parents, self.files.origin.clone());
        let picking = move |_, _: &_| {
            let source =
                ImageSource { image: &named, text: &text, parents, excluded: &excluded, origin: &origin };
            source.pick(&ImageView::of(&lists))
        };
        let picked = context.threads.run(1, picking).await?;
        let selection = Arc::new(picked.selection);
        let wanted = image.layers()?.iter().enumerate().filter(|(layer, _)| selection.wants(*layer));
        let read = wanted.map(|(number, layer)| image::contents(number, layer, &selection, context));
        let contents: HashMap<_, _> = try_join_all(read).await?.into_iter().flatten().collect();
        Ok((selection.tree(&contents)?, picked.names))
    }

    async fn of_download(&self, url: &str, file: BlobFile, unpack: bool, context: &Context) -> Result<Taken> {
        let (cache, origin) = (context.cache.clone(), self.files.origin.clone());
        let name = download::file_name(url).into_bytes();
        let take = move |_, stop: &_| {
            if unpack && let Some(tree) = archive::unpack(&file.path, &origin, &cache, stop)? {
                return Ok(Taken { tree, name: None, memory: None, unpacked: true });
            }
            let found = std::fs::metadata(&file.path);
            let stat = Stat::from(&found.map_err(|source| Error::Read { path: file.path.clone(), source })?);
            let content = SourceFile { path: file.path, stat, sha256: Some(file.digest), lasting: true };
            let entry = Entry { mode: DOWNLOADED, ..Entry::file(Content::File(content), false) };
            let tree = FileTree::of([(name.clone(), entry)])?;
            Ok(Taken { tree, name: Some(name), memory: None, unpacked: false })
        };
        context.threads.run(1, take).await
    }
}

impl Part for CopyPart {
    fn name(&self) -> Option<String> {
        Some(self.files.origin.text.clone())
    }

    fn identities(&self) -> Vec<Digest> {
        let CopyFiles { sources, owner, mode, exclude, parents, link, origin: _ } = &self.files;
        let mut images = Vec::new();
        for (source, planned) in sources.iter().zip(&self.planned) {
            match (source, planned) {
                (_, Planned::Image(image)) => {
                    images.push(image.identity.clone());
                }
                (CopySource::Inline { .. } | CopySource::Url { checksum: Some(_), .. }, _) => {}
                _ => return Vec::new(),
            }
        }
        // The image's layers stand for its name.
        let sources: Vec<CopySource> = sources
            .iter()
            .map(|source| match source {
                CopySource::Image { path, .. } => {
                    CopySource::Image { image: Base::Scratch, path: path.clone() }
                }
                other => other.clone(),
            })
            .collect();
        let known = serde_json::json!([VERSION, sources, owner, mode, exclude, parents, link, images]);
        vec![Digest::of(known.to_string().as_bytes())]
    }

    fn stages(&self) -> Vec<usize> {
        let images = self.planned.iter().filter_map(|planned| match planned {
            Planned::Image(image) => image.named.stage(),
            Planned::Context { .. } | Planned::Url | Planned::Inline => None,
        });
        images.collect()
    }

    fn placing(&self, to: &str) -> Option<Placing> {
        let path = to.trim_matches('/').as_bytes().to_vec();
        let mode = self.mode().and_then(|mode| mode.of_made_directories());
        let CopyFiles { owner, link, origin, .. } = &self.files;
        let (owner, origin) = (owner.clone(), origin.clone());
        // BuildKit ignores --link if there is a mode.
        let link = *link && self.files.mode.is_none();
        Some(Placing { to: path, shape: self.shape(to), owner, mode, link, is_workdir: false, origin })
    }

    fn whole_layer<'a>(&'a self, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Option<Layer>>> {
        async move {
            let (Some(path), [Planned::Image(image)]) =
                (whole::same_place(&self.files, to), &self.planned[..])
            else {
                return Ok(None);
            };
            let (lists, path) = (self.lists(0, image, context).await?, path.to_owned());
            let number = context.threads.run(1, move |_, _| Ok(whole::find(&lists, &path))).await?;
            let layers = image.layers()?;
            Ok(number.map(|number| layers[number].clone()))
        }
        .boxed()
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let placing = self.placing(to);
            let (gathered, memories) = self.gather(context).await?;
            let is_directory = to.ends_with('/') || self.files.parents;
            let dir = to.trim_matches('/').as_bytes();
            let unpacked = gathered.unpacked;
            let (tree, shape) = gathered.finish(dir, is_directory, &self.files.origin)?;
            if shape == Shape::Nothing {
                let (file, line) = (&self.files.origin.file, self.files.origin.line);
                let message =
                    format!("{file}:{line}: nothing is copied: no file matches, or all are excluded");
                context.events.warn(message, Some("an image without these files may not start"));
            }
            // --chmod does not reach into an archive, nor the directories that it needs.
            let mode_of = |placing: &Placing| placing.mode.filter(|_| !unpacked);
            let fetched =
                Fetched::of(tree).then_keep(move |tree| memories.iter().for_each(|memory| memory.keep(tree)));
            Ok(fetched.placed_by(placing.map(|placing| Placing {
                mode: mode_of(&placing),
                shape,
                ..placing
            })))
        }
        .boxed()
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}
