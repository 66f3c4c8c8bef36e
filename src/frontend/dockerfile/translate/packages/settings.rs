//! Settings of tools that lines of a stage make and that later lines depend on.

use std::collections::BTreeMap;

/// What the translated lines of a stage, and of the stages that it starts from, have set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolSettings {
    /// The settings of Poetry by `poetry config`; `None` if no line has installed Poetry, so that they are not known.
    poetry: Option<BTreeMap<(String, String), String>>,
}

impl ToolSettings {
    /// After an install of these packages.
    pub fn installed(&mut self, packages: &[String]) {
        let is_poetry = |package: &String| super::requirement::name(package) == "poetry";
        if self.poetry.is_none() && packages.iter().any(is_poetry) {
            self.poetry = Some(BTreeMap::new());
        }
    }

    /// After `poetry config` of a key such as `virtualenvs.create`.
    pub fn set_poetry(&mut self, section: &str, name: &str, value: &str) {
        let settings = self.poetry.get_or_insert_default();
        settings.insert((section.to_owned(), name.to_owned()), value.to_owned());
    }

    /// Whether the settings of Poetry are known.
    pub fn knows_poetry(&self) -> bool {
        self.poetry.is_some()
    }

    /// A setting of Poetry that is a switch, if a line sets it.
    pub fn poetry(&self, section: &str, name: &str) -> Option<bool> {
        let value = self.poetry.as_ref()?.get(&(section.to_owned(), name.to_owned()))?;
        Some(value == "true")
    }

    /// Poetry's file of settings.
    pub fn poetry_file(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for ((section, name), value) in self.poetry.iter().flatten() {
            if last != Some(section) {
                let gap = if last.is_some() { "\n" } else { "" };
                text += &format!("{gap}[{section}]\n");
                last = Some(section);
            }
            text += &format!("{name} = {value}\n");
        }
        text
    }
}
