//! What the codes of problems mean, and what to do.

/// A code, what it means, and the cure.
pub const CODES: [(&str, &str, &str); 26] = [
    ("C001", "A file cannot be read.", "See its name and its rights; paths are relative to the file that names them."),
    (
        "C002",
        "A file is not TOML.",
        "The place is where it ceases to be; often a quote or a bracket is missing before it.",
    ),
    ("C003", "A key or section is not known.", "See the suggestion: it is mostly a slip of the pen."),
    ("C004", "A value is of the wrong type.", "Write a text in quotes, a number without, a list in brackets."),
    ("C005", "Something that is needed is missing.", "Add the key that is named, or take away what needs it."),
    ("C006", "A value cannot be.", "The message says what is allowed."),
    ("C007", "Something is named that is not declared.", "Declare it, or see the suggestion for its id."),
    (
        "C008",
        "A unit does not fit.",
        "Amounts carry a unit, and a meter's must reach its factor's: by `density` or `heat_content`, if need be.",
    ),
    (
        "C009",
        "A factor is not known, or cannot be used here.",
        "`emissiond factors list` shows all; only a grid's may be `grid`.",
    ),
    ("C010", "Two things have the same id, or an id cannot be.", "Ids are letters, digits, `-` and `_`."),
    ("C011", "Two meters read the same value.", "It is counted twice, unless one of them is the other's part."),
    (
        "C012",
        "An id that has figures has another meaning now.",
        "Give it back its meaning, or declare a new id, and the old one with `valid_to`.",
    ),
    (
        "C013",
        "A meter with readings within the late horizon is not declared any more.",
        "Declare it with `valid_to` until they are older.",
    ),
    (
        "C014",
        "A list of meters has a faulty cell, or a meter could be booked in two ways.",
        "The message names the cell or the keys.",
    ),
    ("C015", "Something is declared in two files.", "Keep one of them."),
    (
        "C016",
        "A file with a secret or a certificate is absent.",
        "Write it; of the package's service all secrets are in `/etc/emissiond/secrets`.",
    ),
    (
        "C017",
        "The server would listen beyond this machine in clear.",
        "Use `https`, a proxy, or `insecure = true` on a network of your own.",
    ),
    ("C018", "A variable of the environment says nothing.", "See the suggestion for its name."),
    ("C019", "A rule watches nothing.", "Its `select` fits no entity, or none of its meters can feed it."),
    ("C020", "A rule can never be over.", "What its meters may show at the most (`max_rate`) is below the limit."),
    ("C021", "A rule would be over all the time.", "What the meters usually show (`typical`) is above the limit."),
    ("C022", "A delay or deadband makes no sense beside the window.", "The message says what is sensible."),
    ("C023", "Nobody is told of a rule.", "Declare a notifier, or name one that is declared."),
    ("C024", "Two rules are the same, or many are of high priority.", "What is always urgent is never urgent."),
    ("C025", "A meter listens to a topic of another facility.", "See `facilities.ID.topics`."),
    ("C026", "A secret goes over the network in clear.", "Use `mqtts://` or `https://`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_listed_once_and_in_order() {
        let codes: Vec<String> = CODES.iter().map(|(code, ..)| (*code).to_owned()).collect();
        let expected: Vec<String> = (1..=CODES.len()).map(|number| format!("C{number:03}")).collect();
        assert_eq!(codes, expected);
    }
}
