//! HTTP dates (RFC 9110 §5.6.7): one form written, all three read. Nothing here knows what time it is.

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY_SECONDS: i64 = 86_400;

/// Writes a time, in seconds since 1970-01-01 00:00:00 UTC, as `Sun, 06 Nov 1994 08:49:37 GMT`. `None` before 1970 and
/// after 9999, whose years have no four digits.
///
/// ```
/// use throng::proto::http::{format_date, parse_date};
///
/// assert_eq!(format_date(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
/// assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
/// ```
#[must_use]
pub fn format_date(seconds: i64) -> Option<String> {
    if !(0..days_before_year(10_000) * DAY_SECONDS).contains(&seconds) {
        return None;
    }
    let (days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    // Dividing by the longest year is at most 16 years short within these bounds, never too far.
    let mut year = 1970 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut day = days - days_before_year(year);
    let mut month = 0;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    // 1970-01-01 was a Thursday.
    let name = &DAYS[(days as usize + 3) % 7][..3];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{name}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, MONTHS[month]))
}

/// Reads a date in any of the forms that a recipient must take: `Sun, 06 Nov 1994 08:49:37 GMT`, and the obsolete
/// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. Seconds since 1970; `None` for what is no date and for
/// what is earlier.
///
/// Two digits of a year from 70 on are of the last century. That the name of the day fits the date is not checked.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let words: Vec<_> = text.splitn(7, ' ').collect();
    let (day, month, year, time) = match words[..] {
        [name, day, month, year, time, "GMT"] if is_day(name.strip_suffix(',')?, true) => {
            (number(day, 2)?, month, number(year, 4)?, time)
        }
        [name, date, time, "GMT"] if is_day(name.strip_suffix(',')?, false) => {
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            let year = number(year, 2)?;
            (number(day, 2)?, month, if year < 70 { 2000 + year } else { 1900 + year }, time)
        }
        [name, month, day, time, year] if is_day(name, true) => {
            (number(day, 2)?, month, number(year, 4)?, time)
        }
        [name, month, "", day, time, year] if is_day(name, true) => {
            (number(day, 1)?, month, number(year, 4)?, time)
        }
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    if year < 1970 || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let days = days_before_year(year) + (0..month).map(|month| days_in_month(year, month)).sum::<i64>();
    Some((days + day - 1) * DAY_SECONDS + seconds_of_day(time)?)
}

/// `08:49:37`; the 60th second is one that was inserted.
fn seconds_of_day(time: &str) -> Option<i64> {
    let (hour, rest) = time.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn is_day(name: &str, is_short: bool) -> bool {
    DAYS.iter().any(|day| if is_short { name == &day[..3] } else { name == *day })
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.bytes().fold(0, |number, byte| number * 10 + i64::from(byte - b'0')))
}

/// Days from 1970-01-01 to the first of a year that is not earlier.
const fn days_before_year(year: i64) -> i64 {
    const fn leap_days_through(year: i64) -> i64 {
        year / 4 - year / 100 + year / 400
    }
    (year - 1970) * 365 + leap_days_through(year - 1) - leap_days_through(1969)
}

/// Days of a month, January being 0.
const fn days_in_month(year: i64, month: usize) -> i64 {
    match month {
        1 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}
