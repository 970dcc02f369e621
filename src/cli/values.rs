//! Values of options: times, sizes, names.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, RFC 3339.
///
/// # Errors
/// When it is none; the text says what is expected.
pub fn time(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "expected a time such as 2026-11-21T10:00:00Z".into())
}

/// A time span: a number with `ms`, `s`, `m` or `h`.
///
/// # Errors
/// When it is none; the text says what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    scaled(text, &units)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a whole number with a unit: ms, s, m or h, such as 10s".into())
}

/// A number of bytes, alone or with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`.
///
/// # Errors
/// When it is none; the text says what is expected.
pub fn size(text: &str) -> Result<usize, String> {
    let units = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("", 1),
    ];
    scaled(text, &units)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            "expected a whole number of bytes, or one with KiB, MiB or GiB, such as 7MiB".into()
        })
}

/// The name of a namespace: a DNS label of RFC 1123.
///
/// # Errors
/// When it is none.
pub fn namespace(text: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if label {
        Ok(text.to_owned())
    } else {
        Err("expected a namespace's name: at most 63 lower-case letters, digits and -".into())
    }
}

/// The namespace and name of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// An exception: `NAMESPACE/NAME`. Both become parts of a path, so nothing else may come through.
///
/// # Errors
/// When it is none; the text says what is expected.
pub fn exception(text: &str) -> Result<ObjectName, String> {
    const EXPECTED: &str = "expected NAMESPACE/NAME, such as shop/legacy-agent";
    let (place, name) = text.split_once('/').ok_or(EXPECTED)?;
    // A DNS subdomain of RFC 1123, as the API server wants names of custom resources.
    let label = |label: &str| namespace(label).is_ok();
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(EXPECTED.into());
    }
    Ok(ObjectName {
        namespace: namespace(place).map_err(|_| EXPECTED)?,
        name: name.to_owned(),
    })
}

/// A whole number times its unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(end)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2 m"), Ok(Duration::from_mins(2)));
        for wrong in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999h",
        ] {
            assert!(
                duration(wrong).unwrap_err().contains("such as 10s"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn sizes_are_bytes_unless_they_say_otherwise() {
        assert_eq!(size("7MiB"), Ok(7 << 20));
        assert_eq!(size("7340032"), Ok(7 << 20));
        assert_eq!(size("1kB"), Ok(1_000));
        for wrong in ["", "MiB", "7M", "7 mib", "1e6", "18446744073709551616"] {
            assert!(size(wrong).unwrap_err().contains("such as 7MiB"), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_rfc_3339() {
        assert_eq!(
            time("2026-11-21T10:00:00Z").unwrap().unix_timestamp(),
            1_795_255_200
        );
        assert!(
            time("2026-11-21")
                .unwrap_err()
                .contains("2026-11-21T10:00:00Z")
        );
    }

    #[test]
    fn a_namespace_is_a_dns_label() {
        assert_eq!(namespace("shop-1"), Ok("shop-1".into()));
        for wrong in ["", "Shop", "-a", "a-", "a.b", &"a".repeat(64)] {
            assert!(namespace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_exception_is_named_with_its_namespace_and_nothing_leads_out_of_the_path() {
        let name = exception("shop/legacy.agent-1").unwrap();
        assert_eq!((&*name.namespace, &*name.name), ("shop", "legacy.agent-1"));
        assert_eq!(name.to_string(), "shop/legacy.agent-1");
        for wrong in [
            "",
            "shop",
            "shop/",
            "/a",
            "shop/a/b",
            "shop/..",
            "shop/A",
            "shop/a?b",
            "shop/a%2f",
        ] {
            assert!(
                exception(wrong).unwrap_err().contains("NAMESPACE/NAME"),
                "{wrong}"
            );
        }
    }
}
