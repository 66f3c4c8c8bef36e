//! Templates in YAML.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::indented::Indented;
use super::node::{Content, Entry, MOST_LEVELS, Mapping, Node};
use crate::frontend::fault::{Fault, Parsed};

/// The tree of a text.
///
/// The parser is one of YAML 1.2. By YAML 1.1, which SAM and CloudFormation read, the lines of a value in brackets or quotes
/// may be indented less than its key; where the parser refuses that, the lines are indented in a copy of the text.
pub(super) fn parse(text: &str) -> Parsed<Arc<Node>> {
    let mut indented = Indented::new(text);
    loop {
        match read(&indented) {
            Ok(root) => return Ok(root),
            Err(Refusal { fault, shallow }) if !indented.indent(&shallow) => return Err(fault),
            Err(_) => {}
        }
    }
}

/// An error, and the offsets of lines of the copy that may have to be indented.
struct Refusal {
    fault: Fault,
    shallow: Vec<usize>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal { fault, shallow: Vec::new() }
    }
}

fn read(indented: &Indented<'_>) -> Result<Arc<Node>, Refusal> {
    let text = &*indented.text;
    let mut reader = Reader {
        indented,
        text,
        offsets: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Err(Fault::new(0, "the template is empty").into()),
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (event, span) => {
                let root = reader.node(event, span, 0)?;
                reader.end()?;
                return Ok(root);
            }
        }
    }
}

struct Reader<'t> {
    indented: &'t Indented<'t>,
    text: &'t str,
    /// The offset of each character in bytes: the parser counts characters.
    offsets: Vec<usize>,
    events: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Arc<Node>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Refusal> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.refused(self.offset(*error.marker()), error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn refused(&self, at: usize, reason: &str) -> Refusal {
        let before = self.text[..at].rsplit('\n').next().unwrap_or_default();
        let has_tab = before.contains('\t') || self.text[at..].starts_with('\t');
        let fault = Fault::new(self.indented.original(at), format!("invalid YAML: {reason}"));
        let fault = if has_tab { fault.hint("indent with spaces: YAML allows no tabs there") } else { fault };
        let shallow = match reason {
            // The error is at the opening quote.
            "invalid indentation in quoted scalar" => self.shallow_lines_of_quotes(at),
            "invalid indentation" | "invalid indentation in flow construct" => vec![at - before.len()],
            _ => Vec::new(),
        };
        Refusal { fault, shallow }
    }

    /// The lines in quotes that are not indented more than the one with the opening quote.
    fn shallow_lines_of_quotes(&self, at: usize) -> Vec<usize> {
        let Some(quote @ ('"' | '\'')) = self.text[at..].chars().next() else { return Vec::new() };
        let end = self.quoted(at..self.text.len(), quote).end;
        let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let least = depth(&self.text[first..]);
        let starts = self.text[at..end].match_indices('\n').map(|(newline, _)| at + newline + 1);
        let is_shallow = |start: &usize| {
            let line = self.text[*start..].lines().next().unwrap_or_default();
            !line.trim().is_empty() && depth(line) <= least
        };
        starts.filter(is_shallow).collect()
    }

    /// Reads the rest, which may only be comments.
    fn end(&mut self) -> Result<(), Refusal> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    let message = "a template is one YAML document, and this begins another";
                    return Err(Fault::new(self.place(span.start), message).into());
                }
                _ => {}
            }
        }
    }

    /// The offset in the copy.
    fn offset(&self, marker: Marker) -> usize {
        self.offsets.get(marker.index()).copied().unwrap_or(self.text.len())
    }

    /// The offset in the template.
    fn place(&self, marker: Marker) -> usize {
        self.indented.original(self.offset(marker))
    }

    /// The node that begins with an event.
    fn node(&mut self, event: Event<'t>, span: Span, level: usize) -> Result<Arc<Node>, Refusal> {
        let start = self.place(span.start);
        if level > MOST_LEVELS {
            return Err(Fault::new(start, "the template is nested too deeply").into());
        }
        let (tag, anchor, content, range) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let range = self.scalar(self.offset(span.start)..self.offset(span.end), style);
                let range = self.indented.original(range.start)..self.indented.original(range.end);
                let is_plain = style == ScalarStyle::Plain;
                (tag, anchor, Content::Scalar { text: text.into_owned(), is_plain }, range)
            }
            Event::SequenceStart(anchor, tag) => {
                let (items, end) = self.items(start, level)?;
                (tag, anchor, Content::Sequence { items }, start..end)
            }
            Event::MappingStart(anchor, tag) => {
                let is_flow = self.text[..self.offset(span.end)].ends_with('{');
                let (entries, end) = self.entries(start, level)?;
                (tag, anchor, Content::Mapping(Mapping { entries, is_flow }), start..end)
            }
            Event::Alias(id) => {
                let target = self.anchors.get(&id).cloned();
                let unknown = || Fault::new(start, "an alias inside the value of its own anchor");
                let target = target.ok_or_else(unknown)?;
                (None, 0, Content::Alias(target), start..self.place(span.end))
            }
            _ => return Err(Fault::new(start, "invalid YAML: a value is missing").into()),
        };
        let tag = tag.and_then(|tag| local(&tag));
        let node = Arc::new(Node { span: range, tag, is_anchor: anchor != 0, content });
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The items of a sequence, and the end of the last or of the bracket.
    fn items(&mut self, start: usize, level: usize) -> Result<(Vec<Arc<Node>>, usize), Refusal> {
        let (mut items, mut end) = (Vec::<Arc<Node>>::new(), start);
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) if span.is_empty() => return Ok((items, end)),
                (Event::SequenceEnd, span) => return Ok((items, self.place(span.end))),
                (event, span) => {
                    let item = self.node(event, span, level + 1)?;
                    end = item.span.end;
                    items.push(item);
                }
            }
        }
    }

    /// The entries of a mapping, and the end of the last or of the brace.
    fn entries(&mut self, start: usize, level: usize) -> Result<(Vec<Entry>, usize), Refusal> {
        let (mut entries, mut end) = (Vec::new(), start);
        loop {
            match self.next()? {
                (Event::MappingEnd, span) if span.is_empty() => return Ok((entries, end)),
                (Event::MappingEnd, span) => return Ok((entries, self.place(span.end))),
                (event, span) => {
                    let key = self.node(event, span, level + 1)?;
                    if key.text().is_none() {
                        return Err(Fault::new(key.at(), "a key must be a string").into());
                    }
                    let (event, span) = self.next()?;
                    let value = self.node(event, span, level + 1)?;
                    // The place of a value that is not written may be far behind its key.
                    let value = match value.span.is_empty() {
                        true => self.after_colon(&key, value),
                        false => value,
                    };
                    end = value.span.end.max(key.span.end);
                    entries.push(Entry { key, value });
                }
            }
        }
    }

    /// A value that is not written, right behind the colon of its key.
    fn after_colon(&self, key: &Node, value: Arc<Node>) -> Arc<Node> {
        let rest = &self.indented.source[key.span.end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let at = key.span.end + blanks + usize::from(rest[blanks..].starts_with(':'));
        match Arc::try_unwrap(value) {
            Ok(node) => Arc::new(Node { span: at..at, ..node }),
            Err(shared) => shared,
        }
    }

    /// The bytes of a scalar: the parser adds blanks and comments to a quoted one, and blank lines to a block, whose header
    /// is missing.
    fn scalar(&self, span: Range<usize>, style: ScalarStyle) -> Range<usize> {
        match style {
            ScalarStyle::SingleQuoted => self.quoted(span, '\''),
            ScalarStyle::DoubleQuoted => self.quoted(span, '"'),
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => {
                span.start..span.start + self.text[span.clone()].trim_end().len()
            }
        }
    }

    /// From the tag or quote to the second quote.
    fn quoted(&self, span: Range<usize>, quote: char) -> Range<usize> {
        let text = &self.text[span.clone()];
        let Some(open) = text.find(quote) else { return span };
        let mut escaped = false;
        let mut chars = text[open + 1..].char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let is_pair = quote == '\'' && c == quote && chars.peek().is_some_and(|(_, next)| *next == quote);
            match c {
                _ if escaped => escaped = false,
                '\\' if quote == '"' => escaped = true,
                _ if is_pair => drop(chars.next()),
                _ if c == quote => return span.start..span.start + open + 1 + at + 1,
                _ => {}
            }
        }
        span
    }
}

/// The name of a local tag; one of YAML's own, such as `!!str`, has no meaning for a template.
fn local(tag: &Tag) -> Option<String> {
    (tag.handle == "!").then(|| tag.suffix.clone())
}
