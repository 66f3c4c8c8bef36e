//! Docker archives: the tar that `docker load` and `podman load` take.

use std::path::Path;

use serde_json::json;
use tar::Header;

use super::staged::Staged;
use super::verify::ByteStream;
use crate::error::Result;
use crate::image::{Blob, Image, Reference};

/// Tar's unit: a file is filled up to a multiple of it, and two empty ones end the archive.
const BLOCK: u64 = 512;

/// The archive's own files bear the time that layers do by default.
const EPOCH: u64 = 315_532_800;

/// Writes `image` as a Docker archive to `path`, under `names`; `open` gives a layer's bytes.
///
/// The layers stay compressed: every loader tells a gzip by its first bytes.
pub(crate) async fn write<F>(
    path: &Path,
    image: &Image,
    names: &[Reference],
    open: impl Fn(Blob) -> F,
    progress: impl Fn(&Blob, u64) + Send + Sync,
) -> Result<()>
where
    F: Future<Output = Result<ByteStream>>,
{
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged = Staged::new_in(dir)?;
    let config = image.config_blob();
    let config_name = format!("{}.json", config.digest.hex());
    let mut layer_names = Vec::new();
    staged = member(staged, &config_name, config.size, open(config.clone()).await?, &|_| ()).await?;
    for layer in image.layers() {
        let name = format!("{}.tar.gz", layer.blob.digest.hex());
        // An archive holds each name once, even when an image holds a layer twice.
        if !layer_names.contains(&name) {
            let bytes = open(layer.blob.clone()).await?;
            staged =
                member(staged, &name, layer.blob.size, bytes, &|sent| progress(&layer.blob, sent)).await?;
        }
        layer_names.push(name);
    }
    let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": names, "Layers": layer_names }]).to_string();
    let manifest = Blob::from_bytes(manifest.into_bytes());
    let bytes = open(manifest.clone()).await?;
    staged = member(staged, "manifest.json", manifest.size, bytes, &|_| ()).await?;
    staged = super::write_stream(staged, super::bytes_stream(vec![0; 2 * BLOCK as usize]), &|_| ()).await?;
    // Unlike a cache's, this name is the user's: what stands there is replaced.
    staged.replace(path)
}

async fn member(
    staged: Staged,
    name: &str,
    size: u64,
    bytes: ByteStream,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Staged> {
    let mut header = Header::new_ustar();
    // A digest in hex and an ending: never too long for a header.
    let _ = header.set_path(name);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(EPOCH);
    header.set_cksum();
    let staged =
        super::write_stream(staged, super::bytes_stream(header.as_bytes().to_vec()), &|_| ()).await?;
    let staged = super::write_stream(staged, bytes, progress).await?;
    let padding = (BLOCK - size % BLOCK) % BLOCK;
    super::write_stream(staged, super::bytes_stream(vec![0; padding as usize]), &|_| ()).await
}
