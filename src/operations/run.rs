//! Runs the commands of a line.

use serde::Serialize;

use super::accounts::{self, Account};
use super::commands::{LinkOptions, NewOwner};
use super::files::{Filesystem, Last, LowerFile, ROOT};
use super::shell::{Exporter, Shell};
use crate::recipe::{Operation, Translated, Translation};

/// What a line does, and what its result depends on besides the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// The commands.
    pub translation: Translation,
    /// Who runs them, as `USER` names them. `None`: root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The time of the image, in seconds since 1970: the day in `/etc/shadow`.
    pub epoch: u64,
}

/// Why a line does not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The contents of these files are not known; the line must run again with them.
    Needs(Vec<LowerFile>),
    /// A command fails.
    Failed {
        /// The command.
        command: String,
        /// What it reports.
        fault: String,
    },
}

/// A command that failed without ending its line.
type PassedOver = (String, String);

impl Line {
    /// Runs the line; `exporter` makes the requirements of locks. Returns what commands reported whose failure it does not matter to.
    pub fn run(&self, files: &mut Filesystem, exporter: Exporter) -> Result<Vec<PassedOver>, Stop> {
        if let Some(user) = &self.user {
            let found = accounts::user(files, user);
            stop_if_in_need(files)?;
            match found {
                Ok(user) => files.user = user,
                Err(fault) => return Err(Stop::Failed { command: format!("USER {user}"), fault }),
            }
        }
        let mut passed_over = Vec::new();
        let mut last = Ok(());
        for chain in &self.translation.chains {
            passed_over.extend(std::mem::replace(&mut last, Ok(())).err());
            for (number, command) in chain.iter().enumerate() {
                let (done, is_lost) = self.run_one(files, command, exporter);
                last = done;
                stop_if_in_need(files)?;
                stop_if_refused(files, command)?;
                if let (Err((command, fault)), true) = (&last, is_lost) {
                    return Err(Stop::Failed { command: command.clone(), fault: fault.clone() });
                }
                if let Err((command, fault)) = &last {
                    if self.translation.errexit && number + 1 == chain.len() {
                        return Err(Stop::Failed { command: command.clone(), fault: fault.clone() });
                    }
                    break;
                }
            }
        }
        match last {
            Ok(()) => Ok(passed_over),
            Err((command, fault)) => Err(Stop::Failed { command, fault }),
        }
    }

    /// Runs a command. Also returns whether the line must not go on after a failure.
    fn run_one(
        &self,
        files: &mut Filesystem,
        command: &Translated,
        exporter: Exporter,
    ) -> (Result<(), PassedOver>, bool) {
        let found = files.find(ROOT, command.directory.as_bytes(), Last::Follow);
        // An earlier command may have removed it, which does not matter to absolute paths.
        let found = found.ok().filter(|directory| files.is_directory(*directory));
        let directory = found.unwrap_or_else(|| files.nowhere());
        let cp = files.find(ROOT, b"/bin/cp", Last::Follow).ok();
        let is_busybox = cp.is_some() && cp == files.find(ROOT, b"/bin/busybox", Last::Follow).ok();
        let day = self.epoch / 86_400;
        let name = command.text.split_whitespace().next().unwrap_or_default();
        // The path of a program is not part of its messages.
        let name = name.rsplit('/').next().unwrap_or_default();
        let faults = Vec::new();
        let mut shell = Shell { files, directory, name, is_busybox, day, exporter, faults, is_lost: false };
        shell.run(&command.operation);
        let done = match shell.faults.is_empty() {
            true => Ok(()),
            false => Err((command.text.clone(), shell.faults.join("\n"))),
        };
        (done, shell.is_lost)
    }
}

fn stop_if_in_need(files: &mut Filesystem) -> Result<(), Stop> {
    match files.is_in_need() {
        true => Err(Stop::Needs(files.needed())),
        false => Ok(()),
    }
}

/// Fails after a command that did what only a process can do with a mount.
fn stop_if_refused(files: &Filesystem, command: &Translated) -> Result<(), Stop> {
    match files.refused() {
        Some(fault) => Err(Stop::Failed { command: command.text.clone(), fault }),
        None => Ok(()),
    }
}

impl Shell<'_> {
    fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Nothing | Operation::OmitTools { .. } => {}
            Operation::ExportLock(export) => self.export_lock(export),
            Operation::WriteSettings { path, content } => self.write_settings(path, content),
            // The engine takes these out of a line.
            Operation::InstallPython(_) | Operation::InstallNode(_) => self.fail("is not a file operation"),
            Operation::Look { paths } => {
                let paths = self.expand(paths);
                self.look(&paths);
            }
            Operation::Enter { path } => self.enter(path),
            Operation::MakeDirectories { paths, parents, mode } => {
                let paths = self.expand(paths);
                self.make_directories(&paths, *parents, mode.as_deref());
            }
            Operation::RemoveDirectories { paths, parents } => {
                let paths = self.expand(paths);
                self.remove_directories(&paths, *parents);
            }
            Operation::Remove { paths, recursive, force } => {
                let paths = self.expand(paths);
                self.remove(&paths, *recursive, *force);
            }
            Operation::Copy(transfer) => self.copy(transfer),
            Operation::Move(transfer) => self.rename(transfer),
            Operation::Link { targets, to, into, symbolic, force, no_dereference } => {
                let (targets, to) = (self.expand(targets), to.as_ref().map(|to| self.single(to)));
                let (into, symbolic, force) = (*into, *symbolic, *force);
                let options = LinkOptions { into, symbolic, force, no_dereference: *no_dereference };
                self.link(&targets, to, options);
            }
            Operation::SetMode { paths, mode, recursive } => {
                let paths = self.expand(paths);
                self.set_modes(&paths, mode, *recursive);
            }
            Operation::SetOwner { paths, user, group, recursive, no_dereference } => {
                let Account { uid, gid } =
                    match accounts::owner(self.files, user.as_deref(), group.as_deref()) {
                        Ok(owner) => owner,
                        Err(fault) => {
                            let colon = group.as_ref().filter(|_| self.name != "chgrp").map_or("", |_| ":");
                            let (user, group) = (user.as_deref(), group.as_deref());
                            let (user, group) = (user.unwrap_or_default(), group.unwrap_or_default());
                            return self.fail(format!("{fault}: '{user}{colon}{group}'"));
                        }
                    };
                let paths = self.expand(paths);
                self.set_owners(&paths, NewOwner { uid, gid }, *recursive, *no_dereference);
            }
            Operation::Touch { paths, create } => {
                let paths = self.expand(paths);
                self.touch(&paths, *create);
            }
            Operation::Write { path, append, content } => self.redirect(path, *append, content),
            Operation::Find(find) => self.find(find),
            Operation::AddUser(user) => self.add_user(user),
            Operation::AddGroup(group) => self.add_group(group),
        }
    }
}
