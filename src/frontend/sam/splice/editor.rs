//! The changes of one function: its image, and the keys of its build.

use super::change::{Change, place};
use super::edits::{Edits, line_start, next_line};
use super::shared::going;
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::sam::document::{Content, Entry, Language, MERGE, Mapping, Node};
use crate::frontend::sam::function::{SKIP_BUILD, is_only_of_build};

/// Collects the changes of a template.
pub(super) struct Editor<'t> {
    text: &'t str,
    language: Language,
    /// Whether comments between removed keys stay.
    with_comments: bool,
    edits: Edits,
}

/// The indentation of a mapping in another one, where the template has none to follow.
const STEP: usize = 2;

impl<'t> Editor<'t> {
    pub fn new(text: &'t str, language: Language, with_comments: bool) -> Editor<'t> {
        Editor { text, language, with_comments, edits: Edits::default() }
    }

    pub fn finish(self) -> Parsed<String> {
        let overlap = || Fault::new(0, "two functions of the template cannot be changed at once");
        let mut changed = self.edits.apply(self.text).ok_or_else(overlap)?;
        // The last line may have been removed, and those before it have a line end.
        if !self.text.ends_with('\n')
            && let Some(rest) = changed.strip_suffix("\r\n").or_else(|| changed.strip_suffix('\n'))
        {
            changed.truncate(rest.len());
        }
        Ok(changed)
    }

    /// Gives a function its image, and removes the keys of its build or marks them.
    pub fn change(&mut self, root: &Node, change: &Change<'_>, keep: bool) -> Parsed<()> {
        let function = change.function;
        let entry =
            root.get("Resources").and_then(|resources| resources.mapping()?.own(&function.logical_id));
        let at = place(root, function).unwrap_or(0);
        let Some((entry, Content::Mapping(resource))) = entry.map(|entry| (entry, &entry.value.content))
        else {
            let fault = Fault::new(at, format!("{} is an alias of another resource", function.logical_id));
            return Err(fault.hint("write the resource out, because its image is its own"));
        };
        let path = [function.resource.path(), &["ImageUri"]].concat();
        self.set(entry, &path, &self.quoted(change.image_uri));
        match resource.own("Metadata") {
            Some(_) if keep => self.set(entry, &["Metadata", SKIP_BUILD], "true"),
            Some(metadata) => self.remove_build(resource, metadata),
            // It is merged from elsewhere.
            None => {}
        }
        Ok(())
    }

    /// A string as a value. An image's name needs no quotes in YAML.
    fn quoted(&self, value: &str) -> String {
        match self.language {
            Language::Json => format!("\"{value}\""),
            Language::Yaml => value.to_owned(),
        }
    }

    /// Sets the value at a path below an entry.
    fn set(&mut self, entry: &Entry, path: &[&str], value: &str) {
        let [key, rest @ ..] = path else {
            return self.replace_value(entry, value);
        };
        let Content::Mapping(mapping) = &entry.value.content else {
            return self.replace_with_mapping(entry, path, value);
        };
        match mapping.own(key) {
            Some(inner) => self.set(inner, rest, value),
            None => self.insert(entry, mapping, path, value),
        }
    }

    /// Replaces an alias, or nothing, by a mapping.
    fn replace_with_mapping(&mut self, entry: &Entry, path: &[&str], value: &str) {
        match &entry.value.content {
            Content::Alias(_) => {
                let alias = &self.text[entry.value.span.clone()];
                let merged = format!("{{{MERGE}: {alias}, {}}}", self.flow(path, value, false));
                self.edits.replace(entry.value.span.clone(), merged);
            }
            _ if entry.value.span.is_empty() && !self.is_in_braces(entry) => {
                let indent = self.indent(&entry.key) + STEP;
                self.insert_line(
                    next_line(self.text, entry.key.span.end),
                    &self.block(path, value, indent, STEP),
                );
            }
            _ => self.replace_value(entry, &format!("{{{}}}", self.flow(path, value, false))),
        }
    }

    fn replace_value(&mut self, entry: &Entry, value: &str) {
        match entry.value.span.is_empty() {
            // Behind the colon.
            true => self.edits.insert(entry.value.span.start, format!(" {value}")),
            false => {
                let range = self.value_range(entry);
                let blank = if self.text[..range.start].ends_with(':') && self.language == Language::Yaml {
                    " "
                } else {
                    ""
                };
                self.edits.replace(range, format!("{blank}{value}"));
            }
        }
    }

    /// Whether an entry does not begin its line.
    fn is_in_braces(&self, entry: &Entry) -> bool {
        let start = line_start(self.text, entry.key.span.start);
        !self.text[start..entry.key.span.start].chars().all(|c| c == ' ' || c == '\u{feff}')
    }

    /// Adds an entry to a mapping: after `PackageType` if it is there.
    fn insert(&mut self, parent: &Entry, mapping: &Mapping, path: &[&str], value: &str) {
        let Some(first) = mapping.entries.first() else {
            return self.replace_value(parent, &format!("{{{}}}", self.flow(path, value, false)));
        };
        let package_type = mapping.own("PackageType");
        if mapping.is_flow {
            let after = package_type.unwrap_or(first);
            let before = self.text[..after.key.span.start].trim_end().len();
            let blanks = &self.text[before..after.key.span.start];
            let blanks = if blanks.is_empty() { " " } else { blanks };
            let is_quoted = self.text[after.key.span.clone()].starts_with('"');
            let added = format!(",{blanks}{}", self.flow(path, value, is_quoted));
            return self.edits.insert(after.range().end, added);
        }
        let indent = self.indent(&first.key);
        let step = indent.saturating_sub(self.indent(&parent.key)).max(1);
        let lines = self.block(path, value, indent, step);
        // A value in one line, for what follows one of several lines may belong to it.
        let is_line =
            |entry: &&Entry| !self.text[entry.range()].contains('\n') && !self.is_block_scalar(entry);
        match package_type.filter(is_line) {
            Some(entry) => self.insert_line(next_line(self.text, entry.value.span.end), &lines),
            None => self.insert_line(line_start(self.text, first.key.span.start), &lines),
        }
    }

    fn is_block_scalar(&self, entry: &Entry) -> bool {
        let line = line_start(self.text, entry.key.span.start)..next_line(self.text, entry.key.span.start);
        !line.contains(&entry.value.span.start)
    }

    /// Inserts lines before the one that begins at `at`.
    fn insert_line(&mut self, at: usize, lines: &str) {
        let end = match self.text.contains("\r\n") {
            true => "\r\n",
            false => "\n",
        };
        let lines: Vec<_> = lines.lines().collect();
        let lines = lines.join(end);
        let has_line_before = at == 0 || self.text[..at].ends_with('\n');
        let added = if has_line_before { format!("{lines}{end}") } else { format!("{end}{lines}") };
        self.edits.insert(at, added);
    }

    /// Entries in one another, as lines.
    fn block(&self, path: &[&str], value: &str, indent: usize, step: usize) -> String {
        let mut lines = String::new();
        for (level, key) in path.iter().enumerate() {
            let value = if level + 1 == path.len() { format!(" {value}") } else { String::new() };
            lines.push_str(&format!("{}{key}:{value}\n", " ".repeat(indent + level * step)));
        }
        lines
    }

    /// Entries in one another, in braces but for the first; with quotes if the keys beside have them.
    fn flow(&self, path: &[&str], value: &str, is_quoted: bool) -> String {
        let quoted = |key: &str| if is_quoted { format!("\"{key}\"") } else { self.quoted(key) };
        match path {
            [] => value.to_owned(),
            [key] => format!("{}: {value}", quoted(key)),
            [key, rest @ ..] => format!("{}: {{{}}}", quoted(key), self.flow(rest, value, is_quoted)),
        }
    }

    /// The number of blanks before a key.
    fn indent(&self, key: &Node) -> usize {
        let start = line_start(self.text, key.span.start);
        let line = self.text[start..key.span.start].trim_start_matches('\u{feff}');
        line.len() - line.trim_start_matches(' ').len()
    }

    /// The bytes of a value, from behind the colon if it begins in another line, unless a comment stands between.
    fn value_range(&self, entry: &Entry) -> std::ops::Range<usize> {
        let span = entry.value.span.clone();
        let between = &self.text[entry.key.span.end..span.start.max(entry.key.span.end)];
        let Some(behind) = between.trim_start().strip_prefix(':') else { return span };
        // The header of a block, such as `>-`, stands before the value.
        let rest = if behind.trim().is_empty() && behind.contains('\n') {
            behind
        } else {
            behind.trim_start_matches(' ')
        };
        match rest.contains('#') {
            true => span,
            false => entry.key.span.end + between.len() - rest.len()..span.end,
        }
    }

    /// Removes the keys of a build from metadata, or all of it.
    fn remove_build(&mut self, resource: &Mapping, metadata: &Entry) {
        if metadata.value.mapping().is_some_and(is_only_of_build) {
            return match resource.is_flow {
                true => self.remove_from_braces(resource, std::slice::from_ref(metadata)),
                false => self.remove_with_parent(metadata),
            };
        }
        let Content::Mapping(mapping) = &metadata.value.content else { return };
        let going = going(mapping).unwrap_or_default();
        match mapping.is_flow {
            true => self.remove_from_braces(mapping, &going),
            false => going.iter().for_each(|entry| self.remove_lines(mapping, entry)),
        }
    }

    /// Removes an entry and the entries in it; the comments between them may stay.
    fn remove_with_parent(&mut self, metadata: &Entry) {
        match &metadata.value.content {
            Content::Mapping(mapping) if !mapping.is_flow && self.with_comments => {
                let first =
                    mapping.entries.first().map_or(metadata.key.span.end, |entry| entry.key.span.start);
                let start = line_start(self.text, metadata.key.span.start);
                let end = next_line(self.text, metadata.key.span.end).min(line_start(self.text, first));
                self.edits.remove(start..end);
                mapping.entries.iter().for_each(|entry| self.remove_lines(mapping, entry));
            }
            _ => self.remove_to_end(metadata),
        }
    }

    /// Removes the lines of an entry.
    fn remove_lines(&mut self, mapping: &Mapping, entry: &Entry) {
        let start = line_start(self.text, entry.key.span.start);
        let next =
            mapping.entries.iter().map(|other| other.key.span.start).find(|at| *at > entry.key.span.start);
        match next {
            Some(next) if !self.with_comments => self.edits.remove(start..line_start(self.text, next)),
            _ => self.remove_to_end(entry),
        }
    }

    fn remove_to_end(&mut self, entry: &Entry) {
        let start = line_start(self.text, entry.key.span.start);
        self.edits.remove(start..next_line(self.text, entry.range().end));
    }

    /// Removes entries of a mapping in braces, with a comma each.
    fn remove_from_braces(&mut self, mapping: &Mapping, going: &[Entry]) {
        let is_going = |entry: &Entry| going.iter().any(|other| other.key.span == entry.key.span);
        let mut last_kept = None;
        let mut removed_from = None;
        for entry in &mapping.entries {
            match (is_going(entry), removed_from) {
                (true, None) => removed_from = Some(entry.key.span.start),
                (false, Some(from)) => {
                    self.edits.remove(from..entry.key.span.start);
                    removed_from = None;
                    last_kept = Some(entry);
                }
                (false, None) => last_kept = Some(entry),
                (true, Some(_)) => {}
            }
        }
        let Some(from) = removed_from else { return };
        let end = mapping.entries.last().map_or(from, |entry| entry.range().end);
        let start = last_kept.map_or(from, |entry| entry.range().end);
        self.edits.remove(start..end);
    }
}
