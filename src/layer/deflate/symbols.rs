//! Which symbols stand for a length and a distance ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.5).

/// The shortest and the longest match.
pub(super) const SHORTEST: usize = 3;
pub(super) const LONGEST: usize = 258;

/// How far back a match may be.
pub(super) const REACH: usize = 32 << 10;

/// Symbols of literals, of the end of a block, and of lengths, of which the last two are never used; and of distances.
pub(super) const LITERALS: usize = 288;
pub(super) const DISTANCES: usize = 30;

/// The symbol that ends a block, and the one before the first of a length.
pub(super) const END: usize = 256;

/// What a symbol's extra bits are added to, and how many they are.
#[derive(Clone, Copy)]
pub(super) struct Extra {
    pub base: u16,
    pub bits: u8,
}

const NONE: Extra = Extra { base: 0, bits: 0 };

/// By symbol from `END + 1` on; the base is a length less [`SHORTEST`].
pub(super) const LENGTH_EXTRA: [Extra; 29] = {
    let mut extra = [NONE; 29];
    let (mut symbol, mut base) = (0, 0);
    while symbol < 28 {
        let bits = if symbol < 8 { 0 } else { symbol / 4 - 1 };
        extra[symbol] = Extra { base, bits: bits as u8 };
        base += 1 << bits;
        symbol += 1;
    }
    // the longest has a symbol of its own
    extra[28] = Extra { base: (LONGEST - SHORTEST) as u16, bits: 0 };
    extra
};

/// By symbol; the base is a distance less 1.
pub(super) const DISTANCE_EXTRA: [Extra; DISTANCES] = {
    let mut extra = [NONE; DISTANCES];
    let (mut symbol, mut base) = (0, 0u32);
    while symbol < DISTANCES {
        let bits = if symbol < 4 { 0 } else { symbol / 2 - 1 };
        extra[symbol] = Extra { base: base as u16, bits: bits as u8 };
        base += 1 << bits;
        symbol += 1;
    }
    extra
};

/// Which of [`LENGTH_EXTRA`] a length less [`SHORTEST`] has.
pub(super) static LENGTH_SYMBOLS: [u8; 256] = {
    let mut symbols = [28; 256];
    let mut symbol = 0;
    while symbol < 28 {
        let Extra { base, bits } = LENGTH_EXTRA[symbol];
        let mut length = base as usize;
        while length < base as usize + (1 << bits) && length < 255 {
            symbols[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    symbols
};

/// Of distances less 1: of those below 256, then of each 128.
static DISTANCE_SYMBOLS: [u8; 512] = {
    let mut symbols = [0; 512];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let Extra { base, bits } = DISTANCE_EXTRA[symbol];
        let mut distance = base as usize;
        while distance < base as usize + (1 << bits) {
            symbols[if distance < 256 { distance } else { 256 + distance / 128 }] = symbol as u8;
            distance += 1;
        }
        symbol += 1;
    }
    symbols
};

/// The symbol of a distance less 1.
#[inline(always)]
pub(super) fn distance_symbol(distance: u16) -> usize {
    let index = if distance < 256 { distance as usize } else { 256 + distance as usize / 128 };
    DISTANCE_SYMBOLS[index % 512] as usize
}
