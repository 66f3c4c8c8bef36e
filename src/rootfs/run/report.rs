//! What the children tell the parent, as records of a pipe: the descriptor that exec closes.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};

/// A record is written by one call, and this much is never torn (pipe(7), PIPE_BUF).
const MOST: usize = 4096;
const HEAD: usize = 12;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report<'r> {
    /// A step of the plan failed, or of a program's own.
    Step {
        program: u8,
        index: u32,
        errno: Errno,
    },
    /// A candidate could not be executed, and no other was.
    /// `exists`: the error is about the interpreter of the program.
    Exec {
        program: u8,
        candidate: u32,
        errno: Errno,
        exists: bool,
    },
    /// The processes themselves could not be set up.
    Keeper {
        errno: Errno,
    },
    /// The image had no file or directory at this path, and got one for a mount.
    Stub {
        path: &'r [u8],
    },
    /// A program has ended.
    Exited {
        program: u8,
        code: i32,
    },
    Killed {
        program: u8,
        signal: i32,
    },
}

/// The children's side. Allocates nothing.
pub(super) struct Writer<'w> {
    pipe: &'w OwnedFd,
    record: [u8; MOST],
}

impl<'w> Writer<'w> {
    pub(super) fn new(pipe: &'w OwnedFd) -> Writer<'w> {
        Writer { pipe, record: [0; MOST] }
    }

    pub(super) fn send(&mut self, report: Report<'_>) -> Result<()> {
        let (tag, program, number, value, path): (u8, u8, u32, i32, &[u8]) = match report {
            Report::Step { program, index, errno } => (1, program, index, errno.raw_os_error(), b""),
            Report::Exec { program, candidate, errno, exists } => {
                (if exists { 7 } else { 2 }, program, candidate, errno.raw_os_error(), b"")
            }
            Report::Keeper { errno } => (3, 0, 0, errno.raw_os_error(), b""),
            Report::Stub { path } => (4, 0, path.len() as u32, 0, path),
            Report::Exited { program, code } => (5, program, 0, code, b""),
            Report::Killed { program, signal } => (6, program, 0, signal, b""),
        };
        let end = HEAD + path.len();
        self.record[..4].copy_from_slice(&[tag, program, 0, 0]);
        self.record[4..8].copy_from_slice(&number.to_ne_bytes());
        self.record[8..HEAD].copy_from_slice(&value.to_ne_bytes());
        self.record.get_mut(HEAD..end).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(path);
        match rustix::io::retry_on_intr(|| rustix::io::write(self.pipe, &self.record[..end]))? {
            written if written == end => Ok(()),
            _ => Err(Errno::IO),
        }
    }
}

/// The records in what the parent has read so far. The last one may be incomplete, when the parent stops to read.
pub(super) struct Records<'r>(pub(super) &'r [u8]);

impl<'r> Iterator for Records<'r> {
    type Item = Report<'r>;

    fn next(&mut self) -> Option<Report<'r>> {
        let (head, rest) = self.0.split_at_checked(HEAD)?;
        let word = |at: usize| head.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let ([tag, program, ..], number) = (word(0)?, u32::from_ne_bytes(word(4)?));
        let value = i32::from_ne_bytes(word(8)?);
        let errno = Errno::from_raw_os_error(value.clamp(1, 4095));
        let (path, rest) = rest.split_at_checked(if tag == 4 { number as usize } else { 0 })?;
        self.0 = rest;
        Some(match tag {
            1 => Report::Step { program, index: number, errno },
            2 | 7 => Report::Exec { program, candidate: number, errno, exists: tag == 7 },
            3 => Report::Keeper { errno },
            4 => Report::Stub { path },
            5 => Report::Exited { program, code: value },
            6 => Report::Killed { program, signal: value },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_written() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let long = [b'x'; MOST - HEAD];
        let reports = [
            Report::Stub { path: b"/etc/hosts" },
            Report::Step { program: 0, index: 7, errno: Errno::PERM },
            Report::Exec { program: 1, candidate: 2, errno: Errno::NOEXEC, exists: false },
            Report::Exec { program: 0, candidate: 0, errno: Errno::NOENT, exists: true },
            Report::Keeper { errno: Errno::NOSPC },
            Report::Stub { path: &long },
            Report::Killed { program: 255, signal: 9 },
            Report::Exited { program: 3, code: 255 },
        ];
        let mut sender = Writer::new(&writer);
        for report in reports {
            sender.send(report).unwrap();
        }
        assert_eq!(sender.send(Report::Stub { path: &[b'x'; MOST] }), Err(Errno::NAMETOOLONG));
        drop(writer);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(reader), &mut bytes).unwrap();
        assert_eq!(Records(&bytes).collect::<Vec<_>>(), reports);
        assert_eq!(Records(&bytes[..bytes.len() - 1]).count(), reports.len() - 1);
    }
}
