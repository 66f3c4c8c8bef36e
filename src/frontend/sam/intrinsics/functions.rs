//! The functions that return values.

use std::collections::BTreeMap;

use super::{LONGEST, Resolver, unknown};
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::sam::document::Argument;
use crate::frontend::sam::value::{Kind, Value};

impl Resolver<'_> {
    /// `Sub`: a text with `${Name}`, and perhaps values for some of the names.
    pub(super) fn substitute(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = || Fault::new(at, "Sub takes a string, or a list of a string and a mapping");
        if let Some(text) = argument.text() {
            return self.filled(text, &BTreeMap::new(), at);
        }
        let [text, values] = argument.items().ok_or_else(usage)? else { return Err(usage()) };
        let text = text.text().ok_or_else(usage)?;
        let Kind::Map(values) = self.resolve(values, level)?.kind else { return Err(usage()) };
        let mut named = BTreeMap::new();
        for (key, value) in values {
            named.insert(key.name, value.into_text("a value of Sub")?);
        }
        self.filled(text, &named, at)
    }

    /// The text with `${Name}` replaced; `${!Name}` stands for `${Name}`.
    fn filled(&self, text: &str, values: &BTreeMap<String, String>, at: usize) -> Parsed<Value> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(open) = rest.find("${") {
            filled.push_str(&rest[..open]);
            let Some(length) = rest[open..].find('}') else {
                return Err(Fault::new(at, "a `${` of Sub has no `}`"));
            };
            let name = &rest[open + 2..open + length];
            rest = &rest[open + length + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                filled.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let name = name.trim();
            match values.get(name) {
                Some(value) => filled.push_str(value),
                None if name.contains('.') => {
                    let reason = "an attribute of a resource is known only after the deployment";
                    return Err(unknown(at, &format!("${{{name}}}"), reason));
                }
                None => filled.push_str(&self.named(name, at)?.into_text(name)?),
            }
            limited(&filled, at)?;
        }
        filled.push_str(rest);
        Ok(Value::text(at, filled))
    }

    pub(super) fn join(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = "a delimiter and a list";
        let [delimiter, list] = self.arguments("Join", argument, usage)? else {
            return Err(Fault::new(at, format!("Join takes {usage}")));
        };
        let delimiter =
            delimiter.text().ok_or_else(|| Fault::new(at, "the delimiter of Join must be a string"))?;
        let mut joined = String::new();
        for (number, item) in self.items_of(&self.resolve(list, level)?, "Join")?.into_iter().enumerate() {
            if number > 0 {
                joined.push_str(delimiter);
            }
            joined.push_str(&item.into_text("an item of Join")?);
            limited(&joined, at)?;
        }
        Ok(Value::text(at, joined))
    }

    pub(super) fn split(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = "a delimiter and a string";
        let [delimiter, text] = self.arguments("Split", argument, usage)? else {
            return Err(Fault::new(at, format!("Split takes {usage}")));
        };
        let delimiter = delimiter.text().filter(|delimiter| !delimiter.is_empty());
        let delimiter = delimiter.ok_or_else(|| Fault::new(at, "Split needs a delimiter"))?;
        let text = self.resolve(text, level)?.into_text("the string of Split")?;
        let parts = text.split(delimiter).map(|part| Value::text(at, part));
        Ok(Value { at, kind: Kind::List(parts.collect()) })
    }

    pub(super) fn select(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = "an index and a list";
        let [index, list] = self.arguments("Select", argument, usage)? else {
            return Err(Fault::new(at, format!("Select takes {usage}")));
        };
        let index = self.resolve(index, level)?.into_text("the index of Select")?;
        let number: usize = index.trim().parse().map_err(|_| {
            Fault::new(at, format!("the index of Select is `{index}`, which is not a number"))
        })?;
        let items = self.items_of(&self.resolve(list, level)?, "Select")?;
        let length = items.len();
        let missing = || Fault::new(at, format!("Select takes item {number} of a list of {length}"));
        items.into_iter().nth(number).ok_or_else(missing)
    }

    fn items_of(&self, value: &Value, name: &str) -> Parsed<Vec<Value>> {
        match &value.kind {
            Kind::List(items) => Ok(items.clone()),
            _ => Err(Fault::new(value.at, format!("{name} takes a list here"))),
        }
    }

    /// `FindInMap`; a fourth argument is `{DefaultValue: …}`.
    pub(super) fn find_in_map(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = "the name of a mapping and two keys";
        let arguments = self.arguments("FindInMap", argument, usage)?;
        let ([map, first, second], rest) =
            arguments
                .split_first_chunk()
                .filter(|(_, rest)| rest.len() < 2)
                .ok_or_else(|| Fault::new(at, format!("FindInMap takes {usage}")))?;
        let text = |node, what| self.resolve(node, level)?.into_text(what);
        let map = text(map, "the name of a mapping")?;
        let (first, second) = (text(first, "a key of FindInMap")?, text(second, "a key of FindInMap")?);
        let found = self.root.get("Mappings").and_then(|mappings| mappings.get(&map));
        let found = found.and_then(|map| map.get(&first)).and_then(|entries| entries.get(&second));
        match (found, rest) {
            (Some(value), _) => Ok(Value { at, ..self.resolve(value, level)? }),
            (None, [default]) => match default.get("DefaultValue") {
                Some(default) => self.resolve(default, level),
                None => {
                    Err(Fault::new(default.at(), "the fourth argument of FindInMap is {DefaultValue: …}"))
                }
            },
            (None, _) => Err(Fault::new(at, format!("Mappings has no value at {map}.{first}.{second}"))),
        }
    }

    /// `If`: one of two values, by a condition.
    pub(super) fn choose(&self, argument: Argument<'_>, at: usize, level: usize) -> Parsed<Value> {
        let usage = "the name of a condition and two values";
        let [condition, yes, no] = self.arguments("If", argument, usage)? else {
            return Err(Fault::new(at, format!("If takes {usage}")));
        };
        let name = condition.text().ok_or_else(|| Fault::new(at, format!("If takes {usage}")))?;
        let chosen = if self.named_condition(name, condition.at(), level)? { yes } else { no };
        self.resolve(chosen, level)
    }
}

/// Refuses a text that functions make longer and longer.
fn limited(text: &str, at: usize) -> Parsed<()> {
    match text.len() > LONGEST {
        true => Err(Fault::new(at, "the value is too long")),
        false => Ok(()),
    }
}
