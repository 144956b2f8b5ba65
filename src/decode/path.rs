//! Where in a JSON payload something stands: a JSON Pointer (RFC 6901) that may also name elements of arrays.
//!
//! `/a/b/0` is a plain pointer. `*` stands for every element of an array, and `[key=text]` for every element that is an object
//! whose member `key` is `text`: `/tags/[name=tag0]/value`. `~1` is a stroke, `~0` a tilde.

use std::fmt;

/// One step into a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member of an object, or the position in an array.
    Key(String),
    /// Every element of an array.
    Each,
    /// Every element of an array with this member.
    Where { key: String, text: String },
}

/// A pointer with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

/// Steps nest at most this deep; no device writes deeper.
const STEPS_MAX: usize = 32;

/// Why text is no path. `Display` says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathProblem {
    /// Not from the root.
    NoStroke(String),
    /// A bracket that names no member.
    BadBracket(String),
    /// Too many steps.
    TooDeep,
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathProblem::NoStroke(text) => {
                // As other programs write paths.
                let steps = text.trim_start_matches("$.").replace(['.', '['], "/").replace(']', "");
                write!(f, "`{text}` is no JSON Pointer; write `/{steps}`")
            }
            PathProblem::BadBracket(step) => {
                write!(f, "`{step}` names no element of an array; write `[name=tag0]`, a member and its text")
            }
            PathProblem::TooDeep => write!(f, "more than {STEPS_MAX} steps"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| text.replace('~', "~0").replace('/', "~1");
        for step in &self.steps {
            match step {
                Step::Key(key) => write!(f, "/{}", plain(key))?,
                Step::Each => write!(f, "/*")?,
                Step::Where { key, text } => write!(f, "/[{}={}]", plain(key), plain(text))?,
            }
        }
        Ok(())
    }
}

impl Path {
    /// Reads `/tags/[name=tag0]/value`.
    pub fn parse(text: &str) -> Result<Path, PathProblem> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PathProblem::NoStroke(text.to_owned()));
        };
        let steps = rest.split('/').map(Step::parse).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > STEPS_MAX { Err(PathProblem::TooDeep) } else { Ok(Path { steps }) }
    }

    /// Its steps.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps up to and with each selector, and the plain steps behind the last one.
    pub(crate) fn segments(&self) -> (Vec<&[Step]>, &[Step]) {
        let mut selecting = Vec::new();
        let mut rest = self.steps.as_slice();
        while let Some(at) = rest.iter().position(|step| !matches!(step, Step::Key(_))) {
            let (segment, behind) = rest.split_at(at + 1);
            selecting.push(segment);
            rest = behind;
        }
        (selecting, rest)
    }

    /// Whether some payload has an element that both name.
    pub(crate) fn meets(&self, other: &Path) -> bool {
        let met = |(one, two): (&Step, &Step)| match (one, two) {
            (Step::Key(one), Step::Key(two)) => one == two,
            (Step::Key(key), _) | (_, Step::Key(key)) => key.bytes().all(|byte| byte.is_ascii_digit()),
            (Step::Where { key, text }, Step::Where { key: other, text: others }) => key != other || text == others,
            _ => true,
        };
        self.steps.len() == other.steps.len() && self.steps.iter().zip(&other.steps).all(met)
    }

    /// Whether it names elements of arrays, of which there may be any number.
    pub fn selects(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Key(_)))
    }

    /// Whether `other` can be read beside every element that this one names.
    pub fn is_beside(&self, other: &Path) -> bool {
        self.segments().0.starts_with(&other.segments().0)
    }

    /// Whether both lead through the same elements.
    pub fn same_elements(&self, other: &Path) -> bool {
        self.segments().0 == other.segments().0
    }
}

impl Step {
    fn parse(text: &str) -> Result<Step, PathProblem> {
        let plain = |text: &str| text.replace("~1", "/").replace("~0", "~");
        if text == "*" {
            return Ok(Step::Each);
        }
        let Some(inner) = text.strip_prefix('[') else {
            return Ok(Step::Key(plain(text)));
        };
        let bad = || PathProblem::BadBracket(text.to_owned());
        let (key, wanted) = inner.strip_suffix(']').and_then(|i| i.split_once('=')).ok_or_else(bad)?;
        if key.is_empty() {
            return Err(bad());
        }
        Ok(Step::Where { key: plain(key), text: plain(wanted) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_falls_into_segments_at_its_selectors() {
        let path = Path::parse("/Messages/[DataSetWriterId=1]/Payload/x~1y/*/Value").unwrap();
        let (selecting, rest) = path.segments();
        assert_eq!(selecting.len(), 2);
        assert_eq!(selecting[1][1], Step::Key("x/y".to_owned()));
        assert_eq!(rest, [Step::Key("Value".to_owned())]);
        assert!(path.is_beside(&Path::parse("/Messages/[DataSetWriterId=1]/Timestamp").unwrap()));
        assert!(path.is_beside(&Path::parse("/at").unwrap()));
        assert!(!path.is_beside(&Path::parse("/Messages/*/Timestamp").unwrap()));
    }

    #[test]
    fn paths_meet_where_they_may_name_the_same() {
        for (one, two, meet) in [
            ("/v", "/v", true),
            ("/v", "/w", false),
            ("/tags/0/v", "/tags/*/v", true),
            ("/tags/x/v", "/tags/*/v", false),
            ("/tags/[n=a]/v", "/tags/*/v", true),
            ("/tags/[n=a]/v", "/tags/[n=b]/v", false),
            ("/tags/[n=a]/v", "/tags/[k=b]/v", true),
        ] {
            assert_eq!(Path::parse(one).unwrap().meets(&Path::parse(two).unwrap()), meet, "{one} {two}");
        }
    }

    #[test]
    fn what_is_no_path_says_what_to_write() {
        for (text, says) in
            [("value", "write `/value`"), ("/a/[b]", "write `[name=tag0]`"), ("/a/[=c]/d", "write `[name=tag0]`")]
        {
            assert!(Path::parse(text).unwrap_err().to_string().contains(says), "{text}");
        }
    }
}
