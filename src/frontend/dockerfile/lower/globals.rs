//! The variables that `FROM` lines see.

use std::collections::HashMap;

use super::expand::plain;
use crate::frontend::dockerfile::arguments::Arguments;
use crate::frontend::dockerfile::stages::ParsedFile;
use crate::frontend::dockerfile::syntax::shell::{Lexer, Variables};
use crate::frontend::fault::Parsed;
use crate::image::Platform;

/// The platform arguments, and the `ARG`s before the first `FROM`.
#[derive(Debug)]
pub(super) struct Globals(HashMap<String, String>);

/// The names of proxies, which a `RUN` sees without `ARG`.
pub(super) const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

impl Variables for Globals {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Globals {
    pub fn new(file: &ParsedFile, arguments: &Arguments) -> Parsed<Globals> {
        let mut values = HashMap::new();
        let last = file.stages.last().and_then(|stage| stage.base.name.as_ref());
        let target = arguments.target.clone().or(last.map(|name| name.text.clone()));
        let build = of_platform("BUILD", &arguments.build_platform);
        for (name, value) in build.into_iter().chain(of_platform("TARGET", &arguments.platform)) {
            values.insert(name, value);
        }
        values.insert("TARGETSTAGE".to_owned(), target.unwrap_or_else(|| "default".to_owned()));
        for (name, value) in &mut values {
            if let Some(given) = arguments.build_args.get(name) {
                value.clone_from(given);
            }
        }
        let mut globals = Globals(values);
        let lexer = Lexer::new(file.escape);
        for argument in &file.globals {
            let name = &argument.name.text;
            let value = match (arguments.build_args.get(name), &argument.default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => plain(&lexer, default, &globals)?.text,
                (None, None) => continue,
            };
            globals.0.insert(name.clone(), value);
        }
        Ok(globals)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Containerd's normal form has no variant for amd64 and arm64.
fn of_platform(prefix: &str, platform: &Platform) -> [(String, String); 5] {
    let variant =
        platform.variant.as_deref().filter(|variant| (&*platform.architecture, *variant) != ("arm64", "v8"));
    let normal = Platform { variant: variant.map(str::to_owned), ..platform.clone() };
    [
        (format!("{prefix}PLATFORM"), normal.to_string()),
        (format!("{prefix}OS"), normal.os.clone()),
        (format!("{prefix}OSVERSION"), String::new()),
        (format!("{prefix}ARCH"), normal.architecture.clone()),
        (format!("{prefix}VARIANT"), normal.variant.unwrap_or_default()),
    ]
}
