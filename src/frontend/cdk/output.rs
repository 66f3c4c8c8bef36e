//! The outputs of a build, as `docker build --output` has them.

/// An output that gives the image to Docker, which is then pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOutput {
    /// Whether the manifest is one of OCI, not of Docker.
    pub oci: bool,
}

/// Keys without a meaning for the bytes of the image that lbuild makes: it has neither a daemon nor attestations, writes
/// gzip, and sets all times.
const ACCEPTED: [&str; 12] = [
    "annotation-index",
    "buildinfo",
    "compression-level",
    "dangling-name-prefix",
    "force-compression",
    "load",
    "name",
    "name-canonical",
    "push",
    "rewrite-timestamp",
    "store",
    "unpack",
];

impl BuildOutput {
    /// Reads one output.
    ///
    /// # Errors
    /// The fault, for an output that is not an image, or that asks for an image which lbuild does not make.
    pub fn parse(text: &str) -> Result<BuildOutput, String> {
        let mut output = BuildOutput::default();
        let mut kind = None;
        for field in text.split(',').map(str::trim) {
            match field.split_once('=') {
                Some(("type", value)) => kind = Some(value),
                Some(("oci-mediatypes", value)) => output.oci = value == "true",
                Some(("compression", "gzip")) => {}
                Some(("compression", other)) => {
                    return Err(format!("it asks for layers in {other}, which Lambda does not take"));
                }
                Some((key, _)) if ACCEPTED.contains(&key) => {}
                _ => return Err(format!("lbuild does not serve `{field}`")),
            }
        }
        match kind {
            Some("docker" | "image" | "registry") => Ok(output),
            Some(other) => Err(format!("its type is {other}, which gives no image to push")),
            None => Err("it is a directory, not an image to push".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_are_outputs() {
        for (text, oci) in [
            ("type=docker", false),
            ("type=image,push=true,name=a/b:c", false),
            ("type=image,oci-mediatypes=true,compression=gzip", true),
            ("type=registry", false),
        ] {
            assert_eq!(BuildOutput::parse(text), Ok(BuildOutput { oci }), "{text}");
        }
        for (text, fault) in [
            ("type=local,dest=out", "`dest=out`"),
            ("type=tar", "its type is tar"),
            ("out", "`out`"),
            ("type=image,compression=zstd", "layers in zstd"),
            ("type=docker,dest=a.tar", "`dest=a.tar`"),
            ("push=true", "not an image"),
        ] {
            assert!(BuildOutput::parse(text).unwrap_err().contains(fault), "{text}");
        }
    }
}
