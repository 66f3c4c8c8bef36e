//! The mounts of a command in a tree.

use std::fs;

use super::rig::image;
use super::trees::{Tree, everywhere};
use crate::rootfs::run::command::{Bind, BindSource};

#[test]
fn files_are_bound_as_copies_and_directories_by_moving_them() {
    everywhere("rootfs::run::tests::bound::files_are_bound_as_copies_and_directories_by_moving_them", |_| {
        let outside = tempfile::tempdir().unwrap();
        let (file, dir) = (outside.path().join("file"), outside.path().join("dir"));
        fs::write(&file, "bound").unwrap();
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("old"), "old").unwrap();
        let bind =
            |source: BindSource, target: &str| Bind { source, target: target.to_owned(), writable: true };
        let secret = BindSource::File { content: b"secret".to_vec(), mode: 0o400, uid: 0, gid: 0 };
        let binds = vec![
            bind(BindSource::Path(file.clone()), "/a/b/c"),
            bind(BindSource::Path(dir.clone()), "/x/y/dir"),
            bind(BindSource::Memory { size: Some(1 << 20) }, "/x/memory"),
            bind(secret, "/run/secrets/one"),
        ];
        let tree = Tree { dir: tempfile::tempdir().unwrap(), binds };
        image(&tree.path(""));
        let script = "cat /a/b/c; echo changed >/a/b/c; cat /x/y/dir/old; echo new >/x/y/dir/new; rm /x/y/dir/old
            ls /x/memory; : >/x/memory/file; stat -c ' %a' /x/memory; cat /run/secrets/one; stat -c ' %a' /run/secrets/one; : >/x/kept";
        assert_eq!(tree.shell(script).text(), "boundold 1777\nsecret 400\n");
        assert!(!tree.path("a").exists() && !tree.path("run").exists());
        let left: Vec<_> =
            fs::read_dir(tree.path("x")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "bound");
        assert_eq!(fs::read_to_string(dir.join("new")).unwrap(), "new\n");
        assert!(!dir.join("old").exists());
    });
}
