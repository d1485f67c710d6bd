use proptest::prelude::*;

use super::*;

/// What is shown of the new text, piece by piece; `None` when it is lost.
fn shown(mut splice: Splice, pieces: &[&str]) -> Option<String> {
    let mut shown = String::new();
    let finals = pieces.iter().map(|piece| Some(*piece)).chain([None]);
    for piece in finals {
        match piece.map_or_else(|| None, |piece| Some(splice.more(piece))).unwrap_or_else(|| splice.end()) {
            Found::Nothing => {}
            Found::Text(text) => shown.push_str(&text),
            Found::Lost => {
                assert!(shown.is_empty(), "nothing was shown of what is lost: {shown:?}");
                return None;
            }
        }
    }
    Some(shown)
}

fn anchored(told: &str) -> Option<Splice> {
    Some(Splice::anchored(told, Anchor::of(told)?))
}

/// A text cut at these places, which move to the next boundaries of characters.
fn pieces<'t>(text: &'t str, cuts: &[prop::sample::Index]) -> Vec<&'t str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| boundary(text, cut.index(text.len() + 1))).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn boundary(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Prose with everything that makes comparing hard.
fn prose() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => "[a-zA-Zäéß]{1,9}",
        1 => Just("\u{1f600}".to_owned()),
        1 => Just("“quoted”".to_owned()),
        1 => Just("**bold**".to_owned()),
        1 => Just("`code_x`".to_owned()),
        1 => Just("日本語".to_owned()),
        1 => "[0-9]{1,4}",
    ];
    let gap = prop_oneof![
        8 => Just(" ".to_owned()), 1 => Just(", ".to_owned()), 1 => Just(".\n\n".to_owned()),
        1 => Just("\n- ".to_owned()), 1 => Just("  ".to_owned()), 1 => Just("\t".to_owned())
    ];
    proptest::collection::vec((word, gap), 2..60)
        .prop_map(|words| words.into_iter().flat_map(|(word, gap)| [word, gap]).collect())
}

/// The same in other white space, where there is some in the middle.
fn respaced(text: &str) -> String {
    let core = text.trim_end();
    let spaced: Vec<&str> = core.split_whitespace().collect();
    let begin = &core[..core.len() - core.trim_start().len()];
    [begin, &spaced.join("\n "), &text[core.len()..]].concat()
}

proptest! {
    #[test]
    fn a_prefill_is_continued_at_any_place(text in prose(), cut: prop::sample::Index,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let (told, rest) = text.split_at(boundary(&text, cut.index(text.len() + 1)));
        // White space at the end of what was told is not sent, so the model says it again.
        let said = [&told[told.trim_end().len()..], rest].concat();
        prop_assert_eq!(shown(Splice::prefilled(told), &pieces(&said, &cuts)), Some(rest.to_owned()));
        for said in [said, text.clone()] {
            let echoed = shown(Splice::echoed(told), &pieces(&said, &cuts));
            // A text that begins with itself once more cannot be told from one that is sent again.
            prop_assume!(told.trim_end().is_empty() || !rest.starts_with(told.trim_end()));
            prop_assert_eq!(echoed.as_deref(), Some(rest));
        }
    }

    #[test]
    fn a_repeated_anchor_is_cut_off_at_any_place(text in prose(), cut: prop::sample::Index,
        more in 0_usize..80, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let (told, rest) = text.split_at(boundary(&text, cut.index(text.len() + 1)));
        prop_assume!(anchored(told).is_some());
        let anchor = Anchor::of(told).expect("seen").text;
        let tail = &told[told.trim_end().len()..];
        let from = told.trim_end().rfind(&anchor).expect("it is its end");
        // As asked; with what stands before it; and from the beginning.
        let earlier = boundary(told, from.saturating_sub(more));
        for begin in [from, earlier, 0] {
            let said = [&told[begin..], rest].concat();
            prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&said, &cuts)), Some(rest.to_owned()), "{}", begin);
        }
        // White space at the end that is left out is not said twice either.
        if !rest.starts_with(char::is_whitespace) && !tail.is_empty() {
            let said = [anchor.as_str(), rest].concat();
            let told_core = told.trim_end();
            if told_core.ends_with(&anchor) {
                prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&said, &cuts)), Some(rest.to_owned()));
            }
        }
    }

    #[test]
    fn an_anchor_in_other_white_space_is_cut_off(text in prose(), cut: prop::sample::Index,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let (told, rest) = text.split_at(boundary(&text, cut.index(text.len() + 1)));
        prop_assume!(anchored(told).is_some());
        let anchor = Anchor::of(told).expect("seen");
        prop_assume!(anchor.text.chars().filter(|char| char.is_alphanumeric()).count() >= SHORTEST);
        let core = &told[..told.len() - anchor.tail.len()];
        let only = |end: &str| {
            let (core, end) = (normal(core), normal(end));
            core.find(&end) == core.len().checked_sub(end.len())
        };
        let ends = anchor.ends().filter(|end| proves_normally(end) && only(end));
        for end in ends {
            let said = [&respaced(end), &anchor.tail, rest].concat();
            prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&said, &cuts)), Some(rest.to_owned()), "{}", end);
            // The markup that had just been closed need not be closed again.
            if !(anchor.tail.contains(is_markup) && rest.starts_with(is_markup)) {
                let unmarked = anchor.tail.replace(is_markup, "");
                let said = [end, &unmarked, rest].concat();
                prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&said, &cuts)), Some(rest.to_owned()), "{}", end);
            }
        }
    }

    #[test]
    fn an_earlier_passage_is_not_the_end(text in prose(), cut: prop::sample::Index, from: prop::sample::Index,
        to: prop::sample::Index, other in prose(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let told = &text[..boundary(&text, cut.index(text.len() + 1))];
        prop_assume!(told.trim().chars().count() >= SHORTEST && anchored(told).is_some());
        let places = [from, to].map(|place| boundary(told, place.index(told.len() + 1)));
        let passage = &told[places[0].min(places[1])..places[0].max(places[1])];
        let said = [&respaced(passage), " ", &other].concat();
        let end = told.trim_end_matches(|char: char| char.is_whitespace() || is_markup(char));
        prop_assume!(!normal(&said).contains(&*normal(last(end, SHORTEST))));
        prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&said, &cuts)), None);
    }

    #[test]
    fn a_preamble_is_never_shown(text in prose(), cut: prop::sample::Index, more: bool, line: bool,
        preamble in "(Sure|Certainly|Of course|Here it is)[,!.:] [a-z ]{0,60}[:.]",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let (told, rest) = text.split_at(boundary(&text, cut.index(text.len() + 1)));
        prop_assume!(anchored(told).is_some_and(|_| told.trim().chars().count() > 30));
        let anchor = Anchor::of(told).expect("seen");
        // The rest may happen to repeat the end by itself.
        prop_assume!(more || !normal(rest).contains(&*normal(last(&anchor.text, SHORTEST))));
        let again = if more { [anchor.text.as_str(), &anchor.tail].concat() } else { String::new() };
        let said = [preamble.as_str(), if line { "\n\n" } else { " " }, &again, rest].concat();
        let shown = shown(anchored(told).expect("seen"), &pieces(&said, &cuts));
        prop_assert!(shown.is_none() || shown.as_deref() == Some(rest), "{:?}", shown);
        let proves = anchor.text.chars().filter(|char| char.is_alphanumeric()).count() >= SHORTEST;
        if more && line && proves && !rest.contains(&anchor.text) {
            prop_assert_eq!(shown.as_deref(), Some(rest));
        }
    }

    #[test]
    fn another_text_is_never_shown(text in prose(), other in prose(), cut: prop::sample::Index,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        let told = &text[..boundary(&text, cut.index(text.len() + 1))];
        prop_assume!(told.trim().chars().count() >= SHORTEST && anchored(told).is_some());
        let normal_told = normal(told.trim());
        let windows = last(told.trim_end(), SHORTEST);
        prop_assume!(!normal(&other).contains(&*normal(windows)) && !normal(&other).starts_with(&normal_told));
        prop_assert_eq!(shown(anchored(told).expect("seen"), &pieces(&other, &cuts)), None);
    }

    #[test]
    fn any_text_is_survived_and_little_is_held_back(told in "[ab \n*\"é]{0,80}", said in "[ab \n*\"é`]{0,400}",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8))
    {
        for splice in [Some(Splice::prefilled(&told)), Some(Splice::echoed(&told)), anchored(&told)].into_iter().flatten() {
            if let Some(shown) = shown(splice, &pieces(&said, &cuts)) {
                prop_assert!(said.ends_with(&shown), "only what was said");
            }
        }
    }
}

#[test]
fn an_end_that_is_not_the_only_one_is_no_anchor() {
    assert_eq!(Anchor::of(&"ab".repeat(400)), None);
    assert_eq!(Anchor::of("   "), None);
    let twice = format!("{0} and then {0}", "the very same forty characters stand here again");
    assert!(Anchor::of(&twice).is_some_and(|anchor| anchor.text.chars().count() > ANCHOR));
    assert_eq!(Anchor::of("Hi **").expect("one").text, "Hi");
}

#[test]
fn the_space_behind_markup_that_was_closed_is_not_lost() {
    for (told, said, rest) in [
        (
            "To sort it in place use `some_function`",
            "To sort it in place use `some_function to begin",
            " to begin",
        ),
        ("To sort it in place use `some_function`", "in place use `some_function` to begin", " to begin"),
        ("To sort it in place use `some_function`", "To sort it in place use `some_function", ""),
        ("The quick brown fox jumps over **the lazy dog**", "over **the lazy dog and sleeps", " and sleeps"),
        (
            "The quick brown fox jumps over the **lazy dog**\n\n",
            "over the **lazy dog\nand sleeps",
            "and sleeps",
        ),
    ] {
        assert_eq!(shown(anchored(told).expect("one"), &[said]).as_deref(), Some(rest), "{said}");
    }
}

#[test]
fn the_end_of_an_anchor_may_be_repeated_in_other_white_space() {
    let told = "The quick brown fox jumps over the lazy dog and";
    let check = |said: &str, rest: Option<&str>| {
        assert_eq!(shown(anchored(told).expect("one"), &[said]).as_deref(), rest, "{said}");
    };
    check("over the\n  lazy *dog* and then sleeps", Some(" then sleeps"));
    check("\"over the  lazy dog and\" then sleeps", Some(" then sleeps"));
    check("Sure:\nover the\n lazy dog and then sleeps", None);
    check("the\nlazy dog, and then sleeps", None);
}

#[test]
fn quotes_around_a_repetition_are_not_shown() {
    let told = "The quick brown fox jumps over the lazy dog and";
    let check = |said: &str, rest: Option<&str>| {
        assert_eq!(shown(anchored(told).expect("one"), &[said]).as_deref(), rest, "{said}");
    };
    check("\"jumps over the lazy dog and\" then sleeps", Some(" then sleeps"));
    check("… jumps over the lazy dog and then sleeps", Some(" then sleeps"));
    let anchor = Anchor::of(told).expect("one").text;
    check(
        &format!(
            "Sure! Continuing from \"{anchor}\":

{anchor} then"
        ),
        Some(" then"),
    );
    check("```\njumps over the lazy dog and then sleeps\n```", None);
    check("lazy dog and then sleeps", None);
    check("then sleeps", None);
    check("", None);
}

#[test]
fn what_is_held_back_is_bounded() {
    let told = "The quick brown fox jumps over the lazy dog and";
    let mut splice = anchored(told).expect("one");
    let mut lost_after = 0;
    while splice.more("something else entirely, ") == Found::Nothing {
        lost_after += 1;
        assert!(lost_after < ENOUGH, "it is decided at some time");
    }
    // A text that is repeated from its beginning is compared where it lies.
    let mut long = "The quick brown fox, number one two three and so on: ".to_owned();
    (0..9_000).for_each(|n| long.extend([n.to_string().as_str(), " "]));
    let mut splice = anchored(&long).expect("one");
    for piece in long.as_bytes().chunks(7) {
        splice.more(std::str::from_utf8(piece).expect("ASCII"));
        if let State::Seeking(seek) = &splice.state {
            assert!(seek.pending.is_empty());
        }
    }
    assert_eq!(splice.more("rest"), Found::Text("rest".to_owned()));
}
