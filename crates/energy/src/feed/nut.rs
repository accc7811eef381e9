//! A client of Network UPS Tools' upsd (RFC 9271): the sans-IO half.
//!
//! One poll is one round trip: `LIST VAR` answers everything that the UPS reports, and what is not needed is
//! dropped as it passes. On a new connection the user name and password, where there are any, go ahead of it in the
//! same write.
//!
//! Not here: TCP, time limits, STARTTLS, and LOGIN: evpnd reads, it is not one of the hosts whose shutdown the UPS
//! waits for.
//!
//! **Whatever upsd sends, memory is bounded and the answer to one poll is never taken for the answer to another.**

use thiserror::Error;

use super::file::parse_number;
use super::{FeedError, quoted};
use crate::reading::{Alarm, NumberError, Permille, Quality, Reading, watts};

/// The longest line taken, in bytes. upsd's own buffers are half as long.
pub const MAX_LINE_BYTES: usize = 2048;
/// The longest answer taken, in lines. A talkative UPS has some 200 variables.
pub const MAX_ANSWER_LINES: usize = 4096;

/// What to ask, and as whom. The names are checked when it is made, so nothing in it can smuggle a command.
#[derive(Clone, PartialEq, Eq)]
pub struct NutTarget {
    ups: String,
    login: Option<(String, String)>,
}

/// A name that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NutTargetError {
    /// Not a name of a UPS.
    #[error(
        "\"{0}\" is not a UPS name: it is the section name in ups.conf (letters, digits, '-', '_', \
         '.'), without '@host'"
    )]
    BadUpsName(String),
    /// A user name or password that cannot be sent.
    #[error(
        "the NUT {0} is empty or has control characters: it cannot be sent in NUT's line protocol"
    )]
    BadLogin(&'static str),
}

impl NutTarget {
    /// A UPS as upsd names it, and a user name and password if upsd asks for one.
    ///
    /// # Errors
    /// If a name cannot be sent.
    pub fn new(ups: &str, login: Option<(String, String)>) -> Result<Self, NutTargetError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if ups.is_empty() || !ups.chars().all(allowed) {
            return Err(NutTargetError::BadUpsName(quoted(ups)));
        }
        if let Some((user, password)) = &login {
            for (what, text) in [("user name", user), ("password", password)] {
                if text.is_empty() || text.chars().any(char::is_control) {
                    return Err(NutTargetError::BadLogin(what));
                }
            }
        }
        Ok(Self { ups: ups.to_owned(), login })
    }

    /// The name of the UPS.
    pub fn ups(&self) -> &str {
        &self.ups
    }
}

impl std::fmt::Debug for NutTarget {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("NutTarget")
            .field("ups", &self.ups)
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

/// The variables that make a reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Variables {
    charge: Option<String>,
    status: Option<String>,
    real_power: Option<String>,
    load: Option<String>,
    nominal_power: Option<String>,
}

impl Variables {
    fn take(&mut self, name: &str, value: &str) {
        let slot = match name {
            "battery.charge" => &mut self.charge,
            "ups.status" => &mut self.status,
            "ups.realpower" => &mut self.real_power,
            "ups.load" => &mut self.load,
            "ups.realpower.nominal" => &mut self.nominal_power,
            _ => return,
        };
        *slot = Some(value.to_owned());
    }
}

/// Where the client is in the answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked.
    Idle,
    /// User name and password are to be acknowledged with so many OKs.
    Greeting { oks: u8 },
    /// `BEGIN LIST VAR` is to come.
    Asked,
    /// Inside the list.
    Listing { variables: Variables, lines: usize },
}

/// A connection to upsd, without the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NutClient {
    target: NutTarget,
    greeted: bool,
    phase: Phase,
    line: Vec<u8>,
}

impl NutClient {
    /// A client before its first connection.
    pub fn new(target: NutTarget) -> Self {
        Self { target, greeted: false, phase: Phase::Idle, line: Vec::new() }
    }

    /// A new connection is up: what was under way on the old one is forgotten.
    pub fn connected(&mut self) {
        self.greeted = false;
        self.phase = Phase::Idle;
        self.line.clear();
    }

    /// The connection ended. An error if an answer was under way.
    pub fn closed(&mut self) -> Option<FeedError> {
        let waiting = self.phase != Phase::Idle;
        self.connected();
        waiting.then_some(FeedError::Closed)
    }

    /// What to send to ask for one reading.
    ///
    /// # Errors
    /// If the answer to the last poll has not come: close the connection, or wait.
    pub fn poll(&mut self) -> Result<Vec<u8>, FeedError> {
        if self.phase != Phase::Idle {
            return Err(FeedError::AnswerPending);
        }
        let mut request = String::new();
        self.phase = Phase::Asked;
        if let Some((user, password)) = self.target.login.as_ref().filter(|_| !self.greeted) {
            request = format!("USERNAME {}\nPASSWORD {}\n", word(user), word(password));
            self.phase = Phase::Greeting { oks: 2 };
        }
        self.greeted = true;
        request.push_str("LIST VAR ");
        request.push_str(&self.target.ups);
        request.push('\n');
        Ok(request.into_bytes())
    }

    /// Takes what upsd sent, in pieces of any size. `None` while the answer goes on.
    ///
    /// After an error that says [`FeedError::must_reconnect`] the connection is to be closed.
    pub fn receive(&mut self, bytes: &[u8]) -> Option<Result<Reading, FeedError>> {
        let mut outcome = None;
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() >= MAX_LINE_BYTES {
                    return Some(self.fail(FeedError::TooLong(MAX_LINE_BYTES)));
                }
                self.line.push(*byte);
                continue;
            }
            let raw = std::mem::take(&mut self.line);
            let text = String::from_utf8_lossy(&raw);
            let text = text.trim_end_matches('\r');
            if outcome.is_some() {
                // More lines than were asked for: nothing that follows could be told apart.
                return Some(self.fail(FeedError::NotNut(quoted(text))));
            }
            match self.take_line(text) {
                Ok(None) => {}
                Ok(Some(reading)) => outcome = Some(Ok(reading)),
                // The first error is the one to report; what follows is out of step with it.
                Err(error) if error.must_reconnect() => return Some(self.fail(error)),
                Err(error) => outcome = Some(self.fail(error)),
            }
        }
        outcome
    }

    fn fail(&mut self, error: FeedError) -> Result<Reading, FeedError> {
        self.phase = Phase::Idle;
        self.line.clear();
        Err(error)
    }

    fn take_line(&mut self, line: &str) -> Result<Option<Reading>, FeedError> {
        let not_nut = || FeedError::NotNut(quoted(line));
        let words = split_words(line).ok_or_else(not_nut)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ups = self.target.ups.as_str();
        if let (["ERR", code, ..], false) = (words.as_slice(), self.phase == Phase::Idle) {
            return Err(error_of(code, ups));
        }
        match (&mut self.phase, words.as_slice()) {
            // Any words may follow OK: some versions add them.
            (Phase::Greeting { oks }, ["OK", ..]) => {
                *oks = oks.saturating_sub(1);
                if *oks == 0 {
                    self.phase = Phase::Asked;
                }
                Ok(None)
            }
            (Phase::Asked, ["BEGIN", "LIST", "VAR", name]) if *name == ups => {
                self.phase = Phase::Listing { variables: Variables::default(), lines: 0 };
                Ok(None)
            }
            (Phase::Listing { variables, lines }, ["VAR", name, variable, value])
                if *name == ups =>
            {
                *lines += 1;
                if *lines > MAX_ANSWER_LINES {
                    return Err(FeedError::TooLong(MAX_ANSWER_LINES));
                }
                variables.take(variable, value);
                Ok(None)
            }
            (Phase::Listing { variables, .. }, ["END", "LIST", "VAR", name]) if *name == ups => {
                let variables = std::mem::take(variables);
                self.phase = Phase::Idle;
                reading_of(&variables, ups).map(Some)
            }
            _ => Err(not_nut()),
        }
    }
}

/// What an ERR means to someone who wants a reading.
fn error_of(code: &str, ups: &str) -> FeedError {
    match code {
        "DATA-STALE" => FeedError::DataStale(ups.to_owned()),
        "DRIVER-NOT-CONNECTED" => FeedError::DriverNotConnected(ups.to_owned()),
        "UNKNOWN-UPS" => FeedError::UnknownUps(ups.to_owned()),
        "VAR-NOT-SUPPORTED" => {
            FeedError::NoVariable { ups: ups.to_owned(), name: "battery.charge" }
        }
        "ACCESS-DENIED" | "INVALID-USERNAME" | "INVALID-PASSWORD" | "USERNAME-REQUIRED"
        | "PASSWORD-REQUIRED" => FeedError::AccessDenied(code.to_owned()),
        other => FeedError::Refused(quoted(other)),
    }
}

fn reading_of(variables: &Variables, ups: &str) -> Result<Reading, FeedError> {
    let Some(charge) = &variables.charge else {
        return Err(FeedError::NoVariable { ups: ups.to_owned(), name: "battery.charge" });
    };
    let bad = |cause| FeedError::BadNumber { key: "battery.charge", cause };
    let soc = parse_number(charge).and_then(Permille::from_percent).map_err(bad)?;
    let status = status_of(variables.status.as_deref().unwrap_or_default());
    Ok(Reading {
        soc,
        load_watts: load_of(variables).ok(),
        alarm: status.alarm,
        on_battery: status.on_battery,
        quality: status.quality,
        ..Reading::default()
    })
}

/// The load in watts, measured or from the percentage of what the UPS can give. It is shown and not decided on, so
/// one that makes no sense is left out.
fn load_of(variables: &Variables) -> Result<i32, NumberError> {
    let read =
        |text: &Option<String>| text.as_deref().map_or(Err(NumberError::NotFinite), parse_number);
    let measured = read(&variables.real_power);
    watts(
        measured
            .or_else(|_| Ok(read(&variables.load)? * read(&variables.nominal_power)? / 100.0))?,
    )
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    alarm: Alarm,
    on_battery: Option<bool>,
    quality: Quality,
}

/// The tokens of ups.status. Unknown ones are left alone: drivers add their own.
fn status_of(text: &str) -> Status {
    let mut status = Status::default();
    let mut low = false;
    for token in text.split_ascii_whitespace() {
        match token {
            "OL" => status.on_battery = Some(false),
            "OB" => status.on_battery = Some(true),
            "LB" => low = true,
            "FSD" => status.alarm = Alarm::ForcedShutdown,
            "CAL" => status.quality = Quality::Calibrating,
            "RB" if status.quality == Quality::Good => status.quality = Quality::WornBattery,
            _ => {}
        }
    }
    // A UPS that calibrates empties its battery down to LB on purpose; its charge says so as well, and counts.
    if low && status.quality != Quality::Calibrating {
        status.alarm = status.alarm.max(Alarm::LowBattery);
    }
    status
}

/// A word as it is sent: always quoted, with quotes and backslashes escaped.
fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len() + 2);
    word.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            word.push('\\');
        }
        word.push(c);
    }
    word.push('"');
    word
}

/// The words of a line: bare, or in quotes with backslash escapes. `None` if a quote or an escape has no end.
fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| *c == ' ' || *c == '\t').is_some() {}
        let Some(first) = chars.next() else { return Some(words) };
        let mut word = String::new();
        if first == '"' {
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => word.push(chars.next()?),
                    c => word.push(c),
                }
            }
        } else {
            word.push(first);
            while let Some(c) = chars.next_if(|c| *c != ' ' && *c != '\t') {
                word.push(c);
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from upsd 2.8.0 with the dummy-ups driver.
    const RECORDED: &[u8] = include_bytes!("../../tests/fixtures/nut-2.8.0-list-var.txt");

    fn client(login: Option<(&str, &str)>) -> NutClient {
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        NutClient::new(NutTarget::new("site", login).unwrap())
    }

    fn answer(text: &str) -> Option<Result<Reading, FeedError>> {
        let mut client = client(None);
        client.poll().unwrap();
        client.receive(text.as_bytes())
    }

    fn listed(variables: &str) -> Result<Reading, FeedError> {
        answer(&format!("BEGIN LIST VAR site\n{variables}END LIST VAR site\n")).unwrap()
    }

    fn recorded_reading() -> Reading {
        Reading {
            soc: Permille::new(415).unwrap(),
            load_watts: Some(87),
            alarm: Alarm::LowBattery,
            on_battery: Some(true),
            ..Reading::default()
        }
    }

    #[test]
    fn a_recorded_answer_reads_the_same_in_one_piece_and_byte_by_byte() {
        let mut client = client(None);
        for _ in 0..2 {
            assert_eq!(client.poll().unwrap(), b"LIST VAR site\n");
            assert_eq!(client.receive(RECORDED), Some(Ok(recorded_reading())));
        }
        client.poll().unwrap();
        let (last, before) = RECORDED.split_last().unwrap();
        for byte in before {
            assert_eq!(client.receive(&[*byte]), None);
        }
        assert_eq!(client.receive(&[*last]), Some(Ok(recorded_reading())));
    }

    #[test]
    fn a_user_is_named_once_per_connection_and_quoted() {
        let mut client = client(Some(("mon", r#"s e"c"#)));
        let with_login = "USERNAME \"mon\"\nPASSWORD \"s e\\\"c\"\nLIST VAR site\n";
        assert_eq!(client.poll().unwrap(), with_login.as_bytes());
        assert_eq!(client.receive(b"OK\nOK\n"), None);
        assert_eq!(client.receive(RECORDED), Some(Ok(recorded_reading())));
        assert_eq!(client.poll().unwrap(), b"LIST VAR site\n");
        assert_eq!(client.closed(), Some(FeedError::Closed));
        assert_eq!(client.poll().unwrap(), with_login.as_bytes());
        let denied = client.receive(b"ERR ACCESS-DENIED\n").unwrap().unwrap_err();
        assert_eq!(denied, FeedError::AccessDenied("ACCESS-DENIED".to_owned()));
        assert!(denied.must_reconnect(), "the answers to the commands behind it are still to come");
        assert!(!format!("{client:?}").contains("s e"), "a password is never shown");
    }

    #[test]
    fn every_error_of_upsd_is_told_apart_and_the_connection_goes_on_where_it_can() {
        let ups = || "site".to_owned();
        for (code, error, reconnect) in [
            ("DATA-STALE", FeedError::DataStale(ups()), false),
            ("DRIVER-NOT-CONNECTED", FeedError::DriverNotConnected(ups()), false),
            ("UNKNOWN-UPS", FeedError::UnknownUps(ups()), false),
            (
                "VAR-NOT-SUPPORTED",
                FeedError::NoVariable { ups: ups(), name: "battery.charge" },
                false,
            ),
            ("ACCESS-DENIED", FeedError::AccessDenied("ACCESS-DENIED".to_owned()), true),
            ("TOO-LONG", FeedError::Refused("TOO-LONG".to_owned()), true),
        ] {
            assert_eq!(answer(&format!("ERR {code}\n")), Some(Err(error.clone())));
            assert_eq!(error.must_reconnect(), reconnect, "{code}");
        }
        let mut client = client(None);
        client.poll().unwrap();
        assert!(client.receive(b"ERR DATA-STALE\n").unwrap().is_err());
        client.poll().unwrap();
        assert_eq!(client.receive(RECORDED), Some(Ok(recorded_reading())));
    }

    #[test]
    fn a_ups_without_a_charge_or_with_a_nonsense_one_gives_no_reading() {
        assert_eq!(
            listed("VAR site ups.status \"OL\"\n"),
            Err(FeedError::NoVariable { ups: "site".to_owned(), name: "battery.charge" })
        );
        for nonsense in ["", "n/a", "-3", "101", "NaN", "inf", "1e9", "41,5"] {
            let error = listed(&format!("VAR site battery.charge \"{nonsense}\"\n")).unwrap_err();
            assert!(matches!(error, FeedError::BadNumber { .. }), "{nonsense}: {error}");
            assert!(!error.must_reconnect());
        }
    }

    #[test]
    fn status_tokens_become_alarms() {
        let status = |alarm, on_battery, quality| Status { alarm, on_battery, quality };
        for (text, expected) in [
            ("", status(Alarm::None, None, Quality::Good)),
            ("OL CHRG", status(Alarm::None, Some(false), Quality::Good)),
            ("OB DISCHRG", status(Alarm::None, Some(true), Quality::Good)),
            ("OB LB", status(Alarm::LowBattery, Some(true), Quality::Good)),
            ("LB FSD OB", status(Alarm::ForcedShutdown, Some(true), Quality::Good)),
            ("FSD OL", status(Alarm::ForcedShutdown, Some(false), Quality::Good)),
            ("OL RB WHATEVER", status(Alarm::None, Some(false), Quality::WornBattery)),
            ("LB OL CAL RB", status(Alarm::None, Some(false), Quality::Calibrating)),
            ("CAL FSD", status(Alarm::ForcedShutdown, None, Quality::Calibrating)),
            ("ALBATROSS", status(Alarm::None, None, Quality::Good)),
        ] {
            assert_eq!(status_of(text), expected, "{text}");
        }
    }

    #[test]
    fn load_is_measured_or_computed_or_absent() {
        let with = |variables: &str| {
            listed(&format!("VAR site battery.charge 50\n{variables}")).unwrap().load_watts
        };
        assert_eq!(with("VAR site ups.realpower \"87.4\"\n"), Some(87));
        assert_eq!(
            with("VAR site ups.load 25\nVAR site ups.realpower.nominal \"600\"\n"),
            Some(150)
        );
        assert_eq!(with("VAR site ups.load 25\n"), None);
        assert_eq!(with("VAR site ups.realpower \"NaN\"\n"), None);
    }

    #[test]
    fn what_is_not_the_answer_to_the_question_is_refused() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "OK\n",
            "BEGIN LIST VAR other\n",
            "BEGIN LIST UPS\n",
            "VAR site battery.charge \"41\"\n",
            "END LIST VAR site\n",
            "BEGIN LIST VAR site\nVAR other battery.charge \"41\"\n",
            "BEGIN LIST VAR site\nVAR site battery.charge \"41\n",
            "BEGIN LIST VAR site\nVAR site battery.charge \"41\\\n",
            "BEGIN LIST VAR site\nBEGIN LIST VAR site\n",
            "BEGIN LIST VAR site\nVAR site battery.charge 41\nEND LIST VAR site\nOK\n",
            "ERR DATA-STALE\nOK\n",
        ] {
            let error = answer(text).unwrap().unwrap_err();
            assert!(
                matches!(error, FeedError::NotNut(_)) && error.must_reconnect(),
                "{text}: {error}"
            );
        }
        let first = answer("garbage 1\ngarbage 2\n");
        assert_eq!(
            first,
            Some(Err(FeedError::NotNut("garbage 1".to_owned()))),
            "the first error is reported"
        );
        let mut unasked = client(None);
        assert!(matches!(unasked.receive(b"ERR DATA-STALE\n"), Some(Err(FeedError::NotNut(_)))));
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        let long = vec![b'x'; MAX_LINE_BYTES + 1];
        let mut one = client(None);
        one.poll().unwrap();
        assert_eq!(one.receive(&long), Some(Err(FeedError::TooLong(MAX_LINE_BYTES))));

        let mut two = client(None);
        two.poll().unwrap();
        assert_eq!(two.receive(b"BEGIN LIST VAR site\n"), None);
        let line = b"VAR site ups.mfr \"x\"\n";
        let outcome = (0..=MAX_ANSWER_LINES).find_map(|_| two.receive(line));
        assert_eq!(outcome, Some(Err(FeedError::TooLong(MAX_ANSWER_LINES))));
    }

    #[test]
    fn a_second_poll_waits_for_the_first_answer() {
        let mut client = client(None);
        client.poll().unwrap();
        assert_eq!(client.poll(), Err(FeedError::AnswerPending));
        client.connected();
        assert!(client.poll().is_ok());
    }

    #[test]
    fn names_cannot_smuggle_commands() {
        for ups in ["", "a b", "a\nFSD a", "ups@host", "\"q\""] {
            assert!(
                matches!(NutTarget::new(ups, None), Err(NutTargetError::BadUpsName(_))),
                "{ups}"
            );
        }
        for (user, password) in [("", "p"), ("u", ""), ("u\nFSD", "p"), ("u", "p\n")] {
            let login = Some((user.to_owned(), password.to_owned()));
            assert!(matches!(NutTarget::new("site", login), Err(NutTargetError::BadLogin(_))));
        }
    }

    #[test]
    fn words_with_quotes_and_backslashes_survive_the_way_there_and_back() {
        for text in ["plain", "two words", r#"a "quoted" one"#, r"back\slash", r#"\""#, ""] {
            assert_eq!(
                split_words(&format!("X {}", word(text))),
                Some(vec!["X".to_owned(), text.to_owned()])
            );
        }
    }
}
