//! An image with an interpreter, pip and packages; its files in a directory, in which the real programs run; and an index.

use super::tree::{self, Tree};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, function, image_of};
use crate::support::{bases, layers, part, run, tool};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub struct World {
    pub index: Index,
    lbuild: Lbuild,
    /// The files of the image, and a directory beside it for each run.
    place: TempDir,
    lower: Tree,
    /// The number of layers of the image.
    layers: usize,
    context: TempDir,
    runs: AtomicUsize,
    _wheels: TempDir,
}

/// The variables of the image. The working directory is that of a function.
const VARIABLES: [(&str, &str); 5] = [
    ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin:/bin"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("FUNCTION_DIR", "/function"),
    ("SPEC", "jmespath>=1 , <2"),
    ("NAMES", "idna certifi"),
];

/// The packages of the image, as AWS's images have boto3 and what it needs.
const PRESENT: &str = "aaa==1.0 bbb==1.0";

/// Files of the build context. `INDEX` is the address of the index.
const FILES: [(&str, &str); 9] = [
    ("requirements.txt", "jmespath\nidna>=3 # names\n\nbbb<3\n"),
    ("pinned.txt", "jmespath==1.1.0\ncertifi==2026.10.18\n"),
    ("deep/all.txt", "-r parts/more.txt\n-c ../limits.txt\nidna\n"),
    ("deep/parts/more.txt", "ccc\n"),
    ("limits.txt", "bbb<3\nidna<4\n"),
    ("empty.txt", "# nothing\n"),
    ("indexed.txt", "--index-url http://INDEX/simple/\nidna\n"),
    (
        "markers.txt",
        "idna; python_version >= '3.8'\npackaging; sys_platform == 'win32'\nrequests>2 ; python_version > \"3\"\n",
    ),
    ("local/setup.cfg", "[metadata]\nname = local\nversion = 1\n[options]\npy_modules = local\n"),
];

const WHEELS: &str = r#"
import sys, zipfile, hashlib, base64
def wheel(name, version, files, requires=(), entry="", extras=()):
    info = f"{name}-{version}.dist-info"
    files = {**files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {other}\n" for other in requires)
            + "".join(f"Provides-Extra: {extra}\n" for extra in extras),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if entry:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{entry}\n"
    sum = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    files[f"{info}/RECORD"] = "".join(f"{path},sha256={sum(text)},{len(text)}\n" for path, text in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
wheel("aaa", "1.0", {"aaa/__init__.py": "1", "aaa/old/gone.py": "", f"aaa-1.0.data/data/share/aaa/old.txt": "o"}, ["bbb>=1"], "aaa-old = aaa:old\naaa-run = aaa:run")
wheel("aaa", "2.0", {"aaa/__init__.py": "2", "aaa/new.py": ""}, ["bbb>=2"], "aaa-run = aaa:run")
for version in ["1.0", "2.0", "3.0"]:
    wheel("bbb", version, {"bbb.py": version})
wheel("ccc", "1.0", {"ccc.py": ""}, ["bbb"])
wheel("ddd", "1.0", {"ddd/a.py": "", "ddd/b.txt": "b"}, ["aaa>=2; extra == 'two'", "ccc"], extras=["two"])
wheel("eee", "1.0", {"eee.py": ""})
wheel("eee", "2.0rc1", {"eee.py": "rc"})
"#;

impl World {
    pub fn new() -> World {
        let wheels = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(part("packages/index")).unwrap() {
            let path = entry.unwrap().path();
            symlink(&path, wheels.path().join(path.file_name().unwrap())).unwrap();
        }
        run(Command::new(tool("python3")).args(["-c", WHEELS]).arg(wheels.path())).unwrap();
        let index = Index::of(wheels.path(), IndexBehaviour::default());
        let mut lbuild = Lbuild::new();
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            lbuild.set(name, &index.url());
        }
        let context = function(&FILES.map(|(name, text)| (name, text.replace("INDEX", &index.host()))));
        fs::create_dir(context.path().join("wheels")).unwrap();
        for name in ["aaa-2.0", "ddd-1.0"] {
            let name = format!("{name}-py3-none-any.whl");
            fs::copy(wheels.path().join(&name), context.path().join("wheels").join(&name)).unwrap();
        }
        add_pip(&context.path().join("pip"));
        let place = tempfile::tempdir().unwrap();
        let (runs, lower) = (AtomicUsize::new(0), Tree::new());
        let mut world = World { index, lbuild, place, lower, layers: 0, context, runs, _wheels: wheels };
        world.base();
        world
    }

    /// Builds the image, and unpacks it.
    fn base(&mut self) {
        let variables: String =
            VARIABLES.iter().map(|(name, value)| format!("ENV {name}=\"{value}\"\n")).collect();
        let dockerfile = format!(
            "FROM original\n{variables}COPY pip/packages /usr/local/lib/python3.11/dist-packages/\nCOPY pip/bin /var/lang/bin/
RUN rm /usr/lib/python3.11/EXTERNALLY-MANAGED && mkdir -p /usr/local/share && ln -s python3 /var/lang/bin/python
RUN pip install {PRESENT}\n"
        );
        let original = format!("original=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
        self.build(&dockerfile, &original, "base").unwrap();
        let blobs = layers::blobs(&self.lbuild.path("base"), "1", "amd64");
        self.layers = blobs.len();
        let root = self.root();
        fs::create_dir(&root).unwrap();
        for blob in &blobs {
            let tar = tempfile::NamedTempFile::new().unwrap();
            fs::write(tar.path(), layers::inflate(blob)).unwrap();
            let names = ["--exclude=.wh.*", "--numeric-owner", "-xpf"];
            run(Command::new(tool("tar")).args(names).arg(tar.path()).arg("-C").arg(&root)).unwrap();
        }
        fs::remove_file(root.join("usr/lib/python3.11/EXTERNALLY-MANAGED")).unwrap();
        // The program is large, and only the real lines need it.
        self.lower = tree::of_directory(&root, None);
        fs::copy(part("packages/only/uv/uv"), root.join("usr/local/bin/uv")).unwrap();
        for (name, minor) in [("null", "3"), ("urandom", "9")] {
            let mut device = as_root("mknod");
            let made = run(device.arg("-m666").arg(root.join("dev").join(name)).args(["c", "1", minor]));
            if made.is_err() {
                fs::write(root.join("dev").join(name), "").unwrap();
            }
        }
        // Bytecode of pip and of what it imports, which each run would compile again.
        for line in [
            "pip install --dry-run idna",
            "pip install -q jmespath && pip uninstall -q -y jmespath",
            "rm -rf /root/.cache",
        ] {
            let (code, stderr) = self.run_in(&root, line);
            assert_eq!(code, 0, "{line}: {stderr}");
        }
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    fn build(&self, dockerfile: &str, context: &str, out: &str) -> Result<(), String> {
        let file = self.lbuild.path(&format!("Dockerfile.{out}"));
        fs::write(&file, dockerfile).unwrap();
        let (path, file) = (self.context.path().to_str().unwrap(), file.to_str().unwrap());
        let to = format!("oci:{}:1", self.lbuild.text(out));
        let arguments = [
            "build",
            "--run-mode",
            "none",
            path,
            "-f",
            file,
            "--arch",
            "amd64",
            "--build-context",
            context,
            "--to",
            &to,
            "--no-check",
        ];
        let done = self.lbuild.run(&arguments);
        (done.code == Some(0)).then_some(()).ok_or(done.stderr)
    }

    /// What lbuild leaves after a line.
    pub fn built(&self, line: &str) -> Result<Tree, String> {
        let out = format!("out{}", self.runs.fetch_add(1, Ordering::Relaxed));
        let base = format!("base=oci:{}:1", self.lbuild.text("base"));
        let files = FILES.map(|(name, _)| name.split('/').next().unwrap()).join(" ");
        let dockerfile = format!("FROM base\nCOPY --parents {files} wheels ./\nRUN {line}\n");
        self.build(&dockerfile, &base, &out)?;
        let layout = self.lbuild.path(&out);
        let (manifest, _) = image_of(&layout, "1", "amd64");
        let own = manifest["layers"].as_array().unwrap().iter().skip(self.layers);
        let blobs: Vec<Vec<u8>> = own
            .map(|layer| fs::read(bases::blob(&layout, layer["digest"].as_str().unwrap())).unwrap())
            .collect();
        let tree = tree::of_layers(&self.lower, blobs.iter());
        fs::remove_dir_all(&layout).unwrap();
        Ok(tree)
    }

    /// What the real programs leave after a line.
    pub fn real(&self, line: &str) -> Result<Tree, String> {
        let root = self.root();
        self.ran(line, |dir| {
            let mut tree = tree::of_directory(dir, Some((&root, &self.lower)));
            tree.remove("usr/local/bin/uv");
            tree
        })
    }

    /// The files that the real programs leave, with all that lbuild leaves out.
    pub fn left_over(&self, line: &str) -> Result<Vec<String>, String> {
        let list = |dir: &Path| {
            let names = run(as_root("find").args([".", "-type", "f", "-printf", "%P\\n"]).current_dir(dir));
            names.unwrap().lines().map(str::to_owned).collect()
        };
        self.ran(line, list)
    }

    /// Runs a line in a copy of the image's files, and looks at it.
    fn ran<T>(&self, line: &str, look: impl Fn(&Path) -> T) -> Result<T, String> {
        let dir = self.place.path().join(format!("run{}", self.runs.fetch_add(1, Ordering::Relaxed)));
        // Installers replace files, and change none in its place.
        run(as_root("cp").arg("-al").arg(self.root()).arg(&dir)).unwrap();
        let task = dir.join("var/task");
        let context = self.context.path().join(".");
        run(as_root("cp").args(["-r", "--no-preserve=mode"]).arg(context).arg(&task)).unwrap();
        run(as_root("rm").arg("-r").arg(task.join("pip"))).unwrap();
        let (code, stderr) = self.run_in(&dir, line);
        let found = look(&dir);
        run(as_root("rm").arg("-r").arg(&dir)).unwrap();
        if code == 0 { Ok(found) } else { Err(format!("the real program fails: {code} {stderr}")) }
    }

    fn run_in(&self, root: &Path, line: &str) -> (i32, String) {
        let mut command = as_root("timeout");
        command.arg("120").arg(tool("chroot")).arg(root).args([
            "/bin/sh",
            "-c",
            "umask 022; cd /var/task; exec /bin/sh -c \"$0\"",
            line,
        ]);
        command.env_clear().env("HOME", "/root").envs(VARIABLES);
        command.env("PIP_INDEX_URL", self.index.url()).env("UV_DEFAULT_INDEX", self.index.url());
        command
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("UV_LINK_MODE", "copy");
        let done = command.output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// The files that all runs share are those of the image still.
    pub fn check(&self) {
        let mut now = tree::of_directory(&self.root(), None);
        now.remove("usr/local/bin/uv");
        let changed = tree::difference(&now, &self.lower);
        assert!(changed.is_empty(), "a run has changed files of the image:\n{changed}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = run(as_root("rm").arg("-rf").arg(self.root()));
    }
}

/// A program of this machine as root, perhaps of a user namespace.
fn as_root(program: &str) -> Command {
    if rustix::process::getuid().is_root() {
        return Command::new(tool(program));
    }
    let mut command = Command::new(tool("unshare"));
    command.arg("--map-root-user").arg(tool(program));
    command
}

/// The pip of the tests, as an image has it.
fn add_pip(dir: &Path) {
    let packages = dir.join("packages");
    fs::create_dir_all(&packages).unwrap();
    fs::create_dir(dir.join("bin")).unwrap();
    let site = part("packages/clients/lib/python3.11/site-packages");
    for entry in fs::read_dir(site).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("pip") {
            run(Command::new(tool("cp")).arg("-r").arg(&path).arg(&packages)).unwrap();
        }
    }
    for name in ["pip", "pip3", "pip3.11"] {
        let script = "#!/var/lang/bin/python3.11\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n";
        let path = dir.join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}
