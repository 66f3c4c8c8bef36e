//! Installs by npm, yarn and pnpm.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Environment, json, refusal, shell};
use crate::frontend::dockerfile::translate::ToolSettings;
use crate::frontend::dockerfile::translate::outcome::{Surroundings, translate};
use crate::recipe::{NodeInstall, Operation};

/// The install of a line, with these variables in the environment.
fn with(variables: &[(&'static str, &'static str)], text: &str) -> Result<NodeInstall, String> {
    let environment = Environment(HashMap::from_iter(variables.iter().copied()));
    let settings = ToolSettings::default();
    let surroundings = Surroundings {
        environment: &environment,
        directory: "/work",
        user: None,
        mounts: &[],
        settings: &settings,
    };
    let translated = translate(&shell(text), &surroundings).translation.map_err(|(_, why)| why.reason)?;
    match translated.chains.into_iter().flatten().last().map(|command| command.operation) {
        Some(Operation::InstallNode(install)) => Ok(install),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn installs_of_a_lock_are_translated() {
    let npm = |more: Value| {
        let mut install = json!({ "program": "npm", "directory": "." });
        install.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        install
    };
    for (text, expected) in [
        ("npm install", npm(json!({}))),
        ("npm i", npm(json!({}))),
        ("npm ci", npm(json!({ "frozen": true }))),
        ("npm clean-install", npm(json!({ "frozen": true }))),
        ("npm ci --omit=dev", npm(json!({ "frozen": true, "options": ["--omit=dev"] }))),
        ("npm ci --omit dev", npm(json!({ "frozen": true, "options": ["--omit=dev"] }))),
        ("npm install --production", npm(json!({ "options": ["--omit=dev"] }))),
        ("npm i --only=production", npm(json!({ "options": ["--omit=dev"] }))),
        ("npm ci --ignore-scripts", npm(json!({ "frozen": true, "ignore-scripts": true }))),
        ("npm install --ci", npm(json!({}))),
        ("npm ci --no-audit --no-fund --loglevel=error -s --cache /tmp/npm", npm(json!({ "frozen": true }))),
        ("npm install --production=false", npm(json!({}))),
        (
            "npm install --no-package-lock --legacy-peer-deps",
            npm(json!({ "options": ["--no-package-lock", "--legacy-peer-deps"] })),
        ),
        ("npm --prefix app ci", npm(json!({ "frozen": true, "directory": "app" }))),
        ("npm ci --prefix=\"${LAMBDA_TASK_ROOT}\"", npm(json!({ "frozen": true, "directory": "/var/task" }))),
        ("yarn", json!({ "program": "yarn", "directory": "." })),
        ("yarn install --frozen-lockfile", json!({ "program": "yarn", "directory": ".", "frozen": true })),
        ("yarn install --immutable", json!({ "program": "yarn", "directory": ".", "frozen": true })),
        (
            "yarn --production --non-interactive",
            json!({ "program": "yarn", "directory": ".", "options": ["--production"] }),
        ),
        (
            "yarn install --production=true",
            json!({ "program": "yarn", "directory": ".", "options": ["--production"] }),
        ),
        (
            "yarn --cwd app install --ignore-scripts",
            json!({ "program": "yarn", "directory": "app", "ignore-scripts": true }),
        ),
        ("pnpm install", json!({ "program": "pnpm", "directory": "." })),
        (
            "pnpm i --frozen-lockfile --prod",
            json!({ "program": "pnpm", "directory": ".", "frozen": true, "options": ["--prod"] }),
        ),
        ("pnpm -C app install -P", json!({ "program": "pnpm", "directory": "app", "options": ["--prod"] })),
    ] {
        assert_eq!(json(text), json!([{ "install-node": expected }]), "{text}");
    }
    let after = json("cd app && npm ci && rm -rf test && npm cache clean --force");
    assert_eq!(after.as_array().unwrap().len(), 4, "{after}");
}

#[test]
fn variables_decide_which_packages_are_installed() {
    let production = [("NODE_ENV", "production")];
    for text in ["npm ci", "npm install --omit=optional", "yarn install", "pnpm install"] {
        assert!(with(&production, text).unwrap().production, "{text}");
        assert!(!with(&[("NODE_ENV", "test")], text).unwrap().production, "{text}");
    }
    for text in [
        "NODE_ENV=production npm ci",
        "export NODE_ENV=production && npm ci",
        "A=production && export NODE_ENV=$A && npm ci",
        "NODE_ENV=$NODE_MODE npm ci",
    ] {
        let found = with(&[("NODE_MODE", "production")], text);
        assert!(found.is_ok_and(|install| install.production), "{text}");
    }
    assert!(!with(&production, "NODE_ENV=development npm ci").unwrap().production);
    assert!(with(&production, "npm i --production=false").unwrap_err().contains("NODE_ENV"));
    let mirror = [("NPM_CONFIG_REGISTRY", "https://mirror.example/npm/")];
    assert_eq!(with(&mirror, "npm ci").unwrap().options, ["--registry=https://mirror.example/npm/"]);
    let own = with(&mirror, "npm ci --registry https://own.example").unwrap();
    assert_eq!(own.options, ["--registry=https://own.example"]);
    for name in ["NPM_CONFIG_OMIT", "npm_config_production", "NPM_CONFIG_PREFIX", "YARN_NODE_LINKER"] {
        let why = with(&[(name, "x")], "npm ci").unwrap_err();
        assert_eq!(why, format!("is changed by the variable {name}"));
        assert!(with(&[], &format!("{name}=x npm ci")).is_err());
    }
    assert!(with(&[], "X=1 NODE_ENV=$X npm ci").is_err(), "shells differ");
}

#[test]
fn other_commands_of_package_managers_are_left() {
    for (text, word) in [
        ("npm install left-pad", "left-pad"),
        ("npm i express@4 --save", "express@4"),
        ("npm install -g npm@latest", "-g"),
        ("npm install --global esbuild", "--global"),
        ("npm ci --location=global", "--location=global"),
        ("npm run build", "run"),
        ("npm prune --omit=dev", "prune"),
        ("npm rebuild", "rebuild"),
        ("npm exec tsc", "exec"),
        ("npm", "npm"),
        ("npm ci --install-strategy=linked", "--install-strategy=linked"),
        ("npm ci --omit=all", "--omit=all"),
        ("npm ci --omit", "--omit"),
        ("npm ci --audit=maybe", "--audit=maybe"),
        ("npm install --production true", "true"),
        ("npm ci -sq", "-sq"),
        ("npm ci -- x", "--"),
        ("npm ci --prefix ''", "--prefix"),
        ("npm ci --prefix /proc/x", "--prefix"),
        ("npm ci || npm install", "||"),
        ("npm ci; mkdir a", "npm ci; mkdir a"),
        ("npm ci > log", "> log"),
        ("yarn add left-pad", "add"),
        ("yarn global add serverless", "global"),
        ("yarn build", "build"),
        ("yarn run build", "run"),
        ("yarn workspaces focus --production", "workspaces"),
        ("yarn install --flat", "--flat"),
        ("yarn cache list", "yarn"),
        ("pnpm add left-pad", "add"),
        ("pnpm", "pnpm"),
        ("pnpm run build", "run"),
        ("pnpm install left-pad", "left-pad"),
        ("pnpm install --node-linker=isolated", "--node-linker=isolated"),
        ("npx tsc", "npx"),
        ("corepack enable && pnpm install", "corepack"),
    ] {
        assert_eq!(refusal(text).0, word, "{text}");
    }
}
