//! The formats of requirements, by file name.

use std::path::Path;

/// The format of a file that names packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::python) enum Format {
    /// `pylock.toml`, or `pylock.NAME.toml` (PEP 751).
    Pylock,
    /// `uv.lock`.
    Uv,
    /// `poetry.lock`.
    Poetry,
    /// `Pipfile.lock`.
    Pipfile,
    /// Any other file: requirements, written by the user.
    Requirements,
}

impl Format {
    /// The format of the file at `path`.
    pub(in crate::source::python) fn of(path: &Path) -> Format {
        match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
            "uv.lock" => Format::Uv,
            "poetry.lock" => Format::Poetry,
            "Pipfile.lock" => Format::Pipfile,
            name if is_pylock(name) => Format::Pylock,
            _ => Format::Requirements,
        }
    }
}

fn is_pylock(name: &str) -> bool {
    let middle = name.strip_prefix("pylock.").and_then(|rest| rest.strip_suffix("toml"));
    middle.is_some_and(|middle| {
        middle.is_empty() || (middle.ends_with('.') && middle.matches('.').count() == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_determines_the_format() {
        for (name, format) in [
            ("pylock.toml", Format::Pylock),
            ("x/pylock.dev.toml", Format::Pylock),
            ("pylock.a.b.toml", Format::Requirements),
            ("pylock.toml.txt", Format::Requirements),
            ("uv.lock", Format::Uv),
            ("Pipfile.lock", Format::Pipfile),
            ("poetry.lock", Format::Poetry),
            ("requirements.txt", Format::Requirements),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
