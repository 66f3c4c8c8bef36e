//! GET and PUT of manifests, with the checks of a PUT.

use hyper::{StatusCode, header};
use serde_json::{Value, json};

use super::{Call, Manifest, Reply, Repository, State, answer, digest, error};

const IMAGES: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"];
const INDEXES: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"];

impl Repository {
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        self.manifests.get(self.tags.get(reference).map_or(reference, String::as_str))
    }

    pub(super) fn store(&mut self, manifest: Manifest, tag: Option<&str>) -> String {
        let digest = digest(&manifest.content);
        self.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }
}

impl State {
    pub(super) fn get_manifest(&mut self, call: &Call, repository: &str, reference: &str) -> Reply {
        let found = self.repositories.get(repository).and_then(|found| found.manifest(reference));
        let Some(found) = found.filter(|found| accepts(call, &found.media_type)) else {
            let message = format!(
                "Requested image not found, or not of an accepted media type: {repository}, reference {reference}"
            );
            return error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &message, json!(null));
        };
        let digest = digest(&found.content);
        let headers = [("content-type", found.media_type.as_str()), ("docker-content-digest", &digest)];
        answer(StatusCode::OK, &headers, found.content.clone())
    }

    pub(super) fn put_manifest(&mut self, call: &Call, repository: &str, reference: &str) -> Reply {
        let Some(content) = call.body.clone() else { return Reply::Reset };
        let media_type = call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let parsed = match parse(&content, &media_type) {
            Ok(parsed) => parsed,
            Err(message) => return refused("MANIFEST_INVALID", &message),
        };
        let digest = digest(&content);
        let tag = (!reference.contains(':')).then_some(reference);
        if tag.is_none() && reference != digest {
            return refused("DIGEST_INVALID", &format!("the manifest's digest is {digest}, not {reference}"));
        }
        if let Err(refusal) = self.check_references(repository, &parsed) {
            return refusal;
        }
        let immutable = self.behaviour.immutable_tags;
        let found = self.repository(repository);
        if let Some(tag) = tag.filter(|&tag| immutable && found.tags.contains_key(tag)) {
            let message = format!(
                "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten \
                 because the tag is immutable."
            );
            return refused("TAG_INVALID", &message);
        }
        found.store(Manifest { media_type, content }, tag);
        let location = self.location(call, format!("/v2/{repository}/manifests/{digest}"));
        let mut headers = vec![("docker-content-digest", digest.as_str())];
        if !self.behaviour.no_manifest_location {
            headers.push(("location", &location));
        }
        answer(StatusCode::CREATED, &headers, "")
    }

    /// Every blob or manifest that the manifest names has to exist with the given size.
    fn check_references(&mut self, repository: &str, manifest: &Value) -> Result<(), Reply> {
        self.repository(repository);
        let Some(found) = self.repositories.get_mut(repository) else { return Ok(()) };
        let index = manifest.get("manifests").is_some();
        let mut missing = Vec::new();
        for (digest, size) in references(manifest) {
            if let Some(at) = self.behaviour.loses.iter().position(|lost| *lost == digest)
                && let Some(content) = found.blobs.remove(&digest)
            {
                self.behaviour.loses.remove(at);
                found.lost.insert(digest.clone(), content.len());
            }
            let have = match index {
                true => found.manifests.get(&digest).map(|manifest| manifest.content.len()),
                false => found.blobs.get(&digest).map(|content| content.len()),
            };
            match have {
                None => missing.push(digest),
                Some(have) if have as u64 == size => (),
                Some(have) => {
                    return Err(refused(
                        "MANIFEST_INVALID",
                        &format!("{digest} has {have} bytes, not {size}"),
                    ));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let errors: Vec<_> = missing
            .into_iter()
            .map(|digest| {
                json!({
                    "code": "MANIFEST_BLOB_UNKNOWN",
                    "message": "blob unknown to registry",
                    "detail": { "digest": digest },
                })
            })
            .collect();
        let body = json!({ "errors": errors }).to_string();
        Err(answer(StatusCode::BAD_REQUEST, &[("content-type", "application/json")], body))
    }
}

fn refused(code: &str, message: &str) -> Reply {
    error(StatusCode::BAD_REQUEST, code, message, json!(null))
}

/// A request without `Accept` accepts every type.
fn accepts(call: &Call, media_type: &str) -> bool {
    let lines: Vec<_> =
        call.head.headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let ranges = lines.iter().flat_map(|line| line.split(',')).filter_map(|range| range.split(';').next());
    lines.is_empty() || ranges.map(str::trim).any(|range| range == "*/*" || range == media_type)
}

fn parse(content: &[u8], media_type: &str) -> Result<Value, String> {
    if !IMAGES.contains(&media_type) && !INDEXES.contains(&media_type) {
        return Err(format!("unsupported media type '{media_type}'"));
    }
    let manifest: Value = serde_json::from_slice(content).map_err(|_| "Invalid JSON syntax".to_owned())?;
    match manifest["mediaType"].as_str() {
        // ECR's message for a manifest without a media type.
        None => return Err("Invalid JSON syntax".to_owned()),
        Some(named) if named != media_type => {
            return Err(format!("mediaType is {named}, Content-Type is {media_type}"));
        }
        Some(_) => (),
    }
    if manifest["schemaVersion"] != 2 {
        return Err("schemaVersion is not 2".to_owned());
    }
    let complete = match INDEXES.contains(&media_type) {
        true => manifest["manifests"].is_array(),
        false => manifest["config"].is_object() && manifest["layers"].is_array(),
    };
    if complete { Ok(manifest) } else { Err("required parts are missing".to_owned()) }
}

/// Digest and size of everything that a manifest names.
fn references(manifest: &Value) -> Vec<(String, u64)> {
    let lists = ["layers", "manifests"].into_iter().filter_map(|name| manifest[name].as_array()).flatten();
    let descriptors = manifest.get("config").into_iter().chain(lists);
    descriptors
        .map(|descriptor| {
            (
                descriptor["digest"].as_str().unwrap_or_default().to_owned(),
                descriptor["size"].as_u64().unwrap_or(0),
            )
        })
        .collect()
}
