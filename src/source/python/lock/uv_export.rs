//! `uv.lock` as requirements, as `uv export` writes them: for every environment, with markers.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::Condition;
use super::groups::Taken;
use super::requirement_line::Requirement;
use super::uv_schema::{UvArtifact, UvDependency, UvLock, UvPackage, UvSource};
use super::uvlock::{candidates, dependencies, parsed, taken};
use crate::recipe::{LockSelection, LockedProject};
use crate::source::python::wheel::normalized;

/// The requirements of the project beside the lock. `project` is its `pyproject.toml`.
pub(super) fn requirements(
    text: &str,
    project: &toml::Table,
    selection: &LockSelection,
) -> Result<Vec<Requirement>, String> {
    let lock = parsed(text)?;
    let root = lock.packages.iter().position(|package| package.source.project() == Some("."));
    let root = root.ok_or("it has no project at its root")?;
    let taken = taken(&lock, root, selection, project)?;
    let mut walk =
        ConditionWalk { lock: &lock, needed: BTreeMap::new(), users: BTreeMap::new(), todo: Vec::new() };
    walk.root(root, &taken)?;
    walk.run()?;
    let mut conditions: BTreeMap<usize, Condition> = BTreeMap::new();
    for ((number, _), condition) in &walk.needed {
        let all = conditions.entry(*number).or_default();
        *all = all.or(condition)?;
    }
    conditions.remove(&root);
    if selection.project != LockedProject::LeftOut && taken.main {
        conditions.insert(root, Condition::always());
    }
    let mut found = Vec::new();
    for (number, condition) in conditions {
        let package = &lock.packages[number];
        let Some(marker) = condition.text() else { continue };
        let is_editable = selection.project == LockedProject::Editable;
        let Some((order, text)) = named(package, is_editable)? else { continue };
        let files = package.wheels.iter().chain(&package.sdist);
        let hashes: BTreeSet<String> = files.filter_map(hash).collect();
        let users = walk.users.get(&number).map(|users| users.iter().cloned().collect());
        found.push((order, Requirement { text, marker, hashes, users: users.unwrap_or_default() }));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found.into_iter().map(|(_, requirement)| requirement).collect())
}

/// The order of a line in the file: editable packages, paths, then names.
type Order = (u8, String);

/// A package, or one of its extras.
type Node = (usize, Option<String>);

/// When each package is needed.
struct ConditionWalk<'l> {
    lock: &'l UvLock,
    needed: BTreeMap<Node, Condition>,
    /// The names of the packages that need each.
    users: BTreeMap<usize, BTreeSet<String>>,
    todo: Vec<Node>,
}

impl<'l> ConditionWalk<'l> {
    fn root(&mut self, root: usize, taken: &Taken) -> Result<(), String> {
        let package = &self.lock.packages[root];
        let of_groups: Vec<&[UvDependency]> =
            dependencies(package, &Taken { main: false, extras: BTreeSet::new(), ..taken.clone() });
        let own = dependencies(package, &Taken { groups: BTreeSet::new(), ..taken.clone() });
        for list in own {
            self.edges(list, &Condition::always(), Some(&package.name))?;
        }
        // uv does not name the project as the user of what its groups need.
        for list in of_groups {
            self.edges(list, &Condition::always(), None)?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(node) = self.todo.pop() {
            let condition = self.needed.get(&node).cloned().unwrap_or_default();
            let (number, extra) = &node;
            let package = &self.lock.packages[*number];
            let list = match extra {
                None => &package.dependencies,
                Some(extra) => match package.optional_dependencies.get(extra) {
                    Some(list) => list,
                    None => continue,
                },
            };
            self.edges(list, &condition, Some(&package.name))?;
        }
        Ok(())
    }

    fn edges(
        &mut self,
        list: &'l [UvDependency],
        from: &Condition,
        user: Option<&str>,
    ) -> Result<(), String> {
        for dependency in list {
            let mut found = candidates(self.lock, dependency).map(|(number, _)| number);
            let number = match (found.next(), found.next()) {
                (Some(number), None) => number,
                (None, _) => return Err(format!("{} is needed, but not locked", dependency.name)),
                _ => return Err(format!("{} is locked in several versions", dependency.name)),
            };
            let condition = from.and(&Condition::of(dependency.marker.as_deref())?)?;
            if condition == Condition::default() {
                continue;
            }
            if let Some(user) = user {
                self.users.entry(number).or_default().insert(user.to_owned());
            }
            for extra in [None].into_iter().chain(dependency.extra.iter().cloned().map(Some)) {
                let node = (number, extra);
                let before = self.needed.get(&node).cloned().unwrap_or_default();
                let after = before.or(&condition)?;
                if after != before {
                    self.needed.insert(node.clone(), after);
                    self.todo.push(node);
                }
            }
        }
        Ok(())
    }
}

/// The order of a package in the file, and its text without a marker. `None`: only its dependencies are listed.
fn named(package: &UvPackage, is_editable: bool) -> Result<Option<(Order, String)>, String> {
    let path = |path: &str| match path {
        "." => ".".to_owned(),
        path if path.starts_with(['.', '/']) => path.to_owned(),
        path => format!("./{path}"),
    };
    let name = normalized(&package.name);
    let text = match &package.source {
        UvSource::Registry(_) if package.version.is_empty() => return Err(format!("{name} has no version")),
        UvSource::Registry(_) => format!("{name}=={}", package.version),
        UvSource::Url(url) => format!("{name} @ {url}"),
        UvSource::Virtual(_) => return Ok(None),
        UvSource::Editable(dir) if is_editable => {
            let dir = path(dir);
            return Ok(Some(((0, dir.clone()), plain(format!("-e {dir}"))?)));
        }
        UvSource::Editable(place) | UvSource::Directory(place) | UvSource::Path(place) => {
            let place = path(place);
            return Ok(Some(((1, place.clone()), plain(place)?)));
        }
        source => {
            let fault = source.unbuilt().unwrap_or("it has a source that lbuild does not know");
            return Err(format!("{name} cannot be exported: {fault}"));
        }
    };
    Ok(Some(((2, format!("{name} {}", package.version)), plain(text)?)))
}

/// A text that stays on its line.
fn plain(text: String) -> Result<String, String> {
    match text.contains(|c: char| c.is_control() || c == '\\') {
        true => Err(format!("`{}` is not a requirement", text.escape_debug())),
        false => Ok(text),
    }
}

fn hash(file: &UvArtifact) -> Option<String> {
    let hash = file.hash.clone()?;
    hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':').then_some(hash)
}
