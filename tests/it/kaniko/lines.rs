//! Command lines of the kinds that public pipelines have.

use super::rig::Project;
use crate::support::bases;
use crate::support::debian::ARCHITECTURE;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::registry::Mode;
use std::fs;

/// Lines for `executor`, each with the arguments of `lbuild build` that give the same image. The image has the name
/// `HOST/a:1`.
const PUSHED: [(&str, &str); 27] = [
    ("--context=workspace --dockerfile=workspace/Dockerfile --destination=HOST/a:1", ""),
    ("-c workspace -f Dockerfile -d HOST/a:1", ""),
    (
        "--context dir://DIR/workspace --dockerfile DIR/workspace/Dockerfile --destination HOST/a:1 --destination HOST/b:2",
        "",
    ),
    ("--context workspace --destination HOST/a:1 --cache=true", ""),
    ("--context workspace --destination HOST/a:1 --cache=true --cache-ttl=24h --cache-repo=HOST/a", ""),
    ("--context workspace --destination HOST/a:1 --insecure --skip-tls-verify", ""),
    (
        "--context workspace --destination HOST/a:1 --insecure-registry=HOST --skip-tls-verify-registry=HOST",
        "",
    ),
    ("--context workspace --destination HOST/a:1 --insecure-pull --skip-tls-verify-pull", ""),
    ("--context workspace --destination HOST/a:1 --build-arg RELEASE=7", "--build-arg RELEASE=7"),
    ("RELEASE=8 --context workspace --destination HOST/a:1 --build-arg RELEASE", "--build-arg RELEASE"),
    ("--context workspace --destination HOST/a:1 --verbosity debug --log-format=text --log-timestamp", ""),
    ("--context workspace --destination HOST/a:1 -v error --log-format json", ""),
    ("--context workspace --destination HOST/a:1 --single-snapshot --use-new-run --snapshotMode=redo", ""),
    ("--context workspace --destination HOST/a:1 --reproducible --cleanup --force --push-retry 3", ""),
    ("--context workspace --destination HOST/a:1 --ignore-path=/opt/x --compressed-caching=false", ""),
    ("--context workspace --destination HOST/a:1 --target first", "--target first"),
    ("--context workspace --destination HOST/a:1 --label a=b --label c=d", "--label a=b --label c=d"),
    ("--context workspace --destination HOST/a:1 --custom-platform=linux/arm64", "--platform linux/arm64"),
    ("--context workspace --destination HOST/a:1 --customPlatform linux/amd64", "--platform linux/amd64"),
    ("--context workspace --destination HOST/a:1 --secret id=s,src=DIR/context.tar", ""),
    ("--context workspace --destination HOST/a:1 --image-format=oci", "--format oci"),
    ("--context tar://DIR/context.tar.gz --destination HOST/a:1", ""),
    ("--context tar://context.tar --destination HOST/a:1 --skip-push-permission-check", ""),
    ("--context workspace --context-sub-path service --destination HOST/a:1", "workspace/service"),
    (
        "--context workspace -f hub.Dockerfile -d HOST/a:1 --registry-mirror HOST",
        "-f workspace/hub.Dockerfile",
    ),
    (
        "--context workspace -f hub.Dockerfile -d HOST/a:1 --registry-map=index.docker.io=HOST",
        "-f workspace/hub.Dockerfile",
    ),
    (
        "KANIKO_REGISTRY_MIRROR=HOST KANIKO_NO_PUSH=false --context workspace -f hub.Dockerfile -d HOST/a:1",
        "-f workspace/hub.Dockerfile",
    ),
];

/// The arguments of `lbuild build`, completed.
fn completed(same: &str) -> String {
    let path = if same.starts_with("workspace") { "" } else { "workspace" };
    let platform = if same.contains("--platform") { String::new() } else { format!("--arch {ARCHITECTURE}") };
    let file = match (same.contains("-f "), path) {
        (true, _) => "",
        (false, "") => "-f workspace/service/Dockerfile",
        (false, _) => "-f workspace/Dockerfile",
    };
    format!("{path} {same} {platform} {file}")
}

#[test]
fn a_line_gives_the_image_of_lbuild_build() {
    let project = Project::start(Mode::Plain);
    for (number, (line, same)) in PUSHED.into_iter().enumerate() {
        let expected = project.built(&completed(same));
        let line = line.replace("HOST/a:1", &format!("HOST/a{number}:1"));
        let done = project.executor(&format!("{line} --digest-file=out/{number}"));
        assert_eq!((done.code, &*done.stdout), (Some(0), ""), "{line}: {}", done.stderr);
        assert_eq!(project.read(&format!("out/{number}")), expected, "{line}: {}", done.stderr);
        assert_eq!(project.registry.manifest(&format!("a{number}"), "1").0, expected, "{line}");
        let is_quiet = line.contains("-v error");
        assert_eq!(done.stderr.is_empty(), is_quiet, "{line}: {}", done.stderr);
    }
    assert_eq!(project.registry.manifest("b", "2").0, project.read("out/2"));
}

#[test]
fn a_call_by_the_name_of_the_program_is_the_same() {
    let project = Project::start(Mode::Plain);
    let line = "kaniko -c workspace -d HOST/a:1 --digest-file digest";
    project.user.ok(&project.words(line));
    assert_eq!(project.read("digest"), project.built(&completed("")));
    assert!(project.user.ok(&["kaniko", "--help"]).stdout.contains("--single-snapshot"));
    assert!(project.executor("version").succeeded().stdout.starts_with("Kaniko version : "));
}

#[test]
fn an_archive_is_read_from_standard_input() {
    let project = Project::start(Mode::Plain);
    let expected = project.built(&completed(""));
    for file in ["context.tar", "context.tar.gz"] {
        let line = "--context tar://stdin --destination HOST/a:1 --digest-file digest";
        project.executor_with(file, line).succeeded();
        assert_eq!(project.read("digest"), expected, "{file}");
    }
    let done = project.executor_with("workspace/app.py", "--context tar://stdin --no-push").failed(1);
    assert!(
        done.contains("error resolving source context: cannot read the build context tar://stdin"),
        "{done}"
    );
}

/// As the kaniko task of the Tekton catalog, which reads the digest without a newline.
#[test]
fn the_files_of_digests_are_kanikos() {
    let project = Project::start(Mode::Plain);
    let line = "--dockerfile=./Dockerfile --context=workspace --destination=HOST/a:1 --destination=HOST/b \
                --digest-file=tekton/results/IMAGE_DIGEST --image-name-with-digest-file=names --image-name-tag-with-digest-file=tags";
    project.executor(line).succeeded();
    let (digest, host) = (project.built(&completed("")), project.registry.host());
    assert_eq!(project.read("tekton/results/IMAGE_DIGEST"), digest);
    assert_eq!(project.read("names"), format!("{host}/a@{digest}\n{host}/b@{digest}\n"));
    assert_eq!(project.read("tags"), format!("{host}/a:1@{digest}\n{host}/b:latest@{digest}\n"));
}

#[test]
fn nothing_is_pushed_with_no_push() {
    let project = Project::start(Mode::Plain);
    let (docker, oci) = (project.built(&completed("")), project.built(&completed("--format oci")));
    for (line, expected) in [
        ("--no-push", &docker),
        ("--no-push=true --cache=true --destination HOST/a:1", &docker),
        ("KANIKO_NO_PUSH=true --destination HOST/a:1", &docker),
        ("--dryrun --destination HOST/a:1", &docker),
        ("--no-push --tar-path=image.tar --destination HOST/a:1 --destination HOST/a:2", &docker),
        ("--no-push --oci-layout-path=layout --tarPath=other.tar", &oci),
        ("--no-push --oci-layout-path=docker-layout --image-format docker", &docker),
    ] {
        let (variable, flags) =
            line.split_once(" --").filter(|(first, _)| !first.starts_with('-')).unwrap_or(("", line));
        let flags = format!("--{}", flags.trim_start_matches("--"));
        let _ = fs::remove_file(project.user.path("digest"));
        let mark = project.registry.mark();
        let done = project.executor(&format!("{variable} {flags} --context workspace --digest-file digest"));
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
        match line.contains("--dryrun") {
            true => assert!(!project.user.path("digest").exists()),
            false => assert_eq!(project.read("digest"), *expected, "{line}"),
        }
        let log = project.registry.log_since(mark);
        // The check of the permission is refused a blob.
        let is_sent = log.iter().any(|access| access.method == "PUT" && access.status < 300);
        assert!(!is_sent, "{line}: {log:?}");
    }
    let archive = |name: &str| ImageLocation::archive(&project.user.path(name));
    let names = image_tools::skopeo_inspect(&archive("image.tar")).unwrap();
    assert_eq!(names["Architecture"], ARCHITECTURE);
    image_tools::skopeo_inspect(&archive("other.tar")).unwrap();
    for (layout, expected) in [("layout", oci), ("docker-layout", docker)] {
        let index = bases::read(&project.user.path(layout).join("index.json"));
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1), "{index}");
        assert_eq!(index["manifests"][0]["digest"], expected, "{index}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let project = Project::start(Mode::Plain);
    let flags = "--annotation a=b --cache-dir=/c --credential-helpers=ecr --no-push-cache --single-snapshot --cache-ttl=6h";
    let done = project.executor(&format!("--context workspace --no-push --cache {flags} true")).succeeded();
    for flag in
        ["annotation", "cache-dir", "credential-helpers", "no-push-cache", "single-snapshot", "cache-ttl"]
    {
        assert!(done.stderr.contains(&format!("--{flag} has no effect: ")), "{flag}: {}", done.stderr);
    }
    assert!(done.stderr.contains("`true` is not a flag"), "{}", done.stderr);
    assert!(done.stderr.contains("no --custom-platform is given"), "{}", done.stderr);
}
