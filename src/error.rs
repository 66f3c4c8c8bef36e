//! Errors, grouped by stage. Each message names the path, image or operation; none repeats its source.

mod hint;
mod kind;
mod refusal;
mod remark;
pub mod text;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oci_spec::distribution::ParseError;

use crate::image::{Arch, Compression, Digest, Platform};

pub use refusal::{AwsRefusal, Permission, Refusal};
pub use remark::Remark;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of an error, for display only.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure. [`kind`](Error::kind) groups the variants, [`hint`](Error::hint) proposes a fix, and `source` is the
/// cause, which the message does not repeat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message shows the meaning of each field")]
pub enum Error {
    /// An architecture that Lambda does not run.
    #[error("unknown architecture `{name}`")]
    Architecture { name: String },
    /// A text that is not `sha256:` and 64 lower-case hex digits.
    #[error("`{text}` is not a sha256 digest")]
    Digest { text: String },
    /// An invalid image name.
    #[error("invalid image name `{reference}`")]
    Reference { reference: String, source: ParseError },
    /// An invalid location of a destination or base.
    #[error("invalid location `{location}`: {expected}")]
    Location { location: String, expected: &'static str },
    /// A text that is not the ARN of a version of a Lambda layer.
    #[error("`{text}` is not the ARN of a version of a layer: {fault}")]
    LayerArn { text: String, fault: &'static str },
    /// A recipe that names a Lambda layer, and an engine without a source of them.
    #[error("cannot fetch {layer}: the engine has no source of Lambda layers")]
    NoLambdaLayers { layer: String },
    /// A step that cannot be built, regardless of the files.
    #[error("invalid recipe: stage {stage}, step {step}: {fault}")]
    Recipe { stage: usize, step: usize, fault: &'static str },
    /// A recipe without stages, or a base that is not an earlier stage.
    #[error("invalid recipe: stage {stage}: {fault}")]
    RecipeStage { stage: usize, fault: &'static str },

    /// An error in a Dockerfile.
    #[error("{0}")]
    Dockerfile(Box<Remark>),
    /// An error in a SAM or CloudFormation template, in SAM's settings, or in an assembly of the CDK.
    #[error("{0}")]
    Template(Box<Remark>),
    /// An image or a file of a Dockerfile that cannot be read.
    #[error("{remark}")]
    DockerfileBase { remark: Box<Remark>, source: Box<Error> },
    /// An instruction that the engine cannot build.
    #[error("{0}")]
    Instruction(Box<Remark>),

    /// A command that ended with an error.
    #[error("{}{}", remark, output_lines(output))]
    Command { remark: Box<Remark>, output: Vec<String> },
    /// A program of the user that fails, or whose output cannot be used.
    #[error("{program} {fault}{}", output_lines(output))]
    Program { program: String, fault: String, output: Vec<String> },
    /// No program of an image can run on this machine.
    #[error("{fault}")]
    CannotRun { fault: String, hint: String },
    /// An image that names no program.
    #[error("the image has no entry point and no command")]
    NoEntryPoint,
    /// A port on which a function is to listen.
    #[error("port {port}, on which the function listens, is taken on this machine")]
    PortTaken { port: u16 },
    /// A variable or an argument that no program can receive.
    #[error("`{name}` has a NUL character")]
    NulCharacter { name: String },
    /// The files of an image that cannot be prepared for a command.
    #[error("cannot {operation}")]
    Root { operation: String, source: io::Error },
    /// A file or directory that cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that is read as text, but is in an unknown encoding.
    #[error("{} cannot be read as text: {fault}", path.display())]
    NotText { path: PathBuf, fault: &'static str },
    /// A file that changed while it was read.
    #[error("{} changed while it was read", path.display())]
    SourceChanged { path: PathBuf },
    /// A socket, a pipe, a device.
    #[error("{} is a {kind}, which an image cannot hold", path.display())]
    SpecialFile { path: PathBuf, kind: &'static str },
    /// A path that an image cannot have.
    #[error("`{path}` is not a valid path in an image: {fault}")]
    ImagePath { path: String, fault: &'static str },
    /// A file that is not a zip archive, or one whose central directory cannot be read.
    #[error("{} is not a readable zip archive: {fault}", archive.display())]
    Zip { archive: PathBuf, fault: &'static str },
    /// A member of an archive that differs from its description in the central directory.
    #[error("`{member}` of {} is broken: {fault}", archive.display())]
    ZipMember { archive: PathBuf, member: String, fault: &'static str },
    /// A member that needs a password.
    #[error("`{member}` of {} is encrypted", archive.display())]
    ZipEncrypted { archive: PathBuf, member: String },
    /// A member that is compressed by a method other than deflate.
    #[error("`{member}` of {} is compressed by method {method}, which is neither 0 (stored) nor 8 (deflate)", archive.display())]
    ZipMethod { archive: PathBuf, member: String, method: u16 },
    /// A member whose name leads out of the target directory, or that has the name of another member.
    #[error("`{member}` of {} cannot be unpacked: {fault}", archive.display())]
    ZipName { archive: PathBuf, member: String, fault: &'static str },
    /// A line of an ignore file that is not a valid pattern.
    #[error("{}:{line}: invalid pattern `{pattern}`: {fault}", path.display())]
    IgnorePattern { path: PathBuf, line: usize, pattern: String, fault: &'static str },

    /// A requirements file that contains a login, among the files that are packed.
    #[error("{}:{line}: a login for {host} would be packed with the code", path.display())]
    PackedLogin { path: PathBuf, line: usize, host: String },
    /// A requirements file or lock file that cannot be parsed.
    #[error("cannot read {}: {fault}", path.display())]
    Requirements { path: PathBuf, fault: String },
    /// A package that a lock file has only in forms that cannot be installed.
    #[error("cannot install {package} from {}: {fault}", path.display())]
    Locked { path: PathBuf, package: String, fault: String },
    /// A package of a lock that would be installed in its directory.
    #[error("{package} would be installed as an editable package, which only its build backend can do")]
    EditablePackage { package: String },
    /// A package without a wheel for the target.
    #[error("{package} has no wheel for {target}: {fault}")]
    NoWheel { package: String, target: String, fault: String },
    /// Neither of the programs that can resolve requirements is installed.
    #[error("cannot resolve {}: neither uv nor pip is installed", path.display())]
    NoResolver { path: PathBuf },
    /// A program that failed to resolve requirements.
    #[error("{tool} cannot resolve {}: {reason}", path.display())]
    Resolve { tool: &'static str, path: PathBuf, reason: String },
    /// No interpreter of the image's version is installed.
    #[error("cannot compile bytecode: no Python {version} interpreter is installed")]
    NoInterpreter { version: String },
    /// An interpreter that failed to compile modules.
    #[error("{} cannot compile bytecode: {reason}", program.display())]
    Bytecode { program: PathBuf, reason: String },
    /// A source archive that could not be built into a wheel.
    #[error("{tool} cannot build {package}: {reason}")]
    Build { tool: &'static str, package: String, reason: String },
    /// A wheel whose hash is not among those of the requirements, or that has no hash there.
    #[error("{file} is refused: {fault}")]
    Hash { file: String, fault: String },
    /// A file that is not a valid wheel.
    #[error("{file} is not a wheel that can be installed: {fault}")]
    Wheel { file: String, fault: String },
    /// Two wheels that cannot be installed into one directory.
    #[error("{file} has a file {path} where {directory} has a directory")]
    WheelClash { path: String, file: String, directory: String },
    /// An invalid Python version.
    #[error("`{version}` is not a Python version")]
    PythonVersion { version: String },
    /// A directory without a lock file of Node packages.
    #[error("{} has no lock file (package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml or yarn.lock)", path.display())]
    NoLock { path: PathBuf },
    /// A workspace whose lock file is that of the directory above it.
    #[error("{} has no lock file of its own: as a workspace, it is locked in {}", path.display(), lock.display())]
    WorkspaceLock { path: PathBuf, lock: PathBuf },
    /// A lock file that names a path outside the function's directory.
    #[error("{} names {place}, which is outside the function's directory", lock.display())]
    OutsidePath { lock: PathBuf, place: String },
    /// The program that installs the packages of a lock file is not installed.
    #[error("cannot install from {}: {tool} is not installed", path.display())]
    NoInstaller { tool: &'static str, path: PathBuf },
    /// A program that is too old to install packages for another machine than this one.
    #[error("{tool} {version} cannot install for another machine")]
    OldInstaller { tool: &'static str, version: String, least: String, package: &'static str },
    /// A program that failed to install packages.
    #[error("{tool} cannot install from {}: {reason}", path.display())]
    Install { tool: &'static str, path: PathBuf, reason: String },
    /// A package whose install script cannot run, because the image's command is not run.
    #[error("the package {package} runs `{script}` when it is installed, which needs a process")]
    InstallScript { package: String, script: String },
    /// A link among installed packages that would dangle in the image.
    #[error("the installed link {} leads to {}, {fault}", link.display(), target.display())]
    InstalledLink { link: PathBuf, target: PathBuf, fault: &'static str },
    /// A binary among installed packages that the image's machine cannot run.
    #[error("{file} of the package {package} is for {machine}, but the image is for {wanted}")]
    WrongMachine { file: String, package: String, machine: String, wanted: &'static str },
    /// A Lambda layer for another architecture than the image's.
    #[error("{layer} is for {offered}, but the image is for {wanted}")]
    LayerArchitecture { layer: String, offered: String, wanted: String },
    /// A signed link to a Lambda layer that its server refused.
    #[error("cannot fetch {layer}: its link was refused: {host} answered {status}")]
    LayerLink { layer: String, host: String, status: u16 },
    /// A server's answer other than the requested file.
    #[error("cannot fetch {file}: {answer}")]
    Download { file: String, answer: Box<Refusal> },
    /// An unsupported or invalid address of a file to fetch.
    #[error("cannot fetch {file}: {fault}")]
    Address { file: String, fault: &'static str },

    /// A path that the image named by a recipe does not have.
    #[error("{image} has no {path}")]
    NoSuchPath { image: String, path: String },
    /// An image that does not exist in its registry, layout or archive.
    #[error("image {image} does not exist")]
    NoSuchImage { image: String },
    /// The base does not support the platform.
    #[error("{image} is not for {wanted}: it offers {}", platforms(offered))]
    PlatformNotOffered { image: String, wanted: Platform, offered: Vec<Platform> },
    /// JSON that is not a manifest.
    #[error("the manifest of {image} cannot be read")]
    Manifest { image: String, source: serde_json::Error },
    /// A manifest of an older schema version.
    #[error("the manifest of {image} does not have schema version 2")]
    ManifestSchema { image: String },
    /// JSON that is not a config.
    #[error("the config of {image} cannot be read")]
    Config { image: String, source: serde_json::Error },
    /// A directory that is not an OCI layout with images.
    #[error("{} is not an OCI layout: {fault}", path.display())]
    NoLayout { path: PathBuf, fault: &'static str },
    /// A file that is not a Docker archive with images.
    #[error("{} is not a Docker archive: {fault}", path.display())]
    NoArchive { path: PathBuf, fault: String },
    /// A manifest and a config with different layers.
    #[error("{image} is broken: its manifest has {manifest} layers, its config {config} (or different ones)")]
    LayersMismatch { image: String, manifest: usize, config: usize },
    /// A foreign layer, or a blob whose media type is not that of a tar.
    #[error("layer {digest} of {image} has media type {media_type:?}, which cannot be pushed elsewhere")]
    ForeignLayer { image: String, digest: Digest, media_type: String },
    /// A layer of a registry whose media type declares gzip, and whose bytes are not gzip.
    #[error("layer {digest} of {image} is not gzip, although its media type is")]
    NotGzip { image: String, digest: Digest, compression: Compression },
    /// A layer that cannot be read or decompressed while it is recompressed.
    #[error("cannot read the layer")]
    LayerRead { source: io::Error },
    /// A recompressed layer that cannot be written.
    #[error("cannot write the layer")]
    LayerWrite { source: io::Error },
    /// A layer of a base that cannot be recompressed to gzip.
    #[error("layer {digest} of {image} cannot be recompressed")]
    Recompress { image: String, digest: Digest, source: Box<Error> },
    /// A layer that cannot be scanned.
    #[error("layer {digest} of {image} cannot be read")]
    Scan { image: String, digest: Digest, source: Box<Error> },
    /// Layers with more files, or longer names, than scans may hold in memory; `limit` is in bytes.
    #[error("it and the layers before it have so many files or such long names that they need more than {} MiB of memory", limit >> 20)]
    TooManyFiles { limit: usize },
    /// A layer whose diff id is not the one in its image's config.
    #[error(
        "layer {digest} of {image} is broken: its diff id is {got}, but the config of the image has {expected}"
    )]
    DiffId { image: String, digest: Digest, expected: String, got: Digest },

    /// A blob's file, in a layout or the cache, that cannot be read.
    #[error("cannot read the blob {}", path.display())]
    BlobRead { path: PathBuf, source: io::Error },
    /// An image that is to get another base, and does not begin with the layers of the one that it is said to have.
    #[error("{image} does not begin with the layers of its base")]
    NotOnBase { image: String },
    /// Bytes of the wrong digest or size.
    #[error("{what} is corrupt: expected {expected} ({size} bytes), got {got} ({got_size} bytes)")]
    Corrupt { what: String, expected: Digest, size: u64, got: Digest, got_size: u64 },
    /// Bytes of the right digest, but not of the size that their descriptor gives.
    #[error("{what} has {got} bytes, but its descriptor gives the size {expected}")]
    BlobSize { what: String, expected: u64, got: u64 },
    /// A file whose content does not have the digest in its name.
    #[error("{} is corrupt: its content is {got}, not {expected}", path.display())]
    CorruptFile { path: PathBuf, expected: Digest, got: Digest },
    /// A file of the cache that cannot be read, for example because it was deleted while it was in use.
    #[error("cannot read {}, a file of the cache", path.display())]
    CacheRead { path: PathBuf, source: io::Error },
    /// A cached layer that differs from the layer that its files produce.
    #[error("the cached layer of {layer} is {cached}, but its files produce {made}")]
    CacheMismatch { layer: String, cached: Digest, made: Digest },
    /// A step that makes a layer, although a cache says that it changes nothing.
    #[error("{layer} makes a layer, but the cache says that it changes nothing")]
    CacheRemade { layer: String },
    /// A registry has lost a blob that it reported as present, and no other copy exists.
    #[error("{image} has lost blob {digest}")]
    LostBlob { image: String, digest: Digest },
    /// A blob was lost or damaged before it was sent, and the rebuilt image differs.
    #[error("the image changed when a lost blob was rebuilt: it was {was} and is now {now}")]
    Rebuilt { was: Digest, now: Digest },
    /// Neither a cache directory nor a home directory is set.
    #[error("the cache has no directory: no home directory is set")]
    NoCacheRoot,
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A directory that an image cannot be written to, because it contains other files.
    #[error("{} cannot become an OCI layout: {fault}", path.display())]
    Layout { path: PathBuf, fault: &'static str },

    /// No answer from a registry.
    #[error("cannot {operation}: no answer from {host}")]
    Connection { operation: String, host: String, source: Cause },
    /// A transfer that is silent or below the minimum rate.
    #[error("cannot {operation}: less than 1 KiB a second transferred to or from {host} for {} s", after.as_secs())]
    Stalled { operation: String, host: String, after: Duration },
    /// An answer that violates the protocol.
    #[error("cannot {operation}: {host} {fault}")]
    Protocol { operation: String, host: String, fault: &'static str },
    /// A refusal by a registry.
    #[error("cannot {operation}: {answer}")]
    Registry { operation: String, answer: Box<Refusal> },
    /// Refused credentials.
    #[error("cannot {operation}: {host} refused the {credential} ({reason})")]
    Unauthorized { operation: String, host: String, credential: String, reason: String },
    /// Configured credentials that cannot be obtained.
    #[error("cannot get the credentials for {registry} {from}: {reason}")]
    Credentials { registry: String, from: String, reason: String },
    /// A credential helper that is not installed, or gives no answer.
    #[error("cannot get the credentials for {server}: {program}, which {} names, {fault}", config.display())]
    CredentialHelper { server: String, program: String, config: PathBuf, fault: String },
    /// An invalid endpoint for a registry.
    #[error("cannot reach {registry} at `{endpoint}`: {fault}")]
    Endpoint { registry: String, endpoint: String, fault: &'static str },
    /// A registry that stored other bytes than it was sent, or none.
    #[error("{what} is damaged: the registry has {} instead of {expected}", stored(got.as_ref()))]
    Stored { what: String, expected: Digest, got: Option<Digest> },
    /// A tag that names a damaged manifest, because the old one could not be restored.
    #[error("tag {image} names a damaged manifest")]
    DamagedTag { image: String, source: Box<Error> },
    /// An immutable tag that names another image.
    #[error("tag {image} is immutable and names another image: {digest}")]
    ImmutableTag { image: String, digest: Digest },
    /// ECR closed the connection instead of reporting the missing permission.
    #[error("cannot {operation}: {host} closed the connection although the repository exists")]
    ConnectionClosed { operation: String, host: String, missing: Box<Permission>, source: Cause },

    /// No source provides AWS credentials.
    #[error("no AWS credentials found")]
    NoAwsCredentials { source: Cause },
    /// AWS credentials that cannot be obtained.
    #[error("cannot get the AWS credentials")]
    AwsCredentials { source: Cause },
    /// No AWS region is set.
    #[error("no AWS region is set")]
    NoAwsRegion,
    /// A text that does not name a function of Lambda.
    #[error("`{text}` is not the name of a function")]
    FunctionName { text: String },
    /// A function that does not exist.
    #[error("there is no function {function}")]
    NoFunction { function: String },
    /// A function whose code is a zip.
    #[error("the function {function} has the package type Zip, which Lambda never changes")]
    ZipFunction { function: String },
    /// A function for another architecture than that of its image.
    #[error("the function {function} is for {has}, but the image is for {image}")]
    FunctionArchitecture { function: String, has: Arch, image: Arch },
    /// A function that Lambda could not create or update.
    #[error("the function {function} does not work: {what} ({code}): {reason}")]
    FunctionFailed {
        function: String,
        what: &'static str,
        code: String,
        reason: String,
        hint: Option<&'static str>,
    },
    /// A function that is not ready after a long time.
    #[error("the function {function} is not ready after {} s: {state}", after.as_secs())]
    FunctionWait { function: String, state: String, after: Duration },
    /// A function whose variables Lambda does not show, so that none can be changed without the loss of others.
    #[error("the variables of {function} cannot be read: the caller may not use their KMS key")]
    FunctionVariables { function: String },
    /// A function that others change all the time.
    #[error("the function {function} is being changed by others again and again")]
    FunctionBusy { function: String },
    /// A deployment that failed, and whose function has got back what it had.
    #[error("the deployment of {function} failed{}", match restored { None => ", and it has again what it had", Some(_) => ", and it did not get back what it had" })]
    FunctionRestored { function: String, source: Box<Error>, restored: Option<Box<Error>> },
    /// An AWS call that was refused.
    #[error("cannot {operation}: {call} {answer}")]
    Aws { operation: String, call: String, answer: Box<AwsRefusal> },
    /// An AWS call without an answer.
    #[error("cannot {operation}: no answer to {call}")]
    AwsConnection { operation: String, call: String, source: Cause },
    /// A repository policy that lbuild cannot parse and therefore does not change.
    #[error("the policy of {repository} cannot be read: {fault}")]
    RepositoryPolicy { repository: String, fault: &'static str },

    /// A thread that cannot be started.
    #[error("cannot start a thread")]
    Threads { source: io::Error },
    /// The HTTPS client cannot be set up.
    #[error("cannot set up HTTPS")]
    Tls { source: Cause },

    /// The caller stopped waiting, or cancelled the work.
    #[error("interrupted")]
    Interrupted,
}

/// The area of a failure; it decides the command's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The request itself: a name, a recipe.
    Usage,
    /// The files to be packed.
    Source,
    /// The base image.
    Base,
    /// The registry's answers, and the connection to it.
    Registry,
    /// Authentication and permissions.
    Auth,
    /// This machine: its disk with the cache, layouts and archives, and its limits.
    Store,
    /// The caller stopped waiting or cancelled.
    Interrupted,
}

impl Error {
    /// The message and its causes, outermost first, on one line.
    pub(crate) fn with_causes(&self) -> String {
        let chain = std::iter::successors(std::error::Error::source(self), |error| error.source());
        chain.fold(self.to_string(), |text, error| format!("{text}: {error}"))
    }
}

/// The last lines of a command's output, below a message. Something other than a space is in front of each, because a CI
/// service takes a line such as `::add-mask::` for a command, also with spaces in front:
/// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>.
fn output_lines(lines: &[String]) -> String {
    match lines {
        [] => String::new(),
        lines => format!("\nits last lines:\n  | {}", lines.join("\n  | ")),
    }
}

fn stored(got: Option<&Digest>) -> String {
    got.map_or("nothing".to_owned(), Digest::to_string)
}

fn platforms(offered: &[Platform]) -> String {
    match offered {
        [] => "none".to_owned(),
        offered => offered.iter().map(Platform::to_string).collect::<Vec<_>>().join(", "),
    }
}
