//! One place that writes to the terminal: bars, lines or JSON.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use lbuild::Event;

use super::args::Output;
use super::exit::Failure;
use super::{human, json};

/// Where events and failures go. Cheap to clone.
#[derive(Clone)]
pub struct Report {
    style: Arc<Style>,
}

enum Style {
    Bars(human::Bars),
    Lines,
    Quiet,
    Json,
}

impl Report {
    /// As the arguments ask; bars only where they can be drawn.
    pub fn new(output: &Output) -> Report {
        let style = match () {
            () if output.json => Style::Json,
            () if output.quiet => Style::Quiet,
            () if std::io::stderr().is_terminal() => Style::Bars(human::Bars::new()),
            () => Style::Lines,
        };
        Report { style: Arc::new(style) }
    }

    /// Tells of an event.
    pub fn event(&self, event: &Event) {
        match (&*self.style, event) {
            (Style::Json, event) => json::event(event),
            (Style::Bars(bars), event) => bars.event(event),
            (Style::Quiet, event @ Event::Warning { .. }) | (Style::Lines, event) => human::line(event),
            (Style::Quiet, _) => {}
        }
    }

    /// Tells of something that the user should know.
    pub fn warn(&self, message: &str, hint: Option<&str>) {
        self.event(&Event::Warning { message: message.to_owned(), hint: hint.map(str::to_owned) });
    }

    /// Tells what a check found.
    #[cfg(feature = "check")]
    pub fn findings(&self, findings: &[lbuild::lambda::check::Finding]) {
        match &*self.style {
            Style::Json => findings.iter().for_each(json::finding),
            Style::Bars(bars) => bars.say(&super::check::groups(findings)),
            Style::Lines | Style::Quiet => human::say(&super::check::groups(findings)),
        }
    }

    /// Tells why the command failed.
    pub fn failure(&self, failure: &Failure) {
        match &*self.style {
            Style::Json => json::failure(failure),
            Style::Bars(_) | Style::Lines | Style::Quiet => human::failure(failure),
        }
    }

    /// Takes the bars down.
    pub fn finish(&self) {
        if let Style::Bars(bars) = &*self.style {
            bars.clear();
        }
    }

    /// Tells of an image at its destination: its name, alone, on standard output.
    pub fn published(&self, published: &lbuild::Published) -> Result<(), Failure> {
        self.finish();
        if let Style::Json = &*self.style {
            json::published(published);
        }
        print(&published.image)
    }
}

/// Prints a result. A reader that has seen enough, as `head`, is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{}", human::printable(text)) {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Write { path: "standard output".into(), source })
        }
        _ => Ok(()),
    }
}
