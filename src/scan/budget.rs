//! [`MemoryBudget`]: bounds the memory of scans that exist at the same time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::code::{Code, Recognized};
#[cfg(feature = "check")]
use super::layer_scan::LayerScan;
use super::layer_scan::ScannedFile;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::tree::{EntryKind, Member};

/// The memory in bytes that work with a member takes, besides the member itself.
type BesideMember<F> = dyn Fn(&Member<ScannedFile<F>>) -> usize + Send + Sync;

/// The memory that some scans may take together, and what they take. Clones share it. `F` is the type of their facts.
///
/// It counts the members of all layers with their names, link targets and facts, and for each the memory that work with
/// it takes. A scan that would exceed it fails with [`Error::TooManyFiles`].
#[derive(Clone)]
pub struct MemoryBudget<F> {
    taken: Arc<AtomicUsize>,
    limit: usize,
    beside: Arc<BesideMember<F>>,
}

/// The limit for all scans of a command, in bytes. With the rest of the process it stays below 300 MiB.
///
/// It is enough for a million files with paths of 50 bytes, or half a million with paths of 250 bytes. An image that
/// Lambda accepts has at most 10 GiB, and hardly more files.
pub(super) const LIMIT: usize = 248 << 20;

impl<F: Serialize> MemoryBudget<F> {
    /// A budget of `limit` bytes; `beside` is the memory in bytes that work with a member takes, besides the member
    /// itself.
    pub fn new(
        limit: usize,
        beside: impl Fn(&Member<ScannedFile<F>>) -> usize + Send + Sync + 'static,
    ) -> MemoryBudget<F> {
        MemoryBudget { taken: Arc::default(), limit, beside: Arc::new(beside) }
    }

    /// The budget of the scans of one command, which does as much with each member as `beside` says, in bytes.
    pub(crate) fn of_command(
        beside: impl Fn(&Member<ScannedFile<F>>) -> usize + Send + Sync + 'static,
    ) -> MemoryBudget<F> {
        MemoryBudget::new(LIMIT, beside)
    }

    /// The number of bytes taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// Returns what these members have taken, before they are dropped.
    pub fn release<'m>(&self, members: impl IntoIterator<Item = &'m Member<ScannedFile<F>>>)
    where
        F: 'm,
    {
        let taken = members.into_iter().map(|member| self.cost(member)).sum();
        self.taken.fetch_sub(taken, Relaxed);
    }

    fn cost(&self, member: &Member<ScannedFile<F>>) -> usize {
        memory(member).saturating_add((self.beside)(member))
    }
}

impl<F> fmt::Debug for MemoryBudget<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoryBudget { taken, limit, beside: _ } = self;
        f.debug_struct("MemoryBudget").field("taken", taken).field("limit", limit).finish_non_exhaustive()
    }
}

/// The memory that one scan has taken of a budget so far. Dropping it returns the memory, as for a scan that failed.
pub(super) struct Share<'b, F> {
    budget: &'b MemoryBudget<F>,
    taken: usize,
    /// The bytes of `taken` that the scan needs only until it ends.
    held: usize,
}

impl<'b, F: Serialize> Share<'b, F> {
    pub fn of(budget: &'b MemoryBudget<F>) -> Share<'b, F> {
        Share { budget, taken: 0, held: 0 }
    }

    /// Takes the memory of a member.
    ///
    /// # Errors
    /// [`Error::TooManyFiles`] when that exceeds the budget.
    pub fn take(&mut self, member: &Member<ScannedFile<F>>) -> Result<()> {
        self.add(self.budget.cost(member))
    }

    /// Takes `bytes` in all for the decompression of the layer, until the scan ends.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn hold(&mut self, bytes: u64) -> Result<()> {
        let more = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(self.held);
        self.held += more;
        self.add(more)
    }

    fn add(&mut self, bytes: usize) -> Result<()> {
        self.taken += bytes;
        match self.budget.taken.fetch_add(bytes, Relaxed).saturating_add(bytes) > self.budget.limit {
            true => Err(Error::TooManyFiles { limit: self.budget.limit }),
            false => Ok(()),
        }
    }

    /// Keeps the memory of the members of a scan that succeeded.
    pub fn keep(mut self) {
        self.taken = self.held;
    }
}

impl<F> Drop for Share<'_, F> {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.taken, Relaxed);
    }
}

/// The memory that may be left for work with these scans, in bytes.
#[cfg(feature = "check")]
pub(crate) fn memory_left<'s, F: Serialize + 's>(scans: impl IntoIterator<Item = &'s LayerScan<F>>) -> usize {
    let members = scans.into_iter().flat_map(|scan| &scan.members);
    LIMIT.saturating_sub(members.map(memory).sum())
}

/// The memory that a member takes, in bytes.
fn memory<F: Serialize>(member: &Member<ScannedFile<F>>) -> usize {
    let path = member.path.allocations().into_iter().map(allocated);
    let content = match &member.entry.kind {
        EntryKind::File(file) => file.recognized().map_or(0, of_recognized),
        // The view has hard links in a map of their own.
        EntryKind::HardLink(target) => allocated(target.len()) + 64,
        EntryKind::Symlink(target) => allocated(target.len()),
        EntryKind::Directory | EntryKind::Device(_) | EntryKind::Whiteout | EntryKind::Opaque => 0,
    };
    let xattrs = member.entry.xattrs.iter().map(|(name, value)| {
        // A map with one element has a node for eleven, and the set itself is allocated.
        11 * 2 * size_of::<Vec<u8>>() + allocated(name.len()) + allocated(value.len())
    });
    size_of_val(member) + path.sum::<usize>() + content + xattrs.sum::<usize>()
}

fn of_recognized<F: Serialize>(recognized: &Recognized<F>) -> usize {
    let Recognized { code, facts } = recognized;
    let code = match code {
        None => 0,
        Some(Code::Script(line)) => allocated(line.len()),
        Some(Code::Elf(elf)) => {
            let names = elf.needed.iter().map(|name| size_of::<String>() + allocated(name.len()));
            elf.interpreter.as_ref().map_or(0, |path| allocated(path.len())) + names.sum::<usize>()
        }
    };
    // The strings in a fact are in its JSON, too; each is an allocation.
    let json = serde_json::to_vec(facts).map_or(0, |json| json.len());
    allocated(size_of_val(recognized) + size_of::<Digest>())
        + code
        + allocated(size_of_val(&facts[..]))
        + 4 * facts.len()
        + 2 * json
}

/// The memory that the allocator needs for this many bytes: with a word of its own, in steps of two words.
fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes.saturating_add(8).saturating_add(15) & !15).max(32) }
}
