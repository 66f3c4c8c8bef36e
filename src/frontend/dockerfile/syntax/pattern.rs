//! The patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*`, `?` and characters.

/// The longest pattern: a search takes the product of both lengths.
const LONGEST: usize = 1024;

/// Pieces with a `*` between each two.
#[derive(Debug)]
pub(in crate::frontend) struct Pattern(Vec<Vec<Unit>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Any,
    Char(char),
}

impl Pattern {
    /// `\*`, `\?` and `\\` are literal; `\}` and `\/` too, because the unescaped characters end the pattern.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.len() > LONGEST {
            return Err(format!("a pattern is longer than {LONGEST} bytes"));
        }
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let unit = match c {
                '*' => {
                    pieces.push(std::mem::take(&mut piece));
                    continue;
                }
                '?' => Unit::Any,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Unit::Char(c),
                    Some(c) => return Err(format!(r"invalid escape `\{c}` in the pattern `{text}`")),
                    None => return Err(format!("the pattern `{text}` ends with an escape character")),
                },
                c => Unit::Char(c),
            };
            piece.push(unit);
        }
        pieces.push(piece);
        Ok(Pattern(pieces))
    }

    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = if matches_at(&self.0[0], &chars, 0) { self.end(&chars, 0, longest) } else { None };
        chars[end.unwrap_or(0)..].iter().collect()
    }

    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        let reversed = self.0.iter().rev().map(|piece| piece.iter().rev().copied().collect());
        let value: String = value.chars().rev().collect();
        Pattern(reversed.collect()).without_prefix(&value, longest).chars().rev().collect()
    }

    /// Replaces the first and longest match, or all of them. `None` for a result that becomes longer than `limit`.
    pub fn replace(&self, value: &str, replacement: &str, all: bool, limit: usize) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let mut out = String::new();
        let mut copied = 0;
        // An empty match directly after another match does not count.
        let mut last_end = None;
        let mut from = 0;
        while from <= chars.len() {
            let Some((start, end)) = self.find(&chars, from) else { break };
            out.extend(&chars[copied..start]);
            copied = start;
            if start < end || last_end != Some(start) {
                if out.len() + replacement.len() > limit {
                    return None;
                }
                out.push_str(replacement);
                copied = end;
                last_end = Some(end);
            }
            from = if start < end { end } else { end + 1 };
            if !all {
                break;
            }
        }
        out.extend(&chars[copied..]);
        Some(out)
    }

    fn find(&self, chars: &[char], from: usize) -> Option<(usize, usize)> {
        let start = first(&self.0[0], chars, from)?;
        Some((start, self.end(chars, start, true)?))
    }

    /// The end of the shortest or longest match that begins at `start`, where the first piece matches. The pieces
    /// between are placed as early as possible, which leaves most to the last one.
    fn end(&self, chars: &[char], start: usize, longest: bool) -> Option<usize> {
        let mut at = start + self.0[0].len();
        let Some((last, between)) = self.0[1..].split_last() else { return Some(at) };
        for piece in between {
            at = first(piece, chars, at)? + piece.len();
        }
        let found = match longest {
            true => (at..=chars.len()).rev().find(|&at| matches_at(last, chars, at)),
            false => first(last, chars, at),
        };
        found.map(|at| at + last.len())
    }
}

fn first(piece: &[Unit], chars: &[char], from: usize) -> Option<usize> {
    (from..=chars.len()).find(|&at| matches_at(piece, chars, at))
}

fn matches_at(piece: &[Unit], chars: &[char], at: usize) -> bool {
    chars.len() - at >= piece.len()
        && piece
            .iter()
            .zip(&chars[at..])
            .all(|(unit, c)| matches!(unit, Unit::Any) || *unit == Unit::Char(*c))
}
