//! The values of `--parameter-overrides`.

use std::collections::BTreeMap;

/// Reads values of parameters in both forms of SAM and CloudFormation, several in one text with blanks between:
/// `NAME=VALUE`, and `ParameterKey=NAME,ParameterValue=VALUE`. A value with blanks is in quotes, or has backslashes before
/// them.
///
/// # Errors
/// The part of the text that is not of either form.
pub fn parse_overrides(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for word in words(text) {
        let (name, value) = match word.strip_prefix("ParameterKey=") {
            Some(rest) => rest.split_once(",ParameterValue=").ok_or_else(|| word.clone())?,
            None => word.split_once('=').ok_or_else(|| word.clone())?,
        };
        let name = unquoted(name);
        if name.is_empty() || name.contains(|c: char| c.is_whitespace()) {
            return Err(word);
        }
        values.insert(name, unquoted(value));
    }
    Ok(values)
}

/// The words of a text; blanks in quotes and behind a backslash belong to a word.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut escaped) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        let ends = c.is_whitespace() && quote.is_none() && !escaped;
        if ends {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        // Only a value that begins with a quote is quoted.
        let may_open = word.ends_with(['=', ',']) || word.is_empty();
        match quote {
            _ if escaped => escaped = false,
            _ if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') && may_open => quote = Some(c),
            _ => {}
        }
        word.push(c);
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Without the quotes around it, and the backslashes before blanks and quotes.
fn unquoted(text: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    let mut plain = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next @ (' ' | '"' | '\'')) if c == '\\' => {
                plain.push(next);
                chars.next();
            }
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (text, expected) in [
            ("A=1 B=two", &[("A", "1"), ("B", "two")][..]),
            (
                "ParameterKey=A,ParameterValue=1 ParameterKey=B,ParameterValue=x,y",
                &[("A", "1"), ("B", "x,y")],
            ),
            ("Tag=\"v7\"", &[("Tag", "v7")]),
            ("A='a b' B=a\\ b C=\"a \\\"b\\\"\"", &[("A", "a b"), ("B", "a b"), ("C", "a \"b\"")]),
            ("ParameterKey=A,ParameterValue=\"x y\"", &[("A", "x y")]),
            ("A=a=b C=it's", &[("A", "a=b"), ("C", "it's")]),
            ("A= B=\"\"", &[("A", ""), ("B", "")]),
            ("  A=1\n\tB=2 A=3 ", &[("A", "3"), ("B", "2")]),
            ("", &[]),
        ] {
            let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            assert_eq!(parse_overrides(text), Ok(expected.collect()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, word) in
            [("A=1 b", "b"), ("=1", "=1"), ("ParameterKey=A", "ParameterKey=A"), ("'a b'=1", "'a b'=1")]
        {
            assert_eq!(parse_overrides(text), Err(word.to_owned()));
        }
    }
}
