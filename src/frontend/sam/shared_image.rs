//! Images that several functions have.

use super::function::ImageFunction;
use crate::image::Digest;

/// One image, and the functions that have it: their images are made in the same way for the same architecture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SharedImage<'f> {
    /// The functions, in the order of the template. There is at least one.
    pub functions: Vec<&'f ImageFunction>,
}

impl<'f> SharedImage<'f> {
    /// The images of these functions.
    pub fn of(functions: &'f [ImageFunction]) -> Vec<SharedImage<'f>> {
        let mut images: Vec<SharedImage<'f>> = Vec::new();
        for function in functions {
            let is_same = |image: &&mut SharedImage<'_>| {
                let first = image.functions[0];
                first.arch == function.arch && first.image == function.image
            };
            match images.iter_mut().find(is_same) {
                Some(image) => image.functions.push(function),
                None => images.push(SharedImage { functions: vec![function] }),
            }
        }
        images
    }

    /// The tag of a function's image, as `sam package` makes it: `NAME-ID-TAG` with the first 12 digits of the digest of the
    /// image's config. Functions with the same metadata have the name of the first.
    pub fn tag(&self, function: &ImageFunction, config: Digest) -> String {
        let same = |other: &&&ImageFunction| {
            let is_named = other.has_own_name || function.has_own_name;
            other.tag == function.tag && (!is_named || other.name == function.name)
        };
        let name = self.functions.iter().find(same).map_or(&function.name, |first| &first.name);
        format!("{name}-{}-{}", &config.hex()[..12], function.tag)
    }
}
