//! The network of a function: this machine's, or one of its own.

use super::rig::{Rig, report};
use serde_json::{Value, json};
use std::net::TcpListener;

#[test]
fn a_function_of_its_own_network_answers_and_reaches_nothing() {
    let rig = Rig::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::fs::write(
        rig.code().join("app.py"),
        "import socket\ndef handler(event, context):\n    try:\n        socket.create_connection(('127.0.0.1', event)).close()\n        \
         return 'connected'\n    except OSError as error:\n        return type(error).__name__\n",
    )
    .unwrap();
    assert_eq!(rig.answer(&json!(port), &[]), "connected");
    assert_eq!(rig.answer(&json!(port), &["--network", "none"]), "ConnectionRefusedError");
}

#[test]
fn functions_of_own_networks_may_have_the_same_port() {
    let rig = Rig::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listens = json!({ "do": "listens", "port": port });
    let alone = [0, 1].map(|_| rig.serve(&["--network", "none"]));
    for served in &alone {
        assert_eq!(served.invoke(&listens), "listens", "{}", served.log());
    }
    let shared = rig.serve(&[]);
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = shared.invoke(&listens);
    assert_eq!(error["errorMessage"], "[Errno 98] Address already in use");
    let done = rig.invoke(&listens, &[]);
    assert_eq!(done.code, Some(9));
    assert!(
        done.stderr.contains("hint: another process of this machine has the port: --network none"),
        "{}",
        done.stderr
    );
    drop(taken);
}

#[test]
fn the_service_is_known_by_its_name() {
    let rig = Rig::new();
    for network in ["host", "none"] {
        let answer = rig.answer(&json!({ "do": "resolves" }), &["--network", network]);
        assert_eq!(answer, "127.0.0.1", "{network}");
    }
}

/// The port of `lbuild run` itself.
#[test]
fn a_port_that_is_taken_is_named() {
    let rig = Rig::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = rig.lbuild.run(&rig.arguments("run", &["--port", &port])).failed(7);
    assert!(
        error.contains(&format!("cannot listen on port {port} of 127.0.0.1")) && error.contains("hint: "),
        "{error}"
    );
    let _: (Option<&str>, Value) = (report("", ""), Value::Null);
}
