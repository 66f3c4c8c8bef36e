//! From a text to commands.

use super::super::refusal::{Attempt, Refusal, Span};
use super::words::{Part, Reader, ShellWord, name_length};

/// A command before its words are expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleCommand {
    pub span: Span,
    pub assignments: Vec<Assignment>,
    pub words: Vec<ShellWord>,
    pub redirections: Vec<Redirection>,
}

/// `NAME=VALUE` in front of a command, or alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub value: ShellWord,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    pub span: Span,
    /// 1 is the output, 2 the messages.
    pub descriptor: u32,
    pub to: RedirectionTarget,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectionTarget {
    File { append: bool, path: ShellWord },
    Descriptor(u32),
}

/// Reads the chains of commands: `&&` joins the commands of a chain, `;` and the end of a line end it.
pub fn parse(text: &str) -> Attempt<Vec<Vec<SimpleCommand>>> {
    let mut reader = Reader { text, at: 0 };
    let mut chains: Vec<Vec<SimpleCommand>> = Vec::new();
    let mut chain: Vec<SimpleCommand> = Vec::new();
    // The `&&` after which a command must follow.
    let mut open: Option<Refusal> = None;
    loop {
        skip(&mut reader, true);
        if reader.rest().is_empty() {
            break;
        }
        open = None;
        chain.push(command(&mut reader)?);
        let operator = reader.refuse(2, "has no command after it");
        if reader.take("&&") {
            open = Some(operator);
        } else {
            check_end(&mut reader)?;
            chains.push(std::mem::take(&mut chain));
        }
    }
    match open {
        Some(refusal) => Err(refusal),
        None => Ok(chains),
    }
}

/// Skips blanks and comments, and ends of lines where they mean nothing.
fn skip(reader: &mut Reader<'_>, newlines: bool) {
    loop {
        reader.skip_blanks();
        if reader.rest().starts_with('#') {
            let end = reader.rest().find('\n').unwrap_or(reader.rest().len());
            reader.at += end;
        }
        if !(newlines && reader.take("\n")) {
            return;
        }
    }
}

/// The end of a chain.
fn check_end(reader: &mut Reader<'_>) -> Attempt<()> {
    let reason = match reader.peek() {
        None | Some('\n') => return Ok(()),
        Some(';') if !reader.rest().starts_with(";;") => {
            reader.at += 1;
            return Ok(());
        }
        Some('|') if reader.rest().starts_with("||") => {
            return Err(reader.refuse(2, "depends on the failure of a command"));
        }
        Some('|') => "passes the output of one program to another",
        Some('&') => "starts a process in the background",
        Some('(' | ')') => "is for subshells and functions",
        _ => "is not translated",
    };
    Err(reader.refuse(1, reason))
}

fn command(reader: &mut Reader<'_>) -> Attempt<SimpleCommand> {
    let start = reader.at;
    let mut command = SimpleCommand {
        span: Span::new(start, start),
        assignments: Vec::new(),
        words: Vec::new(),
        redirections: Vec::new(),
    };
    loop {
        skip(reader, false);
        match reader.peek() {
            None | Some('\n' | ';' | '&' | '|' | '(' | ')') => break,
            Some('<') => return Err(reader.refuse(1, "gives a program an input")),
            Some('>') => command.redirections.push(redirection(reader, None)?),
            Some(_) => {
                let word = reader.word()?;
                match (descriptor(reader, &word)?, assignment(&word)) {
                    (Some(descriptor), _) => {
                        command.redirections.push(redirection(reader, Some((descriptor, word.span.start)))?);
                    }
                    (None, Some(assignment)) if command.words.is_empty() => {
                        command.assignments.push(assignment);
                    }
                    (None, _) => command.words.push(word),
                }
            }
        }
        command.span.end = reader.at;
    }
    if command.span.end == start {
        check_end(reader)?;
        return Err(Span::new(start, reader.at).refuse("follows no command"));
    }
    Ok(command)
}

/// The number before a redirection, if the word is one.
fn descriptor(reader: &Reader<'_>, word: &ShellWord) -> Attempt<Option<u32>> {
    let written = &reader.text[word.span.start..word.span.end];
    if !reader.rest().starts_with(['<', '>']) {
        return Ok(None);
    }
    if written.ends_with("\\\n") {
        return Err(word.span.refuse("is continued before a redirection"));
    }
    match (written.bytes().all(|byte| byte.is_ascii_digit()), written.len()) {
        (true, 1) => written.parse().map(Some).map_err(|_| word.span.refuse("is not a descriptor")),
        (true, _) => Err(word.span.refuse("is a descriptor in some shells only")),
        (false, _) => Ok(None),
    }
}

/// A redirection. `number` is its descriptor and where that stands.
fn redirection(reader: &mut Reader<'_>, number: Option<(u32, usize)>) -> Attempt<Redirection> {
    let start = number.map_or(reader.at, |(_, at)| at);
    let whole = |reader: &Reader<'_>| Span::new(start, reader.at);
    if !reader.take(">") {
        return Err(reader.refuse(1, "gives a program an input"));
    }
    let (append, copies) = (reader.take(">"), reader.take("&"));
    if reader.peek().is_some_and(|c| matches!(c, '|' | '<' | '>' | '&' | '(')) || append && copies {
        return Err(reader.refuse(1, "is a redirection that is not translated"));
    }
    reader.skip_blanks();
    if reader.peek().is_none_or(|c| matches!(c, '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' | '#')) {
        return Err(whole(reader).refuse("has no target"));
    }
    let path = reader.word()?;
    if reader.rest().starts_with(['<', '>']) {
        return Err(path.span.refuse("is followed by another redirection"));
    }
    let to = match copies {
        false => RedirectionTarget::File { append, path },
        true => match &reader.text[path.span.start..path.span.end] {
            "1" => RedirectionTarget::Descriptor(1),
            "2" => RedirectionTarget::Descriptor(2),
            _ => return Err(whole(reader).refuse("is a redirection that is not translated")),
        },
    };
    let descriptor = number.map_or(1, |(descriptor, _)| descriptor);
    Ok(Redirection { span: whole(reader), descriptor, to })
}

/// The assignment that a word is.
fn assignment(word: &ShellWord) -> Option<Assignment> {
    let Some(Part::Text { text, quoted: false }) = word.parts.first() else { return None };
    let length = name_length(text);
    let value = text[length..].strip_prefix('=').filter(|_| length > 0)?;
    let first = Part::Text { text: value.to_owned(), quoted: false };
    let first = Some(first).filter(|_| !value.is_empty());
    let parts = first.into_iter().chain(word.parts[1..].iter().cloned()).collect();
    Some(Assignment { name: text[..length].to_owned(), value: ShellWord { span: word.span, parts } })
}
