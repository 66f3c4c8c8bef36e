//! Puts manifests, and compares what the registry stored with what it was sent.
//!
//! A body may be damaged on its way, for example by a proxy on plain HTTP. A registry that gets a manifest under a tag
//! cannot notice it: it stores the damaged bytes and reports their digest.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::call::Call;
use super::repository::{Repository, any_manifest};
use super::request::reported_digest;
use crate::error::{Error, Result};
use crate::image::{Digest, Manifest, Parsed, parse_manifest};
use crate::store::http::refusal;

/// The number of attempts after refusals of a manifest as invalid, which may be damage or the truth.
const INVALID_ATTEMPTS: usize = 2;

impl Repository {
    /// Puts `manifest` under a tag or its digest, until the registry has it. A refusal is returned unchanged, for the
    /// caller to handle.
    ///
    /// # Errors
    /// [`Error::Stored`] if the registry has other bytes after several attempts; a tag names these then.
    pub(crate) async fn put_manifest(&self, manifest: &Manifest, target: &str) -> Result<()> {
        let image = self.image_name(target);
        let request = self
            .request(Call::PutManifest, format!("manifests/{target}"), format!("put the manifest of {image}"))
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(manifest.bytes.clone());
        let mut retry = self.transport.retry(&request.patience);
        let mut invalid = 0;
        loop {
            // The response may lack a Location, which is not needed.
            let response = match self.transport.send(&request).await {
                Ok(response) if response.status().is_success() => response,
                Ok(response) => return Err(refusal(response, request.operation).await),
                Err(error) if may_be_damage(&error, manifest, &mut invalid) => {
                    retry.pause(error, None).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let got = match reported_digest(&response) {
                Some(digest) => Some(digest),
                None => self.stored_digest(manifest, target).await?,
            };
            if got == Some(manifest.digest) {
                return Ok(());
            }
            let (what, expected) = (format!("the manifest of {image}"), manifest.digest);
            retry.after(Error::Stored { what, expected, got }).await?;
        }
    }

    /// The digest of the manifest that the registry has, for a registry that did not report it. A registry that does not
    /// let its manifests and blobs be read is believed.
    async fn stored_digest(&self, manifest: &Manifest, target: &str) -> Result<Option<Digest>> {
        let operation = format!("look for the manifest of {}", self.image_name(target));
        let request = self
            .request(Call::FindManifest, format!("manifests/{target}"), operation)
            .header(ACCEPT, any_manifest());
        match self.transport.send(&request).await {
            Ok(response) if response.status().is_success() => match reported_digest(&response) {
                Some(digest) => return Ok(Some(digest)),
                None => {
                    if let Some(stored) = self.manifest(target).await? {
                        return Ok(Some(stored.digest));
                    }
                }
            },
            Ok(_) | Err(Error::Unauthorized { .. }) => {}
            Err(Error::Registry { answer, .. }) if (400..500).contains(&answer.status) => {}
            Err(error) => return Err(error),
        }
        if self.finds_config_of(manifest).await {
            return Ok(None);
        }
        let image = self.image_name(target);
        self.transport.warn(
            format!("the registry does not show what it stored as {image}"),
            "allow reading too, so that the manifest can be compared",
        );
        Ok(Some(manifest.digest))
    }

    /// Whether the registry reports the config, which it accepted before the manifest.
    async fn finds_config_of(&self, manifest: &Manifest) -> bool {
        match parse_manifest("the image", &manifest.bytes) {
            Ok(Parsed::Image { config, .. }) => self.has_blob(config.digest).await.unwrap_or(false),
            _ => false,
        }
    }
}

/// Upper bound on the bytes that damage changes: two images differ at least in a digest.
const DAMAGE: usize = 16;

impl Repository {
    /// Removes the manifest `stored` with its tags, if it is a damaged copy of `sent`. Returns whether it did so.
    ///
    /// # Errors
    /// When the registry does not allow it.
    pub(crate) async fn remove_damaged(&self, sent: &Manifest, stored: Digest) -> Result<bool> {
        let target = stored.to_string();
        // Another push may have moved the tag to its image meanwhile.
        let found = self.manifest(&target).await?;
        if !found.is_some_and(|found| is_damaged(&found.bytes, &sent.bytes)) {
            return Ok(false);
        }
        let operation = format!("remove the damaged manifest {}", self.image_name(&target));
        let request = self.request(Call::RemoveManifest, format!("manifests/{target}"), operation);
        Ok(self.transport.send(&request).await?.status().is_success())
    }

    /// Whether the registry is reached over plain HTTP, where a proxy can change what passes.
    pub(crate) fn is_plain(&self) -> bool {
        self.transport.is_plain(self.name.registry())
    }
}

/// Whether a manifest is the one that was `sent`, except for a few bytes.
fn is_damaged(stored: &[u8], sent: &[u8]) -> bool {
    let differ = stored.iter().zip(sent).filter(|(stored, sent)| stored != sent).count();
    stored.len() == sent.len() && (1..=DAMAGE).contains(&differ)
}

/// Whether a refusal of a manifest may come from damage on the way. `invalid` counts those that may be justified.
///
/// docker-registry reports a wrong digest by mistake, too, while another push of the same image writes the file that it
/// reads.
fn may_be_damage(error: &Error, manifest: &Manifest, invalid: &mut usize) -> bool {
    let Error::Registry { answer, .. } = error else { return false };
    if answer.status == StatusCode::FORBIDDEN {
        return false;
    }
    match answer.code.as_deref() {
        Some("DIGEST_INVALID") => true,
        Some("MANIFEST_INVALID") => {
            *invalid += 1;
            *invalid <= INVALID_ATTEMPTS
        }
        // The registry looked for a blob that the manifest does not name.
        Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN") => answer.digest.is_some_and(|digest| {
            let digest = digest.to_string();
            !manifest.bytes.windows(digest.len()).any(|bytes| bytes == digest.as_bytes())
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_damaged_copy_is_removed() {
        let sent = format!(r#"{{"layers":["{}"]}}"#, Digest::of(b"a")).into_bytes();
        let other = format!(r#"{{"layers":["{}"]}}"#, Digest::of(b"b")).into_bytes();
        let mut damaged = sent.clone();
        damaged[3] ^= 1;
        assert!(is_damaged(&damaged, &sent));
        assert!(!is_damaged(&other, &sent) && !is_damaged(&sent, &sent) && !is_damaged(&sent[1..], &sent));
    }
}
