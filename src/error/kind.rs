//! The areas of failures.

use std::io::ErrorKind;

use super::{Error, Kind};

impl Error {
    /// Whether the cause is a layer of an image, as its store gives it: its bytes do not have its digest, they are not a
    /// complete layer, or the store does not have it.
    pub fn is_of_layer(&self) -> bool {
        match self {
            Error::Scan { source, .. } => match &**source {
                Error::BlobRead { source, .. } => source.kind() == ErrorKind::NotFound,
                source => matches!(source, Error::LayerRead { .. }),
            },
            Error::Registry { answer, .. } => answer.status == 404,
            Error::Corrupt { .. } | Error::CorruptFile { .. } | Error::LostBlob { .. } => true,
            _ => false,
        }
    }

    /// Whether a tag cannot be moved to the image, because it is immutable.
    pub fn is_of_immutable_tag(&self) -> bool {
        match self {
            Error::ImmutableTag { .. } => true,
            Error::Registry { answer, .. } => {
                matches!(answer.code.as_deref(), Some("TAG_INVALID" | "ImageTagAlreadyExistsException"))
            }
            _ => false,
        }
    }

    /// The area of the failure.
    pub fn kind(&self) -> Kind {
        use Error::*;
        match self {
            Architecture { .. }
            | Digest { .. }
            | Reference { .. }
            | Location { .. }
            | LayerArn { .. }
            | NoLambdaLayers { .. }
            | FunctionName { .. }
            | ZipFunction { .. }
            | FunctionArchitecture { .. }
            | Recipe { .. }
            | NoEntryPoint
            | NulCharacter { .. }
            | RecipeStage { .. }
            | Dockerfile(_)
            | Instruction(_)
            | Template(_)
            | PythonVersion { .. }
            | ImagePath { .. } => Kind::Usage,
            PackedLogin { .. }
            | Requirements { .. }
            | Locked { .. }
            | EditablePackage { .. }
            | NoWheel { .. }
            | NoResolver { .. }
            | Resolve { .. }
            | Build { .. }
            | NoInterpreter { .. }
            | Bytecode { .. }
            | Hash { .. }
            | Wheel { .. }
            | WheelClash { .. }
            | NoLock { .. }
            | WorkspaceLock { .. }
            | OutsidePath { .. }
            | NoInstaller { .. }
            | OldInstaller { .. }
            | Install { .. }
            | InstallScript { .. }
            | InstalledLink { .. }
            | WrongMachine { .. }
            | LayerArchitecture { .. }
            | Address { .. } => Kind::Source,
            Read { .. }
            | NotText { .. }
            | SourceChanged { .. }
            | Rebuilt { .. }
            | SpecialFile { .. }
            | Zip { .. }
            | ZipMember { .. }
            | ZipEncrypted { .. }
            | ZipMethod { .. }
            | ZipName { .. }
            | IgnorePattern { .. }
            | Command { .. }
            | Program { .. } => Kind::Source,
            NoSuchImage { .. }
            | NotOnBase { .. }
            | NoSuchPath { .. }
            | NoLayout { .. }
            | NoArchive { .. }
            | BlobRead { .. }
            | PlatformNotOffered { .. }
            | Manifest { .. }
            | ManifestSchema { .. }
            | Config { .. }
            | LayersMismatch { .. }
            | BlobSize { .. }
            | ForeignLayer { .. }
            | NotGzip { .. }
            | LayerRead { .. }
            | Recompress { .. }
            | Scan { .. }
            | TooManyFiles { .. }
            | DiffId { .. } => Kind::Base,
            CorruptFile { .. }
            | CacheRead { .. }
            | Threads { .. }
            | CacheMismatch { .. }
            | CacheRemade { .. }
            | LayerWrite { .. }
            | NoCacheRoot
            | Write { .. }
            | Root { .. }
            | CannotRun { .. }
            | PortTaken { .. }
            | Layout { .. } => Kind::Store,
            Corrupt { .. }
            | LostBlob { .. }
            | Connection { .. }
            | Stalled { .. }
            | Protocol { .. }
            | Stored { .. }
            | DamagedTag { .. }
            | ImmutableTag { .. }
            | AwsConnection { .. }
            | RepositoryPolicy { .. }
            | NoFunction { .. }
            | FunctionFailed { .. }
            | FunctionWait { .. }
            | FunctionBusy { .. }
            | Tls { .. } => Kind::Registry,
            Aws { answer, .. } if answer.is_about_permissions() => Kind::Auth,
            Aws { .. } => Kind::Registry,
            ConnectionClosed { .. }
            | NoAwsCredentials { .. }
            | AwsCredentials { .. }
            | LayerLink { .. }
            | FunctionVariables { .. } => Kind::Auth,
            Endpoint { .. } | NoAwsRegion => Kind::Usage,
            Registry { answer, .. } | Download { answer, .. } if matches!(answer.status, 401 | 403) => {
                Kind::Auth
            }
            Registry { .. } | Download { .. } => Kind::Registry,
            Unauthorized { .. } | Credentials { .. } | CredentialHelper { .. } => Kind::Auth,
            DockerfileBase { source, .. } | FunctionRestored { source, .. } => source.kind(),
            Interrupted => Kind::Interrupted,
        }
    }
}
