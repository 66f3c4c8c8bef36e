//! The gzip member ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)): header, deflated segments, trailer.
//!
//! The thread that writes into [`GzipWriter`] is one of the `jobs` threads: when enough segments are queued it deflates
//! one itself instead of waiting. A segment is not queued if no other is pending: the only one of a stream, or a short
//! one before a splice.

use std::io::{self, Write};

use flate2::Crc;

use super::encoder::Encoder;
use super::pool::{Pool, Segment, Task};

/// Method deflate, no flags, no time, no hint of a compression level, operating system unknown (255).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses the written bytes into one gzip member. [`finish`](GzipWriter::finish) completes it; a writer that is
/// dropped earlier leaves a truncated member.
pub struct GzipWriter<W: Write> {
    out: W,
    jobs: usize,
    crc: Crc,
    /// Size of the content modulo 2³², for the trailer (ISIZE).
    size: u32,
    /// The segment that is being filled.
    current: Segment,
    /// Number of segments queued so far.
    queued: u64,
    /// Number of these that are written.
    written: u64,
    /// Segments to reuse.
    spare: Vec<Segment>,
    encoder: Encoder,
    pool: Option<Pool>,
}

impl<W: Write> GzipWriter<W> {
    /// Writes a member to `out`. `jobs` threads deflate it, the caller's included.
    ///
    /// # Errors
    /// When the header cannot be written to `out`.
    pub fn new(mut out: W, jobs: usize) -> io::Result<GzipWriter<W>> {
        out.write_all(&HEADER)?;
        Ok(GzipWriter {
            out,
            jobs,
            crc: Crc::new(),
            size: 0,
            current: Segment::new(),
            queued: 0,
            written: 0,
            spare: Vec::new(),
            encoder: Encoder::new(),
            pool: None,
        })
    }

    /// Writes the rest of the member, and returns `out`.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.current.last = true;
        self.end_segment()?;
        self.write_deflated(0)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.size.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Ends the current segment and writes all segments, before calls of [`splice`](GzipWriter::splice). This affects
    /// the bytes of the member.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn begin_splice(&mut self) -> io::Result<()> {
        if !self.current.window.is_empty() {
            self.end_segment()?;
        }
        // Spliced content is not kept, so the next segment has no dictionary.
        self.current.window.clear();
        self.write_deflated(0)
    }

    /// Adds the content spliced since [`begin_splice`](GzipWriter::begin_splice) to the member's checksum and size.
    pub fn end_splice(&mut self, content: &Crc) {
        self.crc.combine(content);
        self.size = self.size.wrapping_add(content.amount());
    }

    /// Writes a part of the deflate stream unchanged, after [`begin_splice`](GzipWriter::begin_splice). All parts
    /// together must be complete blocks, none of them the last of a stream, up to a byte boundary.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn splice(&mut self, deflated: &[u8]) -> io::Result<()> {
        self.out.write_all(deflated)
    }

    /// Queues the current segment, or deflates it, and begins the next one.
    fn end_segment(&mut self) -> io::Result<()> {
        let mut next = self.spare.pop().unwrap_or_else(Segment::new);
        next.window.follow(&self.current.window);
        let mut segment = std::mem::replace(&mut self.current, next);
        let alone = self.queued == self.written && (segment.last || !segment.window.is_full());
        if self.jobs <= 1 || alone {
            segment.deflate(&mut self.encoder);
            return self.write_segment(segment);
        }
        let pool = self.pool.get_or_insert_with(|| Pool::new(self.jobs - 1));
        pool.queue(self.queued, segment);
        self.queued += 1;
        // Enough for the other threads while this one fills a segment or deflates one.
        self.write_deflated(self.jobs as u64 + 1)
    }

    /// Writes deflated segments; deflates queued ones, or waits, until at most `pending` are not written.
    fn write_deflated(&mut self, pending: u64) -> io::Result<()> {
        while let Some(pool) = &self.pool {
            let block = self.queued - self.written > pending;
            match pool.next(self.written, block) {
                Some(Task::Write(segment)) => {
                    self.written += 1;
                    self.write_segment(segment)?;
                }
                Some(Task::Deflate(number, mut segment)) => {
                    segment.deflate(&mut self.encoder);
                    pool.store(number, Ok(segment));
                }
                None => break,
            }
        }
        Ok(())
    }

    fn write_segment(&mut self, segment: Segment) -> io::Result<()> {
        self.out.write_all(&segment.deflated)?;
        self.spare.push(segment);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full segment stays until more content follows, because it may be the last one.
        if !bytes.is_empty() && self.current.window.is_full() {
            self.end_segment()?;
        }
        let length = self.current.window.fill(bytes);
        self.crc.update(&bytes[..length]);
        self.size = self.size.wrapping_add(length as u32);
        Ok(length)
    }

    /// Has no effect: the bytes of the member do not depend on flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
