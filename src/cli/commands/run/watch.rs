//! Waits for changes of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::cli::output::exit::Failure;

/// Changes within this time are one: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Where files change all the time, they are taken as they are after this time.
const LONGEST: Duration = Duration::from_secs(2);

/// A watch of files and directories; it ends when it is dropped.
pub struct Watch {
    _watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Watches directories with all that is below them. For a file, that is its name in its directory: editors replace
    /// files. For what does not exist, that is its name in the nearest directory that does.
    pub fn of(paths: &[PathBuf]) -> Result<Watch, Failure> {
        let (sender, changes) = mpsc::unbounded_channel();
        let all: BTreeSet<PathBuf> = paths.iter().filter_map(|path| std::path::absolute(path).ok()).collect();
        let places: Vec<(PathBuf, RecursiveMode)> = all.iter().flat_map(|path| places(path)).collect();
        let told = move |event: notify::Result<notify::Event>| {
            // An error, such as an overflow, may hide a change.
            if event.is_err() || event.is_ok_and(|event| is_change(&event, &all)) {
                // The receiver may be gone.
                let _ = sender.send(());
            }
        };
        let mut watcher =
            notify::recommended_watcher(told).map_err(|source| failed(Path::new("."), source))?;
        for (dir, mode) in places {
            watcher.watch(&dir, mode).map_err(|source| failed(&dir, source))?;
        }
        Ok(Watch { _watcher: watcher, changes })
    }

    /// Whether something has changed already.
    pub fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Waits for a change, and until nothing changes for a moment.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        let last = Instant::now() + LONGEST;
        while let Ok(Some(())) = timeout_at(last.min(Instant::now() + QUIET), self.changes.recv()).await {}
    }
}

/// The directories that tell of changes of a path.
fn places(path: &Path) -> Vec<(PathBuf, RecursiveMode)> {
    let above = path
        .ancestors()
        .skip(1)
        .find(|dir| dir.is_dir())
        .map(|dir| (dir.to_owned(), RecursiveMode::NonRecursive));
    let own = path.is_dir().then(|| (path.to_owned(), RecursiveMode::Recursive));
    own.into_iter().chain(above).collect()
}

/// Whether an event is a change of one of these paths, or below it, or of a directory above it.
fn is_change(event: &notify::Event, all: &BTreeSet<PathBuf>) -> bool {
    let is_read = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    let concerns =
        |changed: &PathBuf| all.iter().any(|path| changed.starts_with(path) || path.starts_with(changed));
    !is_read && event.paths.iter().any(concerns)
}

fn failed(path: &Path, source: notify::Error) -> Failure {
    Failure::Watch { path: path.to_owned(), source }
}
