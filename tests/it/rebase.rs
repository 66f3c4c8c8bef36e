//! `lbuild rebase` and `lbuild base check`: a base is patched, and the image's own layers are put onto it.

use crate::deploy::rig;
use crate::invoke::rig::python_base;
use crate::support::lambda_api::{LambdaApi, LambdaBehaviour, REGISTRY};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use serde_json::{Value, json};

const RELEASE: &str = "ID=test\nVERSION_ID=\"1\"\n";
const APP: &str = "def handler(event, context):\n    return [open('/etc/patch').read(), event]\n";

struct Rig {
    user: Lbuild,
    registry: Registry,
}

impl Rig {
    fn new() -> Rig {
        Rig { user: Lbuild::new(), registry: Registry::start(Mode::Plain) }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// Pushes a base under the name.
    fn base(&self, name: &str, patch: &str, release: &str, more: &str) {
        push_base(&self.user, &self.name(name), patch, release, more);
    }

    fn function(&self, base: &str, to: &str) -> String {
        let code = function(&[("app.py", APP)]);
        let (base, to, path) = (self.name(base), self.name(to), code.path().to_str().unwrap());
        let all = ["push", path, "--base", &base, "--handler", "app.handler", "--arch", "amd64", "--to", &to];
        self.user.ok(&[&all[..], &["--env", "OWN=1"]].concat()).digest()
    }

    fn answer(&self, image: &str) -> String {
        self.user.ok(&["invoke", &self.name(image), "-d", "1"]).stdout
    }

    fn rebase(&self, image: &str, more: &[&str]) -> RunOutput {
        self.user.run(&[&["rebase", &self.name(image)][..], more].concat())
    }
}

fn push_base(user: &Lbuild, to: &str, patch: &str, release: &str, more: &str) {
    let context = function(&[
        ("Dockerfile", format!("FROM base\nCOPY patch os-release /etc/\n{more}").as_str()),
        ("patch", patch),
        ("os-release", release),
    ]);
    let (base, path) = (format!("base={}", python_base()), context.path().to_str().unwrap());
    let all = ["push", path, "--build-context", &base, "--arch", "amd64", "--no-check", "--to", to];
    user.ok(&all);
}

#[test]
fn own_layers_are_put_onto_the_patched_base() {
    let rig = Rig::new();
    rig.base("base:1", "old", RELEASE, "ENV FROM_BASE=old\n");
    rig.function("base:1", "function:1");
    assert_eq!(rig.answer("function:1"), "[\"old\", 1]\n");
    let check = |images: &[&str]| {
        let names: Vec<String> = images.iter().map(|image| rig.name(image)).collect();
        let all: Vec<&str> = ["base", "check"].into_iter().chain(names.iter().map(String::as_str)).collect();
        rig.user.ok(&all).stdout
    };
    assert!(check(&["function:1"]).starts_with("current  "));
    let done = rig.rebase("function:1", &[]).succeeded();
    assert!(done.stderr.contains("nothing to do") && done.stdout.is_empty(), "{done:?}");

    rig.base("base:1", "patched", RELEASE, "ENV FROM_BASE=new\n");
    let told = check(&["function:1", "base:1"]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("moved    ") && lines[0].contains("is now sha256:"), "{told}");
    let mark = rig.registry.mark();
    let done = rig.rebase("function:1", &[]).succeeded();
    let sent = rig.registry.log_since(mark);
    let puts: Vec<&str> =
        sent.iter().filter(|access| access.method == "PUT").map(|access| access.path.as_str()).collect();
    let blobs = puts.iter().filter(|path| path.contains("/blobs/")).count();
    // the config; the layers of the base are mounted
    assert_eq!((blobs, sent.iter().filter(|access| access.method == "PATCH").count()), (1, 0), "{puts:?}");
    assert_eq!(rig.answer("function:1"), "[\"patched\", 1]\n");
    assert!(check(&["function:1"]).starts_with("current  "), "{}", done.stderr);
    let shown = rig.user.ok(&["inspect", &rig.name("function:1"), "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let text = shown.to_string();
    assert!(
        text.contains("OWN=1") && text.contains("FROM_BASE=new") && !text.contains("FROM_BASE=old"),
        "{shown:#}"
    );
    // another tag leaves the first alone
    let before = rig.user.ok(&["inspect", &rig.name("function:1")]).stdout;
    rig.base("base:1", "third", RELEASE, "ENV FROM_BASE=new\n");
    rig.rebase("function:1", &["--tag", "2"]).succeeded();
    assert_eq!(rig.user.ok(&["inspect", &rig.name("function:1")]).stdout, before);
    assert_eq!(rig.answer("function:2"), "[\"third\", 1]\n");
    rig.rebase("function:1", &[]).succeeded();
    // as a build on the new base makes it
    rig.function("base:1", "built:1");
    let difference = rig.user.run(&["diff", &rig.name("function:1"), &rig.name("built:1")]);
    assert_eq!(difference.code, Some(0), "{difference:?}");
}

#[test]
fn a_base_for_which_the_layers_were_not_made_is_refused() {
    let rig = Rig::new();
    rig.base("base:1", "old", RELEASE, "");
    rig.function("base:1", "function:1");
    rig.base("base:other", "new", "ID=test\nVERSION_ID=2\n", "");
    let error = rig.rebase("function:1", &["--onto", &rig.name("base:other")]).failed(2);
    assert!(error.contains("it has test 2 in place of test 1") && error.contains("hint: build"), "{error}");
    let without = "RUN rm /var/lang/bin/python3.11 /usr/bin/python3.11\n";
    rig.base("base:none", "new", RELEASE, without);
    let error = rig.rebase("function:1", &["--onto", &rig.name("base:none")]).failed(2);
    assert!(error.contains("it does not have python3.11"), "{error}");
    let error = rig.rebase("function:1", &["--onto", &rig.name("none:1")]).failed(4);
    assert!(error.contains("does not exist"), "{error}");
    let error = rig.rebase("function:1", &["--from", &rig.name("base:none")]).failed(4);
    assert!(error.contains("does not begin with the layers of its base"), "{error}");
    assert_eq!(rig.answer("function:1"), "[\"old\", 1]\n", "nothing has changed");
    let digest = rig.function("base:1", "function:1");
    let error = rig.rebase(&format!("function@{digest}"), &[]).failed(2);
    assert!(error.contains("has no tag that the new image could take"), "{error}");
}

/// The files of AWS's bases for Node do not say which version they have, but the names do.
#[test]
fn a_base_for_another_runtime_is_refused() {
    let (mut user, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    user.set("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{}", registry.host()));
    let layout = bases::layout("nodejs");
    bases::seed(&registry, &layout, bases::NODE_TAG, "lambda/nodejs", "20");
    let context = function(&[("Dockerfile", "FROM base\nCOPY x /\n"), ("x", "")]);
    let base = format!("base=oci:{}:{}", layout.display(), bases::NODE_TAG);
    let newer = format!("{}/lambda/nodejs:22", registry.host());
    let path = context.path().to_str().unwrap();
    user.ok(&["push", path, "--build-context", &base, "--arch", "amd64", "--no-check", "--to", &newer]);
    let (node, to) = (testdata("functions/hello-node"), format!("{}/function:1", registry.host()));
    let build = ["push", node.to_str().unwrap(), "--runtime", "nodejs20.x", "--handler", "index.handler"];
    user.ok(&[&build[..], &["--arch", "amd64", "--to", &to]].concat());
    for onto in ["nodejs22.x", "public.ecr.aws/lambda/nodejs:22"] {
        let error = user.run(&["rebase", &to, "--onto", onto]).failed(2);
        assert!(error.contains("it is for nodejs22.x, not for nodejs20.x"), "{error}");
    }
}

/// One that cannot be looked at keeps none of the others from it.
#[test]
fn the_check_goes_on_after_a_failure() {
    let rig = Rig::new();
    rig.base("base:1", "old", RELEASE, "");
    rig.function("base:1", "function:1");
    let names = [rig.name("none:1"), rig.name("function:1"), rig.name("base:1")];
    let done = rig.user.run(&["base", "check", &names[0], &names[1], &names[2]]);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(lines[0].starts_with("error    ") && lines[1].starts_with("current  "), "{lines:?}");
}

/// The function runs the rebased image then.
#[test]
fn a_function_gets_the_rebased_image() {
    let (api, registry) = (LambdaApi::start(LambdaBehaviour::default()), Registry::start(Mode::Plain));
    let user = rig::user(&api.url(), &registry);
    let base = format!("{REGISTRY}/base:1");
    push_base(&user, &base, "old", RELEASE, "");
    let code = function(&[("app.py", APP)]);
    let (image, path) = (format!("{REGISTRY}/hello:v1"), code.path().to_str().unwrap());
    let all = ["push", path, "--base", &base, "--handler", "app.handler", "--arch", "amd64", "--to", &image];
    let old = user.ok(&all).digest();
    api.put("hello", &format!("{REGISTRY}/hello@{old}"), &json!({}));
    push_base(&user, &base, "patched", RELEASE, "");
    let told = user.ok(&["base", "check", "hello", "--json"]).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    let told = &told["images"];
    assert_eq!((&told[0]["state"], &told[0]["image"]), (&json!("moved"), &json!("hello")));
    let done = user.ok(&["rebase", "hello", "--tag", "v2"]);
    let lines: Vec<&str> = done.stdout.lines().collect();
    let digest = lines[0].split('@').nth(1).unwrap();
    assert_ne!(digest, old);
    assert_eq!(lines[1], "arn:aws:lambda:eu-west-1:123456789012:function:hello");
    assert_eq!(api.image("hello"), format!("{REGISTRY}/hello@{digest}"));
    assert_eq!(user.ok(&["invoke", &format!("{REGISTRY}/hello:v2"), "-d", "2"]).stdout, "[\"patched\", 2]\n");
}
