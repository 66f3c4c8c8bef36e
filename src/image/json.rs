//! Parses JSON of others within bounded memory.
//!
//! A parsed document may need a hundred times its bytes: a map has room for eleven members as soon as it has one.

use serde::de::{DeserializeOwned, Error as _};

/// Upper bound on the memory of a parsed document in bytes, by the estimate of [`memory`]. An image with 127 layers, as
/// many as any engine accepts, needs less than a hundredth.
const MOST: usize = 32 << 20;

/// The memory of an object with up to [`ROOM`] members and of a list with up to four, in bytes.
const OBJECT: usize = 640;
const LIST: usize = 128;
const ROOM: usize = 11;

/// The memory of each further member, in bytes: an object may be half full, and a list doubles its room.
const MEMBER: usize = 128;
const ELEMENT: usize = 64;

/// The depth up to which serde_json parses.
const DEPTH: usize = 128;

/// Parses a document, unless it needs too much memory.
///
/// # Errors
/// When it is not valid JSON, or needs too much memory.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    match memory(json) > MOST {
        true => Err(serde_json::Error::custom("it has too many values")),
        false => serde_json::from_slice(json),
    }
}

/// The memory that the document needs when it is parsed, in bytes.
fn memory(json: &[u8]) -> usize {
    let (mut total, mut in_text, mut is_escaped) = (json.len(), false, false);
    // For each list or object that is open, the number of its members if it is an object.
    let mut open: Vec<Option<usize>> = Vec::new();
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                let is_object = *byte == b'{';
                total += if is_object { OBJECT } else { LIST };
                open.push(is_object.then_some(1));
            }
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Some(members)) => {
                    *members += 1;
                    total += if *members > ROOM { MEMBER } else { 0 };
                }
                _ => total += ELEMENT,
            },
            _ => {}
        }
        // The parser refuses deeper documents.
        if open.len() > DEPTH {
            return total;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_document_that_needs_much_memory_is_not_parsed() {
        for part in ["0", "{}", r#"{"":0}"#, "[0]", "[[[]]]"] {
            let long = format!("[{}]", vec![part; (4 << 20) / (part.len() + 1)].join(","));
            let error = parse::<Value>(long.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("too many values"), "{part}: {error}");
        }
    }

    #[test]
    fn an_index_of_many_images_is_parsed() {
        let entry = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1234,
            "digest": format!("sha256:{}", "0".repeat(64)), "platform": { "os": "linux", "architecture": "arm64" },
        });
        let index = json!({ "schemaVersion": 2, "manifests": vec![entry; 15_000] }).to_string();
        assert!(parse::<Value>(index.as_bytes()).is_ok());
        assert!(parse::<Value>("[".repeat(1000).as_bytes()).is_err());
    }

    #[test]
    fn the_config_of_a_large_image_is_parsed() {
        let entry =
            json!({ "created": "1980-01-01T00:00:00Z", "created_by": "a".repeat(2000), "comment": "b" });
        let config = json!({ "history": vec![entry; 1000], "text": r#"\"[{,"#.repeat(100_000) });
        assert_eq!(parse::<Value>(config.to_string().as_bytes()).unwrap(), config);
    }
}
