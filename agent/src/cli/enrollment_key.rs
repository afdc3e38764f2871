//! Where an enrollment key comes from: a file, standard input or the environment; never the arguments, which every user of the
//! machine can read.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use protocol::api::EnrollmentKey;
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};

const VARIABLE: &str = "WARREN_ENROLLMENT_KEY";

/// The most that is read of a file or a line, in bytes; a key has 47.
const BYTES_MAX: u64 = 4096;

/// The key from `file` (`-`: standard input, typed unseen at a terminal), else from the environment; `None` where neither is given.
///
/// # Errors
/// Where what is there is no key.
pub(super) fn find(file: Option<&Path>) -> Result<Option<EnrollmentKey>, Failure> {
    let text = match (file, std::env::var(VARIABLE)) {
        (Some(path), _) if path == Path::new("-") && io::stdin().is_terminal() => prompt()?,
        (Some(path), _) if path == Path::new("-") => read(io::stdin(), "standard input")?,
        (Some(path), _) => {
            let file = File::open(path).map_err(|error| unreadable(&path.display().to_string(), &error))?;
            read(file, &path.display().to_string())?
        }
        (None, Ok(text)) => Zeroizing::new(text),
        (None, Err(_)) => return Ok(None),
    };
    text.parse().map(Some).map_err(|error| Failure::new(Code::Usage, format!("{error}")))
}

fn read(source: impl Read, name: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    source.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::from_io(error, format!("cannot read the enrollment key from {name}: {error}; check the file"))
}

fn prompt() -> Result<Zeroizing<String>, Failure> {
    let silent = SilentTerminal::enter().map_err(|errno| unreadable("the terminal", &errno.into()))?;
    let _ = write!(io::stderr(), "Enrollment key: ");
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().read_line(&mut text);
    drop(silent);
    let _ = writeln!(io::stderr());
    read.map_err(|error| unreadable("the terminal", &error))?;
    Ok(text)
}

/// The terminal without echo, until dropped.
struct SilentTerminal(Termios);

impl SilentTerminal {
    fn enter() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for SilentTerminal {
    fn drop(&mut self) {
        // The terminal may be gone; then there is no echo to bring back.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}
