//! Hints for the errors of functions: the reason, if the image shows it, and a proposed fix.

use super::environment::Outcome;
use super::failure::Status;
use crate::rootfs::{Index, UnpackedImage};

/// Help with an invocation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// A proposed fix.
    pub hint: String,
    /// The file of the image that it is about.
    pub path: Option<String>,
}

/// Words of an error, and the hint for it.
type Rule = (&'static [&'static str], fn(&Case<'_>) -> Option<Advice>);

struct Case<'c> {
    /// The error, and the end of the log.
    text: &'c str,
    image: &'c UnpackedImage,
}

/// The first rule that fits decides.
const RULES: [Rule; 15] = [
    (&["Read-only file system", "EROFS"], read_only),
    (&["No space left on device", "ENOSPC"], |_| {
        hint(
            "/tmp is full: --ephemeral-storage gives it another size, as the setting of that name does in Lambda",
        )
    }),
    (&["invalid ELF header", "wrong ELF class", "xec format error", "cannot execute binary file"], |case| {
        let arch = &case.image.config().platform().architecture;
        let text = format!(
            "the image is for {arch}, and a file in it for another architecture: build or install its packages for {arch}; \
             `lbuild check` names the files"
        );
        Some(Advice { hint: text, path: path_in(case.text) })
    }),
    (&["version `GLIBC_", "version `GLIBCXX_"], |case| {
        let text = "a library was built on a newer system than the image's: build it on the image's base, or use a newer base";
        Some(Advice { hint: text.to_owned(), path: path_in(case.text) })
    }),
    (&["cannot open shared object file"], |_| {
        hint("a library needs another one that the image does not have: add the package that has it")
    }),
    (&["/dev/shm", "Function not implemented", "[Errno 38]"], |_| {
        hint(
            "Lambda has no shared memory, which multiprocessing.Pool, Queue and Lock need: use threads, or Process with Pipe",
        )
    }),
    (&["ermission denied", "EACCES"], permission),
    (
        &[
            "Unable to locate credentials",
            "NoCredentialsError",
            "Could not load credentials",
            "NoCredentialProviders",
        ],
        |_| hint("--with-credentials gives the function your AWS credentials; without, it has none"),
    ),
    (&["EADDRINUSE", "ddress already in use"], |_| {
        hint(
            "another process of this machine has the port: --network none gives each function a network of its own",
        )
    }),
    (&["EAI_AGAIN", "Temporary failure in name resolution", "ENETUNREACH", "Network is unreachable"], |_| {
        hint("with --network none, a function reaches no other machine")
    }),
    (&["No module named '"], |case| python_module(case)),
    (&["Cannot find module '", "Cannot find package '"], |case| node_module(case)),
    (&["HandlerNotFound", "missing on module", "is undefined or not exported"], |_| {
        hint("name a function of the module: --handler MODULE.FUNCTION, or CMD in the Dockerfile")
    }),
    // What the entry script of AWS's bases says without an argument.
    (&["exit status 142"], |_| {
        hint("the image names no handler: --handler MODULE.FUNCTION, or CMD in the Dockerfile")
    }),
    (&["its interpreter does not exist"], |_| {
        hint(
            "its first line names a program that the image does not have; an end of line with \\r is a part of that name",
        )
    }),
];

/// Help with an invocation that failed, if there is any.
pub fn advice(image: &UnpackedImage, outcome: &Outcome) -> Option<Advice> {
    match outcome.status {
        Status::Success => return None,
        Status::Timeout => {
            return hint(
                "--timeout gives the function more time; the default is that of Lambda's emulator, 300 s",
            );
        }
        Status::OutOfMemory => {
            return hint("--memory gives the function more memory, as its setting does in Lambda");
        }
        _ => {}
    }
    let error = String::from_utf8_lossy(&outcome.payload);
    // JSON has quotes and line ends escaped.
    let error = error.replace("\\\"", "\"").replace("\\n", "\n");
    let log = String::from_utf8_lossy(&outcome.log_tail);
    let texts = [error.as_str(), &log];
    texts.iter().find_map(|text| {
        let case = Case { text, image };
        RULES
            .iter()
            .filter(|(words, _)| words.iter().any(|word| text.contains(word)))
            .find_map(|(_, help)| help(&case))
    })
}

fn hint(text: &str) -> Option<Advice> {
    Some(Advice { hint: text.to_owned(), path: None })
}

fn read_only(case: &Case<'_>) -> Option<Advice> {
    let hint = "in Lambda, only /tmp can be written to: write there, or set HOME, XDG_CACHE_HOME and the like to a directory in it";
    Some(Advice { hint: hint.to_owned(), path: path_in(case.text) })
}

/// A path of the image that Lambda's user cannot use: itself, or a directory above it.
fn permission(case: &Case<'_>) -> Option<Advice> {
    let path = path_in(case.text)?;
    let index = case.image.index();
    let mut at = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at = format!("{at}/{part}");
        let Some(node) = index.resolve(&at.as_bytes()[1..]).and_then(|path| index.get(&path).cloned()) else {
            break;
        };
        let is_last = at == path;
        let needed = if !is_last || node.is_directory() { 0o5 } else { 0o4 };
        if node.entry.mode & needed != needed {
            let kind = if node.is_directory() { "directory" } else { "file" };
            let mode = node.entry.mode & 0o7777;
            let hint = format!(
                "the {kind} {at} has mode {mode:04o}: Lambda's user is not its owner, so that only the last digit counts; \
                 `chmod -R o+rX` in the Dockerfile, or on the source, mends it"
            );
            return Some(Advice { hint, path: Some(at) });
        }
        if is_last && !node.is_directory() && node.entry.mode & 0o1 == 0 && case.text.contains("exec") {
            let hint = format!("{at} is not executable: `chmod +x` mends it");
            return Some(Advice { hint, path: Some(at) });
        }
    }
    hint("Lambda's user owns no file of the image, and may write only in /tmp")
}

fn python_module(case: &Case<'_>) -> Option<Advice> {
    let name = between(case.text, "No module named '", '\'')?;
    let first = name.split('.').next()?;
    let found = find(case.image.index(), &[format!("{first}.py"), format!("{first}/__init__.py")]);
    let hint = match found {
        Some(path) => format!(
            "the image has /{path}, which Python does not look for there: PYTHONPATH and the handler decide"
        ),
        None => format!(
            "the image has no module {first}: add its package to the requirements, and build with --requirements or --lock, \
             or with RUN pip install in the Dockerfile"
        ),
    };
    Some(Advice { hint, path: None })
}

fn node_module(case: &Case<'_>) -> Option<Advice> {
    let name = between(case.text, "Cannot find module '", '\'')
        .or_else(|| between(case.text, "Cannot find package '", '\''))?;
    let hint = match name.starts_with(['.', '/']) {
        true => format!("the image has no file {name}: is it left out by an ignore file, or not compiled?"),
        false => format!(
            "the image has no package {name}: add it to dependencies in package.json, not only to devDependencies, and build \
             with --npm, or with RUN npm ci in the Dockerfile"
        ),
    };
    Some(Advice { hint, path: None })
}

/// A file of the image with one of these endings, below a directory.
fn find(index: &Index, endings: &[String]) -> Option<String> {
    let fits = |path: &&str| {
        endings.iter().any(|ending| path.strip_suffix(ending.as_str()).is_some_and(|dir| dir.ends_with('/')))
    };
    index.iter().filter_map(|(path, _)| std::str::from_utf8(path).ok()).find(fits).map(str::to_owned)
}

fn between<'t>(text: &'t str, start: &str, end: char) -> Option<&'t str> {
    let rest = &text[text.find(start)? + start.len()..];
    rest.find(end).map(|end| &rest[..end])
}

/// The first absolute path in a text, in quotes or up to a space or a colon.
fn path_in(text: &str) -> Option<String> {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| {
        let path = between(text, &format!("{quote}/"), quote)?;
        (!path.contains('\n')).then(|| format!("/{path}"))
    });
    quoted.or_else(|| {
        let start = text.char_indices().find(|(at, c)| *c == '/' && text[..*at].ends_with(' '))?.0;
        let rest = &text[start..];
        let end = rest.find([' ', ':', '\n', ',']).unwrap_or(rest.len());
        (end > 1).then(|| rest[..end].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_quotes_or_between_spaces() {
        for (text, path) in [
            ("[Errno 13] Permission denied: '/var/task/a b.py'", Some("/var/task/a b.py")),
            ("EACCES: permission denied, open \"/var/task/x\"", Some("/var/task/x")),
            ("fork/exec /lambda-entrypoint.sh: permission denied", Some("/lambda-entrypoint.sh")),
            ("nothing of that kind", None),
            ("a / b", None),
        ] {
            assert_eq!(path_in(text).as_deref(), path, "{text}");
        }
    }
}
