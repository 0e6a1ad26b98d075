//! The known word that a wrong one was probably meant to be.

/// The nearest of `known`, unless all are so far off that naming one would mislead: more than a third of the word.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (word.chars().count() / 3).max(2);
    let (distance, name) = known.into_iter().map(|name| (distance(word, name), name)).min()?;
    (distance <= far).then_some(name)
}

/// Characters to insert, delete or replace to make one word of the other, row by row of the usual table.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_the_textbook() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("shards", "shard", 1), ("ab", "ba", 2)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn a_word_that_is_like_none_has_no_nearest() {
        let known = ["shards", "ping_interval", "message_bytes_max"];
        assert_eq!(nearest("shrads", known), Some("shards"));
        assert_eq!(nearest("max_message_bytes", known), None);
        assert_eq!(nearest("messages_bytes_max", known), Some("message_bytes_max"));
        assert_eq!(nearest("ping-interval", known), Some("ping_interval"));
        assert_eq!(nearest("colour", known), None);
    }
}
