//! Files that may hold secrets, by path: those in which tools store credentials, and the settings of a function.

/// The kind of a file that may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.env`: environment variables.
    Environment,
    /// The credentials of AWS's tools.
    Aws,
    /// The temporary credentials that AWS's command line caches.
    AwsCache,
    Npm,
    Yarn,
    Pypi,
    Pip,
    Netrc,
    /// The credentials of git, as URLs.
    Git,
    GitConfig,
    Docker,
    Ssh,
    Google,
    Azure,
    /// The state of Terraform, which includes the passwords of resources.
    Terraform,
    /// The configuration of another tool, which may have a password or token.
    Tool,
    /// The key of a service account, with its usual file name.
    Key,
    /// A file of the function itself whose name suggests settings or a key.
    Own,
}

impl Kind {
    /// The kind of the file at a path; `None` if it does not hold secrets.
    pub fn of(path: &str) -> Option<Kind> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        if is_environment(name) {
            return Some(Kind::Environment);
        }
        if is_ssh(dir, name) {
            return Some(Kind::Ssh);
        }
        if [".aws/sso/cache", ".aws/cli/cache"].iter().any(|cache| dir.ends_with(cache)) {
            return Some(Kind::AwsCache);
        }
        place(dir, name).or_else(|| is_own(path, name).then_some(Kind::Own))
    }

    /// The name of the kind, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Environment => "environment file",
            Kind::Aws | Kind::AwsCache => "AWS credentials",
            Kind::Npm => "npm's configuration",
            Kind::Yarn => "yarn's configuration",
            Kind::Pypi => "PyPI's configuration",
            Kind::Pip => "pip's configuration",
            Kind::Netrc => "netrc",
            Kind::Git => "git's credentials",
            Kind::GitConfig => "git's configuration",
            Kind::Docker => "Docker's configuration",
            Kind::Ssh => "SSH key",
            Kind::Google => "Google Cloud credentials",
            Kind::Azure => "Azure credentials",
            Kind::Terraform => "Terraform's state",
            Kind::Tool => "a tool's configuration",
            Kind::Key => "service account's key",
            Kind::Own => "settings",
        }
    }

    /// Whether the purpose of such a file is to hold secrets. If so, one with unknown content is assumed to hold some.
    pub fn is_for_secrets(self) -> bool {
        matches!(
            self,
            Kind::Environment
                | Kind::Aws
                | Kind::AwsCache
                | Kind::Netrc
                | Kind::Git
                | Kind::Ssh
                | Kind::Google
                | Kind::Azure
                | Kind::Terraform
        )
    }
}

/// The name of the kind of a file that may hold secrets; `None` for other files.
pub fn is_secret_file(path: &str) -> Option<&'static str> {
    Kind::of(path).map(Kind::name)
}

/// The kind of a file in which tools store credentials. The name is matched first, because few files have such a name.
fn place(dir: &str, name: &str) -> Option<Kind> {
    let is_in = |of: &str| dir.strip_suffix(of).is_some_and(|above| above.is_empty() || above.ends_with('/'));
    Some(match name {
        ".npmrc" => Kind::Npm,
        ".yarnrc.yml" => Kind::Yarn,
        ".pypirc" => Kind::Pypi,
        "pip.conf" => Kind::Pip,
        ".netrc" => Kind::Netrc,
        ".git-credentials" => Kind::Git,
        ".my.cnf" | ".s3cfg" | ".boto" => Kind::Tool,
        "terraform.tfstate" | "terraform.tfstate.backup" => Kind::Terraform,
        "credentials.json" | "service-account.json" | "service_account.json" | "serviceAccountKey.json" => {
            Kind::Key
        }
        "credentials" if is_in(".aws") => Kind::Aws,
        "credentials" if is_in(".config/git") => Kind::Git,
        "credentials" | "credentials.toml" if is_in(".cargo") => Kind::Tool,
        "config" if is_in(".git") => Kind::GitConfig,
        "config" if is_in(".aws") || is_in(".kube") => Kind::Tool,
        "config.json" if is_in(".docker") => Kind::Docker,
        "auth.json" if is_in("containers") => Kind::Docker,
        "auth.toml" if is_in(".config/pypoetry") => Kind::Tool,
        "hosts.yml" if is_in(".config/gh") => Kind::Tool,
        "application_default_credentials.json" | "credentials.db" if is_in(".config/gcloud") => Kind::Google,
        "msal_token_cache.json" | "service_principal_entries.json" | "accessTokens.json"
            if is_in(".azure") =>
        {
            Kind::Azure
        }
        _ => return None,
    })
}

fn is_environment(name: &str) -> bool {
    // Endings of templates, of ciphertext, and of files that are not lists of variables.
    const OTHER: [&str; 19] = [
        "example", "examples", "sample", "template", "tmpl", "tpl", "dist", "default", "defaults", "schema",
        "vault", "enc", "gpg", "md", "js", "cjs", "mjs", "ts", "py",
    ];
    let is_other = |end: &str| end.split('.').any(|part| OTHER.contains(&part));
    name == ".env" || name == ".envrc" || name.strip_prefix(".env.").is_some_and(|end| !is_other(end))
}

fn is_ssh(dir: &str, name: &str) -> bool {
    const KEYS: [&str; 6] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"];
    let in_ssh = dir == ".ssh" || dir.ends_with("/.ssh");
    KEYS.contains(&name) || (in_ssh && name.starts_with("id_") && !name.ends_with(".pub"))
}

/// Upper bound on the depth of settings files in a function's directory; deeper files belong to a package.
const DEEP: usize = 2;

fn is_own(path: &str, name: &str) -> bool {
    const LOCKS: [&str; 3] = ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml"];
    let Some((_, ending)) = name.rsplit_once('.').filter(|(start, _)| !start.starts_with(".wh.")) else {
        return false;
    };
    let is_aside = |dir: &str| is_tests(dir) || is_package_place(dir) || dir.ends_with(".dist-info");
    let is_settings = matches!(
        ending,
        "json"
            | "yml"
            | "yaml"
            | "toml"
            | "ini"
            | "cfg"
            | "conf"
            | "properties"
            | "env"
            | "pem"
            | "key"
            | "tfvars"
            | "sh"
    );
    is_settings
        && !LOCKS.contains(&name)
        && in_function(path)
            .is_some_and(|inside| inside.matches('/').count() <= DEEP && !inside.split('/').any(is_aside))
}

/// The path relative to the function's directory; `None` if it cannot be in one, as with the system's paths.
pub fn in_function(path: &str) -> Option<&str> {
    const ROOTS: [&str; 2] = ["var/task/", "usr/src/app/"];
    const SYSTEM: [&str; 20] = [
        "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt",
        "proc", "root", "run", "sbin", "srv", "sys", "tmp", "var",
    ];
    if let Some(inside) = ROOTS.iter().find_map(|root| path.strip_prefix(root)) {
        return Some(inside);
    }
    let (first, inside) = path.split_once('/')?;
    (first != "usr" && !SYSTEM.contains(&first)).then_some(inside)
}

/// Whether a file belongs to an installed package.
pub fn is_packaged(path: &str) -> bool {
    path.split('/').any(is_package_place)
}

fn is_package_place(dir: &str) -> bool {
    ["site-packages", "dist-packages", "node_modules", "vendor"].contains(&dir)
}

/// Whether a file is in a directory for tests or examples.
pub fn has_tests(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(dir, _)| dir.split('/').any(is_tests))
}

fn is_tests(dir: &str) -> bool {
    const TESTS: [&str; 11] = [
        "test",
        "tests",
        "testing",
        "testdata",
        "__tests__",
        "fixtures",
        "example",
        "examples",
        "samples",
        "doc",
        "docs",
    ];
    TESTS.contains(&dir)
}

/// The parent directories of a path, from the outermost.
pub fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_files_are_recognised_by_their_paths() {
        for (path, expected) in [
            ("var/task/.env", Some(Kind::Environment)),
            (".env.production", Some(Kind::Environment)),
            ("root/.aws/credentials", Some(Kind::Aws)),
            ("root/.aws/config", Some(Kind::Tool)),
            ("root/.aws/sso/cache/0123.json", Some(Kind::AwsCache)),
            (".npmrc", Some(Kind::Npm)),
            ("root/.docker/config.json", Some(Kind::Docker)),
            ("root/.ssh/id_work", Some(Kind::Ssh)),
            ("var/task/id_rsa", Some(Kind::Ssh)),
            ("var/task/.git/config", Some(Kind::GitConfig)),
            ("root/.config/gcloud/application_default_credentials.json", Some(Kind::Google)),
            ("var/task/infra/terraform.tfstate", Some(Kind::Terraform)),
            ("opt/credentials.json", Some(Kind::Key)),
            ("var/task/.env.example", None),
            ("var/task/.env.production.sample", None),
            ("var/task/.env.vault", None),
            ("root/.ssh/id_rsa.pub", None),
            ("root/.ssh/known_hosts", None),
            ("root/.ssh/authorized_keys", None),
            ("var/task/.wh..env", None),
            ("var/task/.wh.config.json", None),
            ("etc/my.npmrc", None),
        ] {
            assert_eq!(Kind::of(path), expected, "{path}");
            assert_eq!(is_secret_file(path), expected.map(Kind::name), "{path}");
        }
    }

    #[test]
    fn a_functions_own_settings_may_hold_secrets() {
        for path in [
            "var/task/config.json",
            "var/task/src/config/prod.yml",
            "var/task/server.pem",
            "usr/src/app/prod.env",
            "function/run.sh",
            "app/settings.toml",
        ] {
            assert_eq!(Kind::of(path), Some(Kind::Own), "{path}");
        }
        for path in [
            "config.json",
            "var/task/app.py",
            "var/task/README",
            "var/task/package-lock.json",
            "var/task/a/b/c/deep.json",
            "var/task/node_modules/a/package.json",
            "var/task/vendor/bundle/a.yml",
            "var/task/tests/key.pem",
            "var/task/moto/test/ca.key",
            "var/task/requests-2.32.dist-info/direct_url.json",
            "var/lang/lib/python3.12/site-packages/certifi/cacert.pem",
            "var/runtime/x.json",
            "usr/share/ca-certificates/a.pem",
            "etc/ssl/private/ssl-cert-snakeoil.key",
            "opt/python/botocore/cacert.pem",
        ] {
            assert_eq!(Kind::of(path), None, "{path}");
        }
    }

    #[test]
    fn packages_and_tests_are_recognised_by_their_paths() {
        assert!(is_packaged("var/task/node_modules/a/.npmrc") && !is_packaged("var/task/.npmrc"));
        assert!(has_tests("usr/lib/python3.12/test/id_rsa") && !has_tests("var/task/test"));
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(parents("a").count(), 0);
    }
}
