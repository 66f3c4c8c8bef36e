//! Function zips and layer zips, as Python's zipfile makes them: the image equals that of the zipped directory.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::layers::{self, Member};
use crate::support::lbuild::{Lbuild, files, function, image_of, noise, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{run, tool};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Zips a directory: `FORM` is a method and level, or the name of an unusual feature.
const ZIP: &str = r#"
import io, os, stat, struct, sys, zipfile, zlib
root, out, form = sys.argv[1:4]
method, _, level = form.partition("-")
methods = {"stored": 0, "bzip2": 12, "lzma": 14}

class Pipe(io.RawIOBase):
    "a stream that cannot seek: sizes and checksums follow the data"
    def __init__(self, file): self.file = file
    def writable(self): return True
    def seekable(self): return False
    def write(self, data): return self.file.write(data)

class Blocks:
    "many blocks, and a last one that holds nothing"
    def __init__(self): self.z = zlib.compressobj(6, zlib.DEFLATED, -15)
    def compress(self, data):
        out = b""
        for at in range(0, len(data), 1000):
            out += self.z.compress(data[at:at + 1000]) + self.z.flush(zlib.Z_PARTIAL_FLUSH)
        return out
    def flush(self): return self.z.flush(zlib.Z_SYNC_FLUSH) + self.z.flush(zlib.Z_FINISH)

if method == "blocks":
    zipfile._get_compressor = lambda method, level=None: Blocks() if method == 8 else None
with open(out, "wb") as file:
    with zipfile.ZipFile(Pipe(file) if method == "pipe" else file, "w",
                         methods.get(method, 8), compresslevel=int(level or 6)) as archive:
        for directory, names, found in os.walk(root):
            for name in sorted(found + [n + "/" for n in names]):
                path = os.path.join(directory, name)
                info = zipfile.ZipInfo(os.path.relpath(path, root) + ("/" if name[-1] == "/" else ""))
                info.external_attr = os.lstat(path.rstrip("/")).st_mode << 16
                info.compress_type, info._compresslevel = archive.compression, archive.compresslevel
                if stat.S_ISLNK(info.external_attr >> 16):
                    archive.writestr(info, os.readlink(path))
                elif name[-1] == "/":
                    archive.writestr(info, b"", 0)
                else:
                    with open(path, "rb") as content, archive.open(info, "w", force_zip64=method == "zip64") as member:
                        member.write(content.read())
"#;

/// Reads a gzip as Python does: one member, and nothing after it.
const GZIP: &str = r#"
import sys, zlib
data = open(sys.argv[1], "rb").read()
z = zlib.decompressobj(31)
content = z.decompress(data) + z.flush()
assert z.eof and not z.unused_data and not z.unconsumed_tail and content, "not one gzip member"
"#;

fn zipped(directory: &Path, to: &Path, form: &str) {
    run(Command::new(tool("python3")).args(["-c", ZIP]).args([directory, to]).arg(form)).unwrap();
}

/// A function with files just below and above each size limit of the splicer.
fn code() -> TempDir {
    let text = "def handler(event, context):\n    return event\n".repeat(20_000).into_bytes();
    let half: Vec<u8> = noise(5, 700_000).into_iter().map(|byte| byte & 0x0f).collect();
    let app = b"def handler(event, context):\n    return event\n".to_vec();
    let mut contents = vec![
        ("app.py".to_owned(), app),
        ("bootstrap*".to_owned(), b"#!/bin/sh\n".to_vec()),
        ("data/empty".to_owned(), Vec::new()),
        ("data/noise.bin".to_owned(), noise(4, 300_000)),
        ("data/half.bin".to_owned(), half),
        ("data/text.txt".to_owned(), text),
        ("data/naïve".to_owned(), b"a name".to_vec()),
        ("data/zeros".to_owned(), vec![0; 3_000_000]),
    ];
    contents.extend((0..150).map(|n| {
        let content = noise(n, (n * n * 3) as usize).iter().map(|byte| byte & 0x3f).collect();
        (format!("pkg/{}/m{n}.py", n % 7), content)
    }));
    let code = function(&contents.iter().map(|(name, content)| (name.as_str(), content)).collect::<Vec<_>>());
    symlink("../app.py", code.path().join("data/link")).unwrap();
    std::fs::create_dir(code.path().join("hollow")).unwrap();
    code
}

/// The top layer: its bytes and its tar members.
fn layer(layout: &Path) -> (Vec<u8>, Vec<Member>) {
    let blob = layers::blobs(layout, "it", "").pop().unwrap();
    let members = layers::members(&blob);
    (blob, members)
}

fn one_gzip_member(blob: &[u8]) {
    let mut file = tempfile::Builder::new().suffix(".gz").tempfile().unwrap();
    file.write_all(blob).unwrap();
    run(Command::new(tool("gzip")).arg("--test").arg(file.path())).unwrap();
    run(Command::new(tool("python3")).args(["-c", GZIP]).arg(file.path())).unwrap();
}

#[test]
fn every_zip_gives_the_layer_of_its_directory() {
    let (lbuild, code) = (Lbuild::new(), code());
    let (_, expected) = layer(&lbuild.layout("directory", code.path(), &[]));
    assert!(expected.len() > 160 && expected.iter().any(|member| member.link.is_some()));
    let forms = ["stored", "deflated-1", "deflated-6", "deflated-9", "deflated-0", "pipe", "zip64", "blocks"];
    for form in forms {
        let zip = lbuild.path(&format!("{form}.zip"));
        zipped(code.path(), &zip, form);
        let (blob, found) = layer(&lbuild.layout(form, &zip, &[]));
        assert!(found == expected, "{form}: other files than those of the directory");
        one_gzip_member(&blob);
        if form == "deflated-9" {
            let size = std::fs::metadata(&zip).unwrap().len();
            assert!((blob.len() as u64) < size * 104 / 100, "{} of {size} bytes", blob.len());
        }
    }
    // a zip with bytes before it is not recognised as a zip, so it is packed as a file
    let whole = std::fs::read(lbuild.path("pipe.zip")).unwrap();
    std::fs::write(lbuild.path("tool"), [b"#!/bin/sh\n", &whole[..]].concat()).unwrap();
    let (_, found) = layer(&lbuild.layout("tool-image", &lbuild.path("tool"), &[]));
    assert_eq!(found.last().unwrap().path, "var/task/tool");
}

#[test]
fn every_tool_accepts_the_spliced_layer() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    let zip = lbuild.path("function.zip");
    zipped(code.path(), &zip, "deflated-6");
    let base = crate::support::bases::push(&registry, "docker-list", "lambda/python", "3.11");
    let to = format!("{}/team/zipped:v1", registry.host());
    lbuild.push(&zip, &["--base", &base, "--arch", "amd64", "--to", &to, "--handler", "app.handler"]);
    let location = ImageLocation::registry(&registry, "team/zipped:v1");
    image_tools::lambda_importer(&location).unwrap();
    let unpacked = image_tools::umoci_unpack(&location).unwrap();
    let task = unpacked.rootfs().join("var/task");
    assert!(files(&task) == files(code.path()), "umoci unpacks other files");
    assert_eq!(std::fs::read_link(task.join("data/link")).unwrap(), Path::new("../app.py"));
    let script = "stat -c '%a %u %g %Y' app.py bootstrap hollow; wc -c < data/zeros; head -n 1 data/link";
    let said = image_tools::podman_run(&location, &["--entrypoint=/bin/sh"], &["-c", script]).unwrap();
    let expected =
        "644 0 0 315532800\n755 0 0 315532800\n755 0 0 315532800\n3000000\ndef handler(event, context):\n";
    assert_eq!(said, expected);
    let copy = tempfile::tempdir().unwrap();
    image_tools::skopeo_copy(&location, &format!("docker-archive:{}", copy.path().join("image").display()))
        .unwrap();
}

/// Builds with these arguments; returns the files of the layout, and the output line of the layer.
fn built(lbuild: &Lbuild, zip: &Path, more: &[&str]) -> (BTreeMap<String, Vec<u8>>, String) {
    let (base, to) = (tiny_base(), format!("oci:{}:it", lbuild.text("image")));
    let _ = std::fs::remove_dir_all(lbuild.path("image"));
    let zip = zip.to_str().unwrap();
    let arguments = [&["push", zip, "--base", &base, "--arch", "arm64", "--to", &to][..], more].concat();
    let said = lbuild.ok(&arguments).stderr;
    let line = said.lines().find(|line| line.starts_with("layer")).unwrap_or_default().to_owned();
    (files(&lbuild.path("image")), line)
}

#[test]
fn the_same_zip_gives_the_same_digest() {
    let (lbuild, code) = (Lbuild::new(), code());
    let zip = lbuild.path("function.zip");
    zipped(code.path(), &zip, "deflated-6");
    let (expected, said) = built(&lbuild, &zip, &["--jobs", "1"]);
    assert!(said.ends_with("made"), "{said}");
    for jobs in ["2", "8"] {
        let (found, said) = built(&Lbuild::new(), &zip, &["--jobs", jobs]);
        assert!(found == expected && said.ends_with("made"), "{jobs} jobs: {said}");
    }
    let (found, said) = built(&lbuild, &zip, &[]);
    assert!(found == expected && said.ends_with("unchanged"), "{said}");
    // the same zip with another name and another modification time
    let other = lbuild.path("other.zip");
    std::fs::copy(&zip, &other).unwrap();
    let (found, said) = built(&lbuild, &other, &[]);
    assert!(found == expected && said.ends_with("unchanged"), "{said}");
    // the same files at another compression level: another layer with the same tar
    zipped(code.path(), &zip, "deflated-1");
    let (_, said) = built(&lbuild, &zip, &[]);
    assert!(said.ends_with("made"), "{said}");
    let (_, config) = image_of(&lbuild.path("image"), "it", "arm64");
    let name = config["rootfs"]["diff_ids"].as_array().unwrap().last().unwrap().clone();
    let again = Lbuild::new();
    let (_, before) = image_of(&again.layout("image", &other, &[]), "it", "arm64");
    assert_eq!(before["rootfs"]["diff_ids"].as_array().unwrap().last().unwrap(), &name);
}

#[test]
fn the_zip_of_a_layer_goes_to_opt() {
    let lbuild = Lbuild::new();
    let (code, deps) = (function(&[("app.py", "code")]), function(&[("python/boto/__init__.py", "dep")]));
    let layer = lbuild.path("layer.zip");
    zipped(deps.path(), &layer, "deflated-6");
    let layer = layer.to_str().unwrap();
    let placed = |lbuild: &Lbuild, name: &str, path: &Path, more: &[&str]| {
        let blobs = layers::blobs(&lbuild.layout(name, path, more), "it", "arm64");
        let paths = |blob: &Vec<u8>| layers::files(blob).into_iter().map(|(path, _)| path);
        blobs[2..].iter().flat_map(paths).collect::<Vec<_>>()
    };
    let moved = format!("{layer}:/srv/deps");
    let added = format!("{layer}:/opt/kept.zip");
    let flags = ["--deps", layer, "--deps", &moved, "--add", &added];
    let expected = [
        "opt/python/boto/__init__.py",
        "srv/deps/python/boto/__init__.py",
        "var/task/app.py",
        "opt/kept.zip",
    ];
    assert_eq!(placed(&lbuild, "flags", code.path(), &flags), expected);

    let package = code.path().join("package.zip");
    zipped(deps.path(), &package, "stored");
    std::fs::write(code.path().join("lbuild.toml"), format!("path = 'package.zip'\ndeps = '{layer}'\n"))
        .unwrap();
    let expected = ["opt/python/boto/__init__.py", "var/task/python/boto/__init__.py"];
    assert_eq!(placed(&lbuild, "file", code.path(), &[]), expected);
    let plan = ["plan", code.path().to_str().unwrap(), "--base", "scratch", "--arch", "arm64"];
    let plan = lbuild.ok(&plan).stdout;
    let steps = &serde_json::from_str::<serde_json::Value>(&plan).unwrap()["stages"][0]["steps"];
    assert_eq!(steps[0]["add"]["source"]["zip"]["path"], layer);
    assert_eq!(steps[0]["add"]["to"], "/opt");
}

#[test]
fn the_handler_is_searched_in_the_zip() {
    let lbuild = Lbuild::new();
    let zip = lbuild.path("function.zip");
    zipped(function(&[("src/app.py", "def handler(event, context): pass")]).path(), &zip, "deflated-6");
    let arguments = |handler| {
        ["plan", zip.to_str().unwrap(), "--runtime", "python3.12", "--arch", "arm64", "--handler", handler]
    };
    let said = lbuild.run(&arguments("app.handler")).failed(3);
    assert!(said.contains("app.py") && said.contains("function.zip") && said.contains("hint:"), "{said}");
    // for an existing handler the error can only be about the base
    let said = lbuild.run(&arguments("src.app.handler")).stderr;
    assert!(!said.contains("app.py"), "{said}");
}

/// The offset of the data of a zip's only member.
fn data(zip: &[u8]) -> usize {
    30 + usize::from(zip[26]) + usize::from(zip[28])
}

#[test]
fn each_fault_of_a_zip_is_reported_once() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", noise(3, 20_000).iter().map(|byte| byte & 15).collect::<Vec<u8>>())]);
    let made = |form: &str| {
        zipped(code.path(), &lbuild.path("made.zip"), form);
        std::fs::read(lbuild.path("made.zip")).unwrap()
    };
    let good = made("deflated-6");
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let directory = good.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let corrupt = "error: `app.py` of function.zip is broken: ";
    let remake = "hint: recreate the archive without a password";
    let checksum = format!("{corrupt}its checksum is not the one in the archive");
    let cases: [(&str, Vec<u8>, &str, &str); 8] = [
        ("a corrupt member", changed(&|zip| zip[data(&good)] |= 6), corrupt, "unzip -t"),
        ("a corrupt byte", changed(&|zip| zip[data(&good) + 9000] ^= 1), corrupt, "unzip -t"),
        ("a wrong CRC", changed(&|zip| zip[directory + 16] ^= 1), &checksum, "unzip -t"),
        (
            "encrypted",
            changed(&|zip| {
                zip[6] |= 1;
                zip[directory + 8] |= 1;
            }),
            "error: `app.py` of function.zip is encrypted",
            remake,
        ),
        ("bzip2", made("bzip2"), "error: `app.py` of function.zip is compressed by method 12", remake),
        ("lzma", made("lzma"), "error: `app.py` of function.zip is compressed by method 14", remake),
        (
            "out of the tree",
            changed(&|zip| {
                for at in [30, directory + 46] {
                    zip[at..at + 6].copy_from_slice(b"../app");
                }
            }),
            "error: `../app` of function.zip cannot be unpacked: its name has a `..` in it",
            "zip -r",
        ),
        (
            "cut off",
            good[..good.len() - 30].to_vec(),
            "error: function.zip is not a readable zip archive: there is no directory at its end",
            "unzip -t",
        ),
    ];
    for (what, zip, message, hint) in cases {
        std::fs::write(lbuild.path("function.zip"), zip).unwrap();
        let to = format!("oci:{}", lbuild.text("image"));
        let said = lbuild
            .run(&["push", "function.zip", "--base", &tiny_base(), "--arch", "arm64", "--to", &to])
            .failed(3);
        let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].starts_with(message), "{what}: {said}");
        assert!(
            said.lines()
                .any(|line| line.starts_with("hint: ") && line.contains(hint.trim_start_matches("hint: "))),
            "{what}: {said}"
        );
        assert!(!lbuild.path("image/index.json").exists(), "{what}");
        let kept = files(&lbuild.cache()).into_keys().find(|name| name.starts_with("keys/"));
        assert_eq!(kept, None, "{what}: the cache has a layer");
    }
}
