//! What the process itself uses, as the kernel tells it (proc(5)).

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

/// What the process uses; `None` where the kernel does not say.
pub(super) struct ProcessUse {
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) files_max: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
}

impl ProcessUse {
    pub(super) fn read() -> Self {
        Self {
            resident_bytes: resident_bytes(),
            // One of them is the listing itself.
            open_files: std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count().saturating_sub(1) as u64),
            files_max: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
            cpu_seconds: getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
                let seconds = |time: nix::sys::time::TimeVal| {
                    let micros = u32::try_from(time.tv_usec()).unwrap_or_default();
                    let whole = u32::try_from(time.tv_sec()).unwrap_or(u32::MAX);
                    f64::from(whole) + f64::from(micros) / 1e6
                };
                seconds(usage.user_time()) + seconds(usage.system_time())
            }),
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_some_memory_files_and_time() {
        let found = ProcessUse::read();
        assert!(found.resident_bytes.unwrap() > 1 << 20);
        assert!((3..10_000).contains(&found.open_files.unwrap()));
        assert!(found.open_files < found.files_max);
        assert!(found.cpu_seconds.unwrap() >= 0.0);
    }
}
