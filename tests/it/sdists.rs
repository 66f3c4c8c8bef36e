//! Packages with only a source distribution: built if they are pure Python, refused if they are native.

use crate::support::layers as tar;
use crate::support::lbuild::{Lbuild, files};
use crate::support::package_fixture::{PackageFixture, with_uv};
use std::collections::BTreeMap;

/// The packages' files in the image that a user built as the layout `name`.
fn packages(user: &Lbuild, name: &str) -> BTreeMap<String, String> {
    let blobs = tar::blobs(&user.path(name), "it", "arm64");
    blobs[4..].iter().flat_map(|blob| tar::files(blob)).collect()
}

#[test]
fn a_pure_package_is_built_and_cached_by_its_source() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["docopt", "jmespath"]);
    let locked = ["--lock", lock.path.as_str()];
    let mut digests = Vec::new();
    for (tool, user) in [("uv", with_uv()), ("pip", Lbuild::new())] {
        let to = format!("oci:{}:it", user.text("image"));
        let build = |more: &[&str]| user.ok(&fixture.arguments("arm64", &to, &[&locked[..], more].concat()));
        digests.push(build(&[]).digest());
        let found = packages(&user, "image");
        assert!(found["var/task/docopt.py"].contains("__version__ = '0.6.2'"), "{tool}: {:?}", found.keys());
        let about = &found["var/task/docopt-0.6.2.dist-info/WHEEL"];
        assert!(about.contains("Generator: lbuild\n") && about.contains("Tag: py"), "{about}");
        assert!(found["var/task/docopt-0.6.2.dist-info/RECORD"].contains("docopt.py,sha256="));
        fixture.index.clear();
        digests.push(build(&["--no-cache"]).digest());
        assert!(fixture.index.log().is_empty(), "{tool}: it is built once: {:?}", fixture.index.log());
        let left: Vec<_> = files(&user.path("")).into_keys().filter(|name| name.contains("/work/")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let requirements = tempfile::tempdir().unwrap();
    let path = requirements.path().join("wanted.txt");
    std::fs::write(&path, format!("--index-url {}\ndocopt\njmespath\n", fixture.index.url())).unwrap();
    let user = with_uv();
    let to = format!("oci:{}:it", user.text("image"));
    let wanted = ["--requirements", path.to_str().unwrap()];
    digests.push(user.ok(&fixture.arguments("arm64", &to, &wanted)).digest());
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");

    // With the image as a cache source, no build tool is needed.
    let (to, mut bare) = (fixture.reference("1"), Lbuild::new());
    bare.set("PATH", "/nowhere");
    let digest = Lbuild::new().ok(&fixture.arguments("arm64", &to, &locked)).digest();
    fixture.index.clear();
    let done = bare.ok(&fixture.arguments("arm64", &to, &locked));
    assert_eq!((done.digest(), done.layer_counts()), (digest, (0, 2)), "{}", done.stderr);
    assert!(fixture.index.log().is_empty(), "{:?}", fixture.index.log());
    let error =
        bare.run(&fixture.arguments("arm64", &to, &[&locked[..], &["--no-cache"]].concat())).failed(3);
    assert!(error.contains("docopt") && error.contains("neither uv nor pip"), "{error}");
}

#[test]
fn a_native_package_is_refused_with_the_versions_that_have_wheels() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["rig-native==1.0"]);
    for user in [with_uv(), Lbuild::new()] {
        let error =
            user.run(&fixture.arguments("arm64", &fixture.reference("1"), &["--lock", &lock.path])).failed(3);
        let expected = "rig-native 1.0 has no wheel for Python 3.11 on aarch64 with glibc 2.28: it comes as source that \
                        has to be compiled; these versions have one: 0.9";
        assert!(error.contains(expected), "{error}");
        let left: Vec<_> = files(&user.cache()).into_keys().filter(|name| name.contains("work/")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    // Without a lock, a version that has a wheel is chosen.
    let requirements = tempfile::tempdir().unwrap();
    let path = requirements.path().join("wanted.txt");
    std::fs::write(&path, format!("--index-url {}\nrig-native\n", fixture.index.url())).unwrap();
    for user in [with_uv(), Lbuild::new()] {
        let to = format!("oci:{}:it", user.text("image"));
        user.ok(&fixture.arguments("arm64", &to, &["--requirements", path.to_str().unwrap()]));
        assert!(packages(&user, "image").contains_key("var/task/rig_native-0.9.dist-info/METADATA"));
    }
}

#[test]
fn the_source_and_its_build_requirements_come_from_one_directory_when_offline() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["docopt"]);
    let wheels = crate::support::part("packages/index").display().to_string();
    for user in [with_uv(), Lbuild::new()] {
        fixture.index.clear();
        let to = format!("oci:{}:it", user.text("image"));
        user.ok(&fixture.arguments("arm64", &to, &["--lock", &lock.path, "--wheels", &wheels]));
        assert!(packages(&user, "image").contains_key("var/task/docopt.py"));
        assert!(fixture.index.log().is_empty(), "{:?}", fixture.index.log());
    }
}
