//! The time of lowering is linear in the size of the text.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::lowering::{lower, refusal};

/// A Dockerfile of about `size` bytes that repeats `lines`, in which `@` is a number.
fn repeated(lines: &str, size: usize) -> String {
    let mut text = String::from("FROM a AS first\n");
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        writeln!(text, "{}", lines.replace('@', &number.to_string())).unwrap();
    }
    text
}

fn time(text: &str) -> Duration {
    let start = Instant::now();
    lower(text).unwrap_or_else(|error| panic!("{error}"));
    start.elapsed()
}

/// Files whose time or size would be quadratic are refused instead.
#[test]
fn values_that_grow_without_end_are_refused() {
    let long = "x".repeat(60_000);
    for text in [
        format!("FROM a\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(60)),
        format!("FROM a\nENV A={long}\n{}", "ENV B=$A\n".repeat(20_000)),
        format!("FROM a\nENV A={long}\n{}", "ENV B=${A#x*}\n".repeat(20_000)),
        format!("FROM a AS s\n{}", repeated("ARG A@=1\nRUN x", 1_000_000)),
        format!("FROM a AS s\n{}", repeated("ENV A@=1\nFROM s AS s", 1_000_000)),
        format!("FROM a\n{}", "EXPOSE 0-65535\n".repeat(10_000)),
        format!("FROM a\nWORKDIR /{long}\n{}", "COPY a b\n".repeat(20_000)),
    ] {
        let message = refusal(&text);
        assert!(message.contains("MiB"), "{message}");
    }
}

/// A 50 times larger text takes about 50 times as long, and up to 120 times if it has 100,000 variables, which no longer
/// fit into the processor's cache. Quadratic time would be 2500 times as long.
#[test]
fn a_large_file_takes_no_quadratic_time() {
    for lines in [
        "ENV V@=$PATH-${UNSET@:-x}\nLABEL l@=$V1",
        "ARG A@=1",
        "RUN echo @ && \\\n  # comment\n  true",
        "COPY a@ b* /d/@/",
        "COPY <<EO@ /x\n$V1 body\nEO@",
        "FROM first AS s@\nUSER @\nCOPY --from=first /x /y",
        "WORKDIR /a/@\nEXPOSE 1-9\nVOLUME /@\nCMD x @",
        "ONBUILD RUN @",
        "RUN --mount=type=cache,target=/c@ --mount=target=/b@,from=image x",
    ] {
        let (small, large) = (repeated(lines, 20_000), repeated(lines, 1_000_000));
        let small = (0..3).map(|_| time(&small)).min().unwrap().max(Duration::from_millis(2));
        let large = (0..3).map(|_| time(&large)).min().unwrap();
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("{ratio:.0} times: {lines}");
        assert!(ratio < 200.0, "{lines}: {large:?} after {small:?}");
    }
}
