//! The `Range` request header (RFC 9110, 14) [W4].

/// Most parts of a multi-range answer; a request for more gets the whole file (RFC 9110, 14.2 advises so
/// against requests that are made to hurt).
const PARTS_MAX: usize = 16;

/// An inclusive range of byte positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl Span {
    /// Number of bytes.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// Everything, 200.
    Whole,
    /// These parts, 206; one or more, in the order of the request, without overlap.
    Parts(Vec<Span>),
    /// Nothing, 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes. A unit other than bytes is ignored, as is a set of
/// ranges that overlap or are too many; what is no range at all is answered with 416 [W4].
pub fn select(header: &str, size: u64) -> Selection {
    let Some((unit, set)) = header.split_once('=') else { return Selection::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let mut spans: Vec<Span> = Vec::new();
    for (index, text) in set.split(',').map(str::trim).filter(|text| !text.is_empty()).enumerate() {
        if index >= PARTS_MAX {
            return Selection::Whole;
        }
        match span(text, size) {
            Some(Some(span)) => spans.push(span),
            // One that lies behind the end is left out while others can be had.
            Some(None) => {}
            None => return Selection::Unsatisfiable,
        }
    }
    let overlap = |a: &Span, b: &Span| a.first <= b.last && b.first <= a.last;
    if (1..spans.len()).any(|i| spans[..i].iter().any(|other| overlap(other, &spans[i]))) {
        return Selection::Whole;
    }
    if spans.is_empty() { Selection::Unsatisfiable } else { Selection::Parts(spans) }
}

/// One range: `None` if the text is none, `Some(None)` if it lies outside the file.
fn span(text: &str, size: u64) -> Option<Option<Span>> {
    let (first, last) = text.split_once('-')?;
    let number = |digits: &str| -> Option<u64> {
        // Digits only ("+5" is none), and more of them than fit are simply very far.
        let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits_only.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let suffix = number(last)?.min(size);
        return Some((suffix > 0).then(|| Span { first: size - suffix, last: size - 1 }));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if first > last {
        return None;
    }
    Some((first < size).then(|| Span { first, last: last.min(size - 1) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(spans: &[(u64, u64)]) -> Selection {
        Selection::Parts(spans.iter().map(|(first, last)| Span { first: *first, last: *last }).collect())
    }

    /// [W4]
    #[test]
    fn ranges_of_every_form_are_understood() {
        for (header, expected) in [
            ("bytes=0-0", parts(&[(0, 0)])),
            ("bytes=2-", parts(&[(2, 9)])),
            ("bytes=-3", parts(&[(7, 9)])),
            ("bytes=-30", parts(&[(0, 9)])),
            ("bytes=5-99999999999999999999999", parts(&[(5, 9)])),
            ("Bytes = 0-1, 4-5 ,-1", parts(&[(0, 1), (4, 5), (9, 9)])),
            ("bytes=0-1,50-60", parts(&[(0, 1)])),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=5-2", Selection::Unsatisfiable),
            ("bytes=a-b", Selection::Unsatisfiable),
            ("bytes=+1-2", Selection::Unsatisfiable),
            ("bytes=", Selection::Unsatisfiable),
            ("lines=1-2", Selection::Whole),
            ("bytes", Selection::Whole),
            ("bytes=0-5,5-6", Selection::Whole),
        ] {
            assert_eq!(select(header, 10), expected, "{header}");
        }
        assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
        let many = (0..40).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(select(&format!("bytes={many}"), 100), Selection::Whole);
    }

    proptest! {
        #[test]
        fn a_selected_range_lies_inside_the_file(header in "(bytes=)?[0-9,\\- a]{0,30}|\\PC{0,20}", size in any::<u64>()) {
            if let Selection::Parts(spans) = select(&header, size) {
                prop_assert!(!spans.is_empty() && spans.len() <= PARTS_MAX);
                for span in spans {
                    prop_assert!(span.first <= span.last && span.last < size);
                }
            }
        }
    }
}
