//! The names of signals that `STOPSIGNAL` takes.

/// Linux's signals, without `SIG`.
const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Whether `text` is a signal's number, or its name with or without `SIG`, in any case.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i32>() {
        return number > 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    // `RTMIN+1` to `RTMIN+15`, `RTMAX-1` to `RTMAX-14`.
    let real_time = [("RTMIN+", 15), ("RTMAX-", 14)].into_iter().any(|(prefix, most)| {
        let number = name.strip_prefix(prefix).and_then(|number| number.parse::<u8>().ok());
        number.is_some_and(|number| (1..=most).contains(&number))
    });
    real_time || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known() {
        for text in ["SIGTERM", "TERM", "sigint", "15", "RTMIN+3", "SIGRTMAX-14"] {
            assert!(is_signal(text), "rule 140: {text}");
        }
        for text in ["", "0", "-1", "SIGNOTHING", "RTMIN+16", "SIG"] {
            assert!(!is_signal(text), "rule 140: {text}");
        }
    }
}
