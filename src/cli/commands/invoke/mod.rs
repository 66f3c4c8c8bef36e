//! `lbuild invoke`.

mod explain;
pub mod function;
pub mod logs;
mod result;
pub mod settings;

use std::sync::Arc;

use lbuild::lambda::invoke::{ExecutionEnvironment, Invocation};

use self::function::Function;
use self::logs::Logs;
use crate::cli::args::invoke::Invoke;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// Invokes the function once, and prints its response.
pub async fn run(mut args: Invoke, context: &Context) -> Result<(), Failure> {
    let invocation = Invocation {
        event: event(&args)?.into(),
        client_context: args.client_context.take(),
        ..Invocation::default()
    };
    let variables = std::mem::take(&mut args.image.env);
    let settings = settings::settings(&args.function, &variables, context).await?;
    let function = Function::of(args.image, &args.registry, context)?;
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
            let hint = explain::explain(&function, &built, &outcome, &logs, context).await;
            result::finish(&outcome, hint, context.json)
        }
        None => Err(lbuild::Error::Interrupted.into()),
    }
}

/// The event from the arguments.
fn event(args: &Invoke) -> Result<Vec<u8>, Failure> {
    match (&args.stdin, &args.event, &args.data) {
        (Some(event), ..) => Ok(event.clone()),
        (None, Some(file), _) => {
            std::fs::read(file).map_err(|source| Failure::Read { what: file.display().to_string(), source })
        }
        (None, None, Some(data)) => Ok(data.clone().into_bytes()),
        (None, None, None) => Ok(b"{}".to_vec()),
    }
}
