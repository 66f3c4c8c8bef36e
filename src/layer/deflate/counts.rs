//! How often each symbol comes, and what that says about the bits it takes.
//!
//! In whole numbers throughout: a logarithm of floating point may differ from machine to machine, and the bytes
//! of a layer must not.

use super::matches::Match;
use super::symbols::{DISTANCES, END, LENGTH_SYMBOLS, LITERALS, distance_symbol};

pub(super) struct Counts {
    pub literals: [u32; LITERALS],
    pub distances: [u32; DISTANCES],
}

impl Counts {
    pub fn new() -> Counts {
        Counts { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }

    /// Counts `matches`, the literals between them, and those behind, up to the end of `content`.
    pub fn count(&mut self, matches: &[Match], content: &[u8]) {
        let mut rest = content;
        for found in matches {
            let (literals, matched) = rest.split_at(found.literals as usize);
            self.count_literals(literals);
            rest = &matched[found.length()..];
            self.literals[END + 1 + LENGTH_SYMBOLS[found.length as usize] as usize] += 1;
            self.distances[distance_symbol(found.distance)] += 1;
        }
        self.count_literals(rest);
    }

    fn count_literals(&mut self, literals: &[u8]) {
        for &literal in literals {
            self.literals[literal as usize] += 1;
        }
    }

    pub fn add(&mut self, other: &Counts) {
        let pairs = self.literals.iter_mut().zip(&other.literals);
        for (count, more) in pairs.chain(self.distances.iter_mut().zip(&other.distances)) {
            *count += more;
        }
    }

    /// How many more bits symbols take with a code for both than with a code for each, in [`ONE_BIT`]s.
    pub fn cost_of_sharing(&self, other: &Counts) -> u64 {
        cost_of_sharing(&self.literals, &other.literals) + cost_of_sharing(&self.distances, &other.distances)
    }

    /// The mean of bits that a literal takes, in [`ONE_BIT`]s; 0 without literals.
    pub fn bits_per_literal(&self) -> u64 {
        let all: u32 = self.literals.iter().sum();
        let literals = &self.literals[..END];
        let number = literals.iter().map(|&count| u64::from(count)).sum();
        let bits: u64 = literals.iter().map(|&count| u64::from(count) * (log2(all) - log2(count))).sum();
        bits.checked_div(number).unwrap_or(0)
    }
}

/// The entropy of the sums, less that of the summands.
fn cost_of_sharing(first: &[u32], second: &[u32]) -> u64 {
    let times_log = |count| u64::from(count) * log2(count);
    let (mut sums, mut apart) = ((0, 0), 0);
    for (&first, &second) in first.iter().zip(second).filter(|&(&first, &second)| first > 0 && second > 0) {
        apart += times_log(first + second) - times_log(first) - times_log(second);
    }
    for (&first, &second) in first.iter().zip(second) {
        sums = (sums.0 + first, sums.1 + second);
    }
    (times_log(sums.0 + sums.1) - times_log(sums.0) - times_log(sums.1)).saturating_sub(apart)
}

/// What logarithms are counted in.
pub(super) const ONE_BIT: u64 = 1 << 12;

/// The logarithms of 1 to 2, in [`ONE_BIT`]s.
static LOGARITHMS: [u16; 1 << 8] = {
    let mut logarithms = [0; 1 << 8];
    let mut step = 0;
    while step < 1 << 8 {
        // squared again and again: each time that it reaches 2, there is a bit of the logarithm
        let (mut number, mut logarithm, mut bit) = ((1u64 << 32) + (step << 24), 0, ONE_BIT);
        while bit > 1 {
            bit /= 2;
            number = ((number >> 1) * (number >> 1)) >> 30;
            if number >= 2 << 32 {
                number /= 2;
                logarithm += bit;
            }
        }
        logarithms[step as usize] = logarithm as u16;
        step += 1;
    }
    logarithms
};

/// 0 for 0, too.
fn log2(count: u32) -> u64 {
    let shift = (count | 1).leading_zeros();
    let fraction = count << shift >> 23 & 0xff;
    u64::from(31 - shift) * ONE_BIT + u64::from(LOGARITHMS[fraction as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms() {
        for count in (1..5000).chain([65_535, 65_536, 1_000_000, u32::MAX]) {
            let exact = f64::from(count).log2() * ONE_BIT as f64;
            // eight bits of the fraction are looked at
            assert!(
                (log2(count) as f64 - exact).abs() < ONE_BIT as f64 / 150.0,
                "of {count}: {}",
                log2(count)
            );
        }
        assert_eq!(log2(0), 0);
        assert_eq!(log2(1 << 20), 20 * ONE_BIT);
        assert!((1..100_000).all(|count| log2(count) <= log2(count + 1)));
    }

    #[test]
    fn all_symbols_are_counted() {
        let found = Match { literals: 2, length: 0, distance: 1 };
        let mut counts = Counts::new();
        counts.count(&[found, found], b"ab...aa...b");
        assert_eq!(counts.literals[b'a' as usize], 3);
        assert_eq!(counts.literals[b'b' as usize], 2);
        assert_eq!((counts.literals[END + 1], counts.distances[1]), (2, 2));
        assert_eq!(counts.literals.iter().sum::<u32>(), 7);
    }

    #[test]
    fn a_code_for_both_costs_what_they_differ() {
        let of = |literals: &[u8]| {
            let mut counts = Counts::new();
            counts.count(&[], literals);
            counts
        };
        let (letters, digits) = (of(&b"abcd".repeat(100)), of(&b"0123".repeat(100)));
        assert_eq!(letters.cost_of_sharing(&letters), 0);
        assert_eq!(letters.cost_of_sharing(&digits), 800 * ONE_BIT, "one bit more for each");
        assert_eq!(letters.cost_of_sharing(&Counts::new()), 0);
        assert_eq!((letters.bits_per_literal(), Counts::new().bits_per_literal()), (2 * ONE_BIT, 0));
    }
}
