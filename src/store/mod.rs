//! Stores of blobs and manifests: registries, OCI layouts, Docker archives, the cache.
//!
//! They share verbs: `manifest`, `blob`, `has_blob`, `put_blob`, `put_manifest`. Bytes are verified while they stream,
//! in both directions. A written file is visible only when it is complete.

mod archive;
mod blob;
mod blocking;
mod build_secrets;
mod cache;
mod credentials;
mod destination;
mod docker_config;
mod document;
mod download;
mod http;
mod images;
mod layout;
mod lock;
mod registry;
mod staged;
mod stream;
mod verify;

pub(crate) use archive::{Archive, write as write_archive};
pub(crate) use blob::{find_layer, open, open_gzip, open_layer, open_of_any_size, require_gzip, sniff};
pub(crate) use blocking::blocking_reader;
pub(crate) use build_secrets::BuildSecrets;
pub(crate) use cache::{BlobFile, CacheMount, CachedRoot, Holding, mark_used};
pub use cache::{Cache, Usage, Workplace};
pub use credentials::{Credential, Credentials, Later, Password, Secret};
pub use destination::Destination;
pub use docker_config::{DockerConfig, DockerConfigIn};
pub(crate) use download::{Download, Downloads, Login, Logins, NoLogins};
pub use images::{LocalImage, LocalImages};
pub(crate) use layout::Layout;
pub(crate) use registry::{Addresses, Registries, Repository, Upload};
pub(crate) use staged::{Staged, renew};
pub(crate) use stream::{ByteStream, write_stream};
