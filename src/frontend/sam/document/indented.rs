//! A copy of a text in which some lines are indented more.

/// The most bytes that are read again and again, one reading for each line that is indented.
const MOST_READ: usize = 1 << 28;

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

    /// Indents the line that begins at an offset of the copy. Returns whether that was possible, and not done before.
    pub fn indent(&mut self, line: usize) -> bool {
        self.read += self.text.len();
        let Err(number) = self.inserted.binary_search(&line) else { return false };
        if self.read > MOST_READ {
            return false;
        }
        self.text.insert_str(line, &" ".repeat(self.width));
        self.inserted[number..].iter_mut().for_each(|offset| *offset += self.width);
        self.inserted.insert(number, line);
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
        assert!(indented.indent(17) && indented.indent(10) && !indented.indent(10));
        assert_eq!(indented.text, "a:\n  b: [\n   ]\nc: [\n   1]\n");
        for (at, c) in indented.text.char_indices().filter(|(_, c)| *c != ' ') {
            assert!(source[indented.original(at)..].starts_with(c), "{at}");
        }
        assert_eq!((indented.original(11), indented.original(indented.text.len())), (10, source.len()));
    }
}
