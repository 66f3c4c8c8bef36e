//! From the text to instructions: comments, continuation lines, here-documents.

use super::directives::{Directives, Reader, refuse_other_syntax};
use super::heredoc::{Heredoc, announced};
use super::split;
use super::text::Logical;
use crate::frontend::fault::{Fault, Parsed};

/// BuildKit's limit for a physical line, in bytes.
const LONGEST_LINE: usize = 65_535;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// An instruction and its here-documents.
#[derive(Clone, Debug)]
pub(in crate::frontend) struct Statement {
    pub line: Logical,
    pub heredocs: Vec<Heredoc>,
    /// The offset of a blank line between its lines, which BuildKit announces to refuse some day.
    pub blank_line: Option<usize>,
}

/// A Dockerfile as statements.
#[derive(Debug)]
pub(in crate::frontend) struct Statements {
    pub directives: Directives,
    pub statements: Vec<Statement>,
}

/// Splits the text of a Dockerfile.
pub(in crate::frontend) fn read(text: &str) -> Parsed<Statements> {
    let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    refuse_other_syntax(&text[start..], start)?;
    let mut lines = Lines { text, at: start };
    let mut directives = Reader::new();
    let mut statements = Vec::new();
    while let Some((line, at)) = lines.next()? {
        let code = line.trim_start();
        let code_at = at + (line.len() - code.len());
        let code = without_newline(code);
        directives.line(code, code_at)?;
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let escape = directives.found.escape;
        let mut statement = Statement { line: Logical::new(), heredocs: Vec::new(), blank_line: None };
        let mut continued = push(&mut statement.line, code, code_at, escape);
        while continued {
            let Some((line, at)) = lines.next()? else { break };
            let line = without_newline(line);
            match line.trim_start() {
                "" => statement.blank_line = statement.blank_line.or(Some(at)),
                code if code.starts_with('#') => {}
                _ => continued = push(&mut statement.line, line, at, escape),
            }
        }
        // A lone escape character makes an empty instruction.
        if statement.line.text().trim().is_empty() {
            continue;
        }
        statement.heredocs = heredocs(&statement.line, &mut lines, escape)?;
        statements.push(statement);
    }
    if statements.is_empty() {
        return Err(
            Fault::new(0, "the file has no instructions").hint("a Dockerfile begins with `FROM IMAGE`")
        );
    }
    Ok(Statements { directives: directives.found, statements })
}

/// Parses the text of a trigger of a base image, which must be one instruction; `at` is its `FROM`.
pub(in crate::frontend) fn read_trigger(text: &str, at: usize) -> Parsed<(Statement, char)> {
    let of_base =
        |fault: Fault| Fault { at, message: format!("in a trigger of the base: {}", fault.message), ..fault };
    let Statements { directives, statements } = read(text).map_err(of_base)?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([statement]) => {
            let line = statement.line.moved(at);
            Ok((Statement { line, blank_line: None, ..statement }, directives.escape))
        }
        Err(_) => Err(Fault::new(at, "a trigger of the base is not exactly one instruction")),
    }
}

/// Appends a physical line, and tells whether the next line continues it.
fn push(line: &mut Logical, text: &str, at: usize, escape: char) -> bool {
    let trimmed = text.trim_end_matches([' ', '\t']);
    let continued = trimmed.strip_suffix(escape).filter(|before| !before.ends_with(escape));
    line.push(continued.unwrap_or(text), at);
    continued.is_some()
}

/// Reads the bodies of the here-documents that a statement announces.
fn heredocs(line: &Logical, lines: &mut Lines<'_>, escape: char) -> Parsed<Vec<Heredoc>> {
    let (keyword, mut rest) = split::keyword(line.all());
    let mut name = keyword.text.to_ascii_uppercase();
    if name == "ONBUILD" {
        let (inner, inner_rest) = split::keyword(rest);
        (name, rest) = (inner.text.to_ascii_uppercase(), inner_rest);
    }
    let (_, arguments) = split::flags(rest, escape);
    let has_any =
        matches!(&*name, "RUN" | "COPY" | "ADD") && !matches!(split::json(arguments.text), Ok(Some(_)));
    let mut found = if has_any { announced(line.text()) } else { Vec::new() };
    for heredoc in &mut found {
        let mut body = String::new();
        heredoc.at = lines.at;
        loop {
            let Some((line, _)) = lines.next()? else {
                let fault = format!("the here-document `{}` is not terminated", heredoc.name);
                let hint = format!("end it with a line that has only `{}`", heredoc.name);
                return Err(Fault::new(keyword.at(0), fault).hint(hint));
            };
            if heredoc.ends_at(line) {
                break;
            }
            body.push_str(line);
        }
        heredoc.body = body;
    }
    Ok(found)
}

fn without_newline(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Physical lines with their newline, and the offset where each begins.
struct Lines<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Parsed<Option<(&'t str, usize)>> {
        let (at, rest) = (self.at, &self.text[self.at..]);
        let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        self.at += end;
        let line = &rest[..end];
        if without_newline(line).len() > LONGEST_LINE {
            return Err(Fault::new(at, format!("the line is longer than {LONGEST_LINE} bytes"))
                .hint(r"continue it on the next line with `\`"));
        }
        Ok((end > 0).then_some((line, at)))
    }
}
