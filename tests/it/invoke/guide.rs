//! The guide's page "Try it before you deploy": its commands, as written.

use crate::guide::Page;
use crate::support::bases;
use crate::support::lbuild::Lbuild;
use crate::support::registry::{Mode, Registry};

/// The commands of the first block, in the repository. A registry of the tests is in the place of AWS's; what installs qemu
/// and lbuild, which the tests have already, is replaced by programs that compare the arguments.
#[test]
fn a_few_commands_lead_from_a_clone_to_an_answer() {
    let block = Page::read("src/guide/invoke.md").blocks("console").remove(0);
    let commands: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!((3..=5).contains(&commands.len()), "{commands:#?}");
    let registry = Registry::start(Mode::Plain);
    bases::push(&registry, "oci-index", "lambda/python", "3.12");
    let mut lbuild = Lbuild::for_registry(&registry);
    lbuild.set("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{}", registry.host()));
    lbuild.set("AWS_EC2_METADATA_DISABLED", "true");
    let has = |name: &str, arguments: &str, installed: &str| {
        let script = format!("#!/bin/sh\n[ \"$*\" = '{arguments}' ] && command -v {installed} >/dev/null\n");
        lbuild.program_of(name, &script)
    };
    has("sudo", "apt-get install --yes qemu-user-static", "qemu-aarch64-static");
    let stubs = has("cargo", "install --quiet --path . --profile dist", "lbuild");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_lbuild")).parent().unwrap().display().to_string();
    let mut bash = lbuild.program("bash", &["-euc", &commands.join("\n")]);
    bash.env("PATH", format!("{stubs}:{program}:/usr/bin:/bin")).current_dir(crate::recipes::root());
    let output = bash.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{commands:#?}\n{out}{err}");
    assert!(out.contains("\"machine\": \"aarch64\"") && out.contains("\"nonce\": \"n\""), "{out}{err}");
    assert!(err.contains("REPORT RequestId: "), "{err}");
}
