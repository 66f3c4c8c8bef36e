//! Files of lines with fields, such as `/etc/passwd`.
//!
//! <https://man7.org/linux/man-pages/man5/passwd.5.html>, <https://man7.org/linux/man-pages/man5/group.5.html>

use crate::operations::files::{Data, Filesystem, Last, ROOT};

/// The reason why an account cannot be added.
pub(super) type Fault = String;

/// The lines of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub lines: Vec<String>,
}

impl Filesystem {
    /// The text of a file of the image; `None` if there is no such file. It is empty while its content is not known.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let ino = self.find(ROOT, path.as_bytes(), Last::Follow).ok()?;
        let data = self.content(ino)?.clone();
        Some(String::from_utf8_lossy(&self.bytes(&data)).into_owned())
    }

    pub(super) fn database(&mut self, path: &str) -> Database {
        let text = self.text(path).unwrap_or_default();
        Database { lines: text.lines().map(str::to_owned).collect() }
    }
}

impl Database {
    /// The fields of the line of a name.
    pub fn of(&self, name: &str) -> Option<Vec<&str>> {
        self.entries().find(|fields| fields.first() == Some(&name))
    }

    /// The fields of the line with this number as its third field.
    pub fn with_number(&self, number: u64) -> Option<Vec<&str>> {
        self.entries().find(|fields| field(fields, 2) == Some(number))
    }

    pub fn entries(&self) -> impl Iterator<Item = Vec<&str>> {
        self.lines.iter().map(|line| line.split(':').collect())
    }
}

/// A field that is a number.
pub(super) fn field(fields: &[&str], number: usize) -> Option<u64> {
    number_of(fields.get(number)?)
}

/// The number of a user or group.
pub(super) fn number_of(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u32>().ok().filter(|_| is_number).map(u64::from)
}

impl Filesystem {
    /// Whether a regular file is there.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.find(ROOT, path.as_bytes(), Last::Follow).is_ok_and(|ino| self.content(ino).is_some())
    }

    /// Writes a file with these lines. Mode and owner stay; a missing file is not made.
    pub(super) fn put_lines(&mut self, path: &str, database: &Database) {
        if let Ok(ino) = self.find(ROOT, path.as_bytes(), Last::Follow)
            && self.content(ino).is_some()
        {
            let text: String = database.lines.iter().map(|line| format!("{line}\n")).collect();
            self.fill(ino, Data::text(text.into_bytes()));
        }
    }

    /// Adds a line to a file, if there is such a file.
    pub(super) fn add_line(&mut self, path: &str, line: String) {
        if self.has_file(path) {
            let mut database = self.database(path);
            database.lines.push(line);
            self.put_lines(path, &database);
        }
    }

    /// Adds a user to the list that is the fourth field of a group's line.
    pub(super) fn add_to_group(&mut self, path: &str, group: &str, user: &str) {
        let mut database = self.database(path);
        for line in &mut database.lines {
            let fields: Vec<&str> = line.split(':').collect();
            let users = fields.get(3).copied().unwrap_or_default();
            if fields.first() != Some(&group) || users.split(',').any(|known| known == user) {
                continue;
            }
            let comma = if users.is_empty() { "" } else { "," };
            line.push_str(&format!("{comma}{user}"));
        }
        self.put_lines(path, &database);
    }
}
