//! The commands around a push and their output.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function, hello, image_of, tiny_base};
use crate::support::proxy::Proxy;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use serde_json::{Value, json};

/// A registry with the committed base, and the base's reference.
fn registry_with_base() -> (Registry, String) {
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let base = format!("{}/lambda/python:3.12", registry.host());
    (registry, base)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn plan_prints_a_recipe_with_the_base_pinned() {
    let (registry, base) = registry_with_base();
    let lbuild = Lbuild::new();
    let hello = hello().display().to_string();
    let done = lbuild.ok(&["plan", &hello, "--base", &base, "--arch", "arm64", "--handler", "app.handler"]);
    let recipe = parsed(&done.stdout);
    assert_eq!(recipe["platform"]["architecture"], "arm64");
    let pinned = recipe["stages"][0]["base"]["registry"].as_str().unwrap().to_owned();
    let digest = pinned.split_once('@').expect("by digest").1;
    let index = bases::named(&testdata("base"), "python3.12")["digest"].as_str().unwrap().to_owned();
    let index = bases::read(&bases::blob(&testdata("base"), &index));
    let entry =
        index["manifests"].as_array().unwrap().iter().find(|e| e["platform"]["architecture"] == "arm64");
    assert_eq!(digest, entry.unwrap()["digest"].as_str().unwrap());
    let add = recipe["stages"][0]["steps"].as_array().unwrap().iter().find_map(|step| step.get("add"));
    assert_eq!(add.unwrap()["to"], "/var/task/");
    assert!(registry.log().iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())));

    // the plan is a recipe: it can be parsed and written again without loss
    let recipe: lbuild::Recipe = serde_json::from_value(recipe).unwrap();
    assert_eq!(serde_json::to_value(&recipe).unwrap(), parsed(&done.stdout));
}

#[test]
fn a_dry_run_writes_nothing() {
    let (registry, base) = registry_with_base();
    let (lbuild, hello) = (Lbuild::new(), hello());
    let layout = format!("oci:{}:it", lbuild.text("layout"));
    let archive = format!("docker-archive:{}", lbuild.text("archive.tar"));
    let to = format!("{}/function:1", registry.host());
    let files = [lbuild.text("metadata"), lbuild.text("digest")];
    let mut all = vec!["push", hello.to_str().unwrap(), "--base", &base, "--arch", "arm64"];
    all.extend(["--to", &layout, "--to", &archive, "--to", &to]);
    all.extend(["--metadata-file", &files[0], "--digest-file", &files[1]]);
    let dry = lbuild.ok(&[&all[..], &["--dry-run"]].concat());
    assert!(registry.log().iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())));
    for name in ["layout", "archive.tar", "metadata", "digest"] {
        assert!(!lbuild.path(name).exists(), "{name}");
    }
    assert!(dry.stderr.contains("would send"), "{}", dry.stderr);
    assert_eq!(dry.digests(), lbuild.ok(&all).digests(), "a dry run prints the real digests");
}

#[test]
fn results_are_written_for_other_programs() {
    let (registry, base) = registry_with_base();
    let (lbuild, hello) = (Lbuild::new(), hello());
    let to = format!("{}/function:1", registry.host());
    let files = [lbuild.text("new/directory/metadata.json"), lbuild.text("digest")];
    let mut all = vec!["push", hello.to_str().unwrap(), "--base", &base, "--arch", "arm64", "--to", &to];
    all.extend(["--tag", "2", "--metadata-file", &files[0], "--digest-file", &files[1]]);
    let digest = lbuild.ok(&all).digest();
    assert_eq!(std::fs::read_to_string(lbuild.path("digest")).unwrap().trim_end(), digest);
    let metadata = bases::read(&lbuild.path("new/directory/metadata.json"));
    let manifest = image_tools::skopeo_manifest(&ImageLocation::registry(&registry, "function:2")).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest);
    assert_eq!(metadata["containerimage.config.digest"], manifest["config"]["digest"]);
    assert_eq!(metadata["containerimage.descriptor"]["mediaType"], manifest["mediaType"]);
    assert_eq!(metadata["image.name"], format!("{to},{}/function:2", registry.host()));
}

#[test]
fn standard_output_has_only_the_image_name() {
    let (registry, base) = registry_with_base();
    let (lbuild, hello) = (Lbuild::new(), hello());
    let to = format!("{}/function:1", registry.host());
    let all = [
        "push",
        hello.to_str().unwrap(),
        "--base",
        &base,
        "--arch",
        "arm64",
        "--handler",
        "app.handler",
        "--to",
        &to,
    ];
    let lines = lbuild.ok(&all);
    assert_eq!(lines.stdout, format!("{}/function@{}\n", registry.host(), lines.digest()));
    assert!(lines.stderr.lines().count() > 3 && !lines.stderr.contains('\x1b'), "{}", lines.stderr);

    let quiet = lbuild.ok(&[&all[..], &["--quiet"]].concat());
    assert_eq!((quiet.stdout, quiet.stderr.as_str()), (lines.stdout.clone(), ""));

    let json = lbuild.ok(&[&all[..], &["--json"]].concat());
    assert_eq!(json.stdout, lines.stdout);
    let events: Vec<Value> = json.stderr.lines().map(parsed).collect();
    let reasons: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"base") && reasons.contains(&"layer"), "{reasons:?}");
    assert_eq!(events.last().unwrap()["reason"], "published");
    assert_eq!(events.last().unwrap()["digest"], lines.digest());
    assert_eq!(events.last().unwrap()["changed"], false, "the first push moved the tag");

    let failure = lbuild.run(&["push", "--json", "--arch", "arm64", "--base", "scratch"]).failed(2);
    let failure = parsed(failure.lines().last().unwrap());
    assert_eq!((&failure["reason"], &failure["exit_code"]), (&json!("error"), &json!(2)));
}

#[test]
fn inspect_shows_the_origin_of_each_layer() {
    let (registry, base) = registry_with_base();
    let (lbuild, hello) = (Lbuild::new(), hello());
    let to = format!("{}/function:1", registry.host());
    let digest =
        lbuild.push(&hello, &["--base", &base, "--arch", "arm64", "--to", &to, "--handler", "app.handler"]);
    let image = parsed(&lbuild.ok(&["inspect", &to, "--json"]).stdout);
    assert_eq!(image["digest"], digest);
    assert_eq!(image["platform"]["architecture"], "arm64");
    let manifest = image_tools::skopeo_manifest(&ImageLocation::registry(&registry, "function:1")).unwrap();
    let config = image_tools::skopeo_config(&ImageLocation::registry(&registry, "function:1")).unwrap();
    assert_eq!(image["config"], config);
    let layers = image["layers"].as_array().unwrap();
    for (layer, expected) in layers.iter().zip(manifest["layers"].as_array().unwrap()) {
        assert_eq!((&layer["digest"], &layer["size"]), (&expected["digest"], &expected["size"]));
    }
    let origins: Vec<_> = layers.iter().map(|layer| layer["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["base", "base", "lbuild"]);
    assert_eq!(layers[2]["created_by"], "lbuild: files in /var/task");

    let text = lbuild.ok(&["inspect", &to]).stdout;
    assert!(text.contains("linux/arm64") && text.contains(r#"["app.handler"]"#), "{text}");
    let index = parsed(&lbuild.ok(&["inspect", &base, "--json"]).stdout);
    assert_eq!(index["platforms"].as_array().unwrap().len(), 2);
    let one = parsed(&lbuild.ok(&["inspect", &tiny_base(), "--arch", "amd64", "--json"]).stdout);
    assert_eq!(one["platform"]["architecture"], "amd64");
}

#[test]
fn init_writes_everything_that_a_push_needs_except_the_architecture() {
    // init guesses a base on public.ecr.aws, which the proxy routes to this registry
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.13");
    let proxy = Proxy::forward();
    proxy.route("public.ecr.aws", registry.host().parse().unwrap());
    let code = function(&[("app.py", "def handler(event, context):\n    return event\n")]);
    let dir = code.path().to_str().unwrap();
    lbuild.ok(&["init", dir]);
    let file = code.path().join("lbuild.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("handler = \"app.handler\""), "{text}");
    text += &format!("to = \"{}/function:1\"\ninsecure = \"public.ecr.aws\"\n", registry.host());
    std::fs::write(&file, text).unwrap();
    let error = lbuild.run(&["init", dir]).failed(2);
    assert!(error.contains("already exists"), "{error}");

    // inside the directory, with one argument
    let mut push = lbuild.command(&["push", "--arch", "arm64"]);
    push.current_dir(code.path()).env("HTTP_PROXY", format!("http://{}", proxy.host()));
    let output = push.env("NO_PROXY", "127.0.0.1").output().unwrap();
    let done = crate::support::lbuild::RunOutput::of(output).succeeded();
    let location = ImageLocation::registry(&registry, "function:1");
    assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], done.digest());
    let config = image_tools::skopeo_config(&location).unwrap();
    assert_eq!(config["config"]["Cmd"], json!(["app.handler"]));
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.base.name"],
        "public.ecr.aws/lambda/python:3.13"
    );
    assert!(lbuild.run(&["push", dir]).failed(2).contains("no architecture"));
}

#[test]
fn the_config_file_supplies_values_that_the_flags_omit() {
    let deps = function(&[("dep.py", "dep")]);
    let code = function(&[("src/app.py", "code"), ("extra/x", "extra"), ("lbuild.toml", "")]);
    let text = format!(
        "path = 'src'\narch = 'amd64'\nbase = {:?}\nhandler = 'app.handler'\ndeps = [{:?}]\nadd = 'extra:/opt/extra'\n\
         user = 'nobody'\nto = {:?}\ntag = ['a', 'b']\nformat = 'docker'\n[env]\nA = '1'\nB = '2'\n[label]\nl = 'x'\n",
        tiny_base(),
        deps.path(),
        format!("oci:{}", code.path().with_extension("image").display()),
    );
    std::fs::write(code.path().join("lbuild.toml"), text).unwrap();
    let layout = code.path().with_extension("image");
    let lbuild = Lbuild::new();
    lbuild.ok(&["push", code.path().to_str().unwrap(), "--arch", "arm64", "--env", "B=flag"]);
    let (manifest, config) = image_of(&layout, "b", "");
    std::fs::remove_dir_all(&layout).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["config"]["User"], "nobody");
    assert_eq!(config["config"]["Cmd"], json!(["app.handler"]));
    assert_eq!(config["config"]["Labels"]["l"], "x");
    let env = config["config"]["Env"].as_array().unwrap();
    assert!(env.contains(&json!("A=1")) && env.contains(&json!("B=flag")), "{env:?}");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2 + 3);
}

#[test]
fn the_cache_reports_its_size_and_prunes() {
    let (lbuild, hello) = (Lbuild::new(), hello());
    let info = |lbuild: &Lbuild| parsed(&lbuild.ok(&["cache", "info", "--json"]).stdout);
    assert_eq!(info(&lbuild)["files"], 0);
    lbuild.layout("image", &hello, &[]);
    let full = info(&lbuild);
    assert!(full["files"].as_u64().unwrap() > 0 && full["bytes"].as_u64().unwrap() > 0, "{full}");
    assert_eq!(full["root"], lbuild.cache().display().to_string());
    let kept = parsed(&lbuild.ok(&["cache", "prune", "--json"]).stdout);
    assert_eq!(kept["files"], 0, "it is young");
    let gone = parsed(&lbuild.ok(&["cache", "prune", "--days", "0", "--json"]).stdout);
    assert_eq!((&gone["files"], &gone["bytes"]), (&full["files"], &full["bytes"]));
    assert_eq!(info(&lbuild)["files"], 0);
}
