//! Waiting: every wait of the lab is a poll that ends at a deadline on the monotonic clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::LabError;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something; gives it and the time that took.
///
/// # Errors
/// [`LabError::Unmet`] at the deadline, with the last error of the attempt if it had one.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, LabError>,
) -> Result<(T, Duration), LabError> {
    let start = Instant::now();
    loop {
        let last = attempt();
        match last {
            Ok(Some(value)) => return Ok((value, start.elapsed())),
            Ok(None) | Err(LabError::Unmet(_) | LabError::Command { .. }) if start.elapsed() < limit => {
                std::thread::sleep(PAUSE);
            }
            Ok(None) => {
                return Err(LabError::Unmet(format!(
                    "{what} did not happen within {} ms",
                    limit.as_millis()
                )));
            }
            Err(LabError::Unmet(why)) => return Err(LabError::Unmet(format!("{what}: {why}"))),
            Err(error) => return Err(error),
        }
    }
}

/// Does the same to every item, a few at a time; results are in the order of the items.
pub(crate) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    workers: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let queue: Mutex<Vec<(usize, T)>> = Mutex::new(items.into_iter().enumerate().rev().collect());
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = work(item);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::{side_by_side, wait_for};
    use crate::error::LabError;
    use std::time::Duration;

    #[test]
    fn results_keep_the_order_of_their_items() {
        assert_eq!(
            side_by_side((0..50).collect(), 4, |item: u32| item * 2),
            (0..50).map(|i| i * 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_wait_ends_with_what_was_missing() {
        let error = wait_for("the answer", Duration::ZERO, || Ok(None::<()>)).unwrap_err();
        assert_eq!(error.to_string(), "the answer did not happen within 0 ms");
        let unmet = || Err::<Option<()>, _>(LabError::Unmet("still dark".to_owned()));
        assert_eq!(
            wait_for("sunrise", Duration::ZERO, unmet).unwrap_err().to_string(),
            "sunrise: still dark"
        );
    }
}
