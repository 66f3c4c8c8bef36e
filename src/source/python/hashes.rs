//! Hashes of packages' files, as locks and requirements name them.
//!
//! sha256 identifies a file everywhere in lbuild. Some indexes serve only sha384 or sha512; the cache records which file
//! had such a hash, so that the file is read once. Other algorithms are not checked: a file with no other hash is
//! refused.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest as _, Sha384, Sha512};

use crate::error::{Error, Result};
use crate::image::Digest;
use crate::source::part::Context;
use crate::store::Download;

/// The hashes that a file may have. Like pip and uv, lbuild accepts a file that has one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    sha256: BTreeSet<Digest>,
    /// sha384 and sha512, as `sha512:HEX`.
    stronger: BTreeSet<String>,
    /// Hashes of other algorithms, and texts that are not a hash.
    unchecked: BTreeSet<String>,
}

impl Hashes {
    /// The hashes of these texts, each of the form `sha256:HEX`.
    pub(super) fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Hashes {
        let mut hashes = Hashes::default();
        texts.into_iter().for_each(|text| hashes.add(text.as_ref()));
        hashes
    }

    fn add(&mut self, text: &str) {
        let text = text.to_ascii_lowercase();
        let (algorithm, hex) = text.split_once(':').unwrap_or((&text, ""));
        let is_hex = |digits| hex.len() == digits && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (algorithm, text.parse()) {
            (_, Ok(digest)) => drop(self.sha256.insert(digest)),
            ("sha384", _) if is_hex(96) => drop(self.stronger.insert(text)),
            ("sha512", _) if is_hex(128) => drop(self.stronger.insert(text)),
            _ => drop(self.unchecked.insert(text)),
        }
    }

    pub(super) fn extend(&mut self, other: Hashes) {
        self.sha256.extend(other.sha256);
        self.stronger.extend(other.stronger);
        self.unchecked.extend(other.unchecked);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sha256.is_empty() && self.stronger.is_empty() && self.unchecked.is_empty()
    }

    /// The sha256 of the only file that has these hashes, if it is known without reading the file.
    pub(super) fn sole_sha256(&self, context: &Context) -> Option<Digest> {
        match (self.sha256.first(), self.sha256.len()) {
            (Some(digest), 1) => Some(*digest),
            (None, _) => self.stronger.iter().find_map(|hash| noted(hash, context)),
            _ => None,
        }
    }

    /// Fails unless the file of this sha256 has one of the hashes. `wanted` is the file, and `list` names the list of
    /// hashes in messages. Reads the file only if a stronger hash decides for the first time.
    pub(super) async fn verify(
        &self,
        sha256: Digest,
        wanted: &Download<'_>,
        list: &str,
        context: &Context,
    ) -> Result<()> {
        let known = |hash: &String| noted(hash, context) == Some(sha256);
        if self.is_empty() || self.sha256.contains(&sha256) || self.stronger.iter().any(known) {
            return Ok(());
        }
        let fail = |fault| Err(Error::Hash { file: wanted.file.to_owned(), fault });
        if self.sha256.is_empty() && self.stronger.is_empty() {
            let unchecked = self.unchecked.iter().next().map_or("", String::as_str);
            let algorithm = unchecked.split(':').next().unwrap_or_default();
            return fail(match algorithm {
                "sha256" | "sha384" | "sha512" => format!("its {algorithm} in {list} is not a hash"),
                _ => format!(
                    "its only hash in {list} is {algorithm}, and lbuild checks sha256, sha384 and sha512"
                ),
            });
        }
        if !self.stronger.is_empty() {
            let blob = context.downloads.fetch(&Download { sha256: Some(sha256), ..*wanted }).await?;
            let found = context.threads.run(1, move |_, _| stronger_of(&blob.path)).await?;
            if let Some(hash) = found.iter().find(|hash| self.stronger.contains(*hash)) {
                return context.cache.note(note(hash), sha256.to_string().as_bytes());
            }
        }
        fail(format!("its hash is not among those in {list}"))
    }
}

/// The key of the cache's record about the file with this hash.
fn note(hash: &str) -> Digest {
    Digest::of(format!("file of {hash}").as_bytes())
}

fn noted(hash: &str, context: &Context) -> Option<Digest> {
    std::str::from_utf8(&context.cache.noted(note(hash))?).ok()?.parse().ok()
}

/// The stronger hashes of a file.
fn stronger_of(path: &Path) -> Result<[String; 2]> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(fail)?;
    let (mut sha384, mut sha512) = (Sha384::new(), Sha512::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut piece).map_err(fail)? {
            0 => break,
            length => {
                sha384.update(&piece[..length]);
                sha512.update(&piece[..length]);
            }
        }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok([format!("sha384:{}", hex(&sha384.finalize())), format!("sha512:{}", hex(&sha512.finalize()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sorted_by_what_can_be_checked() {
        let upper = format!("SHA512:{}", "AB".repeat(64));
        let hashes = Hashes::of([&upper, &format!("sha384:{}", "0".repeat(96))]);
        assert_eq!((hashes.stronger.len(), hashes.unchecked.len()), (2, 0));
        assert!(hashes.stronger.contains(&upper.to_lowercase()));
        let hashes = Hashes::of(["md5:00", "sha512:00", "sha256:", "sha256", "blake2b:00", ""]);
        assert_eq!((hashes.stronger.len(), hashes.unchecked.len()), (0, 6));
        assert!(!hashes.is_empty() && Hashes::of::<&str>([]).is_empty());
    }

    /// <https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values>, of the text `abc`.
    #[test]
    fn the_stronger_hashes_are_those_of_the_standard() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let [sha384, sha512] = stronger_of(file.path()).unwrap();
        assert!(sha384.starts_with("sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"), "{sha384}");
        assert!(sha512.starts_with("sha512:ddaf35a193617abacc417349ae204131"), "{sha512}");
    }
}
