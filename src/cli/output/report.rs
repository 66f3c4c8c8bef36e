//! The report of a command, as bars, lines or JSON.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lbuild::Event;
use lbuild::error::text::printable;
use lbuild::event::Outcome;

use super::arguments::hidden;
use super::bars::Bars;
use super::commands::Commands;
use super::exit::Failure;
#[cfg(feature = "check")]
use super::findings::text::groups;
use super::{digests, human, json};

/// The style that the arguments request.
#[derive(Clone, Copy)]
pub enum Style {
    /// JSON lines.
    Json,
    /// Warnings and errors only.
    Quiet,
    /// Bars on a terminal, else lines.
    Usual,
}

/// The writer of events and failures. Cheap to clone.
#[derive(Clone)]
pub struct Report {
    form: Arc<Form>,
    commands: Arc<Commands>,
    /// Whether the command has ended: events of threads that still run are then dropped.
    ended: Arc<AtomicBool>,
    /// The images whose names have moved so far, by digest.
    moved: Arc<Mutex<Vec<String>>>,
}

enum Form {
    Bars(Bars),
    Lines,
    Quiet,
    Json,
}

impl Report {
    /// A report of this style; bars only if standard error is a terminal.
    pub fn new(style: Style) -> Report {
        let form = match style {
            Style::Json => Form::Json,
            Style::Quiet => Form::Quiet,
            Style::Usual if std::io::stderr().is_terminal() => Form::Bars(Bars::new()),
            Style::Usual => Form::Lines,
        };
        Report {
            form: Arc::new(form),
            commands: Arc::new(Commands::new()),
            ended: Arc::default(),
            moved: Arc::default(),
        }
    }

    /// Writes an event.
    pub fn event(&self, event: &Event) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        if let Event::Manifest { published, outcome: Outcome::Sent, .. } = event {
            let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            if !moved.contains(published) {
                moved.push(published.clone());
            }
        }
        if let (Form::Bars(_) | Form::Lines, Some(text)) = (&*self.form, self.commands.text(event)) {
            return self.show(&text);
        }
        match (&*self.form, event) {
            (Form::Json, event) => json::event(event),
            (Form::Bars(bars), event) => bars.event(event),
            (Form::Quiet, event @ Event::Warning { .. }) | (Form::Lines, event) => human::line(event),
            (Form::Quiet, _) => {}
        }
    }

    /// Writes the output of commands, above the bars if there are some.
    fn show(&self, text: &str) {
        match &*self.form {
            _ if text.is_empty() => {}
            Form::Bars(bars) => bars.show(&digests::shown(text)),
            _ => human::print_line(&digests::shown(text)),
        }
    }

    /// Writes a note.
    pub fn note(&self, message: &str) {
        self.event(&Event::Note { message: hidden(message) });
    }

    /// Writes a warning.
    pub fn warn(&self, message: &str, hint: Option<&str>) {
        let hint = hint.map(hidden);
        self.event(&Event::Warning { message: hidden(message), hint });
    }

    /// Writes a change of an ECR repository.
    #[cfg(feature = "aws")]
    pub fn repository(
        &self,
        repository: &lbuild::aws::EcrRepository,
        change: lbuild::event::RepositoryChange,
    ) {
        self.event(&Event::Repository { repository: repository.to_string(), change });
    }

    /// Writes the findings of a check.
    #[cfg(feature = "check")]
    pub fn findings(&self, findings: &[lbuild::lambda::check::Finding]) {
        match &*self.form {
            Form::Json => findings.iter().for_each(json::finding),
            Form::Bars(bars) => bars.say(&groups(findings)),
            Form::Lines | Form::Quiet => human::say(&groups(findings)),
        }
    }

    /// Writes the failure that ends the command.
    pub fn failure(&self, failure: &Failure) {
        match &*self.form {
            Form::Json => json::failure(failure),
            Form::Bars(_) | Form::Lines | Form::Quiet => human::failure(failure),
        }
    }

    /// As [`failure`](Report::failure), for a tool that shows the last line only.
    pub fn failure_last(&self, failure: &Failure) {
        human::failure_last(failure);
    }

    /// Removes the bars, and drops all later events.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.finish();
    }

    /// Removes the bars.
    pub fn finish(&self) {
        if let Form::Bars(bars) = &*self.form {
            bars.clear();
        }
    }

    /// Writes a published image: on standard output, only its name.
    pub fn published(&self, published: &lbuild::Published) -> Result<(), Failure> {
        self.finish();
        if let Form::Json = &*self.form {
            json::published(published);
        }
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).retain(|image| *image != published.image);
        print(&published.image)
    }
}

impl Report {
    /// Writes the names of the images whose tags had moved when the command was interrupted.
    pub fn interrupted(&self) -> Result<(), Failure> {
        self.finish();
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.iter().try_for_each(|image| print(image))
    }
}

/// Prints a long result to standard output, piece by piece. `write` writes each character whole.
pub fn print_pieces(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    print_shown(printable, write)
}

/// Prints long JSON to standard output, piece by piece, as [`print_json`].
pub fn print_json_pieces(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    print_shown(json::escaped, write)
}

fn print_shown(
    show: fn(&str) -> Cow<'_, str>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = Shown { out: BufWriter::with_capacity(64 << 10, io::stdout().lock()), show };
    printed(write(&mut out).and_then(|()| out.flush()))
}

/// Writes text as it is shown.
struct Shown<W> {
    out: W,
    show: fn(&str) -> Cow<'_, str>,
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(piece);
        self.out.write_all((self.show)(&text).as_bytes())?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a log that is another program's to standard error.
#[cfg(all(feature = "aws", target_os = "linux"))]
pub fn show_log(text: &str) {
    text.lines().for_each(|line| human::print_line(&human::shown(line)));
}

/// Prints a result to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    write_line(&printable(text))
}

/// Prints a text that another program reads, byte for byte.
pub fn print_exact(text: &str) -> Result<(), Failure> {
    printed(io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()))
}

/// Copies a file to standard output, byte for byte.
pub fn copy_out(from: &mut std::fs::File) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    printed(io::copy(from, &mut out).and_then(|_| out.flush()))
}

/// Prints JSON to standard output, from which a program reads every character.
pub fn print_json(text: &str) -> Result<(), Failure> {
    write_line(&json::escaped(text))
}

fn write_line(text: &str) -> Result<(), Failure> {
    printed(writeln!(io::stdout(), "{text}"))
}

/// A reader that closes the pipe early, such as `head`, is not a failure.
fn printed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Write { path: "standard output".into(), source })
        }
        _ => Ok(()),
    }
}
