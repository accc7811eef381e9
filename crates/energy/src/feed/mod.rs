//! Feeds: from the bytes of a source to a [`Reading`](crate::Reading).
//!
//! Each feed is sans-IO: it says what to send and is given what came back. Polling, connecting and time limits are
//! the shell's business; whether the numbers are to be believed is `plausibility`'s.
//!
//! **A feed yields a whole reading or an error that names its cause and remedy, never a guess.**

pub mod file;
pub mod nut;
mod rfc3339;

use std::time::Duration;

use thiserror::Error;

use crate::reading::NumberError;
use crate::state::one_line;

/// Why a feed gave no reading.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FeedError {
    /// The source cannot be reached. Made by the shell.
    #[error("cannot reach {what}: {cause}; check that it runs and that the address is right")]
    Unreachable {
        /// The source: an address or a path.
        what: String,
        /// What the system says.
        cause: String,
    },
    /// The source did not answer. Made by the shell.
    #[error("no answer from {what} within {limit:?}; check that it runs and is not overloaded")]
    NoAnswer {
        /// The source.
        what: String,
        /// How long the shell waited.
        limit: Duration,
    },
    /// The connection ended in the middle of an answer.
    #[error("upsd closed the connection in the middle of an answer; see its log")]
    Closed,
    /// A poll before the answer to the last one.
    #[error(
        "the answer to the last poll has not come yet; the feed's interval is shorter than upsd's answer takes"
    )]
    AnswerPending,
    /// NUT: ERR DATA-STALE.
    #[error(
        "upsd has no fresh data of UPS \"{0}\" (DATA-STALE): the driver runs but cannot hear the \
         device; check the cable and the driver's log"
    )]
    DataStale(String),
    /// NUT: ERR DRIVER-NOT-CONNECTED.
    #[error(
        "upsd has lost the driver of UPS \"{0}\" (DRIVER-NOT-CONNECTED): start it with \
         `upsdrvctl start {0}` and see its log"
    )]
    DriverNotConnected(String),
    /// NUT: ERR UNKNOWN-UPS.
    #[error("upsd knows no UPS \"{0}\" (UNKNOWN-UPS): `upsc -l` lists the names it knows")]
    UnknownUps(String),
    /// NUT: ERR ACCESS-DENIED and its kin.
    #[error(
        "upsd refuses access ({0}): check the user name and password against upsd.users, and upsd's ACLs"
    )]
    AccessDenied(String),
    /// NUT: ERR VAR-NOT-SUPPORTED, or a variable that is not in the list.
    #[error(
        "UPS \"{ups}\" reports no {name}: without it the feed is of no use; `upsc {ups}` shows what it reports"
    )]
    NoVariable {
        /// The UPS.
        ups: String,
        /// The variable.
        name: &'static str,
    },
    /// NUT: any other ERR.
    #[error("upsd answers \"ERR {0}\"; RFC 9271 section 5 says what it means")]
    Refused(String),
    /// NUT: something that is not an answer to what was asked.
    #[error(
        "upsd's answer is not NUT protocol: \"{0}\"; is something else listening on that port?"
    )]
    NotNut(String),
    /// NUT: a line or an answer beyond the limits.
    #[error(
        "upsd's answer is longer than {0} bytes or lines, far more than a UPS has to say; is it upsd?"
    )]
    TooLong(usize),
    /// The file is larger than any reading.
    #[error("the file has {0} bytes, more than {max}: it is not a reading", max = file::MAX_FILE_BYTES)]
    FileTooLarge(usize),
    /// The file is empty.
    #[error(
        "the file is empty: let its writer make a temporary file and rename it, so that no half is ever read"
    )]
    FileEmpty,
    /// The file is not JSON, or not an object.
    #[error("the file is not a JSON object ({0}); expected for example {example}", example = file::EXAMPLE)]
    NotJson(String),
    /// A key that must be there is not.
    #[error("the key \"{0}\" is missing; expected for example {example}", example = file::EXAMPLE)]
    NoKey(&'static str),
    /// A value of the wrong type.
    #[error("\"{key}\" is {found}, expected {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A number that makes no sense.
    #[error("\"{key}\" makes no sense: {cause}")]
    BadNumber {
        /// The key or variable.
        key: &'static str,
        /// What is wrong.
        cause: NumberError,
    },
}

impl FeedError {
    /// Whether the connection is out of step and must be closed before the next poll.
    pub const fn must_reconnect(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Closed
            | Self::AnswerPending
            | Self::AccessDenied(_)
            | Self::Refused(_)
            | Self::NotNut(_)
            | Self::TooLong(_) => true,
            Self::DataStale(_)
            | Self::DriverNotConnected(_)
            | Self::UnknownUps(_)
            | Self::NoVariable { .. }
            | Self::FileTooLarge(_)
            | Self::FileEmpty
            | Self::NotJson(_)
            | Self::NoKey(_)
            | Self::WrongType { .. }
            | Self::BadNumber { .. } => false,
        }
    }
}

/// Longest piece of a source's text that an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// A source's text, made fit for a log.
fn quoted(text: &str) -> String {
    one_line(text).chars().take(MAX_QUOTED_CHARS).collect()
}
