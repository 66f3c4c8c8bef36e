//! The processes of an execution environment, which a thread starts, follows and ends.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::{io, thread};

use rustix::process::Pid;
use tokio::sync::mpsc;

use super::start::USER;
use crate::error::{Error, Result};
use crate::rootfs::{
    self, Cgroup, Control, Exit, Failure, Limits, Mode, Place, Service, Told, UnpackedImage,
};

/// The messages that may wait. If more come, the function waits: what it prints is not lost.
const WAITING: usize = 64;

/// What the thread tells.
pub(super) enum Message {
    /// The processes start now: they are descendants of this one, and in the control group, if there is one.
    Starting(Pid, Option<Arc<Cgroup>>),
    Listener(TcpListener),
    Socket(OwnedFd),
    Output {
        by_extension: bool,
        piece: Vec<u8>,
    },
    Ended {
        program: usize,
        exit: Result<Exit, Failure>,
    },
    /// All that was written before [`Control::drain`] has been told.
    Drained,
    /// All processes have ended.
    Finished(Result<(), Failure>),
}

/// Starts the processes. They end with `control`, or when it is dropped.
pub(super) fn start(
    image: &UnpackedImage,
    service: Service,
    limits: Limits,
) -> Result<(Arc<Control>, mpsc::Receiver<Message>)> {
    let control = Control::new().map_err(|source| failed("start a function", source))?;
    let control = Arc::new(control);
    let (sender, receiver) = mpsc::channel(WAITING);
    let (image, its_control) = (image.clone(), control.clone());
    let run = move || {
        let finished = run(&image, &service, limits, &its_control, &sender);
        // The receiver may be gone.
        let _ = sender.blocking_send(Message::Finished(finished));
    };
    thread::Builder::new()
        .name("function".to_owned())
        .spawn(run)
        .map_err(|source| Error::Threads { source })?;
    Ok((control, receiver))
}

fn run(
    image: &UnpackedImage,
    service: &Service,
    limits: Limits,
    control: &Control,
    sender: &mpsc::Sender<Message>,
) -> Result<(), Failure> {
    let group = Cgroup::new(limits).map(Arc::new);
    let mut tell = |told: Told<'_>| {
        let message = match told {
            Told::Starting(pid) => {
                // Without a group, or if the system refuses it after all, the memory is only looked at.
                let group = group.clone().filter(|group| group.add(pid).is_ok());
                Message::Starting(pid, group)
            }
            Told::Listener(listener) => Message::Listener(listener),
            Told::Socket(socket) => Message::Socket(socket),
            Told::Output { others, piece } => Message::Output { by_extension: others, piece: piece.to_vec() },
            Told::Ended { program, exit } => Message::Ended { program, exit },
            Told::Drained => Message::Drained,
        };
        sender.blocking_send(message).map_err(|_| Failure::Stopped)
    };
    let way = image.way();
    if way.mode == Mode::Namespaces {
        return rootfs::serve(way, &Place::Fixed(image.files()), service, &mut tell, control);
    }
    let own = image.directory().map_err(|source| Failure::Io { step: "make a directory", source })?;
    let files = own.path.join("files");
    let made = rootfs::within(&way.ids, &[], || match rootfs::protects(way) {
        true => rootfs::link(image.files(), &files, Some(USER)),
        false => rootfs::copy(image.files(), &files),
    });
    made.map_err(|source| Failure::Io { step: "copy the files of the image", source })?;
    let result = rootfs::serve(way, &Place::Own(&files), service, &mut tell, control);
    drop(own);
    result
}

fn failed(operation: &str, source: io::Error) -> Error {
    Error::Root { operation: operation.to_owned(), source }
}
