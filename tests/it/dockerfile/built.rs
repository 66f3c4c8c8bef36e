//! Rules that hold for the built image: what the ignore file hides, modes, archives, downloads, keys of layers.

use crate::support::http::{Response, Server};
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tree::{self, ImageTree};
use crate::support::lbuild::{Lbuild, RunOutput, image_of};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

struct Project {
    lbuild: Lbuild,
    /// The arguments that map the base.
    base: String,
    builds: std::cell::Cell<usize>,
}

impl Project {
    fn new() -> Project {
        let lbuild = Lbuild::new();
        let tar = Tar::new()
            .directory("etc/")
            .file("etc/passwd", 0o644, "app:x:1000:1001::/:/bin/sh\n")
            .directory("var/")
            .directory("var/task/");
        image(&lbuild.path("base"), &[Layer::gzip(tar)], |config, manifest| {
            config["config"] = json!({ "WorkingDir": "/var/task", "Labels": { "of": "base" } });
            manifest["annotations"] = json!({ "of": "the manifest" });
        });
        let base = format!("base=oci:{}:{TAG}", lbuild.path("base").display());
        Project { lbuild, base, builds: std::cell::Cell::new(0) }
    }

    fn context(&self) -> PathBuf {
        self.lbuild.path("context")
    }

    /// Replaces the context by these files; a name that ends in a slash is a directory.
    fn files(&self, files: &[(&str, &str)]) {
        let context = self.context();
        let _ = fs::remove_dir_all(&context);
        fs::create_dir(&context).unwrap();
        for (name, content) in files {
            let path = context.join(name);
            if name.ends_with('/') {
                fs::create_dir_all(&path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
        }
    }

    fn run(&self, dockerfile: &Path, more: &[&str]) -> (PathBuf, RunOutput) {
        self.builds.set(self.builds.get() + 1);
        let out = self.lbuild.path(&format!("out{}", self.builds.get()));
        let (path, file) = (self.context().display().to_string(), dockerfile.display().to_string());
        let to = format!("oci:{}:1", out.display());
        let mut arguments =
            vec!["build", &path, "-f", &file, "--arch", "amd64", "--build-context", &self.base];
        arguments.extend(["--to", &to, "--no-check"]);
        arguments.extend(more);
        (out, self.lbuild.run(&arguments))
    }

    fn dockerfile(&self, text: &str) -> PathBuf {
        let file = self.lbuild.path("Dockerfile");
        fs::write(&file, text).unwrap();
        file
    }

    /// The tree of what this Dockerfile builds.
    #[track_caller]
    fn tree(&self, text: &str) -> ImageTree {
        let (out, done) = self.run(&self.dockerfile(text), &[]);
        assert_eq!(done.code, Some(0), "{text}{}", done.stderr);
        image_tree::of(&out, "1", "amd64")
    }

    #[track_caller]
    fn error(&self, text: &str) -> String {
        let (_, done) = self.run(&self.dockerfile(text), &[]);
        assert_ne!(done.code, Some(0), "{text}");
        done.stderr
    }
}

/// The names of files below `/x`.
fn names(tree: &ImageTree) -> String {
    let files = tree.iter().filter(|(_, line)| !line.ends_with("directory"));
    let names: Vec<&str> = files.filter_map(|(path, _)| path.strip_prefix("x/")).collect();
    names.join(" ")
}

#[test]
fn the_ignore_file_hides_files_from_every_source() {
    let project = Project::new();
    for (rule, ignored, source, expected) in [
        (95, "a.txt", ".", "b.txt d/a.txt d/e/c.md"),
        (95, "d", "*", "a.txt b.txt"),
        (121, "d\n!d/e", ".", "a.txt b.txt d/e/c.md"),
        (121, "!a.txt\n*.txt", ".", "d/a.txt d/e/c.md"),
        (122, "**/a.txt", ".", "b.txt d/e/c.md"),
        (122, "/d/", ".", "a.txt b.txt"),
        (122, "./d/../a.txt", ".", "b.txt d/a.txt d/e/c.md"),
        (122, "*/*/*.md", ".", "a.txt b.txt d/a.txt"),
        (123, "# a.txt\n  b.txt  \n! b.txt", ".", "a.txt b.txt d/a.txt d/e/c.md"),
        (123, "\u{feff}a.txt", ".", "b.txt d/a.txt d/e/c.md"),
        (125, "*\n!a.txt\n!d/**", ".", "a.txt d/a.txt d/e/c.md"),
        (125, "**\n!**/*.md", ".", "d/e/c.md"),
        (126, "e/c.md", "d", "a.txt e/c.md"),
    ] {
        project.files(&[("a.txt", ""), ("b.txt", ""), ("d/a.txt", ""), ("d/e/c.md", "")]);
        fs::write(project.context().join(".dockerignore"), format!("{ignored}\n.dockerignore\n")).unwrap();
        let tree = project.tree(&format!("FROM base\nCOPY {source} /x/\n"));
        assert_eq!(names(&tree), expected, "rule {rule}: {ignored:?}");
    }
    let error = project.error("FROM base\nCOPY --from=base /none /x/\n");
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn ignored_files_do_not_exist() {
    let project = Project::new();
    project.files(&[("a", ""), (".dockerignore", "a\n")]);
    let error = project.error("FROM base\nCOPY a /x/\n");
    assert!(error.contains("is left out by") && error.contains("hint: add `!a`"), "rule 95: {error}");
    project.files(&[("a", ""), (".dockerignore", "!\n")]);
    let error = project.error("FROM base\nCOPY a /x/\n");
    assert!(error.contains(".dockerignore:1: "), "rule 123: {error}");
    // Another directory has its own file, and the one of the Dockerfile wins as a whole.
    project.files(&[
        ("Dockerfile", "FROM base\nCOPY . /x/\n"),
        ("a", ""),
        ("b", ""),
        (".dockerignore", "a\n"),
    ]);
    fs::write(project.context().join("Dockerfile.dockerignore"), "b\nDockerfile*\n.dockerignore\n").unwrap();
    let (out, done) = project.run(&project.context().join("Dockerfile"), &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(names(&image_tree::of(&out, "1", "amd64")), "a", "rules 120, 124");
    let other = format!("other={}", project.context().display());
    let file = project.dockerfile("FROM base\nCOPY --from=other . /x/\n");
    let (out, _) = project.run(&file, &["--build-context", &other]);
    let shown = names(&image_tree::of(&out, "1", "amd64"));
    assert_eq!(shown, ".dockerignore Dockerfile Dockerfile.dockerignore b", "rule 95");
}

#[test]
fn files_of_the_context_get_usual_modes() {
    let project = Project::new();
    project.files(&[("plain", ""), ("secret", ""), ("set", ""), ("d/x", "")]);
    for (name, mode) in [("plain", 0o664), ("secret", 0o600), ("set", 0o4755), ("d", 0o700)] {
        fs::set_permissions(project.context().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let text = "FROM base\nCOPY . /x/\nCOPY secret /y/\n";
    let (out, done) = project.run(&project.dockerfile(text), &[]);
    let tree = image_tree::of(&out, "1", "amd64");
    for (path, mode) in [("x/plain", "0644"), ("x/secret", "0644"), ("x/set", "0755"), ("x/d", "0755")] {
        assert!(tree[path].starts_with(mode), "rule 97: {path} {}", tree[path]);
    }
    assert_eq!(done.stderr.matches("files get the mode").count(), 1, "rule 97: {}", done.stderr);
    project.files(&[("d/x", "")]);
    let _socket = UnixListener::bind(project.context().join("d/s")).unwrap();
    let error = project.error("FROM base\nCOPY . /x/\n");
    assert!(error.contains("is a socket"), "rule 99: {error}");
}

#[test]
fn several_files_need_a_directory() {
    let project = Project::new();
    project.files(&[("a.txt", "a"), ("b.txt", "b"), ("d/c", "")]);
    for text in ["COPY a.txt b.txt /new", "COPY *.txt /new", "COPY a.txt d /etc/passwd"] {
        let error = project.error(&format!("FROM base\n{text}\n"));
        assert!(
            error.contains("several files are copied to") && error.contains("hint: write"),
            "rule 79: {error}"
        );
    }
    let tree = project.tree("FROM base\nCOPY *.txt /etc\nCOPY a.txt b.txt .\n");
    assert!(tree.contains_key("etc/b.txt") && tree.contains_key("var/task/b.txt"), "rule 79");
}

#[test]
fn archives_are_unpacked_by_add_only() {
    let project = Project::new();
    let tar = |name: &str| Tar::new().file(name, 0o640, "in").bytes();
    for text in [
        "FROM base\nADD *.tar /x/\n",
        "FROM base\nADD --unpack=false *.tar /x/\n",
        "FROM base\nCOPY l /x/\n",
        "FROM base\nADD l /x/\n",
    ] {
        project.files(&[]);
        fs::write(project.context().join("1.tar"), tar("one")).unwrap();
        fs::write(project.context().join("2.tar"), tar("two")).unwrap();
        symlink("1.tar", project.context().join("l")).unwrap();
        let expected = match text {
            "FROM base\nADD *.tar /x/\n" => "one two",
            "FROM base\nADD l /x/\n" => "one",
            "FROM base\nCOPY l /x/\n" => "l",
            _ => "1.tar 2.tar",
        };
        assert_eq!(names(&project.tree(text)), expected, "rules 117, 118: {text}");
    }
    project.files(&[]);
    fs::write(project.context().join("cut.tar"), &tar("one")[..513]).unwrap();
    let error = project.error("FROM base\nADD cut.tar /x/\n");
    assert!(error.contains("cut.tar is damaged") && error.contains("hint: copy it"), "rule 114: {error}");
    let deleted = Tar::new().file("d/.wh.x", 0o644, "").bytes();
    fs::write(project.context().join("wh.tar"), deleted).unwrap();
    let error = project.error("FROM base\nADD wh.tar /x/\n");
    assert!(error.contains("the mark of a deleted file"), "rule 101: {error}");
}

#[test]
fn downloads_are_checked() {
    let project = Project::new();
    project.files(&[]);
    let server = Server::start("127.0.0.1", |request| match &*request.target {
        "/a/file.txt?q" | "/" => Response { status: 200, body: b"content".to_vec() },
        _ => Response { status: 404, body: Vec::new() },
    });
    let url = |path: &str| format!("http://{}{path}", server.address);
    let tree = project.tree(&format!(
        "FROM base\nADD {} /x/\nADD {} /y\n",
        url("/a/file.txt?q"),
        url("/a/file.txt?q")
    ));
    assert_eq!(tree["x/file.txt"], "0600 0:0 \"content\"", "rules 111, 112");
    assert_eq!(tree["y"], "0600 0:0 \"content\"", "rule 112");
    let error = project.error(&format!("FROM base\nADD {} /x/\n", url("/none")));
    assert!(error.contains("Dockerfile:2:5: ") && error.contains("404"), "rule 113: {error}");
    assert!(error.contains("hint: check the URL"), "rule 113: {error}");
    let right = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    let add = |sum: &str| format!("FROM base\nADD --checksum=sha256:{sum} {} /x/\n", url("/a/file.txt?q"));
    assert_eq!(names(&project.tree(&add(right))), "file.txt", "rule 110");
    let error = project.error(&add(&"0".repeat(64)));
    assert!(error.contains(right), "rule 110: {error}");
}

#[test]
fn a_layer_is_made_again_if_what_it_takes_changes() {
    let project = Project::new();
    let digest = |dockerfile: &str, more: &[&str]| {
        let (_, done) = project.run(&project.dockerfile(dockerfile), more);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.digest()
    };
    project.files(&[("a", "1")]);
    let text = "FROM base\nARG V=1\nCOPY a /x/\nCOPY <<E /h\nvalue=$V\nE\n";
    let first = digest(text, &[]);
    fs::write(project.context().join("a"), "1").unwrap();
    assert_eq!(digest(text, &[]), first, "rule 102: times do not count");
    assert_eq!(digest(text, &["--no-cache"]), first);
    assert_ne!(digest(text, &["--build-arg", "V=2"]), first, "rules 27, 55");
    assert_eq!(
        digest(
            "FROM base\nARG V=1\nARG UNUSED\nCOPY a /x/\nCOPY <<E /h\nvalue=$V\nE\n",
            &["--build-arg", "UNUSED=3"]
        ),
        first,
        "rule 55: no COPY uses it"
    );
    fs::set_permissions(project.context().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(digest(text, &[]), first, "the mode counts");
}

#[test]
fn arguments_and_annotations_do_not_reach_the_image() {
    let project = Project::new();
    project.files(&[("a", "1")]);
    let file = project.dockerfile("FROM base\nARG TOKEN\nENV N=1\nCOPY a /x/$N\nCMD [\"x\"]\n");
    let (out, done) = project.run(&file, &["--build-arg", "TOKEN=hunter2"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let (manifest, config) = image_of(&out, "1", "amd64");
    assert!(!config.to_string().contains("hunter2"), "rule 59: {config}");
    assert_eq!(manifest.get("annotations"), None, "rule 146");
    assert_eq!(config["config"]["Labels"]["of"], "base", "rule 146");
    assert_eq!(config["config"].get("ArgsEscaped"), None, "rule 145: left out on purpose");
    let history = config["history"].to_string();
    assert!(history.contains("COPY a /x/$N"), "{history}");
}

/// A base whose directories are not as Lambda's: `/var/task` is a link, `/opt` is everybody's, `/etc` has a file.
fn unusual(project: &Project) -> String {
    let tar = Tar::new()
        .directory("etc/")
        .directory("srv/")
        .directory("srv/task/")
        .directory("var/")
        .symlink("var/task", "/srv/task")
        .member("opt/", tar::EntryType::Directory, 0o1777, b"", "")
        .directory("app/");
    image(&project.lbuild.path("unusual"), &[Layer::gzip(tar)], |_, _| ());
    format!("unusual=oci:{}:{TAG}", project.lbuild.path("unusual").display())
}

#[test]
fn what_the_image_has_decides_where_files_go() {
    let project = Project::new();
    project.files(&[("a.txt", "a"), ("app", "program"), ("lk/sub/x", "x"), ("f/sub", "file")]);
    symlink("/srv", project.context().join("lk/out")).unwrap();
    let unusual = unusual(&project);
    for (rule, text, path, line) in [
        (84, "COPY a.txt /var/task/", "srv/task/a.txt", "0644 0:0"),
        (84, "COPY a.txt /var/task/", "var/task", "0:0 -> /srv/task"),
        (82, "COPY a.txt /opt/", "opt", "1777 0:0"),
        (75, "COPY app /app", "app/app", "0644 0:0"),
        (107, "COPY --link --chmod=644 a.txt /etc/a.conf", "etc", "0755 0:0"),
        (84, "COPY lk /z/\nCOPY a.txt /z/out/", "srv/a.txt", "0644 0:0"),
        (107, "COPY --link a.txt /var/task/", "var/task", "0755 0:0 directory"),
    ] {
        let file = project.dockerfile(&format!("FROM unusual\n{text}\n"));
        let (out, done) = project.run(&file, &["--build-context", &unusual]);
        assert_eq!(done.code, Some(0), "{text}: {}", done.stderr);
        let tree = image_tree::of(&out, "1", "amd64");
        let found = tree.get(path).map(String::as_str).unwrap_or_default();
        assert!(found.starts_with(line), "rule {rule}: {text}: {path} is {found:?}");
    }
    let error = project.error("FROM base\nCOPY lk /var/task\nCOPY f /var/task\n");
    assert!(error.contains("is a directory in the image"), "rule 85: {error}");
}

#[test]
fn layers_of_one_image_are_not_used_in_another() {
    let project = Project::new();
    project.files(&[("a.txt", "a")]);
    let unusual = unusual(&project);
    let texts = [
        "WORKDIR /var/task",
        "COPY --chown=5:6 a.txt /var/task/",
        "COPY --chown=7:6 --chmod=700 a.txt /opt/z/",
    ];
    for text in texts {
        for from in ["base", "scratch", "unusual"] {
            let file = project.dockerfile(&format!("FROM {from}\n{text}\n"));
            let [cached, made] = [&[][..], &["--no-cache"]].map(|more| {
                let (_, done) = project.run(&file, &[&["--build-context", &unusual], more].concat());
                assert_eq!(done.code, Some(0), "{text} on {from}: {}", done.stderr);
                done.digest()
            });
            assert_eq!(cached, made, "{text} on {from}");
        }
    }
}

#[test]
fn entries_of_archives_are_never_dropped() {
    let project = Project::new();
    let outside = Tar::new().file("../up", 0o644, "");
    let missing = Tar::new().member("h", tar::EntryType::Link, 0o644, b"", "nothing");
    for (tar, said) in [(outside, "is outside the directory"), (missing, "is a hard link to a file")] {
        project.files(&[]);
        fs::write(project.context().join("x.tar"), tar.bytes()).unwrap();
        let error = project.error("FROM base\nADD x.tar /x/\n");
        assert!(error.contains(said), "rule 116: {error}");
    }
    project.files(&[]);
    fs::write(project.context().join("x.tar"), Tar::new().file("d/f", 0o640, "").bytes()).unwrap();
    let tree = project.tree("FROM base\nADD --chmod=600 x.tar /x/\n");
    assert!(tree["x"].starts_with("0755") && tree["x/d/f"].starts_with("0640"), "rule 115: {tree:?}");
}
