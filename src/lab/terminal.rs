//! The user's terminal and the signals that end a lab.

use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::Sender;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::LabError;
use super::run::Heard;

/// Ctrl-], which leaves the console as it does in telnet and `virsh console`.
pub const LEAVE: u8 = 0x1d;

/// True when both ends of the console would be a person's terminal.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The terminal in raw mode: every key goes to the guest. Dropping it, also while panicking, restores the terminal.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches stdin's terminal.
    pub fn enter() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that went away needs no restoring.
        let _ = tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

/// Sends the keys typed to `listener` until Ctrl-] or the end of input.
pub fn keys(listener: Sender<Heard>) -> Result<(), LabError> {
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 256];
        loop {
            let heard = match stdin.read(&mut buffer) {
                Ok(length) if length > 0 && !buffer[..length].contains(&LEAVE) => {
                    Heard::Keys(buffer[..length].to_vec())
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                _ => Heard::Leave,
            };
            let last = matches!(heard, Heard::Leave);
            if listener.send(heard).is_err() || last {
                return;
            }
        }
    };
    spawn("keys", read)
}

/// Sends SIGINT, SIGTERM and SIGHUP to `listener` instead of letting them end the process. Returns once they
/// are caught.
pub fn signals(listener: Sender<Heard>) -> Result<(), LabError> {
    let (tell, caught) = std::sync::mpsc::channel();
    spawn("signals", move || {
        let wait = async {
            use tokio::signal::unix::{SignalKind, signal};
            let streams = (|| {
                Ok((
                    signal(SignalKind::interrupt())?,
                    signal(SignalKind::terminate())?,
                    signal(SignalKind::hangup())?,
                ))
            })();
            let (mut interrupt, mut terminate, mut hangup) = match streams {
                Ok(streams) => streams,
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            // The receiver waits for this very message.
            let _ = tell.send(Ok(()));
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => 2,
                    _ = terminate.recv() => 15,
                    _ = hangup.recv() => 1,
                };
                if listener.send(Heard::Signal(number)).is_err() {
                    return;
                }
            }
        };
        // An error here drops `tell`, which the caller notices.
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(wait);
        }
    })?;
    let failed = |cause| LabError::Start { program: "the signal thread".into(), cause };
    caught.recv().map_err(|_| failed(std::io::Error::other("no runtime")))?.map_err(failed)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), LabError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|cause| LabError::Start { program: format!("the thread for {name}"), cause })
}
