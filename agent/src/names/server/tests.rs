//! Real sockets on loopback, where one address stands for the node's and another one for a stranger's.

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};

use super::super::records::tests::office;
use super::*;

const OWN: &str = "127.0.0.1";
const STRANGER: &str = "127.0.0.2";

fn question() -> Vec<u8> {
    let mut message = Message::query();
    let name = Name::from_ascii("nas.office.warren.internal.").unwrap();
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().unwrap()
}

/// A server on a port that was free a moment ago over both protocols.
fn server() -> (Server, SocketAddr) {
    let own: IpAddr = OWN.parse().unwrap();
    for _ in 0..20 {
        let port = std::net::UdpSocket::bind((own, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Server::new(&[own], port);
        server.open();
        if server.trouble().is_none() {
            server.set_records(Arc::new(office()));
            return (server, SocketAddr::new(own, port));
        }
    }
    panic!("no port is free over UDP and TCP");
}

async fn ask_udp(from: &str, to: SocketAddr) -> Option<Message> {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    socket.send_to(&question(), to).await.unwrap();
    let mut buffer = [0; 600];
    let (length, _) = timeout(Duration::from_millis(500), socket.recv_from(&mut buffer)).await.ok()?.unwrap();
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

#[tokio::test]
async fn a_question_over_udp_is_answered_to_this_machine_alone() {
    let (_server, address) = server();
    assert_eq!(ask_udp(OWN, address).await.unwrap().answers.len(), 1);
    assert_eq!(ask_udp(STRANGER, address).await, None);
}

#[tokio::test]
async fn several_questions_over_one_tcp_connection_are_answered() {
    let (_server, address) = server();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        let question = question();
        stream.write_u16(question.len() as u16).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let length = usize::from(stream.read_u16().await.unwrap());
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(Message::from_vec(&bytes).unwrap().answers.len(), 1);
    }
}

#[tokio::test]
async fn a_stranger_and_a_question_that_is_too_long_lose_their_connection() {
    let (_server, address) = server();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(STRANGER.parse().unwrap(), 0)).unwrap();
    let mut stranger = socket.connect(address).await.unwrap();
    let mut long = TcpStream::connect(address).await.unwrap();
    long.write_u16(u16::MAX).await.unwrap();
    for stream in [&mut stranger, &mut long] {
        let mut byte = [0];
        // Closed in order, or reset.
        assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn a_port_that_another_program_has_is_named_and_taken_once_it_is_free() {
    let taken = std::net::UdpSocket::bind((OWN, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let mut server = Server::new(&[address.ip()], address.port());
    server.open();
    let why = format!("port {} of {OWN} is taken by another program", address.port());
    assert_eq!((server.trouble(), server.resolvers()), (Some(why), Vec::new()));
    drop(taken);
    server.open();
    assert_eq!((server.trouble(), server.resolvers()), (None, vec![address]), "it is free now");
}
