//! Metadata that show, without reading a file, whether it has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time, in nanoseconds, by which a file's times must precede the moment at which it was first seen.
///
/// A write changes the times only if the clock that stamps files has ticked since the last write. A file that was
/// written just before it was read could therefore be written again unnoticed; such a file is read again in the next
/// run, as git does with "racy" entries. Kernels tick every 1 to 10 ms and stamp with the last tick; ten times that
/// also covers exFAT's 10 ms, and a file server whose clock is slightly behind.
const MARGIN_NS: i128 = 100_000_000;

/// The margin, in nanoseconds, for file systems that stamp in seconds (ext3, HFS+) or in steps of two seconds (FAT),
/// plus a second.
const COARSE_MARGIN_NS: i128 = 3_000_000_000;

/// Metadata that show whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// When the content last changed, in nanoseconds since 1970; any program may set it.
    pub mtime_ns: i64,
    /// When content or metadata last changed, in nanoseconds since 1970; only the kernel sets it.
    pub ctime_ns: i64,
    /// Inode number.
    pub ino: u64,
    /// Device number.
    pub dev: u64,
}

impl Stat {
    /// The length of [`Stat::to_bytes`].
    pub const BYTES: usize = 5 * 8;

    /// The numbers as they are stored, little endian, to be compared with those of a later run.
    pub fn to_bytes(self) -> [u8; Stat::BYTES] {
        let numbers = [self.size, self.mtime_ns as u64, self.ctime_ns as u64, self.ino, self.dev];
        let mut bytes = [0; Stat::BYTES];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Whether a write to the file after `seen` might leave its times unchanged. What is stored about such a file could
    /// become untrue undetected.
    pub fn is_racy(&self, seen: SystemTime) -> bool {
        let seen = seen.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        // A fine clock also hits a whole second in one of a hundred ticks; the wide margin is harmless then.
        let coarse = [self.mtime_ns, self.ctime_ns].iter().all(|ns| ns % 1_000_000_000 == 0);
        let margin = if coarse { COARSE_MARGIN_NS } else { MARGIN_NS };
        i128::from(self.mtime_ns.max(self.ctime_ns)) >= seen - margin
    }
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Stat {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Stat {
            size: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            ino: metadata.ino(),
            dev: metadata.dev(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn stat(mtime_ns: i64, ctime_ns: i64) -> Stat {
        Stat { size: 7, mtime_ns, ctime_ns, ino: 3, dev: 1 }
    }

    fn at(ns: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(ns as u64)
    }

    #[test]
    fn a_file_that_was_written_just_before_it_was_seen_is_racy() {
        let seen = 10 * SECOND;
        for (mtime, racy) in [
            (seen + 1, true),
            (seen, true),
            (seen - 50_000_000, true),
            (seen - 200_000_000, false),
            (seen - 3 * SECOND + 7, false),
        ] {
            assert_eq!(stat(mtime, 5).is_racy(at(seen)), racy, "{mtime}");
        }
        // The same applies when the mtime was set back, because nothing can set the ctime back.
        assert!(stat(1, seen - 50_000_000).is_racy(at(seen)));
    }

    #[test]
    fn whole_seconds_mean_a_coarse_clock() {
        let seen = at(10 * SECOND);
        let whole = |seconds| stat(seconds * SECOND, seconds * SECOND);
        assert!(whole(9).is_racy(seen) && whole(8).is_racy(seen) && whole(7).is_racy(seen));
        assert!(!whole(6).is_racy(seen));
        let unpacked = stat(9 * SECOND, 9 * SECOND + 1);
        assert!(!unpacked.is_racy(seen), "an archive's whole seconds do not make the clock coarse");
    }
}
