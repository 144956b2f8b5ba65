//! InfluxDB line protocol in a payload: `measurement,tag=x field=45i,other=1 1653579140440951943`.

use std::borrow::Cow;

use crate::decode::Refusal;

/// A payload holds no more lines.
const LINES_MAX: usize = 20_000;

/// One line, its parts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    series: &'a str,
    fields: &'a str,
    /// The time, where there is one.
    pub time: Option<&'a str>,
}

/// What a line is of.
pub(crate) struct Series<'a> {
    measurement: Cow<'a, str>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Series<'_> {
    /// Whether it is of the measurement and has all the tags.
    pub(crate) fn is_of(&self, measurement: Option<&str>, tags: &[(String, String)]) -> bool {
        let has = |(key, value): &(String, String)| self.tags.iter().any(|(k, v)| k == key && v == value);
        measurement.is_none_or(|measurement| self.measurement == measurement) && tags.iter().all(has)
    }
}

/// The lines of a payload. An error: not text, or too many.
pub(crate) fn lines(payload: &[u8]) -> Result<Vec<Line<'_>>, Refusal> {
    let text = std::str::from_utf8(payload).map_err(|_| Refusal::Malformed)?;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if lines.len() >= LINES_MAX {
            return Err(Refusal::OverLimit);
        }
        lines.push(Line::parse(line).ok_or(Refusal::Malformed)?);
    }
    Ok(lines)
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Line<'a>> {
        let (series, rest) = cut(text, ' ', false)?;
        let rest = rest.trim_start();
        let (fields, time) = match cut(rest, ' ', true) {
            Some((fields, time)) => (fields, Some(time.trim())),
            None => (rest, None),
        };
        let is_time = |time: &str| time.strip_prefix('-').unwrap_or(time).bytes().all(|b| b.is_ascii_digit());
        let whole = time.is_none_or(|time| !time.is_empty() && is_time(time));
        let line = Line { series, fields, time };
        let fields_are_whole = line.pairs(fields, true).all(|pair| pair.is_some_and(|(_, value)| !value.is_empty()));
        (!series.is_empty() && !fields.is_empty() && whole && fields_are_whole).then_some(line)
    }

    /// The measurement and the tags.
    pub(crate) fn series(&self) -> Series<'a> {
        let (measurement, rest) = cut(self.series, ',', false).unwrap_or((self.series, ""));
        let tags = self.pairs(rest, false).flatten().map(|(key, value)| (plain(key), plain(value)));
        Series { measurement: plain(measurement), tags: tags.collect() }
    }

    /// The text of a field: a number without the mark of its type, or what is between quotes.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.pairs(self.fields, true).flatten().find(|(key, _)| plain(key) == name)?;
        if let Some(inner) = value.strip_prefix('"') {
            return Some(plain(inner.strip_suffix('"').unwrap_or(inner)));
        }
        let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
        Some(if is_number { value.trim_end_matches(['i', 'u']).into() } else { value.into() })
    }

    fn pairs(&self, text: &'a str, quoted: bool) -> impl Iterator<Item = Option<(&'a str, &'a str)>> {
        let mut rest = Some(text).filter(|text| !text.is_empty());
        std::iter::from_fn(move || {
            let text = rest?;
            let (pair, behind) = match cut(text, ',', quoted) {
                Some((pair, behind)) => (pair, Some(behind)),
                None => (text, None),
            };
            rest = behind;
            Some(cut(pair, '=', false))
        })
    }
}

/// Splits at the first sign that is not escaped, nor between quotes where these count.
fn cut(text: &str, sign: char, quoted: bool) -> Option<(&str, &str)> {
    let (mut escaped, mut inside) = (false, false);
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' if quoted => inside = !inside,
            c if c == sign && !inside => return Some((&text[..at], &text[at + c.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// Without the strokes that escape.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\' && rest.peek().is_some_and(|next| matches!(next, ',' | '=' | ' ' | '"' | '\\'));
        plain.extend(if escapes { rest.next() } else { Some(c) });
    }
    plain.into()
}

/// The measurement, the tags and the field that are meant.
type Selector = (Option<String>, Vec<(String, String)>, String);

/// Splits `measurement,tag=x field` as declared; a field alone is of any measurement.
pub(crate) fn selector(text: &str) -> Option<Selector> {
    let Some((series, field)) = cut(text, ' ', false) else {
        return (!text.is_empty()).then(|| (None, Vec::new(), plain(text).into_owned()));
    };
    let line = Line { series, fields: "", time: None };
    let (measurement, tags) = cut(series, ',', false).unwrap_or((series, ""));
    let owned = |text: &str| plain(text).into_owned();
    let tags = line.pairs(tags, false).map(|pair| pair.map(|(key, value)| (owned(key), owned(value))));
    let tags = tags.collect::<Option<Vec<_>>>()?;
    (!measurement.is_empty() && !field.is_empty()).then(|| (Some(owned(measurement)), tags, owned(field.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, wanted: &str, expected: &[(&str, Option<&str>)]) {
        let (measurement, tags, field) = selector(wanted).unwrap();
        let lines = lines(payload.as_bytes()).unwrap();
        let lines = lines.iter().filter(|line| line.series().is_of(measurement.as_deref(), &tags));
        let found: Vec<_> = lines.filter_map(|line| Some((line.field(&field)?.into_owned(), line.time))).collect();
        let found: Vec<(&str, Option<&str>)> = found.iter().map(|(value, time)| (value.as_str(), *time)).collect();
        assert_eq!(found, expected, "{payload} | {wanted}");
    }

    #[test]
    fn fields_are_found_by_measurement_and_tags() {
        let sample = "mqtt_consumer,host=pop-os,topic=telegraf/host01/cpu value=45i 1653579140440951943";
        check(sample, "value", &[("45", Some("1653579140440951943"))]);
        check(sample, "mqtt_consumer,host=pop-os value", &[("45", Some("1653579140440951943"))]);
        check(sample, "mqtt_consumer,host=other value", &[]);
        check(sample, "cpu value", &[]);
        check(
            "m,a=x v=1.5,w=\"a, b=c\" 5\n# note\n\nm v=2u\nn v=t,u=-3e2",
            "v",
            &[("1.5", Some("5")), ("2", None), ("t", None)],
        );
        check("m,a=x v=1.5,w=\"a, \\\"b=c\" 5", "w", &[("a, \"b=c", Some("5"))]);
        check(r"my\ m,t\,ag=a\ b my\=f=7 5", r"my\ m,t\,ag=a\ b my\=f", &[("7", Some("5"))]);
    }

    #[test]
    fn what_is_no_line_is_malformed() {
        for payload in ["m", "m v", "m v= 5", " ", "m v=1 soon", "m v=1,, 5", ",a=b v"] {
            let result = lines(payload.as_bytes());
            assert!(result == Err(Refusal::Malformed) || payload.trim().is_empty(), "{payload}: {result:?}");
        }
        assert_eq!(lines(&[0xff, 0xfe]), Err(Refusal::Malformed));
        assert_eq!(lines("m v=1\n".repeat(LINES_MAX + 1).as_bytes()), Err(Refusal::OverLimit));
    }

    /// What a library reads of whole lines, we read.
    #[test]
    fn agrees_with_another_reader() {
        for text in
            ["m v=1", "m,a=b v=1.25,w=3i 17", "m,a=b\\ c,d=e v=1u -17", "m v=\"x y\",w=t", "m\\,n,a\\=b=c f\\ g=1e5 9"]
        {
            let theirs = influxdb_line_protocol::parse_lines(text).next().unwrap().unwrap();
            let ours = lines(text.as_bytes()).unwrap();
            assert!(ours[0].series().is_of(Some(&theirs.series.measurement.to_string()), &[]), "{text}");
            assert_eq!(ours[0].time.map(|time| time.parse().unwrap()), theirs.timestamp, "{text}");
            for (name, _) in &theirs.field_set {
                assert!(ours[0].field(&name.to_string()).is_some(), "{text}: {name}");
            }
        }
    }
}
