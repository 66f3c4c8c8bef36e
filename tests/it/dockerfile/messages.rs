//! Messages of the command about Dockerfiles, as a new user meets them.

use std::fs;

use serde_json::Value;

use super::command::run_in;
use crate::support::lbuild::{Lbuild, RunOutput, function, tiny_base};
use crate::support::registry::{Mode, Registry};

#[test]
fn mistakes_are_shown_with_their_place_and_a_hint() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let unknown = format!("FROM {}/no${{WHAT}}thing:1\n", registry.host());
    let place = format!(
        "error: Dockerfile:1:6: cannot use the base image {}/nothing:1\n  1 | FROM {}/no${{WHAT}}thing:1\n    |      ^\n",
        registry.host(),
        registry.host()
    );
    let not_set = "hint: `WHAT` is not set: declare ARG WHAT=DEFAULT before the first FROM";
    let table: [(&str, &[&str], u8, &[&str]); 17] = [
        (
            "FROM scratch\nCOPPY a b\n",
            &[],
            2,
            &[
                "error: Dockerfile:2:1: unknown instruction `COPPY`\n  2 | COPPY a b\n    | ^\nhint: did you mean `COPY`?",
            ],
        ),
        (
            "FROM scratch AS build\n",
            &["--target", "biuld"],
            2,
            &[
                "error: Dockerfile:1:1: the target `biuld` is not the name of a stage\n  1 | FROM",
                "hint: did you mean `build`?",
            ],
        ),
        (
            "FROM scratch AS build\nFROM scratch\nCOPY --from=bulid? /a /b\n",
            &[],
            2,
            &[
                "error: Dockerfile:3:6: `bulid?` is neither a stage",
                "  3 | COPY --from",
                "hint: did you mean `build`?",
            ],
        ),
        (
            "ARG PYTHON_VERSION\nFROM python:$PYTHON_VERSION\n",
            &[],
            2,
            &[
                "error: Dockerfile:2:6: invalid image name `python:`",
                "hint: `PYTHON_VERSION` has no default: pass --build-arg PYTHON_VERSION=VALUE",
            ],
        ),
        (&unknown, &[], 4, &[&place, "  caused by: ", not_set]),
        (
            "FROM public.ecr.aws/lambda/python:3.12\nCMD app.handler\n",
            &[],
            2,
            &[
                "error: Dockerfile:2:1: this form of CMD makes three arguments",
                "  2 | CMD app.handler\n    | ^\n",
                "hint: write CMD [\"module.function\"]",
            ],
        ),
        (
            "FROM scratch\n",
            &["--platform", "linux/amd64,linux/arm64"],
            2,
            &[
                "error: --platform names several platforms",
                "Lambda takes one architecture per image",
                "hint: build an image for each",
            ],
        ),
        (
            "FROM --platform=linux/amd64 scratch\n",
            &[],
            2,
            &["error: Dockerfile:1:6: the image is for linux/amd64, and linux/arm64 is asked for", "hint: "],
        ),
        (
            "FROM scratch\nRUN make /x\n",
            &["--run-mode", "none"],
            2,
            &[
                "error: Dockerfile:2:5: this command needs a process, and the mode of commands is none: `make` is not a command that is",
                "hint: ",
            ],
        ),
        (
            "FROM scratch\nRUN mkdir /x \\\n  || true\n",
            &["--run-mode", "none"],
            2,
            &[
                "error: Dockerfile:2:16: this command needs a process, and the mode of commands is none: `||` depends on the failure of a command\n",
                "hint: ",
            ],
        ),
        (
            "FROM scratch\nRUN mkdir /x \\\n  || true\n",
            &["--translate", "always"],
            2,
            &[
                "error: Dockerfile:3:3: this command needs a process: `||` depends on the failure of a command\n  3 |   || true\n    |   ^\n",
                "hint: --translate auto ",
            ],
        ),
        (
            "FROM scratch\nRUN mkdir /x || true\n",
            &["--translate", "never", "--run-mode", "none"],
            2,
            &["error: Dockerfile:2:1: this command needs a process, and the mode of commands is none\n"],
        ),
        (
            "FROM scratch\nUSER $NONE\n",
            &[],
            2,
            &["error: Dockerfile:2:6: the user `$NONE` is empty", "  2 | USER $NONE"],
        ),
        (
            "FROM scratch\nCOPY nofile /x\n",
            &[],
            2,
            &[
                "error: Dockerfile:2:6: `nofile` does not exist in .\n  2 | COPY nofile /x\n    |      ^\nhint: ",
            ],
        ),
        (
            "FROM scratch\nCOPY App.py /x\n",
            &[],
            2,
            &["error: Dockerfile:2:6: `App.py` does not exist in .\n", "hint: there is `app.py`"],
        ),
        (
            "FROM scratch\nCOPY hidden /x\n",
            &[],
            2,
            &["error: Dockerfile:2:6: `hidden` is left out by ./.dockerignore\n", "hint: add `!hidden` to"],
        ),
        (
            "FROM scratch\nCOPY ../secret /x\n",
            &[],
            2,
            &[
                "warning: Dockerfile:2:6: nothing outside the context can be copied: `../secret` is `secret` in it",
                "  2 | COPY ../secret /x\n    |      ^\nhint: pass the directory that has both as PATH",
                "error: Dockerfile:2:9: `secret` does not exist in .\n",
            ],
        ),
    ];
    for (text, more, code, said) in table {
        let dir =
            function(&[("Dockerfile", text), ("app.py", ""), ("hidden", ""), (".dockerignore", "hidden\n")]);
        for command in ["build", "check"] {
            let arch: &[&str] = if more.contains(&"--platform") { &[] } else { &["--arch", "arm64"] };
            let done =
                run_in(dir.path(), &lbuild, &[command, ".", "-f", "Dockerfile"], &[arch, more].concat());
            let stderr = done.failed(i32::from(code));
            for said in said {
                assert!(stderr.contains(said), "{text}{command}: want {said:?} in\n{stderr}");
            }
        }
    }
}

#[test]
fn warnings_are_shown_as_errors_are() {
    let text = "FROM public.ecr.aws/lambda/python:3.12\nMAINTAINER me\nCMD [\"app.handler\"]\n";
    let (dir, lbuild) = (function(&[("Dockerfile", text)]), Lbuild::new());
    let words = ["check", ".", "-f", "Dockerfile", "--arch", "arm64"];
    let done = run_in(dir.path(), &lbuild, &words, &["--build-arg", "VERSON=1"]).succeeded();
    let warning = "warning: Dockerfile:2:1: MAINTAINER is deprecated (MaintainerDeprecated)\n  2 | MAINTAINER me\n    | ^\nhint: write LABEL ";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    assert!(done.stderr.contains("no ARG has the name of the build argument `VERSON`"), "{}", done.stderr);

    let done = run_in(dir.path(), &lbuild, &words, &["--json"]).succeeded();
    let events: Vec<Value> = done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warning = events.iter().find(|event| event["reason"] == "warning").unwrap();
    assert!(warning["message"].as_str().unwrap().starts_with("Dockerfile:2:1: MAINTAINER"), "{warning}");
    assert!(warning["hint"].as_str().unwrap().starts_with("write LABEL"), "{warning}");
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let files = [("Dockerfile", "FROM scratch\n"), ("sub/Dockerfile", "FROM scratch\n"), ("file", "")];
    let (dir, lbuild) = (function(&files), Lbuild::new());
    let both = "dockerfile = \"Dockerfile\"\nbase = \"scratch\"\n";
    let table: [(&str, &[&str], &[&str]); 16] = [
        (
            "",
            &["-f", "Dockerfile", "--runtime", "python3.12"],
            &["-f and --runtime", "hint: leave --runtime out"],
        ),
        ("", &["-f", "Dockerfile", "--base", "scratch"], &["-f and --base", "hint: leave --base out"]),
        (
            "",
            &["--base", "scratch", "--target", "x"],
            &["--target is for a Dockerfile", "hint: leave --target or --base out"],
        ),
        (
            "base = \"scratch\"\n",
            &["--build-arg", "A=1"],
            &["--build-arg is for a Dockerfile", "hint: add -f"],
        ),
        (both, &[], &["lbuild.toml gives both a dockerfile and a base", "hint: keep one"]),
        ("dockerfil = \"x\"\n", &[], &["lbuild.toml", "unknown field", "dockerfile"]),
        ("", &["-f", "Dockerfile.x"], &["there is no Dockerfile Dockerfile.x", "hint: "]),
        ("", &["-f", "sub"], &["sub is a directory", "hint: "]),
        ("", &["--build-arg", "=1"], &["a value of --build-arg has no name", "hint: "]),
        ("", &["--build-context", "x"], &["`--build-context x` is not of the form", "hint: "]),
        ("", &["--build-context", "x=./none"], &["the build context `x` does not exist: ./none", "hint: "]),
        ("", &["--build-context", "x=file"], &["the build context `x` is not a directory: file", "hint: "]),
        (
            "",
            &["--build-context", "x=https://h.example/x.tar"],
            &["lbuild does not fetch", "hint: fetch it first"],
        ),
        ("", &["--build-context", "x=UPPER"], &["neither a directory nor an image's name: UPPER", "hint: "]),
        ("", &["--platform", "windows/amd64"], &["Lambda runs images for Linux", "hint: write linux/arm64"]),
        ("", &["--platform", "linux/amd64", "--platform", "linux/arm64"], &["several platforms", "hint: "]),
    ];
    for (config, more, said) in table {
        fs::write(dir.path().join("lbuild.toml"), config).unwrap();
        let arch: &[&str] = if more.contains(&"--platform") { &[] } else { &["--arch", "arm64"] };
        let all = [&["plan", "."], arch, more].concat();
        let done = RunOutput::of(lbuild.command(&all).current_dir(dir.path()).output().unwrap());
        let stderr = done.failed(2);
        said.iter().for_each(|said| assert!(stderr.contains(said), "{all:?}: want {said:?} in\n{stderr}"));
    }
    fs::remove_file(dir.path().join("lbuild.toml")).unwrap();
    // the path of -f is relative to the working directory, as in `docker build`
    let all = ["plan", "sub", "--arch", "arm64", "-f", "only/here"];
    fs::create_dir_all(dir.path().join("sub/only")).unwrap();
    fs::write(dir.path().join("sub/only/here"), "FROM scratch\n").unwrap();
    let done = RunOutput::of(lbuild.command(&all).current_dir(dir.path()).output().unwrap());
    assert!(done.failed(2).contains("hint: -f is relative to the working directory: write -f sub/only/here"));
    let finished = lbuild.run(&["check", &tiny_base(), "-f", "Dockerfile"]).failed(2);
    assert!(finished.contains("-f describes an image to build"), "{finished}");
}

#[test]
fn remarks_are_annotations_on_github() {
    let lbuild = Lbuild::new();
    for (text, code, annotation) in [
        (
            "FROM scratch\nMAINTAINER me\n",
            0,
            "::warning file=Dockerfile,line=2,col=1,title=Dockerfile::MAINTAINER is deprecated (MaintainerDeprecated) (hint: ",
        ),
        (
            "FROM scratch\n ENVV A=1\n",
            2,
            "::error file=Dockerfile,line=2,col=2,title=Dockerfile::unknown instruction `ENVV`",
        ),
        (
            "FROM scratch\nRUN --mount=type=secret,id=token,required x\n",
            2,
            "::error file=Dockerfile,line=2,col=28,title=Dockerfile::the secret `token` is required",
        ),
    ] {
        let dir = function(&[("Dockerfile", text)]);
        let words = ["check", ".", "-f", "Dockerfile", "--arch", "arm64", "--github"];
        let done = run_in(dir.path(), &lbuild, &words, &[]);
        let found = done.stdout.lines().any(|line| line.starts_with(annotation));
        assert!(found && (done.code == Some(code) || done.code == Some(8)), "{text}: {done:?}");
    }
}
