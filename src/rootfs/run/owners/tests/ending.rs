//! The end of the recorder.

use super::*;

#[test]
fn the_recorder_ends_with_the_last_process() {
    as_root_and_as_nobody("ending::the_recorder_ends_with_the_last_process", || {
        let root = Root::new(true, |dir| put(dir, "file", 0o644));
        // The first process ends while another one still changes owners.
        let output = root.run(|| {
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let result = chown("/file", 1, 1);
                unsafe { libc::_exit(i32::from(result != "0")) };
            }
            let mut status = 0;
            unsafe { libc::waitpid(pid, &mut status, 0) };
            status.to_string()
        });
        assert_eq!(output, "0");
        assert_eq!(root.owner("file"), "1:1");
    });
}
