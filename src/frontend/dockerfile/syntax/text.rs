//! Parts of the text that know their position.

/// One instruction without comments, its continuation lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontend) struct Logical {
    text: String,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// For each physical line: where it begins in `text`, and in the file.
    File(Vec<(usize, usize)>),
    /// A trigger of a base image, which is reported at the `FROM` that runs it.
    Elsewhere(usize),
}

/// A part of a [`Logical`] line.
#[derive(Clone, Copy, Debug)]
pub(in crate::frontend) struct Slice<'l> {
    line: &'l Logical,
    start: usize,
    pub text: &'l str,
}

/// A text with the offset in the file where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontend) struct Word {
    pub text: String,
    pub at: usize,
}

/// Where the bytes of a text stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontend) struct Places {
    /// Where pieces begin in the text, and in the file.
    pieces: Vec<(usize, usize)>,
    /// Whether the text is not in the file, so that all of it has one place.
    fixed: bool,
}

impl Places {
    /// One place for a whole text.
    pub fn fixed(at: usize) -> Places {
        Places { pieces: vec![(0, at)], fixed: true }
    }

    /// The offset in the file of a byte of the text.
    pub fn at(&self, offset: usize) -> usize {
        let after = self.pieces.partition_point(|(start, _)| *start <= offset);
        match self.pieces.get(after.saturating_sub(1)) {
            Some((_, at)) if self.fixed => *at,
            Some((start, at)) => at + offset.saturating_sub(*start),
            None => offset,
        }
    }

    /// The places of a text that goes on with these pieces, from the start of the first on.
    #[must_use]
    pub fn and(mut self, more: &[(usize, usize)]) -> Places {
        if let (Some((first, _)), false) = (more.first(), self.fixed) {
            self.pieces.retain(|(start, _)| start < first);
            self.pieces.extend(more);
        }
        self
    }
}

impl Logical {
    pub fn new() -> Logical {
        Logical { text: String::new(), origin: Origin::File(Vec::new()) }
    }

    /// A line that is not in the file.
    pub fn elsewhere(text: &str, at: usize) -> Logical {
        Logical { text: text.to_owned(), origin: Origin::Elsewhere(at) }
    }

    /// Appends a physical line that begins at the offset `at` of the file.
    pub fn push(&mut self, text: &str, at: usize) {
        if let Origin::File(pieces) = &mut self.origin {
            pieces.push((self.text.len(), at));
        }
        self.text.push_str(text);
    }

    /// The same text, with every part of it at one position.
    pub fn moved(&self, at: usize) -> Logical {
        Logical::elsewhere(&self.text, at)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn all(&self) -> Slice<'_> {
        Slice { line: self, start: 0, text: &self.text }
    }

    fn at(&self, offset: usize) -> usize {
        match &self.origin {
            Origin::Elsewhere(at) => *at,
            Origin::File(pieces) => {
                let after = pieces.partition_point(|(start, _)| *start <= offset);
                let (start, at) = pieces[after.saturating_sub(1)];
                at + (offset - start)
            }
        }
    }
}

impl<'l> Slice<'l> {
    /// The offset in the file of the byte `offset` of this slice.
    pub fn at(&self, offset: usize) -> usize {
        self.line.at(self.start + offset)
    }

    pub fn from(&self, offset: usize) -> Slice<'l> {
        Slice { line: self.line, start: self.start + offset, text: &self.text[offset..] }
    }

    pub fn until(&self, offset: usize) -> Slice<'l> {
        Slice { text: &self.text[..offset], ..*self }
    }

    pub fn trim(&self) -> Slice<'l> {
        let trimmed = self.text.trim_start();
        let slice = self.from(self.text.len() - trimmed.len());
        slice.until(trimmed.trim_end().len())
    }

    /// Where the bytes of this slice stand in the file.
    pub fn places(&self) -> Places {
        match &self.line.origin {
            Origin::Elsewhere(at) => Places::fixed(*at),
            Origin::File(pieces) => {
                let later = pieces.iter().filter(|(start, _)| *start > self.start);
                let later = later.map(|(start, at)| (start - self.start, *at));
                Places { pieces: std::iter::once((0, self.at(0))).chain(later).collect(), fixed: false }
            }
        }
    }

    pub fn word(&self) -> Word {
        Word { text: self.text.to_owned(), at: self.at(0) }
    }
}
