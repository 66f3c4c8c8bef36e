//! `lbuild run`.

mod watch;

use std::net::TcpListener;

use lbuild::lambda::invoke::{Form, Function as Pool, LogRecord, serve};

use self::watch::Watch;
use crate::cli::args::invoke::Run;
use crate::cli::commands::invoke::function::{Built, Function};
use crate::cli::commands::invoke::logs::Logs;
use crate::cli::commands::invoke::settings;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Serves the function until it is interrupted.
pub async fn run(mut args: Run, context: &Context) -> Result<(), Failure> {
    let variables = std::mem::take(&mut args.image.env);
    let settings = settings::settings(&args.function, &variables, context).await?;
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .map_err(|source| Failure::Port { port: args.port, source })?;
    let address = listener.local_addr().map_err(|source| Failure::Port { port: args.port, source })?;
    let function = Function::of(args.image, &args.registry, context)?;
    let built = function.build(context).await?;
    context.report.finish();
    let json = context.json;
    let pool = Pool::new(built.image.clone(), settings, args.concurrency.into(), move || {
        let logs = Logs::new(json);
        move |record: LogRecord<'_>| logs.record(record)
    });
    let (form, url) = match args.url {
        true => (Form::Url, format!("http://{address}/")),
        false => (Form::Invocations, format!("http://{address}/2015-03-31/functions/function/invocations")),
    };
    // Scripts wait for this line; connections are accepted from now on.
    print(&url)?;
    let report = context.report.clone();
    let failures = move |error: &lbuild::Error| report.failure(&Failure::told(error));
    let interrupted = context.interruption.wait();
    let ended = tokio::select! {
        served = serve(listener, pool.clone(), form, failures) => {
            served.map_err(|source| Failure::Port { port: args.port, source })
        }
        failure = reload(args.watch.then_some(built), &function, &pool, context) => Err(failure),
        () = interrupted => Err(lbuild::Error::Interrupted.into()),
    };
    pool.close().await;
    ended
}

/// Builds the function whenever its files change. Without an image to watch, waits for ever.
async fn reload(watched: Option<Built>, function: &Function, pool: &Pool, context: &Context) -> Failure {
    let Some(mut built) = watched else { return std::future::pending().await };
    loop {
        let mut watch = match Watch::of(&built.sources) {
            Ok(watch) => watch,
            Err(failure) => return failure,
        };
        loop {
            watch.changed().await;
            match function.build(context).await {
                Ok(next) => {
                    context.report.finish();
                    let (is_new, moved) = (next.id != built.id, next.sources != built.sources);
                    if is_new {
                        pool.replace(next.image.clone()).await;
                        context.report.note(&format!("the function has changed: {}", next.id));
                    }
                    built = next;
                    if moved {
                        break;
                    }
                }
                // The next change may mend it; until then, the function is the earlier one.
                Err(failure) => {
                    context.report.finish();
                    context.report.failure(&failure);
                }
            }
        }
    }
}
