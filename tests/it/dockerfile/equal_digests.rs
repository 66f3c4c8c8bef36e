//! The same Dockerfile gives the same digests in each mode, for each user, with any number of jobs, with and without what
//! earlier builds have left in the cache.

use super::node;
use crate::support::command_builds::{Builds, events, events_of};
use crate::support::environments::Environment;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{RunOutput, function};
use crate::support::npm_registry::NpmRegistry;
use crate::support::{debian, part};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// A stage for each kind of command. No line is one that needs no process.
const DOCKERFILE: &str = r#"FROM localhost/debian AS files
RUN mkdir -p /o/d/e /o/gone && date >/dev/null && \
    echo a >/o/a && ln /o/a /o/b && ln -s a /o/link && ln -s /nowhere /o/dangling && mkfifo /o/fifo && chmod 640 /o/fifo && \
    chown -R 1000:1000 /o/d && chown 33:44 /o/a && echo s >/o/s && chown 5:6 /o/s && chmod 6751 /o/s && \
    mkdir -m 1777 /o/sticky && echo x >/o/gone/x && chmod 0 /o/gone/x && cp -a /o/a /o/copy && \
    python3 -c 'import os; os.setxattr("/o/copy", "user.note", b"1")' && \
    cp /usr/bin/dd /o/cap && python3 -c 'import os; os.setxattr("/o/cap", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))'
RUN test -e /etc/test-image && rm -rf /usr/share/perl /etc/pam.d /o/gone && mkdir /etc/pam.d && echo y >/etc/pam.d/y && \
    echo b >>/o/b && mv /o/d /o/moved && rm /o/link && mkdir /o/link && touch /etc/passwd && chmod -R u+w /usr/lib/python3 && \
    mv /usr/share/doc /usr/share/papers && echo z >>/usr/bin/perl && rm /o/fifo && chown -h 7:8 /o/moved/e && date >/dev/null

FROM localhost/debian AS installs
RUN pip install --quiet --break-system-packages --root-user-action=ignore --index-url INDEX requests pydantic && \
    python3 -c 'import requests, pydantic; print(pydantic.__version__)' >/version
WORKDIR /app
COPY package.json package-lock.json *.deb ./
RUN npm ci --silent --registry=REGISTRY --replace-registry-host=always && \
    node -e 'require("c")' && ls node_modules >list
RUN apt-get -qq install --yes ./*.deb >/dev/null && rm *.deb && getent passwd >/users && busybox true

FROM files
COPY --from=installs /usr/local /usr/local
COPY --from=installs /app /app
COPY --from=installs /var/lib/dpkg /dpkg
RUN find /o /app /usr/local -type f -printf '%p %m %s %t\n' | sort >/list && rm -r /app
"#;

const COMMANDS: usize = 6;

struct Setup {
    _index: Index,
    _registry: NpmRegistry,
    files: BTreeMap<String, Vec<u8>>,
}

impl Setup {
    fn new() -> Setup {
        let index = Index::of(&part("packages/index"), IndexBehaviour::default());
        let registry = NpmRegistry::of(node::packages());
        let mut files = BTreeMap::new();
        let dockerfile = DOCKERFILE.replace("INDEX", &index.url()).replace("REGISTRY", &registry.url());
        files.insert("Dockerfile".to_owned(), dockerfile.into_bytes());
        files.insert("package.json".to_owned(), node::PACKAGE.into());
        files.insert("package-lock.json".to_owned(), node::lock(&registry, node::PACKAGE).into_bytes());
        let debs = part("debs").join(debian::ARCHITECTURE);
        for entry in fs::read_dir(debs).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("busybox-static_") {
                files.insert("busybox.deb".to_owned(), fs::read(path).unwrap());
            }
        }
        assert_eq!(files.len(), 4);
        Setup { _index: index, _registry: registry, files }
    }
}

/// What a build has made: the digest of the image, those of the layers of all stages, and the commands that ran.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Made {
    image: String,
    layers: BTreeSet<(String, String)>,
}

fn made(done: &RunOutput, what: &str, mode: &str, commands: usize) -> Made {
    assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
    let events = events(done);
    let ran = events_of(&events, "command-started");
    assert_eq!(ran.len(), commands, "{what}: {ran:#?}");
    assert!(ran.iter().all(|command| command["mode"] == mode), "{what}: {ran:#?}");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let layers = events_of(&events, "layer");
    let layers = layers.iter().map(|layer| (text(&layer["layer"]), text(&layer["digest"]))).collect();
    Made { image: done.digest(), layers }
}

/// The modes and options of builds in one place, which share its cache: cold, then with the unpacked base.
fn builds(environment: Environment) -> &'static [(&'static str, &'static [&'static str])] {
    match environment {
        Environment::Root => &[
            ("namespaces", &["--jobs", "1"]),
            ("namespaces", &["--jobs", "8", "--no-cache"]),
            ("copy", &["--jobs", "8", "--no-cache"]),
            ("chroot", &["--jobs", "1", "--no-cache"]),
        ],
        Environment::Account => &[("copy", &["--jobs", "1"]), ("namespaces", &["--jobs", "8", "--no-cache"])],
        Environment::SubordinateIds => &[("namespaces", &["--jobs", "8"])],
        _ => &[("chroot", &["--jobs", "8"])],
    }
}

/// The builds of one environment, each with its description.
fn all_made(setup: &Setup, environment: Environment) -> Vec<(String, Made)> {
    let place = Builds::in_place(environment);
    let files: Vec<(&str, &[u8])> =
        setup.files.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
    place.place.copy_in(function(&files).path(), "context");
    let dockerfile = String::from_utf8(setup.files["Dockerfile"].clone()).unwrap();
    let mut found = Vec::new();
    for (mode, options) in builds(environment) {
        let what = format!("{environment:?}, {mode}, {options:?}");
        let began = std::time::Instant::now();
        let done = place.build(&dockerfile, &[&["--json", "--run-mode", mode], *options].concat());
        println!("{what}: {:.1} s", began.elapsed().as_secs_f32());
        let made = made(&done, &what, mode, COMMANDS);
        found.push((what, made));
    }
    // with all layers in the cache
    let (mode, _) = builds(environment)[0];
    let what = format!("{environment:?}, again");
    let again = place.build(&dockerfile, &["--json", "--run-mode", mode]);
    assert_eq!(made(&again, &what, mode, 0).image, found[0].1.image, "{what}");
    found
}

#[test]
fn digests_are_equal_in_all_modes_for_all_users() {
    let setup = Setup::new();
    const GROUPS: [&[Environment]; 2] =
        [&[Environment::Root], &[Environment::Account, Environment::SubordinateIds, Environment::Docker]];
    let found: Vec<(String, Made)> = std::thread::scope(|scope| {
        let setup = &setup;
        let of_group = |group: &'static [Environment]| {
            move || group.iter().flat_map(|&environment| all_made(setup, environment)).collect::<Vec<_>>()
        };
        let threads = GROUPS.map(|group| scope.spawn(of_group(group)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let (first, expected) = &found[0];
    let mut wrong = String::new();
    for (what, made) in &found[1..] {
        for (name, digest) in made.layers.symmetric_difference(&expected.layers) {
            wrong += &format!("{what}: {name} {digest}\n");
        }
        if made.image != expected.image {
            wrong += &format!("{what}: the image differs from that of {first}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
