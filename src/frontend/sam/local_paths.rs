//! The paths of a template that are relative to its directory.

use super::document::{Content, Mapping, Node};

/// The properties that have a path, by the type of their resource: those that `aws cloudformation package` and `sam package`
/// read (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html>).
const PROPERTIES: [(&str, &[&str]); 18] = [
    ("AWS::ApiGateway::RestApi", &["BodyS3Location"]),
    ("AWS::ApiGatewayV2::Api", &["BodyS3Location"]),
    (
        "AWS::AppSync::FunctionConfiguration",
        &["RequestMappingTemplateS3Location", "ResponseMappingTemplateS3Location", "CodeS3Location"],
    ),
    ("AWS::AppSync::GraphQLSchema", &["DefinitionS3Location"]),
    (
        "AWS::AppSync::Resolver",
        &["RequestMappingTemplateS3Location", "ResponseMappingTemplateS3Location", "CodeS3Location"],
    ),
    ("AWS::CloudFormation::Stack", &["TemplateURL"]),
    ("AWS::CloudFormation::StackSet", &["TemplateURL"]),
    ("AWS::ElasticBeanstalk::ApplicationVersion", &["SourceBundle"]),
    ("AWS::Glue::Job", &["Command.ScriptLocation"]),
    ("AWS::Lambda::Function", &["Code"]),
    ("AWS::Lambda::LayerVersion", &["Content"]),
    ("AWS::Serverless::Api", &["DefinitionUri"]),
    ("AWS::Serverless::Application", &["Location"]),
    ("AWS::Serverless::Function", &["CodeUri"]),
    ("AWS::Serverless::HttpApi", &["DefinitionUri"]),
    ("AWS::Serverless::LayerVersion", &["ContentUri"]),
    ("AWS::Serverless::StateMachine", &["DefinitionUri"]),
    ("AWS::StepFunctions::StateMachine", &["DefinitionS3Location"]),
];

/// The properties of `Globals` that have a path, by section.
const GLOBALS: [(&str, &str); 4] = [
    ("Api", "DefinitionUri"),
    ("Function", "CodeUri"),
    ("HttpApi", "DefinitionUri"),
    ("StateMachine", "DefinitionUri"),
];

/// The key of Metadata that has a path.
const CONTEXT: &str = "DockerContext";

/// The values that are relative paths: of properties, of `AWS::Include`, and the build contexts of functions.
pub(super) fn relative(root: &Node) -> Vec<&Node> {
    let resources = root.get("Resources").and_then(|resources| resources.mapping());
    let mut found = Vec::new();
    for entry in resources.map(Mapping::all).unwrap_or_default() {
        let resource = &*entry.value;
        let kind = resource.get("Type").and_then(|kind| kind.text());
        let named = PROPERTIES.iter().find(|(name, _)| Some(*name) == kind).map(|(_, names)| *names);
        let paths = named.unwrap_or_default().iter();
        found.extend(paths.filter_map(|path| at(resource, &["Properties"], path)));
        found.extend(at(resource, &["Metadata"], CONTEXT));
    }
    found.extend(GLOBALS.iter().filter_map(|(section, property)| at(root, &["Globals", section], property)));
    includes(root, &mut found);
    found.retain(|node| node.text().is_some_and(is_relative) && !matches!(node.content, Content::Alias(_)));
    // An anchor may be reached on several ways.
    found.sort_by_key(|node| node.span.start);
    found.dedup_by_key(|node| node.span.start);
    found
}

/// The value below some keys and the parts of a path.
fn at<'n>(node: &'n Node, keys: &[&str], path: &str) -> Option<&'n Node> {
    let all = keys.iter().copied().chain(path.split('.'));
    all.into_iter().try_fold(node, |node, key| node.get(key).map(|node| &**node))
}

/// The locations of files that `AWS::Include` puts into the template.
fn includes<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    match &node.content {
        Content::Scalar { .. } | Content::Alias(_) => {}
        Content::Sequence { items } => items.iter().for_each(|item| includes(item, found)),
        Content::Mapping(mapping) => {
            if mapping.get("Name").and_then(|name| name.text()) == Some("AWS::Include") {
                found.extend(mapping.get("Parameters").and_then(|node| at(node, &[], "Location")));
            }
            mapping.entries.iter().for_each(|entry| includes(&entry.value, found));
        }
    }
}

/// The path of the local template of each nested stack, with the logical id of its resource.
pub(super) fn nested(root: &Node) -> Vec<(String, String)> {
    let resources = root.get("Resources").and_then(|resources| resources.mapping());
    let nested = resources.map(Mapping::all).unwrap_or_default().into_iter().filter_map(|entry| {
        let property = match entry.value.get("Type")?.text()? {
            "AWS::Serverless::Application" => "Location",
            "AWS::CloudFormation::Stack" => "TemplateURL",
            _ => return None,
        };
        let path = entry.value.get("Properties")?.get(property)?.text().filter(|path| is_relative(path))?;
        Some((entry.key.text()?.to_owned(), path.to_owned()))
    });
    nested.collect()
}

fn is_relative(path: &str) -> bool {
    !path.is_empty() && !path.starts_with(['/', '~']) && !path.contains("://")
}
