//! `docker load` and `docker save`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lbuild::image::{Format, Image, Reference};
use lbuild::{Destination, Engine};

use super::args::{Load, Save};
use super::engine;
use super::names::familiar;
use super::tag::found;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{copy_out, print};

/// Takes the images of an archive. The last line names the last one, which tools read.
pub async fn load(args: &Load, context: &Context) -> Result<(), Failure> {
    let engine = engine::new(context)?;
    let read = |source| Failure::Read { what: "the archive from standard input".into(), source };
    let (path, _spooled) = match &args.input {
        Some(path) if !is_compressed(path) => (path.clone(), None),
        // An archive is read at several places.
        input => {
            let place = engine.cache().workplace()?;
            let path = place.path().join("archive.tar");
            let mut file = File::create(&path).map_err(read)?;
            match input {
                Some(input) => inflated(&mut File::open(input).map_err(read)?, &mut file),
                None => inflated(&mut std::io::stdin().lock(), &mut file),
            }
            .map_err(read)?;
            (path, Some(place))
        }
    };
    for image in engine.load(&path).await? {
        match &image.names[..] {
            [] => print(&format!("Loaded image ID: {}", image.id()))?,
            names => names.iter().try_for_each(|name| print(&format!("Loaded image: {}", familiar(name))))?,
        }
    }
    Ok(())
}

/// The first bytes of files that gzip, bzip2, xz and zstd write.
const GZIP: &[u8] = &[0x1f, 0x8b];
const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z'];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

fn is_compressed(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.is_ok() && [GZIP, BZIP2, XZ, ZSTD].iter().any(|magic| start.starts_with(magic))
}

/// Copies an archive, which may be compressed.
fn inflated(from: &mut dyn Read, to: &mut File) -> io::Result<()> {
    let mut start = Vec::new();
    from.take(8).read_to_end(&mut start)?;
    let all = start.as_slice().chain(from);
    let copied = match &start {
        start if start.starts_with(GZIP) => io::copy(&mut flate2::read::MultiGzDecoder::new(all), to),
        start if start.starts_with(BZIP2) => io::copy(&mut bzip2::read::MultiBzDecoder::new(all), to),
        start if start.starts_with(XZ) => io::copy(&mut lzma_rust2::XzReader::new(all, true), to),
        start if start.starts_with(ZSTD) => {
            let zstd = ruzstd::decoding::StreamingDecoder::new(all).map_err(io::Error::other);
            io::copy(&mut zstd?, to)
        }
        _ => io::copy(&mut { all }, to),
    };
    copied.map(drop)
}

/// Writes an image to an archive, under the given names.
pub async fn save(args: &Save, context: &Context) -> Result<(), Failure> {
    let engine = engine::new(context)?;
    let images = engine.images();
    let image = found(&images, &args.names[0])?;
    for name in &args.names[1..] {
        if found(&images, name)?.id() != image.id() {
            let message = format!("{name} is another image than {}", args.names[0]);
            return Err(super::refused::asked(message, "write each image to an archive of its own"));
        }
    }
    let names: Vec<Reference> = args
        .names
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|name| image.names.contains(name))
        .collect();
    let image = image.image();
    match &args.output {
        Some(path) => write(&engine, image, path.clone(), names).await,
        None => {
            let place = engine.cache().workplace()?;
            let path = place.path().join("archive.tar");
            write(&engine, image, path.clone(), names).await?;
            copied_out(&path)
        }
    }
}

async fn write(engine: &Engine, image: &Image, path: PathBuf, names: Vec<Reference>) -> Result<(), Failure> {
    engine.publish(image, Format::Docker, &Destination::Archive { path, names }).await?;
    Ok(())
}

fn copied_out(path: &Path) -> Result<(), Failure> {
    let read = |source| Failure::Read { what: path.display().to_string(), source };
    copy_out(&mut File::open(path).map_err(read)?)
}
