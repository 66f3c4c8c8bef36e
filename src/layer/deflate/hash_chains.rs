//! Finds the longest match at a position, through chains of earlier positions whose next four bytes have the same hash.

use super::symbols::{MAX_MATCH, MIN_MATCH, WINDOW_SIZE};
use super::window::Window;

/// The hash table and the chains.
///
/// Positions are stored in 16 bits: position `at` of the window as `at + FIRST - slid`. 0 marks the end of a chain; its
/// distance from every position that is looked up is more than [`WINDOW_SIZE`].
pub(super) struct HashChains {
    /// The number of bytes by which stored positions have [slid](HashChains::slide).
    slid: usize,
    /// The last position of each hash of four bytes.
    head: Box<[u16; 1 << HASH_BITS]>,
    /// For each position modulo [`WINDOW_SIZE`]: the distance to the previous position in its chain.
    prev: Box<[u16; WINDOW_SIZE]>,
    /// The last position of each hash of three bytes, while matches of three bytes are searched.
    head3: Box<[u16; 1 << HASH3_BITS]>,
}

const HASH_BITS: u32 = 16;
const HASH3_BITS: u32 = 12;

/// The stored form of position 0, and the least stored form after a slide.
const FIRST: usize = WINDOW_SIZE + 1;

/// The largest number of bytes between two calls of [`HashChains::slide`], not counting a match that ends later.
pub(super) const SLIDE_INTERVAL: usize = 8 << 10;

/// The maximum distance of a match of three bytes (zlib's `TOO_FAR`): beyond it, three literals are shorter.
const TOO_FAR: usize = 4 << 10;

fn hash4(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// The hash of the first three of four bytes.
fn hash3(bytes: u32) -> usize {
    ((bytes << 8).wrapping_mul(0x9e37_79b1) >> (32 - HASH3_BITS)) as usize
}

impl HashChains {
    pub fn new() -> HashChains {
        let zeros = |length| vec![0; length].into_boxed_slice();
        HashChains {
            slid: 0,
            head: zeros(1 << HASH_BITS).try_into().expect("its length"),
            prev: zeros(WINDOW_SIZE).try_into().expect("its length"),
            head3: zeros(1 << HASH3_BITS).try_into().expect("its length"),
        }
    }

    /// Removes all positions, then inserts those of the window's dictionary.
    pub fn reset(&mut self, window: &Window) {
        self.head.fill(0);
        self.head3.fill(0);
        self.slid = 0;
        let mut at = 0;
        while at < window.segment_start() {
            let to = window.segment_start().min(at + SLIDE_INTERVAL);
            self.slide(at);
            self.inserter(window, at).insert_all(at, to);
            at = to;
        }
    }

    /// Slides the stored positions (zlib's `slide_hash`) unless the following ones fit into 16 bits: those of
    /// [`SLIDE_INTERVAL`] bytes, of a match after them, and of the bytes by which lazy matching defers that match.
    pub fn slide(&mut self, at: usize) {
        let position = at + FIRST - self.slid;
        if position + SLIDE_INTERVAL + 2 * MAX_MATCH < 1 << 16 {
            return;
        }
        let distance = position - FIRST;
        self.slid += distance;
        // One loop for each table: the compiler vectorizes them.
        for position in &mut *self.head {
            *position = position.saturating_sub(distance as u16);
        }
        for position in &mut *self.head3 {
            *position = position.saturating_sub(distance as u16);
        }
    }

    /// Inserts positions of `window`, beginning with `at`.
    #[inline(always)]
    pub fn inserter<'a>(&'a mut self, window: &'a Window, at: usize) -> Inserter<'a> {
        let HashChains { slid, head, prev, head3 } = self;
        let mut inserter = Inserter { window, slid: *slid, head, prev, head3, hash: 0, hash_head: 0 };
        inserter.seek(at);
        inserter
    }
}

/// A match that was found, or [`Candidate::NONE`].
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub length: usize,
    pub distance: usize,
}

impl Candidate {
    pub const NONE: Candidate = Candidate { length: 0, distance: 0 };
}

/// Inserts positions into the chains in ascending order, and searches the chains.
///
/// The head of the next position is loaded when its predecessor is inserted, which hides the latency of the load.
pub(super) struct Inserter<'a> {
    window: &'a Window,
    slid: usize,
    head: &'a mut [u16; 1 << HASH_BITS],
    prev: &'a mut [u16; WINDOW_SIZE],
    head3: &'a mut [u16; 1 << HASH3_BITS],
    /// The hash of the next position.
    hash: usize,
    /// The last position with that hash.
    hash_head: u16,
}

impl Inserter<'_> {
    /// Sets the next position.
    #[inline(always)]
    pub fn seek(&mut self, at: usize) {
        self.hash = hash4(self.window.load4(at));
        self.hash_head = self.head[self.hash];
    }

    #[inline(always)]
    fn stored(&self, at: usize) -> u16 {
        let position = at + FIRST - self.slid;
        debug_assert!(position < 1 << 16, "`slide` was called");
        position as u16
    }

    /// Inserts `at`, which must be the next position, and returns the distance to the previous one in its chain.
    #[inline(always)]
    pub fn insert(&mut self, at: usize) -> usize {
        let position = self.stored(at);
        let distance = position.wrapping_sub(self.hash_head);
        self.head[self.hash] = position;
        self.prev[at % WINDOW_SIZE] = distance;
        self.seek(at + 1);
        distance as usize
    }

    /// Inserts `from..to`; `from` must be the next position.
    #[inline(always)]
    pub fn insert_all(&mut self, from: usize, to: usize) {
        for at in from..to {
            self.insert(at);
        }
    }

    /// Inserts `at` into the table of three bytes only, and returns the match of three bytes there, if any.
    #[inline(always)]
    pub fn insert3(&mut self, at: usize) -> Candidate {
        let position = self.stored(at);
        let head = &mut self.head3[hash3(self.window.load4(at))];
        let distance = position.wrapping_sub(*head) as usize;
        *head = position;
        let found = distance <= TOO_FAR
            && self.window.end() - at >= MIN_MATCH
            && self.window.equal3(at, at - distance);
        if found { Candidate { length: MIN_MATCH, distance } } else { Candidate::NONE }
    }

    /// The longest match at `at` that is longer than `min` and [`MIN_MATCH`], and of these the nearest; else `default`.
    /// The search follows a chain over at most `max_chain` positions, the first of them at `distance`.
    #[inline(always)]
    pub fn longest_match(
        &self,
        at: usize,
        distance: usize,
        min: usize,
        max_chain: usize,
        default: Candidate,
    ) -> Candidate {
        let max = MAX_MATCH.min(self.window.end() - at);
        let mut best = default;
        if distance > WINDOW_SIZE || min >= max {
            return best;
        }
        let start = self.window.load4(at);
        let mut distance = distance;
        let mut length = min.max(MIN_MATCH);
        let mut tail = self.window.load4(at + length - 3);
        for _ in 0..max_chain {
            let candidate = at - distance;
            // The last four bytes of a longer match are compared first: most candidates differ there.
            if self.window.load4(candidate + length - 3) == tail && self.window.load4(candidate) == start {
                let common = self.window.match_length(at, candidate, max);
                if common > length {
                    length = common;
                    best = Candidate { length, distance };
                    if length == max {
                        break;
                    }
                    tail = self.window.load4(at + length - 3);
                }
            }
            distance += self.prev[candidate % WINDOW_SIZE] as usize;
            if distance > WINDOW_SIZE {
                break;
            }
        }
        best
    }
}
