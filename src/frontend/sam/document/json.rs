//! Templates in JSON.

use std::sync::Arc;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use super::node::{Content, Entry, Mapping, Node};

/// The tree of a text that is valid JSON.
pub(super) fn parse(text: &str) -> Option<Arc<Node>> {
    // A quick look: most templates are YAML.
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return None;
    }
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    Some(Arc::new(node(&parse_to_ast(text, &collect, &strict).ok()?.value?)))
}

fn node(value: &Value<'_>) -> Node {
    let range = value.range();
    let plain = |text: &str| Content::Scalar { text: text.to_owned(), is_plain: true };
    let content = match value {
        Value::StringLit(string) => quoted(&string.value),
        Value::NumberLit(number) => plain(number.value),
        Value::BooleanLit(boolean) => plain(if boolean.value { "true" } else { "false" }),
        Value::NullKeyword(_) => plain("null"),
        Value::Array(array) => {
            Content::Sequence { items: array.elements.iter().map(|item| Arc::new(node(item))).collect() }
        }
        Value::Object(object) => Content::Mapping(mapping(object)),
    };
    Node { span: range.start..range.end, tag: None, is_anchor: false, content }
}

fn quoted(text: &str) -> Content {
    Content::Scalar { text: text.to_owned(), is_plain: false }
}

fn mapping(object: &Object<'_>) -> Mapping {
    let entries = object.properties.iter().map(|property| {
        let (range, name) = (property.name.range(), property.name.as_str());
        let key = Node { span: range.start..range.end, tag: None, is_anchor: false, content: quoted(name) };
        Entry { key: Arc::new(key), value: Arc::new(node(&property.value)) }
    });
    Mapping { entries: entries.collect(), is_flow: true }
}
