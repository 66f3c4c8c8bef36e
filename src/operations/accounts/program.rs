//! Which program a name is in the image.

use super::database::Fault;
use crate::operations::files::{Kind, Last, ROOT};
use crate::operations::shell::Shell;
use crate::recipe::AccountTool;

/// The directories of the usual `PATH`.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A program that adds accounts.
pub(super) enum Program {
    /// shadow-utils; on distributions of Red Hat's and Amazon's kind `adduser` is a link to it.
    Shadow,
    /// Debian's script in Perl, which calls shadow-utils.
    Debian { script: String },
    /// busybox, of which the name is a link.
    Busybox,
}

impl Shell<'_> {
    pub(super) fn program(&mut self, name: &str, tool: AccountTool) -> Result<Program, Fault> {
        if self.files.user.uid != 0 {
            return Err("Permission denied".to_owned());
        }
        let busybox = self.files.find(ROOT, b"/bin/busybox", Last::Follow).ok();
        for dir in PATH {
            let path = format!("{dir}/{name}");
            let Ok(end) = self.files.walk(ROOT, path.as_bytes(), Last::Follow) else { continue };
            let Some(ino) = end.inode else { continue };
            let Kind::File(_) = self.files.get(ino).kind else { continue };
            if busybox == Some(ino) || end.name.starts_with(b"busybox") {
                return Ok(Program::Busybox);
            }
            if tool == AccountTool::Shadow || matches!(&end.name[..], b"useradd" | b"groupadd") {
                return Ok(Program::Shadow);
            }
            let script = self.files.text(&path).unwrap_or_default();
            let is_perl = script.lines().next().is_some_and(|line| line.contains("perl"));
            return match is_perl || self.files.is_in_need() {
                true => Ok(Program::Debian { script }),
                false => Err(format!("{path} is not a program whose effects are known")),
            };
        }
        Err("not found".to_owned())
    }
}
