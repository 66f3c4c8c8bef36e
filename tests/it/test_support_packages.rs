//! Tests of the package index: the real pip and uv install from it, and its faults reach them.

use crate::support::http::{self, Request};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::proxy::{Fault, Rule};
use crate::support::python::{self, Clients, MACHINES};
use crate::support::{lbuild, npm, part, run, testdata};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A package with machine code, a pure one, and one with scripts in `.data`.
const WANTED: [&str; 3] = ["pydantic", "jmespath", "rig-schemes"];

/// The files that do not depend on the installer: without launchers, records, bytecode and headers.
fn installed(target: &Path) -> BTreeMap<String, Vec<u8>> {
    let own = |name: &str| {
        let dist_info = name.contains(".dist-info/");
        let ours = ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"];
        ["bin/", "include/", "."].iter().any(|start| name.starts_with(start))
            || name.ends_with(".pyc")
            || dist_info && ours.iter().any(|file| name.ends_with(file))
    };
    lbuild::files(target).into_iter().filter(|(name, _)| !own(name)).collect()
}

#[test]
fn pip_and_uv_install_the_same_from_every_kind_of_index() {
    let login = Some(("someone".to_owned(), "p4ss".to_owned()));
    for behaviour in [
        IndexBehaviour::default(),
        IndexBehaviour { html_only: true, ..IndexBehaviour::default() },
        IndexBehaviour { unhashed: true, ..IndexBehaviour::default() },
        IndexBehaviour { login: login.clone(), ..IndexBehaviour::default() },
        IndexBehaviour { login, files_on_other_host: true, ..IndexBehaviour::default() },
    ] {
        let index = Index::with(behaviour.clone());
        for machine in MACHINES {
            let clients = Clients::new();
            let by_pip = clients.pip_tree(&index.url_with_login(), machine, &WANTED).unwrap();
            let by_uv = clients.uv_tree(&index.url_with_login(), machine, &WANTED).unwrap();
            let (by_pip, by_uv) = (installed(&by_pip), installed(&by_uv));
            assert!(by_pip.keys().eq(by_uv.keys()), "{:?}\n{:?}", by_pip.keys(), by_uv.keys());
            assert!(by_pip == by_uv, "{behaviour:?} {machine}");
            let core = format!("pydantic_core/_pydantic_core.cpython-311-{machine}-linux-gnu.so");
            assert!(by_pip.contains_key(&core), "{:?}", by_pip.keys());
        }
        assert!(index.fetched().iter().any(|name| name.starts_with("pydantic_core-")), "{:?}", index.log());
        assert!(index.received() > 2_000_000);
    }
}

#[test]
fn an_index_with_a_login_refuses_clients_without_one() {
    let index = Index::with_login("someone", "p4ss");
    let clients = Clients::new();
    let right = index.url_with_login();
    for url in [index.url(), right.replace("p4ss", "wrong")] {
        clients.pip_tree(&url, "x86_64", &["jmespath"]).unwrap_err();
        let error = clients.uv_tree(&url, "x86_64", &["jmespath"]).unwrap_err();
        assert!(error.contains("401"), "{error}");
    }
    assert!(index.log().iter().all(|seen| seen.status == Some(401)));

    clients.set_netrc("machine 127.0.0.1 login someone password p4ss\n");
    clients.uv_tree(&index.url(), "x86_64", &["jmespath"]).unwrap();
    clients.pip_tree(&index.url(), "x86_64", &["jmespath"]).unwrap();
    assert_eq!(index.fetched().len(), 2);
}

#[test]
fn an_index_with_files_on_another_host_sends_no_login_there() {
    let behaviour = IndexBehaviour { files_on_other_host: true, ..IndexBehaviour::default() };
    let index = Index::with(behaviour);
    let file = "/files/jmespath-1.1.0-py3-none-any.whl";
    let ask = |headers| {
        let request = Request { method: "GET".into(), target: file.into(), headers, body: vec![] };
        http::send(&index.files().host(), &request).unwrap().status
    };
    assert_eq!(ask(vec![]), 200);
    assert_eq!(ask(vec![("Authorization".into(), "Basic eDp5".into())]), 400);
    assert!(index.files().seen()[1].authorized);
}

#[test]
fn a_package_for_one_machine_is_not_installed_for_another() {
    let (index, clients) = (Index::start(), Clients::new());
    clients.uv_tree(&index.url(), "x86_64", &["rig-x86"]).unwrap();
    clients.pip_tree(&index.url(), "x86_64", &["rig-x86"]).unwrap();
    clients.uv_tree(&index.url(), "aarch64", &["rig-x86"]).unwrap_err();
    clients.pip_tree(&index.url(), "aarch64", &["rig-x86"]).unwrap_err();
    // the newest version is not installed, because it needs a newer glibc
    for machine in MACHINES {
        let tree = clients.uv_tree(&index.url(), machine, &["rig-glibc"]).unwrap();
        assert!(tree.join("rig_glibc-1.0.dist-info").exists());
    }
}

#[test]
fn uv_locks_from_the_index() {
    let (index, clients) = (Index::start(), Clients::new());
    let project = clients.uv_lock(&index.url(), &["rig-markers", "docopt"]).unwrap();
    let lock = std::fs::read_to_string(project.join("uv.lock")).unwrap();
    for name in ["rig-markers", "rig-x86", "rig-glibc", "jmespath", "docopt"] {
        assert!(lock.contains(&format!("name = \"{name}\"")), "{name}: {lock}");
    }
    assert!(!lock.contains("rig-nowhere\"\nversion"), "{lock}");
    assert!(
        lock.contains(&format!("http://{}/files/jmespath-1.1.0-py3-none-any.whl", index.host())),
        "{lock}"
    );

    let other = Index::start();
    assert!(!python::moved(&project.join("uv.lock"), &index, &other).contains(&index.host()));

    for (machine, theirs) in [("x86_64", "rig-x86"), ("aarch64", "rig-glibc")] {
        let lock = std::fs::read_to_string(clients.pylock(&index.url(), machine, &["rig-markers"]).unwrap());
        let lock = lock.unwrap();
        assert!(lock.contains(&format!("name = \"{theirs}\"")), "{lock}");
        assert!(lock.contains("sha256 = "), "{lock}");
        let requirements = clients.requirements(&index.url(), machine, &["rig-markers"]).unwrap();
        let requirements = std::fs::read_to_string(requirements).unwrap();
        assert!(requirements.contains(&format!("{theirs}==")) && requirements.contains("--hash=sha256:"));
    }
    // locking reads metadata instead of wheels, but whole source distributions and their build requirements
    let fetched = index.fetched();
    assert!(
        fetched.iter().all(|name| name.starts_with("docopt-") || name.starts_with("setuptools-")),
        "{fetched:?}"
    );
}

#[test]
fn a_fault_in_a_file_reaches_the_client() {
    let file = "/files/jmespath";
    for (fault, says) in [
        (Fault::Refuse { status: 404, retry_after: None }, "404"),
        (Fault::CorruptByte { at: 99 }, "sha256"),
        (Fault::CutBody { at: 99 }, ""),
        (Fault::ResetBody { at: 99 }, ""),
        (Fault::Refuse { status: 503, retry_after: Some("0".into()) }, "503"),
    ] {
        let (index, clients) =
            (Index::with(IndexBehaviour { html_only: true, ..IndexBehaviour::default() }), Clients::new());
        index.set_script([Rule::on("GET", file, fault.clone()).always()]);
        let error = clients.pip_tree(&index.url(), "x86_64", &["jmespath"]).unwrap_err();
        assert!(error.contains(says), "{fault:?}: {error}");
        index.files().assert_injected();
        if let Fault::CutBody { at } | Fault::ResetBody { at } = fault {
            let seen = index.files().seen();
            let last = seen.iter().rfind(|seen| seen.target.starts_with(file)).unwrap();
            assert_eq!((last.received, last.authorized), (at, false));
        }
    }
    // uv retries after a temporary fault
    let (index, clients) = (Index::start(), Clients::new());
    index.set_script([Rule::on("GET", file, Fault::ResetBody { at: 99 })]);
    clients.uv_tree(&index.url(), "x86_64", &["jmespath"]).unwrap();
    index.files().assert_injected();
}

#[test]
fn npm_installs_from_its_cache_for_another_machine() {
    for (cpu, machine) in [("x64", 62), ("arm64", 183)] {
        let dir = tempfile::tempdir().unwrap();
        for file in ["package.json", "package-lock.json"] {
            let from = testdata("functions/hello-sharp").join(file);
            std::fs::copy(from, dir.path().join(file)).unwrap();
        }
        let mut npm = Command::new(part("npm/bin/npm"));
        npm.args([
            "ci",
            "--omit=dev",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--os=linux",
            "--libc=glibc",
        ]);
        npm.arg(format!("--cpu={cpu}")).current_dir(dir.path());
        run(npm.env_clear().env("HOME", dir.path()).envs(npm::variables())).unwrap();
        let binaries = npm::binaries(&dir.path().join("node_modules"));
        assert_eq!(binaries.len(), 2, "{binaries:?}");
        assert!(binaries.iter().all(|&(_, found)| found == machine), "{binaries:?}");
        assert!(!dir.path().join("node_modules/is-odd").exists(), "a development dependency was installed");
    }
}
