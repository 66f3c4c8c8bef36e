//! `RECORD`: the list of installed files.
//!
//! <https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>

use std::collections::BTreeMap;

use base64::Engine as _;

use crate::image::Digest;

/// Paths, each with its hash and size as spelled in the file.
#[derive(Debug, Default)]
pub(super) struct Record(BTreeMap<String, (String, String)>);

impl Record {
    /// `None` if the text is not a record. Rows of paths that are not a `member` are skipped: they are useless, and a
    /// hostile record may have millions of them.
    pub(super) fn parse(text: &str, member: impl Fn(&str) -> bool) -> Option<Record> {
        let mut record = Record::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (fields, after) = row(rest)?;
            rest = after;
            if fields.len() <= 3 && !member(&fields[0]) {
                continue;
            }
            match &fields[..] {
                // Some builders leave out the commas of a file without a hash.
                [path] => record.keep(path, "", ""),
                [path, hash] => record.keep(path, hash, ""),
                [path, hash, size] => record.keep(path, hash, size),
                _ => return None,
            }
        }
        Some(record)
    }

    fn keep(&mut self, path: &str, hash: &str, size: &str) {
        self.0.insert(path.to_owned(), (hash.to_owned(), size.to_owned()));
    }

    /// Removes a path, and returns its hash and size.
    pub(super) fn remove(&mut self, path: &str) -> Option<(String, String)> {
        self.0.remove(path)
    }

    /// Adds a path with the hash and size that the wheel has for its former path.
    pub(super) fn moved(&mut self, path: &str, hash_and_size: (String, String)) {
        self.0.insert(path.to_owned(), hash_and_size);
    }

    /// Adds a file that the installer made.
    pub(super) fn made(&mut self, path: &str, content: &[u8]) {
        let digest = Digest::of(content);
        let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_bytes());
        self.keep(path, &format!("sha256={hash}"), &content.len().to_string());
    }

    /// Adds a file without a hash, such as the record itself.
    pub(super) fn unhashed(&mut self, path: &str) {
        self.keep(path, "", "");
    }

    pub(super) fn text(&self) -> String {
        let line = |(path, (hash, size)): (&String, &(String, String))| {
            format!("{},{},{}\n", quoted(path), quoted(hash), quoted(size))
        };
        self.0.iter().map(line).collect()
    }
}

/// The paths of a record, as far as it can be read.
pub(in crate::source::python) fn recorded_paths(text: &str) -> Vec<String> {
    let (mut rest, mut paths) = (text, Vec::new());
    while !rest.is_empty() {
        let Some((fields, after)) = row(rest) else { break };
        paths.extend(fields.into_iter().next().filter(|path| !path.is_empty()));
        rest = after;
    }
    paths
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// The fields of the first row, and the text after it. <https://www.rfc-editor.org/rfc/rfc4180>
fn row(text: &str) -> Option<(Vec<String>, &str)> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"')?;
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            continue;
        }
        let ends = ["\r\n", "\n", "\r"];
        return match ends.iter().find_map(|end| rest.strip_prefix(end)) {
            Some(after) => Some((fields, after)),
            None => rest.is_empty().then_some((fields, rest)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_written_sorted() {
        let text = "b.py,sha256=x,1\r\n\"a,\"\"b\"\".py\",sha256=y,2\nd/RECORD,,\nc\n";
        let all = |path: &str| !path.is_empty();
        let record = Record::parse(text, all).unwrap();
        assert_eq!(record.text(), "\"a,\"\"b\"\".py\",sha256=y,2\nb.py,sha256=x,1\nc,,\nd/RECORD,,\n");
        assert_eq!(Record::parse(text, |path| path == "c").unwrap().text(), "c,,\n");
        assert_eq!(Record::parse(&record.text(), all).unwrap().text(), record.text());
    }

    #[test]
    fn a_text_that_is_not_a_record_is_refused() {
        for text in ["a,b,c,d", "\"a", "\"a\"b,c,d"] {
            assert!(Record::parse(text, |_| true).is_none(), "{text}");
        }
    }

    #[test]
    fn a_made_file_has_its_hash() {
        let mut record = Record::default();
        record.made("x/INSTALLER", b"uv");
        assert_eq!(record.text(), "x/INSTALLER,sha256=5hhM4Q4mYTT9z6QB6PGpUAW81PGNFrYrdXMj4oM_6ak,2\n");
    }
}
