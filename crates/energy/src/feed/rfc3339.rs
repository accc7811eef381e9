//! RFC 3339 date-times, as far as a time stamp of a reading needs them.
//!
//! **A text is either a moment in seconds since 1970 or refused**; fractions of a second are cut.

use crate::reading::UnixSeconds;

const SECONDS_A_DAY: i64 = 86_400;

/// Parses `2026-11-22T13:32:00Z`, with a fraction or an offset if there is one (RFC 3339 §5.6).
///
/// Leap seconds count as the second after. `None` for anything else and for moments before 1970.
pub(super) fn parse(text: &str) -> Option<UnixSeconds> {
    let (date, rest) = split(text, 10)?;
    let (separator, rest) = split(rest, 1)?;
    let (time, rest) = split(rest, 8)?;
    if !matches!(separator, "T" | "t" | " ") {
        return None;
    }
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return None;
            }
            zone
        }
    };
    let local =
        days_since_1970(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    u64::try_from(local - offset_seconds(zone)?).ok().map(UnixSeconds)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (None, Some(clock)) => (-1, clock),
        (None, None) => return None,
    };
    let [hours, minutes] = fields(clock, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn split(text: &str, at: usize) -> Option<(&str, &str)> {
    text.split_at_checked(at)
}

/// The numbers between separators, each of exactly so many digits.
fn fields<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, for years from 0.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |before: i64| {
        if before > 0 { 1 + (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400 } else { 0 }
    };
    let year_start = year * 365 + leap_days(year);
    let epoch = 1970 * 365 + leap_days(1970);
    let months: i64 = (1..month).map(|m| days_in(year, m)).sum();
    year_start - epoch + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_agree_with_date_of_coreutils() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T23:13:20.999+01:00", 1_700_000_000),
            ("2023-11-14 16:43:20-05:30", 1_700_000_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2026-11-22t13:32:00z", 1_795_354_320),
        ] {
            assert_eq!(parse(text), Some(UnixSeconds(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "now",
            "1700000000",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-00T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+1:00",
            "2023-01-01T00:00:00+25:00",
            "2023-01-01T00:00:00Z ",
            "1969-12-31T23:59:59Z",
            "+023-01-01T00:00:00Z",
            "2023-01-01T00:00:0\u{661}Z",
            "１２３４５６７８９０",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
