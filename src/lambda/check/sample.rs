//! Minimal images for the tests of the rules.

use serde_json::{Value, json};

use super::case::{Asked, Case, Member, Scan, Subject};
use super::facts::Fact;
use super::finding::Finding;
use super::rule::Rule;
use crate::error::Error;
use crate::image::{Arch, Compression, Config, DOCKER_MANIFEST, Descriptor, Digest, Manifest};
use crate::scan::{Code, Elf, LayerFault, Recognized, ScannedFile, Scans};
use crate::tree::{Device, Entry, EntryKind, ImagePath, Machine, whiteout};

const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An image that a test composes.
#[derive(Clone)]
pub(super) struct Sample {
    pub config: Value,
    pub manifest: Value,
    pub scans: Vec<Option<Scan>>,
    pub asked: Asked,
    pub config_size: u64,
}

impl Sample {
    /// An image for amd64 with a number of empty layers.
    pub fn empty(layers: usize) -> Sample {
        let scan = |number: usize| Scan {
            from_tree: false,
            diff_id: Digest::of(format!("tar {number}").as_bytes()),
            uncompressed: 1024,
            stored: 100,
            compression: Compression::Gzip,
            members: Vec::new(),
        };
        let scans: Vec<_> = (0..layers).map(|number| Some(scan(number))).collect();
        let diff_ids: Vec<_> = scans.iter().flatten().map(|scan| scan.diff_id).collect();
        let descriptors: Vec<_> = (0..layers)
            .map(|number| json!({ "mediaType": LAYER, "size": 100, "digest": Digest::of(&[number as u8]) }))
            .collect();
        Sample {
            config: json!({
                "architecture": "amd64", "os": "linux", "config": {},
                "rootfs": { "type": "layers", "diff_ids": diff_ids },
                "history": diff_ids.iter().map(|_| json!({ "created_by": "test" })).collect::<Vec<_>>(),
            }),
            manifest: json!({
                "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "layers": descriptors,
                "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": Digest::of(b"c") },
            }),
            scans,
            asked: Asked { arch: Some(Arch::Amd64), today: "2026-11-21".to_owned(), ..Asked::default() },
            config_size: 2,
        }
    }

    /// The relevant files of AWS's Python base, and a layer with a function: an image without findings.
    pub fn python() -> Sample {
        let mut sample = Sample::empty(2)
            .directories(0, "usr/lib64")
            .directories(0, "var/runtime/awslambdaric")
            .directories(0, "var/lang/bin")
            .directories(0, "bin")
            .file(0, "lambda-entrypoint.sh", 0o755)
            .script(0, "lambda-entrypoint.sh", "/bin/sh")
            .elf(0, "bin/sh", |_| ())
            .elf(0, "var/lang/bin/python3.12", |_| ())
            .elf(0, "usr/lib64/libc.so.6", |elf| elf.is_glibc = Some((2, 34)))
            .elf(0, "usr/lib64/ld-linux-x86-64.so.2", |_| ())
            .link(0, "lib64", "usr/lib64")
            .file(0, "var/runtime/bootstrap", 0o755)
            .script(0, "var/runtime/bootstrap", "/bin/sh")
            .file(0, "var/runtime/awslambdaric/__init__.py", 0o644)
            .directories(1, "var/task")
            .file(1, "var/task/app.py", 0o644)
            .facts(1, "var/task/app.py", [Fact::defines(["handler"])]);
        sample.config["config"] = json!({
            "Entrypoint": ["/lambda-entrypoint.sh"], "Cmd": ["app.handler"], "WorkingDir": "/var/task",
            "Env": ["PATH=/var/lang/bin:/usr/bin:/bin", "LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"],
            "Labels": { "org.opencontainers.image.base.name": "public.ecr.aws/lambda/python:3.12" },
        });
        sample
    }

    fn push(mut self, layer: usize, path: &str, kind: EntryKind<ScannedFile<Fact>>, mode: u32) -> Sample {
        let (kind, path) = whiteout::deletion(path.as_bytes()).unwrap_or((kind, path.into()));
        let member = Member { path: ImagePath::new(&path), entry: Entry::new(kind, mode), mtime: 0 };
        self.scan(layer).members.push(member);
        self
    }

    fn scan(&mut self, layer: usize) -> &mut Scan {
        self.scans[layer].as_mut().expect("a known layer")
    }

    /// Changes the last member with this path.
    pub fn with(mut self, layer: usize, path: &str, change: impl FnOnce(&mut Member)) -> Sample {
        let members = &mut self.scan(layer).members;
        change(members.iter_mut().rev().find(|member| member.path == path).expect("an existing member"));
        self
    }

    pub fn file(self, layer: usize, path: &str, mode: u32) -> Sample {
        let file = ScannedFile::new(10, Some(Digest::of(path.as_bytes())));
        self.push(layer, path, EntryKind::File(file), mode)
    }

    pub fn directory(self, layer: usize, path: &str) -> Sample {
        self.push(layer, path, EntryKind::Directory, 0o755)
    }

    /// Adds a directory and its missing parents.
    pub fn directories(self, layer: usize, path: &str) -> Sample {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.fold(self, |mut sample, end| {
            let there = sample.scan(layer).members.iter().any(|member| member.path == path[..end]);
            if there { sample } else { sample.directory(layer, &path[..end]) }
        })
    }

    pub fn link(self, layer: usize, path: &str, target: &str) -> Sample {
        self.push(layer, path, EntryKind::Symlink(target.into()), 0o777)
    }

    pub fn special(self, layer: usize, path: &str) -> Sample {
        self.push(layer, path, EntryKind::Device(Device::Fifo), 0o644)
    }

    /// Changes the last file with this path.
    fn with_file(self, layer: usize, path: &str, change: impl FnOnce(&mut ScannedFile<Fact>)) -> Sample {
        self.with(layer, path, |member| match &mut member.entry.kind {
            EntryKind::File(file) => change(file),
            other => panic!("{other:?} is not a file"),
        })
    }

    fn recognized(self, layer: usize, path: &str, change: impl FnOnce(&mut Recognized<Fact>)) -> Sample {
        self.with_file(layer, path, |file| {
            let mut recognized =
                file.recognized().cloned().unwrap_or(Recognized { code: None, facts: Vec::new() });
            change(&mut recognized);
            *file = ScannedFile::of(file.size, file.sha256(), Some(recognized));
        })
    }

    /// Adds an ELF file for amd64, as modified by `change`.
    pub fn elf(self, layer: usize, path: &str, change: impl FnOnce(&mut Elf)) -> Sample {
        let elf = Elf { machine: Machine::of_arch(Arch::Amd64), ..Elf::default() };
        self.file(layer, path, 0o755)
            .recognized(layer, path, |recognized| recognized.code = Some(Code::Elf(elf)))
            .with_elf(layer, path, change)
    }

    /// Changes the machine code of a file.
    pub fn with_elf(self, layer: usize, path: &str, change: impl FnOnce(&mut Elf)) -> Sample {
        self.recognized(layer, path, |recognized| match &mut recognized.code {
            Some(Code::Elf(elf)) => change(elf),
            other => panic!("{other:?} is not machine code"),
        })
    }

    /// Sets the content of a file, and its size.
    pub fn holding(self, layer: usize, path: &str, content: &str, size: u64) -> Sample {
        let sha256 = Some(Digest::of(content.as_bytes()));
        self.with_file(layer, path, |file| *file = ScannedFile::of(size, sha256, file.recognized().cloned()))
    }

    /// Sets the size of a file.
    pub fn sized(self, layer: usize, path: &str, size: u64) -> Sample {
        self.with_file(layer, path, |file| file.size = size)
    }

    /// Makes a file a script with this interpreter line.
    pub fn script(self, layer: usize, path: &str, interpreter: &str) -> Sample {
        let script = Code::Script(interpreter.to_owned());
        self.recognized(layer, path, |recognized| recognized.code = Some(script))
    }

    /// Sets the facts about a file.
    pub fn facts(self, layer: usize, path: &str, facts: impl IntoIterator<Item = Fact>) -> Sample {
        self.recognized(layer, path, |recognized| recognized.facts = facts.into_iter().collect())
    }

    /// Sets a field of the config's `config` object, such as `Cmd`.
    pub fn process(mut self, field: &str, value: Value) -> Sample {
        self.config["config"][field] = value;
        self
    }

    /// Makes a layer unknown.
    pub fn unknown(mut self, layer: usize) -> Sample {
        self.scans[layer] = None;
        self
    }

    /// The findings of a rule.
    pub fn check(&self, rule: &'static Rule) -> Vec<Finding> {
        self.with_case(|case| rule.findings(case))
    }

    /// Whether a finding of a rule depends on unknown layers.
    pub fn is_in_doubt(&self, rule: &'static Rule) -> bool {
        self.with_case(|case| {
            rule.findings(case);
            case.is_in_doubt()
        })
    }

    /// The findings of a rule if this layer has a fault.
    pub fn check_with_fault(&self, layer: usize, error: Error, rule: &'static Rule) -> Vec<Finding> {
        let mut layers = self.scans.clone();
        layers[layer] = None;
        let faults = vec![LayerFault { layer, error }];
        self.with_case_of(&Scans { layers, faults }, |case| rule.findings(case))
    }

    /// Passes the image as the rules see it to `look`.
    pub fn with_case<T>(&self, look: impl FnOnce(&Case<'_>) -> T) -> T {
        self.with_case_of(&Scans { layers: self.scans.clone(), faults: Vec::new() }, look)
    }

    fn with_case_of<T>(&self, scans: &Scans<Fact>, look: impl FnOnce(&Case<'_>) -> T) -> T {
        let manifest = Manifest::stored(String::new(), self.manifest.to_string().into_bytes());
        let layers: Vec<Descriptor> = self.manifest["layers"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|layer| Descriptor {
                media_type: layer["mediaType"].as_str().expect("a string").to_owned(),
                size: layer["size"].as_u64().expect("a number"),
                digest: layer["digest"].as_str().expect("a string").parse().expect("a digest"),
            })
            .collect();
        let config = Config::parse("sample", self.config.to_string().as_bytes()).expect("a config");
        let (manifest, layers, config, asked) = (&manifest, &layers[..], &config, &self.asked);
        let config_size = self.config_size;
        look(&Case::of(&Subject { manifest, layers, config, config_size, scans, asked }))
    }

    /// The messages of a rule's findings, with the paths.
    pub fn says(&self, rule: &'static Rule) -> Vec<String> {
        let text = |finding: Finding| match finding.path {
            Some(path) => format!("{path}: {}", finding.message),
            None => finding.message,
        };
        self.check(rule).into_iter().map(text).collect()
    }
}
