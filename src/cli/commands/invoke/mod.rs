//! `lbuild invoke`.

mod explain;
pub mod function;
pub mod logs;
#[cfg(feature = "aws")]
mod remote;
mod result;
pub mod settings;

use std::sync::Arc;

use lbuild::lambda::invoke::{ExecutionEnvironment, Invocation, MAX_PAYLOAD};

use self::function::Function;
use self::logs::Logs;
use crate::cli::args::invoke::Invoke;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// Invokes the function once, and prints its response.
pub async fn run(mut args: Invoke, context: &Context) -> Result<(), Failure> {
    let (event, client_context) =
        (event(&args)?, args.client_context.as_deref().map(client_context).transpose()?);
    #[cfg(feature = "aws")]
    if let Some(function) = &args.remote {
        return remote::run(function, &args, event, client_context, context).await;
    }
    let invocation = Invocation { event: event.into(), client_context, ..Invocation::default() };
    let variables = std::mem::take(&mut args.image.args.env);
    let settings = settings::settings(&args.function, &variables, context).await?;
    let function = Function::of(args.image.args, &args.registry, context)?;
    let built = function.build(context).await?;
    context.report.finish();
    let logs = Logs::new(context.json);
    let printed = logs.clone();
    let log = move |record: lbuild::lambda::invoke::LogRecord<'_>| printed.record(record);
    let mut environment = ExecutionEnvironment::new(&built.image, Arc::new(settings), log)?;
    let printing = result::Printing::new(context.json);
    let interrupted = context.interruption.wait();
    let outcome = tokio::select! {
        outcome = printing.invoke(&mut environment, invocation) => Some(outcome),
        () = interrupted => None,
    };
    environment.close().await;
    logs.finish();
    match outcome {
        Some(outcome) => {
            let outcome = outcome?;
            let hint = explain::explain(&function, &built, &outcome, context).await;
            result::finish(&outcome, hint, context.json).await
        }
        None => Err(lbuild::Error::Interrupted.into()),
    }
}

/// The event from the arguments. Lambda takes JSON only.
fn event(args: &Invoke) -> Result<Vec<u8>, Failure> {
    let (event, name) = match (&args.stdin, &args.event, &args.data) {
        (Some(event), ..) => (event.clone(), "standard input".to_owned()),
        (None, Some(file), _) => {
            let name = file.display().to_string();
            let read = std::fs::read(file);
            (read.map_err(|source| Failure::Read { what: name.clone(), source })?, name)
        }
        (None, None, Some(data)) => (data.clone().into_bytes(), "-d".to_owned()),
        (None, None, None) => (b"{}".to_vec(), String::new()),
    };
    if event.len() > MAX_PAYLOAD {
        return Err(Failure::usage(format!("the event of {name} has more than 6 MB"), None));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
        Ok(_) => Ok(event),
        Err(error) => {
            let is_file = args.data.as_ref().is_some_and(|data| data.starts_with('@'));
            let hint = is_file.then_some("--event FILE reads a file");
            Err(Failure::usage(format!("the event of {name} is not JSON: {error}"), hint))
        }
    }
}

/// The client context, as one line: it becomes a header.
fn client_context(text: &str) -> Result<String, Failure> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(context) => Ok(serde_json::Value::Object(context).to_string()),
        Err(error) => Err(Failure::usage(format!("--client-context is not a JSON object: {error}"), None)),
    }
}
