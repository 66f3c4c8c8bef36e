//! Conditions: `Equals`, `And`, `Or`, `Not`, and those of the section `Conditions`.

use super::{MOST_LEVELS, Resolver, unknown};
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::sam::document::Node;

impl Resolver<'_> {
    /// Whether a condition of the section `Conditions` holds; it is named at `at`.
    pub fn named_condition(&self, name: &str, at: usize, level: usize) -> Parsed<bool> {
        let found = self.root.get("Conditions").and_then(|conditions| conditions.get(name));
        let unknown = || Fault::new(at, format!("Conditions has no `{name}`"));
        self.condition(found.ok_or_else(unknown)?, level + 1)
    }

    fn condition(&self, node: &Node, level: usize) -> Parsed<bool> {
        let at = node.at();
        if level > MOST_LEVELS {
            return Err(Fault::new(at, "conditions refer to each other in a circle"));
        }
        let Some((name, argument)) = node.intrinsic() else {
            return Err(Fault::new(at, "a condition is one of Equals, And, Or, Not and Condition"));
        };
        let operands = |count: std::ops::RangeInclusive<usize>, usage: &str| {
            let operands = argument.items().filter(|items| count.contains(&items.len()));
            operands.ok_or_else(|| Fault::new(at, format!("{name} takes {usage}")))
        };
        match name {
            "Condition" => match argument.text() {
                Some(other) => self.named_condition(other, at, level),
                None => Err(Fault::new(at, "Condition takes the name of a condition")),
            },
            "Equals" => {
                let operands = operands(2..=2, "two values")?;
                let mut values = Vec::new();
                for operand in operands {
                    values.push(self.resolve(operand, level)?.into_text("a value of Equals")?);
                }
                Ok(values[0] == values[1])
            }
            "Not" => Ok(!self.condition(&operands(1..=1, "a list with one condition")?[0], level + 1)?),
            "And" | "Or" => {
                let mut results = Vec::new();
                for operand in operands(1..=10, "a list of two to ten conditions")? {
                    results.push(self.condition(operand, level + 1)?);
                }
                Ok(if name == "And" { results.iter().all(|is| *is) } else { results.iter().any(|is| *is) })
            }
            _ => Err(unknown(at, name, "a condition is one of Equals, And, Or, Not and Condition")),
        }
    }
}
