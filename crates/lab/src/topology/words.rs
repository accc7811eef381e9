//! Splits a command line into words the way containerlab does; runs no shell.
//!
//! **The same line yields the same words here and under containerlab**: blanks
//! separate; single quotes keep everything; in double quotes and outside quotes a
//! backslash keeps the next character; a `#` at the start of a word begins a comment.
//! Variables, globs and operators mean nothing: `sh -c '…'` is there for them.

/// The words of `line`, or what is wrong with it.
///
/// # Errors
/// An unclosed quote or a backslash at the end.
pub(crate) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => {
                // A comment lasts to the end of its line.
                let _ = chars.by_ref().find(|c| *c == '\n');
            }
            '\'' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => into.push(c),
                        None => return Err("a single quote is not closed"),
                    }
                }
            }
            '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => {
                            into.push(chars.next().ok_or("a double quote is not closed")?)
                        }
                        Some(c) => into.push(c),
                        None => return Err("a double quote is not closed"),
                    }
                }
            }
            '\\' => {
                let next = chars.next().ok_or("a backslash ends the line")?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The words as one line for people and error messages.
pub(crate) fn show(words: &[String]) -> String {
    let quoted = words.iter().map(|w| {
        let plain =
            !w.is_empty() && !w.contains(|c: char| c.is_whitespace() || "'\"\\#$".contains(c));
        if plain { w.clone() } else { format!("'{}'", w.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_keep_what_they_enclose() {
        let cases: [(&str, &[&str]); 8] = [
            ("ip link set lo up", &["ip", "link", "set", "lo", "up"]),
            ("  a \t b\n", &["a", "b"]),
            (r#"sh -c 'echo "$x" | cat'"#, &["sh", "-c", r#"echo "$x" | cat"#]),
            (r#"a "b c"d e\ f"#, &["a", "b cd", "e f"]),
            (r#""say \"hi\"""#, &[r#"say "hi""#]),
            ("a '' \"\"", &["a", "", ""]),
            ("a # comment", &["a"]),
            ("a#b", &["a#b"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn an_unclosed_quote_is_refused() {
        for line in ["a 'b", "a \"b", "a \"b\\", "a\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn shown_words_split_into_the_same_words() {
        let words = ["sh", "-c", "it's # a \"test\" \\ $x", ""].map(String::from);
        assert_eq!(split(&show(&words)).unwrap(), words);
    }
}
