//! Files of an image as a source.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::read::{contents, members};
use super::select::Selection;
use crate::error::{Error, Result};
use crate::image::{Digest, Layer};
use crate::recipe::{Base, ImageFiles, Source};
use crate::source::part::{self, Context, Fetched, Part, SourceImage};

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

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move {
            let layers = self.found(context)?.layers.clone();
            let (image, path) = (self.0.image.to_string(), self.0.path.clone());
            Ok(vec![Box::new(FilesOfImage { image, path, layers }) as Box<dyn Part>])
        }
        .boxed()
    }
}

/// A file or directory of an image whose layers are known.
struct FilesOfImage {
    image: String,
    path: String,
    layers: Vec<Layer>,
}

impl Part for FilesOfImage {
    fn name(&self) -> Option<String> {
        Some(format!("{} of {}", self.path, self.image))
    }

    fn identities(&self) -> Vec<Digest> {
        let layers: Vec<String> = self.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        // The path comes last, because it may contain any character.
        vec![Digest::of(format!("{VERSION} {} {}", layers.join(","), self.path).as_bytes())]
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let lists = try_join_all(self.layers.iter().map(|layer| members(layer, context))).await?;
            let (image, path, to) = (self.image.clone(), self.path.clone(), to.to_owned());
            let selecting = move |_, _: &_| Selection::of(&lists, &image, &path, &to);
            let selection = Arc::new(context.threads.run(1, selecting).await?);
            let wanted = self.layers.iter().enumerate().filter(|(layer, _)| selection.wants(*layer));
            let read =
                try_join_all(wanted.map(|(number, layer)| contents(number, layer, &selection, context)));
            let contents = read.await?.into_iter().flatten().collect();
            Ok(Fetched::of(selection.tree(&contents)?))
        }
        .boxed()
    }
}
