//! What decides whether layers that were made for one base work on another: the system and the runtime.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::image::Config;
use crate::scan::{Annotate, Scans, Wanted, view};

/// The files that name the system: <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>.
const RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// The directories of runtimes.
const BINARIES: [&str; 4] = ["usr/bin", "usr/local/bin", "var/lang/bin", "opt/bin"];

/// Reads what names the system.
#[derive(Clone, Copy, Debug)]
pub struct BaseAnnotator;

/// The system that a file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    id: String,
    version: String,
}

/// What layers of code depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseTraits {
    /// The system with its version, such as `amzn 2023`, if a file names it.
    pub system: Option<String>,
    /// The runtimes with their versions, such as `python3.12`.
    pub runtimes: BTreeSet<String>,
}

impl Annotate for BaseAnnotator {
    type Fact = System;

    fn name(&self) -> String {
        "base-1".to_owned()
    }

    fn wants(&self, path: &str) -> Wanted {
        if RELEASES.contains(&path) { Wanted::Beginning } else { Wanted::Nothing }
    }

    fn facts(&self, _: &str, content: &[u8]) -> Vec<System> {
        let text = String::from_utf8_lossy(content);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        vec![System { id: value("ID"), version: value("VERSION_ID") }]
    }
}

impl BaseTraits {
    /// The traits of an image, from its config and the scans of its layers.
    pub fn of(config: &Config, scans: &Scans<System>) -> BaseTraits {
        let files = view(&scans.layers);
        let release = RELEASES.iter().find_map(|path| files.file(path)?.member.facts().first().cloned());
        let system = release.map(|System { id, version }| format!("{id} {version}").trim().to_owned());
        let below = BINARIES.iter().flat_map(|dir| files.below(dir));
        let mut runtimes: BTreeSet<String> = below.filter_map(|file| runtime(file.member.name())).collect();
        // Their programs have no version in their names.
        for (name, variable) in
            [("nodejs", "NODE_VERSION"), ("ruby", "RUBY_VERSION"), ("dotnet", "DOTNET_VERSION")]
        {
            let major = config.var(variable).and_then(|version| version.split('.').next());
            runtimes.extend(major.map(|major| format!("{name}{major}")));
        }
        BaseTraits { system, runtimes }
    }

    /// How another base differs, if layers for this one may not work there.
    pub fn fault(&self, other: &BaseTraits) -> Option<String> {
        let shown =
            |system: &Option<String>| system.clone().unwrap_or_else(|| "an unknown system".to_owned());
        if self.system != other.system {
            return Some(format!("it has {} in place of {}", shown(&other.system), shown(&self.system)));
        }
        let lacking: Vec<&String> = self.runtimes.difference(&other.runtimes).collect();
        let lacking: Vec<&str> = lacking.into_iter().map(String::as_str).collect();
        (!lacking.is_empty()).then(|| format!("it does not have {}", lacking.join(", ")))
    }
}

/// The runtime of a program with a version in its name: `python3.12`.
fn runtime(name: &str) -> Option<String> {
    let version = name.strip_prefix("python3.")?;
    let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_from_its_file() {
        let text = b"NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n";
        let facts = BaseAnnotator.facts("etc/os-release", text);
        assert_eq!(facts, [System { id: "amzn".into(), version: "2023".into() }]);
    }

    #[test]
    fn another_system_or_a_missing_runtime_is_a_fault() {
        let traits = |system: &str, runtimes: &[&str]| BaseTraits {
            system: Some(system.to_owned()),
            runtimes: runtimes.iter().map(|&name| name.to_owned()).collect(),
        };
        let old = traits("amzn 2023", &["python3.12"]);
        assert_eq!(old.fault(&traits("amzn 2023", &["python3.12", "python3.9"])), None);
        let other = old.fault(&traits("debian 12", &["python3.12"])).unwrap();
        assert_eq!(other, "it has debian 12 in place of amzn 2023");
        let newer = old.fault(&traits("amzn 2023", &["python3.13"])).unwrap();
        assert_eq!(newer, "it does not have python3.12");
        assert_eq!(runtime("python3.12").as_deref(), Some("python3.12"));
        assert_eq!((runtime("python3.12-config"), runtime("python3")), (None, None));
    }
}
