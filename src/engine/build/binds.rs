//! Fetches the files of mounts that a line reads.

use futures_util::future::try_join_all;

use super::add::Adding;
use super::mounts::{LineMounts, MountFiles, PLACE, part};
use crate::error::Result;
use crate::recipe::Source;
use crate::source::Shape;
use crate::tree::FileTree;

impl Adding<'_> {
    /// Fetches the files that the line reads.
    pub(super) async fn mounted(&self, mounts: &LineMounts) -> Result<MountFiles> {
        let trees = mounts.all_sources().map(async |source| match source {
            Some(source) => self.mount_files(source).await.map(Some),
            None => Ok(None),
        });
        Ok(MountFiles::of(try_join_all(trees).await?))
    }

    /// Fetches the files of a mount. Whether it is a single file.
    pub(super) async fn mount_files(&self, source: &Source) -> Result<(FileTree, bool)> {
        let part = part(source, self.context).await?;
        self.build_stages(&*part).await?;
        let fetched = part.fetch(PLACE, self.context).await?;
        let is_file = fetched.placing.as_ref().is_some_and(|placing| matches!(placing.shape, Shape::File(_)));
        let tree = self.session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
        Ok((tree, is_file))
    }
}
