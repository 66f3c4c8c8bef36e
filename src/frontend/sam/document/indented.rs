//! A copy of a text in which some lines are indented more.

/// The most bytes that are read again and again, one reading for each line that is indented.
const MOST_READ: usize = 1 << 26;

pub(super) struct Indented<'s> {
    pub source: &'s str,
    pub text: String,
    /// The offsets in the copy where blanks were inserted, in order.
    inserted: Vec<usize>,
    /// The number of blanks that are inserted: more than any line has.
    width: usize,
    read: usize,
}

impl Indented<'_> {
    pub fn new(source: &str) -> Indented<'_> {
        let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let width = source.lines().map(depth).max().unwrap_or(0) + 1;
        Indented { source, text: source.to_owned(), inserted: Vec::new(), width, read: 0 }
    }

    /// Indents the lines that begin at these offsets of the copy, in order. Returns whether a line was indented that was
    /// not before.
    pub fn indent(&mut self, lines: &[usize]) -> bool {
        self.read += self.text.len();
        let lines = lines.iter().filter(|line| self.inserted.binary_search(line).is_err());
        let lines: Vec<usize> = lines.copied().collect();
        if lines.is_empty() || self.read > MOST_READ {
            return false;
        }
        let (mut text, mut done, blanks) = (String::new(), 0, " ".repeat(self.width));
        for &line in &lines {
            text.push_str(&self.text[done..line]);
            text.push_str(&blanks);
            done = line;
        }
        text.push_str(&self.text[done..]);
        self.text = text;
        // Each place is shifted by the blanks before it.
        let shifted = self
            .inserted
            .iter()
            .chain(&lines)
            .map(|&place| place + self.width * lines.partition_point(|line| *line < place));
        self.inserted = shifted.collect();
        self.inserted.sort_unstable();
        true
    }

    /// The offset in the source of an offset in the copy.
    pub fn original(&self, at: usize) -> usize {
        let before = self.inserted.partition_point(|offset| *offset < at);
        match before.checked_sub(1) {
            Some(last) => at.max(self.inserted[last] + self.width) - before * self.width,
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_lead_back_to_the_source() {
        let source = "a:\n  b: [\n]\nc: [\n1]\n";
        let mut indented = Indented::new(source);
        assert!(indented.indent(&[17]) && indented.indent(&[10]) && !indented.indent(&[10]));
        let mut both = Indented::new(source);
        assert!(both.indent(&[10, 17]) && both.text == indented.text && both.inserted == indented.inserted);
        assert_eq!(indented.text, "a:\n  b: [\n   ]\nc: [\n   1]\n");
        for (at, c) in indented.text.char_indices().filter(|(_, c)| *c != ' ') {
            assert!(source[indented.original(at)..].starts_with(c), "{at}");
        }
        assert_eq!((indented.original(11), indented.original(indented.text.len())), (10, source.len()));
    }
}
