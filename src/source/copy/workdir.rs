//! The directory of a `WORKDIR`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::image::Digest;
use crate::recipe::{Origin, Source};
use crate::source::part::{Context, Fetched, Part, Provider, SourcePlan};
use crate::source::placing::{Placing, Shape};
use crate::tree::FileTree;

/// A directory that is made if the image has none.
pub(in crate::source) struct EmptyDirectoryProvider<'r> {
    pub(in crate::source) owner: Option<&'r str>,
    pub(in crate::source) origin: &'r Origin,
}

impl Provider for EmptyDirectoryProvider<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let owner = self.owner.map(str::to_owned);
        async move { Ok(Source::EmptyDirectory { owner, origin: self.origin.clone() }) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, _: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        let part = EmptyDirectory { owner: self.owner.map(str::to_owned), origin: self.origin.clone() };
        async move { Ok(SourcePlan::one(part)) }.boxed()
    }
}

struct EmptyDirectory {
    owner: Option<String>,
    origin: Origin,
}

impl Part for EmptyDirectory {
    fn name(&self) -> Option<String> {
        Some(self.origin.text.clone())
    }

    fn identities(&self) -> Vec<Digest> {
        vec![Digest::of(format!("workdir-1 {:?}", self.owner).as_bytes())]
    }

    fn placing(&self, to: &str) -> Option<Placing> {
        let to = to.trim_matches('/').as_bytes().to_vec();
        let (owner, origin) = (self.owner.clone(), self.origin.clone());
        Some(Placing {
            to,
            shape: Shape::Directory,
            owner,
            mode: None,
            link: false,
            is_workdir: true,
            origin,
        })
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, _: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move { Ok(Fetched::of(FileTree::new()).placed_by(self.placing(to))) }.boxed()
    }
}
