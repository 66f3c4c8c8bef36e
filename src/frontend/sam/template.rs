//! A template, as others see it.

use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::document::{self, Content, Language, Node};
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
    /// with an image that exists, and those with `SkipBuild: true` are not among them. A function whose condition does not
    /// hold is: SAM's commands want an image for each.
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
    ///
    /// # Errors
    /// When a path is written in a form that cannot be changed alone.
    pub fn moved(&self, prefix: &str) -> Result<String> {
        let mut edits = splice::Edits::default();
        let paths = local_paths::relative(&self.root);
        for node in &paths {
            let (range, new) = self.prefixed(node, prefix);
            edits.replace(range, new);
        }
        let at = paths.first().map_or(0, |node| node.at());
        let fault =
            || Fault::new(at, "the relative paths of this template cannot be changed for another directory");
        let moved = edits.apply(&self.source.text).filter(|moved| self.is_moved(&paths, moved));
        let moved = moved.ok_or_else(|| fault().hint("write the result beside the template"));
        self.located(moved)
    }

    /// The bytes at the start of a path that are replaced, and by what.
    fn prefixed(&self, node: &Node, prefix: &str) -> (Range<usize>, String) {
        // Text in a block needs no quotes.
        let is_plain = matches!(node.content, Content::Scalar { is_plain: true, .. });
        // Behind an anchor and a tag.
        let mut start = node.span.start;
        while self.source.text[start..node.span.end].starts_with(['&', '!']) {
            let word = self.source.text[start..].find(char::is_whitespace).unwrap_or(0);
            let rest = &self.source.text[start + word..];
            start += word + rest.len() - rest.trim_start().len();
            if word == 0 {
                break;
            }
        }
        let raw = &self.source.text[start..node.span.end];
        let simple = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
        let (quote, escaped) = match raw.as_bytes().first() {
            Some(b'"') => (1, serde_json::Value::from(prefix).to_string().trim_matches('"').to_owned()),
            Some(b'\'') => (1, prefix.replace('\'', "''")),
            // A plain text with such characters would be another one.
            _ if is_plain && !simple => {
                let path = node.text().unwrap_or_default();
                let path = format!("{prefix}/{}", path.strip_prefix("./").unwrap_or(path));
                return (start..node.span.end, serde_json::Value::from(path).to_string());
            }
            _ => (0, prefix.to_owned()),
        };
        let begin = start + quote;
        let here = if self.source.text[begin..].starts_with("./") { 2 } else { 0 };
        (begin..begin + here, format!("{escaped}/"))
    }

    /// Whether a text means this template with other paths.
    fn is_moved(&self, paths: &[&Node], moved: &str) -> bool {
        let Ok((_, root)) = document::parse(moved) else { return false };
        let (old, new) = (document::Tree::of(&self.root), document::Tree::of(&root));
        let path = |node: &&Node| node.text().unwrap_or_default().trim_start_matches("./").to_owned();
        let (before, after): (Vec<_>, Vec<_>) =
            (paths.iter().map(path).collect(), local_paths::relative(&root).iter().map(path).collect());
        before.len() == after.len()
            && before.iter().zip(&after).all(|(before, after)| after.ends_with(before))
            && old.scalars() == new.scalars()
    }

    /// The local templates of nested stacks, relative to this one, with the logical ids of their resources.
    pub fn nested_stacks(&self) -> Vec<(String, String)> {
        local_paths::nested(&self.root)
    }

    /// An error about a field.
    pub fn error(&self, field: &Field, message: impl Into<String>, hint: Option<String>) -> Error {
        let fault = Fault::new(field.at, message).maybe_hint(hint);
        Error::Template(Box::new(self.source.remark(fault)))
    }

    fn located<T>(&self, parsed: Parsed<T>) -> Result<T> {
        parsed.map_err(|fault| Error::Template(Box::new(self.source.remark(fault))))
    }
}
