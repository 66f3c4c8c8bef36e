//! Extended attributes of an entry.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::path;

/// Extended attributes by name, such as `security.capability`. An empty set takes one machine word, because nearly all
/// entries have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::box_collection, reason = "the map itself would be three words in each of many entries")]
pub struct Xattrs(Option<Box<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Xattrs {
    /// No attributes.
    pub const NONE: Xattrs = Xattrs(None);

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|all| all.is_empty())
    }

    /// The number of attributes.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.len())
    }

    /// The value of the attribute `name`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.as_ref()?.get(name).map(Vec::as_slice)
    }

    /// Sets an attribute, and returns its former value.
    pub fn insert(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
        self.0.get_or_insert_default().insert(name.into(), value.into())
    }

    /// Names and values, in the order of the names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.as_deref().into_iter().flatten().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

impl<N: Into<Vec<u8>>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Xattrs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(all: I) -> Xattrs {
        let mut xattrs = Xattrs::default();
        for (name, value) in all {
            xattrs.insert(name, value);
        }
        xattrs
    }
}

impl Serialize for Xattrs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| (path::hex(name), path::hex(value))))
    }
}

impl<'de> Deserialize<'de> for Xattrs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Xattrs, D::Error> {
        let all = BTreeMap::<String, String>::deserialize(deserializer)?;
        let pair = |(name, value): (String, String)| Some((path::unhex(&name)?, path::unhex(&value)?));
        let pairs = all.into_iter().map(pair).collect::<Option<Vec<_>>>();
        Ok(pairs.ok_or_else(|| D::Error::custom("an attribute is not in hexadecimal"))?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_names_and_values_that_are_not_text() {
        let xattrs: Xattrs = [(&b"security.capability"[..], &[1, 0, 0, 2, 255][..]), (b"user.\xff", b"")]
            .into_iter()
            .collect();
        let json = serde_json::to_string(&xattrs).unwrap();
        assert_eq!(serde_json::from_str::<Xattrs>(&json).unwrap(), xattrs);
        assert_eq!(xattrs.get(b"security.capability"), Some(&[1, 0, 0, 2, 255][..]));
        assert!(serde_json::from_str::<Xattrs>(r#"{"0g": ""}"#).is_err());
    }

    #[test]
    fn none_are_empty() {
        assert!(Xattrs::default().is_empty() && Xattrs::default().iter().next().is_none());
        assert_eq!([("user.a", "b")].into_iter().collect::<Xattrs>().len(), 1);
    }
}
