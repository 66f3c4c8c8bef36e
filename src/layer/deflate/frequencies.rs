//! Symbol frequencies, and estimates of the bits that the symbols need.
//!
//! The estimates use integers only: floating-point logarithms may differ from one machine to another, and the bytes of
//! a layer must not.

use super::symbols::{DISTANCE_CODES, END_OF_BLOCK, FIRST_LENGTH_CODE, LITERAL_LENGTH_SYMBOLS, Match};

/// The frequencies of both alphabets.
pub(super) struct Frequencies {
    pub literal_length: [u32; LITERAL_LENGTH_SYMBOLS],
    pub distance: [u32; DISTANCE_CODES],
}

impl Frequencies {
    pub fn new() -> Frequencies {
        Frequencies { literal_length: [0; LITERAL_LENGTH_SYMBOLS], distance: [0; DISTANCE_CODES] }
    }

    /// Counts `matches`, the literals between them, and the literals after them up to the end of `content`.
    pub fn count(&mut self, matches: &[Match], content: &[u8]) {
        let mut rest = content;
        for found in matches {
            let (literals, matched) = rest.split_at(found.literals as usize);
            self.count_literals(literals);
            rest = &matched[found.length()..];
            self.literal_length[FIRST_LENGTH_CODE + found.length_code()] += 1;
            self.distance[found.distance_code()] += 1;
        }
        self.count_literals(rest);
    }

    fn count_literals(&mut self, literals: &[u8]) {
        for &literal in literals {
            self.literal_length[literal as usize] += 1;
        }
    }

    pub fn add(&mut self, other: &Frequencies) {
        let pairs = self.literal_length.iter_mut().zip(&other.literal_length);
        for (frequency, more) in pairs.chain(self.distance.iter_mut().zip(&other.distance)) {
            *frequency += more;
        }
    }

    /// The additional size when the symbols of both share their codes, in units of [`ONE_BIT`].
    pub fn sharing_cost(&self, other: &Frequencies) -> u64 {
        sharing_cost(&self.literal_length, &other.literal_length)
            + sharing_cost(&self.distance, &other.distance)
    }

    /// The mean size of a literal, in units of [`ONE_BIT`]; 0 without literals.
    pub fn literal_cost(&self) -> u64 {
        let total: u32 = self.literal_length.iter().sum();
        let literals = &self.literal_length[..END_OF_BLOCK];
        let count = literals.iter().map(|&frequency| u64::from(frequency)).sum();
        let size: u64 =
            literals.iter().map(|&frequency| u64::from(frequency) * (log2(total) - log2(frequency))).sum();
        size.checked_div(count).unwrap_or(0)
    }
}

/// The entropy of the sums minus the entropies of the summands.
fn sharing_cost(first: &[u32], second: &[u32]) -> u64 {
    let weighted_log = |frequency| u64::from(frequency) * log2(frequency);
    let (mut first_total, mut second_total, mut shared) = (0, 0, 0);
    for (&first, &second) in first.iter().zip(second).filter(|&(&first, &second)| first > 0 && second > 0) {
        shared += weighted_log(first + second) - weighted_log(first) - weighted_log(second);
    }
    for (&first, &second) in first.iter().zip(second) {
        first_total += first;
        second_total += second;
    }
    let totals =
        weighted_log(first_total + second_total) - weighted_log(first_total) - weighted_log(second_total);
    totals.saturating_sub(shared)
}

/// One bit in the fixed-point numbers of this module.
pub(super) const ONE_BIT: u64 = 1 << 12;

/// The binary logarithms of 1 to 2 in steps of 1/256, in units of [`ONE_BIT`].
static LOGARITHMS: [u16; 1 << 8] = {
    let mut logarithms = [0; 1 << 8];
    let mut step = 0;
    while step < 1 << 8 {
        // Square repeatedly: each time the number reaches 2, the next bit of the logarithm is 1.
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

/// The binary logarithm, in units of [`ONE_BIT`]; 0 for 0.
fn log2(frequency: u32) -> u64 {
    let shift = (frequency | 1).leading_zeros();
    let fraction = frequency << shift >> 23 & 0xff;
    u64::from(31 - shift) * ONE_BIT + u64::from(LOGARITHMS[fraction as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_precise_to_a_150th_of_a_bit() {
        for count in (1..5000).chain([65_535, 65_536, 1_000_000, u32::MAX]) {
            let exact = f64::from(count).log2() * ONE_BIT as f64;
            // `log2` uses eight bits of the fraction.
            assert!(
                (log2(count) as f64 - exact).abs() < ONE_BIT as f64 / 150.0,
                "log2({count}): {}",
                log2(count)
            );
        }
        assert_eq!(log2(0), 0);
        assert_eq!(log2(1 << 20), 20 * ONE_BIT);
        assert!((1..100_000).all(|count| log2(count) <= log2(count + 1)));
    }

    #[test]
    fn every_symbol_is_counted() {
        let found = Match::new(2, 3, 2);
        let mut frequencies = Frequencies::new();
        frequencies.count(&[found, found], b"ab...aa...b");
        assert_eq!(frequencies.literal_length[b'a' as usize], 3);
        assert_eq!(frequencies.literal_length[b'b' as usize], 2);
        assert_eq!((frequencies.literal_length[FIRST_LENGTH_CODE], frequencies.distance[1]), (2, 2));
        assert_eq!(frequencies.literal_length.iter().sum::<u32>(), 7);
    }

    #[test]
    fn sharing_a_code_costs_the_difference_of_the_entropies() {
        let frequencies = |literals: &[u8]| {
            let mut frequencies = Frequencies::new();
            frequencies.count(&[], literals);
            frequencies
        };
        let (letters, digits) = (frequencies(&b"abcd".repeat(100)), frequencies(&b"0123".repeat(100)));
        assert_eq!(letters.sharing_cost(&letters), 0);
        assert_eq!(letters.sharing_cost(&digits), 800 * ONE_BIT, "one bit more for each literal");
        assert_eq!(letters.sharing_cost(&Frequencies::new()), 0);
        assert_eq!((letters.literal_cost(), Frequencies::new().literal_cost()), (2 * ONE_BIT, 0));
    }
}
