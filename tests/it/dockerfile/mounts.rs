//! Rules 149 to 154: mounts of translated lines. Files appear while the line runs, secrets are logins of indexes, and
//! nothing of either is left.

use crate::support::image_builder::{self, Layer, Tar, image};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::image_tree::{self, ImageTree};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, RunOutput, files, function};
use crate::support::package_fixture::with_uv;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, run, tool};
use std::fs;
use std::path::Path;
use std::process::Command;

/// An image that no registry has: it must not be asked for.
const NOWHERE: &str = "127.0.0.1:1/uv:1";

/// A small base with an interpreter: the tree is read, and nothing of it runs.
fn base() -> String {
    format!("base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG)
}

fn build(lbuild: &Lbuild, dockerfile: &str, files: &[(&str, &str)], more: &[&str]) -> RunOutput {
    let text = [("Dockerfile", format!("FROM base\n{dockerfile}"))];
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let context = function(&text.into_iter().chain(files).collect::<Vec<_>>());
    let to = format!("oci:{}:1", lbuild.text("out"));
    let base = base();
    let mut arguments =
        vec!["build", context.path().to_str().unwrap(), "--arch", "amd64", "--run-mode", "none"];
    arguments.extend(["--build-context", &base, "--to", &to, "--no-check"]);
    arguments.extend(more);
    lbuild.run(&arguments)
}

fn tree(lbuild: &Lbuild) -> ImageTree {
    image_tree::of(&lbuild.path("out"), "1", "amd64")
}

#[test]
fn files_of_mounts_are_read_and_leave_nothing() {
    let lbuild = Lbuild::new();
    let lines = format!(
        "RUN mkdir -p /given/sub && echo stage > /given/sub/file && ln -s file /given/sub/link
FROM base
WORKDIR /w
RUN --mount=type=bind,source=dir/in.txt,target=in.txt --mount=from=0,source=/given,target=/made/for/it \\
    --mount=from={NOWHERE},source=/uv,target=/bin/uv --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=tmpfs,target=/scratch --mount=target=/all,source=. \\
    cp in.txt out.txt && cat in.txt /made/for/it/sub/link > both.txt && cp -r /made/for/it /copied \\
    && chmod 600 out.txt && cp /all/dir/in.txt third.txt
"
    );
    let context = [("dir/in.txt", "context\n"), (".dockerignore", "hidden\n"), ("hidden", "")];
    build(&lbuild, &lines, &context, &[]).succeeded();
    let tree = tree(&lbuild);
    for (rule, path, expected) in [
        (150, "w/out.txt", r#"0600 0:0 "context\n""#),
        (150, "w/third.txt", r#"0644 0:0 "context\n""#),
        (151, "w/both.txt", r#"0644 0:0 "context\nstage\n""#),
        (151, "copied/sub/file", r#"0644 0:0 "stage\n""#),
    ] {
        assert_eq!(tree.get(path).map(String::as_str), Some(expected), "rule {rule}: {path}");
    }
    for path in ["w/in.txt", "made", "root/.cache", "scratch", "all", "usr/bin/uv", "bin/uv", "given"] {
        assert!(!tree.contains_key(path), "rule 149: {path} is left");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let lbuild = Lbuild::new();
    for (rule, line, expected) in [
        (150, "RUN --mount=source=none.txt,target=/m mkdir /a", "`none.txt` does not exist in"),
        (150, "RUN --mount=source=hidden,target=/m mkdir /a", "`hidden` is left out by"),
        (150, "RUN --mount=source=a.txt,target=/m rm /m", "Device or resource busy"),
        (150, "RUN --mount=source=a.txt,target=/m echo >> /m", "Read-only file system"),
        (150, "RUN --mount=source=a.txt,target=/m,rw echo >> /m", "writes to a mount"),
        (151, "RUN --mount=from=127.0.0.1:1/x,source=/a,target=/m cp /m /b", "127.0.0.1:1/x"),
        (154, "RUN --mount=type=secret,id=token,required mkdir /a", "the secret `token` is required"),
        (154, "RUN --mount=type=secret,id=token cat /run/secrets/token > /a", "in the place of a secret"),
        (154, "RUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN > /a", "is a secret, whose value only"),
    ] {
        let context = [("a.txt", "a\n"), (".dockerignore", "hidden\n"), ("hidden", "")];
        let said = build(&lbuild, line, &context, &["--secret", "id=other,env=HOME"]);
        assert!(
            said.code != Some(0) && said.stderr.contains("Dockerfile:2:"),
            "rule {rule}: {}",
            said.stderr
        );
        assert!(said.stderr.contains(expected), "rule {rule}: {line}: {}", said.stderr);
    }
}

/// Rule 152: the content of a bind mount is part of the key; a cache, a secret and an image that is not read are not.
#[test]
fn the_content_that_is_read_decides_the_layer() {
    let registry = Registry::start(Mode::Plain);
    let from = format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let text = |target: &str, image: &str| {
        format!(
            "FROM base\nRUN --mount=target={target},source=in.txt --mount=type=secret,id=s \\
             --mount=from={image},source=/uv,target=/bin/uv cp {target} /out.txt\nCOPY late.py /\n"
        )
    };
    let context = function(&[
        ("Dockerfile", text("/m", NOWHERE)),
        ("in.txt", "1".into()),
        ("other.txt", "1".into()),
        ("late.py", "1".into()),
    ]);
    let write = |name: &str, text: &str| fs::write(context.path().join(name), text).unwrap();
    let base = format!("base=docker-image://{}/base:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    // Each push is from a fresh machine.
    let push = |secret: &str| {
        let mut lbuild = Lbuild::new();
        lbuild.set("S", secret);
        let mark = registry.mark();
        let path = context.path().to_str().unwrap();
        let flags = ["--arch", "amd64", "--build-context", &base, "--to", &to, "--no-check"];
        lbuild.ok(&[&["push", path][..], &flags, &["--secret", "id=s,env=S"]].concat());
        let log = registry.log_since(mark);
        let read: u64 = log.iter().map(|entry| entry.bytes_sent).sum();
        (read > 100_000, log.iter().filter(|entry| entry.is_blob_upload()).count())
    };
    assert!(push("1").0, "the first build reads the base");
    assert_eq!(push("1"), (false, 0), "unchanged");
    assert_eq!(push("2"), (false, 0), "rule 154: another value of the secret");
    write("other.txt", "2");
    assert_eq!(push("1"), (false, 0), "a file that is not mounted");
    write("in.txt", "2");
    assert!(push("1").0, "rule 152: another content");
    write("Dockerfile", &text("/n", NOWHERE));
    assert!(push("1").0, "another target");
}

/// Rule 151: of an image, the layers below the one that has the file are not fetched.
#[test]
fn only_the_layers_that_hold_a_file_are_fetched() {
    let (registry, dir) = (Registry::start(Mode::Plain), Lbuild::new());
    let tars = [
        Tar::new().directory("bin/").file("bin/lower", 0o644, "lower"),
        Tar::new().directory("bin/").file("bin/tool", 0o755, "tool"),
        Tar::new().file("upper", 0o644, "upper"),
    ];
    let layers = tars.map(Layer::gzip);
    let digests = layers.each_ref().map(|layer| image_builder::hex(&layer.stored));
    let from = image(&dir.path("tool"), &layers, |_, _| {});
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "tool:1")).unwrap();
    let tool = format!("{}/tool:1", registry.host());
    for (line, expected) in [
        (format!("COPY --from={tool} /bin/tool /tool"), [0, 2, 1]),
        (format!("RUN --mount=from={tool},source=/bin/tool,target=/m cp /m /copied"), [0, 2, 1]),
        // all layers may have files of a directory
        (format!("COPY --from={tool} /bin /bin"), [2, 2, 1]),
    ] {
        let (lbuild, mark) = (Lbuild::new(), registry.mark());
        build(&lbuild, &line, &[], &[]).succeeded();
        let log = registry.log_since(mark);
        let fetched = digests.each_ref().map(|digest| {
            log.iter().filter(|entry| entry.method == "GET" && entry.path.ends_with(digest)).count()
        });
        assert!(fetched.iter().zip(expected).all(|(found, most)| *found <= most), "{line}: {fetched:?}");
        assert!(fetched[1] > 0 && (expected[0] == 0 || fetched[0] > 0), "{line}: {fetched:?}");
    }
}

const WHEELS: &str = r#"
import sys, zipfile
for name in ["aaa", "bbb"]:
    info = f"{name}-1.0.dist-info"
    files = {f"{name}.py": "", f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
"#;

fn wheels(lbuild: &Lbuild) -> std::path::PathBuf {
    let dir = lbuild.path("wheels");
    fs::create_dir(&dir).unwrap();
    run(Command::new(tool("python3")).args(["-c", WHEELS]).arg(&dir)).unwrap();
    dir
}

const PASSWORD: &str = "pa55word-of-the-index";

/// Fails if a file below a directory, or the output, has the password.
fn assert_hidden(lbuild: &Lbuild, done: &RunOutput, what: &str) {
    let shown = [&done.stdout, &done.stderr].iter().any(|text| text.contains(PASSWORD));
    assert!(!shown, "rule 154: {what}: {}{}", done.stdout, done.stderr);
    let has = |content: &[u8]| content.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
    for dir in [lbuild.cache(), lbuild.path("out")] {
        let dirs: Vec<&Path> = Some(&*dir).filter(|dir| dir.exists()).into_iter().collect();
        for (name, content) in dirs.into_iter().flat_map(files) {
            assert!(!has(&content), "rule 154: {what}: {name} has the secret");
        }
    }
}

#[test]
fn secrets_are_logins_of_indexes_and_nothing_else() {
    let lbuild = Lbuild::new();
    let directory = wheels(&lbuild);
    let login = Some(("me".to_owned(), PASSWORD.to_owned()));
    let index = Index::of(&directory, IndexBehaviour { login, ..IndexBehaviour::default() });
    let (url, with_login) = (index.url(), index.url_with_login());
    let host = index.host();
    let host = host.split(':').next().unwrap();
    let conf = format!("[global]\nindex-url = {with_login}\n");
    let netrc = format!("machine {host} login me password {PASSWORD}\n");
    for (mount, line, secret) in [
        ("id=s,target=/etc/pip.conf", "pip install -t /p aaa", &conf),
        ("id=s,target=/root/.config/pip/pip.conf", "pip install -t /p aaa", &conf),
        ("id=s", "PIP_CONFIG_FILE=/run/secrets/s pip install -t /p aaa", &conf),
        ("id=s,env=PIP_INDEX_URL", "pip install -t /p aaa", &with_login),
        ("id=s,env=UV_DEFAULT_INDEX", "uv pip install -t /p aaa", &with_login),
        ("id=s,env=UV_INDEX_URL", "uv pip install -t /p aaa", &with_login),
        ("id=s,target=/root/.netrc,required", &*format!("pip install --index-url {url} -t /p aaa"), &netrc),
        ("id=s,target=/root/.netrc", &*format!("uv pip install --index-url {url} -t /p aaa"), &netrc),
        ("id=s,env=TOKEN", "pip install -r /r.txt -t /p", &PASSWORD.to_owned()),
    ] {
        let (mut with_uv, mut with_pip) = (with_uv(), Lbuild::new());
        for user in [&mut with_uv, &mut with_pip] {
            fs::write(user.path("secret"), secret).unwrap();
            user.set("SECRET", secret);
        }
        let host_and_path = url.split_once("://").unwrap().1;
        let requirements = format!("--index-url http://me:${{TOKEN}}@{host_and_path}\naaa\n");
        let lines = format!("COPY r.txt /\nRUN --mount=type=secret,{mount} {line}\n");
        for (lbuild, given) in [
            (&with_pip, "id=s,src=secret"),
            (&with_uv, "id=s,env=SECRET"),
            (&with_pip, "type=env,id=s,src=SECRET"),
        ] {
            let done = build(lbuild, &lines, &[("r.txt", &requirements)], &["--secret", given]).succeeded();
            assert_hidden(lbuild, &done, mount);
            let tree = tree(lbuild);
            assert!(tree.contains_key("p/aaa.py"), "rule 154: {mount}");
            for path in ["run/secrets", "root/.netrc", "root/.config", "etc/pip.conf"] {
                assert!(!tree.contains_key(path), "rule 149: {mount}: {path} is left");
            }
        }
        // An install that fails shows no secret either.
        let lines = lines.replace("aaa", "none-of-this-name");
        let requirements = requirements.replace("aaa", "none-of-this-name");
        for (lbuild, more) in [(&with_pip, &[][..]), (&with_uv, &["--json"])] {
            let more = [&["--secret", "id=s,src=secret"], more].concat();
            let failed = build(lbuild, &lines, &[("r.txt", &requirements)], &more);
            assert!(failed.code != Some(0), "{}", failed.stdout);
            assert_hidden(lbuild, &failed, mount);
        }
    }
    assert!(index.fetched().contains(&"aaa-1.0-py3-none-any.whl".to_owned()));
}

/// Rule 170: settings that were copied into the image count, and files of an install may be in mounts.
#[test]
fn installs_read_settings_and_wheels_of_the_image_and_of_mounts() {
    let (dir, empty) = (Lbuild::new(), Lbuild::new());
    let directory = wheels(&dir);
    let index = Index::of(&directory, IndexBehaviour::default());
    let other = Index::of(&empty.path("home"), IndexBehaviour::default());
    let wheel = fs::read(directory.join("bbb-1.0-py3-none-any.whl")).unwrap();
    let conf = format!("[global]\nindex-url = {}\ntimeout = 9\n", index.url());
    let pyproject = format!("[[tool.uv.index]]\nurl = \"{}\"\ndefault = true\n", index.url());
    for (lines, expected) in [
        ("COPY pip.conf /etc/pip.conf\nRUN pip install -t /p aaa", &["aaa"][..]),
        ("COPY index.txt /\nRUN pip install -r /index.txt -t /p", &["aaa"]),
        ("COPY pip.conf /etc/pip.conf\nRUN pip install --index-url INDEX -t /p aaa", &["aaa"]),
        ("RUN PIP_INDEX_URL=INDEX pip install -t /p aaa", &["aaa"]),
        ("COPY pip.conf /root/.config/pip/pip.conf\nRUN pip install -t /p aaa", &["aaa"]),
        ("COPY pip.conf /c\nENV PIP_CONFIG_FILE=/c\nRUN pip install -t /p aaa", &["aaa"]),
        ("RUN --mount=target=/etc/pip.conf,source=pip.conf pip install -t /p aaa", &["aaa"]),
        ("WORKDIR /w\nCOPY project/pyproject.toml .\nRUN uv pip install -t /p aaa", &["aaa"]),
        ("WORKDIR /w\nRUN --mount=target=.,source=project uv pip install -t /p aaa", &["aaa"]),
        ("RUN --mount=target=/m,source=. pip install --no-index --find-links /m/wheels -t /p bbb", &["bbb"]),
        ("RUN --mount=target=/m,source=wheels pip install -t /p /m/bbb-1.0-py3-none-any.whl", &["bbb"]),
        (
            "COPY pip.conf /etc/pip.conf\nWORKDIR /p\nRUN --mount=target=all.txt,source=all.txt --mount=target=more.txt,source=more.txt pip install -r all.txt -c more.txt -t /p",
            &["aaa", "bbb"],
        ),
    ] {
        let mut lbuild = if lines.contains("all.txt") { Lbuild::new() } else { with_uv() };
        // The index of this machine has none of them.
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            lbuild.set(name, &other.url());
        }
        let context = function(&[
            (
                "Dockerfile",
                format!("FROM base\n{}\n", lines.replace("INDEX ", &format!("{} ", index.url())))
                    .into_bytes(),
            ),
            ("index.txt", format!("--index-url {}\naaa\n", index.url()).into_bytes()),
            ("pip.conf", conf.clone().into_bytes()),
            ("project/pyproject.toml", pyproject.clone().into_bytes()),
            ("wheels/bbb-1.0-py3-none-any.whl", wheel.clone()),
            ("all.txt", b"-r more.txt\naaa\n".to_vec()),
            ("more.txt", b"bbb\n".to_vec()),
        ]);
        let (to, base) = (format!("oci:{}:1", lbuild.text("out")), base());
        let path = context.path().to_str().unwrap();
        let flags = ["--arch", "amd64", "--build-context", &base, "--to", &to, "--no-check"];
        lbuild.ok(&[&["build", path][..], &flags].concat());
        let tree = tree(&lbuild);
        let found: Vec<&str> =
            ["aaa", "bbb"].into_iter().filter(|name| tree.contains_key(&format!("p/{name}.py"))).collect();
        assert_eq!(found, expected, "rule 170: {lines}");
        assert!(
            !["m", "p/all.txt", "p/more.txt"].iter().any(|path| tree.contains_key(*path)),
            "rule 149: {lines}"
        );
    }
}

#[test]
fn settings_that_are_not_known_are_refused() {
    let lbuild = Lbuild::new();
    for (lines, expected) in [
        (
            "RUN echo '[install]' > /etc/pip.conf && echo target=/x >> /etc/pip.conf\nRUN pip install aaa",
            "the setting `target` in /etc/pip.conf is not translated",
        ),
        (
            "COPY uv.toml /w/\nWORKDIR /w\nRUN uv pip install -t /p aaa",
            "in /w/uv.toml need uv on this machine",
        ),
        ("COPY uv.toml /etc/uv/\nRUN uv pip install -t /p aaa", "in /etc/uv/uv.toml are not translated"),
        ("RUN --mount=type=cache,target=/usr/lib pip install -t /p aaa", "the mount /usr/lib hides files"),
    ] {
        let said = build(&lbuild, lines, &[("uv.toml", "index-url = 'http://127.0.0.1:1/simple'\n")], &[]);
        assert!(said.code != Some(0) && said.stderr.contains(expected), "{lines}: {}", said.stderr);
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_an_error() {
    let mut lbuild = Lbuild::new();
    lbuild.set("SET", "x");
    fs::write(lbuild.path("large"), vec![0; (500 << 10) + 1]).unwrap();
    for (flag, expected) in [
        ("id=a,src=none", "cannot read the file none of --secret id=a"),
        ("id=a,env=NONE", "the variable NONE is not set"),
        ("id=a", "cannot read the file a of --secret id=a"),
        ("src=a", "has no id"),
        ("id=a,source", "has a field without a value: `source`"),
        ("id=a,value=x", "has the unknown field `value`"),
        ("id=a,src=large", "500 KiB at most"),
        ("id=a,src=b,env=C", "has both src and env"),
        ("id=a,type=x", "unknown type `x`"),
    ] {
        let said = build(&lbuild, "RUN mkdir /a", &[], &["--secret", flag]);
        assert!(said.code == Some(2) && said.stderr.contains(expected), "{flag}: {}", said.stderr);
    }
    for flag in ["id=SET", "id=large,src=home/../Dockerfile.none", "id=a,env=SET"] {
        let said = build(&lbuild, "RUN mkdir /a", &[], &["--secret", flag]);
        assert_eq!(said.code == Some(0), !flag.contains("none"), "{flag}: {}", said.stderr);
    }
    let said = lbuild.run(&["build", ".", "--base", "scratch", "--secret", "id=SET", "--to", "oci:o:1"]);
    assert!(said.stderr.contains("--secret is for a Dockerfile"), "{}", said.stderr);
}

/// A build argument may be a secret, too: a command that fails is shown without its value.
#[test]
fn values_of_arguments_are_not_shown() {
    let lbuild = Lbuild::new();
    let build_arg = ["--build-arg", "TOKEN=value-of-the-token"];
    for line in ["RUN rm /opt/$TOKEN", "RUN rm /opt/$TOKEN; true", "RUN pip install --no-index $TOKEN"] {
        let said = build(&lbuild, &format!("ARG TOKEN\n{line}\n"), &[], &build_arg);
        assert!(
            said.stderr.contains("$TOKEN") && !said.stderr.contains("value-of-the-token"),
            "{}",
            said.stderr
        );
    }
}
