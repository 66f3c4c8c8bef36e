//! Manifests: read with the media types of either family, written with those of exactly one.

use std::collections::BTreeMap;

use oci_client::manifest as media;
use oci_spec::image as spec;
use serde::{Deserialize, Serialize, de};
use serde_json::json;

use super::blob::Blob;
use super::digest::Digest;
use super::json::parse as parse_json;
use super::layer::Layer;
use super::platform::Platform;
use crate::error::{Error, Result};

/// Media type of a Docker V2 Schema 2 manifest.
pub const DOCKER_MANIFEST: &str = media::IMAGE_MANIFEST_MEDIA_TYPE;
/// Media type of a Docker manifest list.
pub const DOCKER_INDEX: &str = media::IMAGE_MANIFEST_LIST_MEDIA_TYPE;
/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = media::OCI_IMAGE_MEDIA_TYPE;
/// Media type of an OCI image index.
pub const OCI_INDEX: &str = media::OCI_IMAGE_INDEX_MEDIA_TYPE;

/// BuildKit's annotation of an entry that is an attestation:
/// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// The family of media types of a manifest. Lambda accepts both; the blobs are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Docker Image Manifest V2, Schema 2.
    #[default]
    Docker,
    /// OCI image manifest 1.0.
    Oci,
}

impl Format {
    fn media_types(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Format::Docker => (
                DOCKER_MANIFEST,
                media::IMAGE_DOCKER_CONFIG_MEDIA_TYPE,
                media::IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
            ),
            Format::Oci => (OCI_MANIFEST, media::IMAGE_CONFIG_MEDIA_TYPE, media::IMAGE_LAYER_GZIP_MEDIA_TYPE),
        }
    }
}

/// A rendered manifest: the exact bytes to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The media type, sent as `Content-Type`.
    pub media_type: String,
    /// The JSON.
    pub bytes: Vec<u8>,
    /// The image's digest: the digest of `bytes`.
    pub digest: Digest,
}

impl Manifest {
    /// A manifest from a store. If the store gives no media type, it is the manifest's own `mediaType`, else that of an
    /// OCI manifest, where the field is optional.
    pub(crate) fn stored(mut media_type: String, bytes: Vec<u8>) -> Manifest {
        let digest = Digest::of(&bytes);
        if media_type.is_empty() {
            let json: serde_json::Value = parse_json(&bytes).unwrap_or_default();
            media_type = json["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned();
        }
        Manifest { media_type, bytes, digest }
    }

    /// Its format; `None` for an index, or another media type.
    pub fn format(&self) -> Option<Format> {
        [Format::Docker, Format::Oci].into_iter().find(|format| format.media_types().0 == self.media_type)
    }

    /// Whether it describes the same blobs as `other`, one that lbuild writes, and has nothing more than annotations: readers
    /// differ in what they make of unknown fields and of fields that come twice.
    pub(super) fn is_like(&self, other: &Manifest) -> bool {
        let exact = |manifest: &Manifest| serde_json::from_slice::<ExactManifest>(&manifest.bytes).ok();
        let (Some(own), Some(other)) = (exact(self), exact(other)) else { return false };
        // ECR refuses a manifest without its media type.
        own.media_type == self.media_type
            && own.media_type == other.media_type
            && own.schema_version == other.schema_version
            && own.config.is_like(&other.config)
            && own.layers.len() == other.layers.len()
            && own.layers.iter().zip(&other.layers).all(|(own, other)| own.is_like(other))
    }

    /// The annotations of an OCI manifest.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let json: serde_json::Value = parse_json(&self.bytes).unwrap_or_default();
        let annotations = json["annotations"].as_object().into_iter().flatten();
        annotations.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Every layer is gzip (see [`Layer`]), so a base's layers get the family's media type and are not rewritten.
    /// The manifest contains its `mediaType`, because ECR refuses one without.
    pub(crate) fn render(
        format: Format,
        config: &Blob,
        layers: &[Layer],
        annotations: &BTreeMap<String, String>,
    ) -> Manifest {
        Manifest::annotated(format, config, Descriptor::of_layers(format, layers), annotations)
    }

    /// An OCI index of these images, which no store has.
    pub(crate) fn index(index: &Index) -> Manifest {
        let entry = |(Descriptor { media_type, size, digest }, platform): &(Descriptor, Option<Platform>)| {
            let mut entry = json!({ "mediaType": media_type, "size": size, "digest": digest });
            if let Some(platform) = platform {
                entry["platform"] = json!(platform);
            }
            entry
        };
        let entries: Vec<_> = index.0.iter().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        Manifest::stored(OCI_INDEX.to_owned(), index.to_string().into_bytes())
    }

    /// The manifest with these layer descriptors of any media type.
    pub(crate) fn of(format: Format, config: &Blob, layers: Vec<Descriptor>) -> Manifest {
        Manifest::annotated(format, config, layers, &BTreeMap::new())
    }

    /// Docker's manifests have no annotations.
    fn annotated(
        format: Format,
        config: &Blob,
        layers: Vec<Descriptor>,
        annotations: &BTreeMap<String, String>,
    ) -> Manifest {
        let (manifest_type, config_type, _) = format.media_types();
        // serde_json orders the keys of a map by name or by insertion, depending on features that other crates of the
        // build enable. A struct is always written in the order of its fields.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            schema_version: u8,
            media_type: &'a str,
            config: Descriptor,
            layers: Vec<Descriptor>,
            #[serde(skip_serializing_if = "Option::is_none")]
            annotations: Option<&'a BTreeMap<String, String>>,
        }
        let manifest = Json {
            schema_version: 2,
            media_type: manifest_type,
            config: Descriptor::of(config_type, config),
            layers,
            annotations: Some(annotations).filter(|all| format == Format::Oci && !all.is_empty()),
        };
        let bytes =
            serde_json::to_vec(&manifest).unwrap_or_else(|_| unreachable!("strings and numbers only"));
        Manifest::stored(manifest_type.to_owned(), bytes)
    }
}

/// A manifest with the fields that lbuild writes, each once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExactManifest {
    schema_version: u8,
    media_type: String,
    config: ExactDescriptor,
    layers: Vec<ExactDescriptor>,
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
}

/// A descriptor in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExactDescriptor {
    media_type: String,
    size: u64,
    digest: Digest,
    #[serde(default, rename = "annotations")]
    _annotations: BTreeMap<String, String>,
}

impl ExactDescriptor {
    fn is_like(&self, other: &ExactDescriptor) -> bool {
        (&self.media_type, self.size, self.digest) == (&other.media_type, other.size, other.digest)
    }
}

/// The descriptor of a blob or of another manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    pub media_type: String,
    /// The size in bytes.
    pub size: u64,
    /// The digest.
    pub digest: Digest,
}

impl Descriptor {
    fn of(media_type: &str, blob: &Blob) -> Descriptor {
        Descriptor { media_type: media_type.to_owned(), size: blob.size, digest: blob.digest }
    }

    pub(super) fn of_layers(format: Format, layers: &[Layer]) -> Vec<Descriptor> {
        let (.., media_type) = format.media_types();
        layers.iter().map(|layer| Descriptor::of(media_type, &layer.blob)).collect()
    }

    fn read(descriptor: &spec::Descriptor) -> serde_json::Result<Descriptor> {
        Ok(Descriptor {
            media_type: descriptor.media_type().to_string(),
            size: descriptor.size(),
            digest: descriptor.digest().to_string().parse().map_err(de::Error::custom)?,
        })
    }
}

/// The compression of a layer's tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Uncompressed; Lambda refuses it in a Docker manifest.
    None,
    /// gzip, which lbuild recompresses all other layers to.
    Gzip,
    /// zstd; Lambda refuses it.
    Zstd,
}

impl Compression {
    /// The compression by a layer's media type; `None` for a foreign layer or one that is not a tar.
    pub fn of(media_type: &str) -> Option<Compression> {
        match media_type {
            media::IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE | media::IMAGE_LAYER_GZIP_MEDIA_TYPE => {
                Some(Compression::Gzip)
            }
            media::IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE | media::IMAGE_LAYER_MEDIA_TYPE => {
                Some(Compression::None)
            }
            "application/vnd.oci.image.layer.v1.tar+zstd" | DOCKER_LAYER_ZSTD => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The compression by a layer's first bytes, regardless of its media type; four bytes are enough.
    pub(crate) fn sniff(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A zstd frame, or a skippable frame.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// Docker's media type of such a layer.
    pub(crate) fn docker_media_type(self) -> &'static str {
        match self {
            Compression::None => media::IMAGE_DOCKER_LAYER_TAR_MEDIA_TYPE,
            Compression::Gzip => media::IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
            Compression::Zstd => DOCKER_LAYER_ZSTD,
        }
    }
}

/// A parsed manifest: of one image, or an index of several.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// One image.
    Image {
        /// Its config.
        config: Descriptor,
        /// Its layers, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several images, one per platform.
    Index(Index),
}

/// The entries of an OCI index or a Docker manifest list.
#[derive(Clone, Debug)]
pub struct Index(pub Vec<(Descriptor, Option<Platform>)>);

impl Index {
    /// The entry for `wanted`, if any: of several, the one with the variant that was asked for, else the newest variant
    /// that runs there. In an index without platforms, the only entry; its config decides.
    pub fn for_platform(&self, wanted: &Platform) -> Option<&Descriptor> {
        let preference =
            |(_, platform): &&(Descriptor, Option<Platform>)| platform.as_ref()?.preference(wanted);
        let fits = self.0.iter().filter(|entry| preference(entry).is_some()).min_by_key(preference);
        fits.map(|(descriptor, _)| descriptor).or_else(|| self.only())
    }

    /// The only entry of an index without platforms.
    pub(crate) fn only(&self) -> Option<&Descriptor> {
        let mut unknown = self.0.iter().filter(|(_, platform)| platform.is_none());
        let only = unknown.next().filter(|_| unknown.next().is_none() && self.platforms().is_empty());
        only.map(|(descriptor, _)| descriptor)
    }

    /// The platforms of the images. Attestation manifests (`unknown/unknown`) are left out.
    pub fn platforms(&self) -> Vec<Platform> {
        self.0.iter().filter_map(|(_, platform)| platform.clone()).filter(|p| p.os != "unknown").collect()
    }
}

/// Parses a manifest of any of the four types; `name` identifies the image in errors.
///
/// # Errors
/// When the bytes are not JSON, or neither an image's manifest nor an index of schema version 2.
pub fn parse_manifest(name: &str, bytes: &[u8]) -> Result<Parsed> {
    let fail = |source| Error::Manifest { image: name.to_owned(), source };
    let json: serde_json::Value = parse_json(bytes).map_err(fail)?;
    if json.get("manifests").is_some() {
        let index: spec::ImageIndex = serde_json::from_value(json).map_err(fail)?;
        let entries = index.manifests().iter().map(|entry| {
            let is_attestation = entry.annotations().as_ref().is_some_and(|all| {
                all.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
            });
            let unknown = || Platform { os: "unknown".into(), architecture: "unknown".into(), variant: None };
            let platform = entry.platform().as_ref().map(|p| Platform {
                os: p.os().to_string(),
                architecture: p.architecture().to_string(),
                variant: p.variant().clone().filter(|variant| !variant.is_empty()),
            });
            let platform = platform.or_else(|| is_attestation.then(unknown));
            Ok((Descriptor::read(entry).map_err(fail)?, platform))
        });
        return Ok(Parsed::Index(Index(entries.collect::<Result<_>>()?)));
    }
    if json.get("schemaVersion") != Some(&json!(2)) {
        return Err(Error::ManifestSchema { image: name.to_owned() });
    }
    let manifest: spec::ImageManifest = serde_json::from_value(json).map_err(fail)?;
    Ok(Parsed::Image {
        config: Descriptor::read(manifest.config()).map_err(fail)?,
        layers: manifest.layers().iter().map(Descriptor::read).collect::<Result<_, _>>().map_err(fail)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, Image};

    #[test]
    fn a_rendered_manifest_can_be_parsed() {
        let image = Image::scratch(&Platform::linux(Arch::Arm64));
        for format in [Format::Docker, Format::Oci] {
            let manifest = image.manifest(format);
            assert_eq!(manifest.digest, Digest::of(&manifest.bytes));
            let text = String::from_utf8(manifest.bytes.clone()).unwrap();
            assert!(
                text.starts_with(&format!(r#"{{"schemaVersion":2,"mediaType":"{}","#, manifest.media_type))
            );
            let Parsed::Image { config, layers } = parse_manifest("test", &manifest.bytes).unwrap() else {
                panic!("an index?")
            };
            assert_eq!(config.digest, image.config_blob().digest);
            assert!(layers.is_empty());
        }
    }

    #[test]
    fn an_index_lists_images_without_attestations() {
        let digest = Digest::of(b"x");
        let entry =
            |platform| json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest, "platform": platform});
        let index = json!({"schemaVersion": 2, "manifests": [
            entry(json!({"os": "unknown", "architecture": "unknown"})),
            entry(json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        ]});
        let Parsed::Index(index) = parse_manifest("test", index.to_string().as_bytes()).unwrap() else {
            panic!("no index?")
        };
        assert_eq!(index.platforms().len(), 1);
        assert!(index.for_platform(&Platform::linux(Arch::Arm64)).is_some());
        assert!(index.for_platform(&Platform::linux(Arch::Amd64)).is_none());
    }

    #[test]
    fn an_index_gives_the_best_variant() {
        let entries = |texts: &[&str]| {
            let entry = |text: &&str| {
                let variant = text.split_once('/').map(|(_, variant)| variant.to_owned());
                let architecture = text.split('/').next().unwrap_or_default().to_owned();
                let platform = Platform { os: "linux".into(), architecture, variant };
                let digest = Digest::of(text.as_bytes());
                let platform = Some(platform).filter(|_| !text.is_empty());
                (Descriptor { media_type: OCI_MANIFEST.into(), size: 1, digest }, platform)
            };
            Index(texts.iter().map(entry).collect())
        };
        for (offered, arch, expected) in [
            (&["amd64/v3", "arm64", "amd64"][..], Arch::Amd64, Some("amd64")),
            (&["amd64/v2", "amd64/v4", "amd64/v3", "386"], Arch::Amd64, Some("amd64/v3")),
            (&["amd64/v4", "arm64"], Arch::Amd64, None),
            (&["arm/v7", "arm64/v9", "arm64/v8"], Arch::Arm64, Some("arm64/v8")),
            (&["arm64/v8.1", "arm64/v8.4"], Arch::Arm64, Some("arm64/v8.1")),
            (&["", "arm64"], Arch::Amd64, None),
            (&[""], Arch::Amd64, Some("")),
            (&["", ""], Arch::Amd64, None),
        ] {
            let found = entries(offered).for_platform(&Platform::linux(arch)).map(|found| found.digest);
            assert_eq!(found, expected.map(|text| Digest::of(text.as_bytes())), "{offered:?}");
        }
    }

    #[test]
    fn the_error_for_schema_1_names_the_image() {
        let error = parse_manifest("old", br#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err();
        assert!(matches!(error, Error::ManifestSchema { image } if image == "old"));
    }
}
