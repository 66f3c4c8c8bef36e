//! Inflating block by block.
//!
//! Uses zlib's `Z_BLOCK`, which no safe interface offers: inflating stops between two blocks and reports the exact bit
//! position. All unsafe code of this crate is in this file. The wrapper passes slices to zlib and returns the number of
//! bytes used.

use libz_rs_sys::{
    Z_BLOCK, Z_BUF_ERROR, Z_OK, Z_STREAM_END, inflate, inflateEnd, inflateInit2_, inflateReset, z_stream,
    zlibVersion,
};

/// `windowBits` for raw deflate, without a zlib or gzip header, with the maximum window.
const RAW: i32 = -15;

/// Inflates one deflate stream after another.
pub(super) struct Inflater {
    /// Boxed, because zlib keeps its address.
    stream: Box<z_stream>,
}

/// The result of one [step](Inflater::step).
pub(super) struct Step {
    /// The number of input bytes used, the last one perhaps in part.
    pub used: usize,
    /// The number of output bytes filled.
    pub filled: usize,
    /// Set if a block ends here.
    pub border: Option<Border>,
}

/// The end of a block.
pub(super) struct Border {
    /// The number of unused bits in the last used byte: 0 to 7, the highest ones.
    pub spare: usize,
    /// Whether it was the last block.
    pub last: bool,
}

/// The input is not a deflate stream.
#[derive(Debug)]
pub(super) struct Broken;

impl Inflater {
    pub fn new() -> Inflater {
        let mut stream = Box::new(z_stream::default());
        // SAFETY: the stream is valid, with zlib-rs's own allocator; version and size are those of the linked library.
        let code = unsafe { inflateInit2_(&mut *stream, RAW, zlibVersion(), size_of::<z_stream>() as i32) };
        assert_eq!(code, Z_OK, "initialising fails only if memory is exhausted");
        Inflater { stream }
    }

    /// Discards the state; the next input is the beginning of another stream.
    pub fn reset(&mut self) {
        // SAFETY: `new` has initialised the stream.
        let code = unsafe { inflateReset(&mut *self.stream) };
        assert_eq!(code, Z_OK, "the stream is initialised");
    }

    /// Inflates until the input is used up, the output is full, or a block ends. A step after the last block uses and
    /// fills nothing.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Broken> {
        let stream = &mut *self.stream;
        (stream.next_in, stream.avail_in) = (input.as_ptr(), input.len() as u32);
        (stream.next_out, stream.avail_out) = (output.as_mut_ptr(), output.len() as u32);
        // SAFETY: `new` has initialised the stream. Both pointers are valid for the given numbers of bytes (for buffers
        // of 4 GiB and more, the truncated numbers are smaller), the output for writing. zlib keeps neither pointer
        // beyond the call.
        let code = unsafe { inflate(stream, Z_BLOCK) };
        if ![Z_OK, Z_BUF_ERROR, Z_STREAM_END].contains(&code) {
            return Err(Broken);
        }
        let used = input.len() - stream.avail_in as usize;
        let filled = output.len() - stream.avail_out as usize;
        // zlib.h, inflate(): the number of unused bits, plus 64 in the last block, plus 128 directly after a block.
        let place = stream.data_type;
        let border = (code == Z_OK && place & 128 != 0)
            .then_some(Border { spare: (place & 7) as usize, last: place & 64 != 0 });
        Ok(Step { used, filled, border })
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: `new` has initialised the stream, and it is not used any more.
        unsafe { inflateEnd(&mut *self.stream) };
    }
}
