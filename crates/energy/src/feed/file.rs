//! A reading in a JSON file, written by whatever the operator has: a script, a cron job, a home automation.
//!
//! Keys (all but `soc` may be absent or null):
//!
//! | key | unit | meaning |
//! |---|---|---|
//! | `soc` | % | state of charge, 0 to 100 |
//! | `pv_w` | W | power from the panels |
//! | `load_w` | W | power that the site uses |
//! | `battery_w` | W | power that the battery gives: positive discharging, negative charging |
//! | `time` | s since 1970, or RFC 3339 | when the sample was taken; otherwise the file's time of change counts |
//! | `alarm` | `"none"`, `"low-battery"`, `"forced-shutdown"` | the battery controller's alarm |
//! | `on_battery` | true, false | whether the site runs on its battery |
//!
//! Other keys are left alone, since such files are often made for several readers, and counted, so that a
//! misspelt one can be seen.
//!
//! **A value of the wrong type or beyond its range makes the whole file an error**: half a reading is a guess.

use serde_json::{Map, Value};

use super::{FeedError, quoted, rfc3339};
use crate::reading::{Alarm, NumberError, Permille, Reading, UnixSeconds, watts};

/// The largest file read, in bytes. The shell reads one byte more to know.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

pub(super) const EXAMPLE: &str =
    r#"{"soc": 41.5, "pv_w": 120, "load_w": 80, "battery_w": -40, "time": "2026-11-22T13:32:00Z"}"#;

/// The last second of the year 9999. Larger values are milliseconds.
const MAX_UNIX_SECONDS: f64 = 253_402_300_799.0;

const KEYS: [&str; 7] = ["soc", "pv_w", "load_w", "battery_w", "time", "alarm", "on_battery"];

/// A file's reading, and how many of its keys were not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileReading {
    /// The reading.
    pub reading: Reading,
    /// Keys that are not in the table.
    pub unknown_keys: usize,
}

/// Parses a file. `modified` is the file's time of change, taken where the file holds no `time`.
///
/// # Errors
/// What is wrong with it and what was expected.
pub fn parse(bytes: &[u8], modified: Option<UnixSeconds>) -> Result<FileReading, FeedError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FeedError::FileTooLarge(bytes.len()));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FeedError::FileEmpty);
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| FeedError::NotJson(e.to_string()))?;
    let Value::Object(object) = &value else {
        return Err(FeedError::NotJson(format!("it is {}", describe(&value))));
    };
    let soc = number(object, "soc")?.ok_or(FeedError::NoKey("soc"))?;
    let reading = Reading {
        soc: Permille::from_percent(soc)
            .map_err(|cause| FeedError::BadNumber { key: "soc", cause })?,
        pv_watts: power(object, "pv_w")?,
        load_watts: power(object, "load_w")?,
        battery_watts: power(object, "battery_w")?,
        alarm: alarm(object)?,
        on_battery: flag(object, "on_battery")?,
        source_time: time(object)?.or(modified),
        ..Reading::default()
    };
    let unknown_keys = object.keys().filter(|key| !KEYS.contains(&key.as_str())).count();
    Ok(FileReading { reading, unknown_keys })
}

fn get<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn wrong_type(key: &'static str, value: &Value, expected: &'static str) -> FeedError {
    FeedError::WrongType { key, found: describe(value), expected }
}

fn number(object: &Map<String, Value>, key: &'static str) -> Result<Option<f64>, FeedError> {
    match get(object, key) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| wrong_type(key, value, "a number without quotes")),
    }
}

fn power(object: &Map<String, Value>, key: &'static str) -> Result<Option<i32>, FeedError> {
    let Some(value) = number(object, key)? else { return Ok(None) };
    watts(value).map(Some).map_err(|cause| FeedError::BadNumber { key, cause })
}

fn flag(object: &Map<String, Value>, key: &'static str) -> Result<Option<bool>, FeedError> {
    match get(object, key) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(value) => Err(wrong_type(key, value, "true or false")),
    }
}

fn alarm(object: &Map<String, Value>) -> Result<Alarm, FeedError> {
    let Some(value) = get(object, "alarm") else { return Ok(Alarm::None) };
    match value.as_str() {
        Some("none") => Ok(Alarm::None),
        Some("low-battery") => Ok(Alarm::LowBattery),
        Some("forced-shutdown") => Ok(Alarm::ForcedShutdown),
        _ => Err(wrong_type("alarm", value, "\"none\", \"low-battery\" or \"forced-shutdown\"")),
    }
}

fn time(object: &Map<String, Value>) -> Result<Option<UnixSeconds>, FeedError> {
    const EXPECTED: &str = "whole seconds since 1970 (not milliseconds) or RFC 3339 with a zone";
    let Some(value) = get(object, "time") else { return Ok(None) };
    let seconds = match value {
        Value::String(text) => rfc3339::parse(text),
        // Within the years 1970 to 9999 by the check, so the conversion only cuts the fraction.
        Value::Number(number) => number
            .as_f64()
            .filter(|s| (0.0..=MAX_UNIX_SECONDS).contains(s))
            .map(|s| UnixSeconds(s as u64)),
        _ => None,
    };
    seconds.map(Some).ok_or_else(|| wrong_type("time", value, EXPECTED))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string \"{}\"", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// For feeds whose numbers arrive as text.
pub(super) fn parse_number(text: &str) -> Result<f64, NumberError> {
    text.trim().parse().map_err(|_| NumberError::NotFinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FileReading, FeedError> {
        parse(text.as_bytes(), Some(UnixSeconds(5)))
    }

    #[test]
    fn a_whole_file_becomes_a_whole_reading() {
        let text = r#"{"soc": 41.5, "pv_w": 120, "load_w": 80.4, "battery_w": -40, "time": 1700000000.9,
            "alarm": "low-battery", "on_battery": true, "panel": "roof", "Soc": 3}"#;
        let expected = Reading {
            soc: Permille::new(415).unwrap(),
            pv_watts: Some(120),
            load_watts: Some(80),
            battery_watts: Some(-40),
            alarm: Alarm::LowBattery,
            on_battery: Some(true),
            source_time: Some(UnixSeconds(1_700_000_000)),
            ..Reading::default()
        };
        assert_eq!(read(text), Ok(FileReading { reading: expected, unknown_keys: 2 }));
        assert!(read(EXAMPLE).is_ok(), "the example in error messages is right");
    }

    #[test]
    fn a_charge_is_enough_and_the_file_s_own_time_stands_in() {
        let reading = read(r#"{"soc": 100, "pv_w": null, "time": null}"#).unwrap().reading;
        let expected =
            Reading { source_time: Some(UnixSeconds(5)), ..Reading::of_charge(Permille::FULL) };
        assert_eq!(reading, expected);
        let zoned = read(r#"{"soc": 1, "time": "2023-11-14T23:13:20+01:00"}"#).unwrap().reading;
        assert_eq!(zoned.source_time, Some(UnixSeconds(1_700_000_000)));
    }

    #[test]
    fn nonsense_is_refused_and_the_message_says_what_and_where() {
        for (text, says) in [
            ("", "empty"),
            (" \n", "empty"),
            ("{\"soc\": 41", "not a JSON object"),
            ("[41]", "it is a list"),
            ("41", "it is 41"),
            ("{}", "\"soc\" is missing"),
            (r#"{"soc": null}"#, "\"soc\" is missing"),
            (r#"{"soc": "41"}"#, "\"soc\" is the string \"41\", expected a number without quotes"),
            (r#"{"soc": true}"#, "\"soc\" is true"),
            (r#"{"soc": -1}"#, "-1 is not a percentage"),
            (r#"{"soc": 100.5}"#, "100.5 is not a percentage"),
            (r#"{"soc": 1e300}"#, "not a percentage"),
            (r#"{"soc": 1e999}"#, "not a JSON object"),
            (r#"{"soc": NaN}"#, "not a JSON object"),
            (r#"{"soc": 5, "pv_w": "120"}"#, "\"pv_w\" is the string"),
            (r#"{"soc": 5, "load_w": 1e12}"#, "another unit"),
            (r#"{"soc": 5, "battery_w": []}"#, "\"battery_w\" is a list"),
            (r#"{"soc": 5, "time": 1700000000000}"#, "not milliseconds"),
            (r#"{"soc": 5, "time": -1}"#, "\"time\" is -1"),
            (r#"{"soc": 5, "time": "yesterday"}"#, "RFC 3339"),
            (r#"{"soc": 5, "alarm": "LB"}"#, "\"low-battery\""),
            (r#"{"soc": 5, "on_battery": 1}"#, "true or false"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(
            parse(&vec![b' '; MAX_FILE_BYTES + 1], None),
            Err(FeedError::FileTooLarge(MAX_FILE_BYTES + 1))
        );
    }
}
