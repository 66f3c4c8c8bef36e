//! `COPY`, `ADD` and `WORKDIR` of a Dockerfile.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::part::{Context, Part, Provider};
use crate::error::Result;
use crate::recipe::{CopyFiles, Origin, Source};

pub(super) struct CopyProvider<'r>(pub(super) &'r CopyFiles);

pub(super) struct EmptyDirectoryProvider<'r> {
    pub(super) owner: Option<&'r str>,
    pub(super) origin: &'r Origin,
}

impl Provider for CopyProvider<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        async move { Ok(Source::Copy(self.0.clone())) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, _: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move { Err(self.0.origin.not_built("files cannot be copied yet")) }.boxed()
    }
}

impl Provider for EmptyDirectoryProvider<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let owner = self.owner.map(str::to_owned);
        async move { Ok(Source::EmptyDirectory { owner, origin: self.origin.clone() }) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, _: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move { Err(self.origin.not_built("directories cannot be made yet")) }.boxed()
    }
}
