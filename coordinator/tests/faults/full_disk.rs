//! A disk that fills up and is freed again: a small file system in memory, in namespaces of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::ledger::{self, Acknowledged, Outcome};
use crate::process::{PROGRAM, Served, clean, connect, set_up};

/// How long writes may take to work again once there is room.
const WORKS_AGAIN_WITHIN: Duration = Duration::from_secs(15);

/// A file system of 8 MiB over a folder, which only processes in its namespaces see; gone when dropped.
struct SmallDisk {
    keeper: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it, and copies into it what the folder holds.
    fn over(folder: &Path) -> Self {
        let script = "mkdir \"$1.kept\" && cp -a \"$1/.\" \"$1.kept/\" && mount -t tmpfs -o size=8M,mode=700 small \"$1\" \
                      && cp -a \"$1.kept/.\" \"$1/\" && echo mounted && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder);
        // It lives as long as its input is open.
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "no small disk can be mounted");
        Self { keeper, folder: folder.to_owned() }
    }

    /// A file on it, as seen from outside.
    fn file(&self, name: &str) -> PathBuf {
        let inside = self.folder.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside).join(name)
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut filler = OpenOptions::new().create(true).append(true).open(self.file("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn free(&self) {
        File::create(self.file("filler")).unwrap();
    }

    fn serve(&self) -> Served {
        let mut command = clean("nsenter", &self.folder);
        command.args([
            "--user",
            "--mount",
            "--preserve-credentials",
            "--target",
            &self.keeper.id().to_string(),
        ]);
        // nsenter becomes the program: it forks only for a namespace of processes.
        command.args(["--wd=/", "--", PROGRAM]);
        Served::start_as(command)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Whether the node gets its map.
fn has_map(served: &Served, node: &Acknowledged) -> bool {
    let mut stream = connect(served.address, 6_000).unwrap();
    let token = &node.token;
    write!(stream, "GET /api/v1/map HTTP/1.1\r\nHost: warren\r\nAuthorization: Bearer {token}\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    lines.any(|line| line.unwrap().starts_with("event: snapshot"))
}

#[test]
fn a_full_disk_is_said_reads_go_on_and_writes_work_again_once_there_is_room() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let key = set_up(&folder);
    let disk = SmallDisk::over(&folder);
    let mut served = disk.serve();
    let (mut acknowledged, mut machine, mut refused) = (Vec::new(), 0, 0);
    for round in 0..3 {
        disk.free();
        let begun = Instant::now();
        let mut fresh = 0;
        while fresh < 20 {
            machine += 1;
            match ledger::enroll(served.address, &key, machine) {
                Outcome::Acknowledged(node) => {
                    acknowledged.push(*node);
                    fresh += 1;
                }
                Outcome::Refused(503) if begun.elapsed() < WORKS_AGAIN_WITHIN => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Outcome::Refused(status) => panic!("round {round}: answered {status}\n{}", served.log()),
                Outcome::Unknown => panic!("round {round}: not answered\n{}", served.log()),
            }
        }
        disk.fill();
        // What SQLite had room for before may still be written; then it must say no, and go on saying so.
        let mut refused_in_a_row = 0;
        while refused_in_a_row < 10 {
            machine += 1;
            match ledger::enroll(served.address, &key, machine) {
                Outcome::Acknowledged(node) => {
                    acknowledged.push(*node);
                    refused_in_a_row = 0;
                }
                Outcome::Refused(503) => {
                    refused_in_a_row += 1;
                    refused += 1;
                }
                Outcome::Refused(status) => panic!("full: answered {status}\n{}", served.log()),
                Outcome::Unknown => panic!("full: not answered\n{}", served.log()),
            }
        }
        assert!(has_map(&served, &acknowledged[0]), "no map while the disk is full");
        assert!(acknowledged.iter().all(|node| ledger::is_known(served.address, node)));
    }
    assert!(served.is_alive());
    let log = served.kill();
    assert!(!log.contains("panicked"), "{log}");
    disk.free();
    // The listing runs where the files are; the next coordinator is asked instead.
    let next = disk.serve();
    let lost = acknowledged.iter().filter(|node| !ledger::is_known(next.address, node)).count();
    println!("{} acknowledged, {refused} refused on a full disk, {lost} lost", acknowledged.len());
    assert_eq!(lost, 0);
}
