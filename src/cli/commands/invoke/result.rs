//! The result of an invocation: the response on standard output, or the error and the exit code.

use lbuild::lambda::invoke::{ExecutionEnvironment, Invocation, Outcome, Status, Stream};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};

use crate::cli::output::exit::Failure;
use crate::cli::output::report::print_json;

/// Prints a response; one that is streamed, while it is written.
pub struct Printing {
    json: bool,
}

impl Printing {
    pub fn new(json: bool) -> Printing {
        Printing { json }
    }

    pub async fn invoke(
        self,
        environment: &mut ExecutionEnvironment,
        invocation: Invocation,
    ) -> Result<Outcome, Failure> {
        if self.json {
            return Ok(environment.invoke(invocation, None).await?);
        }
        let (head, started) = oneshot::channel();
        let (pieces, mut received) = mpsc::channel::<bytes::Bytes>(16);
        let printing = async {
            let mut end = started.await.ok().map(StreamEnd::of);
            let mut last = None;
            while let Some(piece) = received.recv().await {
                let piece = match &mut end {
                    Some(end) => end.body(&piece),
                    None => piece.to_vec(),
                };
                last = piece.last().copied().or(last);
                write(&piece).await?;
            }
            if let Some(rest) = end.and_then(|end| end.metadata).filter(|rest| !rest.is_empty()) {
                // The end of the metadata never came.
                write(&rest).await?;
                last = rest.last().copied();
            }
            Ok::<_, Failure>(last)
        };
        let invoking = environment.invoke(invocation, Some(Stream { head, pieces }));
        let (outcome, last) = tokio::join!(invoking, printing);
        let outcome = outcome?;
        match last? {
            Some(b'\n') => {}
            Some(_) => write(b"\n").await?,
            None => {}
        }
        Ok(outcome)
    }
}

/// The metadata of an HTTP response, which comes before its body in a stream, up to eight NUL bytes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming>.
struct StreamEnd {
    /// The bytes of the metadata so far; `None` after it.
    metadata: Option<Vec<u8>>,
}

const HTTP_RESPONSE: &str = "application/vnd.awslambda.http-integration-response";

impl StreamEnd {
    fn of(content_type: Option<String>) -> StreamEnd {
        let is_http = content_type.is_some_and(|content_type| content_type.starts_with(HTTP_RESPONSE));
        StreamEnd { metadata: is_http.then(Vec::new) }
    }

    /// The bytes of a piece that are of the body.
    fn body(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(metadata) = &mut self.metadata else { return piece.to_vec() };
        metadata.extend_from_slice(piece);
        let Some(end) = metadata.windows(8).position(|bytes| bytes == [0; 8]) else { return Vec::new() };
        let body = metadata[end + 8..].to_vec();
        self.metadata = None;
        body
    }
}

/// Writes without blocking the task: whoever reads may be slow, and lbuild may be interrupted meanwhile.
pub async fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = tokio::io::stdout();
    let written = async {
        stdout.write_all(bytes).await?;
        stdout.flush().await
    };
    match written.await {
        // Its reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| Failure::Write { path: "standard output".into(), source }),
    }
}

/// Prints what remains, and gives the failure of an invocation without a response.
pub async fn finish(outcome: &Outcome, hint: Option<String>, json: bool) -> Result<(), Failure> {
    if json {
        print_json(&format!("{:#}", as_json(outcome)))?;
    } else if !outcome.payload.is_empty() {
        write(&outcome.payload).await?;
        if !outcome.payload.ends_with(b"\n") {
            write(b"\n").await?;
        }
    }
    match outcome.status {
        Status::Success => Ok(()),
        status => Err(failure(status, outcome, hint)),
    }
}

fn failure(status: Status, outcome: &Outcome, hint: Option<String>) -> Failure {
    failure_of(status, &outcome.payload, outcome.error_type.as_deref(), hint)
}

/// The failure of an invocation with this error as its payload.
pub fn failure_of(status: Status, payload: &[u8], error_type: Option<&str>, hint: Option<String>) -> Failure {
    let error_type = error_type.unwrap_or("an error");
    let (code, what) = match status {
        Status::Timeout => (10, "the function took too long"),
        Status::Crash => (11, "the function's process ended"),
        Status::OutOfMemory => (12, "the function used more memory than it has"),
        Status::InitError => (9, "the function could not be initialised"),
        _ => (9, "the function returned an error"),
    };
    let told = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    let text = |name: &str| told.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let error_type = text("errorType").unwrap_or(error_type);
    let message = match text("errorMessage").map(without_id) {
        Some(message) => format!("{what}: {error_type}: {message}"),
        None => format!("{what}: {error_type}"),
    };
    Failure::Invocation { code, message, hint }
}

/// A message without the id of the request, which the log has.
fn without_id(message: &str) -> &str {
    message
        .strip_prefix("RequestId: ")
        .and_then(|rest| rest.split_once(" Error: "))
        .map_or(message, |(_, message)| message)
}

/// A payload as a member of the result.
pub fn payload_as_json(payload: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(payload) {
        Ok(value) => json!({ "payload": value }),
        Err(_) => match std::str::from_utf8(payload) {
            Ok(text) => json!({ "payload": text }),
            Err(_) => {
                use base64::Engine as _;
                json!({ "payload_base64": base64::engine::general_purpose::STANDARD.encode(payload) })
            }
        },
    }
}

fn as_json(outcome: &Outcome) -> Value {
    let payload = payload_as_json(&outcome.payload);
    // The type that the payload names says more than that of the runtime's request.
    let told = payload.pointer("/payload/errorType").filter(|_| outcome.status != Status::Success);
    let error_type = told.cloned().unwrap_or(json!(outcome.error_type));
    let mut all = json!({
        "schema": 1,
        "status": outcome.status,
        "error_type": error_type,
        "content_type": outcome.content_type,
        "streamed": outcome.is_streamed,
        "report": outcome.report,
    });
    if let (Value::Object(all), Value::Object(payload)) = (&mut all, payload) {
        all.extend(payload);
    }
    all
}
