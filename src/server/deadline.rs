//! When an answer is due: the `?timeout=` an API server appends to the webhook's address.

use std::time::Duration;

use tokio::time::Instant;

/// What an API server waits when the webhook's configuration names no `timeoutSeconds`.
const DEFAULT: Duration = Duration::from_secs(10);
/// The largest `timeoutSeconds` an API server accepts.
const LONGEST: Duration = Duration::from_secs(30);

/// The two ends of a request's time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Deadline {
    /// When the answer must be ready: what the caller waits, less a margin for the way back.
    pub(super) answer: Instant,
    /// When we give up on an answer that is late, still within what the caller waits.
    pub(super) give_up: Instant,
}

impl Deadline {
    /// The deadline of a request with this query that began at `start`. A `timeout` that is
    /// missing, unreadable or not above zero counts as the API server's default of 10 s, since
    /// refusing the review for it would help nobody; one over 30 s counts as 30 s.
    pub(super) fn from_query(query: Option<&str>, start: Instant) -> Self {
        let timeout = query
            .and_then(timeout_parameter)
            .and_then(go_duration)
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(DEFAULT)
            .min(LONGEST);
        let margin = (timeout / 10).min(Duration::from_millis(200));
        Deadline {
            answer: start + timeout.saturating_sub(margin),
            give_up: start + timeout.saturating_sub(margin / 2),
        }
    }
}

fn timeout_parameter(query: &str) -> Option<&str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("timeout="))
}

/// A duration as Go's `time.Duration` prints and parses it (`10s`, `1m30s`, `1.5s`, `500ms`),
/// without a sign.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        total += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "\u{b5}s" | "\u{3bc}s" | "%C2%B5s" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = after;
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_within(query: Option<&str>) -> Duration {
        let start = Instant::now();
        Deadline::from_query(query, start).answer - start
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(go_duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(go_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(go_duration("0"), Some(Duration::ZERO));
        for bad in [
            "", "10", "s", "-1s", "+1s", "1d", "1..s", "1s2", "1e9s", "\u{661}s",
        ] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_margin_is_a_tenth_and_at_most_200_ms() {
        assert_eq!(
            answer_within(Some("timeout=1s")),
            Duration::from_millis(900)
        );
        assert_eq!(
            answer_within(Some("timeout=3s")),
            Duration::from_millis(2800)
        );
    }

    #[test]
    fn a_missing_or_unreadable_timeout_counts_as_the_api_servers_default() {
        let expected = Duration::from_millis(9800);
        for query in [
            None,
            Some(""),
            Some("timeout=x"),
            Some("timeout=0s"),
            Some("xtimeout=1s"),
        ] {
            assert_eq!(answer_within(query), expected, "{query:?}");
        }
        assert_eq!(
            answer_within(Some("a=b&timeout=99m")),
            Duration::from_millis(29_800)
        );
    }

    #[test]
    fn giving_up_comes_after_the_answer_is_due_and_before_the_caller_leaves() {
        let start = Instant::now();
        let deadline = Deadline::from_query(Some("timeout=2s"), start);
        assert!(deadline.answer < deadline.give_up);
        assert!(deadline.give_up < start + Duration::from_secs(2));
    }
}
