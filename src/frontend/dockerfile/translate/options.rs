//! Options of commands, as getopt_long reads them in GNU coreutils and in busybox: several letters in one word, values
//! in the same word or the next, options after operands, `--`.

use super::command::Command;
use super::refusal::Attempt;
use super::shell::expand::Field;

/// An option that a translator knows: its names, of which those with one letter are short, and whether it has a value.
/// An option is reported by its first name.
pub(super) type Known = (&'static [&'static str], Takes);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
}

/// An option of a command.
#[derive(Clone, Debug)]
pub(super) struct Given<'f> {
    pub name: &'static str,
    pub value: Option<Field>,
    /// The word that it stands in.
    pub field: &'f Field,
}

/// The arguments of a command.
#[derive(Debug)]
pub(super) struct Arguments<'f> {
    /// In order.
    pub options: Vec<Given<'f>>,
    pub operands: Vec<&'f Field>,
}

/// Reads the arguments. An option that is not in `known` is refused.
pub(super) fn parse<'f>(command: &Command<'f>, known: &[Known]) -> Attempt<Arguments<'f>> {
    let mut found = Arguments { options: Vec::new(), operands: Vec::new() };
    let mut fields = command.arguments.iter();
    while let Some(field) = fields.next() {
        match &*field.text {
            "--" => {
                found.operands.extend(fields);
                break;
            }
            text if text.starts_with("--") => {
                let (name, value) = match field.plain()?[2..].split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (&text[2..], None),
                };
                let (name, takes) = find(known, name, name.len() > 1, field, command)?;
                let value = match (takes, value) {
                    (Takes::Value, Some(value)) => Some(part(field, value)),
                    (Takes::Value, None) => Some(next(&mut fields, field)?),
                    (Takes::Nothing, None) => None,
                    (Takes::Nothing, Some(_)) => return Err(field.refuse("is an option without a value")),
                };
                found.options.push(Given { name, value, field });
            }
            text if text.len() > 1 && text.starts_with('-') => {
                letters(&mut found, known, field, &mut fields, command)?;
            }
            _ => found.operands.push(field),
        }
    }
    Ok(found)
}

/// The options of one word: `-rf`, `-m755`.
fn letters<'f>(
    found: &mut Arguments<'f>,
    known: &[Known],
    field: &'f Field,
    fields: &mut std::slice::Iter<'f, Field>,
    command: &Command<'_>,
) -> Attempt<()> {
    let text = field.plain()?;
    for (at, letter) in text.char_indices().skip(1) {
        let rest = &text[at + letter.len_utf8()..];
        let (name, takes) = find(known, letter.encode_utf8(&mut [0; 4]), true, field, command)?;
        let value = match takes {
            Takes::Nothing => None,
            Takes::Value if rest.is_empty() => Some(next(fields, field)?),
            Takes::Value => Some(part(field, rest)),
        };
        found.options.push(Given { name, value, field });
        if takes == Takes::Value {
            break;
        }
    }
    Ok(())
}

fn find(
    known: &[Known],
    name: &str,
    is_right_form: bool,
    field: &Field,
    command: &Command<'_>,
) -> Attempt<(&'static str, Takes)> {
    let found = known.iter().find(|(names, _)| is_right_form && names.contains(&name));
    let found = found.map(|(names, takes)| (names[0], *takes));
    found.ok_or_else(|| field.refuse(format!("is not a translated option of {}", command.name)))
}

fn next(fields: &mut std::slice::Iter<'_, Field>, option: &Field) -> Attempt<Field> {
    let value = fields.next().ok_or_else(|| option.refuse("is an option without its value"))?;
    value.plain()?;
    Ok(value.clone())
}

fn part(field: &Field, text: &str) -> Field {
    Field { span: field.span, text: text.to_owned(), pattern: None }
}

impl<'f> Arguments<'f> {
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name)
    }

    /// The last value of an option.
    pub fn value(&self, name: &str) -> Option<&Field> {
        self.options.iter().rev().find(|option| option.name == name).and_then(|option| option.value.as_ref())
    }

    /// The operands, of which there must be one at least.
    pub fn some_operands(&self, command: &Command<'_>) -> Attempt<&[&'f Field]> {
        match &*self.operands {
            [] => Err(command.refuse("has no operand")),
            operands => Ok(operands),
        }
    }

    /// The only operand.
    pub fn operand(&self, command: &Command<'_>) -> Attempt<&'f Field> {
        match &*self.operands {
            [operand] => Ok(operand),
            _ => Err(command.refuse("is translated with one operand only")),
        }
    }
}
