//! The lab inside its own namespaces: the program starts itself again under `unshare`, so that every process,
//! interface and namespace vanishes with it, even when it is killed.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::error::{LabError, Trying};

/// Set in the environment of the inner process.
const INSIDE: &str = "WARREN_LAB_INSIDE";
/// Names the file descriptor of a listener of the outside that the inner process may accept from.
const LISTENER: &str = "WARREN_LAB_LISTENER";
/// How long the inner process may take to end by itself after Ctrl-C.
const FAREWELL: Duration = Duration::from_secs(2);
/// Exit code of the inner process on Ctrl-C: 130 as shells have it, unless waiting for Ctrl-C was the task.
static STOPPED_CODE: AtomicI32 = AtomicI32::new(130);
/// The last signal the outer process got.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Is this process the one inside the sandbox?
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Makes mounts private to this run: an empty `/run`, where `ip netns` keeps its names.
///
/// # Errors
/// When a mount fails.
pub fn settle_in() -> Result<(), LabError> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).trying("make mounts private")?;
    mount(Some("lab"), "/run", Some("tmpfs"), MsFlags::empty(), none).trying("mount a private /run")?;
    std::fs::create_dir_all("/run/netns").trying("create /run/netns")?;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        handle(signal, end_at_once)?;
    }
    Ok(())
}

/// Declares that Ctrl-C is now the expected end, so it exits with 0.
pub fn expect_interrupt() {
    STOPPED_CODE.store(0, Ordering::SeqCst);
}

/// The listener that the outer process opened outside of the sandbox, if it did.
#[must_use]
pub fn outside_listener() -> Option<TcpListener> {
    let descriptor: i32 = std::env::var(LISTENER).ok()?.parse().ok()?;
    // SAFETY: the outer process left exactly this descriptor open for us, and nobody else in this process takes it.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Some(TcpListener::from(owned))
}

/// Starts this program again with the same arguments inside new namespaces and waits for its end.
///
/// With `listen_outside`, a listener on 127.0.0.1 of the caller's own network is handed in.
///
/// # Errors
/// When `unshare` cannot be started.
pub fn run_inside(listen_outside: bool) -> Result<ExitCode, LabError> {
    let program = std::env::current_exe().trying("find the lab's own program file")?;
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]);
    command.arg("--").arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let listener = if listen_outside {
        Some(TcpListener::bind("127.0.0.1:0").trying("listen on 127.0.0.1")?)
    } else {
        None
    };
    if let Some(listener) = &listener {
        command.env(LISTENER, listener.as_raw_fd().to_string());
    }
    let inherited = listener.as_ref().map(AsRawFd::as_raw_fd);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        handle(signal, note_signal)?;
    }
    // SAFETY: both calls are async-signal-safe and touch nothing of the parent.
    unsafe {
        command.pre_exec(move || {
            // A killed lab takes `unshare` along, and `--kill-child` takes all the rest.
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            if let Some(descriptor) = inherited
                && libc::fcntl(descriptor, libc::F_SETFD, 0) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn().trying("start unshare")?;
    wait_for_inside(child)
}

fn wait_for_inside(mut child: std::process::Child) -> Result<ExitCode, LabError> {
    let mut farewell: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait().trying("wait for the sandbox")? {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(1));
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        let signal = SIGNAL.load(Ordering::SeqCst);
        if signal == libc::SIGINT && farewell.is_none() {
            interrupt_inside(child.id());
        }
        // After Ctrl-C the inside ends by itself; any other signal ends it at once.
        let patience = if signal == libc::SIGINT { FAREWELL } else { Duration::ZERO };
        if signal != 0 && farewell.get_or_insert_with(Instant::now).elapsed() >= patience {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A terminal sends Ctrl-C to the inside, too, but `kill -INT` does not: passes it on to the child of `unshare`.
fn interrupt_inside(unshare: u32) {
    let children =
        std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
    for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        // It may have ended already.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGINT);
    }
}

fn handle(signal: Signal, handler: extern "C" fn(i32)) -> Result<(), LabError> {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: both handlers do nothing but atomic stores, loads and `_exit`, which are async-signal-safe.
    unsafe { sigaction(signal, &action) }.trying("handle signals")?;
    Ok(())
}

extern "C" fn note_signal(signal: i32) {
    SIGNAL.store(signal, Ordering::SeqCst);
}

extern "C" fn end_at_once(_signal: i32) {
    // SAFETY: `_exit` is async-signal-safe; the kernel ends the rest, as this is the first process of its namespace.
    unsafe { libc::_exit(STOPPED_CODE.load(Ordering::SeqCst)) }
}
