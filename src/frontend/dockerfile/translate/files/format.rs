//! The format of `printf`, as far as all shells agree.

use super::super::refusal::{Attempt, Refusal};
use super::super::shell::expand::Field;

/// A part of a format.
enum Directive {
    Text(String),
    /// `%s`
    String,
    /// `%d`
    Number,
}

/// The most bytes that are printed for one command.
const MOST: usize = 1 << 20;

/// The text that is printed: the format is used again while arguments are left.
pub fn print(format: &Field, arguments: &[Field]) -> Attempt<String> {
    let directives = directives(format)?;
    let takes = directives.iter().filter(|directive| !matches!(directive, Directive::Text(_))).count();
    let mut arguments = arguments.iter();
    let mut printed = String::new();
    loop {
        for directive in &directives {
            match directive {
                Directive::Text(text) => printed.push_str(text),
                Directive::String => printed.push_str(arguments.next().map_or(Ok(""), Field::plain)?),
                Directive::Number => match arguments.next() {
                    None => printed.push('0'),
                    Some(field) => printed.push_str(number(field)?),
                },
            }
        }
        if printed.len() > MOST {
            return Err(format.refuse("prints too much"));
        }
        if arguments.len() == 0 || takes == 0 {
            arguments.try_for_each(|field| field.plain().map(drop))?;
            return Ok(printed);
        }
    }
}

/// A decimal number, without what is an octal number to some.
fn number(field: &Field) -> Attempt<&str> {
    let text = field.plain()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    match is_decimal && !digits.starts_with('0') || text == "0" {
        true => Ok(text),
        false => Err(field.refuse("is not a plain number")),
    }
}

fn directives(format: &Field) -> Attempt<Vec<Directive>> {
    let text = format.plain()?;
    if text.starts_with('-') {
        return Err(format.refuse("is an option of printf"));
    }
    let unknown = || format.refuse("has a directive or an escape that is not translated");
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let directive = match c {
            '\\' => {
                literal.push(escape(&mut chars, unknown)?);
                continue;
            }
            '%' => match chars.next().ok_or_else(unknown)? {
                '%' => {
                    literal.push('%');
                    continue;
                }
                's' => Directive::String,
                'd' => Directive::Number,
                _ => return Err(unknown()),
            },
            c => {
                literal.push(c);
                continue;
            }
        };
        found.push(Directive::Text(std::mem::take(&mut literal)));
        found.push(directive);
    }
    found.push(Directive::Text(literal));
    Ok(found)
}

/// The character after a backslash: a letter, or up to three octal digits.
fn escape(chars: &mut std::str::Chars<'_>, unknown: impl Fn() -> Refusal) -> Attempt<char> {
    let first = chars.next().ok_or_else(&unknown)?;
    Ok(match first {
        'n' => '\n',
        't' => '\t',
        '\\' => '\\',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'r' => '\r',
        'v' => '\u{b}',
        '0'..='7' => {
            let is_octal = |byte: &&u8| matches!(byte, b'0'..=b'7');
            let more = chars.as_str().as_bytes().iter().take(2).take_while(is_octal).count();
            let (digits, rest) = chars.as_str().split_at(more);
            let value = u32::from_str_radix(&format!("{first}{digits}"), 8).map_err(|_| unknown())?;
            *chars = rest.chars();
            // A larger byte may be half of a character.
            char::from_u32(value).filter(char::is_ascii).ok_or_else(unknown)?
        }
        _ => return Err(unknown()),
    })
}
