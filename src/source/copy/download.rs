//! Files that `ADD` downloads.

use crate::error::Result;
use crate::image::Digest;
use crate::recipe::Origin;
use crate::source::part::Context;
use crate::store::{BlobFile, Download, Login, Logins};

/// The name of a file whose URL has none.
const UNNAMED: &str = "__unnamed__";

/// Downloads without a login, as Docker's.
struct Anonymous;

impl Logins for Anonymous {
    fn at(&self, _: &reqwest::Url) -> Option<Login> {
        None
    }
}

/// Fetches the file, and checks its digest.
pub(super) async fn fetch(url: &str, checksum: Option<Digest>, context: &Context) -> Result<BlobFile> {
    let file = name(url).unwrap_or(url);
    let wanted = Download { url, file, sha256: checksum, size: None, logins: &Anonymous };
    context.downloads.fetch(&wanted).await
}

/// The name of the file: the last part of the URL's path.
pub(super) fn file_name(url: &str) -> &str {
    name(url).unwrap_or(UNNAMED)
}

fn name(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1.split_once('/')?.1;
    path.rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))
}

/// Fails for a URL that cannot be requested.
pub(super) fn check(url: &str, origin: &Origin) -> Result<()> {
    match reqwest::Url::parse(url) {
        Ok(url) if url.host().is_some() => Ok(()),
        _ => Err(origin.failed(format!("`{url}` is not a URL"), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_the_path_of_the_url() {
        for (rule, url, expected) in [
            (112, "https://h/a/b.zip", "b.zip"),
            (112, "https://h/a/b.zip?x=/y#z", "b.zip"),
            (112, "https://h/", UNNAMED),
            (112, "https://h", UNNAMED),
            (112, "https://h/a/", UNNAMED),
        ] {
            assert_eq!(file_name(url), expected, "rule {rule}: {url}");
        }
    }
}
