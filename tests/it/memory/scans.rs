//! Memory of the commands that read layers does not grow with an image beyond the limit for scans.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::Write;

use crate::support::image_builder::{self, GZIP, Layer, Tar, gzip};
use crate::support::lbuild::Lbuild;
use crate::support::run;

/// The limit for every image, in KiB.
const LIMIT: u64 = 300 << 10;

/// The memory of the process without an image, in KiB: an unoptimised build has 24 MB.
const PROCESS: u64 = 32 << 10;

const MEASURED: &str = r#"
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"code": done.returncode, "peak": peak, "err": done.stderr[:2000]}))
"#;

#[derive(Debug, Deserialize)]
struct Measured {
    code: i32,
    /// Peak memory, in KiB.
    peak: u64,
    err: String,
}

/// Runs lbuild with these words.
fn measured(lbuild: &Lbuild, words: &[&str]) -> Measured {
    let output = run(&mut lbuild.wrapped(&["python3", "-c", MEASURED], words)).unwrap();
    let measured: Measured = serde_json::from_str(&output).unwrap();
    eprintln!("{}: {} KiB, code {}", words[..2].join(" "), measured.peak, measured.code);
    measured
}

/// A layer of empty files.
fn files(names: impl Iterator<Item = String>) -> Layer {
    let (mut gzip, mut hash) = (GzEncoder::new(Vec::new(), Compression::fast()), Sha256::new());
    let mut put = |bytes: &[u8]| {
        hash.update(bytes);
        gzip.write_all(bytes).unwrap();
    };
    names.for_each(|name| put(&Tar::new().file(&name, 0o644, "").unended()));
    put(&[0; 1024]);
    let diff_id =
        format!("sha256:{}", hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Layer { stored: gzip.finish().unwrap(), media_type: GZIP, diff_id }
}

fn image(lbuild: &Lbuild, name: &str, layers: &[Layer]) -> String {
    image_builder::image(&lbuild.path(name), layers, |config, _| {
        config["config"] = json!({ "Entrypoint": ["/entry"] });
    })
}

#[test]
fn a_quarter_million_files_take_their_share_of_the_limit() {
    const FILES: u64 = 250_000;
    let lbuild = Lbuild::new();
    let image = image(&lbuild, "image", &[files((0..FILES).map(|number| format!("f{number:08}")))]);
    for words in
        [&["check", &image][..], &["inspect", &image, "--tree"], &["inspect", &image, "--tree", "--json"]]
    {
        for cached in [false, true] {
            let measured = measured(&lbuild, words);
            assert_eq!(measured.code, 0, "{}", measured.err);
            // A million files fit into the limit.
            let most = PROCESS + FILES * 220 / 1024;
            assert!(measured.peak < most, "{words:?}, cached: {cached}: {} KiB", measured.peak);
        }
    }
}

#[test]
fn two_images_of_a_hundred_layers_are_compared_within_their_share_of_the_limit() {
    const FILES: u64 = 1000;
    let lbuild = Lbuild::new();
    let layers = |name: &str| {
        let layer = |layer: u64| {
            let dir = format!("var/task/node_modules/package-{layer:03}/{name}/lib");
            files((0..FILES).map(move |number| format!("{dir}/module-{number:08}.js")))
        };
        (0..100).map(layer).collect::<Vec<_>>()
    };
    let [from, to] = ["from", "to"].map(|name| image(&lbuild, name, &layers(name)));
    let checked = measured(&lbuild, &["check", &from]);
    let (one, both) = (PROCESS + 100 * FILES * 260 / 1024, PROCESS + 200 * FILES * 230 / 1024);
    assert!(checked.code == 8 && checked.peak < one, "{checked:?}");
    for words in [&["diff", &from, &to][..], &["diff", &from, &to, "--json"]] {
        let measured = measured(&lbuild, words);
        assert!(measured.code == 0 && measured.peak < both, "{words:?}: {measured:?}");
    }
}

#[test]
fn names_up_to_the_limit_are_read_and_more_are_refused() {
    let lbuild = Lbuild::new();
    let member = gzip(&Tar::new().pax("path", &"n".repeat(8000)).file("f", 0o644, "").unended());
    let named = |name: &str, count: usize| {
        // Different diff ids, so that diff reads the layers.
        let layer = Layer::of(member.repeat(count), GZIP, name.as_bytes());
        image(&lbuild, name, &[layer])
    };
    let (fits, beyond, good) = (named("fits", 31_000), named("beyond", 32_500), named("good", 1));
    for words in [&["check", &fits][..], &["diff", &good, &fits]] {
        let measured = measured(&lbuild, words);
        assert!([0, 8].contains(&measured.code) && measured.peak < LIMIT, "{words:?}: {measured:?}");
        assert!(measured.peak > LIMIT / 2, "the limit is not reached: {measured:?}");
    }
    for words in [&["inspect", &beyond, "--tree"][..], &["check", &beyond]] {
        let measured = measured(&lbuild, words);
        assert!(measured.code == 4 && measured.peak < LIMIT, "{words:?}: {measured:?}");
        for part in ["layer sha256:", &*beyond, "need more than 248 MiB of memory", "hint: exclude files"] {
            assert!(measured.err.contains(part), "no {part:?} in {}", measured.err);
        }
    }
}
