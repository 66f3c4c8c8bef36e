//! What a command finds in its root.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::rig::{Rig, behind, everywhere, process};
use crate::rootfs::run::command::{Bind, BindSource, User};
use crate::rootfs::run::ids::Ids;
use crate::rootfs::run::mode::Mode;

#[test]
fn processes() {
    everywhere("rootfs::run::tests::places::processes", |rig| {
        let text = rig
            .shell("echo $$; ls /proc > /tmp/list; grep -c '^[0-9]' /tmp/list; cat /proc/1/comm; hostname")
            .text();
        // The shell and ls.
        assert_eq!(text, "1\n2\nsh\nbuilder\n");
        let text = rig
            .shell("tr '\\0' '\\n' < /proc/$$/cmdline | head -2; cat /proc/$$/stat | cut -d' ' -f4-7")
            .text();
        // No parent, a group and a session of its own, and no terminal.
        assert_eq!(text, "/bin/sh\n-c\n0 1 1 0\n");
    });
}

#[test]
fn nothing_of_the_caller() {
    everywhere("rootfs::run::tests::places::nothing_of_the_caller", |rig| {
        let open = File::open("/dev/zero").unwrap();
        rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
        let text = rig.run(&process(&["/bin/env"])).text();
        assert_eq!(text, "PATH=/bin\n");
        let text = rig
            .shell("ls /proc/self/fd; echo --; for file in /proc/$$/fd/?; do readlink $file; done; true")
            .text();
        // The last descriptor of ls is that of the directory.
        let (numbers, targets) = text.split_once("--\n").unwrap();
        assert_eq!(numbers, "0\n1\n2\n3\n");
        let kinds: Vec<_> = targets.lines().filter_map(|target| target.split(':').next()).collect();
        assert_eq!(kinds, ["/dev/null", "pipe", "pipe"], "{text}");
        assert_eq!(rig.shell("umask").text(), "0022\n");
        let status = ["/bin/grep", "-E", "SigIgn|SigBlk|SigCgt|NoNewPrivs|Groups", "/proc/self/status"];
        let text = rig.run(&process(&status)).text();
        let groups = text.lines().find(|line| line.starts_with("Groups")).unwrap();
        assert_eq!(groups.trim_end(), "Groups:", "the test runs without further groups");
        let zero = "0000000000000000";
        assert!(
            text.contains(&format!("SigBlk:\t{zero}\nSigIgn:\t{zero}\nSigCgt:\t{zero}\nNoNewPrivs:\t0\n")),
            "{text}"
        );
        // Only the files of the image.
        assert_eq!(rig.shell("ls -A /").text(), "bin\ndev\netc\nproc\nsys\ntmp\n");
        let text = rig.shell("awk '{print $5}' /proc/self/mountinfo | grep -cE '^/(old|links|mnt)'; cd ../..; pwd; grep -c . /proc/self/mountinfo").text();
        let mounts = text.strip_prefix("0\n/\n").expect("the old root is not mounted");
        assert!(mounts.trim().parse::<u32>().unwrap() < 60, "{text}");
    });
}

#[test]
fn the_working_directory_is_made_for_the_user() {
    everywhere("rootfs::run::tests::places::the_working_directory_is_made_for_the_user", |rig| {
        let mut process = process(&["/bin/sh", "-c", "pwd; stat -c '%a %u:%g' . .. /etc; touch file"]);
        (process.directory, process.user) =
            (c"/etc/new/work/".to_owned(), User { uid: 1000, gid: 1001, groups: Vec::new() });
        let text = rig.run(&process).text();
        let new = "/etc/new/work\n755 1000:1001\n755 1000:1001\n";
        assert!(text.starts_with(new), "{text}");
        // One id has all files.
        assert!(matches!(rig.way.ids, Ids::Single { .. }) || text.ends_with("755 0:0\n"), "{text}");
    });
}

#[test]
fn devices() {
    everywhere("rootfs::run::tests::places::devices", |rig| {
        let mut process = process(&["/bin/sh", "-c", "
            ls -A /dev | sort; cat /dev/pipes/a; stat -c '%a %U' /dev /dev/shm /dev/null /dev/pipes/b/c
            echo x > /dev/null && head -c 3 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c
            echo to stdout > /dev/stdout; echo y > /dev/shm/y && cat /dev/shm/y; [ -c /dev/ptmx ] && [ -e /dev/pts/ptmx ] && echo terminals
            : < /dev/tty; exec 2>&1"]);
        process.files = vec![
            ("pipes/a".to_owned(), b"here\n".to_vec(), 0o644),
            ("pipes/b/c".to_owned(), b"#!/bin/sh\n".to_vec(), 0o755),
        ];
        let text = rig.run(&process).output;
        let (list, rest) = text.split_once("here\n").unwrap();
        assert_eq!(
            list.split_whitespace().collect::<Vec<_>>(),
            [
                ".lbuild", "fd", "full", "null", "pipes", "ptmx", "pts", "random", "shm", "stderr", "stdin",
                "stdout", "tty", "urandom", "zero"
            ]
        );
        let null_owner = if rig.ids() == "real" { "root" } else { "UNKNOWN" };
        let expected = format!(
            "755 root\n1777 root\n666 {null_owner}\n755 root\n 00 00 00\n8\nto stdout\ny\nterminals\n"
        );
        assert!(rest.starts_with(&expected), "{text}");
        assert!(rest.contains("can't open /dev/tty: No such device or address"), "{text}");
        let apt = rig.shell("cat /dev/.lbuild/apt.conf").output;
        assert_eq!(apt.contains("Sandbox::User \"root\""), rig.ids() == "single", "{apt}");
    });
}

/// Also for root of the machine, which the files of /proc and /sys obey without a capability.
#[test]
fn the_machine_cannot_be_changed() {
    everywhere("rootfs::run::tests::places::the_machine_cannot_be_changed", |rig| {
        let script = "
            for file in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /sys/kernel/mm/ksm/run /sys/power/state; do
                [ -e $file ] || continue
                (echo 1 > $file) 2>/dev/null && echo written: $file
            done
            cat /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l
            mount -t tmpfs none /tmp 2>/dev/null && echo mounted
            umount /proc/sys 2>/dev/null && echo unmounted
            mount -o remount,rw /sys 2>/dev/null && echo remounted
            mknod /disk b 254 0 2>/dev/null && head -c 1 /disk 2>/dev/null && echo disk
            chroot / true && echo chroot; hostname other 2>/dev/null && echo hostname
            grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | tr -s '\\t\\n' ' '";
        let text = rig.shell(script).text();
        let (none, docker) = ("0000000000000000", "00000000a80425fb");
        let expected = format!(
            "0\n0\nchroot\nCapInh: {none} CapPrm: {docker} CapEff: {docker} CapBnd: {docker} CapAmb: {none} "
        );
        assert_eq!(text, expected);
    });
}

#[test]
fn names_of_hosts_are_copies() {
    everywhere("rootfs::run::tests::places::names_of_hosts_are_copies", |rig| {
        let script = "cat /etc/resolv.conf; echo --; tail -1 /etc/hosts; cat /etc/hostname
            echo more >> /etc/hosts; tail -1 /etc/hosts; rm /etc/hosts 2>/dev/null || echo kept";
        let expected = format!(
            "{}--\n127.0.0.1 builder\nbuilder\nmore\nkept\n",
            fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
        );
        assert_eq!(rig.shell(script).text(), expected);
        assert!(!fs::read_to_string("/etc/hosts").unwrap().contains("more"));
        // The stubs are not part of the image.
        assert!(!rig.changed("etc/resolv.conf").exists() && !rig.changed("etc/hosts").exists());
        // Those that the image has stay as they are.
        fs::write(rig.path("lower/etc/hosts"), "own\n").unwrap();
        assert_eq!(rig.shell("tail -1 /etc/hosts").text(), "127.0.0.1 builder\n");
        assert_eq!(fs::read_to_string(rig.path("lower/etc/hosts")).unwrap(), "own\n");
        assert_eq!(rig.changed("etc/hosts").exists(), rig.way.mode == Mode::Copy);
        // Links lead to the image's own files, also those that lead out of it or nowhere.
        symlink("/../../run/resolve/../resolve/stub.conf", rig.path("lower/etc/resolv.conf")).unwrap();
        assert_eq!(rig.shell("ls /run/resolve").text(), "stub.conf\n");
        assert!(!rig.changed("run").exists());
    });
}

#[test]
fn binds() {
    everywhere("rootfs::run::tests::places::binds", |rig| {
        for name in ["source", "source/inner"] {
            fs::create_dir(rig.path(name)).unwrap();
        }
        fs::write(rig.path("source/inner/file"), "bound\n").unwrap();
        let bind = |source: &str, target: &str, writable| Bind {
            source: BindSource::Path(rig.path(source)),
            target: target.to_owned(),
            writable,
        };
        symlink("/opt/deep", rig.path("lower/link")).unwrap();
        let binds = vec![
            bind("source", "/link/a/b", false),
            bind("source/inner", "/tmp/writable", true),
            bind("source/inner/file", "/opt/file", false),
        ];
        let rig = rig.with_binds(binds);
        let script =
            "cat /opt/deep/a/b/inner/file /opt/file; echo 2> /dev/null no > /link/a/b/new || echo read-only
            echo 2>/dev/null no > /opt/file || echo read-only; echo new > /tmp/writable/new
            mkdir /opt/kept; ls /tmp";
        assert_eq!(rig.shell(script).text(), "bound\nbound\nread-only\nread-only\nwritable\n");
        assert_eq!(fs::read_to_string(rig.path("source/inner/new")).unwrap(), "new\n");
        assert!(rig.changed("opt/kept").is_dir());
        assert!(!rig.changed("opt/deep").exists() && !rig.changed("opt/file").exists());
        assert!(!rig.changed("tmp/writable").exists());
        // The command replaces a directory above a stub by a link to a place outside: nothing there is removed.
        fs::create_dir(rig.path("outside")).unwrap();
        fs::write(rig.path("outside/empty"), "").unwrap();
        let rig = rig.with_binds(vec![bind("source/inner/file", "/var/x/empty", false)]);
        let script =
            format!("umount /var/x/empty; mv /var/x /var/y; ln -s {} /var/x", rig.path("outside").display());
        rig.shell(&script).result.unwrap();
        assert!(rig.path("outside/empty").exists());
    });
}

#[test]
fn files_and_directories_in_memory() {
    everywhere("rootfs::run::tests::places::files_and_directories_in_memory", |rig| {
        let bind = |source, target: &str| Bind { source, target: target.to_owned(), writable: false };
        let secret = BindSource::File { content: b"secret".to_vec(), mode: 0o440, uid: 0, gid: 7 };
        let rig = rig.with_binds(vec![
            bind(BindSource::Memory { size: Some(1 << 20) }, "/x/memory"),
            bind(secret, "/run/secrets/one"),
        ]);
        let script = "dd if=/dev/zero of=/x/memory/file bs=1M count=2 2>/dev/null || echo full; stat -c %a /x/memory
            cat /run/secrets/one; stat -c ' %a' /run/secrets/one; (echo x >/run/secrets/one) 2>/dev/null || echo read-only";
        assert_eq!(rig.shell(script).text(), "full\n1777\nsecret 440\nread-only\n");
        let group = rig.shell("stat -c %g /run/secrets/one").text();
        assert_eq!(group, if matches!(rig.way.ids, Ids::Single { .. }) { "0\n" } else { "7\n" });
        assert!(!rig.changed("x").exists() && !rig.changed("run").exists());
    });
}

#[test]
fn many_lower_directories_with_long_paths() {
    everywhere("rootfs::run::tests::places::many_lower_directories_with_long_paths", |rig| {
        if rig.way.mode == Mode::Copy {
            return;
        }
        let mut lowers: Vec<PathBuf> = (0..119)
            .map(|number| {
                let lower =
                    rig.path("layers").join(format!("{},:{}", "x".repeat(200), number)).join("y".repeat(200));
                fs::create_dir_all(lower.join("many")).unwrap();
                fs::write(lower.join(format!("many/{number}")), "").unwrap();
                fs::write(lower.join("top"), format!("{number}\n")).unwrap();
                lower
            })
            .collect();
        lowers.push(rig.path("lower"));
        let text = rig
            .run_in(&lowers, &process(&["/bin/sh", "-c", "ls /many | wc -l; cat /top; rm -r /many; ls /"]))
            .text();
        assert_eq!(text, "119\n0\nbin\ndev\netc\nproc\nsys\ntmp\ntop\n");
        assert!(!rig.changed("many").is_dir());
        // An image without files cannot run anything, and says so.
        let text = rig.run_in(&[], &process(&["/bin/sh"])).result.unwrap_err().to_string();
        assert_eq!(text, "cannot execute /bin/sh: No such file or directory (os error 2)");
    });
}

#[test]
fn network() {
    everywhere("rootfs::run::tests::places::network", |rig| {
        let interfaces = "ls -d /proc/sys/net/ipv4/conf/* | sed 's,.*/,,' | grep -vx -e all -e default | sort | tr '\\n' ' '";
        let with = rig.shell(interfaces).text();
        let host = fs::read_dir("/proc/sys/net/ipv4/conf").unwrap().count() - 2;
        assert_eq!(with.split_whitespace().count(), host, "{with}");
        let mut process = process(&[
            "/bin/sh",
            "-c",
            &format!(
                "{interfaces}; echo; ifconfig lo | grep -o UP; (echo hello | nc -l -p 99 &); sleep 0.2; nc 127.0.0.1 99 < /dev/null; grep -c nameserver /etc/resolv.conf"
            ),
        ]);
        process.network = false;
        let text = rig.run(&process).output;
        assert!(text.starts_with("lo ") && text.contains("UP\nhello\n0\n"), "{text}");
    });
}

/// As in a container whose runtime hides parts of /proc: the kernel refuses a procfs that would show them.
#[test]
fn masked_proc() {
    const NAME: &str = "rootfs::run::tests::places::masked_proc";
    behind("mount --bind /dev/null /proc/timer_list; mount -t tmpfs none /proc/acpi", NAME, |rig| {
        assert!(rig.way.proc_masked);
        let own = std::process::id();
        let script = format!(
            "readlink /proc/self > /dev/null && ls /dev/fd > /dev/null && echo self; [ -d /proc/{own} ] && echo visible
            head -c 1 /proc/[0-9]*/environ 2>/dev/null | grep -c LBUILD_TEST; cat /proc/{own}/environ
            ls -l /proc/{own}/fd /proc/{own}/cwd/; kill -9 {own}; cat /proc/timer_list | wc -c; umount /proc/timer_list; wc -c < /proc/timer_list
            for environ in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $environ; done 2>/dev/null | grep LBUILD; echo end"
        );
        let text = rig.shell(&script).output;
        assert!(text.starts_with("self\nvisible\n0\n"), "{text}");
        assert!(
            text.contains(&format!("cat: can't open '/proc/{own}/environ': Permission denied")),
            "{text}"
        );
        assert!(text.contains(&format!("can't kill pid {own}: No such process")), "{text}");
        assert!(text.ends_with("\nend\n") && !text.contains("LBUILD"), "{text}");
    });
}

/// The process that tests run in has this variable in its environment.
#[test]
fn the_callers_environment_is_nowhere() {
    everywhere("rootfs::run::tests::places::the_callers_environment_is_nowhere", |rig: &Rig| {
        assert!(std::env::var_os("LBUILD_TEST_IDS").is_some());
        let script = "for file in /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ; do tr '\\0' '\\n' < $file; done | grep -c LBUILD_TEST";
        assert_eq!(rig.shell(script).output, "0\n");
    });
}
