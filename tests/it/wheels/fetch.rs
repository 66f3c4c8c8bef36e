//! Fetching wheels: once, verified, from the location in the lock, with a login for that host only.

use super::*;

#[test]
fn a_wheel_is_fetched_once_and_an_unchanged_lock_sends_no_request() {
    let house = Wheelhouse::new();
    let server = house.serve("127.0.0.1");
    let entry = |file: &str| house.locked(file, &server.url(file));
    let text = format!("{LOCK}{}{}", entry("demo-1.0-py3-none-any.whl"), entry("big-1.0-py3-none-any.whl"));
    let dir = project("pylock.toml", &text);
    let lock = dir.path().join("pylock.toml").display().to_string();
    let lbuild = Lbuild::new();
    let (_, first) = built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
    let methods = |seen: Vec<_>| {
        let of = |request: &crate::support::http::Request| request.method.clone();
        let mut methods: Vec<String> = seen.iter().map(of).collect();
        methods.sort();
        methods
    };
    assert_eq!(methods(server.seen()), ["GET", "GET", "HEAD", "HEAD"]);
    let (_, again) = built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
    assert_eq!((methods(server.seen()), &again), (Vec::new(), &first));
    let other = locked(&house, &["demo-1.0-py3-none-any.whl", "big-1.0-py3-none-any.whl"]);
    std::fs::copy(other.path().join("pylock.toml"), dir.path().join("pylock.toml")).unwrap();
    let lock = std::fs::read_to_string(&lock).unwrap();
    assert!(lock.contains("path = "), "{lock}");
}

#[test]
fn the_right_bytes_are_accepted_despite_a_wrong_size_from_the_server() {
    let house = Wheelhouse::new();
    let file = "dep-2.0-py3-none-any.whl";
    let wheel = std::fs::read(house.wheel(file)).unwrap();
    let size = wheel.len();
    for claimed in [1, size + 1000] {
        let wheel = wheel.clone();
        let server = Server::start("127.0.0.1", move |request| {
            let body = if request.method == "HEAD" { vec![0; claimed] } else { wheel.clone() };
            Response { status: 200, body }
        });
        let url = format!("http://{}/{file}", server.address);
        let entry = house.locked(file, &format!("url = '{url}'"));
        let dir = project("pylock.toml", &format!("{LOCK}{entry}"));
        let lock = dir.path().join("pylock.toml").display().to_string();
        let lbuild = Lbuild::new();
        let (_, first) = built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
        let (_, second) = built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
        assert_eq!(first, second);
        let (base, function) = (crate::support::lbuild::tiny_base(), dir.path().display().to_string());
        let plan = lbuild.ok(&["plan", &function, "--base", &base, "--arch", "arm64", "--lock", &lock]);
        assert!(plan.stdout.contains(&format!("\"size\": {size}")), "{}", plan.stdout);

        // The size in the lock must match.
        let entry = house.locked(file, &format!("url = '{url}', size = {claimed}"));
        std::fs::write(&lock, format!("{LOCK}{entry}")).unwrap();
        let to = format!("oci:{}:it", lbuild.text("image"));
        let arguments = ["push", &function, "--base", &base, "--arch", "arm64", "--to", &to, "--lock", &lock];
        let said = Lbuild::new().run(&arguments).stderr;
        assert!(said.contains(&format!("{file} is corrupt")), "{said}");
    }
}

#[test]
fn a_wheel_that_is_not_the_locked_one_is_refused() {
    let house = Wheelhouse::new();
    let server = house.serve("127.0.0.1");
    let file = "dep-2.0-py3-none-any.whl";
    let (right, wrong) = (house.sha256(file), "ab".repeat(32));
    let lbuild = Lbuild::new();
    let base = crate::support::lbuild::tiny_base();
    let to = format!("oci:{}:it", lbuild.text("image"));
    let refused = |name: &str, text: &str, more: &[&str]| {
        let dir = project(name, text);
        let path = dir.path().join(name).display().to_string();
        let flag = if name == "requirements.txt" { "--requirements" } else { "--lock" };
        let function = dir.path().display().to_string();
        let arguments = ["push", &function, "--base", &base, "--arch", "arm64", "--to", &to, flag, &path];
        let done = lbuild.run(&[&arguments[..], more].concat());
        assert_ne!(done.code, Some(0), "{text}");
        assert_eq!(done.stdout, "", "an image is printed");
        done.stderr
    };
    let text = format!("{LOCK}{}", house.locked(file, &server.url(file)).replace(&right, &wrong));
    let said = refused("pylock.toml", &text, &[]);
    assert!(said.contains(&format!("{file} is corrupt")), "{said}");
    let wheels = house.path().display().to_string();
    let said =
        refused("requirements.txt", &format!("dep==2.0 --hash=sha256:{wrong}"), &["--wheels", &wheels]);
    assert!(said.contains("dep"), "{said}");
    let said = refused("requirements.txt", "dep==2.0", &["--wheels", &wheels, "--require-hashes"]);
    assert!(said.contains("the requirements have no hash for it"), "{said}");
}

#[test]
fn a_password_goes_to_its_own_host_only() {
    let house = Wheelhouse::new();
    let (ours, other) = (house.serve("127.0.0.1"), house.serve("127.0.0.2"));
    let (dep, demo) = ("dep-2.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl");
    let text = format!("{LOCK}{}{}", house.locked(dep, &ours.url(dep)), house.locked(demo, &other.url(demo)));
    let dir = project("pylock.toml", &text);
    let lock = dir.path().join("pylock.toml").display().to_string();
    let lbuild = Lbuild::new();
    let netrc = "machine 127.0.0.1\n  login me\n  password hunter2\n";
    std::fs::write(lbuild.path("home/.netrc"), netrc).unwrap();
    let (base, to) = (crate::support::lbuild::tiny_base(), format!("oci:{}:it", lbuild.text("image")));
    let function = dir.path().display().to_string();
    let arguments =
        ["push", &function, "--base", &base, "--arch", "arm64", "--to", &to, "--lock", &lock, "--json"];
    let done = lbuild.ok(&arguments);
    let authorized = |files: &crate::support::wheelhouse::WheelServer| {
        let seen = files.seen();
        assert!(!seen.is_empty());
        seen.iter().map(|request| request.header("authorization").map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let basic = "Basic bWU6aHVudGVyMg==".to_owned();
    assert_eq!(authorized(&ours), BTreeSet::from([Some(basic)]));
    assert_eq!(authorized(&other), BTreeSet::from([None]));
    let plan = lbuild.ok(&["plan", &function, "--base", &base, "--arch", "arm64", "--lock", &lock]);
    for text in [&done.stdout, &done.stderr, &plan.stdout, &plan.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("bWU6"), "{text}");
    }
    assert!(plan.stdout.contains(&house.sha256(dep)), "{}", plan.stdout);
}

#[test]
fn a_login_in_a_url_is_sent_once() {
    let house = Wheelhouse::new();
    let server = house.serve("127.0.0.1");
    let file = "dep-2.0-py3-none-any.whl";
    let dir = project("pylock.toml", "");
    std::fs::write(dir.path().join(".lambdaignore"), "pylock.toml").unwrap();
    let lock = dir.path().join("pylock.toml").display().to_string();
    // a URL with a login, and one with a user whose password is in netrc
    for (login, expected) in [("a:b@", "Basic YTpi"), ("me@", "Basic bWU6aHVudGVyMg==")] {
        let place = server.url(file).replace("http://", &format!("http://{login}"));
        std::fs::write(&lock, format!("{LOCK}{}", house.locked(file, &place))).unwrap();
        let lbuild = Lbuild::new();
        std::fs::write(lbuild.path("home/.netrc"), "machine 127.0.0.1 login me password hunter2").unwrap();
        built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
        for request in server.seen() {
            let sent = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            assert_eq!(sent.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [expected]);
        }
    }
}
