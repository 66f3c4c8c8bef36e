//! Huffman codes of limited length, made from symbol frequencies.

use super::symbols::LITERAL_LENGTH_SYMBOLS;

/// A canonical Huffman code ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.2).
pub(super) struct HuffmanCode<const N: usize> {
    /// The code length of each symbol; 0 when the symbol has no codeword.
    pub lengths: [u8; N],
    /// The codewords, first bit lowest.
    bits: [u16; N],
}

/// The bits to write for a symbol, first bit lowest.
#[derive(Clone, Copy)]
pub(super) struct Codeword {
    pub bits: u32,
    pub length: u8,
}

/// The longest code length in any alphabet (zlib's `MAX_BITS`).
pub(super) const MAX_BITS: usize = 15;

/// Upper bound on the depth of a Huffman tree: with the depth, the sum of the frequencies grows at least like the
/// Fibonacci numbers, and it fits a `u32`.
const MAX_DEPTH: usize = 64;

impl<const N: usize> HuffmanCode<N> {
    /// A code for these frequencies with code lengths of at most `max_length`: optimal, or close to it when the limit
    /// applies.
    ///
    /// It has at least two symbols, because some decoders refuse a code with one symbol.
    pub fn from_frequencies(frequencies: &[u32; N], max_length: usize) -> HuffmanCode<N> {
        let mut used = [(0, 0); N];
        let mut n = 0;
        for (symbol, &frequency) in frequencies.iter().enumerate().filter(|&(_, &frequency)| frequency > 0) {
            used[n] = (frequency, symbol as u16);
            n += 1;
        }
        // Add symbol 0, or symbol 1 if 0 is used, until there are two.
        while n < 2 {
            let symbol = u16::from(used[..n].iter().any(|&(_, symbol)| symbol == 0));
            used[n] = (1, symbol);
            n += 1;
        }
        let used = &mut used[..n];
        used.sort_unstable();
        let length_counts = limit_lengths(&leaves_by_depth(used), max_length);
        let mut lengths = [0; N];
        let mut rarest = used.iter();
        for length in (1..=max_length).rev() {
            for (_, symbol) in rarest.by_ref().take(length_counts[length] as usize) {
                lengths[*symbol as usize] = length as u8;
            }
        }
        HuffmanCode::from_lengths(lengths)
    }

    /// The canonical code with these code lengths.
    pub fn from_lengths(lengths: [u8; N]) -> HuffmanCode<N> {
        let mut next = [0u16; MAX_BITS + 2];
        for &length in lengths.iter().filter(|&&length| length > 0) {
            next[length as usize + 1] += 1;
        }
        for length in 1..next.len() {
            next[length] = next[length].wrapping_add(next[length - 1]) << 1;
        }
        let mut bits = [0; N];
        for (bits, &length) in bits.iter_mut().zip(&lengths).filter(|&(_, &length)| length > 0) {
            let code = &mut next[length as usize];
            *bits = code.reverse_bits() >> (16 - length);
            *code += 1;
        }
        HuffmanCode { lengths, bits }
    }

    pub fn codeword(&self, symbol: usize) -> Codeword {
        Codeword { bits: self.bits[symbol].into(), length: self.lengths[symbol] }
    }
}

/// Number of leaves at each depth of the Huffman tree of `leaves`, which are (frequency, symbol) in ascending order.
///
/// Two queues make the tree in linear time: the leaves, and the inner nodes, which are created in ascending order.
fn leaves_by_depth(leaves: &[(u32, u16)]) -> [u32; MAX_DEPTH] {
    let n = leaves.len();
    let mut weights = [0u32; LITERAL_LENGTH_SYMBOLS];
    let mut inner_parents = [0u16; LITERAL_LENGTH_SYMBOLS];
    let mut leaf_parents = [0u16; LITERAL_LENGTH_SYMBOLS];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..n - 1 {
        for _ in 0..2 {
            if inner == node || leaf < n && leaves[leaf].0 <= weights[inner] {
                weights[node] += leaves[leaf].0;
                leaf_parents[leaf] = node as u16;
                leaf += 1;
            } else {
                weights[node] += weights[inner];
                inner_parents[inner] = node as u16;
                inner += 1;
            }
        }
    }
    let mut depths = [0u8; LITERAL_LENGTH_SYMBOLS];
    for node in (0..n - 2).rev() {
        depths[node] = depths[inner_parents[node] as usize] + 1;
    }
    let mut counts = [0; MAX_DEPTH];
    for &parent in &leaf_parents[..n] {
        counts[depths[parent as usize] as usize + 1] += 1;
    }
    counts
}

/// Number of symbols of each code length (zlib's `bl_count`), none of them above `max_length`.
fn limit_lengths(leaves_by_depth: &[u32; MAX_DEPTH], max_length: usize) -> [u32; MAX_BITS + 1] {
    let mut counts = [0; MAX_BITS + 1];
    counts[..=max_length].copy_from_slice(&leaves_by_depth[..=max_length]);
    counts[max_length] += leaves_by_depth[max_length + 1..].iter().sum::<u32>();
    // The code space in units of a codeword of the maximum length.
    let mut used: u32 = (1..=max_length).map(|length| counts[length] << (max_length - length)).sum();
    while used > 1 << max_length {
        // Lengthen the longest codeword below the limit by one bit; a codeword of the maximum length becomes its
        // sibling.
        let shorter = (1..max_length).rev().find(|&length| counts[length] > 0).expect("a shorter codeword");
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        counts[max_length] -= 1;
        used -= 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The code space that a code uses, in units of a codeword of [`MAX_BITS`].
    fn used_space<const N: usize>(code: &HuffmanCode<N>) -> u32 {
        code.lengths.iter().filter(|&&length| length > 0).map(|&length| 1 << (MAX_BITS as u8 - length)).sum()
    }

    #[test]
    fn frequent_symbols_get_short_codewords() {
        assert_eq!(HuffmanCode::from_frequencies(&[1, 1, 2, 4, 0, 8], MAX_BITS).lengths, [4, 4, 3, 2, 0, 1]);
        assert_eq!(HuffmanCode::from_frequencies(&[5; 8], MAX_BITS).lengths, [3; 8]);
    }

    #[test]
    fn a_code_has_at_least_two_symbols() {
        assert_eq!(HuffmanCode::from_frequencies(&[0; 3], MAX_BITS).lengths, [1, 1, 0]);
        assert_eq!(HuffmanCode::from_frequencies(&[7, 0, 0], MAX_BITS).lengths, [1, 1, 0]);
        assert_eq!(HuffmanCode::from_frequencies(&[0, 0, 7], MAX_BITS).lengths, [1, 0, 1]);
    }

    /// The example of RFC 1951, 3.2.2, with the first bit of a codeword lowest.
    #[test]
    fn codewords_follow_from_code_lengths() {
        let code = HuffmanCode::from_lengths([3, 3, 3, 3, 3, 2, 4, 4]);
        assert_eq!(code.bits, [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111]);
    }

    #[test]
    fn the_length_limit_holds_for_the_deepest_tree() {
        let mut frequencies = [0; 30];
        let (mut one, mut two) = (1, 1);
        for frequency in &mut frequencies {
            *frequency = one;
            (one, two) = (two, one + two);
        }
        assert!(leaves_by_depth(&frequencies.map(|frequency| (frequency, 0)))[29] > 0);
        for max_length in [5, 7, 15] {
            let code = HuffmanCode::from_frequencies(&frequencies, max_length);
            assert_eq!(used_space(&code), 1 << MAX_BITS);
            assert_eq!(code.lengths.iter().max(), Some(&(max_length as u8)));
            assert!(code.lengths.is_sorted_by(|rare, frequent| rare >= frequent));
        }
    }

    proptest! {
        #[test]
        fn every_code_is_complete(frequencies in prop::collection::vec(prop_oneof![Just(0u32), 0u32..9, 0u32..100_000], 288)) {
            let frequencies: [u32; 288] = frequencies.try_into().expect("288 frequencies");
            let code = HuffmanCode::from_frequencies(&frequencies, MAX_BITS);
            prop_assert_eq!(used_space(&code), 1 << MAX_BITS);
            for (frequency, length) in frequencies.iter().zip(code.lengths).skip(2) {
                prop_assert_eq!(*frequency > 0, length > 0);
            }
        }
    }
}
