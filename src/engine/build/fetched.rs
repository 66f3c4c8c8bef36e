//! Turns the files of a part into a layer: found by their content, or else made.

use std::sync::Arc;

use super::add::{Adding, Lookup, Making, Outcome};
use super::beneath::Beneath;
use super::cached::Known;
use super::content::content_key;
use super::placed::{Below, is_bare, placed};
use super::planned::PlannedPart;
use super::reads::Structures;
use super::write::{Made, Writing, held, make};
use crate::engine::contents::{Contents, ContentsKind};
use crate::engine::session::Caching;
use crate::error::{Error, Result};
use crate::image::{Digest, Layer, LayerKey};
use crate::source::{Fetched, Placing};
use crate::tree::FileTree;

impl Adding<'_> {
    /// Fetches the files. Their layer is found by their content, or made. Also returns its key, and whether it was
    /// found.
    pub(super) async fn fetched(
        &self,
        planned: PlannedPart,
        lookup: Lookup,
        making: &Making<'_>,
    ) -> Result<Outcome> {
        let (outcome, structure) = self.fetched_layer(planned, lookup, making).await?;
        if let (Some(structure), (_, Known(Some(layer)), _)) = (structure, &outcome) {
            self.structures.note(layer, structure);
        }
        Ok(outcome)
    }

    /// Also returns the structure of files whose content decides the key.
    async fn fetched_layer(
        &self,
        planned: PlannedPart,
        lookup: Lookup,
        making: &Making<'_>,
    ) -> Result<(Outcome, Option<Digest>)> {
        let verify = self.caching == Caching::Verify;
        let Making { name, beneath, below, threads } = *making;
        let PlannedPart { part, to, by_content, .. } = planned;
        let is_package = part.is_package();
        self.build_stages(&*part).await?;
        if let Some(key) = lookup.key
            && let Some(layer) = part.whole_layer(&to, self.context).await?
            && is_bare(self.session, self.trees, below, &to).await?
        {
            let layer = Layer { key: Some(key), ..layer };
            return Ok(((Some(key), Known(Some(layer)), true), None));
        }
        let fetched = part.fetch(&to, self.context).await?;
        let structure = by_content.then(|| Structures::of(&fetched));
        // Another build of this engine may be making the layer of the same files. Without reading them, only their names tell.
        let _turn = match structure {
            Some(structure) if self.caching == Caching::On => {
                Some(self.session.making.of(LayerKey(structure)).await)
            }
            _ => None,
        };
        let depends = fetched.placing.is_some() || beneath != Beneath::Nothing;
        let (mut fetched, Lookup { key, found }) = match (by_content, depends) {
            (false, _) => (fetched, lookup),
            (true, false) => self.find_by_content(fetched).await?,
            (true, true) => self.find_above(fetched, beneath, below).await?,
        };
        let on_aws = beneath == Beneath::MadeOnAws;
        match found {
            Some(Known(None)) if !verify => Ok(((key, Known(None), true), structure)),
            Some(Known(Some(found))) if !verify => {
                self.keep_files(&found, fetched, depends.then_some((below, on_aws)), is_package).await?;
                Ok(((key, Known(Some(found)), true), structure))
            }
            found => {
                if depends {
                    self.place(&mut fetched, below, on_aws).await?;
                }
                if fetched.placing.is_some() && fetched.tree.is_empty() {
                    if let Some(key) = key {
                        Known::keep_nothing(&self.session.cache, key)?;
                    }
                    return Ok(((key, Known(None), false), structure));
                }
                if let Some(Known(None)) = found {
                    return Err(Error::CacheRemade { layer: name.to_owned() });
                }
                let found = found.and_then(|found| found.0);
                let (made, tree) = self.make(fetched, key, found, name, threads).await?;
                let Made { layer, cached, code } = made;
                let kind = if is_package { ContentsKind::Keyed } else { ContentsKind::Files };
                let (tree, code) = (tree.into(), code.map(Arc::new));
                self.trees.keep(layer.blob.digest, Contents { tree, code, kind });
                Ok(((layer.key, Known(Some(layer)), cached), structure))
            }
        }
    }

    /// Keeps the files of a layer that was found, for what is asked of the image later. `below` are the layers on which
    /// their places depend, and whether these are of AWS.
    async fn keep_files(
        &self,
        layer: &Layer,
        mut fetched: Fetched,
        below: Option<(&[Layer], bool)>,
        is_package: bool,
    ) -> Result<()> {
        let mut kind = ContentsKind::Files;
        match below {
            Some((below, on_aws)) if self.trees.have(below) => {
                self.place(&mut fetched, below, on_aws).await?;
            }
            Some(_) => kind = ContentsKind::Unplaced(fetched.placing.clone().map(Arc::new)),
            None => {}
        }
        let tree = self.session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
        // The files of packages are gone now.
        if !is_package {
            self.trees.keep(layer.blob.digest, Contents { tree: tree.into(), code: None, kind });
        }
        Ok(())
    }

    /// Looks up the layer of a part by the content of its files. The files are read only if a layer may be found: if
    /// the cache has an entry for their shape, or an earlier image has any layers.
    async fn find_by_content(&self, fetched: Fetched) -> Result<(Fetched, Lookup)> {
        let (session, epoch) = (self.session.clone(), self.epoch);
        let run = self.session.threads.run(session.threads.all(), move |threads, _| {
            let mut fetched = fetched;
            let found = held(&session, &mut fetched.tree, epoch, threads)?;
            Ok((fetched, found))
        });
        let (fetched, found) = run.await?;
        if found.is_some() || !self.cached.has_layers().await {
            return Ok((fetched, Lookup { key: None, found: found.map(|found| Known(Some(found))) }));
        }
        let (fetched, key) = self.content_key(fetched).await?;
        let found = match key {
            Some(key) => self.cached.layer(key).await,
            None => None,
        };
        Ok((fetched, Lookup { key: None, found }))
    }

    /// Like `find_by_content`, for a key that also depends on the layers below.
    async fn find_above(
        &self,
        fetched: Fetched,
        beneath: Beneath,
        below: &[Layer],
    ) -> Result<(Fetched, Lookup)> {
        let (fetched, key) = self.content_key(fetched).await?;
        let key = key.map(|key| beneath.key(key, fetched.placing.as_ref(), below));
        let mut found = match (key, self.caching) {
            (None, _) | (_, Caching::Off) => None,
            (Some(key), _) => Known::of(&self.session.cache, key),
        };
        if let (Some(key), None) = (key, &found) {
            found = self.cached.layer(key).await;
        }
        Ok((fetched, Lookup { key, found }))
    }

    async fn content_key(&self, fetched: Fetched) -> Result<(Fetched, Option<LayerKey>)> {
        content_key(self.session, fetched, self.epoch).await
    }

    /// Puts the files where the image leads.
    async fn place(&self, fetched: &mut Fetched, below: &[Layer], on_aws: bool) -> Result<()> {
        let (tree, placing) = (std::mem::take(&mut fetched.tree), fetched.placing.clone());
        let below = Below { layers: below, on_aws };
        fetched.tree = placed(self.session, self.trees, tree, placing.map(Arc::new), below).await?;
        if let Some(placing) = &fetched.placing {
            self.warn_of_closed(&fetched.tree, placing);
        }
        Ok(())
    }

    /// An octal `--chmod` applies to directories too.
    fn warn_of_closed(&self, tree: &FileTree, placing: &Placing) {
        let Some(mode) = placing.mode.filter(|mode| mode & 0o111 == 0) else { return };
        if tree.iter().any(|(_, entry)| entry.is_directory() && entry.mode == mode) {
            let (file, line) = (&placing.origin.file, placing.origin.line);
            let message =
                format!("{file}:{line}: --chmod={mode:03o} closes directories too: only root can enter them");
            let hint = "write --chmod=u=rwX,go=rX: X is for directories and programs only";
            self.session.events.warn(message, Some(hint));
        }
    }

    /// Writes the layer, and compares it with the one that was found, if any. Also returns the files.
    async fn make(
        &self,
        fetched: Fetched,
        key: Option<LayerKey>,
        found: Option<Layer>,
        name: &str,
        threads: usize,
    ) -> Result<(Made, FileTree)> {
        let (session, epoch, name) = (self.session.clone(), self.epoch, name.to_owned());
        let is_scanned = self.trees.is_scanned();
        let made = self.session.threads.run(threads, move |threads, stop| {
            let mut fetched = fetched;
            let writing = Writing { epoch, name: &name, threads, stop, is_scanned };
            let made = make(&session, &mut fetched.tree, &writing, key, found)?;
            Ok((made, fetched.finish()))
        });
        made.await
    }
}
