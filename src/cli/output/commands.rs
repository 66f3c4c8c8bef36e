//! The output of the commands of a Dockerfile as lines of text, in front of each the place of its instruction. In the logs
//! of a CI service, the lines of a command can be folded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lbuild::Event;
use lbuild::error::text::{one_line, printable};

/// The marks by which a CI service folds lines of its logs.
#[derive(Clone, Copy)]
enum Marks {
    /// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#grouping-log-lines>
    GitHub,
    /// <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>
    GitLab,
    None,
}

/// Formats the output of commands. Folded lines cannot be inside other folded lines, so of several commands at the same
/// time one writes at once and the others wait until it ends.
pub struct Commands {
    marks: Marks,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    /// The command whose lines are written at once.
    open: Option<String>,
    /// The lines of the others, in the order in which they began.
    waiting: Vec<(String, Vec<String>)>,
    ended: HashMap<String, Vec<String>>,
}

impl Commands {
    /// For the CI service that the environment names, if any.
    pub fn new() -> Commands {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "true");
        let marks = match (is_set("GITHUB_ACTIONS"), is_set("GITLAB_CI")) {
            (true, _) => Marks::GitHub,
            (_, true) => Marks::GitLab,
            _ => Marks::None,
        };
        Commands { marks, shown: Mutex::default() }
    }

    /// The text to write for an event about a command; `None` for other events. Nothing in it but the marks controls a
    /// terminal.
    pub fn text(&self, event: &Event) -> Option<String> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match event {
            Event::CommandStarted { place, command, mode, emulator } => {
                let how = emulator.iter().fold(mode.clone(), |how, emulator| format!("{how}, {emulator}"));
                let title = one_line(&format!("run      {place} {command} ({how})")).into_owned();
                let first = self.marks.begin(place, &self.marks.inert(title));
                shown.add(place, first, self.marks.fold())
            }
            Event::CommandOutput { place, line } => {
                let line = self.marks.inert(printable(&format!("{place} | {line}")).into_owned());
                shown.add(place, line, self.marks.fold())
            }
            Event::CommandEnded { place, duration } => {
                let last = self.marks.end(place, &format!("ran      {place} in {}", seconds(*duration)));
                shown.end(place, last, self.marks.fold())
            }
            _ => return None,
        };
        Some(lines.join("\n"))
    }
}

impl Shown {
    /// The lines to write when a command has a new one.
    fn add(&mut self, place: &str, line: String, fold: bool) -> Vec<String> {
        if !fold {
            return vec![line];
        }
        let open = self.open.get_or_insert_with(|| place.to_owned());
        if open == place {
            return vec![line];
        }
        match self.waiting.iter_mut().find(|(waiting, _)| waiting == place) {
            Some((_, lines)) => lines.push(line),
            None => self.waiting.push((place.to_owned(), vec![line])),
        }
        Vec::new()
    }

    /// The lines to write when a command has ended: its last one, and those of commands that waited for it.
    fn end(&mut self, place: &str, last: String, fold: bool) -> Vec<String> {
        if !fold || self.open.as_deref() != Some(place) {
            let waiting = self.add(place, last, fold);
            if let Some(at) = self.waiting.iter().position(|(waiting, _)| waiting == place) {
                let (place, lines) = self.waiting.remove(at);
                self.ended.insert(place, lines);
            }
            return waiting;
        }
        self.open = None;
        let mut lines = vec![last];
        let mut ended: Vec<_> = self.ended.drain().collect();
        ended.sort();
        lines.extend(ended.into_iter().flat_map(|(_, lines)| lines));
        if !self.waiting.is_empty() {
            let (next, waiting) = self.waiting.remove(0);
            self.open = Some(next);
            lines.extend(waiting);
        }
        lines
    }
}

impl Marks {
    fn fold(self) -> bool {
        !matches!(self, Marks::None)
    }

    /// The line without what the service would take as a command. GitHub's older form counts anywhere in a line.
    fn inert(self, line: String) -> String {
        match self {
            Marks::GitHub if line.contains("##[") => line.replace("##[", "## ["),
            _ => line,
        }
    }

    fn begin(self, place: &str, title: &str) -> String {
        match self {
            Marks::None => title.to_owned(),
            Marks::GitHub => format!("::group::{title}"),
            Marks::GitLab => format!(
                "\u{1b}[0Ksection_start:{}:{}[collapsed=true]\r\u{1b}[0K{title}",
                now(),
                section(place)
            ),
        }
    }

    fn end(self, place: &str, last: &str) -> String {
        match self {
            Marks::None => last.to_owned(),
            Marks::GitHub => format!("::endgroup::\n{last}"),
            Marks::GitLab => format!("\u{1b}[0Ksection_end:{}:{}\r\u{1b}[0K{last}", now(), section(place)),
        }
    }
}

/// The place as a name of a section.
fn section(place: &str) -> String {
    place.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(marks: Marks) -> impl Fn(&Event) -> String {
        let commands = Commands { marks, shown: Mutex::default() };
        move |event| commands.text(event).unwrap()
    }

    fn started(place: &str) -> Event {
        Event::CommandStarted {
            place: place.into(),
            command: "RUN make".into(),
            mode: "chroot".into(),
            emulator: None,
        }
    }

    fn line(place: &str, line: &str) -> Event {
        Event::CommandOutput { place: place.into(), line: line.into() }
    }

    fn ended(place: &str) -> Event {
        Event::CommandEnded { place: place.into(), duration: Duration::from_millis(1500) }
    }

    #[test]
    fn lines_have_the_place_in_front() {
        let text = commands(Marks::None);
        assert_eq!(text(&started("D:3")), "run      D:3 RUN make (chroot)");
        assert_eq!(text(&line("D:3", "::error::x")), "D:3 | ::error::x");
        assert_eq!(text(&line("D:9", "b")), "D:9 | b");
        assert_eq!(text(&ended("D:3")), "ran      D:3 in 1.5 s");
    }

    #[test]
    fn folded_lines_of_several_commands_do_not_mix() {
        let text = commands(Marks::GitHub);
        assert_eq!(text(&started("D:3")), "::group::run      D:3 RUN make (chroot)");
        assert_eq!(text(&line("D:3", "a ##[add-mask]b")), "D:3 | a ## [add-mask]b");
        assert_eq!(text(&started("D:5")), "");
        assert_eq!(text(&started("D:7")), "");
        assert_eq!(text(&line("D:5", "five")), "");
        assert_eq!(text(&line("D:3", "three")), "D:3 | three");
        assert_eq!(text(&line("D:7", "seven")), "");
        assert_eq!(text(&ended("D:5")), "");
        let all = text(&ended("D:3"));
        let group = |place: &str| format!("::group::run      {place} RUN make (chroot)");
        assert_eq!(
            all,
            format!(
                "::endgroup::\nran      D:3 in 1.5 s\n{}\nD:5 | five\n::endgroup::\nran      D:5 in 1.5 s\n{}\nD:7 | seven",
                group("D:5"),
                group("D:7"),
            )
        );
        assert_eq!(text(&line("D:7", "more")), "D:7 | more");
        assert_eq!(text(&ended("D:7")), "::endgroup::\nran      D:7 in 1.5 s");
    }

    #[test]
    fn gitlab_has_sections() {
        let text = commands(Marks::GitLab);
        let first = text(&started("D:3"));
        assert!(first.contains("section_start:") && first.contains(":D_3[collapsed=true]\r"), "{first}");
        assert!(text(&ended("D:3")).contains("section_end:"));
    }
}
