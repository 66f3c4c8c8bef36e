//! Files of an image as a source.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::read::{contents, members};
use super::select::Selection;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Base, ImageFiles, Source};
use crate::source::part::{self, Context, Fetched, Part, SourceImage, SourcePlan};

/// Part of every identity. Increase it with any change of the code that changes an entry.
const VERSION: &str = "image-1";

/// Files of an image, with their modes, owners and attributes.
pub(in crate::source) struct ImageProvider<'s>(pub(in crate::source) &'s ImageFiles);

impl ImageProvider<'_> {
    fn found<'c>(&self, context: &'c Context) -> Result<&'c SourceImage> {
        let found = context.images.iter().find(|image| image.named == self.0.image);
        found.ok_or_else(|| Error::NoSuchImage { image: self.0.image.to_string() })
    }
}

impl part::Provider for ImageProvider<'_> {
    fn images(&self) -> Vec<&Base> {
        vec![&self.0.image]
    }

    /// The engine resolves the images of sources, as it resolves bases, and reports those that do not exist.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>> {
        async move {
            let image = self.found(context)?.exact.clone();
            Ok(Source::Image(ImageFiles { image, path: self.0.path.clone() }))
        }
        .boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move {
            let (source, path) = (self.found(context)?.clone(), self.0.path.clone());
            Ok(SourcePlan::one(FilesOfImage { source, path }))
        }
        .boxed()
    }
}

/// A file or directory of an image.
struct FilesOfImage {
    source: SourceImage,
    path: String,
}

impl Part for FilesOfImage {
    fn name(&self) -> Option<String> {
        Some(format!("{} of {}", self.path, self.source.named))
    }

    fn identities(&self) -> Vec<Digest> {
        // The path comes last, because it may contain any character.
        vec![Digest::of(format!("{VERSION} {} {}", self.source.identity, self.path).as_bytes())]
    }

    fn stages(&self) -> Vec<usize> {
        self.source.named.stage().into_iter().collect()
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let layers = self.source.layers()?;
            let lists = try_join_all(layers.iter().map(|layer| members(layer, context))).await?;
            let (image, path, to) = (self.source.named.to_string(), self.path.clone(), to.to_owned());
            let selecting = move |_, _: &_| Selection::of(&lists, &image, &path, &to);
            let selection = Arc::new(context.threads.run(1, selecting).await?);
            let wanted = layers.iter().enumerate().filter(|(layer, _)| selection.wants(*layer));
            let read =
                try_join_all(wanted.map(|(number, layer)| contents(number, layer, &selection, context)));
            let contents = read.await?.into_iter().flatten().collect();
            Ok(Fetched::of(selection.tree(&contents)?))
        }
        .boxed()
    }
}
