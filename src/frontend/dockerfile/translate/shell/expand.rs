//! Words to fields: variables replaced, unquoted ones split at blanks, patterns marked.

use super::super::refusal::{Attempt, Refusal, Span};
use super::pattern;
use super::variables::ShellVariables;
use super::words::{Part, ShellWord};

/// A word after expansion, as a command gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub span: Span,
    pub text: String,
    /// If characters of a pattern are not quoted: the pattern, in which a backslash quotes the next character.
    pub pattern: Option<String>,
}

impl Field {
    pub fn refuse(&self, reason: impl Into<String>) -> Refusal {
        self.span.refuse(reason)
    }

    /// The text of a field that must not be a pattern.
    pub fn plain(&self) -> Attempt<&str> {
        match self.pattern {
            None => Ok(&self.text),
            Some(_) => Err(self.refuse("is a pattern, in a place for one word")),
        }
    }
}

/// A field on its way.
#[derive(Default)]
struct Draft {
    text: String,
    pattern: String,
    is_pattern: bool,
}

struct Expansion<'v, 'e> {
    variables: &'v mut ShellVariables<'e>,
    span: Span,
    fields: Vec<Field>,
    draft: Option<Draft>,
}

/// The fields of a word: none, one or several.
pub fn expand(word: &ShellWord, variables: &mut ShellVariables<'_>) -> Attempt<Vec<Field>> {
    let mut expansion = Expansion { variables, span: word.span, fields: Vec::new(), draft: None };
    expansion.parts(&word.parts)?;
    expansion.end_field()?;
    Ok(expansion.fields)
}

/// The value that an assignment gives: one text, in which shells expand no pattern and split nothing.
pub fn value(word: &ShellWord, variables: &mut ShellVariables<'_>) -> Attempt<String> {
    fn quoted(parts: &[Part]) -> Vec<Part> {
        let quote = |part: &Part| match part.clone() {
            Part::Variable { span, name, mut alternative, .. } => {
                if let Some(alternative) = &mut alternative {
                    alternative.parts = quoted(&alternative.parts);
                }
                Part::Variable { span, name, alternative, quoted: true }
            }
            text @ Part::Text { .. } => text,
        };
        parts.iter().map(quote).collect()
    }
    let word = ShellWord { span: word.span, parts: quoted(&word.parts) };
    match &mut *expand(&word, variables)? {
        [] => Ok(String::new()),
        [field] => Ok(field.plain()?.to_owned()),
        _ => Err(word.span.refuse("is several words, in a place for one")),
    }
}

impl Expansion<'_, '_> {
    fn parts(&mut self, parts: &[Part]) -> Attempt<()> {
        for part in parts {
            match part {
                Part::Text { text, quoted } => self.push(text, *quoted),
                Part::Variable { span, name, alternative, quoted } => {
                    let value = self.variables.get(name, *span)?;
                    let is_set = match (value, alternative) {
                        (Some(value), Some(alternative)) => !(alternative.or_empty && value.is_empty()),
                        (value, _) => value.is_some(),
                    };
                    match alternative {
                        Some(alternative) if alternative.if_set == is_set => {
                            self.parts(&alternative.parts)?
                        }
                        Some(alternative) if alternative.if_set => {}
                        None if !is_set && self.variables.nounset => {
                            return Err(span.refuse("is not set, which ends the line after `set -u`"));
                        }
                        _ => {
                            let value = value.unwrap_or_default().to_owned();
                            self.value(&value, *span, *quoted)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &str, span: Span, quoted: bool) -> Attempt<()> {
        self.variables.spend(value.len(), span)?;
        if quoted {
            self.push(value, true);
            return Ok(());
        }
        if value.contains('\\') {
            return Err(span.refuse("has a backslash in its value, so it needs double quotes"));
        }
        let is_blank = |c| matches!(c, ' ' | '\t' | '\n');
        let mut rest = value;
        while !rest.is_empty() {
            let end = rest.find(is_blank).unwrap_or(rest.len());
            if end > 0 {
                self.push(&rest[..end], false);
            }
            rest = &rest[end..];
            let word = rest.trim_start_matches(is_blank);
            if word.len() < rest.len() {
                self.end_field()?;
            }
            rest = word;
        }
        Ok(())
    }

    fn push(&mut self, text: &str, quoted: bool) {
        let draft = self.draft.get_or_insert_default();
        draft.text.push_str(text);
        for c in text.chars() {
            // The last three are special in brackets.
            let is_special = matches!(c, '*' | '?' | '[' | ']' | '\\' | '-' | '!' | '^');
            if is_special && quoted {
                draft.pattern.push('\\');
            }
            draft.pattern.push(c);
            draft.is_pattern |= !quoted && matches!(c, '*' | '?' | '[');
        }
    }

    fn end_field(&mut self) -> Attempt<()> {
        let Some(Draft { text, pattern, is_pattern }) = self.draft.take() else { return Ok(()) };
        let pattern = Some(pattern).filter(|_| is_pattern);
        if let Some(pattern) = &pattern {
            pattern::check_path(pattern).map_err(|reason| self.span.refuse(reason))?;
        }
        self.fields.push(Field { span: self.span, text, pattern });
        Ok(())
    }
}
