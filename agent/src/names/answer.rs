//! From a DNS question to its answer (RFC 1034, 1035, 2308, 6891), for the names of one network and without recursion.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use protocol::api::NodeName;
use std::net::IpAddr;

use super::records::{Found, Records};

/// How long an answer may be kept, in seconds, also that there is none. It comes from this machine, so asking again costs
/// nothing, and a node that was renamed is known by its new name as soon as the map says so.
const TTL_S: u32 = 5;

/// What a secondary server would be told; there are none. Seconds, in the order of RFC 1035 §3.3.13.
const REFRESH_S: i32 = 3_600;
const RETRY_S: i32 = 600;
const EXPIRE_S: i32 = 86_400;

/// The longest answer in bytes: what every resolver takes without EDNS (RFC 1035 §4.2.1). None of ours is longer, so nothing is
/// ever cut off: the longest question has 271 bytes with its header, and four addresses or one SOA follow.
pub(super) const ANSWER_BYTES_MAX: usize = 512;

/// Bytes of a message's header (RFC 1035 §4.1.1).
const HEADER_BYTES: usize = 12;

/// The bit of the third byte that tells a response from a question.
const RESPONSE_BIT: u8 = 0x80;

/// The answer to a message; `None` where it deserves none.
pub(super) fn answer(records: &Records, message: &[u8]) -> Option<Vec<u8>> {
    // A response that was answered could be answered in turn, for ever.
    let is_question = message.len() >= HEADER_BYTES && message[2] & RESPONSE_BIT == 0;
    if !is_question {
        return None;
    }
    let response = match Message::from_vec(message) {
        Ok(question) => respond(records, &question),
        Err(_) => refuse_unread(message),
    };
    // Names of a map are labels of at most 63 bytes: what cannot be written is not told.
    response.to_vec().ok().filter(|bytes| bytes.len() <= ANSWER_BYTES_MAX)
}

/// The answer to what cannot be read.
fn refuse_unread(message: &[u8]) -> Message {
    let id = u16::from_be_bytes([message[0], message[1]]);
    let op_code = OpCode::from_u8((message[2] >> 3) & 0xf);
    Message::error_msg(id, op_code, ResponseCode::FormErr)
}

fn respond(records: &Records, question: &Message) -> Message {
    let mut response = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    response.metadata.recursion_desired = question.metadata.recursion_desired;
    if let Some(edns) = &question.edns {
        let mut own = Edns::new();
        own.set_max_payload(ANSWER_BYTES_MAX as u16);
        response.set_edns(own);
        if edns.version() > 0 {
            return with_code(response, ResponseCode::BADVERS);
        }
    }
    if question.metadata.op_code != OpCode::Query {
        return with_code(response, ResponseCode::NotImp);
    }
    let [query] = question.queries.as_slice() else {
        return with_code(response, ResponseCode::FormErr);
    };
    response.add_query(query.clone());
    let is_ours = query.query_class == DNSClass::IN && !is_transfer(query.query_type);
    let name = query.name.to_lowercase();
    let labels: Vec<&[u8]> = name.iter().collect();
    let Some((found, zone_labels)) = records.find(&labels).filter(|_| is_ours) else {
        return with_code(response, ResponseCode::Refused);
    };
    response.metadata.authoritative = true;
    let zone = name.trim_to(zone_labels);
    let is_missing = found == Found::Missing;
    let is_apex = labels.len() == zone_labels;
    response.add_answers(answers(records, query, &found));
    if let Some(soa) = soa(records, zone) {
        if is_apex && matches!(query.query_type, RecordType::SOA | RecordType::ANY) {
            response.add_answer(soa);
        } else if response.answers.is_empty() {
            // How long it may be kept that there is nothing (RFC 2308 §3).
            response.add_authority(soa);
        }
    }
    with_code(response, if is_missing { ResponseCode::NXDomain } else { ResponseCode::NoError })
}

const fn with_code(mut response: Message, code: ResponseCode) -> Message {
    response.metadata.response_code = code;
    response
}

/// Whole zones are told to nobody.
const fn is_transfer(kind: RecordType) -> bool {
    matches!(kind, RecordType::AXFR | RecordType::IXFR)
}

/// The records of the kind asked for.
fn answers(records: &Records, query: &Query, found: &Found<'_>) -> Vec<Record> {
    let data: Vec<RData> = match found {
        Found::Node(addresses) => addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(address) => RData::A(A(*address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
            })
            .collect(),
        Found::Address(node) => {
            let name = name_of(records, node);
            name.map(|name| RData::PTR(PTR(name))).into_iter().collect()
        }
        Found::Empty | Found::Missing => Vec::new(),
    };
    let is_asked =
        |data: &RData| query.query_type == RecordType::ANY || query.query_type == data.record_type();
    data.into_iter()
        .filter(is_asked)
        .map(|data| Record::from_rdata(query.name.clone(), TTL_S, data))
        .collect()
}

/// A node's whole name.
fn name_of(records: &Records, node: &NodeName) -> Option<Name> {
    let labels = std::iter::once(node.as_str()).chain(records.zone().labels());
    Name::from_labels(labels.map(str::as_bytes)).ok()
}

fn soa(records: &Records, zone: Name) -> Option<Record> {
    let server = name_of(records, records.own())?;
    // Nobody reads mail here: the zone is in this machine alone (RFC 2606 §2).
    let person = Name::from_labels([b"nobody".as_slice(), b"invalid"]).ok()?;
    let soa = SOA::new(server, person, 1, REFRESH_S, RETRY_S, EXPIRE_S, TTL_S);
    Some(Record::from_rdata(zone, TTL_S, RData::SOA(soa)))
}

#[cfg(test)]
mod tests;
