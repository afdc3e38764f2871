//! When a node may forget who it was, judged alike by the daemon and by the command line without one.

use protocol::api::ProblemCode;

use crate::coordinator_client::CallError;
use crate::failure::Failure;

/// What the coordinator's answer to "delete me" means: leave with this sentence, or stay for that reason.
///
/// # Errors
/// Where the node is still there and the user did not insist.
pub(crate) fn judge(outcome: Result<(), CallError>, force: bool) -> Result<String, Failure> {
    match outcome {
        Ok(()) => Ok("left the network; the coordinator has deleted this node".to_owned()),
        Err(error) if error.is_node_deleted() => {
            Ok("left the network; the coordinator had deleted this node before".to_owned())
        }
        Err(error) if force => Ok(format!(
            "left the network without the coordinator, where an administrator must delete the node ({error})"
        )),
        Err(
            error @ CallError::Refused {
                code: ProblemCode::Unauthenticated | ProblemCode::NodeDeleted, ..
            },
        ) => Err(error.into()),
        Err(error) => {
            let failure = Failure::from(error);
            let message = format!("{}, or leave without it by `warren leave --force`", failure.message);
            Err(Failure { message, ..failure })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    fn refused(code: ProblemCode) -> CallError {
        CallError::Refused { code, why: "no".into(), retry_after: None }
    }

    #[test]
    fn a_node_leaves_when_the_coordinator_agrees_or_does_not_know_it_any_more() {
        assert!(judge(Ok(()), false).is_ok());
        assert!(judge(Err(refused(ProblemCode::NodeDeleted)), false).is_ok());
    }

    #[test]
    fn an_unreachable_coordinator_keeps_the_node_unless_forced() {
        let gone = || CallError::TimedOut { url: "https://c.example".into() };
        let failure = judge(Err(gone()), false).unwrap_err();
        assert_eq!(failure.code, Code::TimedOut);
        assert!(failure.message.contains("--force"), "{failure}");
        assert!(judge(Err(gone()), true).is_ok());
        assert_eq!(judge(Err(refused(ProblemCode::Unauthenticated)), false).unwrap_err().code, Code::Refused);
    }
}
