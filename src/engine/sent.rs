//! The outcome of sending an image to several destinations.

use super::publish::Published;
use crate::error::{Error, Result};

/// The outcome of sending an image to its destinations.
#[derive(Debug, Default)]
pub struct Sent {
    /// The image at each destination where at least one name refers to it now, with these names, in the order of the
    /// destinations.
    pub published: Vec<Published>,
    /// The failures of the other destinations and names.
    pub failures: Vec<Error>,
}

impl Sent {
    /// The image at every destination.
    ///
    /// # Errors
    /// The first failure.
    pub fn complete(self) -> Result<Vec<Published>> {
        match self.failures.into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(self.published),
        }
    }

    /// The outcome when nothing more can be sent: an `earlier` attempt may have moved names already.
    ///
    /// # Errors
    /// The failure, if no name has moved.
    pub(super) fn failed(failure: Error, earlier: Vec<Published>) -> Result<Sent> {
        match earlier.is_empty() {
            true => Err(failure),
            false => Ok(Sent { published: earlier, failures: vec![failure] }),
        }
    }

    /// Adds what an `earlier` attempt published, and counts its changes: the images at these destinations exist now.
    pub(super) fn after(mut self, earlier: Vec<Published>) -> Sent {
        for before in earlier {
            let is_same = |now: &&mut Published| now.names.iter().any(|name| before.names.contains(name));
            match self.published.iter_mut().find(is_same) {
                Some(now) => now.changed |= before.changed,
                None => self.published.push(before),
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn published(names: &[&str], changed: bool) -> Published {
        let digest = Digest::of(b"");
        Published {
            image: format!("{}@{digest}", names[0]),
            digest,
            size: 1,
            config: digest,
            media_type: String::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            changed,
        }
    }

    #[test]
    fn a_failure_does_not_hide_what_an_earlier_attempt_published() {
        let earlier = vec![published(&["a:1"], true)];
        let sent = Sent::failed(Error::Interrupted, earlier.clone()).unwrap();
        assert_eq!((sent.published, sent.failures.len()), (earlier.clone(), 1));
        assert!(matches!(Sent::failed(Error::Interrupted, Vec::new()), Err(Error::Interrupted)));
        let other = vec![published(&["b:1"], true)];
        let sent =
            Sent { published: other.clone(), failures: vec![Error::Interrupted] }.after(earlier.clone());
        assert_eq!(sent.published, [other, earlier].concat());
    }

    #[test]
    fn the_changes_of_all_attempts_count() {
        let now = vec![published(&["a:1", "a:2"], false)];
        let sent = Sent { published: now, failures: Vec::new() }.after(vec![published(&["a:2"], true)]);
        assert_eq!(sent.published, [published(&["a:1", "a:2"], true)]);
    }
}
