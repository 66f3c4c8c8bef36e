//! The local image store: its images are those of lbuild's own verbs, and of other tools.

use super::{DOCKERFILE, DockerUser, ECR};
use crate::support::bases;
use crate::support::debian::ARCHITECTURE;
use crate::support::image_tools::{ImageLocation, podman_run, skopeo_config, umoci_unpack};
use crate::support::lbuild::RunOutput;
use std::fs;
use std::process::Command;

/// A function that runs here, under a name.
fn runnable(docker: &DockerUser, name: &str) {
    docker.write("here/Dockerfile", "FROM python\nCOPY app.py /var/task/\nCMD [\"app.handler\"]\n");
    docker.write("here/app.py", "def handler(event, context):\n    return {'got': event['x']}\n");
    let base = format!("python=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    let platform = format!("linux/{ARCHITECTURE}");
    docker.ok(&["build", "--platform", &platform, "--build-context", &base, "-t", name, "here"]);
}

#[test]
fn lbuilds_own_verbs_take_images_of_the_store() {
    let docker = DockerUser::new();
    runnable(&docker, "me/hello:v1");
    let own = |arguments: &[&str]| docker.user.ok(arguments);
    let answer = own(&["invoke", "local:me/hello:v1", "--arch", ARCHITECTURE, "-d", "{\"x\": 3}"]).stdout;
    assert_eq!(answer.trim().replace(' ', ""), "{\"got\":3}");
    let shown = own(&["inspect", "local:me/hello:v1"]).stdout;
    assert!(shown.contains("app.handler") && shown.contains(ARCHITECTURE), "{shown}");
    let files = own(&["inspect", "--tree", "local:me/hello:v1"]).stdout;
    assert!(files.contains("var/task/app.py"), "{files}");
    own(&["check", "local:me/hello:v1"]);
    // Another layer on it, and the result under another name here.
    docker.write("more/extra.txt", "more");
    let base =
        ["build", "more", "--base", "local:me/hello:v1", "--arch", ARCHITECTURE, "--handler", "app.handler"];
    own(&[&base[..], &["--no-check", "--to", "local:me/more:1"]].concat());
    let layers = |name: &str| docker.ok(&["inspect", "--format", "{{json .RootFS.Layers}}", name]);
    let (old, new) = (layers("me/hello:v1"), layers("me/more:1"));
    assert!(new.starts_with(old.trim_end().trim_end_matches(']')) && new.len() > old.len(), "{old}{new}");
    let pushed = own(&[&base[..], &["--no-check", "--to", &format!("{ECR}/more:1")]].concat()).digest();
    docker.ok(&["tag", "me/more:1", &format!("{ECR}/more:2")]);
    docker.ok(&["push", &format!("{ECR}/more:2")]);
    assert_eq!(docker.registry.manifest("more", "2").0, pushed, "the same image");
    for verb in ["inspect", "check", "invoke"] {
        let more = if verb == "invoke" { &["--arch", ARCHITECTURE, "-d", "{}"][..] } else { &[] };
        let done = docker.user.run(&[&[verb, "local:missing:1"], more].concat());
        assert!(done.code.is_some_and(|code| code != 0) && done.stderr.contains("missing"), "{done:?}");
    }
}

#[test]
fn a_saved_image_is_the_same_when_it_is_loaded() {
    let docker = DockerUser::new();
    let id = docker.build("fn", &["-t", "a:1", "-t", "me/b:2"]);
    let manifest = |docker: &DockerUser, name: &str| {
        docker.ok(&["tag", "a:1", &format!("{ECR}/{name}:1")]);
        docker.ok(&["push", &format!("{ECR}/{name}:1")]);
        docker.registry.manifest(name, "1").0
    };
    let first = manifest(&docker, "first");
    docker.ok(&["save", "-o", "file.tar", "a:1", "me/b:2"]);
    docker.shell("docker save a:1 me/b:2 >stdout.tar").succeeded();
    let read = |name: &str| fs::read(docker.user.path(name)).unwrap();
    assert!(read("file.tar") == read("stdout.tar"), "the archives differ");
    for load in
        ["docker load -q -i file.tar", "docker load <stdout.tar", "docker image load --input=file.tar"]
    {
        docker.ok(&[
            "rmi",
            "-f",
            "a:1",
            "me/b:2",
            &format!("{ECR}/first:1"),
            &format!("{ECR}/{}:1", "again"),
        ]);
        assert_eq!(docker.names(), [""; 0]);
        let loaded = docker.shell(load).succeeded().stdout;
        assert_eq!(loaded, "Loaded image: a:1\nLoaded image: me/b:2\n", "{load}");
        assert_eq!((docker.id("a:1"), docker.id("me/b:2")), (id.clone(), id.clone()), "{load}");
        assert_eq!(manifest(&docker, "again"), first, "{load}");
    }
}

#[test]
fn an_image_that_is_loaded_again_keeps_its_names() {
    let docker = DockerUser::new();
    let id = docker.build("fn", &["-t", "a:1", "-t", "b:2"]);
    docker.ok(&["save", "-o", "a.tar", "a:1"]);
    docker.ok(&["load", "-i", "a.tar"]);
    assert_eq!(docker.names(), ["a:1", "b:2"]);
    // Of one image, which has both.
    let tags = docker.ok(&["inspect", "--format", "{{json .RepoTags}}", &id]);
    assert_eq!(tags, "[\"a:1\",\"b:2\"]\n");
    assert_eq!(docker.ok(&["rmi", "b:2"]), "Untagged: b:2\n");
    // It came with all its layers, and does not need the base any more.
    docker.build("fn", &["-t", "a:1"]);
    fs::remove_dir_all(docker.registry.storage().join("docker")).unwrap();
    docker.ok(&["save", "-o", "again.tar", "a:1"]);
}

#[test]
fn other_tools_accept_a_saved_image() {
    let docker = DockerUser::new();
    runnable(&docker, "me/hello:v1");
    docker.ok(&["save", "-o", "hello.tar", "me/hello:v1"]);
    let archive = ImageLocation::archive(&docker.user.path("hello.tar"));
    let config = skopeo_config(&archive).unwrap();
    assert_eq!(config["config"]["Cmd"][0], "app.handler");
    let unpacked = umoci_unpack(&archive).unwrap();
    let code = fs::read_to_string(unpacked.rootfs().join("var/task/app.py")).unwrap();
    assert!(code.contains("event['x']"));
    let printed = podman_run(&archive, &["--entrypoint=/bin/cat"], &["/var/task/app.py"]).unwrap();
    assert_eq!(printed.trim(), code.trim());
    let listed = Command::new("tar")
        .args(["-xOf", "hello.tar", "manifest.json"])
        .current_dir(docker.user.path(""))
        .output();
    assert!(RunOutput::of(listed.unwrap()).stdout.contains("me/hello:v1\""));
}

#[test]
fn pruning_leaves_an_image_that_stays_its_layers() {
    let docker = DockerUser::new();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(10 * 24 * 3600);
    let age = |dir: &str| {
        for entry in fs::read_dir(docker.user.cache().join(dir)).unwrap().flatten() {
            if entry.path().is_file() {
                fs::File::open(entry.path()).unwrap().set_modified(old).unwrap();
            }
        }
    };
    docker.build("fn", &["-t", "stays"]);
    docker.build(&docker.numbered(1), &["-t", "goes", "-t", "goes:2"]);
    ["blobs/sha256", "keys", "images"].iter().for_each(|dir| age(dir));
    // Looking at an image is a use of it.
    docker.ok(&["inspect", "stays"]);
    ["blobs/sha256", "keys"].iter().for_each(|dir| age(dir));
    docker.user.ok(&["cache", "prune", "--days", "5"]);
    assert_eq!(docker.names(), ["stays:latest"]);
    docker.ok(&["save", "-o", "stays.tar", "stays"]);
    assert!(docker.docker(&["tag", "goes", "again"]).code == Some(1));

    docker.user.ok(&["cache", "prune", "--days", "0"]);
    assert_eq!(docker.names(), [""; 0]);
    for dir in ["images", "images/names", "blobs/sha256"] {
        let dir = docker.user.cache().join(dir);
        let left: Vec<_> =
            fs::read_dir(&dir).unwrap().flatten().filter(|entry| entry.path().is_file()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    // A name does not come back with another image of it.
    docker.build(&docker.numbered(1), &["-t", "new"]);
    assert_eq!(docker.names(), ["new:latest"]);
}

#[test]
fn the_layers_of_a_base_in_a_layout_are_read_there() {
    let docker = DockerUser::new();
    let base = format!("mine=oci:{}:python3.12", crate::support::testdata("base").display());
    docker.write("fn/Dockerfile", DOCKERFILE.replace("public.ecr.aws/lambda/python:3.12", "mine"));
    docker.build("fn", &["--build-context", &base, "-t", &format!("{ECR}/mine:1")]);
    docker.ok(&["push", &format!("{ECR}/mine:1")]);
    let location = ImageLocation::registry(&docker.registry, "mine:1");
    umoci_unpack(&location).unwrap();
}
