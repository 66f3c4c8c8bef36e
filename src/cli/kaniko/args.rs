//! The arguments of `executor`. A flag may stand anywhere, a later one replaces an earlier one, and a switch may have a
//! value, as in `--cache=true`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::flags::Flags;
use crate::cli::args::accepted::Accepted;
use crate::cli::args::push::FormatName;
use crate::cli::args::switches::with_values;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{Report, Style};

/// Build an image from a Dockerfile and push it, with the flags of kaniko's executor
#[derive(Parser)]
#[command(name = "executor", disable_version_flag = true)]
pub struct Executor {
    /// The build context: a directory, dir://DIR, tar://FILE or tar://stdin
    #[arg(short, long, default_value = "/workspace")]
    pub context: String,
    /// The directory in the context that is the build context
    #[arg(long, value_name = "DIR")]
    pub context_sub_path: Option<PathBuf>,
    /// The Dockerfile, from the working directory or the context
    #[arg(short = 'f', long, value_name = "FILE", default_value = "Dockerfile")]
    pub dockerfile: PathBuf,
    /// Push the image under this name (repeatable)
    #[arg(short, long, value_name = "REGISTRY/REPO[:TAG]")]
    pub destination: Vec<String>,
    /// Set an ARG, without VALUE to that of the environment (repeatable)
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// Build this stage
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Set a label (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Give RUN --mount=type=secret a file or a variable (repeatable)
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub secret: Vec<String>,
    /// The platform [default: this machine's]
    #[arg(long, alias = "customPlatform", value_name = "OS/ARCH")]
    pub custom_platform: Option<String>,
    /// Push nothing
    #[arg(long)]
    pub no_push: bool,
    /// Do everything but write to the destinations
    #[arg(long, alias = "dry-run")]
    pub dryrun: bool,
    /// Write the image to a docker-archive
    #[arg(long, alias = "tarPath", value_name = "FILE")]
    pub tar_path: Option<PathBuf>,
    /// Write the image to an OCI layout
    #[arg(long, value_name = "DIR")]
    pub oci_layout_path: Option<PathBuf>,
    /// Write the digest to FILE, without a newline
    #[arg(long, value_name = "FILE")]
    pub digest_file: Option<PathBuf>,
    /// Write each name with the digest to FILE
    #[arg(long, value_name = "FILE")]
    pub image_name_with_digest_file: Option<PathBuf>,
    /// Write each name with tag and digest to FILE
    #[arg(long, value_name = "FILE")]
    pub image_name_tag_with_digest_file: Option<PathBuf>,
    /// Set the manifest's format [default: docker; oci in an OCI layout]
    #[arg(long, value_enum)]
    pub image_format: Option<FormatName>,
    /// Reuse the layers of this image too, if their keys match
    #[arg(long, value_name = "IMAGE")]
    pub cache_repo: Option<String>,
    /// Push over plain HTTP
    #[arg(long)]
    pub insecure: bool,
    /// Use plain HTTP for this registry (repeatable)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub insecure_registry: Vec<String>,
    /// Pull over plain HTTP; refused, unless --insecure-registry names the registries
    #[arg(long)]
    pub insecure_pull: bool,
    /// Refused, unless the registries of the destinations use plain HTTP
    #[arg(long)]
    pub skip_tls_verify: bool,
    /// Refused, unless the registries of the bases use plain HTTP
    #[arg(long)]
    pub skip_tls_verify_pull: bool,
    /// Refused, unless this registry uses plain HTTP
    #[arg(long, value_name = "HOST[:PORT]")]
    pub skip_tls_verify_registry: Vec<String>,
    /// Refused, unless SSL_CERT_FILE is set, which names the certificates to trust
    #[arg(long, value_name = "HOST=FILE")]
    pub registry_certificate: Vec<String>,
    /// Pull images of Docker Hub from this registry (repeatable)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub registry_mirror: Vec<String>,
    /// Pull images of a registry from another one (repeatable)
    #[arg(long, value_name = "HOST=HOST[;HOST=HOST]")]
    pub registry_map: Vec<String>,
    /// Succeed if a tag is immutable and names another image
    #[arg(long)]
    pub push_ignore_immutable_tag_errors: bool,
    /// Do not try before the build whether the image may be pushed
    #[arg(long)]
    pub skip_push_permission_check: bool,
    /// Say less: error, fatal and panic
    #[arg(short, long, value_name = "LEVEL")]
    pub verbosity: Option<String>,
    /// The compression of layers: gzip
    #[arg(long)]
    pub compression: Option<String>,
    #[arg(short, long, hide = true)]
    pub bucket: Option<String>,
    #[arg(long, hide = true)]
    pub registry_client_cert: Vec<String>,
    /// Words that are no flags, which kaniko ignores.
    #[arg(hide = true)]
    pub words: Vec<String>,
    #[command(flatten)]
    pub accepted: Accepted<Flags>,
}

impl Executor {
    /// The parsed arguments.
    pub fn parsed(words: Vec<OsString>) -> Result<Executor, clap::Error> {
        let matches = with_values(Executor::command()).try_get_matches_from(words)?;
        Executor::from_arg_matches(&matches)
    }

    pub fn style(&self) -> Style {
        match self.verbosity.as_deref() {
            Some("error" | "fatal" | "panic") => Style::Quiet,
            _ => Style::Usual,
        }
    }

    /// Says which arguments have no effect here.
    pub fn notes(&self, report: &Report) {
        for (flag, reason) in &self.accepted.given {
            if let Some(reason) = reason {
                report.note(&format!("--{flag} has no effect: {reason}"));
            }
        }
        for word in &self.words {
            let hint = Some("the value of a switch stands after `=`, as in --cache=true");
            report.warn(&format!("`{word}` is not a flag, and has no effect"), hint);
        }
    }

    /// Refuses what would be another image, or another connection, than the one that is asked for.
    pub fn refuse_unserved(&self) -> Result<(), Failure> {
        if let Some(compression) = self.compression.as_deref().filter(|name| *name != "gzip") {
            let message = format!("--compression={compression}: Lambda takes layers in gzip only");
            return Err(Failure::usage(message, "leave the flag out"));
        }
        if !self.registry_client_cert.is_empty() {
            let message = "--registry-client-cert: lbuild has no client certificates";
            return Err(Failure::usage(message, "log in with a password or a token in config.json"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Executor {
        Executor::parsed(["executor"].into_iter().chain(line.split(' ')).map(OsString::from).collect())
            .unwrap()
    }

    #[test]
    fn the_arguments_are_consistent() {
        with_values(Executor::command()).debug_assert();
    }

    #[test]
    fn flags_have_kanikos_spellings() {
        let args =
            parsed("-c dir:///w -f D -d a/b:1 --destination=a/b:2 --no-push=true --tarPath t --cache=true");
        assert_eq!((&*args.context, args.destination.len(), args.no_push), ("dir:///w", 2, true));
        assert_eq!(args.tar_path, Some("t".into()));
        let args =
            parsed("--customPlatform=linux/arm64 --snapshotMode=redo --no-push=false --target a --target b");
        assert_eq!((args.custom_platform.as_deref(), args.no_push), (Some("linux/arm64"), false));
        assert_eq!((args.target.as_deref(), &*args.context), (Some("b"), "/workspace"));
    }
}
