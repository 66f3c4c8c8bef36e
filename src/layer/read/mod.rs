//! Reads a layer from any tool: its tar in one pass, member by member.
//!
//! Nothing is written, and no value in the layer is trusted. Names have at most [`MAX_NAME`] bytes, and the caller
//! limits the size of the tar including the holes of sparse files. Neither memory nor time depends on sizes that a
//! layer claims.
//!
//! * [`reader`]: the members. [`header`]: the fields of their headers. [`pax`]: the extended headers.
//! * [`sparse`]: the maps of sparse files. [`decoder`]: decompresses the layer, counts and hashes its tar.

mod decoder;
mod header;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;

pub(crate) use decoder::Decoded;
pub(crate) use reader::LayerReader;
