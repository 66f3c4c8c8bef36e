//! What an execution environment starts: the image's program and its extensions, with the environment that Lambda gives
//! them.

use std::collections::BTreeMap;
use std::ffi::CString;

use super::settings::{FunctionNetwork, FunctionSettings, MOST_FILES, MOST_PROCESSES, VERSION};
use crate::error::{Error, Result};
use crate::image::Config;
use crate::rootfs::{
    Bind, BindSource, Index, Limits, Other, Process, Service, UnpackedImage, User, has_one_user,
};
use crate::tree::EntryKind;

/// The user and the group of functions in Lambda: no file of an image belongs to them.
pub(super) const USER: (u32, u32) = (993, 990);

/// The host name, which Lambda documents for the Extensions and Telemetry APIs.
pub(super) const HOST_NAME: &str = "sandbox.localdomain";

/// The port of the Runtime API in a network of the function's own, as in Lambda.
pub(super) const OWN_PORT: u16 = 9001;
/// The sockets for telemetry in a network of the function's own: one for each extension that Lambda allows.
pub(super) const SOCKETS: usize = 10;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where extensions are.
const EXTENSIONS: &[u8] = b"opt/extensions";

/// The runtime interface emulator, which entry points start outside of Lambda.
const EMULATOR: &str = "aws-lambda-rie";

/// What an image starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryPoint {
    /// Never empty.
    words: Vec<String>,
    /// The last word, by which a runtime finds the function.
    pub(super) handler: String,
}

impl EntryPoint {
    /// The entry point and the command of a config, without the emulator.
    pub(super) fn of(config: &Config) -> Result<EntryPoint> {
        let words: Vec<&str> = config.entrypoint().into_iter().chain(config.cmd()).collect();
        let is_emulator = |word: &str| word.rsplit('/').next() == Some(EMULATOR);
        let words = match words.first().is_some_and(|word| is_emulator(word)) {
            true => after_emulator(&words[1..]),
            false => &words[..],
        };
        let Some(last) = words.last() else {
            return Err(Error::NoEntryPoint);
        };
        let handler = (*last).to_owned();
        Ok(EntryPoint { words: words.iter().map(|word| (*word).to_owned()).collect(), handler })
    }

    /// The absolute paths at which the program may be.
    fn programs(&self, path: &str, directory: &str) -> Vec<String> {
        let program = &self.words[0];
        let below = |dir: &str| format!("{}/{program}", dir.trim_end_matches('/'));
        match (program.starts_with('/'), program.contains('/')) {
            (true, _) => vec![program.clone()],
            (false, true) => vec![below(directory)],
            (false, false) => path.split(':').filter(|dir| dir.starts_with('/')).map(below).collect(),
        }
    }
}

/// The words after the emulator's own flags, each of which has a value.
fn after_emulator<'w>(mut words: &'w [&'w str]) -> &'w [&'w str] {
    while let Some(flag) = words.first().filter(|word| word.starts_with('-')) {
        words = words.get(if flag.contains('=') { 1 } else { 2 }..).unwrap_or_default();
    }
    words
}

/// The names of the files in the image's directory of extensions.
pub(super) fn extensions(index: &Index) -> Vec<String> {
    let Some(dir) = index.resolve(EXTENSIONS) else { return Vec::new() };
    let start = dir.len() + 1;
    let names =
        index.below(&dir).filter(|(path, node)| !path[start..].contains(&b'/') && !node.is_directory());
    names.map(|(path, _)| String::from_utf8_lossy(&path[start..]).into_owned()).collect()
}

/// The extension that gives events to a web server of the image: Lambda Web Adapter.
const WEB_ADAPTER: &str = "lambda-adapter";

/// The port of the image's web server, if it has one.
pub(super) fn web_port(image: &UnpackedImage, settings: &FunctionSettings) -> Option<u16> {
    if !extensions(image.index()).iter().any(|name| name == WEB_ADAPTER) {
        return None;
    }
    let own =
        |name: &str| settings.variables.get(name).map(String::as_str).or_else(|| image.config().var(name));
    let port = ["AWS_LWA_PORT", "PORT"].into_iter().find_map(own).unwrap_or("8080");
    port.parse().ok()
}

/// Refuses to start a function whose port another process of this machine has.
pub(super) fn port_is_free(image: &UnpackedImage, settings: &FunctionSettings) -> Result<()> {
    let Some(port) = web_port(image, settings).filter(|_| settings.network == FunctionNetwork::Host) else {
        return Ok(());
    };
    match std::net::TcpListener::bind(("0.0.0.0", port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Error::PortTaken { port }),
        _ => Ok(()),
    }
}

/// The service of an execution environment. `api` is the address of the Runtime API.
pub(super) fn service(
    image: &UnpackedImage,
    entry: &EntryPoint,
    settings: &FunctionSettings,
    api: &str,
) -> Result<Service> {
    let config = image.config();
    let directory = config.workdir().filter(|dir| !dir.is_empty()).unwrap_or("/");
    let runtime = runtime_variables(config, entry, settings, api);
    let path = runtime.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let is_alone = settings.network == FunctionNetwork::None;
    let (uid, gid) = USER;
    let size = Some(u64::from(settings.ephemeral_storage) << 20);
    let tmp = Bind { source: BindSource::Memory { size }, target: "/tmp".to_owned(), writable: true };
    let first = Process {
        programs: texts(entry.programs(path, directory))?,
        arguments: texts(entry.words.clone())?,
        environment: lines(&runtime)?,
        directory: text(directory.to_owned())?,
        user: User { uid, gid, groups: Vec::new() },
        binds: unreadable(image).into_iter().chain([tmp]).collect(),
        files: Vec::new(),
        // Lambda has none, so that shared memory fails there.
        shared_memory: false,
        network: !is_alone,
        hostname: HOST_NAME.to_owned(),
    };
    let environment = lines(&extension_variables(runtime))?;
    let other = |name: String| {
        let program = text(format!("/{}/{name}", String::from_utf8_lossy(EXTENSIONS)))?;
        Ok(Other { program, environment: environment.clone() })
    };
    Ok(Service {
        first,
        others: extensions(image.index()).into_iter().map(other).collect::<Result<_>>()?,
        most_files: MOST_FILES,
        most_processes: MOST_PROCESSES,
        listens: is_alone.then_some((OWN_PORT, SOCKETS)),
    })
}

/// The limits of the control group of an execution environment, whose `/tmp` is in memory.
pub(super) fn limits(settings: &FunctionSettings) -> Limits {
    let megabytes = u64::from(settings.memory) + u64::from(settings.ephemeral_storage);
    Limits { memory: megabytes << 20, processes: MOST_PROCESSES }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn runtime_variables(
    config: &Config,
    entry: &EntryPoint,
    settings: &FunctionSettings,
    api: &str,
) -> BTreeMap<String, String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut all = BTreeMap::from([owned(("PATH", DEFAULT_PATH))]);
    let log_stream = "$LATEST";
    all.extend(
        [
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/Functions"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
            // A machine in EC2 would give a function the machine's own credentials.
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(owned),
    );
    all.extend(config.env().into_iter().map(owned));
    all.extend(settings.variables.clone());
    let memory = settings.memory.to_string();
    all.extend(
        [
            ("AWS_LAMBDA_FUNCTION_NAME", settings.name.as_str()),
            ("AWS_LAMBDA_FUNCTION_VERSION", VERSION),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_REGION", &settings.region),
            ("AWS_DEFAULT_REGION", &settings.region),
            ("_HANDLER", &entry.handler),
        ]
        .map(owned),
    );
    all
}

/// Extensions have those of the function but for the runtime's own.
fn extension_variables(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    all.retain(|name, _| !name.starts_with('_') && name != "AWS_XRAY_CONTEXT_MISSING");
    all
}

/// The most files of an image that are made unreadable.
const MOST_UNREADABLE: usize = 512;

/// Where every file belongs to the user that runs the function, its permissions for others would have no effect: what
/// Lambda's user cannot read gets something in its place that nobody can read. The index has the owners and permissions
/// of the image.
fn unreadable(image: &UnpackedImage) -> Vec<Bind> {
    if !has_one_user(image.way()) {
        return Vec::new();
    }
    let mut hidden: Vec<Vec<u8>> = Vec::new();
    for (path, node) in image.index().iter() {
        let is_below = |dir: &Vec<u8>| path.starts_with(dir) && path.get(dir.len()) == Some(&b'/');
        if path.is_empty() || hidden.len() == MOST_UNREADABLE || hidden.iter().any(is_below) {
            continue;
        }
        let (mode, (uid, gid)) = (node.entry.mode, (node.entry.uid, node.entry.gid));
        let bits = match (uid == u64::from(USER.0), gid == u64::from(USER.1)) {
            (true, _) => mode >> 6,
            (false, true) => mode >> 3,
            (false, false) => mode,
        };
        let needed = if node.is_directory() { 0o1 } else { 0o4 };
        let is_real = matches!(node.entry.kind, EntryKind::File(_) | EntryKind::Directory);
        if is_real && bits & needed == 0 {
            hidden.push(path.to_vec());
        }
    }
    let bind = |path: Vec<u8>| {
        let is_dir = image.index().is_directory(&path);
        let target = format!("/{}", String::from_utf8(path).ok()?);
        let source = if is_dir {
            BindSource::Closed
        } else {
            BindSource::File { content: Vec::new(), mode: 0, uid: 0, gid: 0 }
        };
        Some(Bind { source, target, writable: false })
    };
    hidden.into_iter().filter_map(bind).collect()
}

fn lines(variables: &BTreeMap<String, String>) -> Result<Vec<CString>> {
    texts(variables.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn texts(texts: Vec<String>) -> Result<Vec<CString>> {
    texts.into_iter().map(text).collect()
}

fn text(text: String) -> Result<CString> {
    let name = text.split('=').next().unwrap_or_default().to_owned();
    CString::new(text).map_err(|_| Error::NulCharacter { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, ConfigEdit, Image, Platform};

    fn config(entrypoint: &[&str], cmd: &[&str]) -> Config {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let edit = ConfigEdit { entrypoint: words(entrypoint), cmd: words(cmd), ..ConfigEdit::default() };
        Image::scratch(&Platform::linux(Arch::Amd64)).edit(&edit).config().clone()
    }

    #[test]
    fn the_emulator_is_not_started() {
        let python = ["python3", "-m", "awslambdaric", "app.handler"];
        for (entrypoint, cmd) in [
            (&python[..3], &python[3..]),
            (&["/usr/local/bin/aws-lambda-rie", "python3", "-m", "awslambdaric"], &["app.handler"]),
            (&["aws-lambda-rie", "--log-level", "debug", "python3", "-m", "awslambdaric"], &["app.handler"]),
            (&["aws-lambda-rie", "--log-level=debug", "python3", "-m", "awslambdaric"], &["app.handler"]),
        ] {
            let entry = EntryPoint::of(&config(entrypoint, cmd)).unwrap();
            assert_eq!(
                (&entry.words[..], entry.handler.as_str()),
                (&python.map(str::to_owned)[..], "app.handler")
            );
        }
        assert!(matches!(EntryPoint::of(&config(&[], &[])), Err(Error::NoEntryPoint)));
        assert!(matches!(EntryPoint::of(&config(&["aws-lambda-rie"], &[])), Err(Error::NoEntryPoint)));
    }

    #[test]
    fn a_program_is_looked_up_as_by_a_shell() {
        let programs =
            |word: &str| EntryPoint::of(&config(&[word], &[])).unwrap().programs("/a:/b/::c", "/work");
        assert_eq!(programs("/x/y"), ["/x/y"]);
        assert_eq!(programs("x/y"), ["/work/x/y"]);
        assert_eq!(programs("x"), ["/a/x", "/b/x"]);
    }

    #[test]
    fn lambda_decides_over_the_caller_and_the_caller_over_the_image() {
        let edit = ConfigEdit {
            env: [("A", "image"), ("B", "image"), ("AWS_REGION", "image")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            cmd: Some(vec!["app.handler".to_owned()]),
            ..ConfigEdit::default()
        };
        let image = Image::scratch(&Platform::linux(Arch::Amd64)).edit(&edit);
        let mut settings = FunctionSettings::default();
        settings.variables.insert("B".to_owned(), "own".to_owned());
        let entry = EntryPoint::of(image.config()).unwrap();
        let all = runtime_variables(image.config(), &entry, &settings, "127.0.0.1:9001");
        let expected =
            [("A", "image"), ("B", "own"), ("AWS_REGION", "us-east-1"), ("_HANDLER", "app.handler")];
        for (name, value) in expected {
            assert_eq!(all[name], value, "{name}");
        }
        let extensions = extension_variables(all);
        assert!(!extensions.contains_key("_HANDLER") && extensions["B"] == "own");
    }
}
