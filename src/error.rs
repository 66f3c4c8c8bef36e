//! What can go wrong, by stage. Each message names the path, image or operation; none repeats its source.

mod hint;
mod refusal;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci_spec::distribution::ParseError;

use crate::image::{Digest, Platform};

pub use refusal::{AwsRefusal, Permission, Refusal};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause that is shown, not matched on.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure. [`kind`](Error::kind) groups the variants, [`hint`](Error::hint) says the way out, and
/// `source` is the cause, which the message leaves to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "a field is what the message shows in its place")]
pub enum Error {
    /// No architecture that Lambda runs.
    #[error("unknown architecture `{name}`")]
    Architecture { name: String },
    /// Not `sha256:` and 64 lower-case hex digits.
    #[error("`{text}` is no sha256 digest")]
    Digest { text: String },
    /// Not an image's name.
    #[error("invalid image name `{reference}`")]
    Reference { reference: String, source: ParseError },
    /// A destination or base that names no place.
    #[error("invalid location `{location}`: {expected}")]
    Location { location: String, expected: &'static str },
    /// A recipe that cannot be built, whatever the files.
    #[error("invalid recipe: stage {stage}, step {step}: {fault}")]
    Recipe { stage: usize, step: usize, fault: &'static str },
    /// A recipe without stages, or a base that is no earlier stage.
    #[error("invalid recipe: stage {stage}: {fault}")]
    RecipeStage { stage: usize, fault: &'static str },

    /// A file or directory that cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that was written to while it was read.
    #[error("{} changed while it was read", path.display())]
    SourceChanged { path: PathBuf },
    /// A socket, a pipe, a device.
    #[error("{} is a {kind}, which no image can hold", path.display())]
    SpecialFile { path: PathBuf, kind: &'static str },
    /// A path that cannot stand in an image.
    #[error("`{path}` is no path for a file of an image: {fault}")]
    ImagePath { path: String, fault: &'static str },
    /// A file that is no zip archive, or one whose directory cannot be read.
    #[error("{} is no zip archive that can be read: {fault}", archive.display())]
    Zip { archive: PathBuf, fault: &'static str },
    /// A member of an archive that is not what the archive says of it.
    #[error("`{member}` of {} is broken: {fault}", archive.display())]
    ZipMember { archive: PathBuf, member: String, fault: &'static str },
    /// A member that needs a password.
    #[error("`{member}` of {} is encrypted", archive.display())]
    ZipEncrypted { archive: PathBuf, member: String },
    /// A member that is compressed otherwise than by deflate.
    #[error("`{member}` of {} is compressed by method {method}, which is neither 0 (stored) nor 8 (deflate)", archive.display())]
    ZipMethod { archive: PathBuf, member: String, method: u16 },
    /// A member whose name leads elsewhere, or is another's.
    #[error("`{member}` of {} cannot be unpacked: {fault}", archive.display())]
    ZipName { archive: PathBuf, member: String, fault: &'static str },
    /// A line of an ignore file that is no pattern.
    #[error("{}:{line}: invalid pattern `{pattern}`: {fault}", path.display())]
    IgnorePattern { path: PathBuf, line: usize, pattern: String, fault: &'static str },

    /// A file of requirements with a login in it, among the files that are packed.
    #[error("{}:{line}: a login for {host} would be packed with the code", path.display())]
    PackedLogin { path: PathBuf, line: usize, host: String },
    /// A file of requirements, or a lock file, that cannot be understood.
    #[error("cannot read {}: {fault}", path.display())]
    Requirements { path: PathBuf, fault: String },
    /// A package that a lock file has, but in no form that can be taken.
    #[error("cannot take {package} from {}: {fault}", path.display())]
    Locked { path: PathBuf, package: String, fault: String },
    /// A package without a wheel for the target.
    #[error("{package} has no wheel for {target}: {fault}")]
    NoWheel { package: String, target: String, fault: String },
    /// Neither of the programs that can resolve requirements is there.
    #[error("cannot resolve {}: neither uv nor pip is at hand", path.display())]
    NoResolver { path: PathBuf },
    /// A program that resolves requirements, and did not.
    #[error("{tool} cannot resolve {}: {reason}", path.display())]
    Resolve { tool: &'static str, path: PathBuf, reason: String },
    /// No interpreter of the image's version is at hand.
    #[error("cannot compile bytecode: no interpreter of Python {version} is at hand")]
    NoInterpreter { version: String },
    /// An interpreter that does not compile what it should.
    #[error("{} compiles no bytecode: {reason}", program.display())]
    Bytecode { program: PathBuf, reason: String },
    /// A source archive that no wheel could be made of.
    #[error("{tool} cannot build {package}: {reason}")]
    Build { tool: &'static str, package: String, reason: String },
    /// A wheel whose hash is not among those that the requirements allow, or for which they have none.
    #[error("{file} is refused: {fault}")]
    Hash { file: String, fault: &'static str },
    /// A wheel that is none.
    #[error("{file} is no wheel that can be installed: {fault}")]
    Wheel { file: String, fault: String },
    /// A Python version that is none.
    #[error("`{version}` is no version of Python")]
    PythonVersion { version: String },
    /// A directory without a lock file of Node packages.
    #[error("{} has neither package-lock.json nor npm-shrinkwrap.json nor pnpm-lock.yaml", path.display())]
    NoLock { path: PathBuf },
    /// A lock file that names what is not the function's.
    #[error("{} names {place}, which is outside of the function's directory", lock.display())]
    OutsidePath { lock: PathBuf, place: String },
    /// The program that installs what a lock file names is not there.
    #[error("cannot install from {}: {tool} is not at hand", path.display())]
    NoInstaller { tool: &'static str, path: PathBuf },
    /// A program that would install for this machine, whatever it is told.
    #[error("{tool} {version} cannot install for another machine")]
    OldInstaller { tool: &'static str, version: String, least: String, package: &'static str },
    /// A program that installs packages, and did not.
    #[error("{tool} cannot install from {}: {reason}", path.display())]
    Install { tool: &'static str, path: PathBuf, reason: String },
    /// A link among installed packages that is of no use in an image.
    #[error("the installed link {} leads to {}, {fault}", link.display(), target.display())]
    InstalledLink { link: PathBuf, target: PathBuf, fault: &'static str },
    /// A binary among installed packages that the image's machine cannot run.
    #[error("{file} of the package {package} is for {machine}, and the image for {wanted}")]
    WrongMachine { file: String, package: String, machine: String, wanted: &'static str },
    /// A server's answer that is not the file that was asked for.
    #[error("cannot fetch {file}: {answer}")]
    Download { file: String, answer: Box<Refusal> },
    /// An address that nothing can be fetched from.
    #[error("cannot fetch {file}: {fault}")]
    Address { file: String, fault: &'static str },

    /// A file of an image that a recipe names.
    #[error("{image} has no {path}")]
    NoSuchPath { image: String, path: String },
    /// An image that no registry, layout or archive has.
    #[error("no image {image}")]
    NoSuchImage { image: String },
    /// The base is for other machines.
    #[error("{image} is not for {wanted}: it offers {}", platforms(offered))]
    PlatformNotOffered { image: String, wanted: Platform, offered: Vec<Platform> },
    /// JSON that is no manifest.
    #[error("the manifest of {image} cannot be read")]
    Manifest { image: String, source: serde_json::Error },
    /// A manifest that is too old.
    #[error("the manifest of {image} is not of schema version 2")]
    ManifestSchema { image: String },
    /// JSON that is no config.
    #[error("the config of {image} cannot be read")]
    Config { image: String, source: serde_json::Error },
    /// A directory to read an image from that has none.
    #[error("{} is no OCI layout: {fault}", path.display())]
    NoLayout { path: PathBuf, fault: &'static str },
    /// A file to read an image from that has none.
    #[error("{} is no Docker archive: {fault}", path.display())]
    NoArchive { path: PathBuf, fault: String },
    /// A manifest and a config that do not belong together.
    #[error("{image} is broken: its manifest has {manifest} layers, its config {config} (or others)")]
    LayersMismatch { image: String, manifest: usize, config: usize },
    /// A foreign layer, or something that is no tar.
    #[error("layer {digest} of {image} is of type {media_type:?}, which cannot be pushed elsewhere")]
    ForeignLayer { image: String, digest: Digest, media_type: String },
    /// A layer in another form whose bytes do not arrive, or cannot be decompressed.
    #[error("cannot read the layer")]
    LayerRead { source: io::Error },
    /// A layer whose bytes the receiver does not take.
    #[error("cannot write the layer")]
    LayerWrite { source: io::Error },
    /// A layer of a base that cannot be turned to gzip.
    #[error("layer {digest} of {image} cannot be recompressed")]
    Recompress { image: String, digest: Digest, source: Box<Error> },
    /// A layer that cannot be read through.
    #[error("layer {digest} of {image} cannot be read")]
    Survey { image: String, digest: Digest, source: Box<Error> },
    /// A layer that is not the one its image's config speaks of.
    #[error("layer {digest} of {image} is broken: its content is {got}, its image's config says {expected}")]
    DiffId { image: String, digest: Digest, expected: String, got: Digest },

    /// A blob's file that cannot be read: in a layout, in the cache.
    #[error("cannot read the blob {}", path.display())]
    BlobRead { path: PathBuf, source: io::Error },
    /// Bytes that are not those that were asked for.
    #[error("{what} is corrupt: expected {expected} ({size} bytes), got {got} ({got_size} bytes)")]
    Corrupt { what: String, expected: Digest, size: u64, got: Digest, got_size: u64 },
    /// A file whose content is not what its name says.
    #[error("{} is corrupt: its content is {got}, not {expected}", path.display())]
    CorruptFile { path: PathBuf, expected: Digest, got: Digest },
    /// A cached layer is not what its files make.
    #[error("the cached layer of {layer} is {cached}, but its files make {made}")]
    CacheMismatch { layer: String, cached: Digest, made: Digest },
    /// A registry has lost a blob that it said it had, and from which nothing else has it.
    #[error("{image} has lost blob {digest}")]
    LostBlob { image: String, digest: Digest },
    /// A blob was lost or damaged before it was sent, and the image that was built again is another one.
    #[error("the image is {now} after a blob had to be made again, and was {was} before")]
    Rebuilt { was: Digest, now: Digest },
    /// Neither a cache directory was named, nor a home directory to put it in.
    #[error("no place for the cache")]
    NoCacheRoot,
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A directory that an image cannot be written to, as it has something else in it.
    #[error("{} cannot become an OCI layout: {fault}", path.display())]
    Layout { path: PathBuf, fault: &'static str },

    /// No answer from a registry.
    #[error("cannot {operation}: no answer from {host}")]
    Connection { operation: String, host: String, source: Cause },
    /// Nothing moved on a connection for long.
    #[error("cannot {operation}: {host} took and sent nothing for {} s", after.as_secs())]
    Stalled { operation: String, host: String, after: Duration },
    /// An answer that the protocol does not know.
    #[error("cannot {operation}: {host} {fault}")]
    Protocol { operation: String, host: String, fault: &'static str },
    /// An answer that says no.
    #[error("cannot {operation}: {answer}")]
    Registry { operation: String, answer: Box<Refusal> },
    /// Nobody let in.
    #[error("cannot {operation}: {host} refused the {credential} ({reason})")]
    Unauthorized { operation: String, host: String, credential: String, reason: String },
    /// Credentials that were set up but cannot be had.
    #[error("cannot get the credentials for {registry} {from}: {reason}")]
    Credentials { registry: String, from: String, reason: String },
    /// A registry's other address that is none.
    #[error("cannot reach {registry} at `{endpoint}`: {fault}")]
    Endpoint { registry: String, endpoint: String, fault: &'static str },
    /// A tag of a repository that lets none move.
    #[error("{image} is immutable, and names another image: {digest}")]
    ImmutableTag { image: String, digest: Digest },
    /// ECR closed the connection where it should have said why.
    #[error("cannot {operation}: {host} hung up, and knows the repository")]
    HungUp { operation: String, host: String, missing: Box<Permission>, source: Cause },

    /// No credentials for AWS anywhere.
    #[error("there are no AWS credentials")]
    NoAwsCredentials { source: Cause },
    /// Credentials for AWS that cannot be had.
    #[error("cannot get the AWS credentials")]
    AwsCredentials { source: Cause },
    /// No region.
    #[error("no AWS region is set")]
    NoAwsRegion,
    /// A call of AWS that was refused.
    #[error("cannot {operation}: {call} {answer}")]
    Aws { operation: String, call: String, answer: Box<AwsRefusal> },
    /// A call of AWS that had no answer.
    #[error("cannot {operation}: {call} had no answer")]
    AwsConnection { operation: String, call: String, source: Cause },
    /// A repository's policy that lbuild would not change for the better.
    #[error("the policy of {repository} cannot be read: {fault}")]
    RepositoryPolicy { repository: String, fault: &'static str },

    /// The HTTPS client cannot be set up.
    #[error("cannot set up HTTPS")]
    Tls { source: Cause },

    /// The caller has gone, or asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What a failure is about; the command's exit codes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The request itself: a name, a recipe.
    Usage,
    /// The files to be packed.
    Source,
    /// The base image.
    Base,
    /// The registry's answers, and the way to it.
    Registry,
    /// Who is let in.
    Auth,
    /// The local disk: cache, layout, archive.
    Store,
    /// Stopped from outside.
    Interrupted,
}

impl Error {
    /// The message and its causes, outermost first, on one line.
    pub(crate) fn with_causes(&self) -> String {
        let chain = std::iter::successors(std::error::Error::source(self), |error| error.source());
        chain.fold(self.to_string(), |text, error| format!("{text}: {error}"))
    }

    /// What the failure is about.
    pub fn kind(&self) -> Kind {
        use Error::*;
        match self {
            Architecture { .. }
            | Digest { .. }
            | Reference { .. }
            | Location { .. }
            | Recipe { .. }
            | RecipeStage { .. }
            | PythonVersion { .. }
            | ImagePath { .. } => Kind::Usage,
            PackedLogin { .. }
            | Requirements { .. }
            | Locked { .. }
            | NoWheel { .. }
            | NoResolver { .. }
            | Resolve { .. }
            | Build { .. }
            | NoInterpreter { .. }
            | Bytecode { .. }
            | Hash { .. }
            | Wheel { .. }
            | NoLock { .. }
            | OutsidePath { .. }
            | NoInstaller { .. }
            | OldInstaller { .. }
            | Install { .. }
            | InstalledLink { .. }
            | WrongMachine { .. }
            | Address { .. } => Kind::Source,
            Read { .. }
            | SourceChanged { .. }
            | Rebuilt { .. }
            | SpecialFile { .. }
            | Zip { .. }
            | ZipMember { .. }
            | ZipEncrypted { .. }
            | ZipMethod { .. }
            | ZipName { .. }
            | IgnorePattern { .. } => Kind::Source,
            NoSuchImage { .. }
            | NoSuchPath { .. }
            | NoLayout { .. }
            | NoArchive { .. }
            | BlobRead { .. }
            | PlatformNotOffered { .. }
            | Manifest { .. }
            | ManifestSchema { .. }
            | Config { .. }
            | LayersMismatch { .. }
            | ForeignLayer { .. }
            | LayerRead { .. }
            | Recompress { .. }
            | Survey { .. }
            | DiffId { .. } => Kind::Base,
            CorruptFile { .. }
            | CacheMismatch { .. }
            | LayerWrite { .. }
            | NoCacheRoot
            | Write { .. }
            | Layout { .. } => Kind::Store,
            Corrupt { .. }
            | LostBlob { .. }
            | Connection { .. }
            | Stalled { .. }
            | Protocol { .. }
            | ImmutableTag { .. }
            | AwsConnection { .. }
            | RepositoryPolicy { .. }
            | Tls { .. } => Kind::Registry,
            Aws { answer, .. } if answer.is_about_rights() => Kind::Auth,
            Aws { .. } => Kind::Registry,
            HungUp { .. } | NoAwsCredentials { .. } | AwsCredentials { .. } => Kind::Auth,
            Endpoint { .. } | NoAwsRegion => Kind::Usage,
            Registry { answer, .. } | Download { answer, .. } if matches!(answer.status, 401 | 403) => {
                Kind::Auth
            }
            Registry { .. } | Download { .. } => Kind::Registry,
            Unauthorized { .. } | Credentials { .. } => Kind::Auth,
            Interrupted => Kind::Interrupted,
        }
    }
}

fn platforms(offered: &[Platform]) -> String {
    match offered {
        [] => "none".to_owned(),
        offered => offered.iter().map(Platform::to_string).collect::<Vec<_>>().join(", "),
    }
}
