//! An image as a Docker archive.

use std::path::Path;

use serde_json::json;
use tar::Header;

use crate::error::Result;
use crate::image::{Blob, Image, Reference};
use crate::store::blob::open_gzip;
use crate::store::registry::Registries;
use crate::store::staged::Staged;
use crate::store::stream::{bytes_stream, write_stream};

/// The size of a tar block, in bytes: a file is padded to a multiple of it, and two empty blocks end the archive.
const BLOCK: u64 = 512;

/// The modification time of the archive's members in seconds since 1970, equal to the default for layers.
const EPOCH: u64 = 315_532_800;

/// Writes `image` as a Docker archive to `path`, with the names `names`.
///
/// The layers stay compressed: every loader recognises gzip by its first bytes.
pub(crate) async fn write(
    path: &Path,
    image: &Image,
    names: &[Reference],
    registries: &Registries,
    progress: impl Fn(&Blob, u64) + Send + Sync,
) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut archive = ArchiveWriter { file: Staged::new_in(dir)?, registries };
    let config = image.config_blob();
    let config_name = format!("{}.json", config.digest.hex());
    archive.member(&config_name, &config, &|_| ()).await?;
    let mut layer_names = Vec::new();
    for layer in image.layers() {
        let name = format!("{}.tar.gz", layer.blob.digest.hex());
        // The archive must contain each name once, even if the image has a layer twice.
        if !layer_names.contains(&name) {
            archive.member(&name, &layer.blob, &|sent| progress(&layer.blob, sent)).await?;
        }
        layer_names.push(name);
    }
    let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": names, "Layers": layer_names }]).to_string();
    archive.member("manifest.json", &Blob::from_bytes(manifest.into_bytes()), &|_| ()).await?;
    archive.append(vec![0; 2 * BLOCK as usize]).await?;
    // An existing file is replaced, unlike in the cache: its name is not a digest.
    archive.file.replace(path)
}

struct ArchiveWriter<'a> {
    file: Staged,
    registries: &'a Registries,
}

impl ArchiveWriter<'_> {
    async fn member(
        &mut self,
        name: &str,
        blob: &Blob,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<()> {
        let mut header = Header::new_ustar();
        // A hex digest with an extension always fits into a header.
        let _ = header.set_path(name);
        header.set_size(blob.size);
        header.set_mode(0o644);
        header.set_mtime(EPOCH);
        header.set_cksum();
        self.append(header.as_bytes().to_vec()).await?;
        let start = self.file.position()?;
        let mut retry = self.registries.retry();
        loop {
            let bytes = open_gzip(self.registries, blob, blob).await?;
            match write_stream(&self.file, bytes, progress).await {
                Ok(()) => break,
                Err(error) => retry.after(error).await?,
            }
            self.file.rewind(start)?;
        }
        self.append(vec![0; ((BLOCK - blob.size % BLOCK) % BLOCK) as usize]).await
    }

    async fn append(&self, bytes: Vec<u8>) -> Result<()> {
        write_stream(&self.file, bytes_stream(bytes), &|_| ()).await
    }
}
