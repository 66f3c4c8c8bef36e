//! Layers of wheels: their identities, computed before anything is fetched, and their files.

use std::sync::Arc;

use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};

use super::bytecode::Compiler;
use super::credentials::Indexes;
use super::sdist::{self, SourceBuilder};
use super::settings::InstallSettings;
use super::size::{note_size, noted_size};
use super::target::Target;
use super::wheel::{self, Clash, MOST, Scheme, group, is_directory, is_source, recorded_url};
use crate::error::Result;
use crate::event::Event;
use crate::image::Digest;
use crate::recipe::{Bytecode, Python, Wheel};
use crate::source::part::Context;
use crate::source::zip;
use crate::store::{BlobFile, Download, Workplace};
use crate::tree::FileTree;

/// Part of every identity. Increase it when a change of the code changes a file of an unpacked wheel.
const VERSION: &str = "wheels-1";

/// Wheels that become one layer, or the bytecode of such wheels.
#[derive(Clone)]
pub(super) struct WheelLayer {
    pub(super) wheels: Vec<Wheel>,
    minor: u32,
    scheme: Arc<Scheme>,
    slim: bool,
    indexes: Arc<Indexes>,
    /// The compiler of the layer's bytecode; `None` for a layer of the wheels themselves.
    compiler: Option<Compiler>,
    builder: Arc<SourceBuilder>,
    /// The directory that holds sources of packages until they are built; it is removed with the last layer.
    pub(super) sources: Option<Arc<Workplace>>,
}

/// The layers of the wheels. They depend only on the list and, if the recipe asks for bytecode, on the compiler.
pub(super) async fn layers(
    python: &Python,
    wheels: &[Wheel],
    scheme: Option<&Scheme>,
    settings: &InstallSettings,
    context: &Context,
) -> Result<Vec<WheelLayer>> {
    let target = Target::of(python, &context.platform)?;
    let minor = target.minor;
    let scheme = Arc::new(scheme.cloned().unwrap_or_else(|| Scheme::of_function(minor)));
    let builder = Arc::new(SourceBuilder::new(python.wheels.clone(), target));
    let indexes = Arc::new(Indexes::of(python, settings));
    let layer = |wheels| {
        let (indexes, builder, scheme) = (indexes.clone(), builder.clone(), scheme.clone());
        WheelLayer {
            wheels,
            minor,
            scheme,
            slim: python.slim,
            indexes,
            compiler: None,
            builder,
            sources: None,
        }
    };
    let share = if python.bytecode == Bytecode::Never { 1 } else { 2 };
    let mut layers: Vec<WheelLayer> = group(wheels, MOST / share).into_iter().map(layer).collect();
    if let Some(compiler) = Compiler::wanted(python, minor, context).await? {
        // Each layer of wheels has its own bytecode layer, so that an upgrade of one package keeps all other layers.
        let compiled = |layer: &WheelLayer| WheelLayer { compiler: Some(compiler.clone()), ..layer.clone() };
        layers.extend(layers.iter().map(compiled).collect::<Vec<_>>());
    }
    Ok(layers)
}

impl WheelLayer {
    /// The same layer, whose packages may be built from sources in this directory.
    pub(super) fn within(self, sources: Arc<Workplace>) -> WheelLayer {
        WheelLayer { sources: Some(sources), ..self }
    }

    /// The layer's display name.
    pub(super) fn name(&self) -> String {
        let wheels = match &self.wheels[..] {
            [wheel] => format!("{} {}", wheel.name, wheel.version).trim_end().to_owned(),
            wheels => format!("{} small packages", wheels.len()),
        };
        if self.compiler.is_some() { format!("bytecode of {wheels}") } else { wheels }
    }

    /// The digest over everything that determines the files, before they are fetched.
    pub(super) fn identity(&self) -> Digest {
        let mut hash = Sha256::new();
        // Each variable part is preceded by its length, so that different lists never have the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(VERSION.as_bytes());
        part(&self.minor.to_be_bytes());
        if *self.scheme != Scheme::of_function(self.minor) {
            part(self.scheme.identity().as_bytes());
        }
        part(&[u8::from(self.slim)]);
        for wheel in &self.wheels {
            part(wheel.name.as_bytes());
            part(wheel.sha256.as_bytes());
            let url = recorded_url(wheel);
            part(&[u8::from(wheel.requested), u8::from(url.is_some())]);
            part(url.unwrap_or_default().as_bytes());
            part(if is_source(&wheel.file) { sdist::VERSION.as_bytes() } else { b"" });
        }
        if let Some(compiler) = &self.compiler {
            part(compiler.identity().as_bytes());
        }
        Digest::from_bytes(hash.finalize().into())
    }

    /// Whether the files have their paths in the image, whatever the directory of the step is.
    pub(super) fn has_own_places(&self) -> bool {
        self.scheme.directories.is_some()
    }

    /// The files, with paths relative to their directory `to`, or in the image. Downloads the wheels that the cache does not have.
    pub(super) async fn tree(&self, context: &Context, to: &str) -> Result<FileTree> {
        let blobs = try_join_all(self.wheels.iter().map(|wheel| self.fetch(wheel, context))).await?;
        let layer = self.clone();
        let (tree, (files, bytes)) = context.threads.run(1, move |_, _| layer.unpack(&blobs)).await?;
        if let Some(compiler) = &self.compiler {
            return compiler.compiled(&tree, to, &context.cache).await;
        }
        if self.slim && files > 0 {
            context.events.emit(Event::Slimmed { layer: self.name(), files, bytes });
        }
        Ok(tree)
    }

    async fn fetch(&self, wheel: &Wheel, context: &Context) -> Result<BlobFile> {
        if is_directory(&wheel.file) {
            return self.builder.wheel(wheel, None, &self.indexes, context).await;
        }
        // A size that a server reported is not reliable, so only the digest is verified; a lock's size is verified too.
        let noted = noted_size(wheel.sha256, context);
        let wanted = Download {
            url: &wheel.url,
            file: &wheel.file,
            sha256: Some(wheel.sha256),
            size: Some(wheel.size).filter(|size| noted != Some(*size)),
            logins: &*self.indexes,
        };
        let blob = context.downloads.fetch(&wanted).await?;
        if noted.is_some_and(|noted| noted != blob.size) {
            note_size(wheel.sha256, blob.size, context)?;
        }
        match is_source(&wheel.file) {
            true => self.builder.wheel(wheel, Some(&blob), &self.indexes, context).await,
            false => Ok(blob),
        }
    }

    /// The tree of all wheels, and the number of files and bytes that were left out.
    fn unpack(&self, blobs: &[BlobFile]) -> Result<(FileTree, (u64, u64))> {
        let (mut tree, mut files, mut bytes) = (FileTree::new(), 0, 0);
        let mut clash = None;
        let unpacked = |(wheel, blob): (&Wheel, &BlobFile)| {
            let archive = zip::open_blob(&blob.path, blob.digest)?;
            wheel::unpack(wheel, &archive, &self.scheme, self.slim)
        };
        for (wheel, blob) in self.wheels.iter().zip(blobs) {
            let mut unpacked = unpacked((wheel, blob))?;
            if is_source(&wheel.file) {
                sdist::recompressed(&mut unpacked.tree)?;
            }
            clash = clash.or_else(|| Clash::between(&tree, &unpacked.tree));
            tree.extend(unpacked.tree);
            files += unpacked.dropped.0;
            bytes += unpacked.dropped.1;
        }
        if let Some(clash) = clash.or_else(|| Clash::within(&tree)) {
            let wheels = self.wheels.iter().zip(blobs);
            return Err(clash.error(wheels.map(|pair| Ok((pair.0, unpacked(pair)?.tree)))));
        }
        Ok((tree, (files, bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::python::target::Machine;

    #[test]
    fn the_location_of_wheels_does_not_change_their_layer() {
        let identity = |url: &str, direct| {
            let wheel = Wheel {
                name: "a".to_owned(),
                version: "1".to_owned(),
                file: "a-1-py3-none-any.whl".to_owned(),
                url: url.to_owned(),
                sha256: Digest::of(b"a"),
                size: 1,
                requested: true,
                direct,
            };
            let builder = Arc::new(SourceBuilder::new(None, Target::new(12, Machine::X86_64, (2, 34))));
            let (wheels, indexes) = (vec![wheel], Arc::default());
            let scheme = Arc::new(Scheme::of_function(12));
            WheelLayer {
                wheels,
                minor: 12,
                scheme,
                slim: false,
                indexes,
                compiler: None,
                builder,
                sources: None,
            }
            .identity()
        };
        let indirect = identity("https://h.example/a.whl", false);
        assert_eq!(indirect, identity("https://mirror.example/a.whl", false));
        assert_eq!(indirect, identity("file:///here/a.whl", true));
        assert_eq!(indirect, identity("file:///there/a.whl", true));
        // The URL is in direct_url.json.
        assert_ne!(indirect, identity("https://h.example/a.whl", true));
        assert_ne!(identity("https://h.example/a.whl", true), identity("https://i.example/a.whl", true));
    }
}
