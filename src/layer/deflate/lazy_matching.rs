//! Lazy matching: a match is emitted only if the next position has no better one.

use super::hash_chains::{Candidate, HashChains, Inserter, SLIDE_INTERVAL};
use super::symbols::{MIN_MATCH, Match};
use super::window::Window;

/// The number of positions of a chain that a search compares (zlib's `max_chain`).
const MAX_CHAIN: usize = 12;

/// Like [`MAX_CHAIN`], for a position after one with a match: without and with matches of three bytes.
const LAZY_MAX_CHAIN: [usize; 2] = [3, 6];

/// A match of this length is emitted without a search at the next position (zlib's `max_lazy`).
const MAX_LAZY: usize = 32;

/// The length above which only the first and the last positions of a match are inserted; repetitions of the match are
/// found through them.
const MAX_INSERT: usize = 120;
const INSERT_FIRST: usize = 8;
const INSERT_LAST: usize = 16;

/// A longer run of literals is assumed to be incompressible. For each multiple of this length the search skips one more
/// position after every literal, at most [`MAX_SKIP`].
const SKIP_AFTER: usize = 1 << 10;
const MAX_SKIP: usize = 16;

/// The content length after which [`LazyMatcher::find`] returns.
const MAX_CONTENT: usize = 64 << 10;

/// Finds the matches of segments.
pub(super) struct LazyMatcher {
    chains: HashChains,
}

/// The next position to search, and the start of the literals that no match includes yet.
#[derive(Clone, Copy)]
struct Progress {
    at: usize,
    literals: usize,
}

impl LazyMatcher {
    pub fn new() -> LazyMatcher {
        LazyMatcher { chains: HashChains::new() }
    }

    /// Prepares for the segment of `window`.
    pub fn reset(&mut self, window: &Window) {
        self.chains.reset(window);
    }

    /// Appends the matches from position `from` on to `matches`: `count` of them, or those of [`MAX_CONTENT`] bytes.
    /// Returns the end of the last match, or the end of the segment, before which there may be literals. `hash3`
    /// enables matches of three bytes.
    pub fn find(
        &mut self,
        window: &Window,
        from: usize,
        count: usize,
        hash3: bool,
        matches: &mut Vec<Match>,
    ) -> usize {
        let count = matches.len() + count;
        let mut progress = Progress { at: from, literals: from };
        loop {
            self.chains.slide(progress.at);
            progress = if hash3 {
                self.advance::<true>(window, progress, count, matches)
            } else {
                self.advance::<false>(window, progress, count, matches)
            };
            let at = progress.at;
            let enough = at == progress.literals && (matches.len() >= count || at - from >= MAX_CONTENT);
            if enough || at == window.end() {
                return at;
            }
        }
    }

    /// Advances by [`SLIDE_INTERVAL`], or until there are `count` matches. This is the inner loop: it is not inlined,
    /// and the inserter is local to it, so that the compiler keeps the inserter's fields in registers.
    #[inline(never)]
    fn advance<const HASH3: bool>(
        &mut self,
        window: &Window,
        from: Progress,
        count: usize,
        matches: &mut Vec<Match>,
    ) -> Progress {
        let mut inserter = self.chains.inserter(window, from.at);
        let end = window.end();
        let stop = end.min(from.at + SLIDE_INTERVAL);
        let Progress { mut at, mut literals } = from;
        while at < stop && matches.len() < count {
            let first = search::<HASH3>(&mut inserter, at);
            if first.length == 0 {
                at += 1;
                if at - literals > SKIP_AFTER {
                    at = end.min(at + ((at - literals) / SKIP_AFTER).min(MAX_SKIP));
                    inserter.seek(at);
                }
                continue;
            }
            let (start, found, inserted) = defer::<HASH3>(&mut inserter, at, end, first);
            matches.push(Match::new(start - literals, found.length, found.distance));
            at = start + found.length;
            literals = at;
            if found.length > MAX_INSERT {
                inserter.insert_all(inserted, start + INSERT_FIRST);
                inserter.seek(at - INSERT_LAST);
                inserter.insert_all(at - INSERT_LAST, at);
            } else {
                inserter.insert_all(inserted, at);
            }
        }
        Progress { at, literals }
    }
}

/// Inserts position `at`, and searches for a match at it.
#[inline(always)]
fn search<const HASH3: bool>(inserter: &mut Inserter<'_>, at: usize) -> Candidate {
    let match3 = if HASH3 { inserter.insert3(at) } else { Candidate::NONE };
    let distance = inserter.insert(at);
    inserter.longest_match(at, distance, MIN_MATCH, MAX_CHAIN, match3)
}

/// Moves from the match `found` at `at` to the next position while the match there is better. Returns the position of
/// the match to emit, the match, and the next position to insert.
#[inline(always)]
fn defer<const HASH3: bool>(
    inserter: &mut Inserter<'_>,
    mut at: usize,
    end: usize,
    mut found: Candidate,
) -> (usize, Candidate, usize) {
    let mut next = at + 1;
    while found.length < MAX_LAZY && next < end {
        let distance = inserter.insert(next);
        let max_chain = LAZY_MAX_CHAIN[HASH3 as usize];
        let later = inserter.longest_match(next, distance, found.length - 1, max_chain, Candidate::NONE);
        next += 1;
        if !is_better(later, found) {
            break;
        }
        at += 1;
        found = later;
    }
    (at, found, next)
}

/// Whether `later` is better than `found`, although it costs one more literal.
#[inline(always)]
fn is_better(later: Candidate, found: Candidate) -> bool {
    if later.length < found.length {
        return false;
    }
    // A byte of length saves about four bits; each doubling of the distance costs one.
    let length_gain = 4 * (later.length - found.length) as i32;
    length_gain + found.distance.ilog2() as i32 - later.distance.ilog2() as i32 > 2
}
