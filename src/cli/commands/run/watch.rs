//! Waits for changes of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cli::output::exit::Failure;

/// Changes within this time are one: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// A watch of files and directories; it ends when it is dropped.
pub struct Watch {
    _watcher: RecommendedWatcher,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Watches directories with all that is below them. For a file, that is the directory with its name: editors replace
    /// files.
    pub fn of(paths: &[PathBuf]) -> Result<Watch, Failure> {
        let (sender, changes) = mpsc::unbounded_channel();
        let told = move |event: notify::Result<notify::Event>| {
            // Reading the files is no change of them.
            let is_read = event.as_ref().is_ok_and(|event| match event.kind {
                EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
                _ => false,
            });
            if !is_read {
                // The receiver may be gone.
                let _ = sender.send(());
            }
        };
        let mut watcher =
            notify::recommended_watcher(told).map_err(|source| failed(Path::new("."), source))?;
        let all: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).collect();
        for path in all {
            let (dir, mode) = match path.is_dir() {
                true => (path, RecursiveMode::Recursive),
                false => (parent(path), RecursiveMode::NonRecursive),
            };
            watcher.watch(dir, mode).map_err(|source| failed(dir, source))?;
        }
        Ok(Watch { _watcher: watcher, changes })
    }

    /// Waits for a change, and until nothing changes for a moment.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        while let Ok(Some(())) = timeout(QUIET, self.changes.recv()).await {}
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path, source: notify::Error) -> Failure {
    Failure::Watch { path: path.to_owned(), source }
}
