//! Where an installer puts the files of a wheel, and what it writes of its own.
//!
//! <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#the-data-directory>

/// The directories and the metadata of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::python) struct Scheme {
    /// The absolute path of the interpreter, for the first line of scripts.
    pub(in crate::source::python) interpreter: String,
    /// The content of `INSTALLER`; `None`: no metadata of the installation are written.
    pub(in crate::source::python) installer: Option<&'static str>,
    /// The directories; `None`: all files go below one directory, as with `--target`.
    pub(in crate::source::python) directories: Option<Directories>,
}

/// Directories of an image, without a slash at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::python) struct Directories {
    /// The packages: `site-packages`.
    pub(in crate::source::python) packages: String,
    /// The programs.
    pub(in crate::source::python) scripts: String,
    /// Everything else: the interpreter's prefix.
    pub(in crate::source::python) data: String,
    /// C headers, each in a directory of the package's name.
    pub(in crate::source::python) headers: String,
}

/// The part of an installation that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    Packages,
    Scripts,
    Data,
    Headers,
}

impl Scheme {
    /// The scheme of the function's directory on one of Lambda's bases.
    pub(in crate::source::python) fn of_function(minor: u32) -> Scheme {
        let interpreter = format!("/var/lang/bin/python3.{minor}");
        Scheme { interpreter, installer: Some("lbuild"), directories: None }
    }

    /// The path of a file, relative to the directory of the installation, or in the image if the scheme has directories
    /// of its own. Empty for the directory of the area itself.
    pub(super) fn path(&self, area: Area, package: &str, path: &str) -> String {
        let below = |dir: &str| if path.is_empty() { dir.to_owned() } else { format!("{dir}/{path}") };
        match (&self.directories, area) {
            (None, Area::Packages | Area::Data) => path.to_owned(),
            (None, Area::Scripts) if path.is_empty() => String::new(),
            (None, Area::Headers) if path.is_empty() => String::new(),
            (None, Area::Scripts) => format!("bin/{path}"),
            (None, Area::Headers) => format!("include/{package}/{path}"),
            (Some(dirs), Area::Packages) => below(&dirs.packages),
            (Some(dirs), Area::Scripts) => below(&dirs.scripts),
            (Some(dirs), Area::Data) => below(&dirs.data),
            (Some(dirs), Area::Headers) => below(&format!("{}/{package}", dirs.headers)),
        }
    }

    /// A path of [`path`](Scheme::path) as RECORD has it: relative to the directory of the packages.
    pub(super) fn recorded(&self, path: &str) -> String {
        match &self.directories {
            None => path.to_owned(),
            Some(dirs) => relative(&dirs.packages, path),
        }
    }

    /// A text that differs whenever the files may differ.
    pub(in crate::source::python) fn identity(&self) -> String {
        let Scheme { interpreter, installer, directories } = self;
        format!("{interpreter} {installer:?} {directories:?}")
    }
}

/// The path `to` relative to the directory `from`.
fn relative(from: &str, to: &str) -> String {
    let (mut from, mut to) = (from.split('/').peekable(), to.split('/').peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let parts: Vec<&str> = from.map(|_| "..").chain(to).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_interpreter_go_to_its_own_directories() {
        let scheme = Scheme {
            interpreter: "/usr/local/bin/python3.12".into(),
            installer: Some("pip\n"),
            directories: Some(Directories {
                packages: "usr/local/lib/python3.12/site-packages".into(),
                scripts: "usr/local/bin".into(),
                data: "usr/local".into(),
                headers: "usr/local/include/python3.12".into(),
            }),
        };
        for (area, path, place, recorded) in [
            (Area::Packages, "six.py", "usr/local/lib/python3.12/site-packages/six.py", "six.py"),
            (Area::Scripts, "idna", "usr/local/bin/idna", "../../../bin/idna"),
            (Area::Data, "share/x", "usr/local/share/x", "../../../share/x"),
            (Area::Headers, "a.h", "usr/local/include/python3.12/p/a.h", "../../../include/python3.12/p/a.h"),
        ] {
            let found = scheme.path(area, "p", path);
            assert_eq!((found.as_str(), scheme.recorded(&found).as_str()), (place, recorded));
        }
        let target = Scheme::of_function(12);
        assert_eq!(target.path(Area::Scripts, "p", "idna"), "bin/idna");
        assert_eq!(target.recorded("bin/idna"), "bin/idna");
    }
}
