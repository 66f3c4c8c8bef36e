//! The result of lowering.

use lbuild::Recipe;
use lbuild::error::Remark;

use super::config_file::ConfigFile;

/// A recipe, and facts about the image that the recipe does not contain.
pub struct Lowered {
    pub recipe: Recipe,
    pub config: ConfigFile,
    /// Warnings about the Dockerfile, already reported.
    #[cfg_attr(not(feature = "check"), expect(dead_code, reason = "only `lbuild check` repeats them"))]
    pub remarks: Vec<Remark>,
    /// The handler, and the runtime or base image whose rules decide the path of the handler's file.
    pub handler: Option<(String, String)>,
    /// Whether the image starts the user's entrypoint, not the base's.
    pub own_entrypoint: bool,
    /// Whether the image is for Lambda, judged by handler and base: other container engines accept more.
    pub for_lambda: bool,
}
