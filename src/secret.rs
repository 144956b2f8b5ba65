//! Tokens in files.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// A token as a header can carry it: one line of visible characters. An error names the file.
pub fn token(what: &str, path: &Path) -> Result<String> {
    let wrong = |kind: ErrorKind, why: String| Error::new(kind, format!("{what} {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.kind(), error.to_string()))?;
    let token = bytes.trim_ascii();
    if token.is_empty() {
        return Err(wrong(ErrorKind::InvalidInput, "it is empty".to_owned()));
    }
    let text = std::str::from_utf8(token).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let help = "it is no token: one line of letters, digits and signs, without blanks";
    text.map(str::to_owned).ok_or_else(|| wrong(ErrorKind::InvalidInput, help.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            token("the token", &path).map_err(|error| (error.kind(), error.to_string()))
        };
        assert_eq!(read(b" s3cret==\r\n"), Ok("s3cret==".to_owned()));
        for wrong in [&b""[..], b"\n", b"a\nb", b"a b", "g\u{e9}heim".as_bytes(), &[0xff, 0xfe]] {
            let (kind, text) = read(wrong).unwrap_err();
            assert!(kind == ErrorKind::InvalidInput && text.contains("/token: it is"), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(token("the token", &path).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
