//! A template, as others see it.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::document::{self, Language, Node};
use super::function::{Field, ImageFunction, Keys};
use super::intrinsics::Resolver;
use super::keys;
use super::local_paths;
use super::parameters::{Parameters, Values};
use super::splice::{self, BuildKeys, Change};
use crate::error::{Error, Result};
use crate::frontend::fault::{Fault, Parsed};
use crate::frontend::source_text::SourceText;

/// A SAM or CloudFormation template, in YAML or JSON.
#[derive(Debug)]
pub struct Template {
    source: SourceText,
    language: Language,
    root: Arc<Node>,
}

impl Template {
    /// Reads a template; `name` is the name of the file in messages.
    ///
    /// # Errors
    /// When the text is neither YAML nor JSON.
    pub fn parse(name: &str, text: &str) -> Result<Template> {
        let source = SourceText::new(name, text);
        match document::parse(text) {
            Ok((language, root)) => Ok(Template { source, language, root }),
            Err(fault) => Err(Error::Template(Box::new(source.remark(fault)))),
        }
    }

    /// The functions whose images are to be built, in the order of the template. Functions with code in a zip file, those
    /// whose condition does not hold, and those with `SkipBuild: true` are not among them.
    ///
    /// # Errors
    /// When a field that is read has a value that is known only after the deployment, or no valid one.
    pub fn image_functions(&self, values: &Values) -> Result<Vec<ImageFunction>> {
        self.located(self.resolved(values, |resolver| resolver.image_functions()))
    }

    /// The given values of parameters that the template does not have.
    ///
    /// # Errors
    /// When `Parameters` is not a mapping.
    pub fn unknown_parameters(&self, values: &Values) -> Result<Vec<String>> {
        let parameters = self.located(Parameters::read(&self.root, values))?;
        Ok(parameters.unknown().into_iter().map(str::to_owned).collect())
    }

    fn resolved<T>(&self, values: &Values, read: impl FnOnce(Resolver<'_>) -> Parsed<T>) -> Parsed<T> {
        let parameters = Parameters::read(&self.root, values)?;
        read(Resolver { root: &self.root, parameters: &parameters })
    }

    /// Reads the keys of `Metadata: {lbuild: …}`.
    ///
    /// # Errors
    /// When a key is unknown, or its value is of another kind.
    pub fn keys<T: DeserializeOwned>(&self, keys: &Keys) -> Result<T> {
        self.located(keys::read(&keys.0))
    }

    /// The template with the images of these functions. Only the values of `ImageUri` and the keys of the builds change.
    ///
    /// # Errors
    /// When an anchor is shared with other parts, which would change too.
    pub fn with_images(&self, images: &[(&ImageFunction, &str)], build_keys: BuildKeys) -> Result<String> {
        let changes = images.iter().map(|(function, image_uri)| Change { function, image_uri });
        let changes: Vec<_> = changes.collect();
        self.located(splice::splice(&self.source.text, (self.language, &self.root), &changes, build_keys))
    }

    /// The template for another directory, from which `prefix` leads to the one of this template: relative paths of
    /// resources and build contexts get it in front.
    pub fn moved(&self, prefix: &str) -> String {
        let mut edits = splice::Edits::default();
        for node in local_paths::relative(&self.root) {
            let path = node.text().unwrap_or_default();
            let path = format!("{prefix}/{}", path.strip_prefix("./").unwrap_or(path));
            // JSON is the form of a string that YAML reads too.
            let quoted = serde_json::Value::String(path.clone()).to_string();
            let is_simple = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            let is_plain = self.language == Language::Yaml && is_simple;
            edits.replace(node.span.clone(), if is_plain { path } else { quoted });
        }
        // Two paths never overlap.
        edits.apply(&self.source.text).unwrap_or_else(|| self.source.text.clone())
    }

    /// The local templates of nested stacks, relative to this one, with the logical ids of their resources.
    pub fn nested_stacks(&self) -> Vec<(String, String)> {
        local_paths::nested(&self.root)
    }

    /// An error about a field.
    pub fn error(&self, field: &Field, message: impl Into<String>, hint: Option<String>) -> Error {
        let fault = Fault { at: field.at, message: message.into(), hint };
        Error::Template(Box::new(self.source.remark(fault)))
    }

    fn located<T>(&self, parsed: Parsed<T>) -> Result<T> {
        parsed.map_err(|fault| Error::Template(Box::new(self.source.remark(fault))))
    }
}
