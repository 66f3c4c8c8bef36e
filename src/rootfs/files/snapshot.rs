//! [`Snapshot`]: what shows that a file of a tree has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::Stat;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::directories::{Directories, above, is_directory, is_too_long, join, named};
use super::index::Index;
use crate::tree::ImagePath;

/// The files of a tree at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<(ImagePath, Mark)>", from = "Vec<(ImagePath, Mark)>")]
pub(crate) struct Snapshot(BTreeMap<Vec<u8>, Mark>);

/// The metadata of a file. Every change of a file changes them: a program can set the other times, but not the time of
/// the last change of the inode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    ino: u64,
    /// Nanoseconds since 1970.
    changed: i128,
    size: i64,
    mode: u32,
    owner: (u32, u32),
}

impl Snapshot {
    /// Reads the metadata of all files below `tree`. Returns only when a later change gets a later time than all of
    /// them, since the kernel's times of changes are some milliseconds coarse.
    pub fn of(tree: &Path) -> io::Result<Snapshot> {
        let mut files = BTreeMap::new();
        let mut directories = Directories::open(tree)?;
        read(&mut directories, &[], &mut files)?;
        let snapshot = Snapshot(files);
        snapshot.pass();
        Ok(snapshot)
    }

    /// The number of files and the sum of their sizes.
    pub fn usage(&self) -> (u64, u64) {
        let sizes = self.0.values().map(|mark| u64::try_from(mark.size).unwrap_or_default());
        (self.0.len() as u64, sizes.sum())
    }

    /// Reads the metadata of these paths, and of the directories above them, again: lbuild has changed them itself. A
    /// path that is left out costs time only, because the next command seems to have changed it.
    pub(super) fn renew(&mut self, directories: &mut Directories, paths: &[Vec<u8>]) -> io::Result<()> {
        let mut stale: BTreeSet<&[u8]> = paths.iter().map(Vec::as_slice).collect();
        stale.extend(paths.iter().flat_map(|path| above(path)).filter(|dir| !dir.is_empty()));
        for path in stale {
            match directories.stat(path).map_err(|error| named(path, error))? {
                Some(stat) => drop(self.0.insert(path.to_vec(), Mark::of(&stat))),
                None => drop(self.0.remove(path)),
            }
        }
        self.pass();
        Ok(())
    }

    /// Waits until a change of a file would get a later time than those of all files.
    fn pass(&self) {
        let latest = self.0.values().map(|mark| mark.changed).max().unwrap_or_default();
        while now() <= latest {
            sleep(Duration::from_millis(1));
        }
    }

    /// The candidates of a command that ran in the tree between two snapshots. `index` is that of the tree before.
    pub(super) fn changes(&self, after: &Snapshot, index: &Index) -> Candidates {
        let mut found = Candidates::default();
        let is_changed = |(path, mark): &(&Vec<u8>, &Mark)| self.0.get(*path) != Some(mark);
        found.present = after.0.iter().filter(is_changed).map(|(path, _)| path.clone()).collect();
        for path in self.0.keys().filter(|path| !after.0.contains_key(*path)) {
            found.lose(path, index);
        }
        found
    }
}

/// The time that the kernel would give to a change now.
fn now() -> i128 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

impl Mark {
    fn of(stat: &Stat) -> Mark {
        Mark {
            ino: stat.st_ino,
            changed: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec),
            size: stat.st_size,
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
        }
    }
}

fn read(directories: &mut Directories, dir: &[u8], files: &mut BTreeMap<Vec<u8>, Mark>) -> io::Result<()> {
    let mut below = Vec::new();
    for name in directories.names(dir).map_err(|error| named(dir, error))? {
        let path = join(dir, &name);
        if is_too_long(&path) {
            return Err(named(
                &path,
                io::Error::other("the path is longer or deeper than an image can hold"),
            ));
        }
        let stat = directories.stat(&path).map_err(|error| named(&path, error))?;
        let Some(stat) = stat else { continue };
        if is_directory(&stat) {
            below.push(path.clone());
        }
        files.insert(path, Mark::of(&stat));
    }
    below.iter().try_for_each(|dir| read(directories, dir, files))
}

impl From<Snapshot> for Vec<(ImagePath, Mark)> {
    fn from(snapshot: Snapshot) -> Vec<(ImagePath, Mark)> {
        snapshot.0.into_iter().map(|(path, mark)| (ImagePath::new(&path), mark)).collect()
    }
}

impl From<Vec<(ImagePath, Mark)>> for Snapshot {
    fn from(files: Vec<(ImagePath, Mark)>) -> Snapshot {
        Snapshot(files.into_iter().map(|(path, mark)| (path.as_bytes().to_vec(), mark)).collect())
    }
}
