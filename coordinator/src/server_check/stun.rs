//! Whether a STUN server answers a binding request (RFC 8489).

use std::net::SocketAddr;
use std::time::Duration;

use protocol::stun;

use super::Question;
use crate::Entropy;
use crate::service::resources::servers::CheckResult;

pub(super) async fn ask(
    entropy: &Entropy,
    address: SocketAddr,
) -> std::io::Result<(CheckResult, Option<Duration>)> {
    let mut transaction = [0; stun::TRANSACTION_LEN];
    transaction.copy_from_slice(&entropy.secret()[..stun::TRANSACTION_LEN]);
    let is_answer = |answer: &[u8]| stun::decode_response(answer).is_ok_and(|(of, _)| of == transaction);
    let question = Question::open(address).await?;
    let answered =
        question.ask(&stun::encode_request(transaction), |answer| is_answer(answer).then_some(())).await?;
    Ok(answered.map_or((CheckResult::Silent, None), |((), rtt)| (CheckResult::Serves, rtt)))
}
