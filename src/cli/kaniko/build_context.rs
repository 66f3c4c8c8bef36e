//! The build context and the Dockerfile.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use lbuild::{Cache, Workplace};

use super::args::Executor;
use super::failure::while_doing;
use crate::cli::output::exit::Failure;

/// What fails without a context, in kaniko's words.
pub const RESOLVING: &str = "resolving source context";

/// A build context on this machine.
pub struct BuildContext {
    pub path: PathBuf,
    pub dockerfile: PathBuf,
    /// The directory with the files of an archive, until it is dropped.
    _unpacked: Option<Workplace>,
}

/// The context of the flags, unpacked if it is an archive.
pub fn of(args: &Executor) -> Result<BuildContext, Failure> {
    let (root, unpacked) = root(args)?;
    let path = match &args.context_sub_path {
        Some(below) => root.join(below.strip_prefix("/").unwrap_or(below)),
        None => root,
    };
    if !path.is_dir() {
        let message = format!("there is no directory {}", path.display());
        return Err(Failure::usage(message, "--context is the directory of the build context"));
    }
    let dockerfile = dockerfile(args, &path)?;
    Ok(BuildContext { path, dockerfile, _unpacked: unpacked })
}

fn root(args: &Executor) -> Result<(PathBuf, Option<Workplace>), Failure> {
    let context = args.bucket.as_deref().unwrap_or(&args.context);
    if args.bucket.is_none() && !context.contains("://") {
        return Ok((context.into(), None));
    }
    match context.split_once("://") {
        Some(("dir", dir)) => Ok((dir.into(), None)),
        Some(("tar", "stdin")) => {
            unpacked(std::io::stdin().lock(), context).map(|dir| (dir.path().to_owned(), Some(dir)))
        }
        Some(("tar", file)) => {
            let file = File::open(file);
            let file = file.map_err(|source| Failure::Read { what: context.to_owned(), source })?;
            unpacked(file, context).map(|dir| (dir.path().to_owned(), Some(dir)))
        }
        scheme => {
            let hint = match scheme {
                Some(("git", _)) => {
                    "clone it in a step before this one (CI systems have done so), and give its directory: --context DIR"
                }
                Some(("s3", _)) => {
                    "copy it first, as with `aws s3 cp`, and give the file: --context tar://FILE"
                }
                _ => "copy it in a step before this one, and give the file: --context tar://FILE",
            };
            Err(Failure::usage(format!("lbuild does not fetch the build context {context}"), hint))
        }
    }
}

/// Unpacks an archive, which may be compressed with gzip, into a directory below the cache.
fn unpacked(archive: impl Read, name: &str) -> Result<Workplace, Failure> {
    let fail = |source| Failure::Read { what: format!("the build context {name}"), source };
    let root = Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
    let dir = Cache::at(root).workplace()?;
    let mut archive = BufReader::new(archive);
    let is_gzip = archive.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let unpack = |archive: &mut dyn Read| tar::Archive::new(archive).unpack(dir.path());
    match is_gzip {
        true => unpack(&mut MultiGzDecoder::new(archive)),
        false => unpack(&mut archive),
    }
    .map_err(fail)?;
    Ok(dir)
}

/// The Dockerfile: below the working directory, else below the context.
fn dockerfile(args: &Executor, context: &Path) -> Result<PathBuf, Failure> {
    let (given, resolve) = (&args.dockerfile, while_doing("resolving dockerfile path"));
    if given.to_str().is_some_and(|name| name.starts_with("https://") || name.starts_with("http://")) {
        let message = format!("lbuild does not fetch the Dockerfile {}", given.display());
        return Err(resolve(Failure::usage(message, "fetch it in a step before this one")));
    }
    let found = [given.clone(), context.join(given)].into_iter().find(|path| path.exists());
    found.ok_or_else(|| {
        let message =
            "please provide a valid path to a Dockerfile within the build context with --dockerfile";
        let hint = format!("there is no {}", context.join(given).display());
        resolve(Failure::Usage { message: message.to_owned(), hint: Some(hint) })
    })
}
