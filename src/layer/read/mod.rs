//! Reads a layer, whichever tool wrote it: its tar in one pass, member by member.
//!
//! Nothing is written and nothing trusted. Names have at most [`MAX_NAME`] bytes, and the decompressor's output, with
//! the holes of sparse files, has a bound that the caller sets, so that neither memory nor time depend on what a layer
//! claims to be.
//!
//! * [`reader`]: the members. [`header`]: the fields of their headers, and [`pax`]: of the headers before those.
//! * [`sparse`]: the maps of sparse files. [`decoder`]: the layer as a tar, counted and hashed.

mod decoder;
mod header;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;

pub(crate) use reader::LayerReader;
