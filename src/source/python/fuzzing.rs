//! The readers of locks for `tests/fuzz`; see [`crate::fuzzing`].

use std::path::Path;
use std::sync::LazyLock;

use super::lock::{Asked, Format, LockedPackage, lines, pipfile, poetry, pylock, uvlock};
use super::markers::Environment;
use super::target::{Machine, Target};
use crate::error::Result;

static TARGET: LazyLock<Target> = LazyLock::new(|| Target::new(12, Machine::Aarch64, (2, 34)));

/// The lines that uv or pip would get for the lock of this name. A lock with URLs has none; its packages are chosen.
pub fn python_lock(name: &str, text: &str) -> Result<Vec<String>> {
    let path = Path::new("/nonexistent").join(name);
    let environment = Environment::of(&TARGET);
    let choose = |packages: Vec<LockedPackage>| {
        packages.iter().try_for_each(|package| package.choose(&TARGET).map(drop)).map(|()| Vec::new())
    };
    let pinned = match Format::of(&path) {
        Format::Pylock => return choose(pylock::read(text, &path, &environment)?),
        Format::Uv => return choose(uvlock::read(text, &path, None, None, &environment)?),
        Format::Poetry => poetry::read(text, &path, None, &environment)?,
        Format::Pipfile => pipfile::read(text, &path, None, &environment)?,
        Format::Requirements => {
            Asked::default().add(text);
            return Ok(lines(text));
        }
    };
    choose(pinned.direct)?;
    Ok(pinned.groups.values().flat_map(|group| group.split_terminator('\n').map(str::to_owned)).collect())
}
