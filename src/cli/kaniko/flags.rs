//! Flags of `executor` that are accepted and change nothing.

use crate::cli::args::accepted::{Table, Value};

use Value::{Optional, Required};

/// The flags, each with the reason why it changes nothing; without one, lbuild does the same anyway, or the flag is about
/// how kaniko itself works.
pub struct Flags;

const A_LAYER_EACH: Option<&str> =
    Some("each instruction is a layer of its own, which later builds find again");
const FROM_ITS_ROOT: Option<&str> =
    Some("commands run in a root of their own, so no file of this machine gets into the image");
const INLINE: Option<&str> = Some("an image is its own cache: the keys of its layers are in it");

impl Table for Flags {
    type About = Option<&'static str>;
    const HEADING: Option<&'static str> = Some("Accepted without effect");
    const FLAGS: &'static [(&'static str, Value, Option<&'static str>)] = &[
        ("annotation", Required, Some("Docker's manifests have no annotations, and Lambda reads none")),
        ("cache", Optional, None),
        ("cache-copy-layers", Optional, None),
        ("cache-dir", Required, Some("the variable LBUILD_CACHE names the directory of the cache")),
        ("cache-run-layers", Optional, None),
        ("cache-ttl", Required, Some("a layer is found again by what it is made of, whatever its age")),
        ("cleanup", Optional, None),
        ("compressed-caching", Optional, None),
        ("compression-level", Required, Some("the level is fixed, since it decides the digest")),
        (
            "credential-helpers",
            Required,
            Some("config.json names the helpers, and AWS's credentials serve ECR without one"),
        ),
        ("force", Optional, None),
        ("force-build-metadata", Optional, None),
        ("git", Required, None),
        ("ignore-path", Required, FROM_ITS_ROOT),
        ("ignore-var-run", Optional, None),
        ("image-download-retry", Required, None),
        ("image-fs-extract-retry", Required, None),
        ("kaniko-dir", Required, None),
        ("log-format", Required, None),
        ("log-timestamp", Optional, None),
        (
            "materialize",
            Optional,
            Some("commands run in a root of their own, which nothing reads afterwards"),
        ),
        ("no-push-cache", Optional, INLINE),
        ("pre-cleanup", Optional, None),
        ("preserve-context", Optional, None),
        ("push-retry", Required, None),
        ("reproducible", Optional, None),
        ("single-snapshot", Optional, A_LAYER_EACH),
        ("skip-default-registry-fallback", Optional, None),
        ("skip-unused-stages", Optional, None),
        ("snapshot-mode", Required, None),
        ("snapshotMode", Required, None),
        ("use-new-run", Optional, None),
        ("whitelist-var-run", Optional, None),
    ];
}
