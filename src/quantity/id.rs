//! The names of networks, clusters, facilities, meters and factor series.

use std::fmt;
use std::sync::Arc;

/// Lower-case letters, digits, `-` and `_`; immutable, because databases key their series by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// `None`: empty, longer than 100 characters, or with other characters.
    pub fn parse(text: &str) -> Option<Id> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let fits = (1..=100).contains(&text.len()) && text.chars().all(allowed);
        fits.then(|| Id(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_characters() {
        assert!(Id::parse("sw-gas_1").is_some());
        for text in ["", "Gas", "a.b", "a b", "gàs", "a/b"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
