//! Mistakes of new users: each gives one message with cause, place and hint, and the exit code of its kind.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::lbuild::{Lbuild, RunOutput, function, noise, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};

const APP: [(&str, &str); 1] = [("app.py", "def handler(event, context):\n    return 1\n")];

/// Runs `lbuild ARGUMENTS`, which has to fail with `code` and a message that contains all of `words`.
#[track_caller]
fn fails(lbuild: &Lbuild, arguments: &[&str], code: i32, words: &[&str]) {
    says(&lbuild.run(arguments).failed(code), words);
}

#[track_caller]
fn says(stderr: &str, words: &[&str]) {
    for word in words {
        assert!(stderr.contains(word), "no `{word}` in:\n{stderr}");
    }
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "one error, once:\n{stderr}");
}

fn seeded(mode: Mode) -> (Registry, String) {
    let registry = Registry::start(mode);
    bases::seed(&registry, &testdata("base"), "python3.12", "base", "1");
    let base = format!("{}/base:1", registry.host());
    (registry, base)
}

#[test]
fn a_missing_base_is_named() {
    let (registry, base) = seeded(Mode::Plain);
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let dir = code.path().to_str().unwrap();
    let to = format!("{}/out:1", registry.host());
    let push = |base: &str, arch: &str, exit, words: &[&str]| {
        fails(&lbuild, &["push", dir, "--arch", arch, "--base", base, "--to", &to], exit, words);
    };
    for missing in ["nothing/here:1", "base:2"] {
        let missing = format!("{}/{missing}", registry.host());
        push(&missing, "arm64", 4, &[&format!("image {missing} does not exist"), "hint: check the name"]);
    }
    push("oci:/nowhere", "arm64", 4, &["/nowhere", "the directory does not exist", "hint:"]);
    push(&format!("{}x", tiny_base()), "arm64", 4, &["python3.12x", "hint:"]);
    push("Bad Name", "arm64", 2, &["invalid image name `Bad Name`", "hint:"]);
    // a base of another platform: the message lists the platforms and has a hint
    lbuild.push(code.path(), &["--base", &base, "--arch", "arm64", "--to", &to]);
    push(&to, "amd64", 4, &["is not for linux/amd64", "linux/arm64", "--arch"]);
}

#[test]
fn missing_arguments_are_named() {
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let (dir, base) = (code.path().to_str().unwrap(), tiny_base());
    fails(&lbuild, &["push", dir, "--base", &base], 2, &["no architecture", "hint: add --arch arm64"]);
    fails(&lbuild, &["push", dir, "--arch", "arm64"], 2, &["no base", "--runtime", "lbuild init"]);
    fails(&lbuild, &["push", dir, "--arch", "arm64", "--base", &base], 2, &["no destination", "--to"]);
    let both = ["push", dir, "--arch", "arm64", "--base", &base, "--to", "oci:x", "--env", "s3cret"];
    let said = lbuild.run(&both).failed(2);
    assert!(said.contains("--env") && !said.contains("s3cret"), "{said}");
    std::fs::write(code.path().join("lbuild.toml"), "arch = 'arm64'\nhndler = 'x'\n").unwrap();
    fails(&lbuild, &["push", dir], 2, &["lbuild.toml", "line 2", "hndler"]);
}

#[test]
fn a_wrong_password_is_reported_without_its_value() {
    let mode = Mode::Basic { user: "AWS", password: "right" };
    let (registry, base) = seeded(mode);
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let to = format!("{}/out:1", registry.host());
    let dir = code.path().to_str().unwrap();
    let push = ["push", dir, "--arch", "arm64", "--base", &base, "--to", &to];
    says(&lbuild.run(&push).failed(6), &[&registry.host(), "anonymous", "hint: log in"]);
    lbuild.log_in(&registry.host(), "AWS", "wr0ng-secret");
    let said = lbuild.run(&push).failed(6);
    says(&said, &[&registry.host(), "login of `AWS`", "Docker's configuration", "hint:"]);
    assert!(!said.contains("wr0ng-secret"));
}

#[test]
fn a_registry_that_is_down_is_reported_with_its_address() {
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (dir, base, to) = (code.path().to_str().unwrap(), tiny_base(), format!("{free}/out:1"));
    let push = ["push", dir, "--arch", "arm64", "--base", &base, "--to", &to];
    fails(&lbuild, &push, 5, &[&free.to_string(), "refused", "hint: check the registry's name and port"]);
}

#[test]
fn files_that_an_image_cannot_hold_are_named() {
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let (dir, base) = (code.path().to_str().unwrap(), tiny_base());
    let build = ["build", dir, "--arch", "arm64", "--base", &base];
    let socket = code.path().join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fails(&lbuild, &build, 3, &["s.sock is a socket", "hint: name it in .lambdaignore"]);
    std::fs::write(code.path().join(".lambdaignore"), "*.sock\n").unwrap();
    lbuild.ok(&build);
    drop(listener);
    std::fs::write(code.path().join(".lambdaignore"), "ok\nfoo[\n").unwrap();
    fails(&lbuild, &build, 3, &[".lambdaignore:2", "`foo[`", "hint:"]);
    std::fs::remove_file(code.path().join(".lambdaignore")).unwrap();
    std::fs::remove_file(socket).unwrap();
    fails(
        &lbuild,
        &["build", "nodir", "--arch", "arm64", "--base", &base],
        3,
        &["cannot read nodir", "hint:"],
    );
}

#[test]
fn a_dangling_symlink_is_a_warning() {
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    symlink("nowhere", code.path().join("dangling")).unwrap();
    symlink("../../etc/passwd", code.path().join("leaves")).unwrap();
    symlink("/opt/there", code.path().join("absolute")).unwrap();
    symlink("app.py", code.path().join("good")).unwrap();
    let base = tiny_base();
    let done = lbuild.ok(&["build", code.path().to_str().unwrap(), "--arch", "arm64", "--base", &base]);
    for (link, target) in [("dangling", "nowhere"), ("leaves", "../../etc/passwd")] {
        assert!(done.stderr.contains(&format!("{link} leads to {target}")), "{}", done.stderr);
    }
    assert_eq!(done.stderr.matches("the symlink ").count(), 2, "reported once: {}", done.stderr);
}

#[test]
fn an_unreadable_file_is_named() {
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let all = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    [code.path(), &lbuild.path("."), &lbuild.path("home"), &lbuild.path("docker")].into_iter().for_each(all);
    let secret = code.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let (base, to) = (tiny_base(), format!("oci:{}", lbuild.text("out")));
    let build = ["build", code.path().to_str().unwrap(), "--arch", "arm64", "--base", &base, "--to", &to];
    // root may read every file, so drop its capabilities
    let drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let output = match rustix::process::geteuid().is_root() {
        true => lbuild.wrapped(&drop, &build).output(),
        false => lbuild.command(&build).output(),
    };
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    says(&stderr, &["cannot read", "secret", "Permission denied", "hint: make it readable"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named() {
    let (lbuild, code) = (Lbuild::new(), function(&[("log", noise(1, 24 << 20))]));
    let (stop, path) = (AtomicBool::new(false), code.path().join("log"));
    let base = tiny_base();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                log.write_all(b"one more line\n").unwrap();
                thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let done = lbuild.run(&["build", code.path().to_str().unwrap(), "--arch", "arm64", "--base", &base]);
        stop.store(true, Ordering::Relaxed);
        says(&done.failed(3), &["log changed while it was read", "hint: run again"]);
    });
    assert!(crate::support::lbuild::files(&lbuild.cache()).keys().all(|name| !name.starts_with("keys/")));
}

#[test]
fn a_full_disk_is_an_error_and_leaves_no_partial_files() {
    let (lbuild, code) = (Lbuild::new(), function(&[("data", noise(2, 400_000))]));
    let small = lbuild.path("small");
    std::fs::create_dir(&small).unwrap();
    let script = r#"mount -t tmpfs -o size=128k tmpfs "$0" && "$@"; code=$?; find "$0" -type f; exit $code"#;
    let mount =
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, small.to_str().unwrap()];
    let (dir, base) = (code.path().to_str().unwrap(), tiny_base());
    let cases = [("oci:small/layout", 0), ("docker-archive:small/archive.tar", 0), ("oci:elsewhere", 1)];
    for (to, full_cache) in cases {
        let build = ["build", dir, "--arch", "arm64", "--base", &base, "--to", to];
        let mut command = lbuild.wrapped(&mount, &build);
        command.env("LBUILD_CACHE", if full_cache == 1 { small.join("cache") } else { lbuild.cache() });
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        says(&stderr, &["cannot write", "small", "No space left on device", "hint: free some space"]);
        let whole = |line: &str| {
            line.contains("/blobs/sha256/")
                || line.contains("/locks/")
                || line.ends_with("oci-layout")
                || line.ends_with("CACHEDIR.TAG")
        };
        assert!(stdout.lines().all(whole), "{stdout}");
    }
}

#[test]
fn a_handler_whose_file_is_missing_is_found_before_anything_is_sent() {
    let (registry, base) = seeded(Mode::Plain);
    let (lbuild, code) = (Lbuild::new(), function(&APP));
    let to = format!("{}/out:1", registry.host());
    let (dir, layout) = (code.path().to_str().unwrap(), tiny_base());
    let push = |handler, more: &[&str]| {
        let push = ["push", dir, "--arch", "arm64", "--to", &to, "--handler", handler];
        lbuild.run(&[&push[..], more].concat())
    };
    // AWS's own bases contain no handlers, so the base is not fetched
    let plan = |runtime, handler| {
        lbuild.run(&["plan", dir, "--arch", "arm64", "--runtime", runtime, "--handler", handler])
    };
    says(&plan("python3.12", "wrong.handler").failed(3), &["`wrong.handler`", "wrong.py", dir, "hint:"]);
    assert!(registry.log().is_empty(), "{base}");
    // an ignore file may exclude the handler's file, another source may supply it
    std::fs::write(code.path().join(".dockerignore"), "app.py").unwrap();
    says(&plan("python3.12", "app.handler").failed(3), &["`app.handler`", "ignore file"]);
    // a custom base may contain the handler
    let own = push("app.handler", &["--base", &layout]).succeeded();
    assert!(own.stderr.contains("warning: the handler `app.handler` does not exist"), "{}", own.stderr);
    // a handler with several dots is looked up in the file that defines the object or class
    for (runtime, handler) in [("nodejs24.x", "app.api.run"), ("ruby3.4", "app.Module::Class.run")] {
        says(&plan(runtime, handler).failed(3), &[&format!("`{handler}`"), "no app."]);
    }
    let deps = function(&[("app/__init__.py", "")]);
    let with_deps = ["--base", &layout, "--deps", deps.path().to_str().unwrap()];
    assert!(!push("app.handler", &with_deps).succeeded().stderr.contains("warning"));
}

#[test]
fn a_bootstrap_that_would_not_start_is_found_before_anything_is_sent() {
    let (lbuild, code) =
        (Lbuild::new(), function(&[("bootstrap*", "#!/bin/sh\n"), ("plain", "#!/bin/sh\n")]));
    let dir = code.path().to_str().unwrap();
    let plan = |more: &[&str]| {
        let plan = ["plan", dir, "--arch", "arm64", "--runtime", "provided.al2023", "--handler", "any"];
        // the base's registry does not answer: an error that names it shows that the check passed
        let mut command = lbuild.command(&[&plan[..], more].concat());
        command.env("LBUILD_REGISTRY_ENDPOINT", "public.ecr.aws=http://127.0.0.1:1");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        RunOutput::of(command.output().unwrap())
    };
    let add = |file: &str, to: &str| format!("{dir}/{file}:{to}");
    let hint = "hint: add --add bootstrap:/var/runtime/bootstrap";
    says(&plan(&[]).failed(3), &["/var/runtime/bootstrap, which is missing", hint]);
    says(&plan(&["--add", &add("bootstrap", "/opt/bootstrap")]).failed(3), &[hint]);
    let plain = add("plain", "/var/runtime/bootstrap");
    says(&plan(&["--add", &plain]).failed(3), &[&format!("{dir}/plain"), "not executable", "chmod +x"]);
    let deps = format!("{dir}:/var/runtime");
    for more in [
        &["--add", &add("bootstrap", "/var/runtime/bootstrap")][..],
        &["--add", &add("bootstrap", "/var/runtime/")],
        &["--deps", &deps],
        &["--entrypoint", "/var/task/bootstrap"],
    ] {
        let said = plan(more).failed(5);
        assert!(said.contains("public.ecr.aws"), "{more:?}: {said}");
    }
}
