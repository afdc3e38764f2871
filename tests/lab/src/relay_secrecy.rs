//! What the relay forwards, nobody at the relay can read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::capture::{Capture, marker};
use crate::error::{LabError, Trying};
use crate::mesh::{Mesh, folder, one_by_one};
use crate::opening::{Expected, PATIENCE, watch};
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// The port of the marker's receiver inside the mesh.
const PORT: u16 = 40_000;
/// How often each marker is sent.
const COPIES: usize = 20;

/// The group `relay/…`.
pub(crate) fn group() -> Group {
    let about = "a marker sent through the relay reaches the peer and is never seen in clear at the relay";
    Group {
        members: vec![("relay/marker-never-in-clear".to_owned(), about.to_owned())],
        run: |context, wanted| {
            Ok(one_by_one(context, wanted, |name, outcome| scenario(context, name, outcome)))
        },
    }
}

fn scenario(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology = Topology::default().site("one", "symmetric", &["ada"]).site("two", "symmetric", &["ben"]);
    let mut mesh = Mesh::start(context, &folder(name), topology, &["ada", "ben"])?;
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    watch(ada, ben, Instant::now(), Expected::Relay)?;
    let (secret, control) = (marker()?, marker()?);
    let capture = Capture::start(&mesh.coordinator.namespace, vec![secret.clone(), control.clone()])?;
    let arrived = send_through_mesh(&mesh, &secret)?;
    let outside = SocketAddr::from((mesh.coordinator.addresses[0], 9));
    ada.namespace.within(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).trying("open a UDP socket")?;
        for _ in 0..COPIES {
            // Nobody listens there, so the kernel may report a refusal of an earlier copy.
            let _ = socket.send_to(&control, outside);
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(200));
    let heard = capture.finish()?;
    let after = Expected::Relay.complaint(&mesh.node("ada")?.status()?.path_to("ben"));
    mesh.must_run()?;
    let [in_clear, controls] = heard.hits[..] else {
        return Err(LabError::Unmet("the capture lost count".to_owned()));
    };
    let least = u64::try_from(COPIES).unwrap_or(u64::MAX);
    let verdict = if let Some(complaint) = after {
        Err(format!("the markers may not have gone through the relay: {complaint}"))
    } else if controls == 0 {
        Err("the capture proves nothing: it missed the marker that was sent outside of the mesh".to_owned())
    } else if heard.packets < least + controls {
        Err(format!("only {} packets passed the relay's host: the markers went another way", heard.packets))
    } else if in_clear > 0 {
        Err(format!("the marker was seen in clear at the relay in {in_clear} packets"))
    } else {
        Ok(String::new())
    };
    let figures =
        [("markers_arrived", arrived), ("packets_at_relay", heard.packets), ("controls_seen", controls)];
    #[expect(clippy::cast_precision_loss, reason = "counts of a test of seconds")]
    let outcome =
        figures.into_iter().fold(outcome, |outcome, (name, count)| outcome.figure(name, count as f64));
    Ok(outcome.judged(verdict))
}

/// Sends the marker from one node's mesh address to the other's by UDP; gives how many copies arrived.
fn send_through_mesh(mesh: &Mesh, secret: &[u8]) -> Result<u64, LabError> {
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    let (from, to): (IpAddr, IpAddr) = (ada.mesh_address(false)?, ben.mesh_address(false)?);
    let receiver = ben.namespace.within(|| UdpSocket::bind((to, PORT)).trying("listen on a mesh address"))?;
    receiver.set_read_timeout(Some(Duration::from_millis(100))).trying("set a time limit")?;
    let sender =
        ada.namespace.within(|| UdpSocket::bind((from, 0)).trying("open a UDP socket on a mesh address"))?;
    for _ in 0..COPIES {
        sender.send_to(secret, (to, PORT)).trying("send through the mesh")?;
        std::thread::sleep(Duration::from_millis(2));
    }
    let (mut arrived, mut bytes, start) = (0_u64, [0_u8; 64], Instant::now());
    while start.elapsed() < PATIENCE {
        match receiver.recv(&mut bytes) {
            Ok(length) => arrived += u64::from(bytes[..length] == *secret),
            Err(_) if arrived > 0 => return Ok(arrived),
            Err(_) => {}
        }
        if arrived == u64::try_from(COPIES).unwrap_or(u64::MAX) {
            return Ok(arrived);
        }
    }
    Err(LabError::Unmet("no copy of the marker arrived through the mesh".to_owned()))
}
