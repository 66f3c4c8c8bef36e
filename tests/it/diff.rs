//! `lbuild diff` shows why two images differ; `lbuild inspect` shows the files of one.

use crate::support::image_builder::{GZIP, Layer, PLAIN, Tar, image};
use crate::support::lbuild::{Lbuild, tiny_base};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn below() -> Tar {
    Tar::new().directory("a/").file("a/one", 0o644, "1").file("a/two", 0o644, "2").symlink("a/link", "one")
}

fn above() -> Tar {
    Tar::new().directory("b/").file("b/three", 0o644, "3")
}

/// Builds an image of these layers in the layout `name`.
fn make(lbuild: &Lbuild, name: &str, layers: &[Layer], edit: impl FnOnce(&mut Value)) -> String {
    image(&lbuild.path(name), layers, |config, _| {
        config["config"]["Env"] = json!(["A=1", "B=2"]);
        for (number, entry) in config["history"].as_array_mut().unwrap().iter_mut().enumerate() {
            entry["created_by"] = json!(format!("step {number}"));
        }
        edit(config);
    })
}

fn usual(lbuild: &Lbuild) -> String {
    make(lbuild, "usual", &[Layer::gzip(below()), Layer::gzip(above())], |_| ())
}

fn diff(lbuild: &Lbuild, from: &str, to: &str) -> (Value, String) {
    let json = lbuild.ok(&["diff", from, to, "--json"]).stdout;
    (serde_json::from_str(&json).unwrap(), lbuild.ok(&["diff", from, to]).stdout)
}

#[test]
fn equal_images_have_no_differences() {
    let lbuild = Lbuild::new();
    let from = usual(&lbuild);
    let to = make(&lbuild, "again", &[Layer::gzip(below()), Layer::gzip(above())], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!(
        (&json["layers"], &json["config"], &json["sends"]["bytes"]),
        (&json!([]), &json!([]), &json!(0))
    );
    assert!(text.contains(": the same as oci:"), "{text}");
}

#[test]
fn files_that_differ_are_shown_with_their_change() {
    let lbuild = Lbuild::new();
    let from = usual(&lbuild);
    let other = Tar::new()
        .directory("a/")
        .file("a/one", 0o755, "1")
        .file("a/new", 0o644, "new")
        .symlink("a/link", "new")
        .file("a/two", 0o644, "22");
    let to = make(&lbuild, "other", &[Layer::gzip(other), Layer::gzip(above())], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(
        (layers.len(), &layers[0]["numbers"], &layers[0]["moved"]),
        (1, &json!([0, 0]), &json!(false))
    );
    let files = [
        json!({ "path": "a/link", "changes": [{ "change": "kind", "from": "link to one", "to": "link to new" }] }),
        json!({ "path": "a/new", "changes": [{ "change": "added", "size": 3 }] }),
        json!({ "path": "a/one", "changes": [{ "change": "mode", "from": "0644", "to": "0755" }] }),
        json!({ "path": "a/two", "changes": [{ "change": "content", "from": 1, "to": 2 }] }),
    ];
    assert_eq!(layers[0]["files"], json!(files), "{json:#}");
    assert_eq!(json["sends"]["layers"], 1);
    for line in [
        "layer 0 differs  step 0",
        "  /a/one  mode 0644 -> 0755",
        "  /a/two  other content, 1 B -> 2 B",
        "a push sends  1 layer,",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// The configs claim the same tar for different layers.
#[test]
fn a_diff_id_is_not_believed() {
    let lbuild = Lbuild::new();
    let from = usual(&lbuild);
    let other =
        Layer { diff_id: Layer::gzip(below()).diff_id, ..Layer::gzip(below().file("a/new", 0o644, "new")) };
    let to = make(&lbuild, "other", &[other, Layer::gzip(above())], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!(json["layers"][0]["recompressed"], false, "{json:#}");
    assert_eq!(json["layers"][0]["files"][0]["path"], "a/new", "{json:#}");
    assert!(text.contains("layer 0 differs") && !text.contains("same content"), "{text}");
}

#[test]
fn config_and_base_are_compared_by_field() {
    let lbuild = Lbuild::new();
    let (base, digest) = ("org.opencontainers.image.base.name", "org.opencontainers.image.base.digest");
    let labelled = |config: &mut Value, of: &str| {
        config["config"]["Labels"] = json!({ base: "r.example/b:1", digest: of })
    };
    let layers = || [Layer::gzip(below())];
    let from = make(&lbuild, "from", &layers(), |config| labelled(config, "sha256:01"));
    let to = make(&lbuild, "to", &layers(), |config| {
        labelled(config, "sha256:02");
        config["config"]["Env"] = json!(["A=other", "C=3", "B=2"]);
        config["architecture"] = json!("arm64");
    });
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!(json["base"], json!(["r.example/b:1@sha256:01", "r.example/b:1@sha256:02"]));
    assert_eq!(json["layers"], json!([]));
    for field in [
        json!({ "field": "config.Env.A", "from": "1", "to": "other" }),
        json!({ "field": "config.Env.C", "to": "3" }),
        json!({ "field": "architecture", "from": "amd64", "to": "arm64" }),
    ] {
        assert!(json["config"].as_array().unwrap().contains(&field), "{field} in {json:#}");
    }
    assert!(text.contains("base  r.example/b:1@sha256:01 -> r.example/b:1@sha256:02"), "{text}");
    assert!(
        text.contains("config  config.Env.C: nothing -> \"3\"") && text.contains("a push sends  0 layers,"),
        "{text}"
    );
}

#[test]
fn order_and_compression_are_distinguished_from_content() {
    let lbuild = Lbuild::new();
    let from = usual(&lbuild);
    let swapped = make(&lbuild, "swapped", &[Layer::gzip(above()), Layer::gzip(below())], |_| ());
    let (json, text) = diff(&lbuild, &from, &swapped);
    let moved: Vec<_> =
        json["layers"].as_array().unwrap().iter().map(|layer| layer["moved"].clone()).collect();
    assert_eq!((moved, &json["sends"]["layers"]), (vec![json!(true)], &json!(0)), "{json:#}");
    assert!(text.contains(" has moved"), "{text}");

    let tar = Layer::gzip(below());
    let plain = Layer { stored: below().bytes(), media_type: PLAIN, diff_id: tar.diff_id.clone() };
    let to = make(&lbuild, "plain", &[plain, Layer::gzip(above())], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!(
        (&json["layers"][0]["recompressed"], &json["layers"][0]["files"]),
        (&json!(true), &json!([])),
        "{json:#}"
    );
    assert!(text.contains("layer 0 is compressed differently, with the same content"), "{text}");

    // The same files in another order give another tar, without any other difference.
    let turned = Tar::new().file("b/three", 0o644, "3").directory("b/");
    let to = make(&lbuild, "turned", &[Layer::gzip(below()), Layer::gzip(turned)], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!((&json["layers"][0]["numbers"], &json["layers"][0]["files"]), (&json!([1, 1]), &json!([])));
    assert!(text.contains("layer 1 has the same files, in another order"), "{text}");
}

#[test]
fn an_added_or_removed_layer_is_shown() {
    let lbuild = Lbuild::new();
    let from = usual(&lbuild);
    let to = make(&lbuild, "less", &[Layer::gzip(below())], |_| ());
    let (json, text) = diff(&lbuild, &from, &to);
    assert_eq!(json["layers"][0]["numbers"], json!([1, null]));
    assert!(text.contains("layer 1 is gone  step 1") && text.contains("/b/three  gone, 1 B"), "{text}");
    let (json, text) = diff(&lbuild, &to, &from);
    assert_eq!(json["layers"][0]["digests"][0], Value::Null);
    assert!(text.contains("layer 1 is new  step 1"), "{text}");
}

#[test]
fn a_changed_function_is_one_layer_of_one_file() {
    let lbuild = Lbuild::new();
    let code = crate::support::lbuild::function(&[("app.py", "def handler(e, c): return 1\n")]);
    let base = tiny_base();
    let push = |to: &str| {
        let arguments = [
            "push",
            code.path().to_str().unwrap(),
            "--base",
            &base,
            "--arch=arm64",
            "--handler=app.handler",
            "--to",
            to,
        ];
        lbuild.ok(&arguments);
    };
    push("oci:image:v1");
    std::fs::write(code.path().join("app.py"), "def handler(e, c): return 12\n").unwrap();
    push("oci:image:v2");
    let (json, text) = diff(
        &lbuild,
        &format!("oci:{}:v1", lbuild.text("image")),
        &format!("oci:{}:v2", lbuild.text("image")),
    );
    assert_eq!(json["layers"][0]["files"][0]["path"], "var/task/app.py", "{text}");
    assert_eq!((json["layers"].as_array().unwrap().len(), &json["base"]), (1, &Value::Null));
}

#[test]
fn inspect_shows_files_and_history() {
    let lbuild = Lbuild::new();
    let over = Tar::new().directory("a/").file("a/.wh.two", 0o644, "").file("a/big", 0o600, vec![0; 5000]);
    let image = make(
        &lbuild,
        "image",
        &[Layer::gzip(below()), Layer { media_type: GZIP, ..Layer::gzip(over) }],
        |_| (),
    );
    let tree = lbuild.ok(&["inspect", &image, "--tree"]).stdout;
    let paths: Vec<&str> =
        tree.lines().filter_map(|line| line.split_once('/').map(|(_, path)| path)).collect();
    assert_eq!(paths, ["a", "a/big", "a/link -> one", "a/one"], "{tree}");
    let tree: Value =
        serde_json::from_str(&lbuild.ok(&["inspect", &image, "--tree", "--json"]).stdout).unwrap();
    assert_eq!(
        (&tree[1]["layer"], &tree[1]["mode"], &tree[1]["size"]),
        (&json!(1), &json!("0600"), &json!(5000))
    );
    let largest = lbuild.ok(&["inspect", &image, "--largest"]).stdout;
    assert!(largest.lines().next().unwrap().contains("5.0 kB  layer 1   /a/big"), "{largest}");
    assert!(largest.trim_end().ends_with("5.0 kB  in 2 files"), "{largest}");
    let history = lbuild.ok(&["inspect", &image, "--history"]).stdout;
    assert_eq!(
        history.lines().map(|line| line.trim_start().split("  ").nth(1).unwrap()).collect::<Vec<_>>(),
        ["step 0", "step 1"]
    );
}

/// An image with a secret in every field that is searched for secrets; each contains `mark`.
fn leaking(lbuild: &Lbuild, name: &str, mark: &str) -> String {
    let over = Tar::new().file("b", 0o644, name);
    make(lbuild, name, &[Layer::gzip(below()), Layer::gzip(over)], |config| {
        let (password, url) = (format!("DB_PASSWORD={mark}1"), format!("DB_URL=pg://me:{mark}2@db/x"));
        config["config"]["Env"] = json!(["A=1", password, url]);
        config["config"]["Labels"] = json!({ "a.token": format!("{mark}3"), "b.c": "2" });
        config["container_config"] = json!({ "Env": [format!("OLD_TOKEN={mark}4")] });
        config["history"][1]["created_by"] = json!(format!("RUN |1 NPM_TOKEN={mark}5 /bin/sh -c npm ci"));
    })
}

const MARKS: [&str; 2] = ["a1B2c3D4a1B2", "d4C3b2A1d4C3"];

/// The redacted history entry of the second layer of a leaking image.
const MADE_BY: &str = "RUN |1 NPM_TOKEN=… /bin/sh -c npm ci";

#[track_caller]
fn assert_redacted(output: &str) {
    assert!(MARKS.iter().all(|mark| !output.contains(mark)), "{output}");
}

#[test]
fn a_changed_secret_is_reported_without_its_value() {
    let lbuild = Lbuild::new();
    let (from, to) = (leaking(&lbuild, "from", MARKS[0]), leaking(&lbuild, "to", MARKS[1]));
    let (json, text) = diff(&lbuild, &from, &to);
    assert_redacted(&format!("{json}{text}"));
    let fields = json["config"].as_array().unwrap();
    for field in [
        "config.Env.DB_PASSWORD",
        "config.Env.DB_URL",
        "config.Labels.a.token",
        "container_config.Env.OLD_TOKEN",
    ] {
        let expected = json!({ "field": field, "from": "(a secret)", "to": "(another secret)" });
        assert!(fields.contains(&expected), "{field} in {json:#}");
        let line = format!("config  {field}: (a secret) -> (another secret)");
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
    assert_eq!((fields.len(), &json["layers"][0]["created_by"]), (4, &json!(MADE_BY)), "{json:#}");
    assert!(text.contains(&format!("layer 1 differs  {MADE_BY}")), "{text}");
}

#[test]
fn a_secret_that_is_added_or_removed_is_not_shown() {
    let lbuild = Lbuild::new();
    let with = |name: &str, env: Option<Value>| {
        make(&lbuild, name, &[Layer::gzip(below())], |config| match env {
            Some(env) => config["config"]["Env"] = env,
            None => drop(config["config"].as_object_mut().unwrap().remove("Env")),
        })
    };
    // A name without a value, in place of a pair.
    let (secret, token) = (format!("TOKEN={}", MARKS[0]), format!("ghp_{}", MARKS[1].repeat(3)));
    let leaking = with("leaking", Some(json!([secret, token, "B=2"])));
    let public = with("public", Some(json!(["TOKEN=changeme", "B=2"])));
    let (json, text) = diff(&lbuild, &public, &leaking);
    assert_redacted(&format!("{json}{text}"));
    let expected = json!([
        { "field": "config.Env.TOKEN", "from": "changeme", "to": "(a secret)" },
        { "field": "config.Env.…", "to": "(a secret)" },
    ]);
    assert_eq!(json["config"], expected);
    assert!(text.contains("config  config.Env.TOKEN: \"changeme\" -> (a secret)\n"), "{text}");
    assert!(text.contains("config  config.Env.…: nothing -> (a secret)\n"), "{text}");
    // The whole list is redacted.
    let (json, text) = diff(&lbuild, &leaking, &with("none", None));
    assert_redacted(&format!("{json}{text}"));
    let expected = json!({ "TOKEN": "(a secret)", "…": "(a secret)", "B": "2" });
    assert_eq!(json["config"], json!([{ "field": "config.Env", "from": expected }]));
}

#[test]
fn inspect_shows_no_secret() {
    let lbuild = Lbuild::new();
    let image = leaking(&lbuild, "image", MARKS[0]);
    let ask = |more: &[&str]| {
        let mut arguments = vec!["inspect", &image];
        arguments.extend(more);
        let output = lbuild.ok(&arguments).stdout;
        assert_redacted(&output);
        output
    };
    let text = ask(&[]);
    for expected in
        ["A=1", "DB_PASSWORD=(a secret)", "DB_URL=(a secret)", "a.token=(a secret)", "b.c=2", MADE_BY]
    {
        assert!(text.lines().any(|line| line.ends_with(expected)), "{expected} in {text}");
    }
    assert!(ask(&["--history"]).trim_end().ends_with(MADE_BY));
    let history: Value = serde_json::from_str(&ask(&["--history", "--json"])).unwrap();
    assert_eq!(history[1]["created_by"], MADE_BY);

    let json: Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    assert_eq!(json["layers"][1]["created_by"], MADE_BY);
    let config = &json["config"];
    let process = json!({
        "Env": ["A=1", "DB_PASSWORD=(a secret)", "DB_URL=(a secret)"],
        "Labels": { "a.token": "(a secret)", "b.c": "2" },
    });
    assert_eq!(config["config"], process);
    assert_eq!(config["container_config"], json!({ "Env": ["OLD_TOKEN=(a secret)"] }));
    assert_eq!(config["history"], json!([{ "created_by": "step 0" }, { "created_by": MADE_BY }]));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
}

#[test]
fn many_layers_are_compared_in_linear_time() {
    const MANY: usize = 27_000;
    // Quadratic time would take minutes.
    const LIMIT: Duration = Duration::from_secs(120);
    let lbuild = Lbuild::new();
    let digest = |number: usize| format!("sha256:{number:064x}");
    // The layers have a media type that lbuild does not read.
    let many = |name: &str, number: &dyn Fn(usize) -> usize| {
        image(&lbuild.path(name), &[], |config, manifest| {
            let layers = (0..MANY).map(|place| digest(number(place)));
            let layers =
                layers.map(|digest| json!({ "mediaType": "a/b", "size": u64::MAX, "digest": digest }));
            manifest["layers"] = layers.collect();
            let steps = (0..MANY).map(|place| format!("step {}", number(place) % MANY));
            config["history"] = steps.map(|step| json!({ "created_by": step })).collect();
            config["rootfs"]["diff_ids"] = (0..MANY).map(|place| digest(number(place) + 2 * MANY)).collect();
        })
    };
    let from = many("from", &|place| place);
    // The order is reversed, and the layers with numbers in the first half are replaced by others.
    let turned = |number: usize| if number < MANY / 2 { MANY + number } else { number };
    let to = many("to", &|place| turned(MANY - 1 - place));
    let start = Instant::now();
    let json: Value = serde_json::from_str(&lbuild.ok(&["diff", &from, &to, "--json"]).stdout).unwrap();
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    // One layer has neither moved nor changed.
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(layers.len(), MANY - 1);
    for (place, layer) in (1..).zip(layers) {
        let number = MANY - 1 - place;
        assert_eq!(layer["numbers"], json!([number, place]));
        assert_eq!(layer["digests"], json!([digest(number), digest(turned(number))]));
        assert_eq!((&layer["moved"], &layer["files"]), (&json!(true), &json!([])));
    }
    assert_eq!(json["sends"], json!({ "layers": MANY / 2, "bytes": u64::MAX }));
}
