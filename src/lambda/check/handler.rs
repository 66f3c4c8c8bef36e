//! The handler of an image on one of AWS's bases, and the names that its module defines.

use super::case::{Case, Member};
use super::doubt::defines_handler;
use super::facts::{Fact, Names};
use super::start::has_aws_entry;
use crate::lambda::BOOTSTRAP;
use crate::tree::Target;

/// The runtime of one of AWS's bases and its handler. `None` if the image has a wrapper or another bootstrap, which may
/// change the handler and the search path.
pub fn handled<'a>(case: &Case<'a>) -> Option<(&'static str, &'a str)> {
    let is_replaced = case.files.hidden().iter().any(|hidden| hidden.file.member.path == BOOTSTRAP[1..]);
    let is_wrapped = case.config.var("AWS_LAMBDA_EXEC_WRAPPER").is_some_and(|wrapper| !wrapper.is_empty());
    if !has_aws_entry(case) || is_replaced || is_wrapped {
        return None;
    }
    let (handler, runtime) = (case.handler()?, case.runtime());
    // An unknown layer may contain the runtime.
    if runtime.is_none() && !defines_handler(case, handler) && !case.is_certain() {
        return None;
    }
    Some((runtime?, handler))
}

/// Whether a program that opens this path may find a file.
pub fn is_file(case: &Case<'_>, path: &str) -> bool {
    match case.files.resolve(path).target {
        Target::Entry(found) => found.member.is_file() || found.member.is_hard_link(),
        Target::Directory | Target::Nothing | Target::Loop => false,
    }
}

/// The fault of a module that does not define `name`; `None` if it does, or if the names that it defines are unknown.
pub fn fault(module: &Member, name: &str) -> Option<String> {
    let names = module.facts().iter().find_map(|fact| match fact {
        Fact::Defines(Names::These(names)) => Some(names),
        _ => None,
    })?;
    if names.is_empty() {
        return Some(format!("this module has no {name:?} and defines no other names"));
    }
    if names.iter().any(|defined| [name, "__getattr__"].contains(&defined.as_str())) {
        return None;
    }
    let first = names[..names.len().min(5)].join(", ");
    let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
    Some(format!("this module has no {name:?}; it defines {first}{more}"))
}
