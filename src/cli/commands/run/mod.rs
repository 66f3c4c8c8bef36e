//! `lbuild run`.

mod watch;

use std::net::TcpListener;

use lbuild::lambda::invoke::{Form, Function as Pool, LogRecord, Notice, advice, serve};

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
    let variables = std::mem::take(&mut args.image.args.env);
    let settings = settings::settings(&args.function, &variables, context).await?;
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .map_err(|source| Failure::Port { port: args.port, source })?;
    let address = listener.local_addr().map_err(|source| Failure::Port { port: args.port, source })?;
    let function = Function::of(args.image.args, &args.registry, context)?;
    // From before the build, so that no change is missed.
    let watch = match args.watch {
        true if function.named_files().is_empty() => {
            let hint = "name a directory or a Dockerfile, or leave --watch out";
            return Err(Failure::usage("--watch: a finished image has no files to watch", hint));
        }
        true => Some(Watch::of(&function.named_files())?),
        false => None,
    };
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
    let (report, told_of) = (context.report.clone(), pool.clone());
    let tell = move |notice: Notice<'_>| match notice {
        Notice::Failure(error) => report.failure(&Failure::told(error)),
        Notice::Response(fault) => {
            report.warn(&format!("the function's answer is no HTTP response: {fault}"), None)
        }
        Notice::Outcome(outcome) => {
            if let Some(advice) = advice(&told_of.image(), outcome) {
                report.warn("the function has failed", Some(&advice.hint));
            }
        }
        _ => {}
    };
    let interrupted = context.interruption.wait();
    let ended = tokio::select! {
        served = serve(listener, pool.clone(), form, tell) => {
            served.map_err(|source| Failure::Port { port: args.port, source })
        }
        failure = reload(watch, built, &function, &pool, context) => Err(failure),
        () = interrupted => Err(lbuild::Error::Interrupted.into()),
    };
    pool.close().await;
    ended
}

/// Builds the function whenever its files change. Without a watch, waits for ever.
async fn reload(
    watch: Option<Watch>,
    mut built: Built,
    function: &Function,
    pool: &Pool,
    context: &Context,
) -> Failure {
    let Some(mut watch) = watch else { return std::future::pending().await };
    loop {
        // The build has told of more files; a change meanwhile is in the earlier watch.
        let more = match Watch::of(&built.sources) {
            Ok(more) => more,
            Err(failure) => return failure,
        };
        if !watch.has_changed() {
            watch = more;
        }
        watch.changed().await;
        // A directory that was made again is another one to the system.
        match Watch::of(&built.sources) {
            Ok(next) => watch = next,
            Err(failure) => return failure,
        }
        match function.build(context).await {
            Ok(next) => {
                context.report.finish();
                if next.id != built.id {
                    pool.replace(next.image.clone()).await;
                    context.report.note(&format!("the function has changed: {}", next.id));
                }
                built = next;
            }
            // The next change may mend it; until then, the function is the earlier one.
            Err(failure) => {
                context.report.finish();
                context.report.failure(&failure);
            }
        }
    }
}
