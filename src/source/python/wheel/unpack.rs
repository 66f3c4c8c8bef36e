//! The files of a wheel as an installer unpacks them.
//!
//! Files keep the compression that they have in the wheel. Only the files that an installer generates are new: scripts,
//! and the metadata that `importlib.metadata` reads.
//! <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#installing-a-wheel-distribution-1-0-py32-none-any-whl>

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::recipe::Wheel;
use crate::source::zip::{self, Archive, READ_LIMIT, ZipKind, ZipMember};
use crate::tree::{Content, Entry, FileTree};

use super::name::{is_source, normalized};
use super::record::Record;
use super::scheme::{Area, Scheme};
use super::scripts;

/// Upper bound on the size of a script that is rewritten, in bytes; a larger file is a program, and is not changed.
const SCRIPT_LIMIT: u64 = 1 << 20;

/// Upper bound on the bytes of an `entry_points.txt`: a few bytes of it become a script of several hundred bytes.
const ENTRY_POINTS_LIMIT: u64 = 256 << 10;

/// A wheel's files, and the number of files that were left out.
#[derive(Debug)]
pub(in crate::source::python) struct Unpacked {
    pub(in crate::source::python) tree: FileTree,
    /// The number of dropped files, which a function never reads, and their bytes.
    pub(in crate::source::python) dropped: (u64, u64),
}

/// The destination of a wheel's member.
#[derive(Debug, PartialEq, Eq)]
enum Destination<'n> {
    /// A file at this path of an area.
    File(Area, &'n str),
    /// The `.data` directory itself.
    Nothing,
    /// The record, which is rewritten.
    Record,
    /// Metadata that the installer replaces.
    Installers,
}

struct Unpacking<'a> {
    wheel: &'a Wheel,
    /// `NAME-VERSION`, the prefix of the wheel's own directories.
    stem: String,
    scheme: &'a Scheme,
    slim: bool,
    record: Record,
    tree: FileTree,
    dropped: (u64, u64),
}

/// The files of `wheel` from its open archive, where the scheme puts them.
pub(in crate::source::python) fn unpack(
    wheel: &Wheel,
    archive: &Archive,
    scheme: &Scheme,
    slim: bool,
) -> Result<Unpacked> {
    let stem = stem(wheel, archive)?;
    let text = |name: &str| metadata(wheel, archive, &format!("{stem}.dist-info/{name}"), READ_LIMIT);
    check_metadata(wheel, &text("WHEEL")?.unwrap_or_default(), &text("METADATA")?.unwrap_or_default())?;
    let members: HashSet<&str> = archive.members.iter().map(|member| member.name.as_str()).collect();
    let record = text("RECORD")?.and_then(|text| Record::parse(&text, |path| members.contains(path)));
    let record = record.ok_or_else(|| broken(wheel, "its RECORD is missing, or cannot be read"))?;
    let entry_points = format!("{stem}.dist-info/entry_points.txt");
    let entry_points = metadata(wheel, archive, &entry_points, ENTRY_POINTS_LIMIT)?.unwrap_or_default();
    let (tree, dropped) = (FileTree::new(), (0, 0));
    let mut unpacking = Unpacking { wheel, stem, scheme, slim, record, tree, dropped };
    unpacking.run(archive, &entry_points)?;
    Ok(Unpacked { tree: unpacking.tree, dropped: unpacking.dropped })
}

impl Unpacking<'_> {
    fn run(&mut self, archive: &Archive, entry_points: &str) -> Result<()> {
        // Later files replace earlier ones, in the order of installers: the package, its commands, its data.
        let data = format!("{}.data/", self.stem);
        let (data, root): (Vec<&ZipMember>, Vec<&ZipMember>) =
            archive.members.iter().partition(|member| member.name.starts_with(&data));
        root.into_iter().try_for_each(|member| self.member(member))?;
        let commands = scripts::commands(entry_points).map_err(|fault| broken(self.wheel, &fault))?;
        for command in commands {
            let path = self.scheme.path(Area::Scripts, &self.wheel.name, &command.name);
            self.made(&path, command.text(&self.scheme.interpreter).into_bytes(), true)?;
        }
        data.into_iter().try_for_each(|member| self.member(member))?;
        self.metadata()
    }

    fn member(&mut self, member: &ZipMember) -> Result<()> {
        // Wheels have no links: pip and uv write a file with the link's target as its content, and all execute bits of a
        // link are set.
        let place = place(&self.stem, &member.name).map_err(|fault| broken(self.wheel, &fault))?;
        let is_file = member.kind != ZipKind::Directory;
        let hash_and_size = if is_file { self.record.remove(&member.name) } else { None };
        let Destination::File(area, name) = place else { return Ok(()) };
        let path = self.scheme.path(area, &self.wheel.name, name);
        if !is_file {
            if area != Area::Scripts && !(path.is_empty() || self.slim && is_dead_weight(&format!("{path}/")))
            {
                self.tree.insert(path, Entry::directory())?;
            }
            return Ok(());
        }
        if self.slim && is_dead_weight(&path) {
            self.dropped.0 += 1;
            self.dropped.1 += member.content.size;
            return Ok(());
        }
        if let Some(text) = self.rewritten(area, name, member)? {
            return self.made(&path, text, area == Area::Scripts);
        }
        if let Some(hash_and_size) = hash_and_size {
            self.record.moved(&self.scheme.recorded(&path), hash_and_size);
        }
        let executable = member.executable || area == Area::Scripts;
        self.tree.insert(path, Entry::file(Content::Zip(member.content.clone()), executable)).map(drop)
    }

    /// The content of a file that is not installed as it is in the wheel.
    fn rewritten(&self, area: Area, name: &str, member: &ZipMember) -> Result<Option<Vec<u8>>> {
        // The build tool records its version in this file; no program reads it.
        if is_source(&self.wheel.file) && name == format!("{}.dist-info/WHEEL", self.stem) {
            let text = String::from_utf8_lossy(&zip::read(&member.content)?).into_owned();
            let line = |line: &str| match line.starts_with("Generator:") {
                true => "Generator: lbuild\n".to_owned(),
                false => format!("{line}\n"),
            };
            return Ok(Some(text.lines().map(line).collect::<String>().into_bytes()));
        }
        match area == Area::Scripts && member.content.size <= SCRIPT_LIMIT {
            true => Ok(scripts::for_interpreter(&zip::read(&member.content)?, &self.scheme.interpreter)),
            false => Ok(None),
        }
    }

    fn made(&mut self, path: &str, content: Vec<u8>, executable: bool) -> Result<()> {
        self.record.made(&self.scheme.recorded(path), &content);
        self.tree.insert(path, Entry::file(Content::Bytes(content.into()), executable)).map(drop)
    }

    /// Adds the metadata of the installation: installer, reason, and origin.
    fn metadata(&mut self) -> Result<()> {
        let dir = self.scheme.path(Area::Packages, &self.wheel.name, &format!("{}.dist-info", self.stem));
        if let Some(installer) = self.scheme.installer {
            self.made(&format!("{dir}/INSTALLER"), installer.as_bytes().to_vec(), false)?;
            if self.wheel.requested {
                self.made(&format!("{dir}/REQUESTED"), Vec::new(), false)?;
            }
            if let Some(url) = recorded_url(self.wheel) {
                let url = serde_json::Value::from(url);
                let text = format!("{{\"url\":{url},\"archive_info\":{{}}}}");
                self.made(&format!("{dir}/direct_url.json"), text.into_bytes(), false)?;
            }
        }
        let path = format!("{dir}/RECORD");
        self.record.unhashed(&self.scheme.recorded(&path));
        let text = self.record.text().into_bytes();
        self.tree.insert(path, Entry::file(Content::Bytes(text.into()), false)).map(drop)
    }
}

/// The URL in the package's metadata. A path of the build machine is left out, because the layer would differ from
/// machine to machine.
pub(in crate::source::python) fn recorded_url(wheel: &Wheel) -> Option<&str> {
    (wheel.direct && !wheel.url.starts_with("file:")).then_some(wheel.url.as_str())
}

/// The destination of a member. `.data` holds files for directories other than the package's own:
/// <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#the-data-directory>
fn place<'n>(stem: &str, name: &'n str) -> std::result::Result<Destination<'n>, String> {
    if let Some(name) = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix(".dist-info/")) {
        match name {
            "RECORD" => return Ok(Destination::Record),
            "INSTALLER" | "REQUESTED" | "direct_url.json" => return Ok(Destination::Installers),
            _ => {}
        }
    }
    let Some(data) = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix(".data")) else {
        return Ok(Destination::File(Area::Packages, name));
    };
    let Some(data) = data.strip_prefix('/') else {
        // The `.data` directory itself, or a package with a longer name.
        return Ok(if data.is_empty() {
            Destination::Nothing
        } else {
            Destination::File(Area::Packages, name)
        });
    };
    let (scheme, path) = data.split_once('/').unwrap_or((data, ""));
    match scheme {
        "purelib" | "platlib" => Ok(Destination::File(Area::Packages, path)),
        "data" => Ok(Destination::File(Area::Data, path)),
        "scripts" => Ok(Destination::File(Area::Scripts, path)),
        "headers" => Ok(Destination::File(Area::Headers, path)),
        _ => Err(format!("{name} is in an unknown .data directory")),
    }
}

/// Whether a function never reads the file.
fn is_dead_weight(path: &str) -> bool {
    let dirs = path.rsplit_once('/').map_or("", |(dirs, _)| dirs);
    let skipped = dirs.split('/').any(|dir| matches!(dir, "tests" | "__pycache__"));
    skipped || path.ends_with(".pyi") || path.ends_with(".a")
}

/// The prefix of the wheel's own directories.
fn stem(wheel: &Wheel, archive: &Archive) -> Result<String> {
    let mut stems = archive.members.iter().filter_map(|member| {
        let (dir, file) = member.name.split_once('/')?;
        (file == "WHEEL").then_some(dir.strip_suffix(".dist-info")?)
    });
    let (Some(stem), None) = (stems.next(), stems.next()) else {
        return Err(broken(wheel, "it does not have exactly one .dist-info directory"));
    };
    let name = stem.rsplit_once('-').map_or(stem, |(name, _)| name);
    match normalized(name) == wheel.name {
        true => Ok(stem.to_owned()),
        false => Err(broken(wheel, &format!("it holds {stem}"))),
    }
}

fn metadata(wheel: &Wheel, archive: &Archive, name: &str, limit: u64) -> Result<Option<String>> {
    let Some(member) = archive.members.iter().find(|member| member.name == name) else { return Ok(None) };
    if member.content.size > limit {
        return Err(broken(wheel, &format!("{name} is larger than {limit} bytes")));
    }
    let bytes = zip::read(&member.content)?;
    // Old tools wrote authors in Latin-1, and installers read only the name and the version from this file.
    if name.ends_with("/METADATA") {
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| broken(wheel, &format!("{name} is not in UTF-8")))
}

fn check_metadata(wheel: &Wheel, about: &str, metadata: &str) -> Result<()> {
    let version = header(about, "Wheel-Version").unwrap_or_default();
    // Only a greater major version is incompatible, and the first tools wrote 0.1.
    let major = version.split_once('.').and_then(|(major, _)| major.parse::<u32>().ok());
    if major.is_none_or(|major| major > 1) {
        return Err(broken(wheel, &format!("its format is {version:?}, and lbuild knows 1")));
    }
    match header(metadata, "Name") {
        Some(name) if normalized(name) == wheel.name => Ok(()),
        name => Err(broken(wheel, &format!("its metadata name the package {}", name.unwrap_or("nothing")))),
    }
}

/// The value of a header; the body after the first empty line is not searched.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
}

fn broken(wheel: &Wheel, fault: &str) -> Error {
    Error::Wheel { file: wheel.file.clone(), fault: fault.to_owned() }
}

#[cfg(test)]
mod tests;
