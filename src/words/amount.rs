//! Sizes and lengths of time as people write and read them.
//!
//! | written | means |
//! |---|---|
//! | `512`, `512B` | bytes |
//! | `64K`, `10M`, `10G`, `2T`, also `10GiB` | powers of 1024 |
//! | `90`, `90s` | seconds |
//! | `10m`, `12h`, `30d`, `2w` | minutes, hours, days, weeks |

use core::time::Duration;

/// A text that is no amount of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No size.
    #[error("a size: a number, then `K`, `M`, `G` or `T`, as in `10G`")]
    Size,
    /// No length of time.
    #[error("a time: a number, then `s`, `m`, `h`, `d` or `w`, as in `30d`")]
    Time,
}

/// Reads a size in bytes.
///
/// # Errors
///
/// Returns [`AmountError::Size`] for anything else, and for what is larger than 2⁶⁴.
pub fn parse_size(text: &str) -> Result<u64, AmountError> {
    let (number, unit) = split(text).ok_or(AmountError::Size)?;
    let unit = unit.to_ascii_uppercase();
    let factor: u64 = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(AmountError::Size),
    };
    number.checked_mul(factor).ok_or(AmountError::Size)
}

/// Reads a length of time, in whole seconds.
///
/// # Errors
///
/// Returns [`AmountError::Time`] for anything else, and for more seconds than 2³².
pub fn parse_time(text: &str) -> Result<Duration, AmountError> {
    let (number, unit) = split(text).ok_or(AmountError::Time)?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(AmountError::Time),
    };
    let seconds = number.checked_mul(factor).filter(|it| u32::try_from(*it).is_ok());
    seconds.map(Duration::from_secs).ok_or(AmountError::Time)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

/// Returns a size for people: three digits or so, powers of 1024.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths, so that no floating-point number decides what is shown.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a length of time for people, in its largest whole unit: `3 days`, `1 hour`.
#[must_use]
pub fn human_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (number, unit) = units
        .into_iter()
        .find(|(factor, _)| seconds >= *factor)
        .map_or((0, "second"), |(factor, unit)| (seconds / factor, unit));
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [("0", 0), ("512", 512), ("7B", 7), ("64K", 65_536), ("2g", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse_size("10GiB"), parse_size("10G"));
        assert_eq!(parse_size("1T"), Ok(1 << 40));
        for text in ["", "G", "-1", "1.5G", "10X", "10 G", "99999999999999999999", "99999999T"] {
            assert_eq!(parse_size(text), Err(AmountError::Size), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_whole_seconds() {
        for (text, seconds) in
            [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("12h", 43_200), ("1w", 604_800)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "-1d", "1.5h", "3y", "1D", "99999999999d"] {
            assert_eq!(parse_time(text), Err(AmountError::Time), "{text}");
        }
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let told = |it| human_time(Duration::from_secs(it));
        assert_eq!(told(0), "0 seconds");
        assert_eq!(told(61), "1 minute");
        assert_eq!(told(7200), "2 hours");
        assert_eq!(told(30 * 86_400), "30 days");
    }
}
