//! The way out of each failure, where there is one.

use std::io;

use super::{AwsRefusal, Error, Permission, Refusal};
use crate::image::{ECR_PUBLIC, EcrHost};

/// <https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html>
const PUBLIC_LIMITS: &str = "without AWS credentials public.ecr.aws takes 1 request a second and gives 500 GB a month: \
    give credentials that may ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken for 10 a second";

impl Error {
    /// The way out, where there is one: half a sentence, for a line of its own after the message.
    pub fn hint(&self) -> Option<String> {
        use Error::*;
        let hint = match self {
            Architecture { .. } => "Lambda runs arm64 (aarch64) and amd64 (x86_64)".into(),
            Reference { .. } => {
                "an image is named as registry/repository:tag, the repository in lower case".into()
            }
            Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "give yourself the right to read it, or name it in .lambdaignore".into()
            }
            Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path; it is relative to the working directory, or to lbuild.toml when it stands there".into()
            }
            IgnorePattern { .. } => r"write a backslash before a character that is meant as such, as in `\[`".into(),
            SourceChanged { .. } | Rebuilt { .. } => "run again when nothing writes to the directory".into(),
            ZipEncrypted { .. } | ZipMethod { .. } => {
                "make the archive anew without a password and with deflate, as `zip -r` does".into()
            }
            Zip { .. } | ZipMember { .. } => "make or fetch the archive anew; `unzip -t` tests one".into(),
            ZipName { .. } => "make the archive anew from a directory, as `zip -r` does".into(),
            PackedLogin { .. } => {
                "move the login to ~/.netrc, or to UV_INDEX_NAME_USERNAME and _PASSWORD; or name the file in .lambdaignore"
                    .into()
            }
            Build { .. } => "build a wheel of it, and give its directory as --find-links in the requirements".into(),
            Locked { .. } => "build a wheel of it, and lock that".into(),
            NoWheel { .. } => {
                "choose a version that has one; or build one for the image, and give its directory as --find-links \
                 in the requirements"
                    .into()
            }
            NoResolver { .. } => "install uv, or give a lock file: pylock.toml or uv.lock".into(),
            NoInterpreter { version } => {
                format!("install one, as with `uv python install {version}`; or leave --compile-bytecode out")
            }
            Survey { .. } => "the layer is cut off, damaged or no tar: build or push the image again".into(),
            NoLock { .. } => "make one with `npm install --package-lock-only`, and keep it with the code".into(),
            OutsidePath { .. } => {
                "give lbuild the directory above both as PATH, or install the package from a registry".into()
            }
            NoInstaller { tool, .. } => format!("install {tool}, or push where an earlier image has the layer"),
            OldInstaller { tool, least, package, .. } => format!("install {tool} {least} or newer: `npm install -g {package}`"),
            InstalledLink { .. } => "lock the packages again: a package that is linked must be in PATH".into(),
            WrongMachine { .. } => {
                "lock the packages again, so that the lock has those for every machine; what an install script builds \
                 or fetches is for this machine: leave out --npm-scripts"
                    .into()
            }
            Download { answer, .. } if matches!(answer.status, 401 | 403) => {
                "give the index's login: in its address, in ~/.netrc, or in UV_INDEX_NAME_USERNAME and _PASSWORD".into()
            }
            Download { answer, .. } if answer.status == 404 => "lock the requirements again: the file is gone".into(),
            Hash { .. } => "lock the requirements again, if the change is meant".into(),
            PythonVersion { .. } => "write it as 3.12, or as 3.12.9".into(),
            SpecialFile { .. } => "name it in .lambdaignore".into(),
            NoSuchPath { .. } => "`lbuild inspect IMAGE --tree` lists its files".into(),
            NoSuchImage { .. } => "check the name and the tag; a private image needs credentials".into(),
            PlatformNotOffered { .. } => "choose another --arch, or another base".into(),
            ForeignLayer { .. } => "use a base whose layers are all in the registry".into(),
            DiffId { .. } | LayersMismatch { .. } => "pull the base anew, or use another".into(),
            Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space there, or choose another place (LBUILD_CACHE moves the cache)".into()
            }
            Write { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "choose a place that you may write to (LBUILD_CACHE moves the cache)".into()
            }
            NoCacheRoot => "set LBUILD_CACHE to a directory".into(),
            CacheMismatch { .. } => "push with --no-cache, and empty the cache with `lbuild cache prune --days 0`".into(),
            LostBlob { .. } => "delete the image there, and push again with --no-cache".into(),
            CorruptFile { .. } => "make the file anew; one of lbuild's cache can be removed".into(),
            Layout { .. } => "name an empty or new directory, or an OCI layout".into(),
            NoLayout { .. } => {
                "name it as oci:DIR:TAG; `lbuild build` and `skopeo copy` make such directories".into()
            }
            NoArchive { .. } => {
                "`docker save`, and `lbuild build --to docker-archive:FILE`, make such files".into()
            }
            Connection { source, .. } => return connection_hint(&**source),
            Registry { answer, .. } => return refusal_hint(answer),
            ImmutableTag { .. } => "push under a new tag: this one can never name another image".into(),
            HungUp { missing, .. } => allow(missing),
            NoAwsCredentials { .. } => {
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in (`aws login`, `aws sso login`)"
                    .into()
            }
            AwsCredentials { .. } => "log in again (`aws login`, `aws sso login`), or check the profile".into(),
            NoAwsRegion => "set AWS_REGION, or a region in the profile, or name the registry in full".into(),
            Aws { answer, .. } => return answer.hint(),
            AwsConnection { source, .. } => return connection_hint(&**source),
            Unauthorized { host, .. } if EcrHost::parse(host).is_some() => {
                "give AWS credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role".into()
            }
            Unauthorized { host, .. } => {
                format!(
                    "log in to {host} with any Docker-compatible tool, or give --username and --password-stdin"
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

/// How a missing right is given.
fn allow(Permission { action, resource, denied }: &Permission) -> String {
    match denied {
        true => format!("a policy denies {action} on {resource}: change it, or use another identity"),
        false => format!("allow {action} on {resource}"),
    }
}

impl AwsRefusal {
    pub(super) fn is_about_rights(&self) -> bool {
        self.missing.is_some() || credentials_hint(&self.code).is_some()
    }

    fn hint(&self) -> Option<String> {
        let known = || credentials_hint(&self.code).map(str::to_owned);
        self.missing.as_ref().map(allow).or_else(known)
    }
}

/// What is wrong with the credentials themselves, by the names that AWS's services have for it:
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>
fn credentials_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the AWS credentials have run out: log in again, or ask for new ones"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "InvalidSignature" => {
            "the secret key is not that of the access key; or this machine's clock is wrong"
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
        "for a registry with a certificate of your own, let SSL_CERT_FILE name its CA"
    } else if text.contains("refused") || text.contains("dns") {
        "check the registry's name and port, and that it runs; HTTPS_PROXY and NO_PROXY are honoured"
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
        (_, 401 | 403) => "the credentials lack the right to do this on the repository",
        _ => return None,
    };
    Some(hint.to_owned())
}
