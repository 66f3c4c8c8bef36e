//! The symbols of a compressed block: literals and length codes in one alphabet, distance codes in another
//! ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951), 3.2.5).

/// The length of the shortest match.
pub(super) const MIN_MATCH: usize = 3;

/// The length of the longest match.
pub(super) const MAX_MATCH: usize = 258;

/// The largest distance of a match, in bytes.
pub(super) const WINDOW_SIZE: usize = 32 << 10;

/// Size of the literal/length alphabet; its last two symbols never occur.
pub(super) const LITERAL_LENGTH_SYMBOLS: usize = 288;

/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;

/// The symbol of the first length code; the others follow.
pub(super) const FIRST_LENGTH_CODE: usize = END_OF_BLOCK + 1;

/// Number of length codes.
pub(super) const LENGTH_CODES: usize = 29;

/// Number of distance codes.
pub(super) const DISTANCE_CODES: usize = 30;

/// A run of literals and the match that follows it.
#[derive(Clone, Copy)]
pub(super) struct Match {
    /// Number of literals before the match.
    pub literals: u32,
    /// The length minus [`MIN_MATCH`].
    pub length_offset: u8,
    /// The distance minus 1.
    pub distance_offset: u16,
}

impl Match {
    #[inline(always)]
    pub fn new(literals: usize, length: usize, distance: usize) -> Match {
        Match {
            literals: literals as u32,
            length_offset: (length - MIN_MATCH) as u8,
            distance_offset: (distance - 1) as u16,
        }
    }

    #[inline(always)]
    pub fn length(self) -> usize {
        self.length_offset as usize + MIN_MATCH
    }

    /// The length code, counted from [`FIRST_LENGTH_CODE`].
    #[inline(always)]
    pub fn length_code(self) -> usize {
        length_code(self.length_offset)
    }

    #[inline(always)]
    pub fn distance_code(self) -> usize {
        let offset = self.distance_offset as usize;
        let index = if offset < 256 { offset } else { 256 + offset / 128 };
        DISTANCE_CODE_OF_OFFSET[index] as usize
    }
}

/// The code, counted from [`FIRST_LENGTH_CODE`], of a length minus [`MIN_MATCH`].
#[inline(always)]
pub(super) fn length_code(length_offset: u8) -> usize {
    LENGTH_CODE_OF_OFFSET[length_offset as usize] as usize
}

/// The lengths or distances that share a code: an offset is `base` plus the value of the extra bits.
#[derive(Clone, Copy)]
pub(super) struct Extra {
    pub base: u16,
    pub bits: u8,
}

/// By length code; offsets are lengths minus [`MIN_MATCH`].
pub(super) static LENGTH_EXTRA: [Extra; LENGTH_CODES] = {
    let mut extra = [Extra { base: 0, bits: 0 }; LENGTH_CODES];
    let (mut code, mut base) = (0, 0);
    while code < LENGTH_CODES - 1 {
        let bits = if code < 8 { 0 } else { code / 4 - 1 };
        extra[code] = Extra { base, bits: bits as u8 };
        base += 1 << bits;
        code += 1;
    }
    // The longest match has a code of its own.
    extra[LENGTH_CODES - 1] = Extra { base: (MAX_MATCH - MIN_MATCH) as u16, bits: 0 };
    extra
};

/// By distance code; offsets are distances minus 1.
pub(super) static DISTANCE_EXTRA: [Extra; DISTANCE_CODES] = {
    let mut extra = [Extra { base: 0, bits: 0 }; DISTANCE_CODES];
    let (mut code, mut base) = (0, 0u32);
    while code < DISTANCE_CODES {
        let bits = if code < 4 { 0 } else { code / 2 - 1 };
        extra[code] = Extra { base: base as u16, bits: bits as u8 };
        base += 1 << bits;
        code += 1;
    }
    extra
};

/// zlib's `_length_code`.
static LENGTH_CODE_OF_OFFSET: [u8; 256] = {
    let mut codes = [(LENGTH_CODES - 1) as u8; 256];
    let mut code = 0;
    while code < LENGTH_CODES - 1 {
        let Extra { base, bits } = LENGTH_EXTRA[code];
        let mut offset = base as usize;
        while offset < base as usize + (1 << bits) && offset < MAX_MATCH - MIN_MATCH {
            codes[offset] = code as u8;
            offset += 1;
        }
        code += 1;
    }
    codes
};

/// zlib's `_dist_code`: one entry for each offset below 256, then one for every 128 offsets.
static DISTANCE_CODE_OF_OFFSET: [u8; 512] = {
    let mut codes = [0; 512];
    let mut code = 0;
    while code < DISTANCE_CODES {
        let Extra { base, bits } = DISTANCE_EXTRA[code];
        let mut offset = base as usize;
        while offset < base as usize + (1 << bits) {
            codes[if offset < 256 { offset } else { 256 + offset / 128 }] = code as u8;
            offset += 1;
        }
        code += 1;
    }
    codes
};
