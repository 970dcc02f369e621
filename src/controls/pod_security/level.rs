//! Levels and versions of the Pod Security Standards, and the namespace labels that choose them.
//!
//! Follows `api/helpers.go` and `api/constants.go` of `k8s.io/pod-security-admission` v0.37.

use std::fmt;

/// A level, from least to most strict.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// No restrictions.
    #[default]
    Privileged,
    /// Known privilege escalations are prevented.
    Baseline,
    /// Current hardening practice is followed.
    Restricted,
}

impl Level {
    /// The level as labels spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }

    /// The level of a label's value; upper case or blanks are wrong.
    pub fn parse(text: &str) -> Option<Level> {
        [Level::Privileged, Level::Baseline, Level::Restricted]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A version of the standards. Newer than any number is `Latest`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// As of Kubernetes v1.N. N is any number; above the newest known step the newest holds.
    Minor(u64),
    /// The newest known.
    #[default]
    Latest,
}

impl Version {
    /// The version of a label's value: `latest`, or `v1.` and a number without leading zeros that
    /// fits Go's `int`.
    pub fn parse(text: &str) -> Option<Version> {
        if text == "latest" {
            return Some(Version::Latest);
        }
        let digits = text.strip_prefix("v1.")?;
        let plain = digits == "0"
            || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.parse::<i64>().ok().filter(|_| plain)?;
        u64::try_from(number).ok().map(Version::Minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Version::Minor(minor) => write!(formatter, "v1.{minor}"),
            Version::Latest => formatter.write_str("latest"),
        }
    }
}

/// A level at a version.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct LevelVersion {
    /// Level.
    pub level: Level,
    /// Version.
    pub version: Version,
}

impl LevelVersion {
    /// Equal, or both privileged.
    pub fn equivalent(self, other: LevelVersion) -> bool {
        (self.level == Level::Privileged && other.level == Level::Privileged) || self == other
    }
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}:{}", self.level, self.version)
    }
}
