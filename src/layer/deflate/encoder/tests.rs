use proptest::prelude::*;

use super::super::decoders::inflate;
use super::super::window::SEGMENT_SIZE;
use super::*;

/// Deflates `segments` with one encoder, each with the end of the previous ones as dictionary.
fn deflate(segments: &[&[u8]]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let (mut window, mut joined, mut out) = (Window::new(), Vec::new(), Vec::new());
    for (index, segment) in segments.iter().enumerate() {
        let mut next = Window::new();
        next.follow(&window);
        assert_eq!(next.fill(segment), segment.len(), "it fits");
        window = next;
        encoder.deflate(&window, index + 1 == segments.len(), &mut out);
        joined.extend_from_slice(&out);
    }
    joined
}

/// Random bytes, the same on every run: `length` bytes of `kinds` values.
fn noise(length: usize, kinds: u32) -> Vec<u8> {
    let mut state = kinds;
    let mut byte = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        ((u64::from(state) * u64::from(kinds)) >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

#[test]
fn a_block_has_the_shortest_of_the_three_forms() {
    let form = |content: &[u8]| deflate(&[content])[0] >> 1 & 3;
    assert_eq!(form(&noise(3000, 256)), 0, "stored");
    assert_eq!(form(b""), 1, "fixed codes");
    assert_eq!(form(b"hello, hello"), 1, "fixed codes");
    assert_eq!(form(&noise(3000, 20)), 2, "dynamic codes");
}

#[test]
fn small_streams_have_their_minimum_size() {
    assert_eq!(deflate(&[b""]), [3, 0]);
    assert_eq!(deflate(&[b"a"]), [0x4b, 4, 0]);
    assert_eq!(deflate(&[b"", b""]), [0, 0, 0, 0xff, 0xff, 3, 0], "a sync flush");
    assert_eq!(deflate(&[&noise(5, 256)]).len(), 5 + 2, "at most nine bits for each literal");
    assert!(deflate(&[&[0; SEGMENT_SIZE]]).len() < SEGMENT_SIZE / 900);
}

#[test]
fn segments_end_at_every_bit_of_a_byte() {
    let segments: Vec<Vec<u8>> =
        (0..300usize).map(|n| noise(n * n % 40_000 + n / 100, 1 << (n % 9))).collect();
    let segments: Vec<&[u8]> = segments.iter().map(Vec::as_slice).collect();
    let mut ends = [false; 8];
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    for segment in &segments {
        let mut window = Window::new();
        window.fill(segment);
        let mut buffer = vec![0; block::bound(segment.len())];
        let mut bits = BitBuffer::new(&mut buffer);
        encoder.write_blocks(&window, true, &mut bits);
        ends[bits.unused_bits()] = true;
        encoder.deflate(&window, true, &mut out);
        assert!(inflate(&out) == *segment);
    }
    assert_eq!(ends, [true; 8]);
    assert!(inflate(&deflate(&segments)) == segments.concat());
}

#[test]
fn matches_reach_into_the_dictionary_and_no_farther() {
    let text = noise(30_000, 256);
    let alone = deflate(&[&text]).len();
    let again = deflate(&[&text, &text]).len();
    assert!(again < alone + 400, "{again} after {alone}");
    // Farther away than the maximum distance.
    let between = noise(SEGMENT_SIZE, 2);
    let far = deflate(&[&text, &between, &text]).len();
    assert!(far > deflate(&[&between]).len() + 2 * 29_900, "{far}");
}

#[test]
fn an_encoder_writes_the_same_bytes_after_other_segments() {
    let (mut encoder, mut first, mut again) = (Encoder::new(), Vec::new(), Vec::new());
    let mut used = Window::new();
    used.fill(&noise(SEGMENT_SIZE, 50));
    for kinds in [2, 20, 200, 256] {
        // With long matches, and with random bytes for which positions are skipped.
        let content =
            [noise(200_000, kinds), vec![7; 500], noise(40_000, 256), noise(50_000, kinds)].concat();
        for length in [content.len(), 70_000, 4, 1] {
            used.clear();
            used.fill(&content[..length]);
            encoder.deflate(&used, true, &mut again);
            let mut window = Window::new();
            window.fill(&content[..length]);
            Encoder::new().deflate(&window, true, &mut first);
            assert!(first == again, "{length} bytes");
        }
    }
}

/// Limits: the sizes of the window and of segments, the maximum distance and length, and the range of stored positions.
#[test]
fn content_around_every_limit_round_trips() {
    let text = noise(2 * SEGMENT_SIZE, 30);
    for size in [
        1,
        2,
        3,
        4,
        5,
        258,
        259,
        32_767,
        32_768,
        32_769,
        65_535,
        65_536,
        98_304,
        SEGMENT_SIZE - 1,
        SEGMENT_SIZE,
    ] {
        let [first, second] = [&text[..size], &text[SEGMENT_SIZE..SEGMENT_SIZE + size]];
        assert!(inflate(&deflate(&[first, second])) == [first, second].concat(), "{size} bytes");
        let zeros = vec![0; size];
        assert!(inflate(&deflate(&[&zeros, &zeros])) == [&zeros[..], &zeros].concat(), "{size} zeros");
    }
    for period in [1, 2, 3, 4, 257, 258, 32_767, 32_768, 32_769] {
        let content: Vec<u8> = text[..period].iter().cycle().copied().take(200_000).collect();
        let stream = deflate(&[&content]);
        assert!(inflate(&stream) == content, "a period of {period} bytes");
        assert_eq!(stream.len() < 30_000, period <= 32_768, "a period of {period} bytes: {}", stream.len());
    }
}

/// Series of deferred matches, each followed by one of the maximum length, around all positions at which the chains
/// slide.
#[test]
fn deferred_matches_round_trip() {
    let seed = noise(30_000, 256);
    let mut content = seed.clone();
    while content.len() < 300_000 {
        // At each position the match is a byte longer than at the previous one.
        let at = content.len() % 29_000;
        let stretch: Vec<u8> = (4..36).flat_map(|length| seed[at..at + length].to_vec()).collect();
        content.extend_from_slice(&stretch);
        content.extend_from_slice(&seed[at..at + 300]);
        content.extend_from_slice(&noise(content.len() % 13, 256));
    }
    assert!(inflate(&deflate(&[&content])) == content);
}

/// Random bytes with few matches: many blocks, none of them shorter with Huffman codes.
#[test]
fn incompressible_content_fits_the_bound() {
    let mut content = noise(SEGMENT_SIZE, 256);
    for at in (40..SEGMENT_SIZE - 8).step_by(16) {
        content.copy_within(at - 40..at - 36, at);
    }
    for content in [content, noise(SEGMENT_SIZE, 256)] {
        let stream = deflate(&[&content]);
        assert!(stream.len() <= SEGMENT_SIZE + SEGMENT_SIZE / 5000 + 10, "{}", stream.len());
        assert!(inflate(&stream) == content);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn content_comes_back(
        stretches in prop::collection::vec((1u32..=256, 1usize..3000, 1usize..40, any::<bool>()), 1..60),
        cut in 0usize..100,
    ) {
        let mut content = Vec::new();
        for (kinds, length, times, back) in stretches {
            let stretch = if back && !content.is_empty() {
                let from = (length * 37) % content.len();
                content[from..content.len().min(from + length)].to_vec()
            } else {
                noise(length, kinds)
            };
            for _ in 0..times {
                content.extend_from_slice(&stretch);
            }
        }
        content.truncate(SEGMENT_SIZE);
        let (first, second) = content.split_at(content.len() * cut / 100);
        prop_assert!(inflate(&deflate(&[first, second])) == content);
    }
}
