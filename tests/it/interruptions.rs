//! Pushes that are stopped, that run at the same time, or whose cache is damaged.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, RunOutput, files, function, image_of, noise, tiny_base};
use crate::support::proxy::{Fault, Proxy, Rule};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use lbuild::error::Error;
use lbuild::image::Format;
use lbuild::{Destination, Engine, Recipe};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn code() -> TempDir {
    function(&[("app.py", &b"def handler(event, context): pass"[..]), ("data", &noise(5, 1 << 20))])
}

/// A stall that is longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(50);

fn arguments(code: &Path, base: &str, to: &str) -> Vec<String> {
    ["push", code.to_str().unwrap(), "--base", base, "--arch", "arm64", "--to", to]
        .map(str::to_owned)
        .to_vec()
}

fn start(lbuild: &Lbuild, all: &[String]) -> Child {
    lbuild.command(all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a fault was injected.
fn wait_for_fault(proxy: &Proxy) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while proxy.injected().iter().all(|count| *count == 0) {
        assert!(Instant::now() < deadline, "{:#?}", proxy.seen());
        std::thread::sleep(Duration::from_millis(10));
    }
    // leaves time for the requests that run in parallel
    std::thread::sleep(Duration::from_millis(300));
}

fn stop(child: Child, signal: Signal) -> RunOutput {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let began = Instant::now();
    let done = RunOutput::of(child.wait_with_output().unwrap());
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?} to stop", began.elapsed());
    done
}

/// Fails if the cache, the layout or another directory of the user has a temporary file.
fn nothing_is_left_over(dir: &Path) {
    let half: Vec<_> =
        files(dir).into_keys().filter(|name| name.contains("/.lbuild-") || name.contains("/.tmp")).collect();
    assert!(half.is_empty(), "{half:?}");
}

#[test]
fn the_old_image_stays_whole_when_a_push_is_stopped() {
    let registry = Registry::start(Mode::Plain);
    let proxy = Proxy::to(&registry.host());
    let (lbuild, code) = (Lbuild::new(), code());
    let all = arguments(code.path(), &tiny_base(), &format!("{}/function:1", proxy.host()));
    let location = ImageLocation::registry(&registry, "function:1");
    let mut old = lbuild.ok(&all).digest();
    for (n, (signal, method, path)) in [
        (Signal::KILL, "PUT", "/blobs/uploads/"),
        (Signal::KILL, "PUT", "/manifests/"),
        (Signal::INT, "PUT", "/blobs/uploads/"),
        (Signal::TERM, "POST", "/blobs/uploads/"),
        (Signal::INT, "PUT", "/manifests/"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(code.path().join("data"), noise(100 + n as u64, 1 << 20)).unwrap();
        proxy.set_script([Rule::on(method, path, Fault::Stall(FOR_EVER)).always()]);
        let child = start(&lbuild, &all);
        wait_for_fault(&proxy);
        let done = stop(child, signal);
        assert_eq!(done.stdout, "");
        match signal {
            Signal::KILL => assert_eq!(done.code, None),
            _ => assert!(done.code == Some(130) && done.stderr.contains("interrupted"), "{done:?}"),
        }
        nothing_is_left_over(&lbuild.path(""));
        assert_eq!(
            image_tools::skopeo_inspect(&location).unwrap()["Digest"],
            old,
            "{signal:?} {method} {path}"
        );
        image_tools::umoci_unpack(&location).unwrap();

        proxy.set_script([]);
        let new = lbuild.ok(&all).digest();
        assert_ne!(new, old);
        old = new;
    }
}

#[test]
fn a_name_that_moved_before_an_interruption_is_printed() {
    let other = Registry::start(Mode::Plain);
    let proxy = Proxy::to(&other.host());
    for signal in [Signal::INT, Signal::TERM] {
        proxy.set_script([Rule::on("PUT", "/manifests/", Fault::Stall(FOR_EVER)).always()]);
        let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
        let mut all = arguments(code.path(), &tiny_base(), &format!("{}/function:1", proxy.host()));
        all.extend(["--to".to_owned(), format!("{}/function:1", registry.host())]);
        let child = start(&lbuild, &all);
        wait_for_fault(&proxy);
        let done = stop(child, signal);
        assert!(done.code == Some(130) && done.stderr.contains("interrupted"), "{done:?}");
        let location = ImageLocation::registry(&registry, "function:1");
        let digest = image_tools::skopeo_inspect(&location).unwrap()["Digest"].clone();
        assert_eq!(done.stdout, format!("{}/function@{}\n", registry.host(), digest.as_str().unwrap()));
    }
}

#[test]
fn a_tag_that_moved_before_an_interruption_is_printed() {
    let registry = Registry::start(Mode::Plain);
    let proxy = Proxy::to(&registry.host());
    proxy.set_script([Rule::on("PUT", "/manifests/2", Fault::Stall(FOR_EVER)).always()]);
    let (lbuild, code) = (Lbuild::new(), code());
    let mut all = arguments(code.path(), &tiny_base(), &format!("{}/function:1", proxy.host()));
    all.extend(["--tag".to_owned(), "2".to_owned()]);
    let child = start(&lbuild, &all);
    wait_for_fault(&proxy);
    let done = stop(child, Signal::TERM);
    let digest =
        image_tools::skopeo_inspect(&ImageLocation::registry(&registry, "function:1")).unwrap()["Digest"]
            .clone();
    assert_eq!(done.stdout, format!("{}/function@{}\n", proxy.host(), digest.as_str().unwrap()), "{done:?}");
}

#[test]
fn a_wait_for_standard_input_ends_with_a_signal() {
    for all in [
        &["credential-helper", "get"][..],
        &["credential-helper", "store"],
        &["inspect", "127.0.0.1:1/x:1", "--username", "me", "--password-stdin"],
    ] {
        for signal in [Signal::TERM, Signal::INT] {
            let lbuild = Lbuild::new();
            // a shell that runs the tests in the background may ignore signals, which the child would inherit
            let mut command = lbuild.wrapped(&["env", "--default-signal"], all);
            let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(200));
            kill_process(Pid::from_child(&child), signal).unwrap();
            let deadline = Instant::now() + Duration::from_secs(1);
            // the pipe stays open
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > deadline {
                    child.kill().unwrap();
                    panic!("{all:?} is still running after {signal:?}");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[test]
fn a_layout_and_an_archive_stay_whole_when_a_build_is_stopped() {
    let registry = Registry::start(Mode::Plain);
    bases::push(&registry, "docker-list", "lambda/python", "1");
    let proxy = Proxy::to(&registry.host());
    let base = format!("{}/lambda/python:1", proxy.host());
    for kind in ["layout", "archive"] {
        // an empty cache, so that the base's layers are requested
        let (lbuild, code) = (Lbuild::new(), code());
        std::fs::create_dir(lbuild.path("out")).unwrap();
        let to = match kind {
            "layout" => format!("oci:{}:1", lbuild.text("out/layout")),
            _ => format!("docker-archive:{}", lbuild.text("out/image.tar")),
        };
        for signal in [Signal::KILL, Signal::INT] {
            proxy.set_script([
                Rule::on("GET", "/blobs/", Fault::StallBody { at: 200_000, pause: FOR_EVER }).always()
            ]);
            let child = start(&lbuild, &arguments(code.path(), &base, &to));
            wait_for_fault(&proxy);
            let done = stop(child, signal);
            assert_eq!(done.code, (signal == Signal::INT).then_some(130));
            nothing_is_left_over(&lbuild.path(""));
            assert!(!lbuild.path("out/layout/index.json").exists() && !lbuild.path("out/image.tar").exists());
        }
        proxy.set_script([]);
        lbuild.ok(&arguments(code.path(), &base, &to));
        // an existing image stays until the new one is complete
        let before = files(&lbuild.path("out"));
        std::fs::write(code.path().join("app.py"), &to).unwrap();
        proxy.set_script([Rule::on("GET", "/", Fault::Stall(FOR_EVER)).always()]);
        let child = start(&lbuild, &arguments(code.path(), &base, &to));
        wait_for_fault(&proxy);
        stop(child, Signal::KILL);
        let after = files(&lbuild.path("out"));
        assert!(before.iter().all(|(name, content)| after.get(name) == Some(content)));
    }
}

#[test]
fn pushes_at_the_same_time_share_one_cache() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let (same, other) = (code(), function(&[("app.py", &b"other"[..]), ("data", &noise(6, 1 << 20))]));
    let expected = |code: &TempDir| {
        let to = format!("oci:{}:1", lbuild.text("expected"));
        Lbuild::new().push(
            code.path(),
            &["--base", &tiny_base(), "--arch", "arm64", "--format", "docker", "--to", &to],
        )
    };
    let expected = [expected(&same), expected(&other)];
    let children: Vec<_> = (0..6)
        .map(|n| {
            let code = [&same, &other][n % 2];
            let to = format!("{}/function-{}:{n}", registry.host(), n % 3);
            start(&lbuild, &arguments(code.path(), &tiny_base(), &to))
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let done = RunOutput::of(child.wait_with_output().unwrap()).succeeded();
        assert_eq!(done.digest(), expected[n % 2]);
    }
    nothing_is_left_over(&lbuild.cache());
    for n in 0..6 {
        image_tools::umoci_unpack(&ImageLocation::registry(&registry, &format!("function-{}:{n}", n % 3)))
            .unwrap();
    }
}

#[test]
fn builds_at_the_same_time_share_one_layout() {
    for _ in 0..3 {
        let (lbuild, code) = (Lbuild::new(), code());
        let children: Vec<_> = (0..6)
            .map(|n| {
                let to = format!("oci:{}:{n}", lbuild.text("layout"));
                let mut all = arguments(code.path(), &tiny_base(), &to);
                all.extend(["--label".to_owned(), format!("n={n}")]);
                start(&lbuild, &all)
            })
            .collect();
        for child in children {
            RunOutput::of(child.wait_with_output().unwrap()).succeeded();
        }
        for n in 0..6 {
            let (_, config) = image_of(&lbuild.path("layout"), &n.to_string(), "");
            assert_eq!(config["config"]["Labels"]["n"], n.to_string());
        }
        nothing_is_left_over(&lbuild.path("layout"));
    }
}

/// Applies `change` to every file below a directory of the cache.
fn damage(dir: &Path, change: impl Fn(&mut Vec<u8>)) {
    for name in files(dir).keys() {
        let mut bytes = std::fs::read(dir.join(name)).unwrap();
        change(&mut bytes);
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn a_damaged_cache_is_repaired() {
    let source = Registry::start(Mode::Plain);
    bases::seed(&source, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let (lbuild, code) = (Lbuild::new(), code());
    let base = format!("{}/lambda/python:3.12", source.host());
    let push = |registry: &Registry| {
        lbuild.ok(&arguments(code.path(), &base, &format!("{}/function:1", registry.host()))).digest()
    };
    let expected = push(&Registry::start(Mode::Plain));
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let changes: [(&str, Change<'_>); 7] = [
        ("blobs", &flip),
        ("blobs", &|bytes| bytes.truncate(bytes.len() / 2)),
        ("blobs", &|bytes| bytes.push(0)),
        ("keys", &|bytes| bytes.clear()),
        ("keys", &|bytes| *bytes = b"not JSON".to_vec()),
        ("stat", &|bytes| bytes.clear()),
        ("stat", &|bytes| *bytes = noise(7, 1000)),
    ];
    for (n, (part, change)) in changes.into_iter().enumerate() {
        damage(&lbuild.cache().join(part), change);
        let registry = Registry::start(Mode::Plain);
        assert_eq!(push(&registry), expected, "{n} {part}");
        let location = ImageLocation::registry(&registry, "function:1");
        assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], expected);
        image_tools::umoci_unpack(&location).unwrap_or_else(|error| panic!("{n} {part}: {error}"));
    }
    // layouts and archives get intact layers as well
    for to in ["oci", "docker-archive"] {
        damage(&lbuild.cache().join("blobs"), flip);
        lbuild.ok(&arguments(code.path(), &base, &format!("{to}:{}", lbuild.text(to))));
    }
    let tag = lbuild.layout("tagged", code.path(), &[]);
    image_tools::umoci_unpack(&ImageLocation::layout(&tag, "it")).unwrap();
}

/// A push sends the checked image or fails: a layer damaged after the check is made again and must be the same.
#[test]
fn a_layer_that_is_damaged_after_the_check_is_made_again_the_same_or_not_sent() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let code = function(&[("app.py", "def handler(event, context): return 1")]);
    let plan = ["plan", code.path().to_str().unwrap(), "--base", &tiny_base(), "--arch", "arm64"];
    let recipe: Recipe = serde_json::from_str(&lbuild.ok(&plan).stdout).unwrap();
    let engine = Engine::builder().cache(lbuild.cache()).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (tag, changed) in [("same", false), ("changed", true)] {
        let repository = format!("{}/{tag}", registry.host()).parse().unwrap();
        let to = [(Destination::Registry { repository, tags: vec![tag.to_owned()] }, Format::Docker)];
        let (digest, sent) = runtime.block_on(async {
            let prepared = engine.prepare(&recipe, &to).await.unwrap();
            let layer = prepared.image().layers().last().unwrap().blob.digest.hex();
            let digest = prepared.image().manifest(Format::Docker).digest;
            let blob = lbuild.cache().join("blobs/sha256").join(layer);
            let size = fs::metadata(&blob).unwrap().len();
            fs::write(&blob, vec![0; size as usize]).unwrap();
            if changed {
                fs::write(code.path().join("app.py"), "def handler(event, context): return 22").unwrap();
            }
            (digest, prepared.send().await)
        });
        match sent {
            Ok(published) => assert!(!changed && published[0].digest == digest, "{published:?}"),
            Err(Error::Rebuilt { was, now }) => assert!(changed && was == digest && now != digest),
            Err(error) => panic!("{tag}: {error}"),
        }
        let location = ImageLocation::registry(&registry, &format!("{tag}:{tag}"));
        assert_eq!(image_tools::skopeo_inspect(&location).is_err(), changed);
    }
}
