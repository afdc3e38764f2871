//! Checks of the machine before anything is built: each missing thing is one sentence with its cure.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::LabError;

/// Programs the lab cannot do without, and the Debian package of each.
const TOOLS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ping", "iputils-ping"),
    ("unshare", "util-linux"),
    ("tayga", "tayga"),
];

/// Checks tools, the TUN device and, for a caller who is not root, user namespaces.
///
/// # Errors
/// The first thing that is missing ([`LabError::Unusable`]) or forbidden ([`LabError::Forbidden`]).
pub fn check() -> Result<(), LabError> {
    for (tool, package) in TOOLS {
        require_tool(tool, package)?;
    }
    check_tun(Path::new("/dev/net/tun"))?;
    if !nix::unistd::geteuid().is_root() {
        check_user_namespaces()?;
    }
    Ok(())
}

/// Fails unless the program is on the search path.
///
/// # Errors
/// [`LabError::Unusable`] that names the program and its package.
pub fn require_tool(tool: &str, package: &str) -> Result<(), LabError> {
    match find_tool(tool, &std::env::var("PATH").unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err(LabError::Unusable(format!(
            "the program `{tool}` is missing: install it with `apt-get install --no-install-recommends {package}`"
        ))),
    }
}

/// Looks in the search path and then in the folders that Debian keeps out of a user's path.
fn find_tool(tool: &str, search_path: &str) -> Option<PathBuf> {
    search_path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(tool))
        .find(|path| path.is_file())
}

fn check_tun(path: &Path) -> Result<(), LabError> {
    let Err(error) = OpenOptions::new().read(true).write(true).open(path) else { return Ok(()) };
    let shown = path.display();
    let kind = error.kind();
    Err(if kind == ErrorKind::NotFound {
        LabError::Unusable(format!(
            "{shown} is missing: create it with `mkdir -p /dev/net && mknod {shown} c 10 200 && chmod 666 {shown}`, \
             or load the module with `modprobe tun`"
        ))
    } else if kind == ErrorKind::PermissionDenied {
        LabError::Forbidden(format!(
            "{shown} cannot be opened for reading and writing: run `chmod 666 {shown}` as root, or run the lab as root"
        ))
    } else {
        LabError::Unusable(format!(
            "{shown} cannot be opened ({error}): the kernel has no TUN driver, load it with `modprobe tun` as root"
        ))
    })
}

fn check_user_namespaces() -> Result<(), LabError> {
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(LabError::Forbidden(
        "unprivileged user namespaces are forbidden here: run the lab as root, or allow them as root with \
         `sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0` \
         (whichever of the two exists) and `sysctl -w user.max_user_namespaces=10000`"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{LabError, check_tun, find_tool, require_tool};
    use std::path::Path;

    #[test]
    fn a_missing_program_is_named_together_with_its_package() {
        let error = require_tool("no-such-program", "some-package").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("`no-such-program` is missing"), "{error}");
        assert!(error.to_string().contains("some-package"), "{error}");
    }

    #[test]
    fn programs_are_also_found_where_debian_hides_them_from_users() {
        assert!(find_tool("ip", "").is_some());
    }

    #[test]
    fn a_missing_tun_device_comes_with_its_cure() {
        let error = check_tun(Path::new("/no/such/device")).unwrap_err();
        assert!(matches!(error, LabError::Unusable(_)));
        assert!(error.to_string().contains("mknod /no/such/device c 10 200"), "{error}");
    }

    #[test]
    fn a_device_that_cannot_be_opened_is_not_called_missing() {
        let error = check_tun(Path::new("/proc/self")).unwrap_err();
        assert!(error.to_string().contains("cannot be opened"), "{error}");
    }
}
