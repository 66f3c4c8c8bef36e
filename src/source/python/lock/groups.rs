//! The groups and extras of a project that a command takes from its lock.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::recipe::LockSelection;
use crate::source::python::wheel::normalized;

/// What is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The dependencies of the project itself.
    pub(super) main: bool,
    pub(super) groups: BTreeSet<String>,
    pub(super) extras: BTreeSet<String>,
}

impl Taken {
    /// The dependencies of the project itself.
    pub(super) fn main() -> Taken {
        Taken { main: true, groups: BTreeSet::new(), extras: BTreeSet::new() }
    }

    /// What uv takes of a project with these groups and extras. `project` is its `pyproject.toml`.
    pub(super) fn of_uv(
        selection: &LockSelection,
        project: &Table,
        groups: &BTreeSet<String>,
        extras: &BTreeSet<String>,
    ) -> Result<Taken, String> {
        let settings = project.get("tool").and_then(|tool| tool.get("uv"));
        let defaults = match settings.and_then(|uv| uv.get("default-groups")) {
            None => BTreeSet::from(["dev".to_owned()]),
            Some(Value::String(all)) if all == "all" => groups.clone(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(normalized).collect(),
            Some(_) => return Err("`tool.uv.default-groups` cannot be read".to_owned()),
        };
        let [with, without, only] =
            [&selection.with, &selection.without, &selection.only].map(|list| names(list));
        // The group `dev` need not exist.
        let is_known = |name: &&String| !groups.contains(*name) && *name != "dev";
        if let Some(name) = with.union(&only).find(is_known) {
            return Err(format!("the project has no group `{name}`"));
        }
        let wanted_extras = names(&selection.extras);
        if let Some(name) = wanted_extras.iter().find(|name| !extras.contains(*name)) {
            return Err(format!("the project has no extra `{name}`"));
        }
        let main = only.is_empty();
        let mut taken: BTreeSet<String> = with.union(&only).cloned().collect();
        if selection.all_groups {
            taken.extend(groups.iter().cloned());
        }
        if main && !selection.no_default_groups {
            taken.extend(defaults);
        }
        taken.retain(|name| !without.contains(name));
        let extras = match (main, selection.all_extras) {
            (false, _) => BTreeSet::new(),
            (true, true) => extras.clone(),
            (true, false) => wanted_extras,
        };
        Ok(Taken { main, groups: taken, extras })
    }

    /// What Poetry takes of a project; the dependencies of the project itself are the group `main`.
    pub(super) fn of_poetry(selection: &LockSelection, project: &Table) -> Result<Taken, String> {
        let poetry = project.get("tool").and_then(|tool| tool.get("poetry")).and_then(Value::as_table);
        let own = poetry.and_then(|poetry| poetry.get("group")).and_then(Value::as_table);
        let standard = project.get("dependency-groups").and_then(Value::as_table);
        let tables = own.into_iter().chain(standard);
        let mut groups: BTreeSet<String> =
            tables.flat_map(|table| table.keys()).map(|name| normalized(name)).collect();
        if poetry.is_some_and(|poetry| poetry.contains_key("dev-dependencies")) {
            groups.insert("dev".to_owned());
        }
        groups.insert("main".to_owned());
        let is_optional = |name: &String| {
            let group = own.and_then(|own| own.iter().find(|(other, _)| normalized(other) == *name));
            let optional = group.and_then(|(_, group)| group.get("optional"));
            optional.and_then(Value::as_bool) == Some(true)
        };
        let [with, without, only] =
            [&selection.with, &selection.without, &selection.only].map(|list| names(list));
        let mut named = with.iter().chain(&without).chain(&only);
        if let Some(name) = named.find(|name| !groups.contains(*name)) {
            return Err(format!("the project has no group `{name}`"));
        }
        let mut taken: BTreeSet<String> = match (only.is_empty(), selection.no_default_groups) {
            (false, _) => only,
            (true, true) => BTreeSet::from(["main".to_owned()]),
            (true, false) => groups.iter().filter(|name| !is_optional(name)).cloned().collect(),
        };
        taken.extend(with);
        if selection.all_groups {
            taken.extend(groups);
        }
        taken.retain(|name| !without.contains(name));
        let extras = match selection.all_extras {
            true => extras_of(project, poetry),
            false => names(&selection.extras),
        };
        Ok(Taken { main: taken.contains("main"), groups: taken, extras })
    }
}

fn extras_of(project: &Table, poetry: Option<&Table>) -> BTreeSet<String> {
    let standard = project.get("project").and_then(|project| project.get("optional-dependencies"));
    let own = poetry.and_then(|poetry| poetry.get("extras"));
    let tables = standard.into_iter().chain(own).filter_map(Value::as_table);
    tables.flat_map(|table| table.keys()).map(|name| normalized(name)).collect()
}

fn names(names: &[String]) -> BTreeSet<String> {
    names.iter().map(|name| normalized(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::LockTool;

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn with(tool: LockTool, change: impl Fn(&mut LockSelection)) -> LockSelection {
        let mut selection = LockSelection::of(tool);
        change(&mut selection);
        selection
    }

    #[test]
    fn uv_takes_the_default_groups_unless_an_option_says_otherwise() {
        let project: Table = "[tool.uv]\ndefault-groups = ['Lint_All']".parse().unwrap();
        let (groups, extras) = (set("dev lint-all docs"), set("plots web"));
        let list = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        type Change = fn(&mut LockSelection, Vec<String>);
        for (change, words, expected) in [
            ((|_, _| ()) as Change, "", Some((true, "lint-all", ""))),
            (|to, words| to.with = words, "docs", Some((true, "docs lint-all", ""))),
            (|to, words| to.without = words, "lint_all", Some((true, "", ""))),
            (|to, words| to.only = words, "docs", Some((false, "docs", ""))),
            (|to, _| to.no_default_groups = true, "", Some((true, "", ""))),
            (|to, _| to.all_groups = true, "", Some((true, "dev docs lint-all", ""))),
            (|to, words| to.extras = words, "Plots", Some((true, "lint-all", "plots"))),
            (|to, _| to.all_extras = true, "", Some((true, "lint-all", "plots web"))),
            (|to, words| to.with = words, "none", None),
            (|to, words| to.extras = words, "none", None),
        ] {
            let selection = with(LockTool::Uv, |to| change(to, list(words)));
            let found = Taken::of_uv(&selection, &project, &groups, &extras).ok();
            let expected = expected.map(|(main, groups, extras)| Taken {
                main,
                groups: set(groups),
                extras: set(extras),
            });
            assert_eq!(found, expected, "{selection:?}");
        }
        let none = Taken::of_uv(&LockSelection::of(LockTool::Uv), &Table::new(), &groups, &extras).unwrap();
        assert_eq!(none.groups, set("dev"));
    }

    #[test]
    fn poetry_takes_all_groups_that_are_not_optional() {
        let text = "[tool.poetry.group.dev.dependencies]\na='*'\n[tool.poetry.group.docs]\noptional=true\n\
                    [dependency-groups]\nlint=['b']\n[project.optional-dependencies]\nplots=['c']";
        let project: Table = text.parse().unwrap();
        let list = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        type Change = fn(&mut LockSelection, Vec<String>);
        for (change, words, expected) in [
            ((|_, _| ()) as Change, "", Some("main dev lint")),
            (|to, words| to.only = words, "main", Some("main")),
            (|to, words| to.without = words, "dev", Some("main lint")),
            (|to, words| to.with = words, "docs", Some("main dev lint docs")),
            (|to, _| to.no_default_groups = true, "", Some("main")),
            (|to, _| to.all_groups = true, "", Some("main dev lint docs")),
            (|to, words| to.only = words, "none", None),
        ] {
            let selection = with(LockTool::Poetry, |to| change(to, list(words)));
            let found = Taken::of_poetry(&selection, &project).ok();
            assert_eq!(found.map(|found| found.groups), expected.map(set), "{selection:?}");
        }
        let all = with(LockTool::Poetry, |to| to.all_extras = true);
        assert_eq!(Taken::of_poetry(&all, &project).unwrap().extras, set("plots"));
    }
}
