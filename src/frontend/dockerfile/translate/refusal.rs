//! Why a line is not translated.

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// The word that stops a translation. The reason is a predicate: ``is not translated``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub span: Span,
    pub reason: String,
}

pub(super) type Attempt<T> = Result<T, Refusal>;

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    pub fn refuse(self, reason: impl Into<String>) -> Refusal {
        Refusal { span: self, reason: reason.into() }
    }
}
