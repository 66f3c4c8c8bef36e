//! The layers of operations: what is in them, their keys, and stages that have them.

use super::Project;
use super::snapshot;
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::layers;
use crate::support::lbuild::{Lbuild, function, image_of};
use crate::support::registry::{Mode, Registry};
use std::path::Path;

/// The names in the archive of the last layer.
fn last_layer(out: &Path) -> Vec<String> {
    let blobs = layers::blobs(out, "1", "amd64");
    layers::members(blobs.last().unwrap()).into_iter().map(|member| member.path).collect()
}

#[test]
fn a_layer_has_only_what_changed() {
    let project = Project::new();
    for (line, expected) in [
        ("chmod 600 a.txt", "var var/task var/task/a.txt"),
        ("rm a.txt", "var var/task var/task/.wh.a.txt"),
        ("rm -r tree", "var var/task var/task/.wh.tree"),
        (
            "rm -r tree && mkdir tree && echo new > tree/b.txt",
            "var var/task var/task/tree var/task/tree/.wh..wh..opq var/task/tree/b.txt",
        ),
        ("rmdir empty && mkdir -m 700 empty", "var var/task var/task/empty"),
        // Another name of a file of the base: all its names, or a reader would separate them.
        ("ln one three", "var var/task var/task/one var/task/three var/task/two"),
        ("chmod 600 two", "var var/task var/task/one var/task/two"),
        ("rm one", "var var/task var/task/.wh.one"),
        ("mv tree/sub .", "var var/task var/task/sub var/task/sub/c.txt var/task/tree var/task/tree/.wh.sub"),
        ("chmod 700 /tmp && touch tree/a.txt", "tmp"),
    ] {
        let out = project.built(&format!("FROM base\nRUN {line}\n"));
        assert_eq!(last_layer(&out).join(" "), expected, "{line}");
    }
}

#[test]
fn a_line_that_changes_nothing_has_no_layer() {
    let project = Project::new();
    for line in
        ["ls && echo done", "touch a.txt && chmod 644 a.txt", "mv a.txt x && mv x a.txt", "echo a > a.txt"]
    {
        let out = project.built(&format!("FROM base\nRUN {line}\n"));
        let (_, config) = image_of(&out, "1", "amd64");
        assert_eq!(layers::blobs(&out, "1", "amd64").len(), 2, "rule 158: {line}");
        let last = config["history"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["empty_layer"], true, "{line}");
        assert_eq!(last["created_by"], format!("RUN {line}"));
    }
}

const CASE_29: &str = "\
FROM base
COPY <<A bootstrap
boot
A
COPY <<S /tmp/in/start.sh
start
S
RUN mv bootstrap /tmp/in/ && mkdir /var/runtime
RUN mkdir -p -m 0750 /opt/extensions/a && mkdir -p \"$LAMBDA_TASK_ROOT/out\"
RUN mv /tmp/in/bootstrap /var/runtime/bootstrap && chmod +x /var/runtime/bootstrap
RUN cp -r tree/* out/ && cp -a tree copy && rm -rf tree/sub /tmp/in/none*
RUN ln -s /tmp/cache cache && ln -sf ../out/a.txt copy/link && ln /tmp/in/start.sh hard
RUN chmod -R 755 copy && chmod u=rw,go=r out/a.txt
RUN echo \"v=1\" > ver && echo $LAMBDA_TASK_ROOT >> ver && touch empty-file
RUN printf '#!/bin/sh\\nexec true\\n' > run.sh && chmod 0755 run.sh
RUN rm -r tree && mkdir tree && echo new > tree/b.txt
RUN ls && echo done
";

#[test]
fn lines_build_on_each_other() {
    let project = Project::new();
    let dockerfile = CASE_29.replacen("FROM base\n", "FROM base\nENV LAMBDA_TASK_ROOT=/var/task\n", 1);
    let out = project.built(&dockerfile);
    let files = snapshot::of_image(&out);
    for (path, line) in [
        ("opt/extensions", "0755 0:0 directory"),
        ("opt/extensions/a", "0750 0:0 directory"),
        ("var/runtime/bootstrap", "0755 0:0 \"boot\\n\""),
        ("tmp/in/start.sh", "0644 0:0 \"start\\n\" = tmp/in/start.sh var/task/hard"),
        ("var/task/out/a.txt", "0644 0:0 \"tree a\\n\""),
        ("var/task/out/sub/c.txt", "0644 0:0 \"c\\n\""),
        ("var/task/copy/a.txt", "0755 0:0 \"tree a\\n\""),
        ("var/task/copy/link", "0:0 -> ../out/a.txt"),
        ("var/task/cache", "0:0 -> /tmp/cache"),
        ("var/task/ver", "0644 0:0 \"v=1\\n/var/task\\n\""),
        ("var/task/empty-file", "0644 0:0 \"\""),
        ("var/task/run.sh", "0755 0:0 \"#!/bin/sh\\nexec true\\n\""),
        ("var/task/tree/b.txt", "0644 0:0 \"new\\n\""),
        ("tmp", "1777 0:0 directory"),
    ] {
        assert_eq!(files.get(path).map(String::as_str), Some(line), "{path}");
    }
    for path in ["var/task/tree/a.txt", "var/task/tree/sub", "tmp/in/bootstrap"] {
        assert!(!files.contains_key(path), "{path}");
    }
    let digest = |more: &[&str]| {
        let (_, done) = project.run(&dockerfile, more);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.digest()
    };
    let first = digest(&[]);
    assert_eq!(digest(&["--no-cache"]), first);
}

#[test]
fn links_that_a_line_makes_are_followed_by_what_comes_after() {
    let project = Project::new();
    let out = project.built(
        "FROM base\nWORKDIR /srv/work\nRUN ln -s /tmp cache && rm -r /srv/work && ln -s /opt /srv/work && touch /srv/x\nCOPY <<A /srv/work/new\na\nA\n",
    );
    let files = snapshot::of_image(&out);
    assert_eq!(files["opt/new"], "0644 0:0 \"a\\n\"");
    assert_eq!(files["srv/work"], "0:0 -> /opt");
}

#[test]
fn a_stage_with_operations_is_a_source() {
    let project = Project::new();
    let dockerfile = "FROM base AS made\nARG V=1\nRUN mkdir -p /out && echo $V > /out/v && ln /out/v /out/w\nFROM base\nCOPY --from=made /out /got\n";
    let files = snapshot::of_image(&project.built(dockerfile));
    assert_eq!(files["got/v"], "0644 0:0 \"1\\n\" = got/v got/w");
    let (out, _) = project.run(dockerfile, &["--build-arg", "V=2"]);
    assert_eq!(snapshot::of_image(&out)["got/w"], "0644 0:0 \"2\\n\" = got/v got/w");
}

/// A push from a machine with an empty cache finds the layers of operations, and reads none, not even the base's.
#[test]
fn an_unchanged_line_reads_no_layer() {
    let registry = Registry::start(Mode::Plain);
    let seeding = Lbuild::new();
    let tar =
        Tar::new().directory("var/").directory("var/task/").file("var/task/large", 0o644, vec![7; 100_000]);
    image(&seeding.path("base"), &[Layer::gzip(tar)], |config, _| {
        config["config"] = serde_json::json!({ "WorkingDir": "/var/task" });
    });
    let from = format!("oci:{}:{TAG}", seeding.path("base").display());
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let dockerfile = "FROM base AS made\nRUN mkdir /made && cp large /made/\nFROM base\nRUN chmod 600 large && ls\nRUN true\nCOPY --from=made /made /made\nRUN rm -r /made\n";
    let context = function(&[("Dockerfile", dockerfile.as_bytes().to_vec())]);
    let push = || {
        let (lbuild, mark) = (Lbuild::new(), registry.mark());
        let base = format!("base=docker-image://{}/base:1", registry.host());
        let to = format!("{}/function:1", registry.host());
        let path = context.path().to_str().unwrap();
        let arguments =
            ["push", path, "--arch", "amd64", "--build-context", &base, "--to", &to, "--no-check"];
        (lbuild.ok(&arguments).digest(), registry.log_since(mark))
    };
    let (first, _) = push();
    let (again, log) = push();
    assert_eq!(again, first);
    let blobs = log.iter().filter(|entry| entry.method == "GET" && entry.path.contains("/blobs/")).count();
    assert!(blobs <= 2, "only the configs: {log:?}");
    assert!(log.iter().all(|entry| ["GET", "HEAD"].contains(&entry.method.as_str())), "{log:?}");
}
