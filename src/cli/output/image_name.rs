//! The names of stored images.

use lbuild::StoredImage;
use lbuild::recipe::Base;

/// The name of a stored image, as the commands accept it; in a layout, with its digest.
pub fn image_name(found: &StoredImage) -> String {
    match &found.base {
        Base::Registry(name) => name.to_string(),
        Base::Layout { path, .. } => format!("oci:{}@{}", path.display(), found.manifest.digest),
        Base::Archive { path, name, .. } => {
            let name = name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            format!("docker-archive:{}{name}", path.display())
        }
        Base::Local { name, .. } => format!("local:{name}"),
        Base::Scratch | Base::Stage(_) => String::new(),
    }
}
