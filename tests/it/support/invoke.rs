//! Runs an image like Lambda, with Lambda's runtime interface emulator, and invokes it.

use super::http::{Request, send};
use super::image_tools::{ImageLocation, PODMAN, podman_arguments};
use super::nonce;
use super::sandbox::{Sandbox, SandboxedProcess};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A running function; it ends when this value is dropped, or with the test process.
pub struct Function {
    address: String,
    log: PathBuf,
    // fields are dropped in the order of their declaration
    _container: SandboxedProcess,
    _sandbox: Sandbox,
}

impl Function {
    /// Starts the image with rootless Podman; a foreign architecture runs under qemu-user.
    pub fn start(location: &ImageLocation) -> Result<Function, String> {
        let sandbox = Sandbox::new();
        let (emulator, runtime) = (free_address(), free_address());
        let variables = [
            format!("--env=TEST_EMULATOR_ADDRESS={emulator}"),
            format!("--env=TEST_RUNTIME_API_ADDRESS={runtime}"),
        ];
        let all = podman_arguments(&sandbox, location, &variables.each_ref().map(String::as_str), &[]);
        let log = sandbox.path().join("log");
        let mut container = sandbox.start(PODMAN, &all.iter().map(String::as_str).collect::<Vec<_>>(), &log);

        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&emulator).is_err() {
            if container.has_ended() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{}: the function does not start\n{log}", location.name));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Function { address: emulator, log, _container: container, _sandbox: sandbox })
    }

    /// The address of the emulator.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn invoke(&self, event: &Value) -> Result<Value, String> {
        let target = "/2015-03-31/functions/function/invocations".to_owned();
        let body = event.to_string().into_bytes();
        let request = Request { method: "POST".into(), target, headers: Vec::new(), body };
        let response = send(&self.address, &request)?;
        let text = String::from_utf8_lossy(&response.body);
        serde_json::from_str(&text)
            .map_err(|error| format!("{}: {error}: {text}\n{}", response.status, self.log()))
    }

    /// The output of the emulator and the function.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Starts the image, sends `{"nonce": …}`, and returns the answer if it contains the nonce.
pub fn answer(location: &ImageLocation) -> Result<Value, String> {
    let function = Function::start(location)?;
    let nonce = nonce();
    let answer = function.invoke(&json!({ "nonce": nonce }))?;
    let ours = answer.to_string().contains(&nonce);
    ours.then_some(answer.clone()).ok_or_else(|| format!("not our nonce: {answer}\n{}", function.log()))
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("bound").to_string()
}
