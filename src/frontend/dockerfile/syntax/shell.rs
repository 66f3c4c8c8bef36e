//! Quotes, escapes and variables in words, as BuildKit's `shell.Lex` defines them.

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::Pattern;

/// The deepest nesting of `${a:-${b:-…}}`.
const DEEPEST: usize = 32;

/// The most bytes that one word may read of values and make by substitutions: variables that contain each other twice
/// grow exponentially. Linux has no variable that is longer than an eighth of it, and no word takes longer than some
/// hundredths of a second.
const LONGEST: usize = 1 << 20;

/// The number of comparisons of a pattern with a value that take as long as copying one byte of a value.
const COMPARISONS: usize = 16;

/// The variables that a word may use.
pub(in crate::frontend) trait Variables {
    fn get(&self, name: &str) -> Option<&str>;
}

/// No variables.
impl Variables for () {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// How a word is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::frontend) struct Lexer {
    /// The escape character: `\`, or as the directive `escape` sets it.
    pub escape: char,
    /// Whether quotes stay in the result.
    pub keep_quotes: bool,
    /// Whether escape characters stay in the result.
    pub keep_escapes: bool,
    /// Whether quotes have no meaning, as in the body of a here-document.
    pub quotes_are_text: bool,
    /// Whether variables that are not set stay as they are written.
    pub keep_unset: bool,
}

/// A word after expansion.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::frontend) struct Expanded {
    pub text: String,
    /// The text split at unquoted blanks, those in values of variables included.
    pub words: Vec<String>,
    /// Names of variables that were used and are not set.
    pub unset: Vec<String>,
    /// The length of all values that were read or made, which the result may not contain.
    pub read: usize,
}

impl Lexer {
    pub fn new(escape: char) -> Lexer {
        Lexer { escape, keep_quotes: false, keep_escapes: false, quotes_are_text: false, keep_unset: false }
    }

    /// Expands `word`. The error is a message without the word.
    pub fn expand(&self, word: &str, variables: &dyn Variables) -> Result<Expanded, String> {
        let mut reading = Reading {
            lexer: self,
            chars: word.chars().peekable(),
            variables,
            keep_escapes: self.keep_escapes,
            depth: 0,
            unset: Vec::new(),
            read: 0,
        };
        let (text, words) = reading.until(None)?;
        Ok(Expanded { text, words: words.finish(), unset: reading.unset, read: reading.read })
    }
}

struct Reading<'r> {
    lexer: &'r Lexer,
    chars: Peekable<Chars<'r>>,
    variables: &'r dyn Variables,
    keep_escapes: bool,
    depth: usize,
    unset: Vec<String>,
    read: usize,
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: Option<String>,
}

impl Words {
    fn quoted(&mut self, text: &str) {
        self.current.get_or_insert_default().push_str(text);
    }

    fn push(&mut self, c: char) {
        match c.is_whitespace() {
            // An empty word is not a word, even if it was quoted.
            true => self.done.extend(self.current.take().filter(|word| !word.is_empty())),
            false => self.current.get_or_insert_default().push(c),
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.done.extend(self.current.take().filter(|word| !word.is_empty()));
        self.done
    }
}

type Read<T> = Result<T, String>;

impl Reading<'_> {
    /// Reads up to `stop`, or to the end.
    fn until(&mut self, stop: Option<char>) -> Read<(String, Words)> {
        let (mut out, mut words) = (String::new(), Words::default());
        while let Some(&c) = self.chars.peek() {
            if Some(c) == stop {
                self.chars.next();
                return Ok((out, words));
            }
            match c {
                '\'' | '"' if !self.lexer.quotes_are_text => {
                    let text = if c == '\'' { self.single_quoted()? } else { self.double_quoted()? };
                    words.quoted(&text);
                    out.push_str(&text);
                }
                '$' => {
                    let text = self.dollar()?;
                    text.chars().for_each(|c| words.push(c));
                    out.push_str(&text);
                }
                '<' => {
                    let text = self.less_than();
                    words.quoted(&text);
                    out.push_str(&text);
                }
                c if c == self.lexer.escape => {
                    self.chars.next();
                    let mut text = String::new();
                    if self.keep_escapes {
                        text.push(c);
                    }
                    text.extend(self.chars.next());
                    if !text.is_empty() {
                        words.quoted(&text);
                    }
                    out.push_str(&text);
                }
                c => {
                    self.chars.next();
                    words.push(c);
                    out.push(c);
                }
            }
        }
        match stop {
            None => Ok((out, words)),
            Some(stop) => Err(format!("`{stop}` is missing after `${{`")),
        }
    }

    fn single_quoted(&mut self) -> Read<String> {
        let mut out = String::new();
        let quote = self.chars.next().filter(|_| self.lexer.keep_quotes);
        out.extend(quote);
        loop {
            match self.chars.next() {
                None => return Err("a single quote is not closed".into()),
                Some('\'') => break,
                Some(c) => out.push(c),
            }
        }
        out.extend(quote);
        Ok(out)
    }

    fn double_quoted(&mut self) -> Read<String> {
        let mut out = String::new();
        let quote = self.chars.next().filter(|_| self.lexer.keep_quotes);
        out.extend(quote);
        loop {
            match self.chars.peek() {
                None => return Err("a double quote is not closed".into()),
                Some('"') => {
                    self.chars.next();
                    out.extend(quote);
                    return Ok(out);
                }
                Some('$') => out.push_str(&self.dollar()?),
                Some(&c) => {
                    self.chars.next();
                    let escaped = self.chars.peek().copied();
                    match escaped {
                        Some(next) if c == self.lexer.escape && (next == '"' || next == '$' || next == c) => {
                            out.extend(Some(c).filter(|_| self.keep_escapes));
                            out.push(next);
                            self.chars.next();
                        }
                        _ => out.push(c),
                    }
                }
            }
        }
    }

    /// `<<` and the blanks after it stay in one word: they may begin a here-document.
    fn less_than(&mut self) -> String {
        self.chars.next();
        let mut out = String::from("<");
        if self.chars.next_if_eq(&'<').is_some() {
            out.push('<');
            while let Some(blank) = self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')) {
                out.push(blank);
            }
        }
        out
    }

    fn dollar(&mut self) -> Read<String> {
        self.chars.next();
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".into());
            }
            return Ok(self.value(&name)?.unwrap_or_else(|| self.unset_as(|| format!("${name}"))));
        }
        if matches!(self.chars.peek(), None | Some('{' | '}' | ':')) {
            return Err("bad substitution: `${` without a name".into());
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("`${{` is nested more than {DEEPEST} times"));
        }
        let name = self.name();
        let value = self.braced(&name);
        self.depth -= 1;
        value
    }

    /// The rest of `${NAME…}`, after the name.
    fn braced(&mut self, name: &str) -> Read<String> {
        match self.chars.next() {
            None => Err("`}` is missing after `${`".into()),
            Some('}') => Ok(self.value(name)?.unwrap_or_else(|| self.unset_as(|| format!("${{{name}}}")))),
            Some(':') => match self.chars.next() {
                Some(sign @ ('-' | '+' | '?')) => self.alternative(name, sign, true),
                other => Err(unsupported(&format!(":{}", other.map(String::from).unwrap_or_default()))),
            },
            Some(sign @ ('-' | '+' | '?')) => self.alternative(name, sign, false),
            Some(sign @ ('#' | '%')) => self.trimmed(name, sign),
            Some('/') => self.replaced(name),
            Some(other) => Err(unsupported(&other.to_string())),
        }
    }

    fn alternative(&mut self, name: &str, sign: char, empty_is_unset: bool) -> Read<String> {
        let word = self.part('}', false)?;
        // The word says what to do about a variable that is not set.
        let value = self.read(name)?;
        if value.is_none() && self.lexer.keep_unset {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{sign}{word}}}"));
        }
        let is_set = value.is_some();
        let value = value.filter(|value| !(empty_is_unset && value.is_empty()));
        match (sign, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) if !word.is_empty() => Err(format!("{name}: {word}")),
            (_, None) if is_set => Err(format!("{name}: is not allowed to be empty")),
            (_, None) => Err(format!("{name}: is not allowed to be unset")),
        }
    }

    fn trimmed(&mut self, name: &str, sign: char) -> Read<String> {
        let word = self.part('}', true)?;
        let Some(value) = self.value(name)? else {
            return Ok(self.unset_as(|| format!("${{{name}{sign}{word}}}")));
        };
        let (pattern, longest) = match word.strip_prefix(sign) {
            Some(pattern) => (pattern, true),
            None => (&*word, false),
        };
        self.count(value.len() / COMPARISONS * pattern.len())?;
        let pattern = Pattern::parse(pattern)?;
        Ok(match sign {
            '#' => pattern.without_prefix(&value, longest),
            _ => pattern.without_suffix(&value, longest),
        })
    }

    fn replaced(&mut self, name: &str) -> Read<String> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.part('/', true)?;
        let replacement = self.part('}', true)?;
        let Some(value) = self.value(name)? else {
            return Ok(self.unset_as(|| format!("${{{name}/{pattern}/{replacement}}}")));
        };
        self.count(value.len() / COMPARISONS * pattern.len())?;
        let replaced = Pattern::parse(&pattern)?.replace(&value, &replacement, all, LONGEST);
        let replaced = replaced.ok_or_else(too_long)?;
        self.count(replaced.len())?;
        Ok(replaced)
    }

    fn part(&mut self, stop: char, keep_escapes: bool) -> Read<String> {
        let before = std::mem::replace(&mut self.keep_escapes, keep_escapes);
        let read = self.until(Some(stop));
        self.keep_escapes = before;
        Ok(read?.0)
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn value(&mut self, name: &str) -> Read<Option<String>> {
        let value = self.read(name)?;
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        Ok(value)
    }

    fn read(&mut self, name: &str) -> Read<Option<String>> {
        let Some(value) = self.variables.get(name) else { return Ok(None) };
        self.count(value.len())?;
        Ok(Some(value.to_owned()))
    }

    /// Counts bytes before they are added anywhere. All other bytes of a result are in the word itself.
    fn count(&mut self, bytes: usize) -> Read<()> {
        self.read += bytes;
        if self.read > LONGEST { Err(too_long()) } else { Ok(()) }
    }

    fn unset_as(&self, written: impl Fn() -> String) -> String {
        if self.lexer.keep_unset { written() } else { String::new() }
    }
}

fn too_long() -> String {
    format!("the values in it are longer than {} MiB", LONGEST >> 20)
}

fn unsupported(modifier: &str) -> String {
    format!("unsupported modifier `{modifier}` in a substitution")
}
