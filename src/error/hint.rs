//! The hints: proposed fixes for failures.

use std::io;
use std::path::Path;

use super::text::LOGIN;
use super::{AwsRefusal, Error, Kind, Permission, Refusal};
use crate::image::{ECR_PUBLIC, EcrHost};

/// <https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html>
const PUBLIC_LIMITS: &str = "without AWS credentials public.ecr.aws allows 1 request a second and 500 GB a month: \
    for 10 a second, use credentials that allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken";

/// The fix for a thread that cannot be started.
pub(crate) const THREADS_HINT: &str =
    "raise the limit of processes and threads: `ulimit -u`, or `--pids-limit` of the container";

impl Error {
    /// A proposed fix, if any: a phrase that is shown on a separate line after the message.
    pub fn hint(&self) -> Option<String> {
        use Error::*;
        let hint = match self {
            Dockerfile(remark) | Instruction(remark) | Template(remark) | Command { remark, .. } => {
                return remark.hint.clone();
            }
            // A variable that is not set is a reason for a wrong name, not for a lost connection.
            DockerfileBase { remark, source } if matches!(source.kind(), Kind::Base | Kind::Auth) => {
                return remark.hint.clone().or_else(|| source.hint());
            }
            DockerfileBase { remark, source } => return remark.hint.clone().or_else(|| source.hint()),
            CannotRun { hint, .. } => hint.clone(),
            PortTaken { .. } => {
                "`--network none` gives each function a network of its own; or choose another port with --env PORT=NUMBER"
                    .into()
            }
            NoEntryPoint => "set ENTRYPOINT or CMD in the image, or name the handler with --cmd".into(),
            Architecture { .. } => "Lambda runs arm64 (aarch64) and amd64 (x86_64)".into(),
            Reference { reference, .. } if reference.contains(LOGIN) => {
                "leave the login out of the name: log in with any Docker-compatible tool, or pass --username and \
                 --password-stdin"
                    .into()
            }
            Reference { .. } => {
                "write it as registry/repository:tag, with the repository in lower case".into()
            }
            Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "make it readable, or name it in .lambdaignore".into()
            }
            Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path: it is relative to the working directory, or a path in lbuild.toml to that file".into()
            }
            NotText { .. } => "save it in UTF-8".into(),
            IgnorePattern { .. } => r"escape a literal special character with a backslash, as in `\[`".into(),
            SourceChanged { .. } | Rebuilt { .. } => "run again when no process writes to the directory".into(),
            ZipEncrypted { .. } | ZipMethod { .. } => {
                "recreate the archive without a password and with deflate, as `zip -r` does".into()
            }
            Zip { .. } | ZipMember { .. } => "recreate the archive or fetch it again; `unzip -t` tests it".into(),
            ZipName { .. } => "recreate the archive from a directory, as `zip -r` does".into(),
            PackedLogin { .. } => {
                "move the login to ~/.netrc, or to UV_INDEX_NAME_USERNAME and _PASSWORD; or name the file in .lambdaignore"
                    .into()
            }
            Build { .. } => {
                "build a wheel of it, and add `--find-links DIR` with its directory to the requirements".into()
            }
            EditablePackage { .. } => {
                "--no-editable installs it as a package; --no-install-project and --no-install-workspace leave it out"
                    .into()
            }
            Locked { .. } => "build a wheel of it, and lock that".into(),
            NoWheel { .. } => {
                "choose a version that has one; or build one for the image, and add `--find-links DIR` with its \
                 directory to the requirements"
                    .into()
            }
            NoResolver { .. } => "install uv, or use a lock file: pylock.toml or uv.lock".into(),
            NoInterpreter { version } => {
                format!("install one, as with `uv python install {version}`; or omit --compile-bytecode")
            }
            Scan { source, .. } if matches!(**source, TooManyFiles { .. }) => {
                "exclude files from the image, or pack them into archives: 500,000 files with paths of 100 bytes are \
                 within the limit"
                    .into()
            }
            Scan { .. } => "the layer is truncated, damaged or not a tar: build or push the image again".into(),
            NoLock { .. } => "create one with `npm install --package-lock-only`, and keep it with the code".into(),
            WorkspaceLock { lock, .. } => return workspace_hint(lock),
            OutsidePath { .. } => {
                "pass the directory that contains both as PATH, or install the package from a registry".into()
            }
            NoInstaller { tool, .. } => format!("install {tool}, or push to a tag whose image already has the layer"),
            OldInstaller { tool, least, package, .. } => format!("install {tool} {least} or newer: `npm install -g {package}`"),
            InstallScript { .. } => "if the function works without the script, add --ignore-scripts".into(),
            InstalledLink { .. } => "lock the packages again: a linked package must be in PATH".into(),
            WrongMachine { .. } => {
                "lock the packages again for all platforms; omit --npm-scripts, because install scripts build and \
                 fetch files for this machine"
                    .into()
            }
            FunctionName { .. } => "write NAME, NAME:ALIAS, or the ARN of the function".into(),
            NoFunction { .. } => "create it with --create --role ARN, or check the name and the Region".into(),
            ZipFunction { .. } => "create another function for the image: --create --role ARN".into(),
            FunctionArchitecture { image, .. } => {
                format!("build the image for the function's architecture, or let it change to {image} with --change-arch")
            }
            FunctionFailed { hint, .. } => hint.unwrap_or("`lbuild status` shows its state").into(),
            FunctionWait { .. } => "`lbuild status` shows its state; run again to go on, perhaps with --wait SECONDS".into(),
            FunctionVariables { .. } => "allow kms:Decrypt on the key, or leave the variables as they are".into(),
            FunctionBusy { .. } => "find out which other deployment runs, and run again".into(),
            FunctionRestored { source, restored, .. } => return restored.as_ref().and_then(|error| error.hint()).or_else(|| source.hint()),
            LayerArn { .. } => "`lbuild layer list` prints the ARNs of layers, and `lbuild layer list NAME` those of versions".into(),
            NoLambdaLayers { .. } => "set one with EngineBuilder::lambda_layers, such as Aws::from_env".into(),
            LayerArchitecture { .. } => "choose a version for the architecture, or another --arch".into(),
            LayerLink { .. } => {
                "AWS has just signed it: check the clock of this machine, and that its network lets it reach S3".into()
            }
            Download { answer, .. } if matches!(answer.status, 401 | 403) => {
                "set the index's login in its address, in ~/.netrc, or in UV_INDEX_NAME_USERNAME and _PASSWORD".into()
            }
            Download { answer, .. } if answer.status == 404 => {
                "lock the requirements again: the file no longer exists".into()
            }
            WheelClash { .. } => "choose a version of one of them that does not have it".into(),
            Hash { .. } => "lock the requirements again, if the change is intended".into(),
            PythonVersion { .. } => "write it as 3.12, or as 3.12.9".into(),
            SpecialFile { .. } => "name it in .lambdaignore".into(),
            NotOnBase { .. } => "name the base on which it was built with --from".into(),
            NoSuchPath { .. } => "`lbuild inspect IMAGE --tree` lists its files".into(),
            NoSuchImage { image } if image.starts_with("local:") => {
                "`lbuild docker images` lists the images of this machine".into()
            }
            NoSuchImage { .. } => "check the name and the tag; a private image needs credentials".into(),
            PlatformNotOffered { .. } => "choose another --arch, or another base".into(),
            ForeignLayer { .. } => "use a base whose layers are all in the registry".into(),
            NotGzip { .. } => "push again: lbuild recompresses the layer, now that it has read it".into(),
            DiffId { .. } | LayersMismatch { .. } | BlobSize { .. } => {
                "pull the base again, or use another".into()
            }
            Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space there, or choose another directory (LBUILD_CACHE moves the cache)".into()
            }
            Write { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "choose a writable directory (LBUILD_CACHE moves the cache)".into()
            }
            NoCacheRoot => "set LBUILD_CACHE to a directory".into(),
            CacheMismatch { .. } | CacheRemade { .. } => "push with --no-cache, and empty the cache with `lbuild cache prune --days 0`".into(),
            LostBlob { .. } => "delete the image in the registry, and push again with --no-cache".into(),
            CacheRead { .. } => "run again: lbuild makes files of its cache again".into(),
            Threads { .. } => THREADS_HINT.into(),
            CorruptFile { .. } => "recreate the file; a file of lbuild's cache can be deleted".into(),
            Layout { .. } => "name an empty or new directory, or an OCI layout".into(),
            NoLayout { .. } => {
                "write it as oci:DIR:TAG; `lbuild build` and `skopeo copy` create such directories".into()
            }
            NoArchive { .. } => {
                "`docker save` and `lbuild build --to docker-archive:FILE` create such files".into()
            }
            Connection { source, .. } => return connection_hint(&**source),
            Registry { answer, .. } => return refusal_hint(answer),
            Stored { .. } => {
                "the network or a proxy damages what is sent: use HTTPS, or another way to the registry".into()
            }
            DamagedTag { .. } => "push again: until then the tag cannot be pulled".into(),
            ImmutableTag { .. } => "push under a new tag: this one cannot be moved".into(),
            ConnectionClosed { missing, .. } => allow(missing),
            NoAwsCredentials { .. } => {
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (`aws login`, `aws sso login`)"
                    .into()
            }
            AwsCredentials { .. } => "log in again (`aws login`, `aws sso login`), or check the profile".into(),
            NoAwsRegion => "set AWS_REGION or a region in the profile, or name the registry in full".into(),
            Aws { answer, .. } => return answer.hint(),
            AwsConnection { source, .. } => match connection_hint(&**source) {
                Some(hint) => hint,
                None => "check the network, the Region and the proxy, and AWS_ENDPOINT_URL if it is set".into(),
            },
            CredentialHelper { server, program, .. } => {
                format!(
                    "install {program}, or remove it from that file and log in again; `echo {server} | {program} get` \
                     must print the login"
                )
            }
            Unauthorized { host, .. } if EcrHost::parse(host).is_some() => {
                "set AWS credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role".into()
            }
            Unauthorized { host, .. } => {
                format!(
                    "log in to {host} with any Docker-compatible tool, or pass --username and --password-stdin"
                )
            }
            Endpoint { .. } => {
                "write it as https://HOST[:PORT], as in LBUILD_REGISTRY_ENDPOINT=REGISTRY=https://HOST[:PORT]".into()
            }
            Tls { .. } => "SSL_CERT_FILE must name a file of PEM certificates".into(),
            _ => return None,
        };
        Some(hint)
    }
}

/// The command that gives a workspace a lock file of its own.
fn workspace_hint(lock: &Path) -> Option<String> {
    let root = lock.parent()?.display();
    Some(match lock.file_name()?.to_str()? {
        "pnpm-lock.yaml" => "run `pnpm install --lockfile-only --ignore-workspace` in it".into(),
        // yarn 1 has no such option.
        "yarn.lock" => "run `touch yarn.lock && yarn install` in it, with yarn 2 or later".into(),
        _ => format!(
            "run `npm install --package-lock-only --no-workspaces` in it; or give {root} as PATH, which packs all \
             workspaces"
        ),
    })
}

/// The fix for a missing permission.
fn allow(Permission { action, resource, denied }: &Permission) -> String {
    match denied {
        true => format!("a policy denies {action} on {resource}: change it, or use another identity"),
        false => format!("allow {action} on {resource}"),
    }
}

impl AwsRefusal {
    pub(super) fn is_about_permissions(&self) -> bool {
        self.missing.is_some() || credentials_hint(&self.code).is_some()
    }

    fn hint(&self) -> Option<String> {
        let known = || credentials_hint(&self.code).map(str::to_owned);
        self.missing.as_ref().map(allow).or_else(known)
    }
}

/// The fix for a fault of the credentials themselves, by the error code of AWS:
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>
fn credentials_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the AWS credentials have expired: log in again, or request new ones"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "InvalidSignature" => {
            "the secret key does not match the access key, or this machine's clock is wrong"
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "AuthFailure" => {
            "AWS does not know these credentials: check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, or the profile"
        }
        "OptInRequired" | "MissingAuthenticationToken" | "IncompleteSignature" => "check the AWS credentials",
        _ => return None,
    })
}

fn connection_hint(source: &(dyn std::error::Error + 'static)) -> Option<String> {
    let chain = std::iter::successors(Some(source), |error| error.source());
    let text: String = chain.map(|error| error.to_string()).collect::<Vec<_>>().join(": ");
    let hint = if text.contains("certificate") {
        "for a registry with a private CA, set SSL_CERT_FILE to the CA's certificate"
    } else if text.contains("refused") || text.contains("dns") {
        "check the registry's name and port, and that it runs; HTTPS_PROXY and NO_PROXY are used"
    } else if text.contains("InvalidContentType") || text.contains("wrong version") {
        "the registry does not speak HTTPS: name it with --insecure to use plain HTTP"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn refusal_hint(answer: &Refusal) -> Option<String> {
    if let Some(missing) = &answer.missing {
        return Some(allow(missing));
    }
    if answer.host == ECR_PUBLIC && answer.is_too_many() {
        return Some(PUBLIC_LIMITS.to_owned());
    }
    let hint = match (answer.code.as_deref(), answer.status) {
        (Some("NAME_UNKNOWN"), _) => "create the repository first, or check its name",
        (Some("TOOMANYREQUESTS"), _) | (_, 429) => {
            "the registry limits requests: wait, or log in for a higher limit"
        }
        (Some("TAG_INVALID" | "ImageTagAlreadyExistsException"), _) => {
            "the tag is immutable: push under a new tag"
        }
        (_, 401 | 403) => "the credentials do not allow this on the repository",
        _ => return None,
    };
    Some(hint.to_owned())
}
