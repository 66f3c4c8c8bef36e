//! The repository of an image, and the role that may push to it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::json::or_default;

const PARTITION: &str = "${AWS::Partition}";
const ACCOUNT: &str = "${AWS::AccountId}";
const REGION: &str = "${AWS::Region}";

/// Where an image goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct ImageDestination {
    /// The repository of ECR, by its name in the registry.
    pub repository_name: String,
    /// The tag.
    pub image_tag: String,
    /// The region, if it is not the caller's.
    pub region: Option<String>,
    /// The role that may push.
    pub assume_role_arn: Option<String>,
    /// The external id with which the role is assumed.
    pub assume_role_external_id: Option<String>,
    /// More conditions with which it is assumed.
    #[serde(default, deserialize_with = "or_default")]
    pub assume_role_additional_options: RoleOptions,
}

/// Parameters of `sts:AssumeRole`, by its documentation:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase", default, expecting = "an object")]
pub struct RoleOptions {
    /// The name of the session.
    pub role_session_name: Option<String>,
    /// The tags of the session.
    pub tags: Vec<SessionTag>,
    /// The keys of the tags that sessions of further roles inherit. The CDK's default is all of them.
    pub transitive_tag_keys: Option<Vec<String>>,
    /// A policy that limits the session, as JSON.
    pub policy: Option<String>,
    /// Managed policies that limit the session.
    pub policy_arns: Vec<PolicyArn>,
    /// How long the credentials are valid.
    pub duration_seconds: Option<i32>,
    /// The source identity.
    pub source_identity: Option<String>,
    /// Parameters that are not among these, by their names.
    #[serde(flatten, deserialize_with = "names")]
    pub unknown: Vec<String>,
}

/// A tag of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an object")]
pub struct SessionTag {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A managed policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(expecting = "an object")]
pub struct PolicyArn {
    /// Its ARN.
    pub arn: String,
}

fn names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(BTreeMap::<String, Value>::deserialize(deserializer)?.into_keys().collect())
}

/// The values of the placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The partition, such as `aws`.
    pub partition: String,
    /// The caller's account.
    pub account: String,
    /// The region of the destination, else the caller's.
    pub region: String,
}

impl ImageDestination {
    /// Whether it depends on the caller's account.
    pub fn needs_account(&self) -> bool {
        let mut found = false;
        self.clone().each_text(|text| found |= text.contains(ACCOUNT));
        found
    }

    /// The destination with the placeholders replaced by their values.
    #[must_use]
    pub fn in_environment(mut self, environment: &Environment) -> ImageDestination {
        self.each_text(|text| {
            for (name, value) in [
                (PARTITION, &environment.partition),
                (ACCOUNT, &environment.account),
                (REGION, &environment.region),
            ] {
                if text.contains(name) {
                    *text = text.replace(name, value);
                }
            }
        });
        self
    }

    /// Calls a function with each text that may have placeholders.
    fn each_text(&mut self, mut call: impl FnMut(&mut String)) {
        call(&mut self.repository_name);
        call(&mut self.image_tag);
        let options = &mut self.assume_role_additional_options;
        let texts = [&mut self.region, &mut self.assume_role_arn, &mut self.assume_role_external_id];
        let more = [&mut options.role_session_name, &mut options.policy, &mut options.source_identity];
        texts.into_iter().chain(more).flatten().for_each(&mut call);
        options.tags.iter_mut().for_each(|tag| {
            call(&mut tag.key);
            call(&mut tag.value);
        });
        options.transitive_tag_keys.iter_mut().flatten().for_each(&mut call);
        options.policy_arns.iter_mut().for_each(|policy| call(&mut policy.arn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_have_the_values_of_the_environment() {
        let text = r#"{ "repositoryName": "cdk-${AWS::AccountId}-${AWS::Region}", "imageTag": "t",
            "assumeRoleArn": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/r-${AWS::Region}",
            "assumeRoleExternalId": "x",
            "assumeRoleAdditionalOptions": { "Tags": [{ "Key": "from", "Value": "${AWS::AccountId}" }],
                "DurationSeconds": 900, "PolicyArns": [{ "arn": "arn:${AWS::Partition}:iam::aws:policy/P" }] } }"#;
        let destination: ImageDestination = serde_json::from_str(text).unwrap();
        assert!(destination.needs_account());
        let environment = Environment {
            partition: "aws-cn".into(),
            account: "123456789012".into(),
            region: "cn-north-1".into(),
        };
        let options = RoleOptions {
            tags: vec![SessionTag { key: "from".into(), value: "123456789012".into() }],
            duration_seconds: Some(900),
            policy_arns: vec![PolicyArn { arn: "arn:aws-cn:iam::aws:policy/P".into() }],
            ..RoleOptions::default()
        };
        let expected = ImageDestination {
            repository_name: "cdk-123456789012-cn-north-1".into(),
            image_tag: "t".into(),
            region: None,
            assume_role_arn: Some("arn:aws-cn:iam::123456789012:role/r-cn-north-1".into()),
            assume_role_external_id: Some("x".into()),
            assume_role_additional_options: options,
        };
        assert_eq!(destination.in_environment(&environment), expected);
        assert!(!expected.needs_account());
    }

    #[test]
    fn unknown_parameters_are_kept_by_name() {
        let text = r#"{ "repositoryName": "r", "imageTag": "t", "assumeRoleAdditionalOptions": { "SerialNumber": "m" } }"#;
        let destination: ImageDestination = serde_json::from_str(text).unwrap();
        assert_eq!(destination.assume_role_additional_options.unknown, ["SerialNumber"]);
    }
}
