//! What the image so far decides about the files of a `COPY`, `ADD` or `WORKDIR`.

use crate::image::Digest;
use crate::recipe::Origin;

/// How files get their paths and owners, once the image below them is known.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    /// The path of the step, absolute and without a slash at its end; empty for the root.
    pub(crate) to: Vec<u8>,
    pub(crate) shape: Shape,
    /// `USER[:GROUP]`, as numbers or names.
    pub(crate) owner: Option<String>,
    /// The mode of directories that have to be made.
    pub(crate) mode: Option<u32>,
    /// Whether the image so far is not looked at.
    pub(crate) link: bool,
    /// Whether nothing but the directory is made.
    pub(crate) is_workdir: bool,
    /// The instruction.
    pub(crate) origin: Origin,
}

/// Whether the step's path is a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It is a directory, and is made if it does not exist.
    Directory,
    /// Nothing is copied, and nothing is made.
    Nothing,
    /// A file with this name in the tree: the path is its own, unless the image has a directory there.
    File(Vec<u8>),
    /// Several files: the image must have a directory there.
    Several,
    /// The sources must be read first.
    Unknown,
}

impl Placing {
    /// A digest over all that decides paths and owners besides the image.
    pub(crate) fn identity(&self) -> Digest {
        // Destructured without `..`, so that a new field does not compile until it is handled here.
        let Placing { to, shape, owner, mode, link, is_workdir, origin: _ } = self;
        Digest::of(
            format!(
                "placing-1 {:?} {shape:?} {owner:?} {mode:?} {link} {is_workdir}",
                to.escape_ascii().to_string()
            )
            .as_bytes(),
        )
    }

    /// Whether names of users or groups are looked up in the image.
    pub(crate) fn names_owner(&self) -> bool {
        let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        self.owner.as_ref().is_some_and(|owner| !owner.split(':').all(is_number))
    }
}
