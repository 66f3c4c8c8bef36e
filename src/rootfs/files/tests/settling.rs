//! Differences, one by one. Each is checked in an overlay, in a tree, and by unpacking the layer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat, renameat};

use super::inside::inside;
use super::layers::{EPOCH, base, bytes};
use super::rig::Rig;
use crate::rootfs::files::{Owners, Settings};
use crate::tree::{Entry, FileTree};

/// The entries of the layer of a command on the base of [`base`], by their paths.
fn layer_of(owners: Owners, change: impl Fn(&Path)) -> BTreeMap<String, String> {
    layer_over(owners, &[base()], change)
}

fn layer_over(owners: Owners, layers: &[FileTree], change: impl Fn(&Path)) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), owners, layers);
    let settings = rig.settings();
    let entries = rig.run("", &settings, &|root| {
        change(root);
        Vec::new()
    });
    crate::rootfs::files::remove(dir.path()).unwrap();
    entries
}

fn paths(entries: &BTreeMap<String, String>) -> Vec<&str> {
    entries.keys().map(String::as_str).collect()
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nothing_but_times_is_nothing() {
    inside("rootfs::files::tests::settling::nothing_but_times_is_nothing", |owners| {
        let entries = layer_of(owners, |root| {
            for path in ["etc/a", "usr/bin/su", "tmp"] {
                File::open(root.join(path)).unwrap().set_modified(SystemTime::now()).unwrap();
            }
            chmod(root.join("etc/a"), 0o600);
            chmod(root.join("etc/a"), 0o644);
            fs::write(root.join("tmp/t"), "t").unwrap();
            fs::write(root.join("etc/new"), "").unwrap();
            fs::remove_file(root.join("etc/new")).unwrap();
            let _socket = UnixListener::bind(root.join("run/s")).unwrap();
            chmod(root, 0o700);
        });
        assert_eq!(paths(&entries), [""; 0]);
    });
}

#[test]
fn parents_keep_their_modes_and_owners() {
    inside("rootfs::files::tests::settling::parents_keep_their_modes_and_owners", |owners| {
        let entries = layer_of(owners, |root| {
            fs::write(root.join("tmp/n"), "n").unwrap();
            fs::write(root.join("home/app/n"), "n").unwrap();
        });
        assert_eq!(paths(&entries), ["home", "home/app", "home/app/n", "tmp", "tmp/n"]);
        assert_eq!(entries["tmp"], "Directory 1777 0:0 Xattrs(None)");
        assert_eq!(entries["home/app"], "Directory 700 1000:1000 Xattrs(None)");
    });
}

#[test]
fn deletions_are_as_few_as_possible() {
    inside("rootfs::files::tests::settling::deletions_are_as_few_as_possible", |owners| {
        let removed = layer_of(owners, |root| fs::remove_dir_all(root.join("lib/m")).unwrap());
        assert_eq!(paths(&removed), ["lib", "lib/m"]);
        assert!(removed["lib/m"].starts_with("Whiteout"));

        // Removed and made again: one marker instead of two deletions.
        let again = layer_of(owners, |root| {
            fs::remove_dir_all(root.join("lib/m/deep")).unwrap();
            fs::create_dir_all(root.join("lib/m/deep")).unwrap();
            fs::write(root.join("lib/m/deep/new"), "").unwrap();
        });
        assert_eq!(paths(&again), ["lib", "lib/m", "lib/m/deep", "lib/m/deep/new"]);
        assert!(again["lib/m/deep"].starts_with("Opaque 755"));

        // The same with one file that equals the former: it is kept, so the others are deleted one by one.
        let kept = layer_of(owners, |root| {
            fs::remove_dir_all(root.join("lib/m/deep")).unwrap();
            fs::create_dir_all(root.join("lib/m/deep")).unwrap();
            fs::write(root.join("lib/m/deep/y"), "y").unwrap();
            chmod(root.join("lib/m/deep/y"), 0o444);
        });
        assert_eq!(paths(&kept), ["lib", "lib/m", "lib/m/deep", "lib/m/deep/er"]);

        // Emptied without being removed.
        let emptied = layer_of(owners, |root| {
            fs::remove_dir_all(root.join("lib/m/deep/er")).unwrap();
            fs::remove_file(root.join("lib/m/deep/y")).unwrap();
        });
        assert!(emptied["lib/m/deep"].starts_with("Opaque 755"));
    });
}

#[test]
fn kinds_replace_each_other() {
    inside("rootfs::files::tests::settling::kinds_replace_each_other", |owners| {
        let entries = layer_of(owners, |root| {
            fs::remove_dir_all(root.join("lib/m")).unwrap();
            symlink("../usr", root.join("lib/m")).unwrap();
            fs::remove_file(root.join("etc/a")).unwrap();
            fs::create_dir(root.join("etc/a")).unwrap();
            fs::write(root.join("etc/a/b"), "").unwrap();
            fs::remove_file(root.join("tmp/t")).unwrap();
            mknodat(CWD, root.join("tmp/t"), FileType::Fifo, Mode::RUSR, 0).unwrap();
            fs::remove_file(root.join("usr/bin/su")).unwrap();
            let _socket = UnixListener::bind(root.join("usr/bin/su")).unwrap();
        });
        let expected =
            ["etc", "etc/a", "etc/a/b", "lib", "lib/m", "tmp", "tmp/t", "usr", "usr/bin", "usr/bin/su"];
        assert_eq!(paths(&entries), expected);
        assert!(entries["lib/m"].starts_with("Symlink"));
        assert!(entries["tmp/t"].starts_with("Device(Fifo)"));
        assert!(entries["usr/bin/su"].starts_with("Whiteout"));
    });
}

#[test]
fn a_file_with_several_names_has_all_of_them() {
    inside("rootfs::files::tests::settling::a_file_with_several_names_has_all_of_them", |owners| {
        let entries = layer_of(owners, |root| {
            fs::hard_link(root.join("etc/a"), root.join("etc/z")).unwrap();
            fs::write(root.join("usr/n"), "n").unwrap();
            fs::hard_link(root.join("usr/n"), root.join("home/n")).unwrap();
        });
        assert_eq!(paths(&entries), ["etc", "etc/a", "etc/z", "home", "home/n", "usr", "usr/n"]);
        assert!(entries["etc/z"].starts_with(&format!("HardLink({:?})", b"etc/a")), "{entries:?}");
        assert!(entries["usr/n"].starts_with(&format!("HardLink({:?})", b"home/n")));

        // The names of the base, linked again: nothing has changed.
        let same = layer_of(owners, |root| {
            fs::remove_file(root.join("usr/bin/perl5")).unwrap();
            fs::hard_link(root.join("usr/bin/perl"), root.join("usr/bin/perl5")).unwrap();
        });
        assert_eq!(paths(&same), [""; 0]);

        // One name is written; the other is a file of its own.
        let one = layer_of(owners, |root| fs::write(root.join("usr/bin/perl"), "new").unwrap());
        assert_eq!(paths(&one), ["usr", "usr/bin", "usr/bin/perl"]);
        assert!(one["usr/bin/perl"].starts_with("File"));
    });
}

#[test]
fn attributes_that_a_layer_keeps() {
    inside("rootfs::files::tests::settling::attributes_that_a_layer_keeps", |owners| {
        let capability = [1, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let entries = layer_of(owners, |root| {
            let set = |path: &str, name: &str, value: &[u8]| {
                lsetxattr(root.join(path), name, value, XattrFlags::empty()).unwrap();
            };
            set("usr/bin/perl", "security.capability", &capability);
            set("etc/a", "user.note", b"hello");
            set("usr/bin", "user.dir", b"1");
            // Entries of an access control list: u::rwx, u:0:r-x, g::---, m::rwx, o::---.
            let acl = [
                &2u32.to_le_bytes()[..],
                &[1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff],
                &[2, 0, 5, 0, 0, 0, 0, 0],
                &[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
                &[16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff],
                &[32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            ];
            set("tmp/t", "system.posix_acl_access", &acl.concat());
        });
        let xattrs = |name: &str, value: &[u8]| {
            format!("{:?}", [(name, value)].into_iter().collect::<crate::tree::Xattrs>())
        };
        assert!(entries["usr/bin/perl"].ends_with(&xattrs("security.capability", &capability)));
        assert!(entries["etc/a"].ends_with(&xattrs("user.note", b"hello")));
        assert!(entries["usr/bin"].ends_with(&xattrs("user.dir", b"1")));
        // The mode of a file with a list has the mask in the place of the group's bits.
        assert!(entries["tmp/t"].ends_with("770 0:0 Xattrs(None)"), "{}", entries["tmp/t"]);
    });
}

#[test]
fn owners_of_files() {
    inside("rootfs::files::tests::settling::owners_of_files", |owners| {
        let entries = layer_of(owners, |root| {
            for (path, uid, gid) in [("etc/a", 1000, 1000), ("usr/bin/su", 0, 7), ("lib/m", 12, 0)] {
                let path = root.join(path);
                match owners {
                    Owners::Kernel => std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap(),
                    Owners::Recorded => {
                        let owner = format!("{uid}:{gid}");
                        lsetxattr(&path, "user.lbuild.owner", owner.as_bytes(), XattrFlags::empty()).unwrap();
                    }
                }
            }
            // The owner that the base has is kept, and can be taken away.
            fs::write(root.join("home/app/.profile"), "new").unwrap();
            match owners {
                Owners::Kernel => {
                    std::os::unix::fs::chown(root.join("var/marked"), Some(0), Some(0)).unwrap()
                }
                Owners::Recorded => {
                    rustix::fs::lremovexattr(root.join("var/marked"), "user.lbuild.owner").unwrap()
                }
            }
        });
        let ids = |path: &str| {
            entries[path]
                .split(' ')
                .find(|word| word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit()))
                .unwrap()
                .to_owned()
        };
        let found = ["etc/a", "usr/bin/su", "lib/m", "home/app/.profile", "var/marked"].map(ids);
        assert_eq!(found, ["1000:1000", "0:7", "12:0", "1000:1000", "0:0"]);
    });
}

#[test]
fn a_user_with_the_only_id_owns_what_it_makes() {
    inside("rootfs::files::tests::settling::a_user_with_the_only_id_owns_what_it_makes", |owners| {
        // With real owners, the kernel knows them.
        if owners == Owners::Kernel {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::new(dir.path(), owners, &[base()]);
        let settings = Settings { creator: (1000, 1000), ..rig.settings() };
        let entries = rig.run("", &settings, &|root| {
            fs::create_dir(root.join("home/app/d")).unwrap();
            fs::write(root.join("home/app/d/n"), "n").unwrap();
            fs::write(root.join("home/app/.profile"), "changed").unwrap();
            fs::write(root.join("etc/a"), "of root").unwrap();
            Vec::new()
        });
        let paths = ["home/app/d", "home/app/d/n", "home/app/.profile", "etc/a", "etc"];
        let is_owner = |(path, owner): (&&str, &str)| entries[*path].contains(&format!(" {owner} "));
        let owners = ["1000:1000", "1000:1000", "1000:1000", "0:0", "0:0"];
        assert!(paths.iter().zip(owners).all(is_owner), "{entries:#?}");
        crate::rootfs::files::remove(dir.path()).unwrap();
    });
}

#[test]
fn writes_that_hide_their_times_are_found() {
    inside("rootfs::files::tests::settling::writes_that_hide_their_times_are_found", |owners| {
        let entries = layer_of(owners, |root| {
            let file = File::options().write(true).open(root.join("var/mail/m")).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"M", 0).unwrap();
            file.set_modified(before).unwrap();
            // A file of the same size, moved into place with the times of the other.
            let (new, old) = (root.join("new"), root.join("etc/a"));
            fs::write(&new, "b").unwrap();
            File::open(&new).unwrap().set_modified(fs::metadata(&old).unwrap().modified().unwrap()).unwrap();
            renameat(CWD, &new, CWD, &old).unwrap();
        });
        assert_eq!(paths(&entries), ["etc", "etc/a", "var", "var/mail", "var/mail/m"]);
    });
}

/// The header of a compiled Python file for a source with this time and size.
fn compiled(flags: u32, mtime: u64, size: u32) -> Vec<u8> {
    let mut bytes = vec![0xcb, 0x0d, b'\r', b'\n'];
    bytes.extend(flags.to_le_bytes());
    bytes.extend((mtime as u32).to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(b"code");
    bytes
}

#[test]
fn compiled_python_files_fit_the_times_of_their_sources() {
    inside(
        "rootfs::files::tests::settling::compiled_python_files_fit_the_times_of_their_sources",
        |owners| {
            let dir = tempfile::tempdir().unwrap();
            let mut rig = Rig::new(dir.path(), owners, &[base()]);
            let settings = rig.settings();
            let time = 1_700_000_000;
            rig.run("", &settings, &|root| {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
                let cache = root.join("lib/m/__pycache__");
                fs::create_dir(&cache).unwrap();
                fs::write(root.join("lib/m/new.py"), "print()").unwrap();
                fs::write(root.join("lib/m/other.py"), "print()").unwrap();
                for path in ["lib/m/new.py", "lib/m/__init__.py", "lib/m/other.py"] {
                    File::open(root.join(path)).unwrap().set_modified(at).unwrap();
                }
                let write = |name: &str, bytes| fs::write(cache.join(name), bytes).unwrap();
                write("new.cpython-312.pyc", compiled(0, time, 7));
                // Its source has only been touched, and gets its time back.
                write("__init__.cpython-312.pyc", compiled(0, time, 0));
                // Stale before, checked by hash, without a source.
                write("other.cpython-312.pyc", compiled(0, time - 1, 7));
                write("other.cpython-311.pyc", compiled(3, time, 7));
                write("gone.cpython-312.pyc", compiled(0, time, 7));
                Vec::new()
            });
            let expected = [
                ("new.cpython-312", compiled(0, EPOCH, 7)),
                ("__init__.cpython-312", compiled(0, 1_000_000_000, 0)),
                ("other.cpython-312", compiled(0, time - 1, 7)),
                ("other.cpython-311", compiled(3, time, 7)),
                ("gone.cpython-312", compiled(0, time, 7)),
            ];
            for (name, bytes) in expected {
                let path = dir.path().join(format!("t/lib/m/__pycache__/{name}.pyc"));
                assert_eq!(fs::read(path).unwrap(), bytes, "{name}");
            }
            crate::rootfs::files::remove(dir.path()).unwrap();
        },
    );
}

#[test]
fn noise_is_left_out_and_what_the_base_has_of_it_stays() {
    inside("rootfs::files::tests::settling::noise_is_left_out_and_what_the_base_has_of_it_stays", |owners| {
        let mut base = base();
        for path in ["var/log/dpkg.log", "var/log/apt/term.log", "etc/machine-id"] {
            base.insert(path, Entry::new(bytes("base"), 0o640)).unwrap();
        }
        let change = |root: &Path| {
            fs::create_dir_all(root.join("root/.npm/_logs/sub")).unwrap();
            fs::write(root.join("root/.npm/_logs/sub/x"), "log").unwrap();
            fs::write(root.join("root/.npm/anonymous"), "kept").unwrap();
            fs::write(root.join("var/log/dpkg.log"), "changed").unwrap();
            fs::write(root.join("var/log/apt/history.log"), "new").unwrap();
            fs::remove_file(root.join("var/log/apt/term.log")).unwrap();
        };
        let entries = layer_over(owners, &[base.clone()], change);
        let expected = [
            "root",
            "root/.npm",
            "root/.npm/anonymous",
            "var",
            "var/log",
            "var/log/apt",
            "var/log/apt/term.log",
        ];
        assert_eq!(paths(&entries), expected);
        assert!(entries["var/log/apt/term.log"].starts_with("Whiteout"));

        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::new(dir.path(), owners, &[base]);
        let settings = Settings { keeps_noise: true, ..rig.settings() };
        let entries = rig.run("", &settings, &|root| {
            change(root);
            Vec::new()
        });
        assert!(entries.contains_key("root/.npm/_logs/sub/x") && entries.contains_key("var/log/dpkg.log"));
        crate::rootfs::files::remove(dir.path()).unwrap();
    });
}

#[test]
fn what_belongs_to_mounts_is_left_out() {
    inside("rootfs::files::tests::settling::what_belongs_to_mounts_is_left_out", |owners| {
        let dir = tempfile::tempdir().unwrap();
        let mut rig = Rig::new(dir.path(), owners, &[base()]);
        let left_out = ["etc/resolv.conf", "proc", "run/cache"].map(|path| path.as_bytes().to_vec());
        let settings = Settings { left_out: &left_out, ..rig.settings() };
        let entries = rig.run("", &settings, &|root| {
            fs::create_dir_all(root.join("proc/sub")).unwrap();
            fs::write(root.join("etc/resolv.conf"), "nameserver").unwrap();
            fs::write(root.join("etc/resolv.conf.d"), "kept").unwrap();
            fs::create_dir(root.join("run/cache")).unwrap();
            fs::write(root.join("run/cache/x"), "x").unwrap();
            Vec::new()
        });
        assert_eq!(paths(&entries), ["etc", "etc/resolv.conf.d"]);
        crate::rootfs::files::remove(dir.path()).unwrap();
    });
}

#[test]
fn files_that_nobody_may_read_are_in_the_layer_and_get_their_modes_back() {
    inside(
        "rootfs::files::tests::settling::files_that_nobody_may_read_are_in_the_layer_and_get_their_modes_back",
        |owners| {
            let entries = layer_of(owners, |root| {
                fs::create_dir(root.join("closed")).unwrap();
                fs::write(root.join("closed/x"), "x").unwrap();
                chmod(root.join("closed/x"), 0);
                chmod(root.join("closed"), 0);
            });
            assert!(entries["closed"].starts_with("Directory 0 "), "{entries:?}");
            assert!(entries["closed/x"].contains(" 0 0:0"), "{entries:?}");
        },
    );
}

#[test]
fn a_name_that_marks_a_deletion_is_an_error() {
    inside("rootfs::files::tests::settling::a_name_that_marks_a_deletion_is_an_error", |owners| {
        use crate::rootfs::files::{Index, Snapshot, make_root, settle_tree};
        let dir = tempfile::tempdir().unwrap();
        let (root, index) = (dir.path().join("r"), Index::new());
        make_root(&root, &index, owners).unwrap();
        let before = Snapshot::of(&root).unwrap();
        fs::write(root.join(".wh.x"), "").unwrap();
        let settings = Settings {
            owners,
            creator: (0, 0),
            epoch: 0,
            keeps_noise: false,
            left_out: &[],
            base: None,
            opens: false,
        };
        let (settled, _) = settle_tree(&root, &before, &index, &settings).unwrap();
        assert!(settled.tree(&root).unwrap_err().to_string().contains(".wh.x"));
        // What crosses a pipe between processes is the same on the other side.
        let copied: crate::rootfs::files::Settled =
            serde_json::from_slice(&serde_json::to_vec(&settled).unwrap()).unwrap();
        assert_eq!(format!("{copied:?}"), format!("{settled:?}"));
        let copied: Snapshot = serde_json::from_slice(&serde_json::to_vec(&before).unwrap()).unwrap();
        assert_eq!(copied, before);
    });
}
