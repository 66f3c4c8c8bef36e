//! Commands of a package, for the interpreter of the image.

/// A command that a package declares.
///
/// <https://packaging.python.org/en/latest/specifications/entry-points/>
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: String,
    module: String,
    /// The function, or a method such as `App.main`.
    object: String,
}

/// The console and GUI commands of an `entry_points.txt`.
pub(super) fn commands(text: &str) -> Result<Vec<Command>, String> {
    let mut found = Vec::new();
    let mut wanted = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            wanted = matches!(section.trim(), "console_scripts" | "gui_scripts");
            continue;
        }
        if wanted {
            let command = command(line).ok_or_else(|| format!("`{line}` is not an entry point"))?;
            found.push(command);
        }
    }
    Ok(found)
}

fn command(line: &str) -> Option<Command> {
    let (name, target) = line.split_once('=')?;
    // `[extra]` at the end only names dependencies of the command.
    let target = target.split('[').next()?.trim();
    let (module, object) = target.split_once(':')?;
    let (name, module, object) = (name.trim(), module.trim(), object.trim());
    let identifier = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let dotted = |text: &str| text.split('.').all(identifier);
    // The name becomes a file name, and the rest becomes code.
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    (plain && dotted(module) && dotted(object)).then(|| Command {
        name: name.to_owned(),
        module: module.to_owned(),
        object: object.to_owned(),
    })
}

impl Command {
    /// The script that installers write for the command.
    pub(super) fn text(&self, interpreter: &str) -> String {
        let Command { module, object, .. } = self;
        let import = object.split('.').next().unwrap_or(object);
        format!(
            r#"#!{interpreter}
# -*- coding: utf-8 -*-
import sys
from {module} import {import}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({object}())
"#
        )
    }
}

/// The script with the interpreter as its first line, if that line begins with the placeholder `#!python`; `None` for
/// any other file.
pub(super) fn for_interpreter(script: &[u8], interpreter: &str) -> Option<Vec<u8>> {
    script.strip_prefix(b"#!python")?;
    let end = script.iter().position(|&byte| byte == b'\n').map_or(script.len(), |end| end + 1);
    Some([format!("#!{interpreter}\n").as_bytes(), &script[end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_two_sections() {
        let text = "# x\n[console_scripts]\nrun = a.b:main\nr3.12=a:C.main [fast]\n\n[other]\nx = no\n[gui_scripts]\ng=a:g";
        let names: Vec<_> = commands(text).unwrap().into_iter().map(|command| command.name).collect();
        assert_eq!(names, ["run", "r3.12", "g"]);
        let text = commands(text).unwrap()[1].text("/var/lang/bin/python3.12");
        assert!(
            text.starts_with("#!/var/lang/bin/python3.12\n") && text.contains("from a import C\n"),
            "{text}"
        );
        assert!(text.ends_with("    sys.exit(C.main())\n"), "{text}");
    }

    #[test]
    fn a_hostile_entry_point_is_refused() {
        for line in
            ["../x = a:b", "x/y = a:b", "x = a", "x = a:b();import os", "x = a b:c", "= a:b", ".. = a:b"]
        {
            assert!(commands(&format!("[console_scripts]\n{line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn the_first_line_of_a_script_names_the_interpreter() {
        let text = |script: &str| {
            for_interpreter(script.as_bytes(), "/var/lang/bin/python3.12")
                .map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(text("#!python\nx").as_deref(), Some("#!/var/lang/bin/python3.12\nx"));
        assert_eq!(text("#!pythonw -u\r\nx").as_deref(), Some("#!/var/lang/bin/python3.12\nx"));
        assert_eq!(text("#!python").as_deref(), Some("#!/var/lang/bin/python3.12\n"));
        assert_eq!(text("#!/bin/sh\n"), None);
    }
}
