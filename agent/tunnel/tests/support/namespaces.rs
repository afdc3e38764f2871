//! Network namespaces of a test's own: the test runs itself again inside `unshare`, so nothing on the host is
//! touched, and each node is a thread in a further namespace.

use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Set where the test already runs inside its own namespace.
const INSIDE: &str = "TUNNEL_TEST_INSIDE_NAMESPACE";

/// Runs `body` in namespaces of its own, by running the test `name` of this binary again inside `unshare`. Where
/// the host does not permit that, says so and returns.
#[expect(clippy::print_stdout, reason = "a test that is skipped must say so")]
pub fn isolated(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return body();
    }
    // Root needs no user namespace, and some hosts permit none.
    let flags = if nix::unistd::geteuid().is_root() { "-nm" } else { "-Urnm" };
    let probe = "ip tuntap add dev probe0 mode tun && ip link del probe0";
    let permitted = Command::new("unshare").args([flags, "sh", "-c", probe]).output();
    if !permitted.as_ref().is_ok_and(|output| output.status.success()) {
        println!(
            "SKIPPED {name}: this host permits no network namespace with a TUN interface: {permitted:?}"
        );
        return;
    }
    let this = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .arg(flags)
        .arg(this)
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed inside its namespace");
}

/// A thread in a network namespace of its own that runs what it is given.
pub struct Namespace {
    jobs: Option<mpsc::Sender<Box<dyn FnOnce() + Send>>>,
    pub thread_id: i32,
    thread: Option<JoinHandle<()>>,
}

impl Namespace {
    pub fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (ready, made) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            run("ip", &["link", "set", "lo", "up"]);
            ready.send(nix::unistd::gettid().as_raw()).unwrap();
            while let Ok(job) = queue.recv() {
                job();
            }
        });
        let thread_id = made.recv().unwrap();
        Self { jobs: Some(jobs), thread_id, thread: Some(thread) }
    }

    /// Runs `job` inside and returns what it returns. Threads and processes that it starts stay inside too.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        self.jobs.as_ref().unwrap().send(Box::new(move || drop(done.send(job())))).unwrap();
        result.recv().expect("the job did not panic")
    }

    /// Runs a program inside.
    pub fn command(&self, program: &str, arguments: &str) -> String {
        let (program, arguments) = (program.to_owned(), arguments.to_owned());
        self.run(move || run(&program, &arguments.split_whitespace().collect::<Vec<_>>()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        // A job that panicked has failed the test already.
        let _ = self.thread.take().unwrap().join();
    }
}

/// Two namespaces joined by a cable: 10.99.0.1 and fd99::1 on one end, .2 and ::2 on the other.
pub fn cabled_pair() -> [Namespace; 2] {
    let pair = [Namespace::new(), Namespace::new()];
    let ids = pair.each_ref().map(|namespace| namespace.thread_id.to_string());
    let ends =
        ["link", "add", "cable", "netns", &ids[0], "type", "veth", "peer", "name", "cable", "netns", &ids[1]];
    run("ip", &ends);
    for (number, namespace) in (1..).zip(&pair) {
        namespace.command("ip", &format!("addr add 10.99.0.{number}/24 dev cable"));
        namespace.command("ip", &format!("addr add fd99::{number}/64 dev cable nodad"));
        namespace.command("ip", "link set cable up");
    }
    pair
}

/// Runs a program to its end and returns what it printed; a failure fails the test.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}
