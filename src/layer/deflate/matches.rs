//! What a segment repeats: found through chains of the places at which the same four bytes begin.

use super::symbols::{LONGEST, REACH, SHORTEST};
use super::window::Window;

/// Literals, and a match behind them.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub literals: u32,
    /// Less [`SHORTEST`].
    pub length: u8,
    /// Less 1.
    pub distance: u16,
}

impl Match {
    #[inline(always)]
    pub fn length(self) -> usize {
        self.length as usize + SHORTEST
    }
}

/// The chains.
///
/// Places are counted from `base`, so that they need two bytes only: 0 is a place too far from all that are looked
/// at, and [`make_room`](Chains::make_room) moves the base on before they pass what fits.
pub(super) struct Chains {
    base: usize,
    /// The last place of four bytes, by their hash.
    heads: Box<[u16; 1 << HEAD_BITS]>,
    /// How far the place before is from the one of this number, modulo [`REACH`].
    steps: Box<[u16; REACH]>,
    /// The last place of three bytes, by their hash; kept only where [`find`](Chains::find) looks for
    /// them.
    threes: Box<[u16; 1 << THREE_BITS]>,
}

const HEAD_BITS: u32 = 16;
const THREE_BITS: u32 = 12;

/// The places that stay when the base moves on, and one: the lowest distance from 0 is out of reach.
const KEPT: usize = REACH + 1;

/// Bytes between two calls of [`Chains::make_room`] at most, besides a match.
const ROOM: usize = 8 << 10;

/// See [`Chains::find`].
const SPAN: usize = 64 << 10;

/// How many places of a chain are looked at.
const DEPTH: usize = 12;

/// As [`DEPTH`], a byte behind where there is a match: without matches of three bytes, and with them.
const LATER_DEPTH: [usize; 2] = [3, 6];

/// A match of this length is taken without a look at what begins a byte later.
const GOOD: usize = 32;

/// Of a match longer than this only its ends are entered: what repeats it is found by them.
const LONG: usize = 120;
const FRONT: usize = 8;
const BACK: usize = 16;

/// A match of three bytes that is farther away takes more bits than the bytes do.
const THREE_REACH: usize = 4 << 10;

/// So many literals in a row are noise: for each time that they come again a place more is left out, up to `LEFT_OUT`.
const NOISE: usize = 1 << 10;
const LEFT_OUT: usize = 16;

fn four_hash(four: u32) -> usize {
    (four.wrapping_mul(0x9e37_79b1) >> (32 - HEAD_BITS)) as usize
}

fn three_hash(four: u32) -> usize {
    ((four << 8).wrapping_mul(0x9e37_79b1) >> (32 - THREE_BITS)) as usize
}

impl Chains {
    pub fn new() -> Chains {
        let zeros = |length| vec![0; length].into_boxed_slice();
        Chains {
            base: 0,
            heads: zeros(1 << HEAD_BITS).try_into().expect("its length"),
            steps: zeros(REACH).try_into().expect("its length"),
            threes: zeros(1 << THREE_BITS).try_into().expect("its length"),
        }
    }

    /// Forgets all, and enters what stands before the segment.
    pub fn begin(&mut self, window: &Window) {
        self.heads.fill(0);
        self.threes.fill(0);
        self.base = 0usize.wrapping_sub(KEPT);
        let mut at = 0;
        while at < window.begin() {
            let to = window.begin().min(at + ROOM);
            self.make_room(at);
            self.cursor(window, at).enter(at, to);
            at = to;
        }
    }

    /// Finds the matches of what comes from `from` on, until there are `most` or they span [`SPAN`]. Returns where the
    /// last one ends; at the end of the segment literals may be behind it.
    pub fn find(
        &mut self,
        window: &Window,
        from: usize,
        most: usize,
        threes: bool,
        found: &mut Vec<Match>,
    ) -> usize {
        let enough = found.len() + most;
        let mut at = Progress { at: from, literals: from };
        loop {
            self.make_room(at.at);
            at = if threes {
                self.advance::<true>(window, at, enough, found)
            } else {
                self.advance::<false>(window, at, enough, found)
            };
            let whole = at.at == at.literals && (found.len() >= enough || at.at - from >= SPAN);
            if whole || at.at == window.end() {
                return at.at;
            }
        }
    }

    /// Moves the base on unless the places of the next [`ROOM`] bytes fit, and of a match behind them, with the bytes
    /// that it is put off by.
    fn make_room(&mut self, at: usize) {
        let passed = at.wrapping_sub(self.base);
        if passed + ROOM + 2 * LONGEST < 1 << 16 {
            return;
        }
        let forward = passed - KEPT;
        self.base = self.base.wrapping_add(forward);
        // a loop each: the compiler makes vectors of them
        for place in &mut *self.heads {
            *place = place.saturating_sub(forward as u16);
        }
        for place in &mut *self.threes {
            *place = place.saturating_sub(forward as u16);
        }
    }

    /// On its own, and with the cursor within it, so that the compiler keeps all of it in registers.
    #[inline(never)]
    fn advance<const THREES: bool>(
        &mut self,
        window: &Window,
        from: Progress,
        enough: usize,
        found: &mut Vec<Match>,
    ) -> Progress {
        self.cursor(window, from.at).find::<THREES>(from, enough, found)
    }

    #[inline(always)]
    fn cursor<'a>(&'a mut self, window: &'a Window, at: usize) -> Cursor<'a> {
        let Chains { base, heads, steps, threes } = self;
        let mut cursor = Cursor { window, base: *base, heads, steps, threes, hash: 0, head: 0 };
        cursor.seek(at);
        cursor
    }
}

/// How far a search has come, and where the literals begin of which no match has told yet.
#[derive(Clone, Copy)]
struct Progress {
    at: usize,
    literals: usize,
}

/// What is found at a place; of no length when it is nothing.
#[derive(Clone, Copy)]
struct Found {
    length: usize,
    distance: usize,
}

/// The chains at the next place that is to be entered.
///
/// Its head is fetched when the place before is entered: until it is asked for it has come from the cache.
struct Cursor<'a> {
    window: &'a Window,
    base: usize,
    heads: &'a mut [u16; 1 << HEAD_BITS],
    steps: &'a mut [u16; REACH],
    threes: &'a mut [u16; 1 << THREE_BITS],
    hash: usize,
    head: u16,
}

impl Cursor<'_> {
    #[inline(always)]
    fn seek(&mut self, at: usize) {
        self.hash = four_hash(self.window.four(at));
        self.head = self.heads[self.hash];
    }

    /// Enters the place `at`, and tells how far the one before is.
    #[inline(always)]
    fn step(&mut self, at: usize) -> usize {
        debug_assert!(at.wrapping_sub(self.base) < 1 << 16, "there is room");
        let place = at.wrapping_sub(self.base) as u16;
        let distance = place.wrapping_sub(self.head);
        self.heads[self.hash] = place;
        self.steps[at % REACH] = distance;
        self.seek(at + 1);
        distance as usize
    }

    /// How far the place before with the same three bytes, or at least their hash, is.
    #[inline(always)]
    fn step_three(&mut self, at: usize) -> usize {
        let place = at.wrapping_sub(self.base) as u16;
        let head = &mut self.threes[three_hash(self.window.four(at))];
        let distance = place.wrapping_sub(*head);
        *head = place;
        distance as usize
    }

    #[inline(always)]
    fn enter(&mut self, from: usize, to: usize) {
        for at in from..to {
            self.step(at);
        }
    }

    #[inline(always)]
    fn find<const THREES: bool>(
        &mut self,
        from: Progress,
        enough: usize,
        found: &mut Vec<Match>,
    ) -> Progress {
        let end = self.window.end();
        let Progress { mut at, mut literals } = from;
        let stop = end.min(at + ROOM);
        while at < stop && found.len() < enough {
            let mut here = self.look::<THREES>(at, end);
            if here.length == 0 {
                at += 1;
                if at - literals > NOISE {
                    at = end.min(at + ((at - literals) / NOISE).min(LEFT_OUT));
                    self.seek(at);
                }
                continue;
            }
            let mut entered = at + 1;
            while here.length < GOOD && entered < end {
                let distance = self.step(entered);
                let later =
                    self.longest(entered, end, distance, here.length - 1, 0, LATER_DEPTH[THREES as usize]);
                entered += 1;
                if !better(later, here) {
                    break;
                }
                at += 1;
                here = later;
            }
            found.push(Match {
                literals: (at - literals) as u32,
                length: (here.length - SHORTEST) as u8,
                distance: (here.distance - 1) as u16,
            });
            let next = at + here.length;
            if here.length > LONG {
                self.enter(entered, at + FRONT);
                self.seek(next - BACK);
                self.enter(next - BACK, next);
            } else {
                self.enter(entered, next);
            }
            at = next;
            literals = at;
        }
        Progress { at, literals }
    }

    #[inline(always)]
    fn look<const THREES: bool>(&mut self, at: usize, end: usize) -> Found {
        if !THREES {
            let distance = self.step(at);
            return self.longest(at, end, distance, SHORTEST, 0, DEPTH);
        }
        let three = self.step_three(at);
        let distance = self.step(at);
        let near = three <= THREE_REACH && end - at >= SHORTEST && self.window.same_three(at, at - three);
        self.longest(at, end, distance, SHORTEST, if near { three } else { 0 }, DEPTH)
    }

    /// The longest match at `at` that is longer than `least` and [`SHORTEST`]: the nearest of several. The first place
    /// is `distance` away. Without one, what `known` says of a match of three bytes.
    #[inline(always)]
    fn longest(
        &self,
        at: usize,
        end: usize,
        distance: usize,
        least: usize,
        known: usize,
        depth: usize,
    ) -> Found {
        let most = LONGEST.min(end - at);
        let mut found = Found { length: if known == 0 { 0 } else { SHORTEST }, distance: known };
        if distance > REACH || least >= most {
            return found;
        }
        let four = self.window.four(at);
        let mut distance = distance;
        let mut longest = least.max(SHORTEST);
        let mut tail = self.window.four(at + longest - 3);
        for _ in 0..depth {
            let place = at.wrapping_sub(distance);
            // the bytes that would make it longer come first: most places differ there
            if self.window.four(place.wrapping_add(longest - 3)) == tail && self.window.four(place) == four {
                let length = self.window.common(at, place, most);
                if length > longest {
                    longest = length;
                    found = Found { length, distance };
                    if length == most {
                        break;
                    }
                    tail = self.window.four(at + longest - 3);
                }
            }
            distance += self.steps[place % REACH] as usize;
            if distance > REACH {
                break;
            }
        }
        found
    }
}

/// Whether a match that begins a byte later is worth that byte as a literal.
#[inline(always)]
fn better(later: Found, here: Found) -> bool {
    if later.length < here.length {
        return false;
    }
    // a byte more is worth about four bits, and each doubling of the distance costs one
    4 * (later.length - here.length) as i32 + here.distance.ilog2() as i32 - later.distance.ilog2() as i32 > 2
}
