//! The paths of a template that are relative to its directory.

use super::document::{Content, Node};

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

/// The key of Metadata that has a path.
const CONTEXT: &str = "DockerContext";

/// The values that are relative paths: of properties, and the build contexts of functions. `AWS::Include` is not among them.
pub(super) fn relative(root: &Node) -> Vec<&Node> {
    let resources = root.get("Resources").and_then(|resources| resources.mapping());
    let mut found = Vec::new();
    for entry in resources.map(super::document::Mapping::all).unwrap_or_default() {
        let resource = &*entry.value;
        let kind = resource.get("Type").and_then(|kind| kind.text());
        let named = PROPERTIES.iter().find(|(name, _)| Some(*name) == kind).map(|(_, names)| *names);
        for name in named.unwrap_or_default() {
            let properties = resource.get("Properties").map(|node| &**node);
            let value = name
                .split('.')
                .fold(properties, |node, key| node.and_then(|node| node.get(key)).map(|node| &**node));
            found.extend(value);
        }
        found.extend(resource.get("Metadata").and_then(|metadata| metadata.get(CONTEXT)).map(|node| &**node));
    }
    found.retain(|node| node.text().is_some_and(is_relative) && !matches!(node.content, Content::Alias(_)));
    found
}

/// The path of the local template of each nested stack, with the logical id of its resource.
pub(super) fn nested(root: &Node) -> Vec<(String, String)> {
    let resources = root.get("Resources").and_then(|resources| resources.mapping());
    let nested =
        resources.map(super::document::Mapping::all).unwrap_or_default().into_iter().filter_map(|entry| {
            let property = match entry.value.get("Type")?.text()? {
                "AWS::Serverless::Application" => "Location",
                "AWS::CloudFormation::Stack" => "TemplateURL",
                _ => return None,
            };
            let path =
                entry.value.get("Properties")?.get(property)?.text().filter(|path| is_relative(path))?;
            Some((entry.key.text()?.to_owned(), path.to_owned()))
        });
    nested.collect()
}

fn is_relative(path: &str) -> bool {
    !path.is_empty() && !path.starts_with(['/', '~']) && !path.contains("://")
}
