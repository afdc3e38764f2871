//! The stream against a coordinator of a few lines.

use protocol::api::{NetworkMap, OwnNode};
use protocol::map_signature::MapSigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;
use crate::state::Token;

#[test]
fn pauses_double_up_to_a_bound_and_are_jittered_from_zero() {
    let mut back_off = BackOff::default();
    let bounds: Vec<u64> = (0..9).map(|_| back_off.next(None, 1.0).as_secs()).collect();
    assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(back_off.next(None, 0.0), Duration::ZERO);
    back_off.reset();
    assert_eq!(back_off.next(None, 1.0), PAUSE_FIRST);
}

#[test]
fn retry_after_is_the_least_pause() {
    let asked = Duration::from_secs(7);
    assert_eq!(BackOff::default().next(Some(asked), 0.0), asked);
}

const NODE: Uuid = Uuid::from_u128(1);

/// A node whose coordinator has never signed anything.
fn verifier(revision: Option<u64>) -> Verifier {
    Verifier::new(NODE, None, revision)
}

/// A stream in a pause, and the node's end of its wishes.
fn pausing() -> (MapStream, mpsc::Sender<StreamWish>) {
    let client = CoordinatorClient::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let (wishes, wishes_receiver) = mpsc::channel(4);
    (MapStream::new(client, Some(5), verifier(Some(5)), wishes_receiver, mpsc::channel(1).0), wishes)
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_reconnect_ends_a_pause_of_our_own_at_once() {
    let (mut stream, wishes) = pausing();
    let start = Instant::now();
    wishes.send(StreamWish::Reconnect).await.unwrap();
    assert_eq!(stream.wait(start + PAUSE_MAX, false).await, PauseEnd::Wished);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_coordinator_asked_for_ends_at_its_deadline_whatever_is_wished() {
    let (mut stream, wishes) = pausing();
    let start = Instant::now();
    let wish = async {
        for wish in [StreamWish::Reconnect, StreamWish::Snapshot, StreamWish::Reconnect] {
            tokio::time::sleep(Duration::from_secs(15)).await;
            wishes.send(wish).await.unwrap();
        }
    };
    let (end, ()) = tokio::join!(stream.wait(start + PAUSE_MAX, true), wish);
    assert_eq!((end, start.elapsed().as_secs()), (PauseEnd::Over, PAUSE_MAX.as_secs()));
    assert_eq!(stream.revision, None, "the wish for a snapshot is not forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_wish_for_a_snapshot_shortens_no_pause() {
    let (mut stream, wishes) = pausing();
    let start = Instant::now();
    wishes.send(StreamWish::Snapshot).await.unwrap();
    assert_eq!(stream.wait(start + PAUSE_MAX, false).await, PauseEnd::Over);
    assert_eq!((start.elapsed().as_secs(), stream.revision), (PAUSE_MAX.as_secs(), None));
}

fn snapshot(revision: u64) -> MapEvent {
    let own = OwnNode {
        id: NODE,
        name: "a".parse().unwrap(),
        network: "n".into(),
        zone: None,
        addresses: Vec::new(),
        relay: None,
        standing: protocol::api::Standing::Admitted,
        access: None,
        routes: Vec::new(),
    };
    MapEvent::Snapshot(NetworkMap {
        revision,
        own,
        peers: Vec::new(),
        relays: Vec::new(),
        stun_servers: Vec::new(),
    })
}

fn event(event: &MapEvent) -> String {
    format!(": hello\nevent: {}\nid: {}\ndata: {}\n\n", event.name(), event.revision(), event.data())
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{body}")
}

struct Fixture {
    listener: TcpListener,
    news: mpsc::Receiver<StreamNews>,
    wishes: mpsc::Sender<StreamWish>,
}

impl Fixture {
    async fn start(revision: Option<u64>) -> Self {
        Self::start_with(verifier(revision)).await
    }

    async fn start_with(verifier: Verifier) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let token = Token::from_bytes(b"token").unwrap();
        let client = CoordinatorClient::new(url.parse().unwrap(), Some(token)).unwrap();
        let (news_sender, news) = mpsc::channel(2);
        let (wishes, wishes_receiver) = mpsc::channel(4);
        tokio::spawn(MapStream::new(client, verifier.newest(), verifier, wishes_receiver, news_sender).run());
        Self { listener, news, wishes }
    }

    /// Takes the next connection, answers it, and gives the request's head in lower case; the connection stays open
    /// as long as the stream that is returned.
    async fn answer(&self, answer: &str) -> (String, tokio::net::TcpStream) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        (String::from_utf8(head).unwrap().to_lowercase(), stream)
    }

    async fn expect_event(&mut self, expected: &MapEvent) {
        assert!(matches!(self.news.recv().await, Some(StreamNews::Connected(Some(_)))));
        match self.news.recv().await {
            Some(StreamNews::Event(event)) => assert_eq!(*event, *expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_goes_on_after_the_last_event() {
    let mut fixture = Fixture::start(None).await;
    let (head, stream) = fixture.answer(&ok(&event(&snapshot(7)))).await;
    assert!(head.contains("authorization: bearer token") && !head.contains("last-event-id"), "{head}");
    fixture.expect_event(&snapshot(7)).await;
    drop(stream);
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Lost(_))));
    let (head, _stream) = fixture.answer(&ok(&event(&snapshot(9)))).await;
    assert!(head.contains("last-event-id: 7\r\n"), "{head}");
    fixture.expect_event(&snapshot(9)).await;
}

#[tokio::test]
async fn a_stream_begins_after_the_saved_map_and_anew_after_an_unreadable_event() {
    let mut fixture = Fixture::start(Some(5)).await;
    let (head, _stream) = fixture.answer(&ok("event: delta\nid: 6\ndata: {\"half\"\n\n")).await;
    assert!(head.contains("last-event-id: 5\r\n"), "{head}");
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Connected(Some(_)))));
    match fixture.news.recv().await {
        Some(StreamNews::Lost(why)) => assert!(why.contains("not as agreed"), "{why}"),
        other => panic!("{other:?}"),
    }
    let (head, _stream) = fixture.answer(&ok("")).await;
    assert!(!head.contains("last-event-id"), "{head}");
}

#[tokio::test]
async fn a_wish_for_a_snapshot_ends_the_stream_and_forgets_the_revision() {
    let mut fixture = Fixture::start(Some(5)).await;
    let (_, _stream) = fixture.answer(&ok(&event(&snapshot(6)))).await;
    fixture.expect_event(&snapshot(6)).await;
    fixture.wishes.send(StreamWish::Snapshot).await.unwrap();
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Lost(_))));
    let (head, _stream) = fixture.answer(&ok("")).await;
    assert!(!head.contains("last-event-id"), "{head}");
}

#[tokio::test]
async fn a_stream_without_a_byte_for_three_comment_lines_is_dead() {
    let mut fixture = Fixture::start(None).await;
    let (_, _stream) = fixture.answer(&ok(&event(&snapshot(7)))).await;
    fixture.expect_event(&snapshot(7)).await;
    // Only now: before, simulated time would jump over the real time that the connection takes.
    tokio::time::pause();
    let start = Instant::now();
    match fixture.news.recv().await {
        Some(StreamNews::Lost(why)) => assert!(why.contains("fell silent"), "{why}"),
        other => panic!("{other:?}"),
    }
    // The silence began a moment before or after the clock stood still, and timers round up to a millisecond.
    let silence = start.elapsed();
    let second = Duration::from_secs(1);
    assert!(silence < SILENCE_MAX + second && silence > SILENCE_MAX / 2, "{silence:?}");
}

#[tokio::test]
async fn a_deleted_node_asks_no_more() {
    let mut fixture = Fixture::start(None).await;
    let problem = r#"{"type":"x","title":"gone","status":410,"code":"node-deleted"}"#;
    let length = problem.len();
    let answer = format!("HTTP/1.1 410 Gone\r\nContent-Length: {length}\r\n\r\n{problem}");
    let (_, _stream) = fixture.answer(&answer).await;
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Deleted(_))));
    assert!(fixture.news.recv().await.is_none(), "the stream's task has ended");
}

/// An event as a coordinator with the key of this byte sends it.
fn signed(key: u8, event: &MapEvent) -> String {
    let key = MapSigningKey::derive(&Zeroizing::new([key; 32]));
    let (name, revision, data) = (event.name(), event.revision(), event.data());
    let signature = key.sign(&event.place(NODE), &data);
    format!("event: {name}\nid: {revision}\nsignature: {signature}\ndata: {data}\n\n")
}

#[tokio::test]
async fn a_refused_event_is_told_and_not_used_and_the_next_stream_begins_with_a_whole_map() {
    let key = MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key();
    let mut fixture = Fixture::start_with(Verifier::new(NODE, Some(key), Some(5))).await;
    let (head, _stream) = fixture.answer(&ok(&signed(2, &snapshot(7)))).await;
    assert!(head.contains("last-event-id: 5\r\n"), "{head}");
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Connected(Some(_)))));
    match fixture.news.recv().await {
        Some(StreamNews::Refused(why)) => assert!(why.contains("signed by the key"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Lost(_))));
    let (head, _stream) = fixture.answer(&ok(&signed(1, &snapshot(8)))).await;
    assert!(!head.contains("last-event-id"), "{head}");
    fixture.expect_event(&snapshot(8)).await;
}

#[tokio::test]
async fn a_node_that_knew_no_key_tells_the_first_one_before_its_map() {
    let mut fixture = Fixture::start(None).await;
    let (_, _stream) = fixture.answer(&ok(&signed(1, &snapshot(7)))).await;
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Connected(Some(_)))));
    let first = MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key();
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::FirstKey(key)) if key == first));
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Event(event)) if *event == snapshot(7)));
}

#[tokio::test]
async fn data_that_names_another_revision_than_its_signature_is_refused() {
    let mut fixture = Fixture::start(None).await;
    let key = MapSigningKey::derive(&Zeroizing::new([1; 32]));
    let data = snapshot(8).data();
    let signature = key.sign(&snapshot(7).place(NODE), &data);
    let event = format!("event: snapshot\nid: 7\nsignature: {signature}\ndata: {data}\n\n");
    let (_, _stream) = fixture.answer(&ok(&event)).await;
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Connected(Some(_)))));
    assert!(matches!(fixture.news.recv().await, Some(StreamNews::Refused(_))));
}
