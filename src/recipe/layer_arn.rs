//! The names of Lambda layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The ARN of a version of a Lambda layer, such as `arn:aws:lambda:eu-west-1:123456789012:layer:shared-code:3`. A version
/// never changes, and its number is not used again.
///
/// The form: <https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionByArn.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerArn {
    partition: String,
    region: String,
    account: String,
    name: String,
    version: u64,
}

impl LayerArn {
    /// The Region that has the layer.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that has the layer: its twelve digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The name of the layer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the version.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Display for LayerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LayerArn { partition, region, account, name, version } = self;
        write!(f, "arn:{partition}:lambda:{region}:{account}:layer:{name}:{version}")
    }
}

impl FromStr for LayerArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<LayerArn> {
        let invalid = |fault| Error::LayerArn { text: text.to_owned(), fault };
        let parts: Vec<&str> = text.split(':').collect();
        let is_word = |word: &str| {
            let is_right = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !word.is_empty() && word.chars().all(is_right)
        };
        let [_, partition, _, region, account, _, name, version] = parts[..] else {
            return Err(invalid(match parts[..] {
                ["arn", _, "lambda", _, _, "layer", _] => "it has no version",
                _ => "it has not the form arn:aws:lambda:REGION:ACCOUNT:layer:NAME:VERSION",
            }));
        };
        if (parts[0], parts[2], parts[5]) != ("arn", "lambda", "layer")
            || ![partition, region, name].into_iter().all(is_word)
        {
            return Err(invalid("it has not the form arn:aws:lambda:REGION:ACCOUNT:layer:NAME:VERSION"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("its account is not 12 digits"));
        }
        let number = version.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == version);
        let Some(version) = number else { return Err(invalid("its version is not a number")) };
        let [partition, region, account, name] = [partition, region, account, name].map(str::to_owned);
        Ok(LayerArn { partition, region, account, name, version })
    }
}

impl TryFrom<String> for LayerArn {
    type Error = Error;

    fn try_from(text: String) -> Result<LayerArn> {
        text.parse()
    }
}

impl From<LayerArn> for String {
    fn from(arn: LayerArn) -> String {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_version() {
        for text in [
            "arn:aws:lambda:eu-west-1:123456789012:layer:shared-code:3",
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:A_b:12",
        ] {
            let arn: LayerArn = text.parse().unwrap();
            assert_eq!(arn.to_string(), text);
            assert_eq!(serde_json::from_str::<LayerArn>(&format!("{text:?}")).unwrap(), arn);
        }
        for (text, fault) in [
            ("arn:aws:lambda:eu-west-1:123456789012:layer:shared", "no version"),
            ("arn:aws:lambda:eu-west-1:123456789012:layer:shared:latest", "not a number"),
            ("arn:aws:lambda:eu-west-1:123456789012:layer:shared:0", "not a number"),
            ("arn:aws:lambda:eu-west-1:123456789012:layer:shared:+1", "not a number"),
            ("arn:aws:lambda:eu-west-1:12345678901:layer:shared:1", "12 digits"),
            ("arn:aws:lambda:eu-west-1:123456789012:function:shared:1", "the form"),
            ("arn:aws:lambda:eu/west:123456789012:layer:shared:1", "the form"),
            ("arn:aws:s3:::bucket", "the form"),
        ] {
            let error = text.parse::<LayerArn>().unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
