//! What the hosts count, and how they tell it: a line of JSON five times a second.
//!
//! **Counts only grow**, so that the difference of two reports is what happened between them, and a
//! report that was missed is no loss.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{Add, Sub};

/// What came of the requests of one address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Sent.
    pub(crate) sent: u64,
    /// Answered by site A.
    pub(crate) a: u64,
    /// Answered by site B.
    pub(crate) b: u64,
    /// Not answered in time.
    pub(crate) lost: u64,
    /// Answered more than once, or with another request's number.
    pub(crate) odd: u64,
}

impl Requests {
    /// Answered by either site.
    pub(crate) const fn answered(&self) -> u64 {
        self.a + self.b
    }

    /// Site A's share of the answers, in thousandths; none without answers.
    pub(crate) fn share_of_a(&self) -> Option<u64> {
        let answered = self.answered();
        (answered > 0).then(|| (1000 * self.a + answered / 2) / answered)
    }
}

impl Sub for Requests {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            a: self.a - earlier.a,
            b: self.b - earlier.b,
            lost: self.lost - earlier.lost,
            odd: self.odd - earlier.odd,
        }
    }
}

impl Add for Requests {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            a: self.a + other.a,
            b: self.b + other.b,
            lost: self.lost + other.lost,
            odd: self.odd + other.odd,
        }
    }
}

/// What kind of life a TCP session leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Speaks all the time, ends soon.
    Busy,
    /// Pauses between words, ends soon.
    Pausing,
    /// Never ends.
    Endless,
}

/// The TCP sessions of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sessions {
    /// Begun, broken ones included.
    pub(crate) begun: u64,
    /// Came to their end, every word of theirs answered.
    pub(crate) ended: u64,
    /// Broken.
    pub(crate) broken: u64,
    /// At site A now.
    pub(crate) at_a: u64,
    /// At site B now.
    pub(crate) at_b: u64,
}

/// A session that broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broken {
    /// Its kind.
    pub(crate) kind: Kind,
    /// 4 or 6.
    pub(crate) family: u8,
    /// The site that answered it; none if none ever did.
    pub(crate) site: Option<char>,
    /// Since the client's start, in milliseconds.
    pub(crate) at_ms: u64,
    /// How old it was, in milliseconds.
    pub(crate) age_ms: u64,
    /// What the client saw.
    pub(crate) why: String,
}

/// A line of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Since the client's start, in milliseconds.
    pub(crate) at_ms: u64,
    /// Requests over IPv4.
    pub(crate) v4: Requests,
    /// Requests over IPv6.
    pub(crate) v6: Requests,
    /// Requests that this machine could not send, and why.
    pub(crate) unsent: u64,
    /// The reason for the last of these.
    pub(crate) unsent_why: Option<String>,
    /// TCP sessions by kind.
    pub(crate) sessions: BTreeMap<Kind, Sessions>,
    /// Sessions that broke since the last line.
    pub(crate) broken: Vec<Broken>,
}

impl Report {
    /// Requests of both families.
    pub(crate) fn requests(&self) -> Requests {
        self.v4 + self.v6
    }

    /// Sessions of a kind.
    pub(crate) fn of(&self, kind: Kind) -> Sessions {
        self.sessions.get(&kind).copied().unwrap_or_default()
    }
}

/// A line of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    /// Its site.
    pub(crate) site: char,
    /// Requests that arrived over IPv4.
    pub(crate) v4: u64,
    /// Requests that arrived over IPv6.
    pub(crate) v6: u64,
    /// TCP sessions that began.
    pub(crate) sessions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_answers_not_of_what_was_sent() {
        let requests = Requests { sent: 1000, a: 100, b: 300, lost: 600, odd: 0 };
        assert_eq!(requests.share_of_a(), Some(250));
        assert_eq!(Requests { sent: 5, lost: 5, ..Requests::default() }.share_of_a(), None);
    }

    #[test]
    fn the_difference_of_two_reports_is_what_happened_between_them() {
        let early = Requests { sent: 10, a: 4, b: 4, lost: 1, odd: 0 };
        let more = Requests { sent: 5, a: 1, b: 4, lost: 1, odd: 2 };
        assert_eq!((early + more) - early, more);
    }

    #[test]
    fn a_report_survives_its_way_as_a_line() {
        let broken = Broken {
            kind: Kind::Endless,
            family: 6,
            site: Some('A'),
            at_ms: 7,
            age_ms: 5,
            why: "no answer".to_owned(),
        };
        let sessions = BTreeMap::from([(Kind::Busy, Sessions { begun: 3, ..Default::default() })]);
        let report = Report { broken: vec![broken], sessions, ..Report::default() };
        let line = serde_json::to_string(&report).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
    }
}
