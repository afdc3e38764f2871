//! Each map stream and each request in flight is an open file: how many the process may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Below this many open files a network of a few thousand nodes does not fit.
const FILES_WANTED: u64 = 4096;

/// Raises the soft limit of open files to the hard one. The usual soft limit of 1,024 is for programs that use
/// `select`, which cannot watch more; this one does not.
pub(super) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok((soft, hard))
    });
    match raised {
        Ok((soft, hard)) => {
            tracing::debug!(soft, hard, "the process may open as many files as the hard limit says");
            if hard < FILES_WANTED {
                tracing::warn!(
                    limit = hard,
                    "the process may open few files, one for each node that is online; set LimitNOFILE=65536 in its unit, or `ulimit -Hn`"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Each test is a process of its own under nextest; elsewhere the others open few files.
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(512), hard).unwrap();
        raise();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
