//! `--ssh`: the SSH agents of the build.

use std::path::PathBuf;

use crate::cli::output::exit::Failure;

/// The agents of the flags: ids and sockets.
pub fn read(flags: &[String]) -> Result<Vec<(String, PathBuf)>, Failure> {
    flags.iter().map(|flag| one(flag)).collect()
}

fn one(flag: &str) -> Result<(String, PathBuf), Failure> {
    let (id, socket) = match flag.split_once('=') {
        Some((id, socket)) => (id, PathBuf::from(socket)),
        None => {
            let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
            let hint = "start an agent, or write --ssh ID=SOCKET";
            let socket = socket
                .ok_or_else(|| Failure::usage(format!("--ssh {flag}: SSH_AUTH_SOCK is not set"), hint))?;
            (flag, PathBuf::from(socket))
        }
    };
    if id.is_empty() {
        return Err(Failure::usage("an --ssh has no id", "write --ssh default, or --ssh ID=SOCKET"));
    }
    match std::fs::metadata(&socket) {
        #[cfg(unix)]
        Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
            Ok((id.to_owned(), socket))
        }
        Ok(_) => {
            let message = format!("--ssh {id}: {} is not the socket of an agent", socket.display());
            Err(Failure::usage(message, "add the key to an agent with ssh-add, and pass the agent's socket"))
        }
        Err(source) => Err(Failure::Read { what: socket.display().to_string(), source }),
    }
}
