//! The layers that a step adds to the image: one of files or of operations, or several of an install.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::beneath::Beneath;
use super::command::PlannedCommand;
use super::content::content_key;
use super::key;
use super::mounts::LineMounts;
use super::packages::PlannedPackages;
use super::planned_run::{PlannedInstall, PlannedLine, PlannedRun, install_of, may_redirect};
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::{Config, Layer, LayerKey};
use crate::operations::Line;
use crate::recipe::{Run, Translation};
use crate::source::{Context, Part, Placing};

/// The layers that a step adds to the image, before they are made.
pub(super) enum Planned {
    /// One layer at most.
    Layer(Box<PlannedLayer>),
    /// A translated line with installs, each of which has several layers, after an entry for the command itself.
    Line(InstallLine),
    /// Packages of a source: several layers, after an entry for them all.
    Packages(PlannedPackages),
}

/// The commands of a translated line with installs.
pub(super) struct InstallLine {
    /// In their order.
    pub(super) parts: Vec<LinePart>,
    /// The line as a command, if it may be one.
    pub(super) whole: Option<Box<PlannedLayer>>,
}

/// A part of a line that has layers of its own.
pub(super) enum LinePart {
    /// Consecutive file operations.
    Operations(Box<PlannedLayer>),
    Install(Box<PlannedInstall>),
}

/// A layer on its way into the image.
pub(super) struct PlannedLayer {
    pub(super) work: Work,
    /// The layer's name in events.
    pub(super) name: String,
    /// The `created_by` of its history entry.
    pub(super) created_by: String,
    pub(super) beneath: Beneath,
}

/// How the layer is made.
pub(super) enum Work {
    /// Files of a source are added.
    Files(PlannedPart),
    /// The files of the layers below are changed.
    Operations(Arc<PlannedLine>),
    /// A process changes the files of the layers below.
    Command(Arc<PlannedCommand>),
}

/// A part and its path in the image.
pub(super) struct PlannedPart {
    pub(super) part: Box<dyn Part>,
    pub(super) to: String,
    /// How the image so far decides paths and owners.
    pub(super) placing: Option<Placing>,
    /// Whether the content of its files decides the layer's key.
    pub(super) by_content: bool,
}

impl Planned {
    /// The layers that a command adds in an image with this config. The installs of a translated line are apart from its
    /// other commands, because their layers are.
    pub(super) fn run(run: &Run, config: &Config, epoch: u64, keeps_noise: bool) -> Vec<Planned> {
        let Run { translation, user, origin, .. } = run;
        let command = || PlannedCommand::of(run, config, epoch, keeps_noise);
        let Some(translation) = translation else {
            return vec![Planned::Layer(Box::new(PlannedLayer::command(command())))];
        };
        let of_run = Arc::new(PlannedRun::of(run, config));
        let operations = |chains| {
            let translation = Translation { chains, ..translation.clone() };
            let line = Line { translation, user: user.clone(), epoch };
            let (run, origin) = (of_run.clone(), origin.clone());
            Box::new(PlannedLayer {
                work: Work::Operations(Arc::new(PlannedLine { line, run, origin: origin.clone() })),
                name: origin.text.clone(),
                created_by: origin.text.clone(),
                beneath: Beneath::All,
            })
        };
        let mut variables: BTreeMap<String, String> =
            config.env().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        variables.extend(run.arguments.iter().map(|(name, value)| (name.clone(), value.clone())));
        let variables = Arc::new(variables);
        let commands = || translation.chains.iter().flatten();
        if commands().all(|command| install_of(&command.operation, &variables).is_none()) {
            return vec![Planned::Layer(operations(translation.chains.clone()))];
        }
        // The front-end leaves other lines with an install untranslated: here the first failure ends the line.
        let (mut parts, mut before) = (Vec::new(), Vec::new());
        for command in commands() {
            let Some(packages) = install_of(&command.operation, &variables) else {
                before.push(command.clone());
                continue;
            };
            if !before.is_empty() {
                parts.push(LinePart::Operations(operations(vec![std::mem::take(&mut before)])));
            }
            parts.push(LinePart::Install(Box::new(PlannedInstall {
                packages,
                directory: command.directory.clone(),
                text: command.text.clone(),
                run: of_run.clone(),
                origin: origin.clone(),
            })));
        }
        if !before.is_empty() {
            parts.push(LinePart::Operations(operations(vec![before])));
        }
        // The images that only a process would read are not known.
        let has_files = run
            .mounts
            .iter()
            .zip(0..)
            .all(|(mount, number)| !mount.is_of_image() || translation.mounts.contains(&number));
        let may_run = !translation.required && has_files;
        let whole = may_run.then(|| Box::new(PlannedLayer::command(command().translated())));
        vec![Planned::Line(InstallLine { parts, whole })]
    }

    /// The digest of [`PlannedLayer::identity`].
    pub(super) async fn identity(
        self,
        session: &Session,
        context: &Context,
        epoch: u64,
    ) -> Result<Option<LayerKey>> {
        match self {
            Planned::Layer(layer) => layer.identity(session, context, epoch).await,
            Planned::Line(line) => line.identity(session, context, epoch).await,
            Planned::Packages(packages) => Ok(packages.identity(epoch)),
        }
    }
}

impl PlannedLayer {
    /// A part for the path `to` in an image with this config. `is_of_aws` means that its base is one of AWS's.
    pub(super) fn part(part: Box<dyn Part>, to: String, config: &Config, is_of_aws: bool) -> PlannedLayer {
        let dir = to.trim_end_matches('/');
        let (own, placing) = (part.name(), part.placing(&to));
        let created_by = match &placing {
            Some(placing) => placing.origin.text.clone(),
            None => format!("lbuild: {} in {dir}", own.as_deref().unwrap_or("files")),
        };
        let by_content = part.identities().is_empty();
        let name = own.unwrap_or_else(|| dir.to_owned());
        let beneath = Beneath::of(&to, placing.as_ref(), config, is_of_aws);
        let work = Work::Files(PlannedPart { part, to, placing, by_content });
        PlannedLayer { work, name, created_by, beneath }
    }

    /// A command that needs a process.
    fn command(command: PlannedCommand) -> PlannedLayer {
        let text = command.origin.text.clone();
        let work = Work::Command(Arc::new(command));
        PlannedLayer { work, name: text.clone(), created_by: text, beneath: Beneath::All }
    }

    /// A part that does not depend on the layers below. `place` is where its files are, for display.
    pub(super) fn apart(part: Box<dyn Part>, to: String, place: &str, config: &Config) -> PlannedLayer {
        let planned = PlannedLayer::part(part, to, config, false);
        let created_by = format!("lbuild: {} in {place}", planned.name);
        PlannedLayer { beneath: Beneath::Nothing, created_by, ..planned }
    }

    /// The keys of the layer above these layers, as far as they do not depend on its files. Another machine may have
    /// used any of them; this one uses the first.
    /// `mounted` are the [`identities`](LineMounts::identities) of a line's mounts.
    pub(super) fn keys(&self, epoch: u64, below: &[Layer], mounted: &[String]) -> Vec<LayerKey> {
        let key = |key, placing: Option<&Placing>| self.beneath.key(key, placing, below);
        match &self.work {
            Work::Files(PlannedPart { part, to, placing, .. }) => {
                let keys = part.identities().into_iter().map(|identity| key::of_part(identity, to, epoch));
                keys.map(|of_part| key(of_part, placing.as_ref())).collect()
            }
            Work::Operations(planned) => {
                vec![key(key::mounted(key::of_line(&planned.line), mounted), None)]
            }
            Work::Command(command) => vec![key(key::mounted(command.key(), mounted), None)],
        }
    }

    /// A digest over all that decides the layer besides the image below; `None` if a file's content is not known. Makes
    /// no layer.
    pub(super) async fn identity(
        self,
        session: &Session,
        context: &Context,
        epoch: u64,
    ) -> Result<Option<LayerKey>> {
        let PlannedPart { part, to, placing, .. } = match self.work {
            Work::Files(part) => part,
            Work::Operations(planned) => {
                let mounted = planned.run.mounts.identities(session, context, epoch).await?;
                return Ok(Some(key::mounted(key::of_line(&planned.line), &mounted)));
            }
            Work::Command(command) => {
                let mounted = command.files.identities(session, context, epoch).await?;
                return Ok(Some(key::mounted(command.key(), &mounted)));
            }
        };
        if let Some(&identity) = part.identities().first() {
            let key = key::of_part(identity, &to, epoch);
            return Ok(Some(placing.map_or(key, |placing| key::placed(key, &placing))));
        }
        let (fetched, key) = content_key(session, part.fetch(&to, context).await?, epoch).await?;
        let key = key.map(|key| fetched.placing.as_ref().map_or(key, |placing| key::placed(key, placing)));
        // Stores the digests of the files, for the build that may follow.
        session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
        Ok(key)
    }

    /// The mounts of a line.
    pub(super) fn mounts(&self) -> Option<&LineMounts> {
        match &self.work {
            Work::Operations(planned) => Some(&planned.run.mounts),
            Work::Command(command) => Some(&command.files),
            Work::Files(_) => None,
        }
    }

    /// The number of bytes to fetch.
    pub(super) fn size(&self) -> u64 {
        match &self.work {
            Work::Files(PlannedPart { part, .. }) => part.size(),
            Work::Operations(_) | Work::Command(_) => 0,
        }
    }

    /// Whether the content of its files decides the layer's key.
    pub(super) fn is_by_content(&self) -> bool {
        matches!(self.work, Work::Files(PlannedPart { by_content: true, .. }))
    }

    /// Whether the files are published elsewhere.
    pub(super) fn is_published(&self) -> bool {
        match &self.work {
            Work::Files(PlannedPart { part, .. }) => part.is_published(),
            Work::Operations(_) | Work::Command(_) => false,
        }
    }

    /// Whether the layer may change where paths lead.
    pub(super) fn may_redirect(&self) -> bool {
        match &self.work {
            Work::Files(_) => false,
            Work::Operations(planned) => may_redirect(&planned.line.translation),
            Work::Command(_) => true,
        }
    }
}
