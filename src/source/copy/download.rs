//! Files that `ADD` downloads.

use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::Origin;
use crate::source::address::unescaped;
use crate::source::part::Context;
use crate::store::{BlobFile, Download, NoLogins};

/// The name of a file whose URL has none.
const UNNAMED: &str = "__unnamed__";

/// Fetches the file without a login, as Docker does, and checks its digest.
pub(super) async fn fetch(
    url: &str,
    checksum: Option<Digest>,
    origin: &Origin,
    context: &Context,
) -> Result<BlobFile> {
    let file = file_name(url);
    let wanted = Download { url, file: &file, sha256: checksum, size: None, logins: &NoLogins };
    context.downloads.fetch(&wanted).await.map_err(|error| {
        let hint = match &error {
            Error::Download { answer, .. } if answer.status == 404 => {
                "check the URL: the server has no such file"
            }
            Error::Corrupt { .. } => "correct --checksum if the new content is meant",
            _ => "the URL must be reachable from this machine, without a login",
        };
        origin.caused(url, format!("`{url}` cannot be downloaded"), Some(hint.to_owned()), error)
    })
}

/// The name of the file: the last part of the URL's path, decoded.
pub(super) fn file_name(url: &str) -> String {
    name(url).map_or_else(|| UNNAMED.to_owned(), decoded)
}

fn name(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1.split_once('/')?.1;
    path.trim_end_matches('/').rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))
}

/// The text without percent signs before two hexadecimal digits; unchanged if that would not be the name of a file.
fn decoded(text: &str) -> String {
    unescaped(text)
        .filter(|name| !name.contains(['/', '\0']) && name != "." && name != "..")
        .unwrap_or_else(|| text.to_owned())
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
            (112, "https://h/a/", "a"),
            (112, "https://h/a/x%20y", "x y"),
            (112, "https://h/a/x%2Fy", "x%2Fy"),
            (112, "https://h/100%", "100%"),
        ] {
            assert_eq!(file_name(url), expected, "rule {rule}: {url}");
        }
    }
}
