//! Runs a command in the files of all layers below it, and makes a layer of what it changed.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rustix::io::Errno;

use super::accounts::{Accounts, Login};
use super::add::{Adding, Making, Outcome};
use super::attach::Attached;
use super::cached::Known;
use super::command::PlannedCommand;
use super::key;
use super::output::Output;
use super::roots::{Root, RootFiles};
use super::unpack::{make_root, owners};
use super::write::{Made, Writing, make};
use crate::engine::running::foreign;
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Layer, LayerKey, Platform};
use crate::recipe::{Command, Network};
use crate::rootfs::{
    self, Exit, Failure, Files, Ids, Mode, Obstacle, Process, Programs, Settings, Settled, Snapshot, User,
    Way,
};

/// The name of the machine that a command sees.
const HOST_NAME: &str = "lbuild";

/// A command and all that it needs to run.
struct Running {
    session: Arc<Session>,
    planned: Arc<PlannedCommand>,
    way: Way,
    login: Login,
    root: Root,
    platform: Platform,
    /// The directory for the changes, if an overlay is used.
    work: Option<PathBuf>,
    attached: Attached,
}

/// The changes of a command.
struct Ran {
    settled: Settled,
    /// The directory with the changed files.
    dir: PathBuf,
    /// The files with the changes.
    root: Root,
}

impl Adding<'_> {
    /// Runs the command and writes its layer, and compares it with the one that was found, if any.
    pub(super) async fn ran(
        &self,
        planned: Arc<PlannedCommand>,
        key: Option<LayerKey>,
        found: Option<Known>,
        making: &Making<'_>,
    ) -> Result<Outcome> {
        let Making { name, below, threads, .. } = *making;
        let architecture = &self.context.platform.architecture;
        let way = self.session.running.way_for(architecture, &self.session.cache).await;
        let way = way.map_err(|cannot| planned.refused(&cannot.fault, cannot.hint))?;
        // Without owners, the layer is not the one that other modes make: they must not find it.
        let key = if way.ids == Ids::Unmapped { key.map(key::without_owners) } else { key };
        if let Some(key) = key.filter(|_| way.ids == Ids::Unmapped && self.caching == Caching::On)
            && let Some(known) = self.known(key).await
        {
            return Ok((Some(key), known, true));
        }
        let found = found.filter(|_| way.ids != Ids::Unmapped);
        let root = self.roots.take(self.session, &way, below).await?;
        let login = login(&planned, &way, &root)?;
        let work = match &root.files {
            RootFiles::Layers(_) => Some(self.roots.directory(self.session, &way, "changes").await?),
            RootFiles::Tree(..) => None,
        };
        let attached = self.attach(&planned, &way).await?;
        let (session, ids) = (self.session.clone(), way.ids.clone());
        let platform = self.context.platform.clone();
        let running =
            Running { session: session.clone(), planned, way, login, root, platform, work, attached };
        // A command counts as one thread.
        let Ran { settled, dir, root } =
            self.session.threads.run(1, move |_, stop| running.run(stop)).await?;
        if settled.is_empty() {
            if self.caching == Caching::Verify && matches!(found, Some(Known(Some(_)))) {
                return Err(Error::CacheRemade { layer: name.to_owned() });
            }
            if let Some(key) = key {
                Known::keep_nothing(&self.session.cache, key)?;
            }
            self.roots.keep(below, root);
            return Ok((key, Known(None), false));
        }
        let found = match found {
            Some(Known(None)) if self.caching == Caching::Verify => {
                return Err(Error::CacheRemade { layer: name.to_owned() });
            }
            found => found.and_then(|found| found.0),
        };
        let (epoch, layer) = (self.epoch, name.to_owned());
        let writing = self.session.threads.run(threads, move |threads, stop| {
            let mut tree = settled.tree(&dir)?;
            // The check reads the layer: the files may not be there any more.
            let writing = Writing { epoch, name: &layer, threads, stop, is_scanned: false };
            let made = make(&session, &mut tree, &writing, key, found);
            // A process in a user namespace takes some milliseconds to start.
            let restored = match settled.opened.is_empty() {
                true => Ok(()),
                false => rootfs::within(&ids, &[], || rootfs::restore(&dir, &settled.opened)),
            };
            let made = made?;
            restored.map_err(|source| failed("restore the modes of files", source))?;
            Ok(made)
        });
        let Made { layer, cached, .. } = writing.await?;
        let with_own: Vec<Layer> = below.iter().chain([&layer]).cloned().collect();
        self.roots.keep(&with_own, root);
        Ok((layer.key, Known(Some(layer)), cached))
    }
}

/// The user of the command, as the files below name it.
fn login(planned: &PlannedCommand, way: &Way, root: &Root) -> Result<Login> {
    let read = || Ok((root.read(b"etc/passwd")?, root.read(b"etc/group")?));
    let (passwd, group) = rootfs::within(&way.ids, &[], read)
        .map_err(|source| failed("read /etc/passwd and /etc/group of the image", source))?;
    let accounts = Accounts { passwd, group };
    let user = planned.user.as_deref().unwrap_or_default();
    accounts.login(user).map_err(|(fault, hint)| planned.origin.failed_at(user, fault, hint))
}

impl Running {
    /// Runs the command.
    fn run(mut self, stop: &AtomicBool) -> Result<Ran> {
        let planned = self.planned.clone();
        let place = format!("{}:{}", planned.origin.file, planned.origin.line);
        let (process, before, overlay) = (self.process()?, self.before()?, self.overlay()?);
        let session = self.session.clone();
        let events = &session.events;
        let (command, mode) = (planned.origin.text.clone(), self.way.mode.name().to_owned());
        let emulator = self.way.programs.emulator().map(ToString::to_string);
        events.emit(Event::CommandStarted { place: place.clone(), command, mode, emulator });
        let began = Instant::now();
        let mut output = Output::new(&self.session, &place);
        let mut take = |piece: &[u8]| output.take(piece);
        let (dir, files) = match (&self.root.files, &overlay) {
            (RootFiles::Layers(lowers), Some((upper, work))) => {
                (upper, Files::Overlay { lowers, upper, work })
            }
            (RootFiles::Layers(_), None) => return Err(Error::Interrupted),
            (RootFiles::Tree(tree, _), _) => (tree, Files::Tree(tree)),
        };
        let exit = match self.way.programs {
            // proot would report it as the exit code of the command.
            Programs::Refused(_) if self.way.mode == Mode::Proot => {
                Err(Failure::Exec { program: PathBuf::new(), errno: Errno::NOEXEC, exists: false })
            }
            _ => rootfs::run(&self.way, &files, &process, &mut take, stop),
        };
        let dir = dir.clone();
        let last_lines = output.finish();
        self.attached.ended(&self.way);
        events.emit(Event::CommandEnded { place, duration: began.elapsed() });
        match exit {
            Ok(Exit::Code(0)) => {}
            Ok(exit) => return Err(self.ended(exit, last_lines)),
            Err(failure) => return Err(self.not_run(failure)),
        }
        let settled = self.settled(&dir, before)?;
        if !settled.is_empty() {
            settled.apply(Arc::make_mut(&mut self.root.index));
            if let RootFiles::Layers(lowers) = &mut self.root.files {
                lowers.insert(0, dir.clone());
            }
        }
        Ok(Ran { settled, dir, root: self.root })
    }

    /// A snapshot of the tree before the command; an overlay needs none.
    fn before(&mut self) -> Result<Option<Snapshot>> {
        let RootFiles::Tree(tree, seen) = &mut self.root.files else { return Ok(None) };
        if let Some(seen) = seen.take() {
            return Ok(Some(seen));
        }
        let taken = rootfs::within(&self.way.ids, &[], || Snapshot::of(tree));
        taken.map(Some).map_err(|source| failed("list the files of the image", source))
    }

    /// The directories of an overlay for the changes, if the root is one.
    fn overlay(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        let Some(dir) = &self.work else { return Ok(None) };
        let [upper, work] = ["upper", "work"].map(|name| dir.join(name));
        std::fs::create_dir(&work).map_err(|source| Error::Write { path: work.clone(), source })?;
        make_root(&self.way, &upper, &self.root.index)?;
        Ok(Some((upper, work)))
    }

    /// The changes of the command; the files then are as its layer makes them.
    fn settled(&mut self, dir: &Path, before: Option<Snapshot>) -> Result<Settled> {
        let base = self.root.base.files();
        let settings = Settings {
            owners: owners(&self.way.ids),
            creator: (self.login.uid.into(), self.login.gid.into()),
            epoch: self.planned.epoch,
            keeps_noise: self.planned.keeps_noise,
            left_out: &[],
            base: Some(&base),
            opens: self.way.ids != Ids::Real,
        };
        let index = &self.root.index;
        let found = rootfs::within(&self.way.ids, &[], || match &before {
            None => rootfs::settle_overlay(dir, index, &settings).map(|settled| (settled, None)),
            Some(before) => rootfs::settle_tree(dir, before, index, &settings)
                .map(|(settled, after)| (settled, Some(after))),
        });
        let (settled, after) = found.map_err(|source| failed("find the changes of the command", source))?;
        if let RootFiles::Tree(_, seen) = &mut self.root.files {
            *seen = after;
        }
        Ok(settled)
    }

    fn process(&self) -> Result<Process> {
        let origin = &self.planned.origin;
        let text = |text: String| {
            CString::new(text).map_err(|_| origin.failed("the command has a NUL character", None))
        };
        let all = |texts: Vec<String>| texts.into_iter().map(text).collect::<Result<Vec<_>>>();
        let (arguments, script) = self.planned.arguments();
        let environment = self.planned.environment(&self.login.home, &rootfs::environment(&self.way));
        let environment = environment.into_iter().chain(self.attached.variables.clone());
        let environment: BTreeMap<String, String> = environment.collect();
        let environment = environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let Login { uid, gid, groups, .. } = self.login.clone();
        Ok(Process {
            programs: all(self.planned.programs())?,
            arguments: all(arguments)?,
            environment: all(environment)?,
            directory: text(self.planned.directory.clone())?,
            user: User { uid, gid, groups },
            binds: self.attached.binds.clone(),
            files: script
                .into_iter()
                .map(|(path, content)| (path, content.as_bytes().to_vec(), 0o755))
                .collect(),
            shared_memory: true,
            network: self.planned.network != Network::None,
            hostname: HOST_NAME.to_owned(),
        })
    }

    /// The error for a command that ended with an error.
    fn ended(&self, exit: Exit, output: Vec<String>) -> Error {
        let fault = match exit {
            // A package that owns /proc, /sys or /dev, such as `filesystem`: rpm cannot unpack it where they are mounted.
            Exit::Code(code) if output.iter().any(|line| line.contains("cpio: chown")) => {
                format!(
                    "the command ended with exit code {code}: a package has a mounted directory, which rpm cannot change"
                )
            }
            Exit::Code(code) => format!("the command ended with exit code {code}"),
            Exit::Signal(signal) => format!("the command was killed by signal {signal}"),
        };
        self.planned.origin.command_failed(fault, output)
    }

    /// The error for a command whose programs are for another architecture.
    fn foreign(&self, refused: Obstacle) -> Error {
        let arch = &self.platform.architecture;
        let (fault, first) = foreign(arch, refused);
        let hint = format!(
            "{first}, use a machine for {arch}, put what does not depend on it into a stage FROM \
             --platform=$BUILDPLATFORM, or write installs so that they are translated: `lbuild plan` shows why they are not"
        );
        self.planned.origin.failed(fault, Some(hint))
    }

    /// The error for a command that did not start.
    fn not_run(&self, failure: Failure) -> Error {
        let origin = &self.planned.origin;
        if let (Failure::Exec { errno, exists, .. }, Programs::Refused(refused)) = (&failure, &self.way.programs)
            // A machine with a rule for them may lack the emulator in the root of the image.
            && (*errno == Errno::NOEXEC || *exists)
        {
            return self.foreign(*refused);
        }
        let hint = match (&failure, &self.planned.command) {
            (Failure::Stopped, _) => return Error::Interrupted,
            (Failure::Step { step, .. }, _) if self.planned.network == Network::None && is_about_network(step) => Some(format!(
                "RUN --network=none needs a network namespace, and commands run in mode {} here: `lbuild doctor --run` shows \
                 what stands against the mode namespaces",
                self.way.mode.name()
            )),
            (Failure::Exec { errno: Errno::NOEXEC, .. }, _) => {
                Some(format!("the image is for {}: is the program?", self.platform.architecture))
            }
            (Failure::Exec { .. }, Command::Shell { .. }) => {
                Some("the image needs the shell: write the command as a JSON array, which needs none, or set SHELL".to_owned())
            }
            (Failure::Exec { .. }, Command::Exec(words)) if words.first().is_some_and(|word| !word.contains('/')) => {
                Some(format!("programs are looked up in the image's PATH: {}", self.planned.path()))
            }
            _ => None,
        };
        let fault = match &failure {
            Failure::Io { source, .. } => format!("{failure}: {source}"),
            _ => failure.to_string(),
        };
        origin.failed(fault, hint)
    }
}

/// Whether a step of the set-up takes the network away.
fn is_about_network(step: &str) -> bool {
    ["network", "loopback", "create the namespaces"].iter().any(|word| step.contains(word))
}

fn failed(operation: &str, source: std::io::Error) -> Error {
    Error::Root { operation: operation.to_owned(), source }
}
