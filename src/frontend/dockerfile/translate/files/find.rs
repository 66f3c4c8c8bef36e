//! `find`, with tests of which all must hold, and one action at the end.

use std::iter::Peekable;
use std::slice::Iter;

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::super::shell::pattern;
use super::mode;
use crate::recipe::{Find, FindAction, FindIs, FindTest, Operation};

const RM: &[Known] = &[(&["recursive", "r", "R"], Takes::Nothing), (&["force", "f"], Takes::Nothing)];

const CHMOD: &[Known] = &[(&["recursive", "R"], Takes::Nothing)];

/// The deepest nesting of parentheses.
const DEEPEST: usize = 8;

/// The arguments that are not read yet.
struct Expression<'f> {
    fields: Peekable<Iter<'f, Field>>,
    min_depth: Option<usize>,
    max_depth: Option<usize>,
    /// Whether a root is `.` or `..`, which `rm` does not remove.
    has_dot: bool,
}

pub fn find(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let begins_expression = |field: &Field| field.text.starts_with('-') || matches!(&*field.text, "(" | "!");
    let count = command.arguments.iter().position(begins_expression).unwrap_or(command.arguments.len());
    let (roots, fields) = command.arguments.split_at(count);
    let here = Field { span: command.span, text: ".".to_owned(), pattern: None };
    let roots = if roots.is_empty() { std::slice::from_ref(&here) } else { roots };
    let has_dot = roots.iter().any(|root| matches!(root.text.rsplit('/').next(), Some("" | "." | "..")));
    let roots = roots.iter().map(|root| context.tree(root)).collect::<Attempt<Vec<_>>>()?;
    let fields = fields.iter().peekable();
    let mut expression = Expression { fields, min_depth: None, max_depth: None, has_dot };
    let mut tests = Vec::new();
    let mut action = None;
    while let Some(field) = expression.fields.peek().copied() {
        if action.is_some() {
            return Err(field.refuse("follows the action of find"));
        }
        action = expression.action(&tests)?;
        if action.is_none() {
            tests.extend(expression.test(0)?);
        }
    }
    let Expression { min_depth, max_depth, .. } = expression;
    let action = action.unwrap_or(FindAction::Print);
    Ok(vec![Operation::Find(Find { roots, min_depth, max_depth, tests, action })])
}

impl<'f> Expression<'f> {
    /// The value of the argument `of`.
    fn next(&mut self, of: &Field) -> Attempt<&'f Field> {
        let field =
            self.fields.next().ok_or_else(|| of.refuse("is an argument of find without its value"))?;
        match field.pattern {
            None => Ok(field),
            Some(_) => Err(field.refuse("is expanded by the shell: quote it")),
        }
    }

    /// The test here; `None`: an option, which holds for the whole search.
    fn test(&mut self, depth: usize) -> Attempt<Option<FindTest>> {
        let mut not = false;
        loop {
            let Some(field) = self.fields.next() else { return Ok(None) };
            let is = match field.plain()? {
                "!" | "-not" => {
                    not = !not;
                    match self.fields.peek() {
                        None => return Err(field.refuse("has no test after it")),
                        Some(_) => continue,
                    }
                }
                "-name" => FindIs::Name(self.pattern(field)?),
                "-iname" => FindIs::AnyCaseName(self.pattern(field)?),
                "-path" | "-wholename" => FindIs::Path(self.pattern(field)?),
                "-empty" => FindIs::Empty,
                "-type" => match &*self.next(field)?.text {
                    "f" => FindIs::File,
                    "d" => FindIs::Directory,
                    "l" => FindIs::Link,
                    _ => return Err(field.refuse("is translated with f, d and l only")),
                },
                "(" if depth < DEEPEST => FindIs::Any(self.any(field, depth)?),
                name @ ("-mindepth" | "-maxdepth") if depth == 0 && !not => {
                    let value = self.next(field)?;
                    let levels = value.text.parse().map_err(|_| value.refuse("is not a number of levels"))?;
                    let kept = if name == "-mindepth" { &mut self.min_depth } else { &mut self.max_depth };
                    return match kept.replace(levels) {
                        None => Ok(None),
                        Some(_) => Err(field.refuse("is given twice")),
                    };
                }
                "-a" | "-and" if depth == 0 && !not && self.fields.peek().is_some() => continue,
                _ => return Err(field.refuse("is not a translated argument of find")),
            };
            return Ok(Some(FindTest { not, is }));
        }
    }

    /// Tests between parentheses, with `-o` between them.
    fn any(&mut self, open: &Field, depth: usize) -> Attempt<Vec<FindTest>> {
        let unclosed = || open.refuse("has no `)`");
        let mut tests = Vec::new();
        loop {
            let test = self.test(depth + 1)?.ok_or_else(unclosed)?;
            tests.push(test);
            let field = self.fields.next().ok_or_else(unclosed)?;
            match &*field.text {
                ")" => return Ok(tests),
                "-o" | "-or" => {}
                _ => return Err(field.refuse("is translated in parentheses only after -o")),
            }
        }
    }

    fn pattern(&mut self, of: &Field) -> Attempt<String> {
        let field = self.next(of)?;
        let text = &*field.text;
        match pattern::check_name(text) {
            _ if text.contains('\\') => Err(field.refuse("has a backslash in a pattern")),
            Err(reason) => Err(field.refuse(reason)),
            Ok(()) => Ok(text.to_owned()),
        }
    }

    /// The action here, if there is one.
    fn action(&mut self, tests: &[FindTest]) -> Attempt<Option<FindAction>> {
        let Some(field) = self.fields.peek().copied() else { return Ok(None) };
        let action = match &*field.text {
            "-print" => FindAction::Print,
            "-delete" => FindAction::Delete,
            "-exec" => {
                self.fields.next();
                return self.exec(field, tests).map(Some);
            }
            _ => return Ok(None),
        };
        self.fields.next();
        Ok(Some(action))
    }

    fn exec(&mut self, exec: &Field, tests: &[FindTest]) -> Attempt<FindAction> {
        let mut words: Vec<Field> = Vec::new();
        let at_once = loop {
            let field = self.next(exec)?;
            match &*field.text {
                ";" => break false,
                "+" if words.last().is_some_and(|word| word.text == "{}") => break true,
                _ => words.push(field.clone()),
            }
        };
        let [name, arguments @ .., file] = &*words else {
            return Err(exec.refuse("has no program and no file"));
        };
        if file.text != "{}" || arguments.iter().any(|word| word.text.contains("{}")) {
            return Err(exec.refuse("is translated with {} at the end only"));
        }
        let command = Command {
            span: exec.span,
            name: &name.text,
            by_path: false,
            has_directory: false,
            arguments,
            output: None,
            messages_to_file: false,
        };
        match &*name.text {
            "rm" if self.has_dot
                && self.min_depth.is_none_or(|depth| depth == 0)
                && !tests.iter().any(is_named) =>
            {
                Err(name.refuse("may get `.`, which it does not remove"))
            }
            "rm" => remove(&command, tests, at_once),
            "chmod" => {
                let arguments = parse(&command, CHMOD)?;
                let mode = mode::mode(arguments.operand(&command)?)?;
                Ok(FindAction::SetMode { mode, recursive: arguments.has("recursive"), each: !at_once })
            }
            _ => Err(name.refuse("is not translated after -exec")),
        }
    }
}

/// Whether only files with a certain name, which is not `.`, pass a test, or only such that are no directories.
fn is_named(test: &FindTest) -> bool {
    let has_letter =
        |pattern: &str| !pattern.contains('[') && pattern.contains(|c: char| c.is_alphanumeric());
    let is = match &test.is {
        FindIs::Name(pattern) | FindIs::AnyCaseName(pattern) => has_letter(pattern),
        FindIs::File | FindIs::Link => true,
        _ => false,
    };
    is && !test.not
}

/// `rm` of what is found. With `;`, find looks into a directory that is gone already, and fails.
fn remove(command: &Command<'_>, tests: &[FindTest], at_once: bool) -> Attempt<FindAction> {
    let arguments = parse(command, RM)?;
    if let Some(operand) = arguments.operands.first() {
        return Err(operand.refuse("is removed for each file that is found"));
    }
    let recursive = arguments.has("recursive");
    let only_files = tests.iter().any(|test| !test.not && matches!(test.is, FindIs::File | FindIs::Link));
    match only_files || recursive && at_once {
        true => Ok(FindAction::Remove { recursive, force: arguments.has("force"), each: !at_once }),
        false => Err(command.refuse("may get directories, for which it fails")),
    }
}
