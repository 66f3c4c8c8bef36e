//! What a mount forbids.

/// What a mount forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restriction {
    pub(super) writes: bool,
    pub(super) devices: bool,
    /// It does not hold for the mounts below it.
    pub(super) alone: bool,
}
