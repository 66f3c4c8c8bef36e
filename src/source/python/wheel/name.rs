//! File names of wheels and source archives.

/// The parts of a wheel's file name.
///
/// <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention>
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::python) struct WheelName {
    /// As spelled in the file name.
    pub(in crate::source::python) name: String,
    pub(in crate::source::python) version: String,
    /// A number and a text. The greater value is the newer build of the same version.
    pub(in crate::source::python) build: (u64, String),
    pub(in crate::source::python) pythons: Vec<String>,
    pub(in crate::source::python) abis: Vec<String>,
    pub(in crate::source::python) platforms: Vec<String>,
}

/// The most compatibility tags of a wheel. They are the product of three lists, and real wheels have a few dozen.
const MAX_TAGS: usize = 1024;

impl WheelName {
    /// Parses a file name; `None` if it is not the name of a wheel, or has more than [`MAX_TAGS`] tags.
    pub(in crate::source::python) fn parse(file: &str) -> Option<WheelName> {
        let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
        let (build, [pythons, abis, platforms]) = match parts[..] {
            [_, _, python, abi, platform] => ("", [python, abi, platform]),
            [_, _, build, python, abi, platform] => (build, [python, abi, platform]),
            _ => return None,
        };
        let split = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let digits = build.bytes().take_while(u8::is_ascii_digit).count();
        let build = (build[..digits].parse().unwrap_or(0), build[digits..].to_owned());
        let (name, version) = (parts[0].to_owned(), parts[1].to_owned());
        let [pythons, abis, platforms] = [pythons, abis, platforms].map(split);
        let tags = pythons.len() * abis.len() * platforms.len();
        let valid = !name.is_empty() && !version.is_empty() && tags <= MAX_TAGS;
        valid.then_some(WheelName { name, version, build, pythons, abis, platforms })
    }

    /// Whether it runs on any machine, with any Python 3.
    pub(in crate::source::python) fn is_for_any(&self) -> bool {
        self.tags().any(|tag| tag == "py3-none-any")
    }

    /// The compatibility tags that the name declares.
    pub(in crate::source::python) fn tags(&self) -> impl Iterator<Item = String> {
        let pairs = self.pythons.iter().flat_map(|python| self.abis.iter().map(move |abi| (python, abi)));
        pairs.flat_map(|(python, abi)| {
            self.platforms.iter().map(move |platform| format!("{python}-{abi}-{platform}"))
        })
    }
}

/// A package's name in its normal form, which is used for comparison.
///
/// <https://packaging.python.org/en/latest/specifications/name-normalization/>
pub(in crate::source::python) fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Whether a wheel has to be built of the file: a source archive of a kind in use
/// (<https://peps.python.org/pep-0625/>), or a directory.
pub(in crate::source::python) fn is_source(file: &str) -> bool {
    file.ends_with(".tar.gz") || file.ends_with(".zip") || is_directory(file)
}

/// Whether the package is a directory of the user.
pub(in crate::source::python) fn is_directory(file: &str) -> bool {
    file.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_dashes() {
        for name in ["Charset_Normalizer", "charset.normalizer", "charset-_.normalizer"] {
            assert_eq!(normalized(name), "charset-normalizer");
        }
    }

    #[test]
    fn a_name_has_a_limited_number_of_tags() {
        let parse = |platforms: usize| {
            let list = |tag: &str, count: usize| vec![tag; count].join(".");
            let [pythons, platforms] = [list("py3", 32), list("any", platforms)];
            WheelName::parse(&format!("a-1-{pythons}-none-{platforms}.whl"))
        };
        assert_eq!(parse(32).map(|name| name.tags().count()), Some(MAX_TAGS));
        assert_eq!(parse(33), None);
    }
}
