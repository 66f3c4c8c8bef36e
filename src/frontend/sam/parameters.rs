//! The parameters of a template and their values.

use std::collections::{BTreeMap, HashMap};

use super::document::Node;
use super::value::{Kind, Value};
use crate::frontend::fault::{Fault, Parsed};

/// Values that are given from outside.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Values of parameters, instead of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The Region for `AWS::Region`, if it is known.
    pub region: Option<String>,
    /// The account for `AWS::AccountId`, if it is known.
    pub account: Option<String>,
    /// The name of the stack for `AWS::StackName`, if it is known.
    pub stack: Option<String>,
}

/// The parameters of a template, each with its value.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    declared: HashMap<String, Declared>,
    values: Values,
}

#[derive(Debug)]
struct Declared {
    r#type: String,
    default: Option<String>,
}

impl Parameters {
    /// Reads the section `Parameters`.
    pub fn read(root: &Node, values: &Values) -> Parsed<Parameters> {
        let mut declared = HashMap::new();
        if let Some(section) = root.get("Parameters").filter(|section| !section.is_null()) {
            let mapping = section.mapping();
            let mapping = mapping.ok_or_else(|| Fault::new(section.at(), "Parameters must be a mapping"))?;
            for entry in mapping.all() {
                let text = |key| entry.value.get(key).and_then(|node| node.text().map(str::to_owned));
                let default = match entry.value.get("Default").and_then(|default| default.items()) {
                    // Not allowed, but taken by some tools.
                    Some(items) => {
                        Some(items.iter().filter_map(|item| item.text()).collect::<Vec<_>>().join(","))
                    }
                    None => text("Default"),
                };
                let name = entry.key.text().unwrap_or_default().to_owned();
                declared.insert(name, Declared { r#type: text("Type").unwrap_or_default(), default });
            }
        }
        Ok(Parameters { declared, values: values.clone() })
    }

    /// The given values whose parameters the template does not have.
    pub fn unknown(&self) -> Vec<&str> {
        let given = self.values.parameters.keys();
        given.filter(|name| !self.declared.contains_key(*name)).map(String::as_str).collect()
    }

    /// The value of a parameter, or of a pseudo parameter; `None` if there is none of this name.
    pub fn value(&self, name: &str, at: usize) -> Parsed<Option<Value>> {
        if let Some(pseudo) = name.strip_prefix("AWS::") {
            return self.pseudo(pseudo, at).map(Some);
        }
        let Some(Declared { r#type, default }) = self.declared.get(name) else { return Ok(None) };
        // As for SAM, an empty value stands for the default.
        let given = self.values.parameters.get(name).filter(|value| !value.is_empty() || default.is_none());
        if r#type.starts_with("AWS::SSM::Parameter::Value") && given.or(default.as_ref()).is_some() {
            let message =
                format!("the value of `{name}` is in the Parameter Store, which is read at the deployment");
            return Err(Fault::new(at, message).hint("use a parameter of type String"));
        }
        let value = given.or(default.as_ref()).ok_or_else(|| {
            Fault::new(at, format!("the parameter `{name}` has no value"))
                .hint(format!("add --parameter-overrides {name}=VALUE, or a Default"))
        })?;
        let is_list = r#type == "CommaDelimitedList" || r#type.starts_with("List<");
        Ok(Some(match is_list {
            true => {
                let items = value.split(',').map(|item| Value::text(at, item.trim()));
                Value { at, kind: Kind::List(items.collect()) }
            }
            false => Value::text(at, value),
        }))
    }

    fn pseudo(&self, name: &str, at: usize) -> Parsed<Value> {
        let Values { region, account, stack, .. } = &self.values;
        let known = |value: &Option<String>, hint: &str| {
            let missing = || Fault::new(at, format!("AWS::{name} is not known here")).hint(hint);
            value.clone().map(|value| Value::text(at, value)).ok_or_else(missing)
        };
        let region_hint = "set the Region with --region or AWS_REGION";
        match name {
            "NoValue" => Ok(Value::nothing(at)),
            "Region" => known(region, region_hint),
            "AccountId" => known(account, "set AWS credentials"),
            "StackName" => known(stack, "add --stack-name NAME"),
            "Partition" => Ok(Value::text(at, partition(&known(region, region_hint)?.into_text(name)?))),
            "URLSuffix" => {
                let region = known(region, region_hint)?.into_text(name)?;
                let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                Ok(Value::text(at, suffix))
            }
            _ => {
                let message = format!("AWS::{name} is known only during the deployment");
                Err(Fault::new(at, message).hint("use a parameter, whose value --parameter-overrides gives"))
            }
        }
    }
}

/// The partition of a Region.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
