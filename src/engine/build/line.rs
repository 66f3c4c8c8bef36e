//! A translated line with installs. Its commands become layers one after the other, unless a package cannot be installed
//! without a process: then the whole line runs as a command, where one can run.

use std::iter;

use super::add::{Added, Adding};
use super::beneath::Beneath;
use super::key;
use super::planned::{InstallLine, LinePart, PlannedLayer};
use crate::engine::session::Session;
use crate::error::text::one_line;
use crate::error::{Error, Result};
use crate::image::{Digest, Layer, LayerKey};
use crate::source::Context;

/// Why packages were not installed.
pub(super) enum NotInstalled {
    /// It takes a process, to build a package for instance.
    NeedsProcess(Error),
    Failed(Error),
}

impl NotInstalled {
    /// The failure that `error` is; `named` is the error with the place of the command.
    pub(super) fn of(error: Error, named: impl FnOnce(Error) -> Error) -> NotInstalled {
        let needs_process = matches!(
            error,
            Error::NoWheel { .. }
                | Error::Build { .. }
                | Error::Resolve { .. }
                | Error::Requirements { .. }
                | Error::EditablePackage { .. }
                | Error::InstallScript { .. }
                | Error::NoResolver { .. }
                | Error::NoInstaller { .. }
                | Error::OldInstaller { .. }
        );
        match needs_process {
            true => NotInstalled::NeedsProcess(named(error)),
            false => NotInstalled::Failed(named(error)),
        }
    }

    /// The same with another error.
    pub(super) fn map(self, change: impl FnOnce(Error) -> Error) -> NotInstalled {
        match self {
            NotInstalled::NeedsProcess(error) => NotInstalled::NeedsProcess(change(error)),
            NotInstalled::Failed(error) => NotInstalled::Failed(change(error)),
        }
    }
}

impl From<Error> for NotInstalled {
    fn from(error: Error) -> NotInstalled {
        NotInstalled::Failed(error)
    }
}

impl InstallLine {
    /// Whether its file operations may change where paths lead.
    pub(super) fn may_redirect(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, LinePart::Operations(layer) if layer.may_redirect()))
    }

    /// A digest over all that decides its layers besides the image below; `None` if a file's content is not known.
    pub(super) async fn identity(
        self,
        session: &Session,
        context: &Context,
        epoch: u64,
    ) -> Result<Option<LayerKey>> {
        let mut keys = Vec::new();
        for part in self.parts {
            keys.push(match part {
                LinePart::Operations(layer) => match layer.identity(session, context, epoch).await? {
                    Some(key) => key,
                    None => return Ok(None),
                },
                LinePart::Install(install) => {
                    let mounted = install.run.mounts.identities(session, context, epoch).await?;
                    key::mounted(install.key(epoch), &mounted)
                }
            });
        }
        let keys: Vec<String> = keys.into_iter().map(|key| key.0.to_string()).collect();
        Ok(Some(LayerKey(Digest::of(keys.join(" ").as_bytes()))))
    }
}

impl Adding<'_> {
    /// The layers of a line above these layers, and whether it is a command as a whole.
    pub(super) async fn line(&self, line: InstallLine, below: &[Layer]) -> Result<(Vec<Added>, bool)> {
        let InstallLine { parts, mut whole } = line;
        if let Some(command) = whole.take() {
            // An earlier build may have found that it needs a process; nobody is asked for its packages then.
            let lookup = self.find(&command, below).await?;
            if lookup.found.is_some() {
                let threads = self.session.threads.all();
                return Ok((vec![self.layer(*command, lookup, below, threads).await?], true));
            }
            whole = Some(command);
        }
        let mut all: Vec<Added> = Vec::new();
        for part in parts {
            let own = all.iter().filter_map(|added| added.layer.as_ref());
            let below_part = Beneath::All.layers(below, own);
            match part {
                LinePart::Operations(layer) => all.push(self.above(*layer, &below_part).await?),
                LinePart::Install(install) => match self.installed(&install, &below_part).await {
                    Ok(added) => all.extend(added),
                    Err(NotInstalled::Failed(error)) => return Err(error),
                    Err(NotInstalled::NeedsProcess(error)) => {
                        return self.whole(whole, error, below).await.map(|added| (vec![added], true));
                    }
                },
            }
        }
        Ok((all, false))
    }

    /// Runs the line as a command, because of this error; fails with it if that is not possible.
    async fn whole(&self, whole: Option<Box<PlannedLayer>>, error: Error, below: &[Layer]) -> Result<Added> {
        let Some(whole) = whole else { return Err(error) };
        let architecture = &self.context.platform.architecture;
        if !self.session.running.can_run(architecture, &self.session.cache).await {
            return Err(error);
        }
        // The first line has the place; the text of the Dockerfile is in the others.
        let message = error.to_string();
        let causes = iter::successors(std::error::Error::source(&error), |error| error.source());
        let message = causes.fold(message.lines().next().unwrap_or_default().to_owned(), |text, cause| {
            format!("{text}: {cause}")
        });
        let message = format!("{}; the line runs as a command", one_line(&message));
        self.session.events.warn(message, error.hint().as_deref());
        self.above(*whole, below).await
    }
}
