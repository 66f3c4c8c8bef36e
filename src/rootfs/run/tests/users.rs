//! Users of commands.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::program::exits_with_its_user;
use super::rig::{everywhere, process};
use crate::rootfs::run::command::{Exit, Failure, User};
use crate::rootfs::run::ids::Ids;
use crate::rootfs::run::within::within;

#[test]
fn root_and_others() {
    everywhere("rootfs::run::tests::users::root_and_others", |rig| {
        let script =
            "id -u; id -g; id -G; echo x > /tmp/new && stat -c %u:%g /tmp/new; grep CapEff /proc/self/status";
        let mut process = process(&["/bin/sh", "-c", script]);
        let single = rig.ids() == "single";
        assert_eq!(rig.run(&process).text(), "0\n0\n0\n0:0\nCapEff:\t00000000a80425fb\n");
        fs::set_permissions(rig.path("lower/tmp"), Permissions::from_mode(0o1777)).unwrap();
        process.user = User { uid: 1000, gid: 1001, groups: vec![7, 8] };
        let groups = if single { "1001" } else { "1001 7 8" };
        let expected = format!("1000\n1001\n{groups}\n1000:1001\nCapEff:\t0000000000000000\n");
        assert_eq!(rig.run(&process).text(), expected);
        // The files are of another user, which only real and subordinate ids can show.
        process.user.uid = 70_000;
        let result = rig.run(&process).result;
        match rig.ids() {
            "ranges" => {
                let text = result.unwrap_err().to_string();
                assert_eq!(text, "cannot set the user (70000): Invalid argument (os error 22)");
            }
            _ => assert!(matches!(result, Ok(Exit::Code(0))), "{result:?}"),
        }
    });
}

#[test]
fn owners_of_files() {
    everywhere("rootfs::run::tests::users::owners_of_files", |rig| {
        let script = "echo x > /tmp/new && chown 12:34 /tmp/new && chown 5:6 /tmp /etc/passwd && chmod 4755 /tmp/new && stat -c '%u:%g %a' /tmp/new";
        let text = rig.shell(script).text();
        let owner = |path: &str| rig.owner(&rig.changed(path));
        let (new, old) = (owner("tmp/new"), owner("etc/passwd"));
        assert_eq!((new, old), ((12, 34), (5, 6)), "{text}");
        assert!(text.ends_with(" 4755\n"), "{text}");
        assert_eq!(owner("tmp"), (5, 6));
        // An overlay changes a copy.
        assert_eq!(rig.owner(&rig.path("lower/etc/passwd")), (0, 0));
    });
}

#[test]
fn set_user_id_programs() {
    everywhere("rootfs::run::tests::users::set_user_id_programs", |rig| {
        fs::write(rig.path("lower/whoami"), exits_with_its_user()).unwrap();
        let mut process = process(&["/whoami"]);
        process.user = User { uid: 99, gid: 99, groups: Vec::new() };
        for (mode, of_many) in [(0o755, 99), (0o4755, 0)] {
            fs::set_permissions(rig.path("lower/whoami"), Permissions::from_mode(mode)).unwrap();
            let code = if rig.ids() == "single" { 99 } else { of_many };
            let result = rig.run(&process).result;
            assert!(matches!(result, Ok(Exit::Code(found)) if found == code), "{mode:o} {result:?}");
        }
    });
}

#[test]
fn work_within_ids() {
    everywhere("rootfs::run::tests::users::work_within_ids", |rig| {
        let (file, ids) = (rig.path("owned"), &rig.way.ids);
        let made = within(ids, &[], || {
            fs::write(&file, b"x")?;
            let chown = std::os::unix::fs::chown(&file, Some(7), Some(8));
            let group = fs::read_to_string("/proc/self/uid_map")?;
            Ok((chown.is_ok(), group, vec![1u64 << 60, 2], 0.1f64))
        });
        let (chown, map, numbers, fraction) = made.unwrap();
        assert_eq!(chown, !matches!(ids, Ids::Single { .. }), "{map}");
        assert_eq!((numbers, fraction), (vec![1 << 60, 2], 0.1));
        // Much data, errors with and without a number, and panics come back.
        assert_eq!(within(ids, &[], || Ok("y".repeat(5_000_000))).unwrap().len(), 5_000_000);
        let missing = within(ids, &[], || fs::read_to_string("/nowhere")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        let text =
            within(ids, &[], || Err::<(), _>(std::io::Error::other("a message"))).unwrap_err().to_string();
        assert_eq!(text, "a message");
        if *ids != Ids::Real {
            let text =
                within(ids, &[], || -> std::io::Result<()> { panic!("at {}", 7) }).unwrap_err().to_string();
            assert_eq!(text, "the process in the user namespace failed: at 7");
            let text = within(ids, &[], || -> std::io::Result<()> { std::process::abort() })
                .unwrap_err()
                .to_string();
            assert_eq!(text, "the process in the user namespace ended without a result");
        }
    });
}

#[test]
fn a_program_that_changes_its_user_is_stopped_with_the_rest() {
    everywhere(
        "rootfs::run::tests::users::a_program_that_changes_its_user_is_stopped_with_the_rest",
        |rig| {
            let text = rig.shell("su app -c 'id -u' || echo failed").text();
            assert_eq!(text, if rig.ids() == "single" { "0\n" } else { "1000\n" });
            let failure = rig.run(&process(&["/bin/none"])).result.unwrap_err();
            assert!(matches!(failure, Failure::Exec { .. }));
        },
    );
}
