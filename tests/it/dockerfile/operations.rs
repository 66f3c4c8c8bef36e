//! `RUN` lines that need no process, compared with what the real commands leave in the same root directory: those of
//! coreutils and findutils with dash, and those of busybox.

mod accounts;
mod grammar;
mod layers;
mod random;
mod real;
mod snapshot;

use self::real::{Programs, Root, Tools};
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A base of two layers, and the builds on it.
pub struct Project {
    pub lbuild: Lbuild,
    builds: AtomicUsize,
}

/// The members of the base: hard links, links of all kinds, directories with set-group-id and sticky bits.
fn members(tar: Tar) -> Tar {
    tar.directory("etc/")
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\nstaff:x:50:\napp:x:1001:\n")
        .member("tmp/", tar::EntryType::Directory, 0o1777, b"", "")
        .directory("opt/")
        .directory("srv/")
        .directory("srv/real/")
        .file("srv/real/f", 0o640, "in real\n")
        .member("srv/shared/", tar::EntryType::Directory, 0o2775, b"", "")
        .directory("var/")
        .directory("var/task/")
        .file("var/task/a.txt", 0o644, "a\n")
        .file("var/task/b.txt", 0o600, "b\n")
        .file("var/task/run.sh", 0o755, "#!/bin/sh\nexec true\n")
        .file("var/task/set", 0o4755, "set\n")
        .file("var/task/.hidden", 0o644, "")
        .directory("var/task/tree/")
        .file("var/task/tree/a.txt", 0o644, "tree a\n")
        .directory("var/task/tree/sub/")
        .file("var/task/tree/sub/c.txt", 0o664, "c\n")
        .symlink("var/task/tree/link", "sub/c.txt")
        .directory("var/task/empty/")
        .symlink("var/task/dir-link", "/srv/real")
        .symlink("var/task/file-link", "a.txt")
        .symlink("var/task/dangling", "none/x")
        .file("var/task/one", 0o644, "hard\n")
        .member("var/task/two", tar::EntryType::Link, 0o644, b"", "var/task/one")
}

/// The instruction of a line: an array, so that no rule of Dockerfiles applies to the text.
fn run_of(line: &str) -> String {
    format!("RUN {}\n", serde_json::json!(["/bin/sh", "-c", line]))
}

/// The files of the base, without its layers.
fn files() -> Tar {
    members(Tar::new()).file("var/task/upper", 0o644, "upper\n")
}

impl Project {
    pub fn new() -> Project {
        Project::of(|tar| tar)
    }

    /// With more files.
    pub fn of(more: fn(Tar) -> Tar) -> Project {
        let project = Project { lbuild: Lbuild::new(), builds: AtomicUsize::new(0) };
        let lower = || Layer::gzip(more(members(Tar::new())));
        let upper = || {
            let tar = Tar::new().directory("var/").directory("var/task/");
            Layer::gzip(tar.file("var/task/upper", 0o644, "upper\n"))
        };
        let busybox = Tar::new().directory("bin/").file("bin/busybox", 0o755, "program");
        let busybox = Layer::gzip(busybox.symlink("bin/cp", "busybox"));
        project.base("base", &[lower(), upper()]);
        project.base("busybox", &[lower(), upper(), busybox]);
        project
    }

    pub fn base(&self, name: &str, layers: &[Layer]) {
        image(&self.lbuild.path(name), layers, |config, _| {
            config["config"] = serde_json::json!({ "WorkingDir": "/var/task", "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] });
        });
    }

    /// Builds a Dockerfile; `FROM base` is the base of this name.
    pub fn run(&self, dockerfile: &str, more: &[&str]) -> (PathBuf, RunOutput) {
        let number = self.builds.fetch_add(1, Ordering::Relaxed);
        let out = self.lbuild.path(&format!("out{number}"));
        let to = format!("oci:{}:1", out.display());
        let done = self.read(
            "build",
            dockerfile,
            &[&["--to", &to, "--no-check", "--run-mode", "none"], more].concat(),
        );
        (out, done)
    }

    /// Runs a command on a Dockerfile.
    pub fn read(&self, command: &str, dockerfile: &str, more: &[&str]) -> RunOutput {
        let context = function(&[("Dockerfile", dockerfile)]);
        let path = context.path().to_str().unwrap();
        let bases =
            ["base", "busybox"].map(|base| format!("{base}=oci:{}:{TAG}", self.lbuild.path(base).display()));
        let contexts = ["--build-context", &bases[0], "--build-context", &bases[1]];
        self.lbuild.run(&[&[command, path, "--arch", "amd64"], &contexts[..], more].concat())
    }

    #[track_caller]
    pub fn built(&self, dockerfile: &str) -> PathBuf {
        let (out, done) = self.run(dockerfile, &[]);
        assert_eq!(done.code, Some(0), "{dockerfile}\n{}", done.stderr);
        out
    }
}

/// Lines that succeed. `!` in front: only with coreutils, because busybox differs.
const LINES: &[&str] = &[
    "mkdir new && mkdir new/a new/b",
    "mkdir -p deep/er/x ./deep/../other",
    "mkdir -p -m 0750 /opt/extensions/a && mkdir -m 1777 t",
    "!mkdir -m u=rwx,go= private",
    "mkdir /srv/shared/x && touch /srv/shared/x/y",
    "mkdir -p dir-link/below && touch dir-link/below/f",
    "rmdir empty && mkdir -p p/q/r && rmdir -p p/q/r",
    "rm a.txt b.txt",
    "rm -f none /none/* a.txt none/x",
    "rm -r tree && mkdir tree && echo new > tree/b.txt",
    "rm -rf tree/sub /tmp/in/none*",
    "rm -rf * && touch left",
    "rm dir-link dangling",
    "rm one",
    "rm -r tree && mkdir tree",
    "cp a.txt copy.txt && cp b.txt copy2.txt && cp set copied",
    "cp a.txt b.txt run.sh /opt/",
    "cp -r tree copy && cp -r tree copy",
    "cp -r tree/. empty",
    "cp -a tree copy && ln -sf ../a.txt copy/link && chmod -R 755 copy",
    "cp -r tree/* /opt && cp file-link followed && cp -d file-link kept",
    "cp -L dir-link/f here && cp -rL tree dereferenced",
    "cp -p set kept && cp -p b.txt tree/",
    "cp -a one two copies 2>/dev/null || true",
    "mkdir copies && cp -a one two copies/",
    "mkdir copies && cp one two copies/",
    "cp run.sh b.txt && cp run.sh one",
    "cp b.txt file-link && cp b.txt dir-link",
    "cp -n a.txt b.txt; cp -f a.txt run.sh",
    "cp -rT tree empty && cp -t /opt a.txt b.txt",
    "cp -r srv-none x; true",
    "mkdir x && cp -r /srv/real x && cp -r /srv/shared x/",
    "cp .hidden shown && cp -r . /opt/all",
    "mv a.txt renamed && mv b.txt /opt/",
    "mv a.txt b.txt tree",
    "mv tree empty && mv empty/tree/sub .",
    "mv run.sh b.txt",
    "mv tree forest && mv forest/a.txt tree",
    "mv file-link moved && mv dir-link /opt/",
    "mv one three && mv set tree/a.txt",
    "mv -n a.txt b.txt; mv -f a.txt two",
    "mkdir m && mv tree/sub m/ && rmdir m/none; mv m tree/",
    "mv /srv/real /srv/other && mkdir /srv/real",
    "ln -s /tmp/cache cache && ln -s upper tree/",
    "ln -sf b.txt file-link && ln -sfn /opt dir-link",
    "ln -sf a.txt dir-link",
    "ln a.txt hard && ln upper tree/upper",
    "ln one three && chmod 600 three",
    "ln -f a.txt b.txt && echo more >> b.txt",
    "ln -s ../x /opt/y && ln file-link linked",
    "chmod +x a.txt && chmod u=rw,go=r run.sh && chmod 4711 b.txt",
    "chmod -R go-rwx tree && chmod a+rX tree/sub",
    "chmod -R u=rwX,go=rX . && chmod g+w,o= tree",
    "chmod 600 file-link && chmod 700 dir-link",
    "chmod 755 /srv/shared && chmod 00755 tree",
    "chmod 600 two && chmod 1777 empty",
    "chown app a.txt && chown app:staff b.txt && chown :50 run.sh",
    "chown -R 7:8 tree && chown 1000 set",
    "chown -h app file-link && chown app: one",
    "chown -R app:app /var/task",
    "chgrp -R staff tree && chown 3 file-link",
    "touch new a.txt tree/b && touch -c none",
    "touch dir-link/new",
    "echo \"v=1\" > ver && echo x >> ver && echo -n y >> ver",
    "printf '#!/bin/sh\\nexec true\\n' > run.sh && chmod 0755 run.sh",
    "cat a.txt b.txt upper > all && cat tree/a.txt >> all && cat all >> a.txt",
    "cat tree/*.txt > joined && echo end >> file-link",
    "echo through > two && echo x > set",
    "echo x > dir-link/f && echo gone > /dev/null",
    "cat a.txt > a.txt",
    "!find . -name '*.txt' -delete && find tree -type d -empty -delete",
    "find tree -type f -exec chmod 640 {} + && find . -maxdepth 1 -type d -name 't*' -exec chmod 711 {} +",
    "!find . -name '.*' -type f -exec rm -f {} + && find /srv -path '*real*' -type f -delete",
    "!find tree ! -name '*.txt' -type l -delete",
    "ls && ls -la tree && cat a.txt && cd tree && touch in-tree && cd .. && touch out",
    "cd /srv && rm -r real; cd /opt && echo x > y",
    "rm none; touch after",
    "mkdir a.txt; mkdir -p tree/a.txt/x; touch after",
    "cp tree x; mv none x; ln -s b.txt a.txt; touch after",
    "mkdir empty/x && mv tree/sub/c.txt empty/x && rm -r empty",
    "mv tree t2 && cp -r t2 tree && rm -r t2",
    "cp b.txt /tmp/b && mv /tmp/b b.txt",
    "chmod 644 a.txt && touch a.txt && echo a > a.txt",
    "rm -rf /var/task && mkdir /var/task && echo x > /var/task/x",
    // As in public Dockerfiles.
    "chmod -R 755 *.txt && find . -name \"*.sh\" -exec chmod 744 {} \\;",
    "find tree -type f -exec rm {} \\; && find . -type l -exec chmod 700 {} \\; && touch after",
    "!find . -type d -name 'su*' -exec rm -rf {} + && find . -mindepth 1 -maxdepth 1 -empty -delete",
    "find . \\( -name '*.txt' -o -name '*.sh' \\) -type f -exec chmod 600 {} +",
    "mkdir -p /asset/python && cp -r tree/* /asset/python/ && cd /asset && rm -rf python/sub",
    "!install -d -m 750 made also/made && install -d /opt/extensions",
    "printf '%s=%s\\n' a 1 b 'two words' > pairs && printf 'no newline' >> a.txt && printf '%%\\t\\101\\n' > tab",
    "printf \"#!/bin/sh\\nexec \\\"\\$@\\\"\\n\" > entry && chmod +x entry",
    "echo -n > none && > nothing && : > hollow && true > void && echo >> a.txt",
    "echo 'a  b' \"c\" d\\ e > words && echo # comment > f",
    "D=/opt/d && mkdir -p $D/e && echo \"$D\" > ${D}/f && cp -r $D \"${NONE:-copy}\"",
    "export A=1 B=two; echo $A-$B > both; mkdir \"$A $B\"",
    "set -e; mkdir s; cd s; touch in-s; cd ..; touch out",
    "set -eux && rm -rf *.txt [r-s]* ?ne && touch left",
    "rm -rf [!a-t]* && cp tree/*.t[xy]t /opt/ && ls -la /opt > /dev/null 2>&1",
    "rm -rf .[!.]* ./d* && mv ./t* /opt",
    "cp -r dir-link/. /opt && cp -rP dir-link kept && cp -rH dir-link followed",
    "mv tree/* empty/ && rmdir tree && mv empty tree",
    "!ln -s /opt/lib /opt/lib64 && ln -sf /opt/none /opt/lib && ln -st /opt a.txt b.txt",
    "cat <a.txt >b.txt; cat a.txt >b.txt",
    "touch 'a b' \"c d\" e\\ f && rm 'a b' && mv \"c d\" c && chmod 600 e*",
    "mkdir a.txt 2>/dev/null; mkdir -p x/y 2>&1 && echo ok >&2",
    "# a comment\nmkdir commented # && rm a.txt\n\n  # another\ntouch end",
    "chown -R app:app tree && chmod -R u+rwX,g-w,o-rwx tree && chgrp 50 a.txt",
];

#[test]
fn operations_leave_what_the_real_commands_leave() {
    let (project, tools) = (Project::new(), Tools::new());
    let mut faults = String::new();
    let mut compared = 0;
    let root = |programs| Root::new(&tools, programs, files());
    let roots = [Programs::Dash, Programs::Busybox].map(|programs| (programs, root(programs)));
    for line in LINES {
        let (line, of_busybox) = match line.strip_prefix('!') {
            Some(line) => (line, false),
            None => (*line, true),
        };
        if line.contains("ch") && line.contains("own") && !tools.is_root() {
            continue;
        }
        for (programs, root) in roots.iter().filter(|(programs, _)| of_busybox || *programs == Programs::Dash)
        {
            let base = programs.base();
            let (out, done) = project.run(&format!("FROM {base}\n{}", run_of(line)), &[]);
            if done.stderr.contains("needs a process") {
                continue;
            }
            root.reset();
            let (code, stderr) = root.run(line);
            if done.code != Some(0) || code != 0 {
                faults += &format!("{line} ({base}): {code} {stderr}\nours: {}\n", done.stderr);
                continue;
            }
            compared += 1;
            let difference = snapshot::difference(&snapshot::of_image(&out), &root.snapshot());
            if !difference.is_empty() {
                faults += &format!("{line} ({base}):\n{difference}");
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(compared >= 160, "{compared} lines are compared");
}

/// Lines that fail, with what coreutils report.
#[test]
fn a_failing_command_is_reported_as_by_the_real_one() {
    let (project, tools) = (Project::new(), Tools::new());
    let mut faults = String::new();
    let root = Root::new(&tools, Programs::Dash, files());
    for line in [
        "rm none",
        "rm tree",
        "rm -r .",
        "rmdir tree",
        "mkdir a.txt",
        "mkdir none/x",
        "mkdir -p a.txt/x",
        "cp none x",
        "cp tree x",
        "cp a.txt none/",
        "cp a.txt b.txt run.sh",
        "cp a.txt a.txt",
        "cp a.txt dangling",
        "cp -r tree a.txt",
        "cp -r tree tree/sub",
        "mv none x",
        "mv tree a.txt",
        "mv tree tree/sub",
        "mv a.txt none/x",
        "mkdir -p empty/tree/z && mv tree empty",
        "ln -s a.txt b.txt",
        "ln tree x",
        "ln none x",
        "chmod 644 none",
        "chmod 644 dangling",
        "chown nobody a.txt",
        "chown :none a.txt",
        "touch none/x",
        "cat none > x",
        "find none -delete",
        "find . -name tree -delete",
    ] {
        let (_, done) = project.run(&format!("FROM base\nRUN {line}\n"), &[]);
        if done.stderr.contains("needs a process") {
            continue;
        }
        root.reset();
        let (code, stderr) = root.run(line);
        let first = stderr.lines().next().unwrap_or_default().replace("./", "");
        if done.code == Some(0) || code == 0 || !done.stderr.replace("./", "").contains(&first) {
            faults += &format!("{line}: {code} {stderr}instead: {}\n", done.stderr);
        }
        if !done.stderr.contains("Dockerfile:2:") {
            faults += &format!("{line}: no line: {}\n", done.stderr);
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
