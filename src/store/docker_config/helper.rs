//! Credential helpers: programs that look up a login.
//!
//! The protocol: <https://github.com/docker/docker-credential-helpers#development>.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::login::Login;
use crate::error::{Error, Result};
use crate::programs::{self, on_path};

/// Upper bound on the time that a helper has to answer; it may ask the user for a passphrase.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Upper bound on the output of a helper, in bytes.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// A configured credential helper.
#[derive(Debug, PartialEq)]
pub(super) struct Helper {
    /// The program's name.
    pub(super) program: String,
    /// The configuration that names it.
    pub(super) config: PathBuf,
    /// The server whose login it looks up.
    pub(super) server: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helper {
    /// The login for the server; `None` if the helper has none.
    ///
    /// # Errors
    /// When the program is missing, fails, or does not answer in time.
    pub(super) async fn login(&self, patience: Duration) -> Result<Option<Login>> {
        match tokio::time::timeout(patience, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.fault(format!("did not answer within {} s", patience.as_secs_f32()))),
        }
    }

    /// Gives the helper a login to keep, or with the verb `erase` the server's name to forget.
    ///
    /// # Errors
    /// When the program is missing, fails, or does not answer in time.
    pub(super) async fn tell(&self, verb: &str, text: &str) -> Result<()> {
        let told = tokio::time::timeout(PATIENCE, self.run(verb, text)).await;
        let Output { status, .. } = told.map_err(|_| self.fault("did not answer"))??;
        match status.success() {
            true => Ok(()),
            false => Err(self.fault(format!("failed ({status})"))),
        }
    }

    async fn run(&self, verb: &str, text: &str) -> Result<Output> {
        let program = on_path(&self.program).ok_or_else(|| self.fault("is not on the PATH"))?;
        let mut command = programs::command(program);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.start().map_err(|error| self.fault(format!("cannot be started: {error}")));
        let mut running = running?;
        if let Some(mut stdin) = running.child.stdin.take() {
            // A helper may answer without reading the name.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        let output = running.limited_output(OUTPUT_LIMIT).await;
        output.map_err(|error| self.fault(format!("cannot be run: {error}")))
    }

    async fn ask(&self) -> Result<Option<Login>> {
        let Output { status, stdout, stderr } = self.run("get", &self.server).await?;
        // A helper reports in its output that it has no login for the name. Other output may contain a secret, and is
        // not quoted.
        if !status.success() {
            let text = [stdout, stderr].concat();
            let has_none = String::from_utf8_lossy(&text).contains("credentials not found");
            return if has_none { Ok(None) } else { Err(self.fault(format!("failed ({status})"))) };
        }
        let answer: Answer =
            serde_json::from_slice(&stdout).map_err(|_| self.fault("printed no login in JSON"))?;
        Ok(Login::of(answer.username, answer.secret))
    }

    fn fault(&self, fault: impl Into<String>) -> Error {
        Error::CredentialHelper {
            server: self.server.clone(),
            program: self.program.clone(),
            config: self.config.clone(),
            fault: fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The outcome of a helper that runs this shell script.
    async fn asked(script: &str, patience: Duration) -> Result<Option<Login>> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("docker-credential-test");
        // Written by another process: a child of another test could inherit the open file, and executing it would fail.
        let mut install = std::process::Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(&program)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(install.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
        assert!(install.wait().unwrap().success());
        let (program, config) = (program.display().to_string(), "/h/.docker/config.json".into());
        Helper { program, config, server: "r.example".into() }.login(patience).await
    }

    #[tokio::test]
    async fn a_helper_answers_with_a_login() {
        let password = |username: &str, password: &str| Login::of(username.into(), password.into());
        for (script, expected) in [
            (r#"read -r name; echo "{\"Username\":\"u\",\"Secret\":\"$name\"}""#, password("u", "r.example")),
            // It need not read the name, and may write warnings.
            (r#"echo warning >&2; echo '{"ServerURL":"x","Username":"u","Secret":"p"}'"#, password("u", "p")),
            (r#"echo '{"Username":"<token>","Secret":"t"}'"#, Some(Login::IdentityToken("t".into()))),
            (r#"echo '{"Username":"","Secret":""}'"#, None),
            ("echo credentials not found in native keychain; exit 1", None),
            ("echo credentials not found >&2; exit 1", None),
        ] {
            assert_eq!(asked(script, PATIENCE).await.unwrap(), expected, "{script}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_gives_no_answer_is_named_and_not_quoted() {
        for (script, fault) in [
            ("echo s3cret; exit 3", "failed (exit status: 3)"),
            ("echo s3cret", "printed no login in JSON"),
            ("kill -9 $$", "failed (signal: 9"),
            (r#"echo '{"Username":"s3cret"}'"#, "printed no login in JSON"),
            ("exit 0", "printed no login in JSON"),
            ("exec yes s3cret", "failed (signal: 13"),
        ] {
            let error = asked(script, PATIENCE).await.unwrap_err();
            let text = error.to_string();
            let named = text.contains("docker-credential-test") && text.contains("/h/.docker/config.json");
            assert!(named && text.contains(fault) && !text.contains("s3cret"), "{text}");
            assert!(error.hint().is_some());
        }
        let (program, config) = ("docker-credential-desktop-x".to_owned(), PathBuf::from("/c.json"));
        let missing = Helper { program, config, server: "r.example".into() };
        let error = missing.login(PATIENCE).await.unwrap_err().to_string();
        assert!(
            error.contains("docker-credential-desktop-x") && error.contains("is not on the PATH"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_child_of_a_helper_that_keeps_its_output_open_is_not_waited_for() {
        let login = Login::of("u".into(), "p".into());
        for start in ["sleep 100 &", "setsid sleep 3 &"] {
            let script = format!(r#"{start} echo '{{"Username":"u","Secret":"p"}}'"#);
            let began = std::time::Instant::now();
            assert_eq!(asked(&script, Duration::from_secs(60)).await.unwrap(), login, "{start}");
            assert!(began.elapsed() < Duration::from_secs(20), "{start}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_stopped() {
        let error = asked("sleep 1000", Duration::from_millis(100)).await.unwrap_err().to_string();
        assert!(error.contains("did not answer within 0.1 s"), "{error}");
    }
}
