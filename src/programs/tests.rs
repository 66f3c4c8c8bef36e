use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode};
use tokio::io::AsyncWriteExt;

use super::*;

/// A named pipe. Reading from it ends when no process has it open for writing.
fn named_pipe(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    path
}

fn script(text: &str) -> Program {
    let mut command = command("sh");
    command.args(["-c", text]);
    command
}

#[tokio::test]
async fn a_program_gets_its_input_and_gives_its_output_and_status() {
    let done = script("echo out; echo err >&2; exit 7").output().await.unwrap();
    assert_eq!(
        (done.status.code(), &done.stdout[..], &done.stderr[..]),
        (Some(7), &b"out\n"[..], &b"err\n"[..])
    );
    let mut cat = script("cat");
    cat.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = cat.start().unwrap();
    running.child.stdin.take().unwrap().write_all(b"text").await.unwrap();
    assert_eq!(running.output().await.unwrap().stdout, b"text");
    let missing = command("/no/such/program").output().await;
    assert!(missing.is_ok_and(|done| done.status.code() == Some(127)));
}

#[tokio::test]
async fn a_dropped_program_ends_with_those_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = named_pipe(&dir);
    for text in ["sleep 100 & echo >\"$0\"; wait", "(trap '' TERM INT HUP; sleep 100; sleep 100) & wait"] {
        let text = format!("exec 9>\"$0\"; {text}");
        let mut program = script(&text);
        program.arg(&pipe);
        let running = program.start().unwrap();
        let mut reader = File::open(&pipe).unwrap();
        drop(running);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
    }
}

#[tokio::test]
async fn the_rest_of_a_program_that_has_ended_ends_too() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = named_pipe(&dir);
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || File::open(pipe).unwrap().read_to_end(&mut Vec::new()).unwrap()
    });
    // It has inherited the pipes as well.
    let mut program = script("exec 9>\"$0\"; sleep 100 & echo x | tee /dev/fd/9");
    program.arg(&pipe);
    let done = program.output().await.unwrap();
    assert!(done.status.success() && done.stdout == b"x\n");
    assert_eq!(reader.join().unwrap(), 2);
}

#[test]
fn a_directory_that_still_exists_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (gone, left) = (dir.path().join("gone"), dir.path().join("a 'left' one"));
    for dir in [&gone, &left] {
        std::fs::create_dir_all(dir.join("deep/deeper")).unwrap();
    }
    let [gone_later, left_later] = [&gone, &left].map(|dir| RemovedAtEnd::new(dir).unwrap());
    std::fs::remove_dir_all(&gone).unwrap();
    drop((gone_later, left_later));
    let begun = Instant::now();
    while left.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_program_of_the_user_prints_a_text() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "from the directory").unwrap();
    let printed = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        printed_by(&words, dir.path()).await.map_err(|error| error.to_string())
    };
    assert_eq!(printed(&["sh", "-c", "echo; cat file; echo"]).await.unwrap(), "from the directory");
    for (words, expected) in [
        (&[][..], "names no program"),
        (&["no-such-program"], "there is no program no-such-program"),
        (&["./file"], "there is no program ./file"),
        (&["sh", "-c", "true"], "printed nothing"),
        (&["sh", "-c", "printf '\\377'"], "printed something other than text"),
        (
            &["sh", "-c", "echo '\u{1b}[1mwhy' >&2; exit 3"],
            "failed (exit status: 3)\nits last lines:\n  | \u{fffd}[1mwhy",
        ),
    ] {
        let error = printed(words).await.unwrap_err();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}
