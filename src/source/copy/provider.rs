//! `COPY` and `ADD` as a source.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::context::ContextFiles;
use super::part::{CopyPart, Planned};
use super::pattern::SourcePath;
use super::{download, pattern};
use crate::error::{Error, Result};
use crate::recipe::{Base, CopyFiles, CopySource, Source};
use crate::source::directory::future_path;
use crate::source::part::{Context, Provider, SourceImage, SourcePlan};

/// The files of one instruction.
pub(in crate::source) struct CopyProvider<'r>(pub(in crate::source) &'r CopyFiles);

impl CopyProvider<'_> {
    fn image<'c>(&self, named: &Base, context: &'c Context) -> Result<&'c SourceImage> {
        let found = context.images.iter().find(|image| image.named == *named);
        found.ok_or_else(|| Error::NoSuchImage { image: named.to_string() })
    }
}

impl Provider for CopyProvider<'_> {
    fn images(&self) -> Vec<&Base> {
        let images = self.0.sources.iter().filter_map(|source| match source {
            CopySource::Image { image, .. } => Some(image),
            CopySource::Context { .. } | CopySource::Url { .. } | CopySource::Inline { .. } => None,
        });
        images.collect()
    }

    fn check(&self) -> Result<()> {
        let CopyFiles { sources, parents, origin, .. } = self.0;
        pattern::excluded(self.0)?;
        for source in sources {
            match source {
                CopySource::Context { context, path, .. } => {
                    let path_of = SourcePath::parse(path, *parents, origin)?;
                    ContextFiles::open(context)?.select(&path_of, path, origin)?;
                }
                CopySource::Image { path, .. } => drop(SourcePath::parse(path, *parents, origin)?),
                CopySource::Url { url, .. } => download::check(url, origin)?,
                CopySource::Inline { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether the file might be among them: names in the image may differ from those of the sources.
    fn provides(&self, to: &str, path: &Path) -> Result<bool> {
        Ok(path.starts_with(to))
    }

    fn packs(&self, path: &Path) -> Result<bool> {
        let Some(path) = future_path(path) else { return Ok(false) };
        let CopyFiles { sources, parents, origin, .. } = self.0;
        for source in sources {
            let CopySource::Context { context, path: named, .. } = source else { continue };
            let Ok(root) = context.path.canonicalize() else { continue };
            let Ok(relative) = path.strip_prefix(&root) else { continue };
            let named = SourcePath::parse(named, *parents, origin)?;
            if ContextFiles::open(context)?.would_include(&named, relative.as_os_str().as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>> {
        async move {
            let mut pinned = self.0.clone();
            for source in &mut pinned.sources {
                match source {
                    CopySource::Image { image, .. } => *image = self.image(image, context)?.exact.clone(),
                    CopySource::Url { url, checksum, .. } => {
                        *checksum =
                            Some(download::fetch(url, *checksum, &self.0.origin, context).await?.digest);
                    }
                    CopySource::Context { .. } | CopySource::Inline { .. } => {}
                }
            }
            Ok(Source::Copy(pinned))
        }
        .boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move {
            let CopyFiles { sources, parents, origin, .. } = self.0;
            let mut planned = Vec::with_capacity(sources.len());
            for source in sources {
                planned.push(match source {
                    CopySource::Context { context: of, path, unpack } => {
                        let (of, text, unpack) = (of.clone(), path.clone(), *unpack);
                        let (parents, origin) = (*parents, origin.clone());
                        let selecting = move |_, _: &_| {
                            let files = Arc::new(ContextFiles::open(&of)?);
                            let path = SourcePath::parse(&text, parents, &origin)?;
                            let selected = files.select(&path, &text, &origin)?;
                            Ok(Planned::Context { files, selected, unpack })
                        };
                        context.threads.run(1, selecting).await?
                    }
                    CopySource::Image { image, .. } => {
                        Planned::Image(Box::new(self.image(image, context)?.clone()))
                    }
                    CopySource::Url { .. } => Planned::Url,
                    CopySource::Inline { .. } => Planned::Inline,
                });
            }
            Ok(SourcePlan::one(CopyPart { files: self.0.clone(), planned, first_lists: OnceCell::new() }))
        }
        .boxed()
    }
}
