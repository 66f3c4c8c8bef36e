//! Inflating block by block.
//!
//! zlib's `Z_BLOCK`, which no safe interface offers: it stops between two blocks and tells to the bit where that
//! is. All that is not safe in this crate is here; the wrapper hands zlib slices and takes back how much of them
//! it has used.

use libz_rs_sys::{
    Z_BLOCK, Z_BUF_ERROR, Z_OK, Z_STREAM_END, inflate, inflateEnd, inflateInit2_, inflateReset, z_stream,
    zlibVersion,
};

/// No zlib or gzip header, and the whole window that deflate has.
const RAW: i32 = -15;

/// Inflates one deflate stream after another.
pub(super) struct Inflater {
    /// zlib knows it by its address.
    stream: Box<z_stream>,
}

/// What one [step](Inflater::step) has done.
pub(super) struct Step {
    /// Bytes of the input that are used, the last one perhaps in part.
    pub used: usize,
    /// Bytes of the output that are filled.
    pub filled: usize,
    /// A block ends here.
    pub border: Option<Border>,
}

/// Between two blocks, or behind the last one.
pub(super) struct Border {
    /// How many bits of the last used byte are not of the blocks before: 0 to 7, the highest ones.
    pub spare: usize,
    /// No block follows.
    pub last: bool,
}

/// What was given is no deflate stream.
#[derive(Debug)]
pub(super) struct Broken;

impl Inflater {
    pub fn new() -> Inflater {
        let mut stream = Box::new(z_stream::default());
        // SAFETY: the stream is a valid one with zlib-rs's own allocator; version and size are those of the
        // library that is linked.
        let code = unsafe { inflateInit2_(&mut *stream, RAW, zlibVersion(), size_of::<z_stream>() as i32) };
        assert_eq!(code, Z_OK, "only a lack of memory stands against it");
        Inflater { stream }
    }

    /// Forgets the stream so far; the next input is the beginning of another.
    pub fn reset(&mut self) {
        // SAFETY: `new` has made the stream.
        let code = unsafe { inflateReset(&mut *self.stream) };
        assert_eq!(code, Z_OK, "the stream is one of zlib's");
    }

    /// Goes on until the input is used up, the output is full, or a block ends. The step after the last block
    /// uses and fills nothing.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Broken> {
        let stream = &mut *self.stream;
        (stream.next_in, stream.avail_in) = (input.as_ptr(), input.len() as u32);
        (stream.next_out, stream.avail_out) = (output.as_mut_ptr(), output.len() as u32);
        // SAFETY: `new` has made the stream. Both pointers are valid for as many bytes as are said to be there
        // (buffers of 4 GiB and more would be taken for smaller ones), the output for writing; zlib keeps neither
        // beyond the call.
        let code = unsafe { inflate(stream, Z_BLOCK) };
        if ![Z_OK, Z_BUF_ERROR, Z_STREAM_END].contains(&code) {
            return Err(Broken);
        }
        let used = input.len() - stream.avail_in as usize;
        let filled = output.len() - stream.avail_out as usize;
        // zlib.h, inflate(): the spare bits, 64 in the last block, 128 right behind a block
        let place = stream.data_type;
        let border = (code == Z_OK && place & 128 != 0)
            .then_some(Border { spare: (place & 7) as usize, last: place & 64 != 0 });
        Ok(Step { used, filled, border })
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: `new` has made the stream, and nothing uses it from here on.
        unsafe { inflateEnd(&mut *self.stream) };
    }
}
