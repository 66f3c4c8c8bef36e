//! The Docker keys of a function's metadata.

use super::document::Node;
use super::function::{DockerBuild, Field};
use super::intrinsics::Resolver;
use super::value::{Kind, Value};
use crate::frontend::fault::{Fault, Parsed};

impl Resolver<'_> {
    /// `DockerImage` and `DockerTag`, which become parts of the image's tag.
    pub fn parts_of_tag(&self, metadata: &Node) -> Parsed<(Option<Field>, Option<Field>)> {
        let (name, tag) = (self.field(metadata, "DockerImage")?, self.field(metadata, "DockerTag")?);
        for field in name.iter().chain(&tag) {
            validate_tag(field)?;
        }
        Ok((name, tag))
    }

    pub fn docker_build(&self, id: &str, metadata: &Node) -> Parsed<DockerBuild> {
        let required = |key: &str| {
            let missing = || {
                let message = format!("the Metadata of {id} has no {key}");
                Fault::new(metadata.at(), message).hint("SAM needs Dockerfile and DockerContext")
            };
            self.field(metadata, key)?.ok_or_else(missing)
        };
        Ok(DockerBuild {
            context: plain_path(required("DockerContext")?),
            dockerfile: required("Dockerfile")?,
            target: self.field(metadata, "DockerBuildTarget")?,
            build_args: self.build_args(metadata)?,
            extra: self.extra(metadata)?,
        })
    }

    /// The string of a key, with its place.
    pub fn field(&self, mapping: &Node, key: &str) -> Parsed<Option<Field>> {
        let Some(node) = mapping.get(key) else { return Ok(None) };
        Ok(self.text_of(mapping, key)?.map(|value| Field { value, at: node.at() }))
    }

    fn build_args(&self, metadata: &Node) -> Parsed<Vec<(String, Field)>> {
        let Some(node) = metadata.get("DockerBuildArgs") else { return Ok(Vec::new()) };
        let value = self.value(node)?;
        let entries = match value.kind {
            Kind::Map(entries) => entries,
            Kind::Nothing => Vec::new(),
            _ => return Err(Fault::new(node.at(), "DockerBuildArgs must be a mapping")),
        };
        let field = |value: Value| {
            let at = value.at;
            Ok(Field { value: value.into_text("a build argument")?, at })
        };
        let mut arguments = entries
            .into_iter()
            .map(|(key, value)| Ok((key.name, field(value)?)))
            .collect::<Parsed<Vec<_>>>()?;
        arguments.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(arguments)
    }

    fn extra(&self, metadata: &Node) -> Parsed<Vec<Field>> {
        let Some(node) = metadata.get("DockerBuildExtraParams") else { return Ok(Vec::new()) };
        let Kind::List(items) = self.value(node)?.kind else {
            return Err(Fault::new(node.at(), "DockerBuildExtraParams must be a list"));
        };
        let field = |item: Value| {
            let at = item.at;
            Ok(Field { value: item.into_text("a flag of docker build")?, at })
        };
        items.into_iter().map(field).collect()
    }
}

/// The longest tag of a registry.
const LONGEST_TAG: usize = 128;

/// Refuses a part of the tag that no registry takes.
fn validate_tag(field: &Field) -> Parsed<()> {
    let text = &field.value;
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let message = match () {
        () if text.is_empty() => "the tag is empty".to_owned(),
        () if !text.bytes().all(is_valid) => format!("`{text}` cannot be part of a tag"),
        () if text.len() > LONGEST_TAG => {
            format!("the tag has more than {LONGEST_TAG} characters")
        }
        () => return Ok(()),
    };
    Err(Fault::new(field.at, message).hint("a tag has letters, digits, `.`, `_` and `-`"))
}

/// A path without `.` and empty parts, so that different texts of one directory are equal.
fn plain_path(field: Field) -> Field {
    let parts: Vec<&str> = field.value.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let value = match (field.value.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    };
    Field { value, ..field }
}
