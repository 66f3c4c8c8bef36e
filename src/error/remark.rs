//! Errors and warnings at a place in a file.

use std::fmt;

/// A remark about a place in a file, such as a Dockerfile or a template: an error, or a warning.
///
/// Displayed as `FILE:LINE:COLUMN: MESSAGE`, then the line with a mark below the column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The name of the file, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The fault.
    pub message: String,
    /// The line's text.
    pub text: String,
    /// A proposed fix.
    pub hint: Option<String>,
}

/// The width of the text that is shown of a line.
const WIDTH: usize = 100;

impl Remark {
    /// The remark about the byte `offset` of a line.
    pub(crate) fn new(
        file: &str,
        line: usize,
        text: &str,
        offset: usize,
        message: String,
        hint: Option<String>,
    ) -> Remark {
        let mark = |text: &str| text.strip_prefix('\u{feff}').map_or_else(|| text.to_owned(), str::to_owned);
        let column = mark(&text[..offset]).chars().count() + 1;
        Remark { file: file.to_owned(), line, column, message, text: mark(text), hint }
    }
}

/// The part of a text that is shown on one line.
fn shown(text: &str, skipped: usize) -> String {
    let shown = text.chars().skip(skipped).take(WIDTH);
    shown.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        // A long line is shown from a little before the column.
        let skipped = if self.column > WIDTH { self.column - WIDTH / 2 } else { 0 };
        let (number, margin) = (self.line.to_string(), " ".repeat(self.line.to_string().len()));
        writeln!(f, "  {number} | {}", shown(&self.text, skipped))?;
        write!(f, "  {margin} | {}^", " ".repeat(self.column - 1 - skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_a_mark() {
        let remark = |text: &str, offset| Remark::new("D", 2, text, offset, "bad".into(), None);
        assert_eq!(remark("COPY\té x", 8).to_string(), "D:2:8: bad\n  2 | COPY é x\n    |        ^");
        let long = remark(&format!("RUN {}!", "x".repeat(300)), 304).to_string();
        assert!(long.contains(&format!("  2 | {}!\n", "x".repeat(49))), "{long}");
        assert_eq!(remark("\u{feff}FROM", 3).column, 1);
    }
}
