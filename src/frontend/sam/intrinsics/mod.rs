//! The value of a field, with its intrinsic functions resolved as far as that is possible before a deployment.

mod conditions;
mod functions;

use std::sync::Arc;

use super::document::{Argument, Content, Node};
use super::parameters::Parameters;
use super::value::{Key, Kind, Value};
use crate::frontend::fault::{Fault, Parsed};

/// The functions that are resolved, for messages about the others.
const RESOLVED: &str = "Ref, Sub, Join, FindInMap, Select, Split and If are resolved";
/// The most functions in one another, also by way of conditions.
const MOST_LEVELS: usize = 128;
/// The most bytes of a text that functions make.
const LONGEST: usize = 1 << 20;

/// Resolves the functions of a template.
pub(super) struct Resolver<'t> {
    pub root: &'t Node,
    pub parameters: &'t Parameters,
}

impl Resolver<'_> {
    /// The value of a node.
    pub fn value(&self, node: &Node) -> Parsed<Value> {
        self.resolve(node, 0)
    }

    /// The string of a node; `what` names it in the error.
    pub fn text(&self, node: &Node, what: &str) -> Parsed<String> {
        self.value(node)?.into_text(what)
    }

    /// The string of the value of a key; `None` if it is missing or without a value.
    pub fn text_of(&self, mapping: &Node, key: &str) -> Parsed<Option<String>> {
        let Some(node) = mapping.get(key) else { return Ok(None) };
        let value = self.value(node)?;
        if value.is_nothing() { Ok(None) } else { value.into_text(key).map(Some) }
    }

    fn resolve(&self, node: &Node, level: usize) -> Parsed<Value> {
        let at = node.at();
        if level > MOST_LEVELS {
            return Err(Fault::new(at, "intrinsic functions are nested too deeply"));
        }
        if let Some((name, argument)) = node.intrinsic() {
            return self.function(name, argument, at, level + 1);
        }
        if node.is_null() {
            return Ok(Value::nothing(at));
        }
        let kind = match &node.target().content {
            Content::Scalar { text, is_plain } => Kind::Text { text: text.clone(), is_plain: *is_plain },
            Content::Sequence { items } => Kind::List(self.list(items, level)?),
            Content::Mapping(mapping) => {
                let mut entries = Vec::new();
                for entry in mapping.all() {
                    let value = self.resolve(&entry.value, level + 1)?;
                    if !value.is_nothing() {
                        let name = entry.key.text().unwrap_or_default().to_owned();
                        entries.push((Key { at: entry.key.at(), name }, value));
                    }
                }
                Kind::Map(entries)
            }
            Content::Alias(target) => return self.resolve(target, level + 1),
        };
        Ok(Value { at, kind })
    }

    /// The items that have a value.
    fn list(&self, items: &[Arc<Node>], level: usize) -> Parsed<Vec<Value>> {
        let values = items.iter().map(|item| self.resolve(item, level + 1));
        values.filter(|value| !value.as_ref().is_ok_and(Value::is_nothing)).collect()
    }

    fn function(&self, name: &str, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        match name {
            "Ref" => self.reference(argument, at),
            "Sub" => self.substitute(argument, at, level),
            "Join" => self.join(argument, at, level),
            "Split" => self.split(argument, at, level),
            "Select" => self.select(argument, at, level),
            "FindInMap" => self.find_in_map(argument, at, level),
            "If" => self.choose(argument, at, level),
            "GetAtt" => {
                Err(unknown(at, "GetAtt", "an attribute of a resource is known only after the deployment"))
            }
            "ImportValue" => Err(unknown(at, "ImportValue", "the value is an output of another stack")),
            "Transform" => Err(unknown(at, "Transform", "only CloudFormation expands macros")),
            _ => Err(unknown(at, name, RESOLVED)),
        }
    }

    fn reference(&self, argument: Argument<'_>, at: usize) -> Parsed<Value> {
        let name = argument.text().ok_or_else(|| Fault::new(at, "Ref takes one name"))?;
        self.named(name, at)
    }

    /// The value of a parameter, given or pseudo.
    fn named(&self, name: &str, at: usize) -> Parsed<Value> {
        if let Some(value) = self.parameters.value(name, at)? {
            return Ok(value);
        }
        let is_resource = self.root.get("Resources").is_some_and(|resources| resources.get(name).is_some());
        let (message, hint) = match is_resource {
            true => (
                format!("`{name}` is a resource: its name or address is known only after the deployment"),
                "use a parameter, whose value --parameter-overrides gives",
            ),
            false => (format!("`{name}` is not a parameter of this template"), "declare it in Parameters"),
        };
        Err(Fault::new(at, message).hint(hint))
    }

    /// The arguments of a function that takes a list.
    fn arguments<'n>(&self, name: &str, argument: Argument<'n>, usage: &str) -> Parsed<&'n [Arc<Node>]> {
        let usage = || Fault::new(argument.at(), format!("{name} takes {usage}"));
        argument.items().ok_or_else(usage)
    }
}

/// The error for a function that cannot be resolved here.
fn unknown(at: usize, name: &str, reason: &str) -> Fault {
    let message = format!("{name} cannot be resolved here: {reason}");
    Fault::new(at, message)
        .hint("write the value, or use a parameter, whose value --parameter-overrides gives")
}
