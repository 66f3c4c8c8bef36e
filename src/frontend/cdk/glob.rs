//! Patterns for the names of assets.

/// Whether a text matches a pattern, in which `*` stands for any characters and `?` for one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // The last star, and the first character that it does not stand for yet.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((of, first)) = star else { return false };
                star = Some((of, first + 1));
                at = of + 1;
                read = first + 1;
            }
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_are_wildcards() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("Prod/*", "Prod/Hello/Code", true),
            ("*Image", "A/ImageB/Image", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xbxa", false),
            ("e551*", "e551ef49", true),
            ("é?", "éß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
