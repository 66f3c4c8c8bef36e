//! Templates of `testdata/sam/ok`: `NAME.functions` has the functions that are found, and `NAME.packaged.EXT` the template
//! with their images; `NAME.values` has values of parameters. Those of `bad` have their message in `NAME.txt`.
//! `UPDATE_GOLDEN=1` rewrites them.

use lbuild::frontend::sam::{BuildKeys, ImageFunction, ImageSource, Template, Values};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The templates of a directory.
fn templates(dir: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(Path::new("testdata/sam").join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let is_template = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name.ends_with(".yaml") || name.ends_with(".json")) && !name.contains(".packaged.")
    };
    let mut templates: Vec<PathBuf> = all.filter(is_template).collect();
    templates.sort();
    templates
}

fn values(path: &Path) -> Values {
    let given = fs::read_to_string(path.with_extension("values")).unwrap_or_default();
    let pairs = given.lines().filter_map(|line| line.split_once('='));
    let parameters = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Values { parameters, region: Some("eu-west-1".to_owned()), ..Values::default() }
}

fn uri(function: &ImageFunction) -> String {
    let ImageFunction { name, tag, .. } = function;
    format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}:{name}-000000000000-{tag}")
}

fn described(template: &Template, functions: &[ImageFunction]) -> String {
    let mut text = String::new();
    for function in functions {
        let ImageFunction { logical_id, name, tag, arch, image, image_uri, .. } = function;
        writeln!(text, "{logical_id}: name {name}, tag {tag}, {arch}").unwrap();
        if let Some(uri) = image_uri {
            writeln!(text, "  ImageUri: {}", uri.value).unwrap();
        }
        match image {
            ImageSource::Dockerfile(build) => {
                writeln!(text, "  {} in {}", build.dockerfile.value, build.context.value).unwrap();
                build.target.iter().for_each(|target| writeln!(text, "  target {}", target.value).unwrap());
                for (name, value) in &build.build_args {
                    writeln!(text, "  {name}={}", value.value).unwrap();
                }
                build.extra.iter().for_each(|flag| writeln!(text, "  {}", flag.value).unwrap());
            }
            ImageSource::Keys(keys) => {
                let keys: BTreeMap<String, serde_json::Value> = template.keys(keys).unwrap();
                keys.iter().for_each(|(key, value)| writeln!(text, "  {key} = {value}").unwrap());
            }
        }
    }
    text
}

fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert_eq!(text, expected, "{path:?}");
}

fn each(check: impl Fn(&Path, &Template, &[ImageFunction])) {
    let templates = templates("ok");
    assert!(templates.len() >= 30);
    for path in templates {
        let text = fs::read_to_string(&path).unwrap();
        let template =
            Template::parse(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"));
        let functions = template.image_functions(&values(&path)).unwrap_or_else(|error| panic!("{error}"));
        check(&path, &template, &functions);
    }
}

fn with_images(template: &Template, functions: &[ImageFunction], keys: BuildKeys) -> String {
    let uris: Vec<String> = functions.iter().map(uri).collect();
    let images: Vec<_> = functions.iter().zip(uris.iter().map(String::as_str)).collect();
    template.with_images(&images, keys).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn templates_get_their_images() {
    each(|path, template, functions| {
        golden(&path.with_extension("functions"), &described(template, functions));
        let packaged = with_images(template, functions, BuildKeys::Remove);
        let extension = path.extension().unwrap().to_string_lossy().into_owned();
        golden(&path.with_extension(format!("packaged.{extension}")), &packaged);
    });
}

#[test]
fn nothing_else_changes() {
    each(|path, template, functions| {
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(template.with_images(&[], BuildKeys::Remove).unwrap(), text);
        // A line of the result is a line of the template, in its order, or has the name of an image, or the keys around.
        let packaged = with_images(template, functions, BuildKeys::Remove);
        let content = |line: &str| line.trim_end_matches(',').to_owned();
        let mut old = text.lines().map(content);
        for line in packaged.lines().map(content) {
            // The template has one of these keys only after the lines between, if at all.
            let added = ["Properties:", "Code:", "SkipBuild: true"].contains(&line.trim());
            let is_next = old.clone().next() == Some(line.clone());
            let is_new = line.contains("dkr.ecr") || added && !is_next;
            assert!(is_new || old.any(|old| old == line), "{path:?}: {line}");
        }
    });
}

#[test]
fn a_packaged_template_has_nothing_to_build() {
    each(|path, template, functions| {
        for keys in [BuildKeys::Remove, BuildKeys::Keep] {
            let packaged = with_images(template, functions, keys);
            let again = Template::parse("packaged", &packaged).unwrap();
            let left = again.image_functions(&values(path)).unwrap();
            assert!(left.is_empty(), "{path:?} {keys:?}: {left:?}");
            let skipped = packaged.matches("SkipBuild").count();
            assert!(keys == BuildKeys::Remove || skipped >= functions.len(), "{path:?}: {skipped}");
        }
    });
}

#[test]
fn each_function_can_be_packaged_alone() {
    each(|path, template, functions| {
        for function in functions {
            let uri = uri(function);
            // A function of which another takes its properties cannot get an image of its own.
            if let Ok(packaged) = template.with_images(&[(function, &uri)], BuildKeys::Remove) {
                let again = Template::parse("packaged", &packaged).unwrap();
                let left = again.image_functions(&values(path)).unwrap();
                assert_eq!(left.len(), functions.len() - 1, "{path:?} {}", function.logical_id);
                assert!(left.iter().all(|other| other.logical_id != function.logical_id));
            }
        }
    });
}

#[test]
fn paths_lead_back_from_another_directory() {
    each(|path, template, _| {
        let moved = template.moved("../o'dd \"dir").unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Template::parse("moved", &moved).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    });
    let text = "Globals: {Function: {CodeUri: ./all}}\nResources:\n  A:\n    Type: AWS::Serverless::Function\n    \
        Properties:\n      CodeUri: &code ./src  # kept\n  B:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
        CodeUri: *code\n  C:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: >-\n        \
        ./my layer\n  D:\n    Type: AWS::Serverless::Api\n    Properties: {DefinitionUri: 'a.yaml', DefinitionBody: \
        {Fn::Transform: {Name: AWS::Include, Parameters: {Location: \"b.yaml\"}}}}\n  E:\n    \
        Type: AWS::Serverless::Function\n    Properties: {CodeUri: s3://bucket/key}\n";
    let moved = Template::parse("t", text).unwrap().moved("../..").unwrap();
    let expected = [
        ("./all", "../../all"),
        ("&code ./src", "&code ../../src"),
        ("./my layer", "../../my layer"),
        ("'a.yaml'", "'../../a.yaml'"),
        ("\"b.yaml\"", "\"../../b.yaml\""),
    ];
    assert_eq!(moved, expected.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new)));
}

#[test]
fn errors_name_file_line_and_column() {
    for path in templates("bad") {
        let text = fs::read_to_string(&path).unwrap();
        let found =
            Template::parse(&path.file_name().unwrap().to_string_lossy(), &text).and_then(|template| {
                let functions = template.image_functions(&Values::default())?;
                for function in functions {
                    if let ImageSource::Keys(keys) = &function.image {
                        template.keys::<Keys>(keys)?;
                    }
                }
                Ok(())
            });
        let error = found.expect_err(&path.display().to_string());
        let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        golden(&path.with_extension("txt"), &format!("{error}\n{hint}"));
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the names of the keys are tested")]
struct Keys {
    runtime: String,
    handler: String,
}
