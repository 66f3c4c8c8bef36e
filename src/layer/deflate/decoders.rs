//! The decoders of the unit tests: zlib-rs and miniz_oxide, which share no code with the encoder or with each other.

use std::io::Read;

use flate2::read::DeflateDecoder;

/// Decodes a raw deflate stream with both decoders.
///
/// # Panics
/// When a decoder rejects the stream, when bytes follow its end, or when the decoders disagree.
pub(super) fn inflate(stream: &[u8]) -> Vec<u8> {
    let content = zlib(stream);
    assert!(miniz(stream, content.len()) == content, "miniz_oxide decodes other content than zlib-rs");
    content
}

fn zlib(stream: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut decoder = DeflateDecoder::new(stream);
    decoder.read_to_end(&mut content).expect("zlib-rs accepts the stream");
    assert_eq!(decoder.total_in(), stream.len() as u64, "bytes follow the end of the stream");
    content
}

fn miniz(stream: &[u8], length: usize) -> Vec<u8> {
    use miniz_oxide::inflate::TINFLStatus;
    use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

    // One byte more than expected, so that longer content is detected.
    let mut content = vec![0; length + 1];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, read, written) =
        decompress(&mut DecompressorOxide::default(), stream, &mut content, 0, flags);
    assert_eq!((status, read), (TINFLStatus::Done, stream.len()), "miniz_oxide accepts the stream");
    content.truncate(written);
    content
}

#[test]
#[should_panic = "bytes follow"]
fn bytes_after_the_stream_are_rejected() {
    inflate(&[3, 0, 0]);
}
