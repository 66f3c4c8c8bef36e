//! Scans: the members of a layer, with facts about their content. A layer is read once.
//!
//! * [`LayerScan`]: a layer's members. It is made from a stored layer, or from the tree of a layer that was made here;
//!   the same files give the same facts either way.
//! * [`Annotate`]: inspects files of its choice, and returns typed facts about them.
//! * [`may_be_code`](crate::tree::may_be_code): the one definition of the files that are inspected for machine code
//!   ([`Elf`]) and scripts.
//! * [`Scans`]: the scans of all layers of an image, and the faults of layers that cannot be scanned.
//! * [`MemoryBudget`]: the memory that scans may take together.
//! * [`view`]: the files that are visible in a container, from the scans of all layers.

mod annotate;
mod budget;
mod code;
mod elf;
mod excerpt;
mod layer_scan;
mod packed;
mod record;
mod scans;
mod spool;
mod stored;
mod written;

pub use annotate::{Annotate, BEGINNING_LIMIT, NoAnnotator, NoFact, ReadSeek, Wanted};
pub use budget::MemoryBudget;
#[cfg(feature = "check")]
pub(crate) use budget::memory_left;
pub use code::{Code, Recognized};
pub use elf::Elf;
pub(crate) use layer_scan::VERSION;
pub use layer_scan::{LayerScan, ScannedFile, view};
pub(crate) use packed::{ENTRIES_PER_THREAD, RecognizedFiles};
pub use scans::{LayerFault, Scans};
pub(crate) use written::{CodeCollector, WrittenCode};

#[cfg(test)]
mod tests;
