//! Prefix codes of bounded length, made from how often each symbol comes.

/// A code: for each symbol its length, 0 when it has none, and its bits, the first one lowest.
pub(super) struct Code<const N: usize> {
    pub lengths: [u8; N],
    pub bits: [u16; N],
}

impl<const N: usize> Code<N> {
    /// The best code of at most `longest` bits, or nearly that when the bound matters.
    ///
    /// It has two symbols or more, for some decoders refuse a code of one.
    pub fn of(counts: &[u32; N], longest: usize) -> Code<N> {
        let mut used = [(0, 0); N];
        let mut n = 0;
        for (symbol, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            used[n] = (count, symbol as u16);
            n += 1;
        }
        // 0 and 1, or what there is and one of them
        while n < 2 {
            let symbol = u16::from(used[..n].iter().any(|&(_, symbol)| symbol == 0));
            used[n] = (1, symbol);
            n += 1;
        }
        let used = &mut used[..n];
        used.sort_unstable();
        let mut lengths = [0; N];
        let numbers = bounded(&depths(used), longest);
        let mut rarest = used.iter();
        for length in (1..=longest).rev() {
            for (_, symbol) in rarest.by_ref().take(numbers[length] as usize) {
                lengths[*symbol as usize] = length as u8;
            }
        }
        Code::canonical(lengths)
    }

    /// The code that has these lengths ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.2).
    pub fn canonical(lengths: [u8; N]) -> Code<N> {
        let mut next = [0u16; 17];
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
        Code { lengths, bits }
    }
}

/// How many symbols lie at each depth of the tree that Huffman's algorithm makes of these counts, in ascending
/// order.
///
/// Two queues do it in linear time: the leaves, and the inner nodes, which come into being in ascending order.
fn depths(leaves: &[(u32, u16)]) -> [u32; 64] {
    let n = leaves.len();
    let mut weights = [0u32; 288];
    // of an inner node
    let mut parents = [0u16; 288];
    let mut leaf_parents = [0u16; 288];
    let (mut leaf, mut inner) = (0, 0);
    for node in 0..n - 1 {
        for _ in 0..2 {
            if inner == node || leaf < n && leaves[leaf].0 <= weights[inner] {
                weights[node] += leaves[leaf].0;
                leaf_parents[leaf] = node as u16;
                leaf += 1;
            } else {
                weights[node] += weights[inner];
                parents[inner] = node as u16;
                inner += 1;
            }
        }
    }
    let mut numbers = [0; 64];
    let mut depth = [0u8; 288];
    for node in (0..n - 2).rev() {
        depth[node] = depth[parents[node] as usize] + 1;
    }
    for &parent in &leaf_parents[..n] {
        numbers[depth[parent as usize] as usize + 1] += 1;
    }
    numbers
}

/// The same with no symbol below `longest`.
fn bounded(numbers: &[u32; 64], longest: usize) -> [u32; 16] {
    let mut bounded = [0; 16];
    bounded[..=longest].copy_from_slice(&numbers[..=longest]);
    bounded[longest] += numbers[longest + 1..].iter().sum::<u32>();
    // in codes of the longest: what is used, and what there is
    let mut used: u32 = (1..=longest).map(|length| bounded[length] << (longest - length)).sum();
    while used > 1 << longest {
        // the longest code above the bound moves down and makes room for one from there
        let above = (1..longest).rev().find(|&length| bounded[length] > 0).expect("a shorter code");
        bounded[above] -= 1;
        bounded[above + 1] += 2;
        bounded[longest] -= 1;
        used -= 1;
    }
    bounded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The share of all words that begin with one of the code's, in words of 15 bits.
    fn used<const N: usize>(code: &Code<N>) -> u32 {
        code.lengths.iter().filter(|&&length| length > 0).map(|&length| 1 << (15 - length)).sum()
    }

    #[test]
    fn the_best_code() {
        assert_eq!(Code::of(&[1, 1, 2, 4, 0, 8], 15).lengths, [4, 4, 3, 2, 0, 1]);
        assert_eq!(Code::of(&[5; 8], 15).lengths, [3; 8]);
    }

    #[test]
    fn there_are_two_symbols_at_least() {
        assert_eq!(Code::of(&[0; 3], 15).lengths, [1, 1, 0]);
        assert_eq!(Code::of(&[7, 0, 0], 15).lengths, [1, 1, 0]);
        assert_eq!(Code::of(&[0, 0, 7], 15).lengths, [1, 0, 1]);
    }

    /// The example of RFC 1951, 3.2.2; the first bit of a code is the lowest here.
    #[test]
    fn the_codes_that_lengths_stand_for() {
        let code = Code::canonical([3, 3, 3, 3, 3, 2, 4, 4]);
        assert_eq!(code.bits, [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111]);
    }

    #[test]
    fn the_bound_holds_for_the_deepest_tree() {
        let mut counts = [0; 30];
        let (mut one, mut two) = (1, 1);
        for count in &mut counts {
            *count = one;
            (one, two) = (two, one + two);
        }
        assert!(depths(&counts.map(|count| (count, 0)))[29] > 0);
        for longest in [5, 7, 15] {
            let code = Code::of(&counts, longest);
            assert_eq!(used(&code), 1 << 15);
            assert_eq!(code.lengths.iter().max(), Some(&(longest as u8)));
            assert!(code.lengths.is_sorted_by(|rare, frequent| rare >= frequent));
        }
    }

    proptest! {
        #[test]
        fn every_code_is_complete(counts in prop::collection::vec(prop_oneof![Just(0u32), 0u32..9, 0u32..100_000], 288)) {
            let counts: [u32; 288] = counts.try_into().expect("as many");
            let code = Code::of(&counts, 15);
            prop_assert_eq!(used(&code), 1 << 15);
            for (count, length) in counts.iter().zip(code.lengths).skip(2) {
                prop_assert_eq!(*count > 0, length > 0);
            }
        }
    }
}
